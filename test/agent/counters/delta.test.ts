import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { advance, type Total } from '../../../agent/counters/delta.ts'

const rows: readonly (readonly [name: string, readings: readonly number[], totals: readonly number[]])[] = [
  ['the first reading counts whole', [7], [7]],
  ['what is added since', [7, 10, 10, 12], [7, 10, 10, 12]],
  ['a counter made anew', [7, 2], [7, 9]],
  ['a counter made anew that has not counted yet', [7, 0, 3], [7, 7, 10]],
  ['made anew twice', [5, 1, 1, 0, 4], [5, 6, 6, 6, 10]],
  ['beyond 32 bits', [2 ** 40, 2 ** 40 + 5, 3], [2 ** 40, 2 ** 40 + 5, 2 ** 40 + 8]],
]

describe('totals', () => {
  for (const [name, readings, totals] of rows) {
    test(name, () => {
      assert.deepEqual(
        follow(readings).map(({ total }) => total),
        totals,
      )
    })
  }

  test('never fall, and are the sum of the increases', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1 }), readings => {
        let sum = 0
        for (const { total, increase } of follow(readings)) {
          sum += increase
          assert.ok(increase >= 0)
          assert.equal(total, sum)
        }
      }),
    )
  })
})

function follow(readings: readonly number[]): readonly Total[] {
  let last: Total | null = null
  return readings.map(reading => {
    last = advance(last, reading)
    return last
  })
}
