/** Floods of every type against the scrubber and a model of what the kernel does with what it decides. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Usual } from '../../../agent/scrub/baseline.ts'
import { adaptCleaning, type CleaningState, cleaningOf } from '../../../agent/scrub/cleaning.ts'
import type { Decided } from '../../../agent/scrub/decide.ts'
import {
  type FloodType,
  floodTypes,
  type LaneType,
  laneTypes,
  type ScrubStep,
  type TrafficType,
  trafficTypes,
} from '../../../rules-compiler/model/traffic.ts'
import type { Cleaning, Defence } from '../../../rules-compiler/scrub/defence.ts'
import { type Load, makeSample, Trial } from '../../support/traffic.ts'

/** Packets a second, of 100 bytes if nothing is said. */
interface Stream {
  readonly type: TrafficType
  readonly packets: number
  readonly bytes?: number
  /** Sends from so many addresses, evenly. */
  readonly sources: number
  readonly isKnown?: boolean
  /** TCP that belongs to no session. */
  readonly isSessionless?: boolean
  /** As many a second for each connection that was let through. */
  readonly perConnection?: number
  /** SYNs that are never sent again. */
  readonly isForged?: boolean
}

const pps = 300_000
const tenfold = 10 * pps

const floods = {
  syn: [{ type: 'tcp-syn', packets: tenfold, sources: 1e6, isForged: true }],
  ack: [{ type: 'tcp', packets: tenfold, sources: 1e6, isSessionless: true }],
  'ack-single': [{ type: 'tcp', packets: tenfold, sources: 1, isSessionless: true }],
  udp: [{ type: 'udp', packets: tenfold, sources: 1e6 }],
  'udp-single': [{ type: 'udp', packets: tenfold, sources: 1 }],
  'udp-large': [{ type: 'udp', packets: 200_000, bytes: 1400, sources: 10_000 }],
  dns: [{ type: 'dns-answers', packets: 250_000, bytes: 1400, sources: 2000 }],
  icmp: [{ type: 'icmp', packets: tenfold, sources: 10_000 }],
  fragments: [{ type: 'fragments', packets: 400_000, bytes: 1400, sources: 10_000 }],
  gre: [{ type: 'other', packets: tenfold, sources: 10_000 }],
  connections: [
    { type: 'tcp-syn', packets: 120_000, sources: 2000, isKnown: true },
    { type: 'tcp', packets: 480_000, sources: 2000, isKnown: true, perConnection: 4 },
  ],
} as const satisfies Record<string, readonly Stream[]>

const download: Stream = { type: 'tcp', packets: 60_000, bytes: 60, sources: 20, isKnown: true }
const backup: Stream = { type: 'tcp', packets: 40_000, bytes: 1400, sources: 1, isKnown: true }
const web: readonly Stream[] = [
  { type: 'tcp-syn', packets: 3000, sources: 1000 },
  { type: 'tcp', packets: 60_000, bytes: 200, sources: 1000, isKnown: true },
]
const calls: Stream = { type: 'udp', packets: 20_000, bytes: 200, sources: 200, isKnown: true }

const everything = ['syn', 'ack', 'udp', 'dns', 'icmp', 'fragments', 'gre'] as const

interface Row {
  readonly name: string
  readonly flood: readonly Stream[]
  readonly types: readonly FloodType[]
  /** What goes on beside it. */
  readonly beside?: readonly Stream[]
}

