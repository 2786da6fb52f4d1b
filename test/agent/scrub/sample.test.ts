import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { exceededMeasures, thresholdRate } from '../../../agent/scrub/rates.ts'
import { type Reading, type Sample, sampleInstances, wireSample } from '../../../agent/scrub/sample.ts'
import { scrubSteps, type TrafficAmount, trafficTypes } from '../../../rules-compiler/model/traffic.ts'
import { makeScrubIr } from '../../support/ir.ts'
import { makeSample, makeScrubInstance } from '../../support/traffic.ts'

const kinds = [...trafficTypes, 'out-of-scope']

/** All counters of `eni-1` and, where asked for, of another; what is not given is zero, null is not there. */
function reading(takenAtMs: number, given: Record<string, number | null> = {}, enis = ['eni-1']): Reading {
  const zeros = enis.flatMap(eni => kinds.map(kind => [`${eni}/offered/${kind}`, 0] as const))
  const all = [...zeros, ...Object.entries(given)].filter(([, packets]) => packets !== null)
  const counted = new Map(all.map(([name, packets]) => [name, amount(packets!)]))
  for (const [name, packets] of Object.entries(given)) if (packets === null) counted.delete(name)
  return { takenAtMs, counters: counted }
}

const amount = (packets: number): TrafficAmount => ({ packets, bytes: packets * 100 })
const udp = 'eni-1/offered/udp'
const udp2 = 'eni-2/offered/udp'
const outOfScope = 'eni-1/offered/out-of-scope'
const dropped = 'i-1/dropped/udp'

interface Row {
  readonly name: string
  readonly before: Reading | null
  readonly now: Reading
  /** Packets a second offered, passed and in all; null for no sample. */
  readonly rates: readonly [offered: number, passed: number, all: number] | null
  readonly enis?: readonly string[]
}

const rows: readonly Row[] = [
  { name: 'the first reading', before: null, now: reading(1000, { [udp]: 5 }), rates: null },
  { name: 'a second', before: reading(0, { [udp]: 5 }), now: reading(1000, { [udp]: 15 }), rates: [10, 10, 10] },
  { name: 'nothing', before: reading(0), now: reading(1000), rates: [0, 0, 0] },
  { name: 'a late tick', before: reading(0), now: reading(4000, { [udp]: 40 }), rates: [10, 10, 10] },
  { name: 'an early tick', before: reading(0), now: reading(250, { [udp]: 10 }), rates: [40, 40, 40] },
  { name: 'no time between', before: reading(1000), now: reading(1000, { [udp]: 40 }), rates: null },
  { name: 'taken before', before: reading(2000), now: reading(1000, { [udp]: 40 }), rates: null },
  { name: 'a table made anew', before: reading(0, { [udp]: 9 }), now: reading(1000, { [udp]: 8 }), rates: null },
  { name: 'a counter seen first', before: reading(0, { [udp]: null }), now: reading(1000, { [udp]: 7 }), rates: null },
  { name: 'a counter gone', before: reading(0, { [udp]: 7 }), now: reading(1000, { [udp]: null }), rates: null },
  {
    name: 'a device that came',
    before: reading(0, { [udp]: 7 }),
    now: reading(1000, { [udp]: 8, [udp2]: 900 }, ['eni-1', 'eni-2']),
    enis: ['eni-1', 'eni-2'],
    rates: null,
  },
  {
    name: 'a device that vanished',
    before: reading(0, { [udp2]: 900 }, ['eni-1', 'eni-2']),
    now: reading(1000, { [udp]: 8 }),
    enis: ['eni-1', 'eni-2'],
    rates: null,
  },
  {
    name: 'a device that is not there',
    before: reading(0),
    now: reading(1000, { [udp]: 8 }),
    enis: ['eni-1', 'eni-2'],
    rates: [8, 8, 8],
  },
  {
    name: 'a device that vanished and whose counters stay',
    before: reading(0, { [udp2]: 900 }, ['eni-1', 'eni-2']),
    now: reading(1000, { [udp]: 8, [udp2]: 900 }, ['eni-1', 'eni-2']),
    enis: ['eni-1', 'eni-2'],
    rates: [8, 8, 8],
  },
  {
    name: 'two ENIs',
    before: reading(0, {}, ['eni-1', 'eni-2']),
    now: reading(1000, { [udp]: 8, [udp2]: 90 }, ['eni-1', 'eni-2']),
    enis: ['eni-1', 'eni-2'],
    rates: [98, 98, 98],
  },
  { name: 'no ENI', before: reading(0), now: reading(1000), enis: [], rates: null },
  { name: 'out of scope', before: reading(0), now: reading(1000, { [udp]: 1, [outOfScope]: 9 }), rates: [1, 1, 10] },
  {
    name: 'drops',
    before: reading(0, { [dropped]: 10 }),
    now: reading(1000, { [udp]: 50, [dropped]: 40 }),
    rates: [50, 20, 50],
  },
  {
    name: 'drops that are counted from now on',
    before: reading(0),
    now: reading(1000, { [udp]: 50, [dropped]: 40 }),
    rates: [50, 10, 50],
  },
  {
    name: 'drops that are counted no longer',
    before: reading(0, { [dropped]: 40 }),
    now: reading(1000, { [udp]: 50 }),
    rates: [50, 50, 50],
  },
  {
    name: 'drops counted anew',
    before: reading(0, { [dropped]: 40 }),
    now: reading(1000, { [udp]: 50, [dropped]: 4 }),
    rates: null,
  },
  {
    name: 'drops read later than what was offered',
    before: reading(0),
    now: reading(1000, { [udp]: 50, [dropped]: 53 }),
    rates: [50, 0, 50],
  },
]

