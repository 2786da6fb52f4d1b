/** Traffic scrubbing under real floods: how soon it cleans, what passes, and what is left of service meanwhile. */
import { setTimeout } from 'node:timers/promises'
import { startAgent, type TestAgent } from '../test/support/agent.ts'
import { Customers, type Service } from '../test/support/flood/customers.ts'
import { type Flood, floodFrames } from '../test/support/flood/frames.ts'
import { between, type Observed, Observer, windows } from '../test/support/flood/observer.ts'
import { buildScene, type Scene, scrubPolicy } from '../test/support/flood/scene.ts'
import { FloodSender } from '../test/support/flood/sender.ts'
import { FastNetMon } from './fastnetmon.ts'
import { median, percentile } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'

const thresholds = { bps: 5, pps: 2000 } as const
/** Ten times the thresholds in packets. */
const floodPacketsPerSecond = 20_000
const holdSeconds = 1

const many = { family: 'ip', sources: 10_000, packetBytes: 60 } as const
/** Longer than scrubbing remembers a SYN: none of them looks like one that is sent again. */
const neverAgain = { distinct: 160_000 }
const udpFlood: Flood = { ...many, kind: 'udp' }
interface Kind {
  readonly name: string
  readonly flood: Flood
}

const kinds: readonly Kind[] = [
  { name: 'SYN', flood: { ...many, kind: 'syn', ...neverAgain } },
  { name: 'UDP', flood: udpFlood },
  { name: 'ACK', flood: { ...many, kind: 'ack' } },
  { name: 'all types at once', flood: { ...many, kind: 'mixed', ...neverAgain } },
  { name: 'SYN, IPv6', flood: { ...many, kind: 'syn', family: 'ip6', ...neverAgain } },
  { name: 'SYN, each again after half a second', flood: { ...many, kind: 'syn' } },
  { name: 'ICMP', flood: { ...many, kind: 'icmp' } },
  { name: 'DNS answers', flood: { ...many, kind: 'dns-answers' } },
  { name: 'fragments', flood: { ...many, kind: 'fragments' } },
  { name: 'UDP of 1,000 bytes', flood: { ...udpFlood, packetBytes: 1000 } },
  { name: 'UDP, one source', flood: { ...udpFlood, sources: 1 } },
  { name: 'ACK, one source', flood: { ...many, kind: 'ack', sources: 1 } },
]

export async function measureFloods(depth: Depth): Promise<readonly Section[]> {
  return [await measureReaction(depth), await measurePassed(depth), await measureService(depth)]
}

interface Rig {
  readonly scene: Scene
  readonly observer: Observer
  readonly agent: TestAgent
}

async function buildRig(stack: AsyncDisposableStack): Promise<Rig> {
  const scene = await buildScene(stack)
  const observer = stack.use(await Observer.start(scene.host, scene.device))
  const policy = scrubPolicy(scene, { thresholds, scrubbing: { holdTime: holdSeconds, secondsOver: 1 } })
  const agent = stack.use(await startAgent({ namespace: scene.host, policy }))
  return { scene, observer, agent }
}

async function measureReaction(depth: Depth): Promise<Section> {
  const rounds = depth === 'quick' ? 5 : 50
  const cleaned: number[] = []
  const ended: number[] = []
  {
    await using stack = new AsyncDisposableStack()
    const rig = await buildRig(stack)
    await using sender = await senderOf(rig.scene, udpFlood)
    for (let round = 0; round < rounds; round += 1) {
      const { cleanedAfterMs, endedAfterMs } = await reactTo(sender, rig)
      cleaned.push(cleanedAfterMs)
      ended.push(endedAfterMs)
    }
  }
  const row = (name: string, values: readonly number[]) => [
    name,
    ...[median(values), percentile(values, 99), Math.max(...values)].map(ms => figure(ms / 1000)),
  ]
  const theirs = await measureFastNetMon(rounds)
  return {
    heading: `Traffic scrubbing: how soon, ${rounds} floods of ten times the threshold`,
    columns: ['', 'median, s', 'p99, s', 'longest, s'],
    rows: [
      row('first packet of the flood until the first one cleaned', cleaned),
      row('last packet of the flood until the end of cleaning, less the hold time', ended),
      ...(typeof theirs === 'string' ? [] : [row('FastNetMon: first packet until it calls its script', theirs)]),
    ],
    notes: [
      `UDP from 10,000 addresses, ${floodPacketsPerSecond.toLocaleString('en')} packets a second; thresholds ${thresholds.pps.toLocaleString('en')} packets a second and ${thresholds.bps} Mbit/s; the floods begin and end at any moment of a second. Times are read from counters before and behind scrubbing every 15 ms. A second in which the flood ends may be under the thresholds already, and the hold time begins with it: hence times below zero.`,
      typeof theirs === 'string'
        ? `FastNetMon was not compared: ${theirs}`
        : 'FastNetMon Community as Debian ships it, by AF_PACKET on the same device, its other settings as they come: it drops nothing itself, so what its script does comes on top. Each flood goes to another address: it bans one for half an hour.',
    ],
  }
}

