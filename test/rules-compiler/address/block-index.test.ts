import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { indexBlocks } from '../../../rules-compiler/address/block-index.ts'
import { cidrsOverlap, makeCidr } from '../../../rules-compiler/address/cidr.ts'

/** Few enough addresses that blocks meet often. */
const arbitraryBlock = fc
  .record({ value: fc.nat(0xff), length: fc.integer({ min: 22, max: 32 }) })
  .map(({ value, length }) => makeCidr('ip', BigInt(value), length))

test('what meets a block is found, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(arbitraryBlock), arbitraryBlock, (blocks, asked) => {
      const items = blocks.map((block, number) => ({ block, number }))
      const find = indexBlocks(items, item => item.block)
      const expected = items.filter(({ block }) => cidrsOverlap(block, asked))
      assert.deepEqual(
        find(asked).toSorted((a, b) => a.number - b.number),
        expected,
      )
    }),
  )
})

test('nothing meets anything where there is nothing', () => {
  assert.deepEqual(indexBlocks([], () => makeCidr('ip', 0n, 0))(makeCidr('ip', 0n, 0)), [])
})
