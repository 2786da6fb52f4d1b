/**
 * Lockout drills, with packets: policies that cut the agent off from its daemon or an administrator off from the host,
 * a daemon that dies and an agent that is killed in the middle of the trial.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Conversation } from '../../lab/conversation.ts'
import type { ToAgent } from '../../wire/messages.ts'
import type { ViewObject } from '../../wire/view.ts'
import { type LogLine, startAgent, type TestAgent } from '../support/agent.ts'
import { makeAuthority, type TestAuthority } from '../support/certificates.ts'
import {
  addresses,
  createHostNetwork,
  type HostNetwork,
  hostHealth,
  metricsAddress,
  portsAccepted,
} from '../support/host-network.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallCommand } from '../support/ringwall.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/scripted-daemon-process.ts'
import { arrives, converse, eventually, listenForSessions } from '../support/sessions.ts'
import { acceptPort, eniObject, groupObject, instanceObject, settingsObject } from '../support/view-objects.ts'

/** The first stands for SSH. */
const ports = [7000, 7001] as const
const daemonPort = 8444
const seconds = 3

let network: HostNetwork
let authority: TestAuthority
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  authority = await makeAuthority()
  for (const port of ports) await listenForSessions(network.peers.host, port)
})
after(() => network?.[Symbol.asyncDispose]())

beforeEach(async () => {
  if (needsKernel !== false) return
  await network.namespaces.host.run(ringwallCommand, ['flush'])
  folder = await mkdtemp(join(tmpdir(), 'ringwall-guarded-'))
})
afterEach(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const guardFlags = ['--guard-seconds', String(seconds), '--rescue-port', String(ports[0])] as const
const metricsFlags = ['--metrics-address', metricsAddress] as const

const ringwall = (...args: readonly string[]) =>
  network.namespaces.host.run(ringwallCommand, args, { allowFailure: true })

/** On a busy machine what is accepted may once seem not to be. */
const accepts = (expected: readonly number[]) =>
  eventually(async () => assert.deepEqual(await portsAccepted(network, ports), expected))

/** An administrator's session from outside. */
const openShell = () =>
  converse('tcp', {
    client: network.peers.outside,
    server: network.peers.host,
    address: addresses.host.ip,
    port: ports[0],
  })

type Shell = Awaited<ReturnType<typeof openShell>>

/** Both ways, by what is said now or was said before and is sent again. */
async function works({ client, server }: Shell): Promise<boolean> {
  const goes = (from: Conversation, to: Conversation) => arrives(from, to, 2_000)
  return (await goes(client, server)) && (await goes(server, client))
}

const isTrial = (line: LogLine) => line.msg.endsWith('it is put in force on trial')
const isTakenBack = (line: LogLine) => line.msg.startsWith('the policy on trial is taken back')
const isConfirmed = (line: LogLine) => line.msg === 'the policy on trial is confirmed'

const startLed = (policy: unknown, options: { readonly policyPath?: string; readonly awaitInForce?: boolean } = {}) =>
  startAgent({
    namespace: network.namespaces.host,
    policy,
    flags: [...guardFlags, ...metricsFlags, '--state-dir', folder],
    ...options,
  })

const readHealth = () => hostHealth(network)

test('a policy that cuts a live session is taken back by itself, and not tried again until it changes', {
  skip: needsKernel,
}, async () => {
  await using agent = await startLed(acceptingPorts(7000))
  const shell = await openShell()
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await accepts([7001])
  assert.equal(await arrives(shell.client, shell.server), false)
  assert.match((await readHealth()).problems.join(), /on trial, \d s left: it may cut the session from 198\.18\.0\.9/)

  const { reason } = await agent.line(isTakenBack, { timeoutMs: 10_000 })
  assert.equal(reason, `nobody confirmed it, and no packet of the session came within ${seconds} s`)
  assert.ok(await works(shell), 'the session lives on')
  await accepts([7000])
  const health = await readHealth()
  assert.equal(health.status, 503)
  assert.match(health.problems.join(), /Taken back, and not tried again until the policy changes: nobody confirmed it/)

  // Another policy that cuts the same by the same rules costs no second lockout.
  const from = agent.log.length
  await agent.writePolicy({ ...acceptingPorts(7001), settings: { sessionTimeout: 300 } })
  await agent.line(line => line.msg.startsWith('the policy is refused'), { from })
  await accepts([7000])

  await agent.replacePolicy(acceptingPorts(7000, 7001))
  await accepts([...ports])
  assert.equal((await readHealth()).status, 200)
})

test('whoever confirms on the host keeps a policy that cuts a live session', { skip: needsKernel }, async () => {
  await using agent = await startLed(acceptingPorts(7000))
  await openShell()
  assert.equal((await ringwall('confirm')).exitCode, 1)
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await accepts([7001])
  const { exitCode, stdout } = await ringwall('confirm')
  assert.deepEqual([exitCode, stdout], [0, 'Confirmed.\n'])
  await agent.line(isConfirmed)
  await accepts([7001])
  assert.equal((await readHealth()).status, 200)
})

test('a policy that lets the session through ends the trial of one that does not', { skip: needsKernel }, async () => {
  await using agent = await startLed(acceptingPorts(7000))
  const shell = await openShell()
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await accepts([7001])
  await agent.writePolicy(acceptingPorts(7000, 7001))
  await agent.line(line => line.msg.startsWith('the policy on trial is replaced'))
  assert.ok(await works(shell))
  await setTimeout((seconds + 1) * 1000)
  await accepts([...ports])
  assert.equal(agent.log.some(isTakenBack), false)
  assert.equal((await readHealth()).status, 200)
})

test('the first policy of a host that cuts a live session leaves the host as it was', {
  skip: needsKernel,
}, async () => {
  const shell = await openShell()
  await using agent = await startLed(acceptingPorts(7001), { awaitInForce: false })
  await agent.line(isTakenBack, { timeoutMs: 10_000 })
  await accepts([...ports])
  assert.ok(await works(shell))
})

test('an agent that is killed during the trial takes the policy back when it starts again', {
  skip: needsKernel,
}, async () => {
  const policyPath = join(folder, 'policy.json')
  const shell = await openShell()
  {
    await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
    await using agent = await startLed(null, { policyPath })
    await agent.writePolicy(acceptingPorts(7001))
    await agent.line(isTrial)
    await accepts([7001])
    await agent.kill()
  }
  await accepts([7001])
  await using next = await startLed(null, { policyPath, awaitInForce: false })
  await next.line(line => line.msg.startsWith('the agent was ended during a trial'))
  await accepts([7000])
  assert.ok(await works(shell))
  await next.line(line => line.msg.startsWith('the policy is refused'))
  await accepts([7000])
})

test('an agent that is stopped during the trial takes the policy back before', { skip: needsKernel }, async () => {
  const agent = await startLed(acceptingPorts(7000))
  const shell = await openShell()
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await accepts([7001])
  assert.equal(await agent.stop(), 0)
  await accepts([7000])
  assert.ok(await works(shell))
})

/** Of the host led by a daemon. */
const webGroup = (...accepted: readonly number[]) =>
  groupObject('sg-web', accepted.map(acceptPort), { type: 'advanced' })
const hostEni = (placement: 'host' | 'guest') =>
  eniObject('eni-host', { device: 'eth0', addresses: [addresses.host.ip], securityGroupIds: ['sg-web'], placement })
const position = { storeId: 's' } as const
const snapshot = (revision: number, ...accepted: readonly number[]): ToAgent => ({
  type: 'snapshot',
  ...position,
  revision,
  objects: [settingsObject(), instanceObject(), hostEni('host'), webGroup(...accepted)],
})
const delta = (revision: number, set: readonly ViewObject[]): ToAgent => ({
  type: 'delta',
  ...position,
  revision,
  set,
  remove: [],
  members: [],
})

const startDaemon = () =>
  startDaemonProcess(network.namespaces.outside, { address: addresses.outside.ip, port: daemonPort, authority })

async function startLinked(daemon: DaemonProcess): Promise<TestAgent> {
  const { exitCode, stderr } = await ringwall(
    'agent',
    'join',
    daemon.url,
    '--token',
    daemon.token,
    '--state-dir',
    folder,
  )
  assert.equal(exitCode, 0, stderr)
  const flags = [...guardFlags, ...metricsFlags]
  const agent = await startAgent({ namespace: network.namespaces.host, linkedIn: folder, flags, awaitInForce: false })
  await daemon.next('hello')
  return agent
}

test('a policy that cuts the agent off from its daemon is taken back, and the daemon is told', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)

  // Placement guest on the host's own uplink: the source guard drops whatever the daemon answers.
  daemon.send(delta(2, [hostEni('guest')]))
  const before = await daemon.next('refused')
  assert.deepEqual([before.revision, before.error.kind, before.retryInMs], [2, 'lockout', seconds * 1000])
  assert.match(
    before.error.message,
    /^On trial for 3 s, because it may cut the connection to the daemon at 198\.18\.0\.9:8444/,
  )
  const { reason } = await agent.line(isTakenBack, { timeoutMs: 10_000 })
  assert.equal(reason, `the daemon was not reached through it within ${seconds} s`)
  const refused = await daemon.next('refused')
  assert.deepEqual([refused.revision, refused.error.kind, refused.retryInMs], [2, 'lockout', 0])
  assert.match(refused.error.message, /ENI eni-host of placement guest on eth0, egress: the source guard/)
  await accepts([7000])

  daemon.send(delta(3, []))
  assert.equal((await daemon.next('refused')).revision, 3)
  daemon.send(delta(4, [hostEni('host'), webGroup(...ports)]))
  assert.equal((await daemon.next('enforced')).revision, 4)
  await accepts([...ports])
})