function senderOf({ internet, internetDevice, target }: Scene, flood: Flood): Promise<FloodSender> {
  return FloodSender.create(internet, internetDevice, floodFrames(flood, target))
}

/** A second's worth of noise is less: neighbour discovery, and what is on its way between the counters. */
const clearlyPackets = 50

async function reactTo(sender: FloodSender, { observer, agent }: Rig) {
  await setTimeout(Math.random() * 1000)
  const from = agent.log.length
  const quiet = await observer.look()
  const sending = sender.send({ packetsPerSecond: floodPacketsPerSecond, seconds: 10 })
  const since = (seen: Observed) => between(quiet, seen)
  const { before } = await observer.until(seen => since(seen).offered.packets > clearlyPackets, 5000)
  const lost = (seen: Observed) => since(seen).offered.packets - since(seen).passed.packets
  const { first: cleaned } = await observer.until(seen => lost(seen) > clearlyPackets, 8000)
  // The first cleaned one comes right after a second begins: the last packet is to come at any moment of one.
  await setTimeout(Math.random() * 1000)
  const { lastAtMs } = await sending.stop()
  const end = await agent.line(line => line.msg === 'an attack on an instance is over', { from, timeoutMs: 20_000 })
  return { cleanedAfterMs: cleaned.atMs - before.atMs, endedAfterMs: end.atMs - lastAtMs - holdSeconds * 1000 }
}

/** @returns milliseconds, or why there are none */
async function measureFastNetMon(rounds: number): Promise<readonly number[] | string> {
  await using stack = new AsyncDisposableStack()
  const scene = await buildScene(stack)
  const observer = stack.use(await Observer.start(scene.host, scene.device))
  const { internet, internetDevice, target, device } = scene
  try {
    const other = stack.use(await FastNetMon.start(scene.host, { device, network: '198.18.3.0/24', thresholds }))
    // It counts from its second second on.
    await setTimeout(3000)
    const took: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const address = `198.18.3.${round + 1}`
      const frames = floodFrames(udpFlood, { ...target, addresses: { ...target.addresses, ip: address } })
      await using sender = await FloodSender.create(internet, internetDevice, frames)
      await setTimeout(Math.random() * 1000)
      const quiet = await observer.look()
      const sending = sender.send({ packetsPerSecond: floodPacketsPerSecond, seconds: 20 })
      const { before } = await observer.until(seen => between(quiet, seen).offered.packets > clearlyPackets, 5000)
      took.push((await other.banned(address, 20_000)) - before.atMs)
      await sending.stop()
    }
    return took
  } catch (error) {
    return (error as Error).message
  }
}

/** Some at a time: what is counted does not depend on how much of the machine is free. */
const atOnce = 3

async function measurePassed(depth: Depth): Promise<Section> {
  const seconds = depth === 'quick' ? 15 : 32
  const rows: (readonly string[])[] = []
  for (let index = 0; index < kinds.length; index += atOnce) {
    rows.push(...(await Promise.all(kinds.slice(index, index + atOnce).map(kind => passedOf(kind, seconds)))))
  }
  return {
    heading: 'Traffic scrubbing: what passes of a flood of ten times the threshold, against the thresholds',
    columns: ['flood', '10 s, packets', '10 s, bits', 'worst second, packets', 'worst second, bits'],
    rows,
    notes: [
      'From two seconds after the first packet on; each figure the highest there was, 1.00 the threshold. All but the last two come from 10,000 addresses. Nobody else sends anything.',
    ],
  }
}

