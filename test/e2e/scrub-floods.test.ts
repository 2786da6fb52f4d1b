/**
 * Floods against a host with a real agent: each is recognised as what it is, cleaned so that what passes fits the
 * thresholds, ended, and told as it was, while those who behave are served. Some at a time, each on a host of its own;
 * the thresholds are small so that ten times as much is little for this machine.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { RingSample } from '../../agent/scrub/ring.ts'
import type { FloodType } from '../../rules-compiler/model/traffic.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { Customers, type Service } from '../support/flood/customers.ts'
import { type Flood, forgedSource } from '../support/flood/frames.ts'
import { between, type Observed, windows } from '../support/flood/observer.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const thresholds = { bps: 5, pps: 1000 }
const bitsPerSecond = thresholds.bps * 1e6
const packetsPerSecond = 10 * thresholds.pps
const atOnce = 4
const downloadBytesPerSecond = 150_000
/** What those who behave send in a second. */
const usual = { packets: 200, bytes: 1.1 * downloadBytesPerSecond }
/** It is ended when enough was seen of it, which a busy machine is slow to show. */
const mostSeconds = 90
/** Longer than a sender is held up for: one flood is one event. */
const holdTime = 4

interface Row extends Flood {
  readonly name: string
  /** In any order; none besides. */
  readonly types: readonly FloodType[]
  /** Long enough for ten seconds of steady cleaning, or not. */
  readonly isLong: boolean
}

const many = { sources: 10_000, packetBytes: 60 }
/** Longer than a SYN is remembered: none of them looks like one that is sent again. */
const syns = { distinct: 40_000 }
const rows: readonly Row[] = [
  { name: 'SYN', kind: 'syn', family: 'ip', ...many, ...syns, types: ['syn'], isLong: true },
  {
    name: 'all of them at once',
    kind: 'mixed',
    family: 'ip',
    ...many,
    ...syns,
    types: ['udp', 'icmp', 'dns-answers', 'fragments'],
    isLong: true,
  },
  { name: 'ACK', kind: 'ack', family: 'ip', ...many, types: ['ack'], isLong: false },
  { name: 'UDP', kind: 'udp', family: 'ip', ...many, types: ['udp'], isLong: false },
  { name: 'ICMP', kind: 'icmp', family: 'ip', ...many, types: ['icmp'], isLong: false },
  { name: 'DNS answers', kind: 'dns-answers', family: 'ip', ...many, types: ['dns-answers'], isLong: false },
  { name: 'fragments', kind: 'fragments', family: 'ip', ...many, types: ['fragments'], isLong: false },
  {
    name: 'UDP of large packets, over in bits alone',
    kind: 'udp',
    family: 'ip',
    sources: 10_000,
    packetBytes: 1400,
    types: ['udp'],
    isLong: true,
  },
  {
    name: 'UDP from one source',
    kind: 'udp',
    family: 'ip',
    sources: 1,
    packetBytes: 60,
    types: ['udp'],
    isLong: false,
  },
  { name: 'SYN over IPv6', kind: 'syn', family: 'ip6', ...many, ...syns, types: ['syn'], isLong: false },
  { name: 'ACK over IPv6', kind: 'ack', family: 'ip6', ...many, types: ['ack'], isLong: false },
  { name: 'UDP over IPv6', kind: 'udp', family: 'ip6', ...many, types: ['udp'], isLong: false },
  { name: 'ICMPv6', kind: 'icmp', family: 'ip6', ...many, types: ['icmp'], isLong: false },
  { name: 'DNS answers over IPv6', kind: 'dns-answers', family: 'ip6', ...many, types: ['dns-answers'], isLong: false },
  { name: 'fragments over IPv6', kind: 'fragments', family: 'ip6', ...many, types: ['fragments'], isLong: false },
  { name: 'ACK from one source', kind: 'ack', family: 'ip', sources: 1, packetBytes: 60, types: [], isLong: false },
]

interface Flooded {
  readonly rig: FloodRig
  readonly customers: Customers
}

/** Many processes start, on a machine that has more to do. */
const startLimit = { timeout: 240_000 }

describe('floods of ten times the threshold', { skip: needsKernel, concurrency: atOnce }, () => {
  const stack = new AsyncDisposableStack()
  const free: Flooded[] = []

  before(async () => {
    const add = async () => {
      const rig = await FloodRig.start(stack, { thresholds, scrubbing: { holdTime, secondsOver: 1 } })
      const options = { downloadBytesPerSecond, knocksPerSecond: 5, patienceMs: 8000 }
      free.push({ rig, customers: stack.use(await Customers.start(rig.scene, options)) })
    }
    await Promise.all(Array.from({ length: atOnce }, add))
  }, startLimit)
  after(() => stack.disposeAsync())

  for (const row of rows) {
    test(row.name, { timeout: 240_000 }, async () => {
      const flooded = free.pop()!
      try {
        await meet(row, flooded)
      } finally {
        free.push(flooded)
      }
    })
  }
})

