import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ringCapacity, SampleRing } from '../../../agent/scrub/ring.ts'
import type { DdosSample } from '../../../wire/ddos.ts'

const rate = (packetsPerSecond: number) => ({ packetsPerSecond, bitsPerSecond: 8_000 * packetsPerSecond })

function sample(second: number, packets = second): DdosSample {
  return {
    instanceId: 'i-1',
    time: new Date(1_700_000_000_000 + second * 1000).toISOString(),
    intervalSeconds: 1,
    offered: rate(packets),
    passed: rate(packets / 2),
    all: rate(packets + 1),
    byType: { udp: rate(packets) },
    dropped: { udp: rate(packets / 2) },
  }
}

describe('the ring of samples', () => {
  test('gives back what it was given, but for what was dropped', () => {
    const ring = new SampleRing(10)
    ring.add(sample(7))
    const { instanceId: _, dropped: __, ...rest } = sample(7)
    assert.deepEqual(ring.list(), [rest])
  })

  test('leaves out types without traffic', () => {
    const ring = new SampleRing(10)
    ring.add(sample(1, 0))
    assert.deepEqual(ring.list()[0]?.byType, {})
  })

  test('keeps the newest, oldest first, whatever its capacity becomes', () => {
    const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.integer({ min: 1, max: 300 })), { maxLength: 400 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), steps, (first, changes) => {
        let capacity = first
        let expected: number[] = []
        const ring = new SampleRing(capacity)
        changes.forEach((step, second) => {
          if (step === 'add') {
            ring.add(sample(second))
            expected.push(second)
          } else {
            capacity = step
            ring.setCapacity(capacity)
          }
          // A ring that has not grown to a smaller capacity has nothing to forget yet.
          if (expected.length > capacity) expected = expected.slice(-capacity)
        })
        assert.deepEqual(
          ring.list().map(each => each.offered.packetsPerSecond),
          expected,
        )
        assert.equal(ring.length, expected.length)
      }),
    )
  })

  test('is an hour for a hundred instances, and shorter for more', () => {
    assert.equal(ringCapacity(1), 3_600)
    assert.equal(ringCapacity(100), 3_600)
    assert.ok(ringCapacity(1_000) < 600)
    assert.equal(ringCapacity(100_000), 300)
  })
})
