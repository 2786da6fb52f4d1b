import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MultiMap } from '../../../daemon/state/multi-map.ts'

const step = fc.record({
  operation: fc.constantFrom('add', 'delete'),
  key: fc.constantFrom('a', 'b'),
  value: fc.constantFrom('1', '2', '3'),
} as const)

test('a multi-map is a map of sets, whatever is added and deleted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const map = new MultiMap()
      const model = new Map([
        ['a', new Set<string>()],
        ['b', new Set<string>()],
      ])
      for (const { operation, key, value } of steps) {
        map[operation](key, value)
        model.get(key)![operation](value)
        for (const [each, values] of model) assert.deepEqual([...map.get(each)].sort(), [...values].sort())
      }
    }),
  )
})