const rows: readonly Row[] = [
  { name: 'SYN', flood: floods.syn, types: ['syn'] },
  { name: 'ACK', flood: floods.ack, types: ['ack'] },
  { name: 'ACK of one source', flood: floods['ack-single'], types: ['ack'] },
  { name: 'UDP', flood: floods.udp, types: ['udp'] },
  { name: 'UDP of one source', flood: floods['udp-single'], types: ['udp'] },
  { name: 'UDP of large packets', flood: floods['udp-large'], types: ['udp'] },
  { name: 'DNS answers', flood: floods.dns, types: ['dns-answers'] },
  { name: 'ICMP', flood: floods.icmp, types: ['icmp'] },
  { name: 'fragments', flood: floods.fragments, types: ['fragments'] },
  { name: 'another protocol', flood: floods.gre, types: ['other'] },
  { name: 'connections', flood: floods.connections, types: ['connections'] },
  { name: 'connections beside much web', flood: floods.connections, beside: scaled(web, 3), types: ['connections'] },
  { name: 'SYN and UDP', flood: [...floods.syn, ...floods.udp], types: ['syn', 'udp'] },
  { name: 'SYN and ACK', flood: [...floods.syn, ...floods.ack], types: ['syn', 'ack'] },
  { name: 'more ACK than SYN', flood: [...scaled(floods.syn, 0.3), ...floods.ack], types: ['syn', 'ack'] },
  {
    name: 'one ACK source and one of UDP',
    flood: [...floods['ack-single'], ...floods['udp-single']],
    types: ['udp', 'ack'],
  },
  {
    name: 'all of them',
    flood: everything.flatMap(name => {
      const packets = floods[name].reduce((sum, stream) => sum + stream.packets, 0)
      return scaled(floods[name], pps / packets).map(stream => ({ ...stream, bytes: 100 }))
    }),
    types: ['syn', 'udp', 'dns-answers', 'icmp', 'fragments', 'other', 'ack'],
  },
  { name: 'UDP beside a download', flood: floods.udp, beside: [download], types: ['udp'] },
  { name: 'a small UDP flood beside a download', flood: scaled(floods.udp, 0.12), beside: [download], types: ['udp'] },
  { name: 'UDP beside a backup', flood: floods.udp, beside: [backup], types: ['udp'] },
  { name: 'SYN beside a download', flood: floods.syn, beside: [download], types: ['syn'] },
  { name: 'SYN beside web', flood: floods.syn, beside: web, types: ['syn'] },
  { name: 'ICMP beside web and calls', flood: floods.icmp, beside: [...web, calls], types: ['icmp'] },
  { name: 'ACK beside a download', flood: floods.ack, beside: [download], types: ['ack'] },
  { name: 'ACK of one source beside web', flood: floods['ack-single'], beside: web, types: ['ack'] },
]

describe('a flood is recognised as what it is', () => {
  for (const learnt of [true, false]) {
    for (const { name, flood, beside = [], types } of rows) {
      test(`${name}${learnt ? '' : ', with nothing learnt'}`, () => {
        const host = new Host()
        if (learnt) host.seconds(120, beside)
        const decided = host.seconds(15, [...beside, ...flood])
        assert.deepEqual([...decided.status.attackTypes].sort(), [...types].sort())
        const evidence = host.trial.events.at(-1)!.attackTypes
        assert.deepEqual(evidence.map(({ type }) => type).sort(), [...types].sort(), 'nothing else was ever named')
        for (const { share, peak } of evidence) {
          assert.ok(share > 0 && share <= 1, `a share of ${share}`)
          assert.ok(peak.packetsPerSecond > 0)
        }
      })
    }
  }

  test('at once, where the packet tells', () => {
    for (const name of ['syn', 'udp', 'dns', 'icmp', 'fragments', 'gre'] as const) {
      const host = new Host()
      host.seconds(10, web)
      assert.equal(host.seconds(1, [...web, ...floods[name]]).status.attackTypes.length, 1, name)
    }
  })

  test('within three seconds, where conntrack must tell', () => {
    for (const name of ['ack', 'ack-single', 'connections'] as const) {
      const host = new Host()
      host.seconds(10, web)
      assert.equal(host.seconds(4, [...web, ...floods[name]]).status.attackTypes.length, 1, name)
    }
  })
})

describe('legitimate traffic above a threshold is not called a flood', () => {
  const legitimate: readonly (readonly [name: string, streams: readonly Stream[]])[] = [
    ['a download', scaled([download], 10)],
    ['a backup', scaled([backup], 5)],
    ['all that is usual doubled', scaled([...web, calls], 3.9)],
  ]
  for (const [name, streams] of legitimate) {
    test(name, () => {
      const host = new Host()
      host.seconds(120, scaled([...web, calls], 2))
      const { status } = host.seconds(30, streams)
      assert.deepEqual([status.phase, status.attackTypes], ['cleaning', []])
    })
  }
})

