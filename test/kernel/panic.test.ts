/** `ringwall panic`, with packets: with an agent that a file or a daemon leads, over restarts, and without an agent. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { type LogLine, startAgent } from '../support/agent.ts'
import { makeAuthority } from '../support/certificates.ts'
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
import { ringwallProgram } from '../support/ringwall.ts'
import { startDaemonProcess } from '../support/scripted-daemon-process.ts'
import { eventually, listenForSessions } from '../support/sessions.ts'
import * as viewed from '../support/view-objects.ts'

const ports = [7000, 7001] as const

let network: HostNetwork
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const port of ports) await listenForSessions(network.peers.host, port)
})
after(() => network?.[Symbol.asyncDispose]())

beforeEach(async () => {
  if (needsKernel !== false) return
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  folder = await mkdtemp(join(tmpdir(), 'ringwall-panic-'))
})
afterEach(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const ringwall = (...args: readonly string[]) =>
  network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })
const panic = (...flags: readonly string[]) => ringwall('panic', '--state-dir', folder, ...flags)

const acceptedPorts = () => portsAccepted(network, ports)

async function tables(): Promise<string> {
  return (await network.namespaces.host.run('nft', ['list', 'tables'])).stdout
}

const isLoud = (line: LogLine) => line.level === 'error' && line.msg.startsWith('THE HOST IS OPEN')
const metricsFlags = ['--metrics-address', metricsAddress] as const

test('a host is opened, stays open over a restart and a new policy, and is closed again', {
  skip: needsKernel,
}, async () => {
  const policyPath = join(folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  const start = (awaitInForce: boolean) =>
    startAgent({
      namespace: network.namespaces.host,
      policyPath,
      flags: [...metricsFlags, '--state-dir', folder],
      awaitInForce,
    })
  {
    await using agent = await start(true)
    assert.deepEqual(await acceptedPorts(), [7000])
    const opened = await panic()
    assert.deepEqual([opened.exitCode, opened.stderr], [0, ''])
    assert.match(opened.stdout, /^THE HOST IS OPEN/)
    assert.equal(await tables(), '')
    assert.deepEqual(await acceptedPorts(), [...ports])
    await agent.line(isLoud)
    const { status, problems } = await hostHealth(network)
    assert.equal(status, 503)
    assert.match(problems[0], /^The host is open since \d{4}-.*nothing is enforced/)
    const metrics = await network.peers.host.httpGet('127.0.0.1', 9469, '/metrics')
    assert.match(metrics.body, /^ringwall_agent_open 1$/m)
    assert.match(
      (await ringwall('show')).stderr,
      /^ringwall: Cannot show: The host is open since [^{}]*"ringwall panic --undo"\n$/,
    )
    await agent.writePolicy(acceptingPorts(7001))
    await eventually(async () => assert.equal(await tables(), ''))
    assert.equal(await agent.stop(), 0)
  }
  await using agent = await start(false)
  await agent.line(isLoud)
  assert.deepEqual(await acceptedPorts(), [...ports])
  assert.equal(await tables(), '')
  const undone = await panic('--undo')
  assert.deepEqual([undone.exitCode, undone.stderr], [0, ''])
  await eventually(async () => assert.deepEqual(await acceptedPorts(), [7001]))
  assert.match(await tables(), /table inet ringwall\n/)
  assert.equal((await panic('--undo')).exitCode, 1)
})

test('a host without an agent is opened, and the agent that starts keeps it open', { skip: needsKernel }, async () => {
  const policyPath = join(folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  assert.equal((await ringwall('apply', policyPath)).exitCode, 0)
  assert.deepEqual(await acceptedPorts(), [7000])
  assert.equal((await panic()).exitCode, 0)
  assert.deepEqual(await acceptedPorts(), [...ports])
  {
    await using agent = await startAgent({
      namespace: network.namespaces.host,
      policyPath,
      flags: ['--state-dir', folder],
      awaitInForce: false,
    })
    await agent.line(isLoud)
    assert.deepEqual(await acceptedPorts(), [...ports])
  }
  const undone = await panic('--undo')
  assert.deepEqual(
    [undone.exitCode, undone.stdout],
    [0, 'Undone. No agent runs here: nothing is enforced until one starts.\n'],
  )
})

test('an agent with another state directory is not opened, and that is said', { skip: needsKernel }, async () => {
  await using agent = await startAgent({ namespace: network.namespaces.host, policy: acceptingPorts(7000) })
  const { exitCode, stderr } = await panic()
  assert.equal(exitCode, 1)
  assert.match(stderr, new RegExp(`^The agent that runs here \\(pid ${agent.pid}\\) has not done it in 15 s\\. `))
  assert.deepEqual(await acceptedPorts(), [7000])
})

test('the daemon is told that a host is open, and when it is closed again', { skip: needsKernel }, async () => {
  await using daemon = await startDaemonProcess(network.namespaces.outside, {
    address: addresses.outside.ip,
    port: 8444,
    authority: await makeAuthority(),
  })
  const joined = await ringwall('agent', 'join', daemon.url, '--token', daemon.token, '--state-dir', folder)
  assert.equal(joined.exitCode, 0, joined.stderr)
  await using agent = await startAgent({
    namespace: network.namespaces.host,
    linkedIn: folder,
    awaitInForce: false,
  })
  await daemon.next('hello')
  const objects = [
    viewed.settingsObject(),
    viewed.instanceObject(),
    viewed.eniObject('eni-host', { addresses: [addresses.host.ip] }),
    viewed.groupObject('sg-1', [viewed.acceptPort(7000)]),
  ]
  daemon.send({ type: 'snapshot', storeId: 's', revision: 1, objects })
  await daemon.next('enforced')
  assert.equal((await panic()).exitCode, 0)
  const { revision, error } = await daemon.next('refused')
  assert.deepEqual([revision, error.kind], [1, 'panic'])
  assert.deepEqual(await acceptedPorts(), [...ports])
  await agent.line(isLoud)
  assert.equal((await panic('--undo')).exitCode, 0)
  assert.equal((await daemon.next('enforced')).revision, 1)
  assert.deepEqual(await acceptedPorts(), [7000])
})
