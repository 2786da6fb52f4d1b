/**
 * The program as packages hold it, in one folder:
 *
 *   package.json               the version
 *   lib/ringwall.js            the command line; each command is a file of its own and loaded when it is asked for
 *   lib/agent.cjs, daemon.cjs  the services, each one file: nothing of the one is loaded by the other
 *   lib/worker.cjs, peer.js    what they start beside them
 *   lib/*.pl, migrations,
 *   static                     what they read; the page of the REST API looks for its files in two places
 */
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'

/** One file that is compiled at once, without modules to be looked for, takes the least memory. */
const service = {
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href' },
  define: { 'import.meta.url': 'moduleUrl', 'import.meta.dirname': '__dirname' },
} as const

/**
 * What an agent needs only if a daemon leads it, or its policy is YAML. Imported at the beginning like all else, they are
 * not loaded before something of theirs is asked for: 3 MiB less (docs/decisions/0011-packages.md).
 */
const loadedWhenUsed: Plugin = {
  name: 'loaded when used',
  setup({ onResolve, onLoad }) {
    const namespace = 'when-used'
    onResolve({ filter: /^(node:)?(https|tls)$|^(ws|yaml)$/ }, ({ path, namespace: importer }) =>
      importer === namespace ? undefined : { path, namespace },
    )
    // A prototype, because esbuild copies what a module has itself when it is imported.
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `module.exports = Object.create(new Proxy({}, { get: (_, name) => require('${path}')[name] }))`,
      resolveDir: join(import.meta.dirname, '../..'),
    }))
  },
}

/**
 * What a module imports of Node's has all its getters read, and those of node:http load a whole client of HTTP that
 * nothing here uses: a quarter of the time in which a command starts. What is asked for by `require` has not.
 */
const httpByRequire: Plugin = {
  name: 'http by require',
  setup({ onResolve, onLoad }) {
    const namespace = 'by-require'
    onResolve({ filter: /^node:https?$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace } : undefined,
    )
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: `module.exports = require('${path}')` }))
  },
}

/** Packages of npm that are CommonJS ask for Node's modules by `require`. */
const commandLine = {
  format: 'esm',
  splitting: true,
  plugins: [httpByRequire],
  banner: { js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)" },
} satisfies BuildOptions

const uiFiles = [
  'favicon-16x16.png',
  'favicon-32x32.png',
  'index.css',
  'logo.svg',
  'oauth2-redirect.html',
  'oauth2-redirect.js',
  'swagger-ui-bundle.js',
  'swagger-ui-standalone-preset.js',
  'swagger-ui.css',
]

/**
 * @param project  folder of the sources
 * @param folder   exists, and is empty
 * @returns the packages of npm that are in it, sorted
 */
export async function bundle(project: string, folder: string, version: string): Promise<readonly string[]> {
  const lib = join(folder, 'lib')
  const common: BuildOptions & { metafile: true } = {
    absWorkingDir: project,
    outdir: lib,
    bundle: true,
    platform: 'node',
    target: 'node24',
    minify: true,
    metafile: true,
    // They are in the file of copyrights.
    legalComments: 'none',
    logLevel: 'warning',
  }
  const built = await Promise.all([
    build({ ...common, ...commandLine, entryPoints: { ringwall: 'cli/main.ts', peer: 'lab/peer.ts' } }),
    build({ ...common, ...service, plugins: [loadedWhenUsed], entryPoints: { agent: 'cli/agent-main.ts' } }),
    build({
      ...common,
      ...service,
      entryPoints: { daemon: 'cli/daemon-main.ts', worker: 'daemon/services/health-report/worker.ts' },
    }),
  ])
  await cp(join(project, 'daemon/store/migrations'), join(lib, 'migrations'), { recursive: true })
  for (const program of ['logs/nflog.pl', 'watch/nft-generations.pl']) {
    await copyFile(join(project, 'agent', program), join(lib, basename(program)))
  }
  const ui = join(project, 'node_modules/@fastify/swagger-ui/static')
  await Promise.all([mkdir(join(folder, 'static')), mkdir(join(lib, 'static'))])
  for (const file of uiFiles) await copyFile(join(ui, file), join(folder, 'static', file))
  await copyFile(join(ui, 'logo.svg'), join(lib, 'static/logo.svg'))
  // What is beside it makes .js files modules, and is read for the version.
  await writeFile(
    join(folder, 'package.json'),
    `${JSON.stringify({ name: 'ringwall', version, type: 'module', private: true }, null, 2)}\n`,
  )
  return packagesIn(built.map(({ metafile }) => metafile))
}

function packagesIn(metafiles: readonly Metafile[]): readonly string[] {
  const names = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => {
        const [, name] = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file) ?? []
        return name === undefined || bytesInOutput === 0 ? [] : [name]
      }),
    ),
  )
  return [...new Set([...names, '@fastify/swagger-ui', 'swagger-ui'])].sort()
}
