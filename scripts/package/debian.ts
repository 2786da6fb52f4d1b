/** Debian packages: what is in them, laid out as on a host, and packed. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { ManPage } from './man-pages.ts'
import { settle } from './settle.ts'

const run = promisify(execFile)

export interface DebianOptions {
  readonly project: string
  /** Where the packages and the folders they are made of go; exists. */
  readonly folder: string
  readonly version: string
  readonly architecture: 'amd64' | 'arm64'
  /** Seconds since 1970: of every file, and so of the package. */
  readonly epoch: number
  /** The bundles: bundle.ts. */
  readonly app: string
  readonly node: Buffer
  readonly copyright: string
  readonly manPages: readonly ManPage[]
  /** Of each shell, as `ringwall completion` prints it. */
  readonly completion: Readonly<Record<string, string>>
  /** How hard xz tries, 0 to 9. */
  readonly compression: number
}

const maintainer = 'Ringwall <packages@ringwall.invalid>'
const scripts = ['preinst', 'postinst', 'prerm', 'postrm'] as const
const lib = 'usr/lib/ringwall'

/** @returns the paths of the packages, sorted */
export async function buildDebianPackages(options: DebianOptions): Promise<readonly string[]> {
  const trees = [commandLine, agent, daemon]
  const built = []
  for (const lay of trees) {
    const tree = new Tree(options)
    await lay(tree, options)
    built.push(await tree.build())
  }
  return built.sort()
}

async function commandLine(tree: Tree, { project, app, node, manPages, completion }: DebianOptions): Promise<void> {
  tree.begin('ringwall', 'architecture')
  await tree.copy(app, lib)
  await tree.write(`${lib}/node`, node, 0o755)
  const launcher = await readFile(join(project, 'systemd/debian/launcher.sh'), 'utf8')
  const head = `#!/bin/sh\n# The \`ringwall\` command.\nnode=/${lib}/node\nlib=/${lib}/lib\n`
  await tree.write(`${lib}/ringwall`, `${head}${launcher}`, 0o755)
  await tree.link('usr/bin/ringwall', '../lib/ringwall/ringwall')
  await tree.write('usr/share/bash-completion/completions/ringwall', completion.bash!)
  await tree.write(
    'usr/share/zsh/vendor-completions/_ringwall',
    `#compdef ringwall\n${completion.zsh!.replace(/^compdef .*\n/m, '')}_ringwall "$@"\n`,
  )
  await tree.write('usr/share/fish/vendor_completions.d/ringwall.fish', completion.fish!)
  await tree.manPages(manPages, ['ringwall', 'ringwall-policy.yaml'])
  // At the places where the pages link to them.
  for (const part of ['README.md', 'docs', 'monitoring', 'examples', 'systemd/agent.yaml', 'systemd/daemon.yaml'])
    await tree.copy(join(project, part), `usr/share/doc/ringwall/${part}`)
  await tree.write('usr/share/doc/ringwall/CHANGELOG.md.gz', compressed(await readFile(join(project, 'CHANGELOG.md'))))
}

async function agent(tree: Tree, { project, manPages }: DebianOptions): Promise<void> {
  const from = (file: string) => join(project, 'systemd', file)
  tree.begin('ringwall-agent', 'all')
  await tree.write('usr/bin/ringwall-agent', '#!/bin/sh\nexec /usr/bin/ringwall agent "$@"\n', 0o755)
  for (const unit of ['ringwall-agent.service', 'ringwall-boot.service'])
    await tree.copy(from(unit), `usr/lib/systemd/system/${unit}`)
  for (const script of ['boot.sh', 'ended.sh'])
    await tree.write(`${lib}/systemd/${script}`, await readFile(from(script)), 0o755)
  await tree.copyLines(from(''), 'ringwall-agent', /ringwalld|ringwall-daemon/)
  await tree.configuration(from('agent.yaml'), 'etc/ringwall/agent.yaml')
  await tree.configuration(from('debian/boot.env'), 'etc/ringwall/boot.env')
  await tree.configuration(from('debian/ringwall-agent.logrotate'), 'etc/logrotate.d/ringwall-agent')
  await tree.manPages(manPages, ['ringwall-agent', 'ringwall-agent.yaml'])
}

async function daemon(tree: Tree, { project, manPages }: DebianOptions): Promise<void> {
  const from = (file: string) => join(project, 'systemd', file)
  tree.begin('ringwalld', 'all')
  await tree.write('usr/sbin/ringwalld', '#!/bin/sh\nexec /usr/bin/ringwall daemon "$@"\n', 0o755)
  await tree.copy(from('ringwalld.service'), 'usr/lib/systemd/system/ringwalld.service')
  await tree.copyLines(from(''), 'ringwalld', /ringwall-agent|ringwall-boot/)
  await tree.configuration(from('daemon.yaml'), 'etc/ringwall/daemon.yaml')
  await tree.manPages(manPages, ['ringwalld', 'ringwalld.yaml'])
}