describe('types', () => {
  test('come and go with the attack, not with each second', () => {
    const host = new Host()
    host.seconds(10, web)
    const named: string[] = []
    for (let second = 0; second < 60; second++) {
      const isUdp = second < 30 || second % 2 === 0
      const { status } = host.seconds(1, isUdp ? floods.udp : floods.icmp)
      named.push(status.attackTypes.join())
    }
    const changes = named.filter((types, index) => types !== named[index - 1])
    assert.deepEqual(changes, ['udp'])
    host.seconds(2, floods.icmp)
    assert.deepEqual(host.seconds(1, floods.icmp).status.attackTypes, ['udp', 'icmp'])
    assert.deepEqual(host.seconds(12, floods.icmp).status.attackTypes, ['icmp'])
    assert.deepEqual(host.seconds(1, floods.icmp).status.attackTypes, ['icmp'])
  })

  test('once named stay for ten seconds above the thresholds, whatever comes', () => {
    const second = fc.dictionary(fc.constantFrom('udp', 'icmp', 'tcp-syn', 'tcp', 'other'), fc.nat(600_000))
    fc.assert(
      fc.property(fc.array(second, { maxLength: 80 }), seconds => {
        const trial = new Trial({ ir: { blackHoleMbit: 0 } })
        const since = new Map<FloodType, number>()
        let secondsOver = 0
        for (const loads of seconds) {
          const { status } = trial.second(loads)
          if (status.sample!.offered.packetsPerSecond > pps) secondsOver++
          for (const [type, named] of since) {
            if (status.attackTypes.includes(type)) continue
            assert.ok(secondsOver - named >= 10, `${type} was named for ${secondsOver - named} s`)
            since.delete(type)
          }
          for (const type of status.attackTypes) if (!since.has(type)) since.set(type, secondsOver)
        }
      }),
    )
  })

  test('that are gone stay in the event', () => {
    const host = new Host()
    host.seconds(5, floods.udp)
    host.seconds(20, floods.icmp)
    assert.deepEqual(
      host.trial.events.at(-1)!.attackTypes.map(({ type }) => type),
      ['udp', 'icmp'],
    )
  })

  test('stay through the hold time', () => {
    const host = new Host()
    host.seconds(5, floods.udp)
    assert.deepEqual(host.seconds(40, web).status.attackTypes, ['udp'])
  })

  test('with the evidence: share, rate, what is usual, SYNs to other TCP, how few sources', () => {
    const host = new Host()
    host.seconds(700, web)
    host.seconds(10, [...web, ...floods.syn])
    const [syn] = host.trial.events.at(-1)!.attackTypes
    assert.ok(syn!.share > 0.97)
    assert.deepEqual(syn!.peak.packetsPerSecond, tenfold + 3000)
    assert.deepEqual(syn!.usual.packetsPerSecond, 3000)
    assert.equal(Math.round(syn!.synRatio!), 50)
    assert.ok(syn!.sourceConcentration! < 0.05)

    const single = new Host()
    single.seconds(10, floods['udp-single'])
    assert.ok(single.trial.events.at(-1)!.attackTypes[0]!.sourceConcentration! > 0.9)
  })
})

describe('what passes', () => {
  for (const { name, flood } of rows) {
    test(`of a flood fits the thresholds: ${name}`, () => {
      const host = new Host()
      host.seconds(60, web)
      host.seconds(5, [...web, ...flood])
      for (let second = 0; second < 10; second++) {
        host.seconds(1, [...web, ...flood])
        const { passed } = host.trial.samples.at(-1)!
        assert.ok(passed.packetsPerSecond <= pps * 1.01, `${passed.packetsPerSecond} packets/s`)
        assert.ok(passed.bitsPerSecond <= 1010e6, `${passed.bitsPerSecond} bit/s`)
      }
    })

    test(`leaves what is usual alone: ${name}`, () => {
      const host = new Host()
      host.seconds(60, web)
      host.seconds(20, [...web, ...flood])
      assert.ok(host.keptOfKnown > 0.8, `${host.keptOfKnown} of the known sources' packets pass`)
    })
  }

  test('is not one source that is known', () => {
    const host = new Host()
    host.seconds(60, web)
    const heavy: Stream = { type: 'tcp', packets: tenfold, sources: 1, isKnown: true }
    host.seconds(40, [...web, heavy])
    const { passed } = host.trial.samples.at(-1)!
    assert.ok(passed.packetsPerSecond < 0.9 * pps, `${passed.packetsPerSecond} packets/s`)
    assert.ok(host.keptOfKnown > 0.8, `${host.keptOfKnown} of the known sources' packets pass`)
  })
})

