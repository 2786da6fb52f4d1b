/** The lockout guard as a host runs it, by its units: an administrator who is cut, who confirms, and power that is lost. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { type Container, needsSystemd, startContainer, writeIn } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { arrives, converse, eventually } from '../support/sessions.ts'

const agent = 'ringwall-agent.service'
const bootUnit = 'ringwall-boot.service'
const ssh = 7000
const web = 7001
const patienceMs = 30_000

const network = `
[Match]
Name=eth0
[Network]
Address=${addresses.host.ip}/24
LinkLocalAddressing=no
IPv6AcceptRA=no
`

let outside: Namespace
let host: Namespace
let container: Container
let admin: Peer
let server: Peer

before(async () => {
  if (needsSystemd !== false) return
  outside = await createNamespace('outside')
  host = await createNamespace('host')
  await connect(
    { namespace: outside, device: 'eth0', addresses: [`${addresses.outside.ip}/24`] },
    { namespace: host, device: 'eth0' },
  )
  container = await startContainer(host, root => {
    writeIn(root, 'etc/systemd/network/eth0.network', network)
    writeIn(root, 'etc/ringwall/policy.yaml', JSON.stringify(acceptingPorts(ssh)))
    // Longer than the whole test: what ends a trial here is somebody or something else.
    writeIn(root, 'etc/ringwall/agent.yaml', `guardSeconds: 3600\nrescuePort: [${ssh}]\n`)
  })
  admin = await startPeer(outside)
  server = await startPeer(host)
  for (const port of [ssh, web]) await server.listenTcp(port, { echo: false })
})

after(async () => {
  for (const each of [admin, server, container, host, outside]) await each?.[Symbol.asyncDispose]()
})

const systemctl = (...args: readonly string[]) => container.run('systemctl', args)

async function journal(unit: string): Promise<readonly string[]> {
  const { stdout } = await container.run('journalctl', ['-b', '-u', unit, '-o', 'cat', '--no-pager'])
  return stdout.split('\n').map(line => (line.startsWith('{') ? (JSON.parse(line).msg as string) : line))
}

async function logs(message: RegExp): Promise<void> {
  await eventually(async () => assert.match((await journal(agent)).join('\n'), message), patienceMs)
}

const openShell = () => converse('tcp', { client: admin, server, address: addresses.host.ip, port: ssh })

async function isAccepted(port: number): Promise<boolean> {
  try {
    await (await admin.connectTcp(addresses.host.ip, port, { timeoutMs: 500 })).close()
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'ETIMEDOUT')
    return false
  }
}

async function accepts(...expected: readonly number[]): Promise<void> {
  await eventually(async () => {
    const accepted = []
    for (const port of [ssh, web]) if (await isAccepted(port)) accepted.push(port)
    assert.deepEqual(accepted, expected)
  }, patienceMs)
}

async function replacePolicy(...ports: readonly number[]): Promise<void> {
  container.write('etc/ringwall/policy.yaml.new', JSON.stringify(acceptingPorts(...ports)))
  await container.run('mv', ['/etc/ringwall/policy.yaml.new', '/etc/ringwall/policy.yaml'])
}

describe('the lockout guard under systemd', { skip: needsSystemd }, () => {
  test('a policy that cuts an administrator is on trial, and kept by "ringwall confirm" of root', async () => {
    await accepts(ssh)
    const shell = await openShell()
    await replacePolicy(web)
    await logs(/it is put in force on trial/)
    await accepts(web)
    assert.equal(await arrives(shell.client, shell.server), false)
    const { stdout } = await container.run('ringwall', ['confirm'])
    assert.equal(stdout, 'Confirmed.\n')
    await logs(/the policy on trial is confirmed/)
    await replacePolicy(ssh)
    await accepts(ssh)
  })

  test('power that is lost during a trial brings what was confirmed last: from the boot unit, and from the agent', async () => {
    const confirmed = async () => (await container.run('cat', ['/var/lib/ringwall/ruleset.nft'])).stdout
    await eventually(async () => assert.match(await confirmed(), new RegExp(`\\b${ssh}\\b`)), patienceMs)
    const standing = await confirmed()
    await openShell()
    await replacePolicy(web)
    await accepts(web)
    assert.equal(await confirmed(), standing, 'nothing of a trial is for a boot')
    // Without a chance to tidy up, and not to come back before the boot.
    container.write('run/systemd/system/ringwall-agent.service.d/once.conf', '[Service]\nRestart=no\n')
    await systemctl('daemon-reload')
    await container.run('sh', ['-c', `kill -s KILL ${await container.property(agent, 'MainPID')}`])
    await systemctl('disable', agent)
    await container.reboot(async () => {
      await host.run('nft', ['flush', 'ruleset'])
      await host.run('ip', ['addr', 'flush', 'dev', 'eth0'])
    })
    assert.equal(await container.property(agent, 'ActiveState'), 'inactive')
    assert.ok((await journal(bootUnit)).includes('ringwall-boot: in force: /var/lib/ringwall/ruleset.nft'))
    await accepts(ssh)

    await systemctl('start', agent)
    await logs(/the agent was ended during a trial; the policy on trial is taken back/)
    await logs(/the policy is refused: it was taken back before/)
    await accepts(ssh)
    await replacePolicy(ssh, web)
    await accepts(ssh, web)
  })
})
