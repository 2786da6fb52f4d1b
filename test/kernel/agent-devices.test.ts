/**
 * Devices that come, go, return and change their names under a running agent: a flood that must not get in does not, at
 * no instant.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { isBound, startAgent, type TestAgent } from '../support/agent.ts'
import { addresses } from '../support/host-network.ts'
import { childrenOf } from '../support/nft-children.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { renameDevices } from '../support/rename-devices.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const closed = policyDocument({ host: ['sg-1'], guest1: ['sg-1'] }, [closedGroup('sg-1', acceptPort(22))])

/** Counts the echo requests that got past us, whatever the device is called. */
const probe = `
table inet probe {
  counter arrived {}
  chain input {
    type filter hook input priority 0; policy accept;
    icmp type echo-request counter name "arrived"
    icmpv6 type echo-request counter name "arrived"
  }
}`

const floodsPerSecond = 1000

interface Scene extends AsyncDisposable {
  readonly outside: Namespace
  readonly host: Namespace
  /** The wire between the two, made anew. */
  plug(): Promise<void>
  /** Echo requests that reached the host so far. */
  arrived(): Promise<number>
  /** Echo requests that left the outside so far. */
  sent(): Promise<number>
}

async function makeScene(): Promise<Scene> {
  const stack = new AsyncDisposableStack()
  const outside = stack.use(await createNamespace('outside'))
  const host = stack.use(await createNamespace('host'))
  await host.run('nft', ['-f', '-'], { input: probe })
  // Over what renaming does to it.
  await host.sysctl({ 'net.ipv6.conf.all.keep_addr_on_down': 1 })
  await outside.run('nft', ['-f', '-'], { input: probe.replaceAll('input', 'output') })
  const count = async (namespace: Namespace) => {
    const { stdout } = await namespace.run('nft', ['list', 'counter', 'inet', 'probe', 'arrived'])
    return Number(/packets (\d+)/.exec(stdout)![1])
  }
  return {
    outside,
    host,
    plug: () => connect(end(outside, 'outside'), end(host, 'host')),
    arrived: () => count(host),
    sent: () => count(outside),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function end(namespace: Namespace, place: 'outside' | 'host') {
  const { ip, ip6 } = addresses[place]
  return { namespace, device: 'eth0', addresses: [`${ip}/24`, `${ip6}/64`] }
}

/** Echo requests over both families until `stop`, answered or not. */
async function startFloods({ outside, sent }: Scene): Promise<{ stop(): Promise<void> }> {
  const floods = Object.values(addresses.host).map((address): ChildProcess => {
    const args = ['-n', '-q', '-i', String(1 / floodsPerSecond), address]
    return outside.spawn('ping', args, { stdio: 'ignore' })
  })
  await flow(sent)
  return {
    async stop() {
      const ended = floods.map(flood => once(flood, 'exit'))
      for (const flood of floods) flood.kill('SIGKILL')
      await Promise.all(ended)
    },
  }
}

/** Whatever the deed does to devices, the agent sees them as they were before it, or as they are after it. */
async function atOnce(agent: TestAgent, deed: () => Promise<void>): Promise<void> {
  process.kill(agent.pid, 'SIGSTOP')
  try {
    const isListing = (command: string) => command.startsWith('ip\0-j')
    await eventually(async () => assert.deepEqual(childrenOf(agent.pid).filter(isListing), []))
    await deed()
  } finally {
    process.kill(agent.pid, 'SIGCONT')
  }
}

/** Resolves when a hundred more have been counted. */
async function flow(count: () => Promise<number>): Promise<void> {
  const before = await count()
  await eventually(async () => assert.ok((await count()) > before + 100, 'the flood flows'))
}

test('a device that comes, goes and returns is closed from its first packet on', { skip: needsKernel }, async () => {
  await using scene = await makeScene()
  const { host, outside } = scene
  await using agent = await startAgent({ namespace: host, policy: closed })
  await agent.line(line => line.msg.startsWith('device is not there') && line.eni === 'eni-host')
  for (let round = 1; round <= 3; round += 1) {
    const from = agent.log.length
    await scene.plug()
    const floods = await startFloods(scene)
    await agent.line(isBound, { from })
    await flow(scene.sent)
    await floods.stop()
    assert.equal(await scene.arrived(), 0, `round ${round}`)
    const plugged = agent.log.length
    await outside.run('ip', ['link', 'delete', 'eth0'])
    await agent.line(isBound, { from: plugged })
  }
  await scene.plug()
  await agent.stop('SIGTERM')
  await host.run('nft', ['delete', 'table', 'inet', 'ringwall'])
  const floods = await startFloods(scene)
  await flow(scene.arrived)
  await floods.stop()
})

test('a device that is renamed under a flood stays closed', { skip: needsKernel }, async () => {
  await using scene = await makeScene()
  await scene.plug()
  await using _agent = await startAgent({ namespace: scene.host, policy: closed })
  const floods = await startFloods(scene)
  let name = 'eth0'
  for (const next of ['eth9', 'wan', 'eth0', 'x', 'eth0']) {
    await renameDevices(scene.host, [name, next])
    name = next
    await flow(scene.sent)
  }
  await floods.stop()
  assert.equal(await scene.arrived(), 0)
})

test('a renamed device keeps its rules when the agent starts anew', { skip: needsKernel }, async () => {
  await using scene = await makeScene()
  await scene.plug()
  const first = await startAgent({ namespace: scene.host, policy: closed })
  await renameDevices(scene.host, ['eth0', 'eth9'])
  const floods = await startFloods(scene)
  await first.kill()
  await using second = await startAgent({ namespace: scene.host, policy: closed, awaitInForce: false })
  await second.replacePolicy(policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', acceptPort(23))]))
  await flow(scene.sent)
  assert.equal(await scene.arrived(), 0)
  await second.replacePolicy(policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', acceptEcho())]))
  await flow(scene.arrived)
  await floods.stop()
})

test('two devices that change names under a flood stay closed', { skip: needsKernel }, async () => {
  await using scene = await makeScene()
  await scene.plug()
  const { host } = scene
  await host.run('ip', ['link', 'add', 'tap1', 'type', 'veth', 'peer', 'name', 'tap1-peer'])
  await using agent = await startAgent({ namespace: host, policy: closed })
  const floods = await startFloods(scene)
  for (let round = 1; round <= 5; round += 1) {
    const from = agent.log.length
    // While one has another's name and that has none of the policy's, it would be no ENI.
    await atOnce(agent, () => renameDevices(host, ['eth0', 'between'], ['tap1', 'eth0'], ['between', 'tap1']))
    await agent.line(isBound, { from })
    await flow(scene.sent)
    assert.equal(await scene.arrived(), 0, `round ${round}`)
  }
  await floods.stop()
})