async function passedOf({ name, flood }: Kind, seconds: number): Promise<readonly string[]> {
  await using stack = new AsyncDisposableStack()
  const { scene, observer } = await buildRig(stack)
  await using sender = await senderOf(scene, flood)
  const { firstAtMs, lastAtMs } = await sender.send({ packetsPerSecond: floodPacketsPerSecond, seconds }).sent
  const within = observer.observations.filter(({ atMs }) => atMs > firstAtMs + 2000 && atMs < lastAtMs)
  const worst = (length: number) => {
    const parts = windows(within, length)
    const packets = Math.max(...parts.map(part => part.passed.packets / part.seconds)) / thresholds.pps
    const bits = Math.max(...parts.map(part => (part.passed.bytes * 8) / part.seconds)) / (thresholds.bps * 1e6)
    return [ratio(packets), ratio(bits)]
  }
  return [name, ...worst(10), ...worst(1)]
}

/** What is behind the device passes a little more than the thresholds, as the instance would. */
const guestLink = { bitsPerSecond: 25e6, packetsPerSecond: 5000 }
const guestThresholds = { bps: 20, pps: 4000 }
const customerOptions = { downloadBytesPerSecond: 500_000, knocksPerSecond: 5, patienceMs: 3000 }

async function measureService(depth: Depth): Promise<Section> {
  const rows: (readonly string[])[] = []
  for (const { name, flood } of depth === 'quick' ? kinds.slice(0, 4) : kinds) {
    const [without, scrubbed] = await Promise.all([null, guestThresholds].map(own => serveUnder(flood, own, depth)))
    rows.push([name, ...without!, ...scrubbed!])
  }
  return {
    heading: 'Traffic scrubbing: service under a flood of ten times the threshold',
    columns: ['flood', ...['without', 'with'].flatMap(how => serviceColumns.map(column => `${how}: ${column}`))],
    rows,
    notes: [
      `A guest behind a link that passes ${guestLink.packetsPerSecond.toLocaleString('en')} packets a second and ${guestLink.bitsPerSecond / 1e6} Mbit/s, thresholds ${guestThresholds.pps.toLocaleString('en')} and ${guestThresholds.bps}; its group accepts everything. It downloads 4 Mbit/s and serves ten new connections a second, each from an address not seen before where there are enough of them.`,
      'Kept: bytes of the download a second against before the flood. Connections: median time to the answer, and how many had none within 3 s. From two seconds after the first packet on.',
    ],
  }
}

const serviceColumns = ['kept', 'connect, ms', 'failed'] as const

async function serveUnder(flood: Flood, own: typeof guestThresholds | null, depth: Depth): Promise<readonly string[]> {
  const seconds = depth === 'quick' ? 5 : 10
  await using stack = new AsyncDisposableStack()
  const scene = await buildScene(stack, { guest: guestLink })
  const policy = scrubPolicy(scene, { thresholds: own, open: 'everything', scrubbing: { secondsOver: 1 } })
  stack.use(await startAgent({ namespace: scene.host, policy }))
  const customers = stack.use(await Customers.start(scene, customerOptions))
  await using sender = await senderOf(scene, flood)
  await setTimeout(1000)
  await customers.service()
  await setTimeout(seconds * 1000)
  const before = await customers.service()
  const sending = sender.send({ packetsPerSecond: 10 * guestThresholds.pps, seconds: seconds + 3 })
  await setTimeout(2500)
  await customers.service()
  await setTimeout(seconds * 1000)
  const during = await customers.service()
  await sending.stop()
  return [ratio(during.bytesPerSecond / before.bytesPerSecond), ...connectFigures(during)]
}

function connectFigures({ connectMs, connectsFailed }: Service): readonly string[] {
  return [
    connectMs.length === 0 ? 'none' : figure(median(connectMs)),
    `${connectsFailed} of ${connectsFailed + connectMs.length}`,
  ]
}
