import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adaptCleaning } from '../../../agent/scrub/cleaning.ts'
import { newState } from '../../../agent/scrub/decide.ts'
import { makeSample } from '../../support/traffic.ts'

test('lanes are adapted to what was measured, and not without a sample, however late', () => {
  const { recognition, baseline } = newState('i-1')
  const input = {
    limit: { packetsPerSecond: 1000, bitsPerSecond: 5_000_000 },
    usual: baseline.usual,
    recognition: { ...recognition, signs: ['udp'] as const },
    sample: makeSample({ udp: 9000 }),
    heaviest: null,
    nowMs: 1000,
  }
  const begun = adaptCleaning(null, input)
  // Meanwhile much else has arrived for some seconds, so that the lane would be narrower.
  const other = makeSample({ udp: 9000, icmp: 900 }, { intervalMs: 10_000, takenAtMs: 11_000 })
  const measured = { ...begun, rest: adaptCleaning(begun, { ...input, sample: other, nowMs: 2000 }).rest }
  const later = { ...input, nowMs: 60_000 }
  assert.deepEqual(adaptCleaning(measured, { ...later, sample: null }).lanes, begun.lanes)
  assert.notDeepEqual(adaptCleaning(measured, { ...later, sample: other }).lanes, begun.lanes)
})
