/**
 * Makes what Ringwall is installed from, in dist/ (docs/packages.md):
 *
 *   ringwall_VERSION_ARCH.deb        the command line, and Node
 *   ringwall-agent_VERSION_all.deb   the agent and its units
 *   ringwalld_VERSION_all.deb        the control daemon and its unit
 *   ringwall-VERSION.tgz             for npm; the folder it is made of is dist/npm
 *
 * The same sources make the same bytes, with the same dpkg-deb; times are that of the last commit, or SOURCE_DATE_EPOCH.
 *
 * Usage: scripts/package.ts [--architecture amd64|arm64] [--folder DIR] [--only debian|npm] [--release]
 *   --release   packed as small as xz can, which takes minutes
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { agentConfig } from '../agent/config.ts'
import { completionScripts } from '../cli/commands/completion.ts'
import { daemonConfig } from '../daemon/config.ts'
import { schemaText } from '../rules-compiler/validate/schema.ts'
import { bundle } from './package/bundle.ts'
import { copyrightText } from './package/copyright.ts'
import { buildDebianPackages } from './package/debian.ts'
import { type ManPage, ManPages } from './package/man-pages.ts'
import { findNode } from './package/node-binary.ts'
import { buildNpmPackage } from './package/npm.ts'

const project = join(import.meta.dirname, '..')

const { values } = parseArgs({
  options: {
    architecture: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    folder: { type: 'string', default: join(project, 'dist') },
    only: { type: 'string' },
    release: { type: 'boolean', default: false },
  },
})
const { architecture, release } = values
if (architecture !== 'amd64' && architecture !== 'arm64')
  throw new Error(`Cannot build for "${architecture}", expected amd64 or arm64`)
if (values.only !== undefined && values.only !== 'debian' && values.only !== 'npm')
  throw new Error(`Cannot build only "${values.only}", expected debian or npm`)

const folder = resolve(values.folder)
const { version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')) as { version: string }
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? lastCommit())
const app = join(folder, 'app')
await mkdir(folder, { recursive: true })
for (const each of ['app', 'debian', 'npm']) await rm(join(folder, each), { recursive: true, force: true })
await mkdir(app)

const node = await findNode(project, architecture === 'amd64' ? 'x64' : 'arm64')
const packages = await bundle(project, app, version)
const copyright = await copyrightText(project, packages, node.licence)
const made: string[] = []
if (values.only !== 'npm') {
  made.push(
    ...(await buildDebianPackages({
      ...{ project, folder, version, architecture, epoch, app, copyright },
      node: node.binary,
      manPages: await writeManPages(),
      completion: completionScripts,
      compression: release ? 9 : 0,
    })),
  )
}
if (values.only !== 'debian') made.push(await buildNpmPackage({ project, folder, version, epoch, app, copyright }))
for (const file of made) {
  const mebibytes = ((await stat(file)).size / 1024 / 1024).toFixed(1)
  console.log(`${mebibytes.padStart(6)} MiB  ${relative(process.cwd(), file)}`)
}

function lastCommit(): string {
  return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: project, encoding: 'utf8' })
}

async function writeManPages(): Promise<readonly ManPage[]> {
  const pages = new ManPages(version, new Date(epoch * 1000).toISOString().slice(0, 10))
  // From the bundle: the list of commands is printed by a process only.
  const helpText = execFileSync(process.execPath, [join(app, 'lib/ringwall.js'), '--help'], { encoding: 'utf8' })
  return [
    await pages.commandLine(helpText),
    await pages.service(
      {
        name: 'ringwall-agent',
        summary: 'enforces security groups on this host',
        seeAlso: ['ringwall(1)', 'ringwall-agent.yaml(5)', 'ringwall-policy.yaml(5)', 'ringwalld(8)', 'nft(8)'],
      },
      'agent',
      [
        ['/etc/ringwall/agent.yaml', 'Settings: ringwall-agent.yaml(5).'],
        ['/etc/ringwall/policy.yaml', 'The policy of a host that no daemon leads: ringwall-policy.yaml(5).'],
        ['/etc/ringwall/boot.env', 'What ringwall-boot.service does where there is no ruleset to load.'],
        ['/var/lib/ringwall', 'Credentials, and the last good policy and ruleset.'],
        ['/var/log/ringwall', 'For the traffic log, where one is asked for.'],
      ],
    ),
    await pages.service(
      {
        name: 'ringwalld',
        summary: 'control daemon of Ringwall',
        seeAlso: ['ringwall(1)', 'ringwalld.yaml(5)', 'ringwall-agent(8)'],
      },
      'daemon',
      [
        ['/etc/ringwall/daemon.yaml', 'Settings: ringwalld.yaml(5).'],
        ['/var/lib/ringwall-daemon', 'State, audit log and first token.'],
      ],
    ),
    pages.settings(
      { name: 'ringwall-agent.yaml', summary: 'settings of the agent of Ringwall', seeAlso: ['ringwall-agent(8)'] },
      agentConfig,
    ),
    pages.settings(
      { name: 'ringwalld.yaml', summary: 'settings of the control daemon of Ringwall', seeAlso: ['ringwalld(8)'] },
      daemonConfig,
    ),
    pages.policyFile(
      {
        name: 'ringwall-policy.yaml',
        summary: 'policy file of Ringwall',
        seeAlso: ['ringwall(1)', 'ringwall-agent(8)'],
      },
      JSON.parse(schemaText()),
    ),
  ]
}