describe('a sample of two readings', () => {
  for (const { name, before, now, rates, enis = ['eni-1'] } of rows) {
    test(name, () => {
      const sample = sampleOf(before, now, enis)
      const found = sample && [sample.offered, sample.passed, sample.all].map(rate => rate.packetsPerSecond)
      assert.deepEqual(found, rates)
      if (sample !== null) assert.equal(sample.offered.bitsPerSecond, rates![0] * 800)
    })
  }

  test('tells of each instance by itself', () => {
    const other = makeScrubInstance({ id: 'i-2', enis: [{ id: 'eni-2', device: 'eth1', placement: 'guest' }] })
    const ir = makeScrubIr([makeScrubInstance(), other])
    const before = reading(0, { [udp]: 9 }, ['eni-1', 'eni-2'])
    const samples = sampleInstances(ir, before, reading(1000, { [udp]: 3, [udp2]: 4 }, ['eni-1', 'eni-2']))
    assert.deepEqual([...samples.keys()], ['i-2'])
  })

  test('is the true rate whenever the readings were taken, and loses nothing', () => {
    const increases = fc.array(fc.nat(1e9), { minLength: kinds.length, maxLength: kinds.length })
    fc.assert(
      fc.property(increases, increases, fc.integer({ min: 1, max: 1e7 }), (first, second, intervalMs) => {
        const at = (amounts: readonly number[], takenAtMs: number) =>
          reading(takenAtMs, Object.fromEntries(kinds.map((kind, index) => [`eni-1/offered/${kind}`, amounts[index]!])))
        const sums = first.map((packets, index) => packets + second[index]!)
        const sample = sampleOf(at(first, 7), at(sums, 7 + intervalMs))!
        const inScope = trafficTypes.reduce((sum, type) => sum + sample.amounts.byType[type].packets, 0)
        assert.equal(sample.amounts.offered.packets, inScope)
        assert.equal(
          sample.amounts.all.packets,
          second.reduce((sum, packets) => sum + packets, 0),
        )
        assert.equal(sample.offered.packetsPerSecond, (inScope * 1000) / intervalMs)
      }),
    )
  })

  test('offered is passed and dropped, whatever the counters say', () => {
    const drops = fc.array(fc.nat(1000), { minLength: scrubSteps.length, maxLength: scrubSteps.length })
    fc.assert(
      fc.property(fc.nat(5000), drops, (packets, each) => {
        const counted = Object.fromEntries(scrubSteps.map((step, index) => [`i-1/dropped/${step}`, each[index]!]))
        const { amounts } = sampleOf(reading(0), reading(1000, { [udp]: packets, ...counted }))!
        const lost = scrubSteps.reduce((sum, step) => sum + amounts.dropped[step].packets, 0)
        assert.equal(amounts.passed.packets + lost, amounts.offered.packets)
        assert.ok(amounts.passed.packets >= 0)
      }),
    )
  })
})

function sampleOf(before: Reading | null, now: Reading, enis: readonly string[] = ['eni-1']): Sample | null {
  const instance = makeScrubInstance({ enis: enis.map(id => ({ id, device: id, placement: 'host' as const })) })
  return sampleInstances(makeScrubIr([instance]), before, now).get('i-1') ?? null
}

const limit = thresholdRate({ bpsMbit: 1000, pps: 300_000 })
const crossings = [
  ['at both limits', 300_000, 1_000_000_000, []],
  ['one packet above', 300_001, 1_000_000_000, ['packetsPerSecond']],
  ['one bit above', 300_000, 1_000_000_001, ['bitsPerSecond']],
  ['one of each above', 300_001, 1_000_000_001, ['bitsPerSecond', 'packetsPerSecond']],
  ['one of each below', 299_999, 999_999_999, []],
  ['far above in packets, nothing in bits', 9e9, 0, ['packetsPerSecond']],
] as const

describe('a threshold is exceeded', () => {
  for (const [name, packetsPerSecond, bitsPerSecond, exceeded] of crossings) {
    test(name, () => {
      assert.deepEqual(exceededMeasures({ packetsPerSecond, bitsPerSecond }, limit), exceeded)
    })
  }

  test('not by what was counted exactly at it, over any whole number of seconds', () => {
    for (const seconds of [1, 2, 3, 7, 60]) {
      const before = reading(0)
      const exact = new Map(before.counters).set(udp, { packets: 300_000 * seconds, bytes: 125_000_000 * seconds })
      const sample = sampleOf(before, { takenAtMs: seconds * 1000, counters: exact })!
      assert.deepEqual(exceededMeasures(sample.offered, limit), [], `${seconds} s`)
    }
  })
})

test('others are told whole numbers, without what is zero', () => {
  const sample = makeSample({ udp: 10, icmp: 1 }, { dropped: { udp: 3 }, intervalMs: 1500 })
  const told = wireSample(sample, '2026-01-01T00:00:00.000Z')
  assert.deepEqual(Object.keys(told.byType), ['udp', 'icmp'])
  assert.deepEqual(told.dropped, { udp: { packetsPerSecond: 3, bitsPerSecond: 2400 } })
  assert.equal(told.intervalSeconds, 1.5)
})
