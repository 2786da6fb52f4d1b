/** The package of npm: the same bundles, and Node itself as an optional dependency, for whoever has an older one. */
import { execFile } from 'node:child_process'
import { chmod, copyFile, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { settle } from './settle.ts'

export interface NpmOptions {
  readonly project: string
  readonly folder: string
  readonly version: string
  /** Seconds since 1970. */
  readonly epoch: number
  readonly app: string
  readonly copyright: string
}

const head = `#!/bin/sh
# The \`ringwall\` command, with the Node that npm installed beside it, else the machine's own if it is 24 or later.
root=$(dirname "$(readlink -f "$0")")
lib=$root/lib
case $(uname -m) in
  x86_64) architecture=x64 ;;
  aarch64) architecture=arm64 ;;
  *) architecture=other ;;
esac
node=
# Last where the package was made by \`npm pack\`, with this two folders down.
for folder in "$root/node_modules" "$root/.." "$root/../../node_modules" "$root/../../.."; do
  each=$folder/node-linux-$architecture/bin/node
  if [ -z "$node" ] && [ -x "$each" ]; then node=$each; fi
done
if [ -z "$node" ]; then
  if ! node -e 'process.exit(parseInt(process.versions.node) >= 24 ? 0 : 1)' 2>/dev/null; then
    echo 'ringwall: Node 24 or later is missing; npm install ringwall, without --omit=optional, brings it' >&2
    exit 1
  fi
  node=node
fi
`

/** @returns the path of the package */
export async function buildNpmPackage(options: NpmOptions): Promise<string> {
  const { project, folder, version, epoch, app, copyright } = options
  const root = join(folder, 'npm')
  await cp(app, root, { recursive: true })
  const own = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'))
  const { name, description, license, optionalDependencies } = own
  const runtime = Object.entries(optionalDependencies).filter(([each]) => each.startsWith('node-linux-'))
  const manifest = {
    ...{ name, version, description, license, type: 'module' },
    ...{ os: ['linux'], engines: { node: '>=18' }, bin: { ringwall: 'ringwall' } },
    optionalDependencies: Object.fromEntries(runtime),
  }
  const launcher = await readFile(join(project, 'systemd/debian/launcher.sh'), 'utf8')
  await Promise.all([
    writeFile(join(root, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`),
    writeFile(join(root, 'ringwall'), `${head}${launcher}`),
    writeFile(join(root, 'COPYRIGHT'), copyright),
    ...['README.md', 'LICENSE', 'CHANGELOG.md'].map(file => copyFile(join(project, file), join(root, file))),
  ])
  await chmod(join(root, 'ringwall'), 0o755)
  await settle(root, epoch)
  const { stdout } = await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', folder, root])
  return join(folder, stdout.trim())
}
