/**
 * docs/first-hosts.md on hosts with systemd, by the packages: every command of it, in its order, while somebody who
 * administers the hosts is connected.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Conversation, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { type Container, needsSystemd, startContainer, writeIn } from '../support/container.ts'
import { arrives, converse, patienceMs } from '../support/sessions.ts'

const project = join(import.meta.dirname, '../..')
const addresses = { ringwall: '198.18.7.10', web1: '198.18.7.21', db1: '198.18.7.22' } as const
type HostName = keyof typeof addresses
const hostNames = Object.keys(addresses) as readonly HostName[]

interface Step {
  readonly host: HostName
  readonly commands: string
}

/** Blocks of commands, each for the host that was named last. */
function stepsOf(page: string): readonly Step[] {
  const marks = page.matchAll(/\bOn \*\*(\w+)\*\*|^```sh\n([\s\S]*?)^```$/gm)
  let host: string | null = null
  const steps: Step[] = []
  for (const [, named, commands] of marks) {
    if (named !== undefined) host = named
    else steps.push({ host: host as HostName, commands: commands! })
  }
  return steps
}

/** With a build and three machines, on one that does other things too. */
const timeout = 600_000

const folder = mkdtempSync(join(tmpdir(), 'ringwall-first-hosts-'))
const resources = new AsyncDisposableStack()
const containers = new Map<string, Container>()
const hosts = new Map<string, Namespace>()
let admin: Namespace

before(
  async () => {
    if (needsSystemd !== false) return
    execFileSync(process.execPath, [join(project, 'scripts/package.ts'), '--folder', folder, '--only', 'debian'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const wire = resources.use(await createNamespace('switch'))
    await wire.run('ip', ['link', 'add', 'br0', 'type', 'bridge'])
    await wire.run('ip', ['link', 'set', 'br0', 'up'])
    const plug = async (name: string, address?: string) => {
      const namespace = resources.use(await createNamespace(name))
      const near = { namespace, device: 'eth0', ...(address !== undefined && { addresses: [`${address}/24`] }) }
      await connect(near, { namespace: wire, device: `to-${name}` })
      await wire.run('ip', ['link', 'set', `to-${name}`, 'master', 'br0'])
      return namespace
    }
    admin = await plug('admin', '198.18.7.9')
    for (const name of hostNames) hosts.set(name, await plug(name))
    for (const name of hostNames) containers.set(name, resources.use(await start(name)))
  },
  { timeout },
)
after(async () => {
  await resources.disposeAsync()
  rmSync(folder, { recursive: true })
})

function start(name: HostName): Promise<Container> {
  return startContainer(
    hosts.get(name)!,
    root => {
      const lines = hostNames.map(each => `${addresses[each]} ${each}.example ${each}\n`)
      writeIn(root, 'etc/hosts', `127.0.0.1 localhost\n${lines.join('')}`)
      writeIn(root, 'etc/hostname', `${name}\n`)
      const network = `[Network]\nAddress=${addresses[name]}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n`
      writeIn(root, 'etc/systemd/network/eth0.network', `[Match]\nName=eth0\n${network}`)
      for (const deb of globSync(`${folder}/*.deb`)) cpSync(deb, join(root, 'root', basename(deb)))
    },
    { root: 'bookworm', program: 'none' },
  )
}

const page = readFileSync(join(project, 'docs/first-hosts.md'), 'utf8')

/** For who works on Ringwall: the sources have it. */
const ofSources = /\.ts$|^(CHANGELOG\.md|LICENSE|bench\/.*|data\/.*|\w[\w-]*\/README\.md)$/

test('what the pages in the package link to is in it, but for what is about the sources', {
  skip: needsSystemd,
}, () => {
  const root = join(folder, 'unpacked')
  execFileSync('dpkg-deb', ['-x', globSync(`${folder}/ringwall_*.deb`)[0]!, root])
  const doc = join(root, 'usr/share/doc/ringwall')
  const pages = globSync('**/*.md', { cwd: doc })
  assert.ok(pages.includes('docs/ecs-api/README.md') && pages.includes('monitoring/README.md'))
  for (const each of pages) {
    const text = readFileSync(join(doc, each), 'utf8')
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const target = join(dirname(each), link)
      if (!ofSources.test(target)) assert.ok(existsSync(join(doc, target)), `${each}: ${link}`)
    }
  }
})

test('a daemon and two hosts are set up, kept and retired as the page says, and nobody who administers them is cut off', {
  skip: needsSystemd,
  timeout,
}, async () => {
  const near = await startPeer(admin)
  const shells = new Map<string, { readonly client: Conversation; readonly server: Conversation }>()
  for (const name of ['web1', 'db1'] as const) {
    const server = await startPeer(hosts.get(name)!)
    await server.listenTcp(22)
    shells.set(name, await converse('tcp', { client: near, server, address: addresses[name], port: 22 }))
  }
  let joining = ''
  const said = new Map<string, string>()
  for (const { host, commands } of stepsOf(page)) {
    for (const line of commands.trimEnd().split('\n')) {
      // Ten seconds, if no number follows, are enough for a machine that does nothing else.
      const command = line.replace(/^ringwall agent join .*rwe1…$/, joining).replace(/--wait$/, '--wait 90')
      const { stdout } = await containers.get(host)!.run('sh', ['-c', `cd /root && ${command}`], { timeoutMs: 120_000 })
      joining = /^ringwall agent join .*$/m.exec(stdout)?.[0] ?? joining
      said.set(line, stdout)
      for (const [name, shell] of shells) {
        assert.ok(await arrives(shell.client, shell.server, patienceMs), `${name} after ${line}`)
      }
    }
  }
  assert.match(said.get('ringwall eni enforce 198.18.7.21 --wait')!, /\nIn force on the one agent it concerns\.\n$/)
  assert.match(said.get('ringwall eni register --instance db1 --device eth0 --group sg-db --wait')!, /\nIn force on/)
  assert.match(said.get('ringwall health')!, /^ {2}eni-\w+: not 198\.18\.7\.31; eth0 of web1 has 198\.18\.7\.21$/m)
  assert.match(said.get('apt purge -y ringwall-agent ringwall')!, /Ringwall enforces nothing on this host any more/)
  const { stdout: journal } = await containers.get('ringwall')!.run('journalctl', ['-u', 'ringwalld', '-o', 'cat'])
  assert.match(journal, /first start: the token in tokenFile may do everything/)
  assert.doesNotMatch(journal, /rwt_/)
  const { stdout: left } = await containers.get('ringwall')!.run('ringwall', ['agent', 'list'])
  assert.deepEqual(
    [...left.matchAll(/\b(web1|db1)\b/g)].map(([name]) => name),
    ['db1'],
  )
})
