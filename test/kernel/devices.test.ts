/**
 * Hosts whose devices are not one plain wire: devices above devices, tunnels, several ways in and out, jumbo frames, IPv6
 * alone. What the kernel of this machine has no devices for is skipped by name; `npm run test:vm` has them all.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type OpenOptions, type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { startAgent } from '../support/agent.ts'
import { debianProgram } from '../support/debian-programs.ts'
import { type DeviceEni, deviceDocument, ipBatch, metricValue, needsDevice } from '../support/device-host.ts'
import { acceptPort, closedGroup, type Rule } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { arrives, converse, eventually, patienceMs } from '../support/sessions.ts'
import { slowness } from '../support/slowness.ts'

/** An outside and a host joined at eth0, with a peer process in each. */
interface Wire extends AsyncDisposable {
  readonly outside: Namespace
  readonly host: Namespace
  readonly peers: { readonly outside: Peer; readonly host: Peer }
}

const onWire = { outside: ['198.18.0.9/24', '2001:db8::9/64'], host: ['198.18.0.2/24', '2001:db8::2/64'] } as const
const hostAddress = '198.18.0.2'
const openPort = 22
const closedPort = 23
const ports = [openPort, closedPort]

async function makeWire(prepare: (wire: Omit<Wire, 'peers'>) => Promise<void> = plainWire): Promise<Wire> {
  const stack = new AsyncDisposableStack()
  try {
    const outside = stack.use(await createNamespace('outside'))
    const host = stack.use(await createNamespace('host'))
    const wire = { outside, host, [Symbol.asyncDispose]: () => stack.disposeAsync() }
    await prepare(wire)
    const peers = { outside: stack.use(await startPeer(outside)), host: stack.use(await startPeer(host)) }
    for (const port of ports) await peers.host.listenTcp(port)
    return { ...wire, peers }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function plainWire({ outside, host }: Pick<Wire, 'outside' | 'host'>): Promise<void> {
  await connect(
    { namespace: outside, device: 'eth0', addresses: onWire.outside },
    { namespace: host, device: 'eth0', addresses: onWire.host },
  )
}

/** Those of the ports to which a connection comes through; what is refused must be silent. */
async function accepted(peer: Peer, address: string, asked = ports, localAddress?: string): Promise<readonly number[]> {
  return reachedOf(asked, port => tryPort(peer, address, port, { ...(localAddress !== undefined && { localAddress }) }))
}

/** Where a process of the way may be held up, what should come through is waited for. */
async function expectAccepted(peer: Peer, address: string, expected: readonly number[], message?: string) {
  const patient = (port: number) => (expected.includes(port) ? { timeoutMs: patienceMs } : {})
  const reached = await reachedOf(ports, port => tryPort(peer, address, port, patient(port)))
  assert.deepEqual(reached, expected, message)
}

async function reachedOf(asked: readonly number[], isReached: (port: number) => Promise<boolean>) {
  const answers = await Promise.all(asked.map(isReached))
  return asked.filter((_, index) => answers[index])
}

async function tryPort(peer: Peer, address: string, port: number, options: OpenOptions): Promise<boolean> {
  try {
    const conversation = await peer.connectTcp(address, port, { timeoutMs: 400 * slowness, ...options })
    await conversation.close()
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'ETIMEDOUT')
    return false
  }
}

const eniOf = (device: string, group: string, fields: Partial<DeviceEni> = {}): DeviceEni => ({
  id: `eni-${device}`,
  device,
  securityGroupIds: [group],
  ...fields,
})
const sendNothing: readonly Rule[] = [
  { direction: 'egress', policy: 'drop', ipProtocol: 'all', portRange: '-1/-1', destCidrIp: '0.0.0.0/0' },
  { direction: 'egress', policy: 'drop', ipProtocol: 'all', portRange: '-1/-1', ipv6DestCidrIp: '::/0' },
]
const opened = closedGroup('sg-open', acceptPort(openPort))
const shut = closedGroup('sg-shut')
const mute = closedGroup('sg-mute', sendNothing)

// ---- devices above devices

/** The ends of what stands above the wire. */
const above = { outside: '198.19.0.1', host: '198.19.0.2' } as const
const aboveBlocks = { outside: `${above.outside}/24`, host: `${above.host}/24` }

interface Layering {
  readonly name: string
  readonly skip: string | false
  /** The device above, on the host. */
  readonly device: string
  /** What the wire must let in for what is above it. */
  readonly carriedBy?: readonly Rule[]
  /** Makes the devices above, with the addresses of `above`, on a wire that is there already. */
  readonly make: (wire: Omit<Wire, 'peers'>, stack: AsyncDisposableStack) => Promise<void>
}

const wg = debianProgram('wireguard-tools', 'usr/bin/wg')
const wireguardGo = debianProgram('wireguard-go', 'usr/bin/wireguard-go')
const wireguardPort = 51820

/** Sockets of wireguard-go have a name on the machine, not in the namespace. */
const wgNames = { outside: `wo${process.pid}`, host: `wh${process.pid}` } as const

/** A device with addresses of its own on that of the wire, which keeps those it has. */
function sharedDevice(name: string, device: string, type: string): Layering {
  return {
    name,
    skip: needsDevice(type.split(' ')[0]!),
    device,
    async make({ outside, host }) {
      await ipBatch(outside, [`addr add ${aboveBlocks.outside} dev eth0`])
      await ipBatch(host, [
        `link add ${device} link eth0 type ${type}`,
        `addr add ${aboveBlocks.host} dev ${device}`,
        `link set ${device} up`,
      ])
    },
  }
}

const layerings: readonly Layering[] = [
  {
    name: 'a bridge above its port',
    skip: needsDevice('bridge'),
    device: 'br0',
    async make({ outside, host }) {
      await ipBatch(outside, [`addr add ${aboveBlocks.outside} dev eth0`])
      await ipBatch(host, [
        'link add br0 type bridge forward_delay 0',
        'addr flush dev eth0',
        'link set eth0 master br0',
        `addr add ${aboveBlocks.host} dev br0`,
        'link set br0 up',
      ])
    },
  },
  sharedDevice('a macvlan above its device', 'mv0', 'macvlan mode bridge'),
  sharedDevice('an ipvlan above its device', 'iv0', 'ipvlan mode l2'),
  {
    name: 'a VLAN above its device',
    skip: needsDevice('vlan id 5'),
    device: 'eth0.5',
    async make({ outside, host }) {
      for (const [namespace, block] of [
        [outside, aboveBlocks.outside],
        [host, aboveBlocks.host],
      ] as const) {
        await ipBatch(namespace, [
          'link add link eth0 name eth0.5 type vlan id 5',
          `addr add ${block} dev eth0.5`,
          'link set eth0.5 up',
        ])
      }
    },
  },
  {
    name: 'a bond above its device',
    skip: needsDevice('bond'),
    device: 'bond0',
    async make({ outside, host }) {
      await ipBatch(outside, [`addr add ${aboveBlocks.outside} dev eth0`])
      await ipBatch(host, [
        'link add bond0 type bond mode active-backup miimon 50',
        'link set eth0 down',
        'link set eth0 master bond0',
        `addr add ${aboveBlocks.host} dev bond0`,
        'link set bond0 up',
      ])
    },
  },
  {
    name: 'VXLAN',
    skip: needsDevice('vxlan id 5 dstport 4789'),
    device: 'vx0',
    carriedBy: acceptPort(4789),
    async make({ outside, host }) {
      const [far = '', near = ''] = ['198.18.0.9', hostAddress]
      for (const [namespace, local, remote, block] of [
        [outside, far, near, aboveBlocks.outside],
        [host, near, far, aboveBlocks.host],
      ] as const) {
        await ipBatch(namespace, [
          `link add vx0 type vxlan id 5 dstport 4789 local ${local} remote ${remote}`,
          `addr add ${block} dev vx0`,
          'link set vx0 up',
        ])
      }
    },
  },
  {
    name: 'WireGuard in user space, on a tun device',
    skip: wg.skip || wireguardGo.skip,
    device: wgNames.host,
    carriedBy: acceptPort(wireguardPort),
    async make(wire, stack) {
      for (const place of ['outside', 'host'] as const) {
        const [program = '', ...args] = [...wireguardGo.command, '-f', wgNames[place]]
        const child = wire[place].spawn(program, args, { stdio: 'ignore' })
        stack.defer(async () => {
          const ended = once(child, 'exit')
          // Its own end takes its socket away; the namespace's would not.
          if (child.kill('SIGTERM')) await ended
        })
        await eventually(() => wgRun(wire[place], ['show', wgNames[place]]))
      }
      await setUpWireguard(wire, wgNames)
    },
  },
  {
    name: "the kernel's WireGuard",
    skip: needsDevice('wireguard') || wg.skip,
    device: 'wg0',
    carriedBy: acceptPort(wireguardPort),
    async make(wire) {
      for (const place of ['outside', 'host'] as const) await ipBatch(wire[place], ['link add wg0 type wireguard'])
      await setUpWireguard(wire, { outside: 'wg0', host: 'wg0' })
    },
  },
]

async function wgRun(namespace: Namespace, args: readonly string[], input = ''): Promise<string> {
  const [program = '', ...front] = wg.command
  return (await namespace.run(program, [...front, ...args], { input })).stdout.trim()
}

async function setUpWireguard(
  wire: Omit<Wire, 'peers'>,
  names: Readonly<Record<'outside' | 'host', string>>,
): Promise<void> {
  const keys = { outside: await wgRun(wire.host, ['genkey']), host: await wgRun(wire.host, ['genkey']) }
  const ends = { outside: '198.18.0.9', host: hostAddress }
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-wg-'))
  for (const [place, other] of [
    ['outside', 'host'],
    ['host', 'outside'],
  ] as const) {
    const publicKey = await wgRun(wire.host, ['pubkey'], keys[other])
    const peer = ['peer', publicKey, 'allowed-ips', '198.19.0.0/24', 'endpoint', `${ends[other]}:${wireguardPort}`]
    // wg opens a file by name, and what Node gives a child as standard input is a socket.
    const keyFile = join(folder, place)
    await writeFile(keyFile, keys[place], { mode: 0o600 })
    const own = ['private-key', keyFile, 'listen-port', String(wireguardPort)]
    await wgRun(wire[place], ['set', names[place], ...own, ...peer])
    await ipBatch(wire[place], [`addr add ${aboveBlocks[place]} dev ${names[place]}`, `link set ${names[place]} up`])
  }
  await rm(folder, { recursive: true })
}

for (const { name, skip, device, carriedBy, make } of layerings) {
  test(`each device is judged by its own policy: ${name}`, { skip: needsKernel || skip }, async () => {
    await using stack = new AsyncDisposableStack()
    const wire = stack.use(
      await makeWire(async made => {
        await plainWire(made)
        // Each answers for its own address alone: a macvlan and what it is above hear the same questions.
        await made.host.sysctl({ 'net.ipv4.conf.all.arp_ignore': 1 })
        await make(made, stack)
      }),
    )
    const { outside, host } = wire.peers
    await eventually(async () => expectAccepted(outside, above.host, ports, 'without a policy'))

    const carrier = closedGroup('sg-carrier', carriedBy ?? [])
    const below = eniOf('eth0', 'sg-carrier')
    await using agent = await startAgent({ namespace: wire.host, policy: deviceDocument([below], [carrier]) })
    const isOpen = async () => expectAccepted(outside, above.host, ports)
    await eventually(isOpen)
    if (carriedBy !== undefined) await expectAccepted(outside, hostAddress, [], 'but what is on its wire')

    const both = [below, eniOf(device, 'sg-open')]
    await agent.replacePolicy(deviceDocument(both, [carrier, opened]))
    await expectAccepted(outside, above.host, [openPort])

    const session = await converse('tcp', { client: outside, server: host, address: above.host, port: openPort })
    if (carriedBy === undefined) {
      // What is above passes the device below first, and is measured at both.
      for (const each of ['eth0', device]) {
        await eventually(async () => {
          const counter = ['inet', 'ringwall-scrub', `eni-${each}/offered/tcp`]
          const { stdout } = await wire.host.run('nft', ['list', 'counter', ...counter])
          assert.match(stdout, /packets [1-9]/, each)
          await arrives(session.client, session.server)
        })
      }
    }
    await agent.replacePolicy(deviceDocument([below, eniOf(device, 'sg-shut')], [carrier, shut]))
    assert.equal(await arrives(session.client, session.server), false, 'the session is cut')
    assert.equal(await arrives(session.server, session.client), false, 'the session is cut')
    await expectAccepted(outside, above.host, [])

    if (carriedBy === undefined) return
    await agent.replacePolicy(deviceDocument([eniOf('eth0', 'sg-mute'), eniOf(device, 'sg-open')], [mute, opened]))
    await expectAccepted(outside, above.host, [], 'nothing carries it any more')
  })
}

// Not at the VRF: the kernel passes what goes out through it untracked (drivers/net/vrf.c), and that is dropped there.
test('a device in a VRF is judged at the device', { skip: needsKernel || needsDevice('vrf table 10') }, async () => {
  await using wire = await makeWire(async made => {
    await plainWire(made)
    await ipBatch(made.host, ['link add blue type vrf table 10', 'link set blue up', 'link set eth0 master blue'])
    await made.host.sysctl({ 'net.ipv4.tcp_l3mdev_accept': 1 })
  })
  const { outside, host } = wire.peers
  await eventually(async () => assert.deepEqual(await accepted(outside, hostAddress), ports))
  const policy = deviceDocument([eniOf('eth0', 'sg-open')], [opened])
  await using agent = await startAgent({ namespace: wire.host, policy })
  assert.deepEqual(await accepted(outside, hostAddress), [openPort])
  const session = await converse('tcp', { client: outside, server: host, address: hostAddress, port: openPort })
  await agent.replacePolicy(deviceDocument([eniOf('eth0', 'sg-shut')], [shut]))
  assert.equal(await arrives(session.server, session.client), false)
  assert.deepEqual(await accepted(outside, hostAddress), [])
})

// ---- several ways in and out

/** In by eth0, out by eth1: addresses of neither. */
const asymmetric = { client: '198.18.9.9', server: '198.18.8.8' } as const

async function asymmetricWires({ outside, host }: Pick<Wire, 'outside' | 'host'>): Promise<void> {
  await plainWire({ outside, host })
  await connect(
    { namespace: outside, device: 'eth1', addresses: ['198.18.3.9/24'] },
    { namespace: host, device: 'eth1', addresses: ['198.18.3.2/24'] },
  )
  for (const namespace of [outside, host]) {
    await namespace.sysctl({ 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.eth0.rp_filter': 0 })
    await namespace.sysctl({ 'net.ipv4.conf.eth1.rp_filter': 0 })
  }
  await ipBatch(outside, [
    `addr add ${asymmetric.client}/32 dev lo`,
    `route add ${asymmetric.server}/32 via 198.18.0.2 dev eth0 src ${asymmetric.client}`,
  ])
  await ipBatch(host, [
    `addr add ${asymmetric.server}/32 dev lo`,
    'rule add to 198.18.9.0/24 lookup 100',
    `route add default via 198.18.3.9 dev eth1 src ${asymmetric.server} table 100`,
  ])
}

test('a session that comes in by one device and goes out by another needs both', { skip: needsKernel }, async () => {
  await using wire = await makeWire(asymmetricWires)
  const { outside, host } = wire.peers
  const { client, server } = asymmetric
  const reached = () => accepted(outside, server, ports, client)
  assert.deepEqual(await reached(), ports, 'without a policy')
  const policy = (first: string, second?: string) => {
    const enis = [eniOf('eth0', first), ...(second === undefined ? [] : [eniOf('eth1', second)])]
    return deviceDocument(enis, [opened, shut, mute])
  }
  await using agent = await startAgent({ namespace: wire.host, policy: policy('sg-open') })
  assert.deepEqual(await reached(), [openPort], 'the way out has no policy')
  for (const [first, second, expected] of [
    ['sg-open', 'sg-open', [openPort]],
    ['sg-open', 'sg-shut', []],
    ['sg-shut', 'sg-open', []],
  ] as const) {
    await agent.replacePolicy(policy(first, second))
    assert.deepEqual(await reached(), expected, `eth0 in ${first}, eth1 in ${second}`)
  }
  for (const [first, second] of [
    ['sg-open', 'sg-shut'],
    ['sg-shut', 'sg-open'],
  ] as const) {
    await agent.replacePolicy(policy('sg-open', 'sg-open'))
    const ends = { client: outside, server: host, address: server, port: openPort }
    const session = await converse('tcp', ends)
    await agent.replacePolicy(policy(first, second))
    // Each device cuts what passes it: eth0 what the client says, eth1 what the server says.
    const way = first === 'sg-shut' ? arrives(session.client, session.server) : arrives(session.server, session.client)
    assert.equal(await way, false, `eth0 in ${first}, eth1 in ${second}`)
  }
})

test('an answer that comes in by another device than the question left by', { skip: needsKernel }, async () => {
  await using wire = await makeWire(asymmetricWires)
  const { outside, host } = wire.peers
  await outside.listenTcp(openPort)
  const reached = () => accepted(host, asymmetric.client, [openPort], asymmetric.server)
  assert.deepEqual(await reached(), [openPort], 'without a policy')
  const policy = (first: string, second: string) =>
    deviceDocument([eniOf('eth0', first), eniOf('eth1', second)], [shut, mute])
  await using agent = await startAgent({ namespace: wire.host, policy: policy('sg-shut', 'sg-shut') })
  assert.deepEqual(await reached(), [openPort], 'both let out what the host asks')
  for (const [first, second] of [
    ['sg-mute', 'sg-shut'],
    ['sg-shut', 'sg-mute'],
  ] as const) {
    await agent.replacePolicy(policy(first, second))
    assert.deepEqual(await reached(), [], `eth0 in ${first}, eth1 in ${second}`)
  }
})

// ---- large packets

const transferBytes = 30_000_000
const lines = 30

for (const { name, limits } of [
  { name: 'segments that the devices join and cut', limits: '' },
  { name: 'segments as they are on the wire', limits: 'gso_max_segs 1 gro_max_size 0' },
]) {
  for (const mtu of [1500, 9000]) {
    test(`${transferBytes} bytes, ${name}, MTU ${mtu}: judged once, all counted`, { skip: needsKernel }, async () => {
      await using wire = await makeWire(async made => {
        await plainWire(made)
        for (const namespace of [made.outside, made.host]) {
          await ipBatch(namespace, [`link set eth0 mtu ${mtu} ${limits}`])
        }
      })
      const { outside, host } = wire.peers
      const policy = deviceDocument([eniOf('eth0', 'sg-open')], [opened])
      const flags = ['--metrics-address', '127.0.0.1:9469']
      await using agent = await startAgent({ namespace: wire.host, policy, flags })
      const read = async () => (await host.httpGet('127.0.0.1', 9469, '/metrics')).body
      const series = (what: string, rest: string) => `ringwall_agent_${what}{${rest}}`
      const tcpOf = (unit: string) => series(`ddos_inbound_${unit}_total`, 'instance_id="i-host",type="tcp"')
      const session = await converse('tcp', { client: outside, server: host, address: hostAddress, port: openPort })
      // What came before the agent's first reading is in no sample.
      await eventually(async () => {
        await session.client.send('counted?')
        assert.ok(metricValue(await read(), tcpOf('bytes')) > 0)
      })
      const line = 'x'.repeat(transferBytes / lines)
      for (let number = 0; number < lines; number += 1) {
        await session.client.send(`${number}${line}`)
        assert.ok(await session.server.expect(`${number}${line}`, 20_000 * slowness))
      }
      // Read by the agent each second; headers are at most a fifteenth, and a segment may be sent again.
      const text = await eventually(async () => {
        const now = await read()
        assert.ok(metricValue(now, tcpOf('bytes')) >= transferBytes, `${metricValue(now, tcpOf('bytes'))} bytes`)
        return now
      })
      assert.ok(metricValue(text, tcpOf('bytes')) < transferBytes * 1.2, `${metricValue(text, tcpOf('bytes'))} bytes`)
      const packets = metricValue(text, tcpOf('packets'))
      if (limits !== '') assert.ok(packets >= transferBytes / mtu, `${packets} packets`)
      const judged = text.split('\n').filter(each => each.startsWith('ringwall_agent_judged_packets_total{'))
      const total = judged.reduce((sum, each) => sum + Number(each.split(' ').at(-1)), 0)
      assert.ok(total >= 1 && total < 20, `packets that no stamp let through: ${judged.join('\n')}`)

      await agent.replacePolicy(deviceDocument([eniOf('eth0', 'sg-shut')], [shut]))
      assert.equal(await arrives(session.client, session.server), false, 'cut')
    })
  }
}

// ---- an index that is used again

test('a device that gets the index of one that went is not taken for it', { skip: needsKernel }, async () => {
  const index = 700
  await using wire = await makeWire(async ({ outside, host }) => {
    const pair = `link add nic1 index ${index} type veth peer name eth0 netns ${outside.name}`
    await ipBatch(host, [pair, 'addr add 198.18.0.2/24 dev nic1', 'link set nic1 up'])
    await ipBatch(outside, ['addr add 198.18.0.9/24 dev eth0', 'link set eth0 up'])
  })
  const { outside, host } = wire
  await using agent = await startAgent({
    namespace: host,
    policy: deviceDocument([eniOf('nic1', 'sg-open')], [opened]),
  })
  assert.deepEqual(await accepted(wire.peers.outside, hostAddress), [openPort])
  const from = agent.log.length
  // By one process, so that the agent lists the devices when both has been done.
  await ipBatch(host, [
    'link delete nic1',
    `link add other index ${index} type veth peer name eth0 netns ${outside.name}`,
    'addr add 198.18.0.2/24 dev other',
    'link set other up',
  ])
  await ipBatch(outside, ['addr add 198.18.0.9/24 dev eth0', 'link set eth0 up'])
  await agent.line(line => line.msg.startsWith('device is not there') && line.eni === 'eni-nic1', { from })
  await eventually(async () => assert.deepEqual(await accepted(wire.peers.outside, hostAddress), ports, 'no ENI'))
  await ipBatch(host, ['link set other down', 'link set other name nic1', 'link set nic1 up'])
  await eventually(async () => assert.deepEqual(await accepted(wire.peers.outside, hostAddress), [openPort]))
})
