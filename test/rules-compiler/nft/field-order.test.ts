import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { makeCidr, parseCidr } from '../../../rules-compiler/address/cidr.ts'
import type { Box } from '../../../rules-compiler/nft/disjoint.ts'
import { chooseFieldOrder } from '../../../rules-compiler/nft/field-order.ts'

const box = (cidr: string, first: number, last = first): Box => ({
  cidr: parseCidr(cidr)!,
  range: { first, last },
  ruleId: 'r',
})
const times = (count: number, make: (index: number) => Box) => Array.from({ length: count }, (_, index) => make(index))

/** `address 3` is a set of three elements that looks at the address first. */
const cases: { name: string; boxes: Box[]; expected: string[] }[] = [
  { name: 'one element', boxes: [box('0.0.0.0/0', 443)], expected: ['address 1'] },
  {
    name: 'a few of both kinds are not worth a second lookup',
    boxes: [box('0.0.0.0/0', 443), box('10.0.0.0/8', 1, 100)],
    expected: ['range 2'],
  },
  { name: 'one port from many blocks', boxes: times(50, i => box(`10.0.${i}.0/24`, 443)), expected: ['address 50'] },
  { name: 'many ports from anywhere', boxes: times(50, i => box('0.0.0.0/0', 2 * i + 1)), expected: ['range 50'] },
  {
    name: 'many ports from anywhere in IPv6',
    boxes: times(50, i => box('::/0', 2 * i + 1)),
    expected: ['range 50'],
  },
  {
    name: 'a chain of nested blocks matches as one in the address field',
    boxes: times(25, i => box(`10.0.0.0/${i + 8}`, 2 * i + 1)),
    expected: ['range 25'],
  },
  {
    name: 'both in one policy are split in two',
    boxes: [...times(50, i => box('0.0.0.0/0', 2 * i + 1)), ...times(50, i => box(`10.0.${i}.0/24`, 60_000))],
    expected: ['range 50', 'address 50'],
  },
  {
    name: 'the same with blocks of every length',
    boxes: [
      ...times(40, i => box('10.0.0.0/8', 2 * i + 1)),
      ...times(40, i => box('11.0.0.0/16', 2 * i + 1)),
      ...times(80, i => box(`12.0.${i}.0/24`, 60_000)),
    ],
    expected: ['range 80', 'address 80'],
  },
]

test('more elements than a function takes arguments', () => {
  const boxes = times(200_000, index => box(`10.0.${index % 200}.0/24`, Math.floor(index / 200) + 1))
  assert.equal(
    chooseFieldOrder(boxes).reduce((sum, part) => sum + part.boxes.length, 0),
    boxes.length,
  )
})

describe('chooseFieldOrder', () => {
  for (const { name, boxes, expected } of cases) {
    test(name, () =>
      assert.deepEqual(
        chooseFieldOrder(boxes).map(part => `${part.first} ${part.boxes.length}`),
        expected,
      ),
    )
  }

  test('gives back every element once, in the order given', () => {
    const anyBox = fc
      .record({ address: fc.nat(255), length: fc.integer({ min: 24, max: 32 }), first: fc.nat(99), more: fc.nat(9) })
      .map(
        ({ address, length, first, more }): Box => ({
          cidr: makeCidr('ip', BigInt(address), length),
          range: { first, last: first + more },
          ruleId: 'r',
        }),
      )
    fc.assert(
      fc.property(fc.array(anyBox, { minLength: 1, maxLength: 80, size: 'max' }), boxes => {
        const parts = chooseFieldOrder(boxes)
        assert.ok(parts.length >= 1 && parts.length <= 2)
        assert.deepEqual(new Set(parts.flatMap(part => part.boxes)), new Set(boxes))
        for (const part of parts) {
          const inOrder = boxes.filter(each => part.boxes.includes(each))
          assert.deepEqual(part.boxes, inOrder)
          assert.ok(part.boxes.length > 0)
        }
      }),
      { numRuns: 200 },
    )
  })
})