async function meet(row: Row, { rig, customers }: Flooded): Promise<void> {
  const { observer } = rig
  const earlier = new Set((await rig.events()).map(({ id }) => id))
  const tableBefore = await rig.table()
  // The first second over begins before the first packet; not before one that began after this, so that is waited for.
  const quiet = await observer.look()
  const quietMs = Date.now()
  await eventually(async () => {
    const since = (await rig.samples()).filter(({ time }) => Date.parse(time) > quietMs)
    assert.ok(since.length >= 2, 'a second began and ended')
  })
  await customers.service()
  await using sender = await rig.sender(row)
  const pace = row.packetBytes > 1000 ? packetsPerSecond / 2 : packetsPerSecond
  const sentFromMs = Date.now()
  const sending = sender.send({ packetsPerSecond: pace, seconds: mostSeconds })

  // It says that it cleans, and then puts that into the kernel.
  const { eventId } = await rig.until(
    ({ phase, sample }) => phase === 'cleaning' && Object.keys(sample?.dropped ?? {}).length > 0,
  )
  const cleaningFromMs = performance.now() + 1000
  const cleanedUntil = (toMs: number) =>
    observer.observations.filter(({ atMs }) => atMs >= cleaningFromMs && atMs <= toMs)
  /** But for those before which the sender was held up: what may pass is saved up for a second. */
  const steadyUntil = (toMs: number) =>
    windows(cleanedUntil(toMs), 10).filter(({ fromMs }) => {
      const place = observer.observations.findIndex(({ atMs }) => atMs === fromMs)
      const [before, from] = [observer.observations[place - 1], observer.observations[place]!]
      if (before === undefined) return false
      return between(before, from).offered.packets > (pace * (from.askedAtMs - before.atMs)) / 2000
    })
  // A busy machine takes longer for both, and it is the flood's end that is not awaited then.
  const served: Service[] = []
  await eventually(async () => {
    served.push(await customers.service())
    const now = Number.POSITIVE_INFINITY
    const seen = row.isLong ? steadyUntil(now) : windows(cleanedUntil(now), 2)
    assert.ok(seen.length > 0, 'cleaning was seen')
    assert.ok(inAll(served).connects > 0, 'somebody new is served')
    const told = (await rig.events()).find(({ id }) => id === eventId)
    assert.ok(
      row.types.every(wanted => told?.attackTypes.some(({ type }) => type === wanted)),
      'it is recognised',
    )
    assert.ok(row.sources > 1 || told?.topSources[0] !== undefined, 'its source is told')
  }, mostSeconds * 1000).finally(() => sending.stop())
  const sent = await sending.sent
  served.push(await customers.service())
  await rig.until(({ phase }) => phase === 'normal')
  const servedAfter = [await customers.service()]
  await eventually(async () => {
    servedAfter.push(await customers.service())
    assert.ok(inAll(servedAfter).connects > 0, 'somebody new is served after it')
  })
  const last = await observer.look()

  const events = (await rig.events()).filter(({ id }) => !earlier.has(id))
  assert.equal(events.length, 1, 'one flood, one event')
  const event = events[0]!
  assert.equal(event.phase, 'ended')
  assert.equal(event.endReason, 'subsided')
  const recognised = event.attackTypes.map(({ type }) => type).sort()
  if (row.types.length > 0) {
    const missing = row.types.filter(type => !recognised.includes(type))
    assert.deepEqual(missing, [], `recognised: ${recognised.join(', ')}`)
    if (row.kind !== 'mixed') assert.deepEqual(recognised, row.types)
  }
  const observed = observer.observations.filter(({ atMs }) => atMs > quiet.atMs && atMs < last.atMs)
  const startMs = Date.parse(event.startTime)
  const before = (await rig.samples()).filter(
    ({ time }) => Date.parse(time) > sentFromMs && Date.parse(time) < startMs + 10,
  )
  assertTold(event, { sent, observed: [quiet, ...observed, last], before })
  if (row.sources === 1) {
    const [heaviest, ...others] = event.topSources
    assert.equal(heaviest?.address, forgedSource(row.family, 0))
    // Sources are read in a small part of the time, which on a busy machine is seldom: of all, it may have a small share.
    assert.ok(heaviest.packets > sum(others.map(({ packets }) => packets)), JSON.stringify(event.topSources))
  }

  const cleaned = cleanedUntil(sent.lastAtMs)
  for (const { seconds, passed } of windows(cleaned, 1)) {
    assert.ok(passed.packets <= 2 * thresholds.pps * seconds, `${passed.packets} packets in ${seconds} s`)
    assert.ok(passed.bytes * 8 <= 2 * bitsPerSecond * seconds, `${passed.bytes} bytes in ${seconds} s`)
  }
  const steady = steadyUntil(sent.lastAtMs)
  if (row.isLong) assert.ok(steady.length > 0, 'ten seconds of steady cleaning were seen')
  for (const { seconds, passed } of steady) {
    assert.ok(passed.packets <= 1.05 * thresholds.pps * seconds, `${passed.packets} packets in ${seconds} s`)
    assert.ok(passed.bytes * 8 <= 1.05 * bitsPerSecond * seconds, `${passed.bytes} bytes in ${seconds} s`)
  }

  for (const [when, each] of [
    ['during', served],
    ['after', servedAfter],
  ] as const) {
    const seen = inAll(each)
    const kept = Math.round((seen.downloadedBytes / seen.wantedBytes) * 100)
    assert.deepEqual(seen.brokenSessions, [], when)
    assert.ok(seen.answered > 0, `sessions are answered ${when} the flood`)
    assert.ok(kept > 50, `${kept} % of the download are kept ${when} the flood`)
  }
  await eventually(async () => assert.equal(await rig.table(), tableBefore, 'cleaning leaves nothing behind'))
}

