import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type SourceReading, sourceConcentration, topSources, watchSources } from '../../../agent/scrub/sources.ts'

type Counted = readonly (readonly [address: string, packets: number])[]

function reading(takenAtMs: number, sampled: Counted, heavy: Counted = []): SourceReading {
  const counted = (list: Counted) => list.map(([address, packets]) => ({ address, packets, bytes: packets * 100 }))
  return { takenAtMs, heavy: counted(heavy), sampled: counted(sampled), sampledOneIn: 16 }
}

const a = '203.0.113.1'
const b = '2001:db8::1'

interface Row {
  readonly name: string
  readonly readings: readonly (readonly [sampled: Counted, heavy?: Counted] | null)[]
  readonly packets: Readonly<Record<string, number>>
}

const rows: readonly Row[] = [
  { name: 'are scaled to all packets', readings: [[[[a, 10]]]], packets: { [a]: 160 } },
  { name: 'are what their counters grow by', readings: [[[[a, 10]]], [[[a, 30]]]], packets: { [a]: 480 } },
  { name: 'that come back count on', readings: [[[[a, 10]]], [[]], [[[a, 5]]]], packets: { [a]: 240 } },
  { name: 'that came back between two readings', readings: [[[[a, 10]]], [[[a, 5]]]], packets: { [a]: 240 } },
  { name: 'stay when nothing could be read', readings: [[[[a, 10]]], null, [[[a, 12]]]], packets: { [a]: 192 } },
  { name: 'that were dropped count exactly', readings: [[[], [[a, 7]]]], packets: { [a]: 7 } },
  {
    name: 'that were dropped after they passed',
    readings: [[[[a, 10]]], [[[a, 10]], [[a, 7]]]],
    packets: { [a]: 167 },
  },
  {
    name: 'of both families',
    readings: [
      [
        [
          [a, 1],
          [b, 2],
        ],
      ],
    ],
    packets: { [b]: 32, [a]: 16 },
  },
]

describe('top sources', () => {
  for (const { name, readings, packets } of rows) {
    test(name, () => {
      let watched = watchSources(null, null, 5)
      assert.equal(watched, null)
      for (const [index, each] of readings.entries()) {
        watched = watchSources(watched, each && reading(index * 1000, ...each), 1000)
      }
      assert.deepEqual(
        Object.fromEntries(topSources(watched).map(({ address, packets: of }) => [address, of])),
        packets,
      )
    })
  }

  test('are ten at most, heaviest first, of a bounded memory', () => {
    const many = Array.from({ length: 50_000 }, (_, index): [string, number] => [
      `2001:db8::${index}`,
      (index * 7919) % 50_000,
    ])
    const watched = watchSources(null, reading(0, many), 1e9)!
    assert.equal(watched.sources.length, 200)
    const packets = topSources(watched).map(source => source.packets / 16)
    assert.deepEqual(
      packets,
      Array.from({ length: 10 }, (_, index) => 49_999 - index),
    )
  })

  test('that send on are found among any number of others', () => {
    let watched = watchSources(null, reading(0, []), 0)
    for (let second = 1; second <= 20; second++) {
      const forged = Array.from({ length: 5000 }, (_, index): [string, number] => [`2001:db8:${second}::${index}`, 1])
      watched = watchSources(watched, reading(second * 1000, [...forged, [a, second * 3], [b, second * 2]]), 1e6)
    }
    assert.deepEqual(
      topSources(watched)
        .slice(0, 2)
        .map(({ address, packets }) => [address, packets]),
      [
        [a, 20 * 3 * 16],
        [b, 20 * 2 * 16],
      ],
    )
  })

  test('have shares from 0 to 1 of what was offered since they were watched', () => {
    const watched = watchSources(watchSources(null, reading(0, [[a, 10]]), 400), null, 400)
    assert.equal(topSources(watched)[0]!.share, 160 / 800)
    assert.equal(sourceConcentration(watched), 160 / 800)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(a, b, '198.51.100.7'), fc.nat(1e6))),
        fc.nat(1e7),
        (list, offered) => {
          const unique = [...new Map(list)]
          const some = watchSources(null, reading(0, unique, unique), offered)
          for (const { share } of topSources(some)) assert.ok(share >= 0 && share <= 1)
          const concentration = sourceConcentration(some)
          assert.ok(concentration === null || (concentration >= 0 && concentration <= 1))
        },
      ),
    )
  })
})

test('the heaviest source is the one that sent most since the last reading, of those that were there then', () => {
  const first = watchSources(null, reading(0, [[a, 100]]), 0)
  assert.equal(first?.heaviest, null)
  const others: Counted = [
    [a, 110],
    [b, 9000],
  ]
  const second = watchSources(first, reading(2000, others), 0)
  assert.deepEqual(second?.heaviest, { packetsPerSecond: 80, bitsPerSecond: 64_000 })
  const third = watchSources(second, reading(3000, [[b, 9010]]), 0)
  assert.deepEqual(third?.heaviest, { packetsPerSecond: 160, bitsPerSecond: 128_000 })
  assert.equal(watchSources(third, null, 5)?.heaviest, third?.heaviest)
})