test('a daemon that dies during the trial is not reached through it: the policy is taken back', {
  skip: needsKernel,
}, async () => {
  const daemon = await startDaemon()
  await using agent = await startLinked(daemon)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  daemon.send(delta(2, [hostEni('guest')]))
  assert.equal((await daemon.next('refused')).error.kind, 'lockout')
  await daemon.kill()
  assert.equal((await ringwall('confirm')).exitCode, 1, 'nobody on the host can answer for the daemon')
  const { reason } = await agent.line(isTakenBack, { timeoutMs: 10_000 })
  assert.equal(reason, `the daemon was not reached through it within ${seconds} s`)
  await accepts([7000])

  await using again = await startDaemon()
  await again.next('hello')
  again.send(delta(2, []))
  assert.match((await again.next('refused')).error.message, /^Taken back, .*: the daemon was not reached through it/)
})

test('a session that an operator cuts at the daemon stays cut: said, and not rolled back', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  const shell = await openShell()
  daemon.send(delta(2, [webGroup(7001)]))
  assert.equal((await daemon.next('enforced')).revision, 2)
  assert.equal(await arrives(shell.client, shell.server), false)
  const { cuts } = await agent.line(line => line.msg === 'the policy of the daemon cuts sessions of administrators')
  assert.match(String(cuts), /^the session from 198\.18\.0\.9 to 198\.18\.0\.2:7000 /)
  await setTimeout((seconds + 1) * 1000)
  await accepts([7001])
  assert.equal(agent.log.some(isTakenBack), false)
  assert.equal((await readHealth()).status, 200)
})