/** The root folder of a package. */
class Tree {
  readonly #options: DebianOptions
  readonly #configuration: string[] = []
  #name = ''
  #architecture = ''
  #root = ''

  constructor(options: DebianOptions) {
    this.#options = options
  }

  begin(name: string, architecture: 'architecture' | 'all'): void {
    this.#name = name
    this.#architecture = architecture === 'all' ? 'all' : this.#options.architecture
    this.#root = join(this.#options.folder, 'debian', `${name}_${this.#architecture}`)
  }

  async write(path: string, content: string | Buffer, mode = 0o644): Promise<void> {
    const file = join(this.#root, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    await chmod(file, mode)
  }

  /** A file or a folder. */
  async copy(from: string, path: string): Promise<void> {
    await cp(from, join(this.#root, path), { recursive: true })
  }

  async link(path: string, target: string): Promise<void> {
    await mkdir(dirname(join(this.#root, path)), { recursive: true })
    await symlink(target, join(this.#root, path))
  }

  async configuration(from: string, path: string): Promise<void> {
    this.#configuration.push(path)
    await this.copy(from, path)
  }

  /** Of the files that say something of both services, the lines that are not of the other. */
  async copyLines(folder: string, name: string, ofOther: RegExp): Promise<void> {
    for (const [file, path] of [
      ['ringwall.sysusers.conf', `usr/lib/sysusers.d/${name}.conf`],
      ['ringwall.tmpfiles.conf', `usr/lib/tmpfiles.d/${name}.conf`],
      ['50-ringwall.preset', `usr/lib/systemd/system-preset/50-${name}.preset`],
    ] as const) {
      const lines = (await readFile(join(folder, file), 'utf8')).split('\n')
      await this.write(path, lines.filter(line => line.startsWith('#') || !ofOther.test(line)).join('\n'))
    }
  }

  async manPages(pages: readonly ManPage[], names: readonly string[]): Promise<void> {
    for (const { name, section, text } of pages.filter(page => names.includes(page.name)))
      await this.write(`usr/share/man/man${section}/${name}.${section}.gz`, compressed(text))
  }

  /** @returns the path of the package */
  async build(): Promise<string> {
    const { project, folder, version, copyright, epoch, compression } = this.#options
    const name = this.#name
    const from = (kind: string) => join(project, 'systemd/debian', `${name}.${kind}`)
    const doc = `usr/share/doc/${name}`
    await this.write(`${doc}/copyright`, name === 'ringwall' ? copyright : copyright.split('\n\n---')[0]!)
    const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
    const entry = `${name} (${version}) unstable; urgency=medium\n\n  * CHANGELOG.md.gz of the package ringwall says what changed.\n\n -- ${maintainer}  ${date}\n`
    await this.write(`${doc}/changelog.gz`, compressed(entry))
    const overrides = await readIfThere(from('lintian-overrides'))
    if (overrides !== null) await this.write(`usr/share/lintian/overrides/${name}`, overrides)

    const files = await this.#files()
    const sizes = await Promise.all(files.map(async file => (await stat(join(this.#root, file))).size))
    const kibibytes = sizes.reduce((sum, size) => sum + Math.ceil(size / 1024), 0)
    const [first = '', ...more] = (await readFile(from('control'), 'utf8')).replaceAll('@version@', version).split('\n')
    const filled = [`Version: ${version}`, `Architecture: ${this.#architecture}`, `Maintainer: ${maintainer}`]
    const control = [first, ...filled, `Installed-Size: ${kibibytes}`, ...more].join('\n')
    const sums = await Promise.all(
      files
        .filter(file => !this.#configuration.includes(file))
        .map(async file => `${await md5(join(this.#root, file))}  ${file}\n`),
    )
    await this.write('DEBIAN/control', control)
    await this.write('DEBIAN/md5sums', sums.join(''))
    if (this.#configuration.length > 0)
      await this.write('DEBIAN/conffiles', this.#configuration.map(path => `/${path}\n`).join(''))
    for (const each of scripts) {
      const script = await readIfThere(from(each))
      if (script !== null) await this.write(`DEBIAN/${each}`, script, 0o755)
    }
    await settle(this.#root, epoch)

    const file = join(folder, `${name}_${version}_${this.#architecture}.deb`)
    await run('dpkg-deb', ['--root-owner-group', '-Zxz', `-z${compression}`, '--build', this.#root, file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    })
    await rm(this.#root, { recursive: true })
    return file
  }

  /** Files, without symbolic links, sorted. */
  async #files(): Promise<readonly string[]> {
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile())
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(this.#root.length + 1)).sort()
  }
}

/** The same bytes on every machine: gzip's header has neither a name nor a time. */
function compressed(content: string | Buffer): Buffer {
  return gzipSync(content, { level: 9 })
}

async function md5(file: string): Promise<string> {
  return createHash('md5')
    .update(await readFile(file))
    .digest('hex')
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
