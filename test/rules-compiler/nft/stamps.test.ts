import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { markFields, sideOf, stampCount } from '../../../rules-compiler/nft/stamps.ts'

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`

describe('markFields', () => {
  const cases: { mask: number; entered: string; left: string; count: number }[] = [
    { mask: 0xffffff00, entered: '0xfff00000', left: '0x000fff00', count: 4095 },
    { mask: 0xffffffff, entered: '0xffff0000', left: '0x0000ffff', count: 65_535 },
    { mask: 0x0000ffff, entered: '0x0000ff00', left: '0x000000ff', count: 255 },
    { mask: 0xff000000, entered: '0xf0000000', left: '0x0f000000', count: 15 },
    { mask: 0x7fffffe0, entered: '0x7ffc0000', left: '0x0003ffe0', count: 8191 },
    { mask: 0x000000ff, entered: '0x000000f0', left: '0x0000000f', count: 15 },
  ]
  for (const { mask, entered, left, count } of cases) {
    test(`of ${hex(mask)}`, () => {
      const fields = markFields(mask)
      assert.deepEqual({ entered: hex(fields.entered.mask), left: hex(fields.left.mask) }, { entered, left })
      assert.equal(stampCount(mask), count)
      for (const field of [fields.entered, fields.left]) {
        for (const stamp of [1, count]) {
          assert.equal((field.place(stamp) & ~field.mask) >>> 0, 0, `stamp ${stamp} stays in its field`)
          const other = (~field.mask & 0xffff_ffff) >>> 0
          assert.equal(field.read((field.place(stamp) | other) >>> 0), stamp, 'whatever the other bits are')
        }
      }
    })
  }
})

describe('sideOf', () => {
  const cases = [
    { placement: 'host', direction: 'ingress', expected: 'entered' },
    { placement: 'host', direction: 'egress', expected: 'left' },
    { placement: 'guest', direction: 'ingress', expected: 'left' },
    { placement: 'guest', direction: 'egress', expected: 'entered' },
  ] as const
  for (const { placement, direction, expected } of cases) {
    test(`${direction} at a ${placement} device`, () => assert.equal(sideOf(placement, direction), expected))
  }
})
