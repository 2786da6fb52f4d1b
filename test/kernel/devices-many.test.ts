/**
 * A host of a hundred guests: the agent follows all of their devices. The guests are one namespace with a device for
 * each, and routes by source, so that each answers by its own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { deviceMap } from '../../rules-compiler/nft/names.ts'
import { isBound, isInForce, startAgent, type TestAgent } from '../support/agent.ts'
import { type DeviceEni, deviceDocument, ipBatch } from '../support/device-host.ts'
import { acceptPort, closedGroup } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'
import { slowness } from '../support/slowness.ts'

const guests = Array.from({ length: 100 }, (_, index) => index + 1)
const openPort = 22
const closedPort = 23
const addressOf = (guest: number) => `198.18.${guest}.2`
const enis: readonly DeviceEni[] = guests.map(guest => ({
  id: `eni-${guest}`,
  device: `tap${guest}`,
  placement: 'guest',
  addresses: [addressOf(guest)],
  securityGroupIds: ['sg-1'],
}))
const policy = deviceDocument(enis, [closedGroup('sg-1', acceptPort(openPort))])

/** What got past us to the closed port, whichever the guest. */
const probe = `
table inet probe {
  counter arrived {}
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport ${closedPort} counter name "arrived"
    udp dport ${closedPort} counter name "arrived"
  }
}`

interface Scene extends AsyncDisposable {
  readonly host: Namespace
  readonly outside: Peer
  /** Makes the devices of these guests, by one process. */
  plug(which: readonly number[]): Promise<void>
  arrived(): Promise<number>
}

async function makeScene(): Promise<Scene> {
  const stack = new AsyncDisposableStack()
  const outside = stack.use(await createNamespace('outside'))
  const host = stack.use(await createNamespace('host'))
  const guest = stack.use(await createNamespace('guests'))
  await connect(
    { namespace: outside, device: 'eth0', addresses: ['198.19.0.9/24'] },
    { namespace: host, device: 'eth0', addresses: ['198.19.0.2/24'] },
  )
  await ipBatch(outside, ['route add 198.18.0.0/16 via 198.19.0.2'])
  await host.sysctl({ 'net.ipv4.ip_forward': 1 })
  await guest.sysctl({ 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.default.rp_filter': 0 })
  await guest.run('nft', ['-f', '-'], { input: probe })
  const peers = [stack.use(await startPeer(outside)), stack.use(await startPeer(guest))]
  for (const port of [openPort, closedPort]) await peers[1]!.listenTcp(port)
  return {
    host,
    outside: peers[0]!,
    async plug(which) {
      await ipBatch(
        host,
        which.flatMap(number => [
          `link add tap${number} type veth peer name g${number} netns ${guest.name}`,
          `addr add 198.18.${number}.1/24 dev tap${number}`,
          `link set tap${number} up`,
        ]),
      )
      await ipBatch(
        guest,
        which.flatMap(number => [
          `addr add ${addressOf(number)}/24 dev g${number}`,
          `link set g${number} up`,
          `route add default via 198.18.${number}.1 dev g${number} table ${1000 + number}`,
          `rule add from ${addressOf(number)} lookup ${1000 + number}`,
        ]),
      )
    },
    async arrived() {
      const { stdout } = await guest.run('nft', ['list', 'counter', 'inet', 'probe', 'arrived'])
      return Number(/packets (\d+)/.exec(stdout)![1])
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Guests whose port answers. */
async function reached(scene: Scene, port: number, which = guests): Promise<readonly number[]> {
  const answers = await Promise.all(
    which.map(async guest => {
      try {
        const conversation = await scene.outside.connectTcp(addressOf(guest), port, { timeoutMs: 2000 * slowness })
        await conversation.close()
        return [guest]
      } catch (error) {
        assert.equal((error as Error).message, 'ETIMEDOUT')
        return []
      }
    }),
  )
  return answers.flat()
}

/** Resolves when the devices of all these ENIs are in the dispatch by index: what is renamed from then on stays. */
async function allBound({ host }: Scene, count: number): Promise<void> {
  await eventually(async () => {
    const { stdout } = await host.run('nft', [
      '-j',
      'list',
      'map',
      'inet',
      'ringwall',
      deviceMap('prerouting', 'index'),
    ])
    const [, listing] = JSON.parse(stdout).nftables
    assert.equal(listing.map.elem.length, count)
  })
}

async function inForceAfter(agent: TestAgent, doing: () => Promise<void>): Promise<void> {
  const from = agent.log.length
  await doing()
  await agent.line(isBound, { from })
}

test('a hundred guests come at once; one is renamed, one goes and comes back', { skip: needsKernel }, async () => {
  await using scene = await makeScene()
  const { host } = scene
  await using agent = await startAgent({ namespace: host, policy, awaitInForce: false })
  const first = await agent.line(isInForce)
  console.log(`the first load took ${first.seconds} s, ${first.nftSeconds} s of it in nft`)
  let pluggedAtMs = 0
  await inForceAfter(agent, async () => {
    await scene.plug(guests)
    pluggedAtMs = performance.now()
  })
  await allBound(scene, guests.length)
  console.log(
    `${guests.length} devices were bound ${Math.round(performance.now() - pluggedAtMs)} ms after they were made`,
  )
  assert.deepEqual(await reached(scene, openPort), guests)
  assert.deepEqual(await reached(scene, closedPort), [])

  const flood = scene.outside.flood(addressOf(50), closedPort, {
    localAddress: '198.19.0.9',
    packetsPerSecond: 500,
    seconds: 3,
  })
  await ipBatch(host, ['link set tap50 name other'])
  assert.deepEqual(await reached(scene, openPort, [49, 50, 51]), [49, 50, 51])
  await ipBatch(host, ['link set other name tap50'])
  assert.ok((await flood) > 100)

  await inForceAfter(agent, () => ipBatch(host, ['link delete tap30']))
  await allBound(scene, guests.length - 1)
  const returned = scene.outside.flood(addressOf(30), closedPort, {
    localAddress: '198.19.0.9',
    packetsPerSecond: 500,
    seconds: 3,
  })
  await inForceAfter(agent, () => scene.plug([30]))
  await allBound(scene, guests.length)
  assert.ok((await returned) > 100)
  assert.deepEqual(await reached(scene, openPort), guests)
  assert.deepEqual(await reached(scene, closedPort), [])
  assert.equal(await scene.arrived(), 0, 'nothing got past us, at no instant')

  await agent.stop('SIGTERM')
  await host.run('nft', ['delete', 'table', 'inet', 'ringwall'])
  assert.deepEqual(await reached(scene, closedPort, [1, 50, 100]), [1, 50, 100], 'without Ringwall it would have')
})
