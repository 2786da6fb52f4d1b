/**
 * Lockout drills of an agent that a daemon leads, with packets: policies that cut the agent off from its daemon, sessions
 * that an operator cuts, and a daemon that dies in the middle of the trial.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { ToAgent } from '../../wire/messages.ts'
import type { ViewObject } from '../../wire/view.ts'
import { startAgent, type TestAgent } from '../support/agent.ts'
import { makeAuthority, type TestAuthority } from '../support/certificates.ts'
import { addresses } from '../support/host-network.ts'
import {
  accepts,
  DrillHost,
  guardFlags,
  isConfirmed,
  isOrdered,
  isTakenBack,
  metricsFlags,
  notReached,
  openShell,
  patientSeconds,
  drillPorts as ports,
  roomySeconds,
  takenBack,
  trialSeconds,
  works,
} from '../support/lockout.ts'
import { needsKernel } from '../support/requirements.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/scripted-daemon-process.ts'
import { arrives, eventually } from '../support/sessions.ts'
import { acceptPort, eniObject, groupObject, instanceObject, settingsObject } from '../support/view-objects.ts'

const daemonPort = 8444

const drill = DrillHost.prepare()

let authority: TestAuthority

before(async () => {
  if (needsKernel === false) authority = await makeAuthority()
})

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
  startDaemonProcess(drill.network.namespaces.outside, { address: addresses.outside.ip, port: daemonPort, authority })

async function startLinked(daemon: DaemonProcess, seconds = trialSeconds): Promise<TestAgent> {
  await joinDaemon(daemon)
  await using stack = new AsyncDisposableStack()
  const agent = stack.use(await startJoined(seconds))
  await daemon.next('hello')
  // Where it did not come so far, it is not there for the tests after this one.
  stack.move()
  return agent
}

async function joinDaemon(daemon: DaemonProcess): Promise<void> {
  const { exitCode, stderr } = await drill.ringwall(
    'agent',
    'join',
    daemon.url,
    '--token',
    daemon.token,
    '--state-dir',
    drill.folder,
  )
  assert.equal(exitCode, 0, stderr)
}

const startJoined = (seconds = trialSeconds) =>
  startAgent({
    namespace: drill.network.namespaces.host,
    linkedIn: drill.folder,
    flags: [...guardFlags(seconds), ...metricsFlags],
    awaitInForce: false,
  })

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
  assert.deepEqual([before.revision, before.error.kind], [2, 'lockout'])
  // What is left when it is said.
  assert.ok(before.retryInMs > 0 && before.retryInMs <= trialSeconds * 1000, `${before.retryInMs} ms`)
  assert.match(
    before.error.message,
    /^On trial for \d+ s, because it may cut the connection to the daemon at 198\.18\.0\.9:8444/,
  )
  const { reason } = await takenBack(agent)
  assert.equal(reason, notReached())
  const refused = await daemon.next('refused')
  assert.deepEqual([refused.revision, refused.error.kind, refused.retryInMs], [2, 'lockout', 0])
  assert.match(refused.error.message, /ENI eni-host of placement guest on eth0, egress: the source guard/)
  await accepts(drill.network, [7000])

  daemon.send(delta(3, []))
  assert.equal((await daemon.next('refused')).revision, 3)
  daemon.send(delta(4, [hostEni('host'), webGroup(...ports)]))
  assert.equal((await daemon.next('enforced')).revision, 4)
  await accepts(drill.network, [...ports])
})

test('a daemon that dies during the trial is not reached through it: the policy is taken back', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  daemon.send(delta(2, [hostEni('guest')]))
  assert.equal((await daemon.next('refused')).error.kind, 'lockout')
  await daemon.kill()
  assert.equal((await drill.ringwall('confirm')).exitCode, 1, 'nobody on the host can answer for the daemon')
  const { reason } = await takenBack(agent)
  assert.equal(reason, notReached())
  await accepts(drill.network, [7000])

  await using again = await startDaemon()
  await again.next('hello')
  again.send(delta(2, []))
  assert.match((await again.next('refused')).error.message, /^Taken back, .*: the daemon was not reached through it/)
})

test('a session that an operator cuts at the daemon stays cut: said, and not rolled back', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon, patientSeconds)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  const shell = await openShell(drill.network)
  daemon.send(delta(2, [webGroup(7001)]))
  assert.equal((await daemon.next('enforced')).revision, 2)
  assert.equal(await arrives(shell.client, shell.server), false)
  const { cuts } = await agent.line(isOrdered)
  assert.match(String(cuts), /^the session from 198\.18\.0\.9 to 198\.18\.0\.2:7000 /)
  assert.equal((await drill.ringwall('confirm')).exitCode, 1, 'nothing waits')
  await accepts(drill.network, [7001])
  assert.equal(agent.log.some(isTakenBack), false)
  assert.equal((await drill.readHealth()).status, 200)
})

test('the first policy of a host is confirmed by the daemon alone, where it cuts nobody', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon, patientSeconds)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  assert.equal((await drill.ringwall('confirm')).exitCode, 1)
  assert.equal(agent.log.some(isConfirmed), false, 'nothing to speak of')
  assert.equal((await drill.readHealth()).status, 200)
})

test('the first policy of a host that cuts a live session waits for somebody, at the daemon too', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon, patientSeconds)
  const shell = await openShell(drill.network)
  daemon.send(snapshot(1, 7001))
  const { error, trial } = await daemon.next('refused')
  assert.equal(error.kind, 'lockout')
  assert.equal(trial?.needsPerson, true)
  assert.match(trial?.cuts.join() ?? '', /^the session from 198\.18\.0\.9 to 198\.18\.0\.2:7000 /)
  await accepts(drill.network, [7001])
  daemon.send({ type: 'confirm', revision: 1 })
  assert.equal((await daemon.next('enforced')).revision, 1)
  await agent.line(isConfirmed)
  assert.equal(await arrives(shell.client, shell.server), false)
})

test('nobody confirms it: the host is as it was, and the daemon knows why', { skip: needsKernel }, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon)
  const shell = await openShell(drill.network)
  daemon.send(snapshot(1, 7001))
  assert.equal((await daemon.next('refused')).trial?.needsPerson, true)
  await takenBack(agent)
  const refused = await daemon.next('refused')
  assert.equal(refused.trial, undefined)
  // Within three seconds a busy machine may not have heard the daemon either.
  const why =
    /^Taken back, and not tried again until the policy changes: (nobody confirmed it|the daemon was not reached)/
  assert.match(refused.error.message, why)
  await accepts(drill.network, [...ports])
  assert.ok(await works(shell))
})

test('a daemon that hangs when a session is cut: taken back, and cut again when the daemon answers', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await using agent = await startLinked(daemon, roomySeconds)
  daemon.send(snapshot(1, 7000))
  assert.equal((await daemon.next('enforced')).revision, 1)
  const shell = await openShell(drill.network)
  // What is sent waits in the kernel of the host until the daemon hangs.
  process.kill(agent.pid, 'SIGSTOP')
  daemon.send(delta(2, [webGroup(7001)]))
  await daemon.isSent()
  daemon.hang()
  process.kill(agent.pid, 'SIGCONT')
  await accepts(drill.network, [7001])
  const { reason } = await takenBack(agent)
  assert.equal(reason, notReached(roomySeconds))
  assert.ok(await works(shell))
  await daemon.kill()

  await using again = await startDaemon()
  await again.next('hello')
  again.send(delta(2, []))
  await accepts(drill.network, [7001])
  await eventually(async () => assert.equal((await drill.readHealth()).status, 200), 20_000)
  assert.equal(await arrives(shell.client, shell.server), false)
})

test('an agent that is killed before the daemon has answered goes on with its first policy, and waits again', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  {
    await using agent = await startJoined(roomySeconds)
    await daemon.next('hello')
    process.kill(agent.pid, 'SIGSTOP')
    daemon.send(snapshot(1, 7000))
    await daemon.isSent()
    daemon.hang()
    process.kill(agent.pid, 'SIGCONT')
    await accepts(drill.network, [7000])
    await agent.kill()
  }
  await daemon.kill()
  await using next = await startJoined(roomySeconds)
  await next.line(line => line.msg.startsWith('the agent was ended before the daemon had answered'))
  await accepts(drill.network, [7000])
  await takenBack(next)
  await accepts(drill.network, [...ports])
  await using again = await startDaemon()
  await again.next('hello')
  await accepts(drill.network, [7000])
})