describe('cleaning', () => {
  test('changes nothing while nothing changes', () => {
    const host = new Host()
    host.seconds(60, web)
    host.seconds(30, [...web, ...floods.udp])
    const before = host.seconds(1, [...web, ...floods.udp]).defence
    assert.deepEqual(host.seconds(60, [...web, ...floods.udp]).defence, before)
  })

  test('has no lane and no limit of connections where nothing is recognised', () => {
    const host = new Host()
    const { defence } = host.seconds(1, scaled([download], 10))
    assert.ok(defence.kind === 'clean')
    assert.deepEqual([defence.lanes.size, defence.connectionsPerSource], [0, null])
    assert.deepEqual(defence.shares, {
      known: { packetsPerSecond: pps, bitsPerSecond: 1e9 },
      unknown: { packetsPerSecond: 15_000, bitsPerSecond: 5e7 },
    })
  })

  test('leaves sources that are not known a floor where the thresholds are small', () => {
    const host = new Host({ bpsMbit: 10, pps: 1000 })
    const { defence } = host.seconds(1, floods.udp)
    assert.ok(defence.kind === 'clean')
    assert.deepEqual(defence.shares.unknown, { packetsPerSecond: 200, bitsPerSecond: 2e6 })
  })

  test('limits connections, fewer and fewer while they are too many', () => {
    const host = new Host()
    host.seconds(60, web)
    const limits = Array.from({ length: 30 }, () => {
      const { defence } = host.seconds(1, floods.connections)
      return defence.kind === 'clean' ? defence.connectionsPerSource : null
    })
    assert.deepEqual([...new Set(limits)].slice(0, 3), [null, 40, 20])
  })

  test('gives lanes what is usual of their type, where that is much', () => {
    const host = new Host()
    const usual: Stream = { type: 'udp', packets: 200_000, sources: 5000 }
    host.seconds(120, [usual])
    const { defence } = host.seconds(1, [usual, ...floods.udp])
    assert.ok(defence.kind === 'clean')
    assert.equal(defence.lanes.get('udp')?.packetsPerSecond, pps)
  })

  test('leaves the rest what is usual of it', () => {
    const host = new Host()
    host.seconds(120, scaled([download], 3))
    const { defence } = host.seconds(1, [...scaled([download], 3), ...floods.udp])
    assert.ok(defence.kind === 'clean')
    assert.equal(defence.lanes.get('udp')?.packetsPerSecond, pps - 1.5 * 180_000)
  })

  test('is within the thresholds, whatever is usual and whatever comes', () => {
    const rate = fc.record({ packetsPerSecond: fc.nat(1e6), bitsPerSecond: fc.nat(1e10) })
    const types = fc.array(fc.constantFrom(...trafficTypes), { minLength: 1 })
    const signed = fc.uniqueArray(fc.constantFrom(...floodTypes))
    const limits = fc.record({
      packetsPerSecond: fc.integer({ min: 1, max: 1e6 }),
      bitsPerSecond: fc.integer({ min: 1e6, max: 1e10 }),
    })
    const given = fc.record({
      usual: rate,
      types,
      signs: signed,
      limit: limits,
      heaviest: fc.option(rate),
      load: fc.nat(1e6),
    })
    fc.assert(
      fc.property(fc.array(given, { minLength: 1, maxLength: 30 }), seconds => {
        let state: CleaningState | null = null
        for (const [index, { usual, types: loaded, signs, limit, heaviest, load }] of seconds.entries()) {
          const recognition = { signs, againstMs: {} }
          const sample = makeSample(Object.fromEntries(loaded.map(type => [type, load])), {
            dropped: { 'packet-rate': load / 2 },
          })
          const usually = Object.fromEntries(trafficTypes.map(type => [type, usual])) as Usual
          state = adaptCleaning(state, { limit, usual: usually, recognition, sample, heaviest, nowMs: index * 4000 })
          const { total, shares, lanes, connectionsPerSource } = cleaningOf(state)
          assert.deepEqual(total, { ...limit })
          assert.deepEqual([...lanes.keys()].sort(), laneTypes.filter(lane => signs.includes(lane)).sort())
          for (const measure of ['packetsPerSecond', 'bitsPerSecond'] as const) {
            const together = [...lanes.values()].reduce((sum, lane) => sum + lane[measure], 0)
            assert.ok(together <= limit[measure] + lanes.size, `lanes of ${together} in ${limit[measure]}`)
            for (const lane of lanes.values()) assert.ok(lane[measure] >= 1)
            assert.ok(shares.unknown[measure] <= shares.known[measure] && shares.known[measure] <= limit[measure])
            assert.ok(shares.unknown[measure] >= 1)
          }
          assert.ok(connectionsPerSource === null || (connectionsPerSource >= 5 && connectionsPerSource <= 40))
        }
      }),
    )
  })

  test('never changes lanes more often than every ten seconds, while the types stay', () => {
    const host = new Host()
    const widths: (number | undefined)[] = []
    for (let second = 0; second < 100; second++) {
      const { defence } = host.seconds(1, [
        ...scaled([download], Math.floor(second / 20) % 2 === 0 ? 0 : 4),
        ...floods.udp,
      ])
      assert.ok(defence.kind === 'clean')
      widths.push(defence.lanes.get('udp')?.packetsPerSecond)
    }
    const changed = widths.flatMap((width, index) => (width === widths[index - 1] ? [] : [index]))
    for (const [index, second] of changed.entries()) assert.ok(second - (changed[index - 1] ?? -10) >= 10)
    assert.ok(changed.length > 1)
  })
})