/** What was seen one report after the other. */
function inAll(services: readonly Service[]) {
  const total = (of: (service: Service) => number) => sum(services.map(of))
  return {
    downloadedBytes: total(({ downloadedBytes }) => downloadedBytes),
    wantedBytes: total(({ wantedBytes }) => wantedBytes),
    answered: total(({ answered }) => answered),
    connects: total(({ connectMs }) => connectMs.length),
    brokenSessions: services.flatMap(({ brokenSessions }) => brokenSessions),
  }
}

interface Truth {
  readonly sent: { readonly packets: number; readonly bytes: number }
  /** By another table, with what well-behaved clients sent; from before the first packet until after the end. */
  readonly observed: readonly Observed[]
  /** Seconds from the first packet on that were not over, by the agent. */
  readonly before: readonly RingSample[]
}

/** An event begins with the first second over. Those before may have seen the first packets, each less than a threshold. */
function assertTold(event: DdosEvent, { sent, observed, before }: Truth): void {
  const { offered, passed, dropped, peak } = event
  const steps = Object.values(dropped)
  const lost = { packets: sum(steps.map(step => step.packets)), bytes: sum(steps.map(step => step.bytes)) }
  assert.deepEqual({ packets: passed.packets + lost.packets, bytes: passed.bytes + lost.bytes }, offered)

  for (const { offered: rate } of before) {
    assert.ok(rate.packetsPerSecond <= thresholds.pps && rate.bitsPerSecond <= bitsPerSecond, JSON.stringify(rate))
  }
  // Rates are told in whole numbers.
  const untold = {
    packets: 10 + sum(before.map(({ offered: rate, intervalSeconds }) => rate.packetsPerSecond * intervalSeconds)),
    bytes: 100 + sum(before.map(({ offered: rate, intervalSeconds }) => (rate.bitsPerSecond / 8) * intervalSeconds)),
  }
  const { around, secondsMore } = seenAround(event, observed)
  for (const unit of ['packets', 'bytes'] as const) {
    assert.ok(
      offered[unit] <= around.offered[unit],
      `${unit} offered: ${offered[unit]} of ${around.offered[unit]} seen`,
    )
    const least = sent[unit] - untold[unit]
    assert.ok(offered[unit] >= least, `${unit} offered: ${offered[unit]}, and ${sent[unit]} were sent`)
    const most = 1.1 * around.passed[unit]
    const fewest = 0.9 * (around.passed[unit] - secondsMore * usual[unit]) - untold[unit]
    assert.ok(passed[unit] >= fewest && passed[unit] <= most, `${unit} passed: ${passed[unit]} of ${fewest} to ${most}`)
  }
  // Seconds of one and of the other begin apart: what is one here may be two halves there. On a busy machine they are
  // longer here, and a sender that was held up makes up for it.
  const seconds = windows(observed, 1)
  const least = 0.4 * Math.max(...seconds.map(second => second.offered.packets / second.seconds))
  const most = 2.5 * Math.max(...seconds.map(second => second.offered.packets))
  const rate = peak.packetsPerSecond
  assert.ok(rate > least && rate < most, `at its peak ${least}..${most} packets a second: ${rate}`)
}

/** What was seen while it lasted, with some time before and after: so many seconds more. */
function seenAround({ startTime, endTime }: DdosEvent, observed: readonly Observed[]) {
  // The agent says when it asked the kernel, whose answer comes later on a busy machine.
  const marginMs = 1000
  const clock = (time: string) => Date.parse(time) - performance.timeOrigin
  const [startMs, endMs] = [clock(startTime), clock(endTime!)]
  const first = observed.findLast(({ atMs }) => atMs <= startMs - marginMs) ?? observed[0]!
  const around = between(first, observed.at(-1)!)
  return { around, secondsMore: around.seconds - (endMs - startMs) / 1000 }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
