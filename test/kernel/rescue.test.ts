/** Administrators whom no policy locks out, with packets: led by a file and by a daemon, in both families, over a boot. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { isInForce, startAgent } from '../support/agent.ts'
import { makeAuthority } from '../support/certificates.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { accepts, closeShells, drillPorts, isTakenBack, isTrial, openShell, works } from '../support/lockout.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { startDaemonProcess } from '../support/scripted-daemon-process.ts'
import { arrives, eventually, listenForSessions, patienceMs } from '../support/sessions.ts'
import * as viewed from '../support/view-objects.ts'

const [ssh, web] = drillPorts
const rescue = ['--rescue', `198.18.0.8/30:${ssh},[2001:db8::9]:${ssh}`] as const
const guard = ['--rescue-port', String(ssh)] as const

let network: HostNetwork
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const port of drillPorts) await listenForSessions(network.peers.host, port)
  await listenForSessions(network.peers.guest1, ssh)
})
after(() => network?.[Symbol.asyncDispose]())

beforeEach(async () => {
  if (needsKernel !== false) return
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  folder = await mkdtemp(join(tmpdir(), 'ringwall-rescue-'))
})
afterEach(async () => {
  await closeShells()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const start = (policy: unknown, flags: readonly string[] = rescue) =>
  startAgent({ namespace: network.namespaces.host, policy, flags: [...flags, ...guard, '--state-dir', folder] })

/** Whether an administrator outside gets in, by the host's own stack. */
async function getsIn(address: string, port: number, timeoutMs = 500): Promise<boolean> {
  try {
    await (await network.peers.outside.connectTcp(address, port, { timeoutMs })).close()
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'ETIMEDOUT')
    return false
  }
}

test('who is named gets in and stays, in both families; others, other ports and guests are judged as ever', {
  skip: needsKernel,
}, async () => {
  await using agent = await start(acceptingPorts(ssh, web))
  const shell = await openShell(network)
  await agent.replacePolicy(acceptingPorts())
  assert.equal(agent.log.some(isTrial), false, 'nobody is cut')
  assert.ok(await works(shell))
  await accepts(network, [ssh])
  assert.equal(await getsIn(addresses.host.ip6, ssh, patienceMs), true)
  assert.equal(await getsIn(addresses.host.ip6, web), false)
  const { host, outside } = network.namespaces
  await outside.run('ip', ['addr', 'add', '198.18.0.77/24', 'dev', 'eth0'])
  await using _removed = {
    [Symbol.asyncDispose]: async () => void (await outside.run('ip', ['addr', 'del', '198.18.0.77/24', 'dev', 'eth0'])),
  }
  const stranger = { localAddress: '198.18.0.77', timeoutMs: 500 }
  await assert.rejects(network.peers.outside.connectTcp(addresses.host.ip, ssh, stranger), /ETIMEDOUT/)
  const { stdout } = await host.run(ringwallProgram, ['show'])
  assert.match(stdout, /^ {2}rescue 198\.18\.0\.8\/30 to port 7000, 2001:db8::9\/128 to port 7000: accepted whatever/m)
  const { stdout: json } = await host.run(ringwallProgram, ['show', '--json'])
  const { enis } = JSON.parse(json)
  assert.ok(enis[0].directions[0].reasons.exception.packets >= 2)
})

test('a guest is none of the host’s: its own policy alone lets anybody in', { skip: needsKernel }, async () => {
  const closed = acceptingPorts()
  const guest = { id: 'eni-guest', device: 'tap1', placement: 'guest', addresses: [addresses.guest1.ip] }
  const [host] = closed.interfaces
  const securityGroupIds = host!.securityGroupIds
  await using _agent = await start({ ...closed, interfaces: [...closed.interfaces, { ...guest, securityGroupIds }] })
  await accepts(network, [ssh])
  assert.equal(await getsIn(addresses.guest1.ip, ssh), false)
})

test('a boot loads it with the ruleset; an agent without it cuts the session at once', {
  skip: needsKernel,
}, async () => {
  const { host } = network.namespaces
  {
    await using agent = await start(acceptingPorts())
    await eventually(() => readFile(join(folder, 'ruleset.nft')))
    await agent.kill()
  }
  await host.run('nft', ['flush', 'ruleset'])
  await host.run('nft', ['-f', join(folder, 'ruleset.nft')])
  await accepts(network, [ssh])
  const shell = await openShell(network)
  await using agent = await start(acceptingPorts(), ['--guard-seconds', '0'])
  await agent.line(isInForce)
  await eventually(async () => assert.equal(await arrives(shell.client, shell.server), false))
  await accepts(network, [])
})

test('whatever a daemon says', { skip: needsKernel }, async () => {
  const { host, outside } = network.namespaces
  const at = { address: addresses.outside.ip, port: 8444, authority: await makeAuthority() }
  await using daemon = await startDaemonProcess(outside, at)
  await host.run(ringwallProgram, ['agent', 'join', daemon.url, '--token', daemon.token, '--state-dir', folder])
  const shell = await openShell(network)
  await using agent = await startAgent({
    namespace: host,
    linkedIn: folder,
    flags: [...rescue, ...guard],
    awaitInForce: false,
  })
  await daemon.next('hello')
  const eni = viewed.eniObject('eni-host', { addresses: [addresses.host.ip], securityGroupIds: ['sg-1'] })
  const drop = { ...viewed.acceptPort(ssh), id: 'sgr-drop', policy: 'drop' }
  const objects = [viewed.settingsObject(), viewed.instanceObject(), eni, viewed.groupObject('sg-1', [drop])]
  daemon.send({ type: 'snapshot', storeId: 's', revision: 1, objects })
  assert.equal((await daemon.next('enforced')).revision, 1)
  assert.ok(await works(shell))
  await accepts(network, [ssh])
  assert.equal(agent.log.some(isTrial) || agent.log.some(isTakenBack), false)
})