function scaled(streams: readonly Stream[], times: number): readonly Stream[] {
  return streams.map(stream => ({ ...stream, packets: Math.round(stream.packets * times) }))
}

/** Each second meets what was decided in the one before. */
class Host {
  readonly trial: Trial
  keptOfKnown = 1
  #connections = Number.POSITIVE_INFINITY
  #defence: Defence = { kind: 'none' }
  readonly #heavy = new Map<Stream, number>()
  readonly #sampled = new Map<string, { packets: number; bytes: number }>()

  constructor(thresholds = { bpsMbit: 1000, pps }) {
    this.trial = new Trial({
      instance: { thresholds: { ...thresholds, source: 'manual' } },
      ir: { blackHoleMbit: 0 },
    })
  }

  seconds(count: number, streams: readonly Stream[]): Decided {
    let decided = this.#second(streams)
    for (let index = 1; index < count; index++) decided = this.#second(streams)
    return decided
  }

  #second(sent: readonly Stream[]): Decided {
    const streams = sent.map(stream =>
      stream.perConnection === undefined
        ? stream
        : { ...stream, packets: Math.min(stream.packets, stream.perConnection * this.#connections) },
    )
    const loads: Partial<Record<TrafficType, readonly [number, number]>> = {}
    for (const { type, packets, bytes = 100 } of streams) {
      const [soPackets, soBits] = loads[type] ?? [0, 0]
      loads[type] = [soPackets + packets, soBits + packets * bytes * 8]
    }
    const dropped: Partial<Record<ScrubStep, readonly [number, number]>> = {}
    const drop = (step: ScrubStep, { bytes = 100 }: Stream, packets: number) => {
      const [soPackets, soBits] = dropped[step] ?? [0, 0]
      dropped[step] = [soPackets + packets, soBits + packets * bytes * 8]
    }
    const isClean = this.#defence.kind === 'clean'
    if (this.#defence.kind === 'clean') this.#clean(this.#defence, streams, drop)
    const sources = isClean ? this.#read(streams) : null
    const decided = this.trial.second(loads as Partial<Record<TrafficType, Load>>, { dropped, sources })
    this.#defence = decided.defence
    return decided
  }

  #clean(cleaning: Cleaning, streams: readonly Stream[], drop: (step: ScrubStep, of: Stream, packets: number) => void) {
    const left = new Map(streams.map(stream => [stream, stream.packets]))
    const take = (step: ScrubStep, stream: Stream, packets: number) => {
      const taken = Math.round(Math.min(left.get(stream)!, packets))
      left.set(stream, left.get(stream)! - taken)
      if (taken > 0) drop(step, stream, taken)
    }
    for (const stream of streams) {
      const share = stream.isKnown ? cleaning.shares.known : cleaning.shares.unknown
      const bytes = stream.bytes ?? 100
      const each = stream.packets / stream.sources
      const isAbove = each > share.packetsPerSecond || each * bytes * 8 > share.bitsPerSecond
      // What passes until the source is above its share, and then again every ten seconds.
      const passes = Math.min(share.packetsPerSecond, share.bitsPerSecond / bytes / 8) * stream.sources
      const after = this.#heavy.get(stream) ?? 0
      this.#heavy.set(stream, isAbove ? (after + 1) % 10 : 0)
      if (isAbove) take('sources', stream, stream.packets - (after === 0 ? passes : 0))
      if (stream.type === 'tcp-syn' && cleaning.connectionsPerSource !== null) {
        take('connections', stream, stream.packets - cleaning.connectionsPerSource * stream.sources)
      }
    }
    for (const lane of laneTypes) {
      const rate = cleaning.lanes.get(lane)
      const within = streams.filter(stream => laneOf(stream) === lane && !stream.isKnown)
      if (rate === undefined) continue
      for (const stream of within) if (stream.isForged) take(lane, stream, stream.packets)
      share(lane, within, rate)
    }
    if (cleaning.dropSessionless) {
      for (const stream of streams) if (stream.isSessionless) take('sessions', stream, stream.packets)
    }
    share(
      'packet-rate',
      streams.filter(stream => !stream.isKnown),
      { ...cleaning.total, bitsPerSecond: Infinity },
    )
    share(
      'bit-rate',
      streams.filter(stream => !stream.isKnown),
      { ...cleaning.total, packetsPerSecond: Infinity },
    )
    share('packet-rate', streams, { ...cleaning.total, bitsPerSecond: Infinity })
    share('bit-rate', streams, { ...cleaning.total, packetsPerSecond: Infinity })
    const opened = streams.filter(({ type, isKnown }) => type === 'tcp-syn' && isKnown)
    this.#connections = opened.reduce((sum, stream) => sum + left.get(stream)!, 0)
    const known = streams.filter(stream => stream.isKnown && web.includes(stream))
    const offered = known.reduce((sum, stream) => sum + stream.packets, 0)
    const kept = known.reduce((sum, stream) => sum + left.get(stream)!, 0)
    this.keptOfKnown = offered === 0 ? 1 : kept / offered

    function share(step: ScrubStep, of: readonly Stream[], { packetsPerSecond, bitsPerSecond }: Cleaning['total']) {
      const packets = of.reduce((sum, stream) => sum + left.get(stream)!, 0)
      const bits = of.reduce((sum, stream) => sum + left.get(stream)! * (stream.bytes ?? 100) * 8, 0)
      const part = Math.min(1, packets > 0 ? packetsPerSecond / packets : 1, bits > 0 ? bitsPerSecond / bits : 1)
      for (const stream of of) take(step, stream, Math.ceil(left.get(stream)! * (1 - part)))
    }
  }

  /** Only the sources of streams with few can be told from one another. */
  #read(streams: readonly Stream[]) {
    const heavy: { address: string; packets: number; bytes: number }[] = []
    for (const [index, stream] of streams.entries()) {
      const { packets, bytes = 100, sources } = stream
      if (sources > 1000) continue
      for (let source = 0; source < sources; source++) {
        const address = `203.0.${index}.${source}`
        const each = packets / sources
        const so = this.#sampled.get(address) ?? { packets: 0, bytes: 0 }
        const now = { packets: so.packets + each / 16, bytes: so.bytes + (each * bytes) / 16 }
        if ((this.#heavy.get(stream) ?? 0) > 1)
          heavy.push({ address, packets: now.packets * 16, bytes: now.bytes * 16 })
        this.#sampled.set(address, now)
      }
    }
    const sampled = [...this.#sampled].map(([address, amount]) => ({ address, ...amount }))
    const light = sampled.filter(({ address }) => !heavy.some(source => source.address === address))
    return { takenAtMs: this.trial.monotonicMs, heavy, sampled: light, sampledOneIn: 16 }
  }
}

function laneOf({ type }: Stream): LaneType | null {
  return type === 'tcp' ? null : type === 'tcp-syn' ? 'syn' : type
}
