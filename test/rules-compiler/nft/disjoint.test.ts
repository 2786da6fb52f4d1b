import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeCidr, parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { portRangeText } from '../../../rules-compiler/address/port-range.ts'
import { type Box, makeDisjoint } from '../../../rules-compiler/nft/disjoint.ts'
import { chooseFieldOrder } from '../../../rules-compiler/nft/field-order.ts'

const box = (text: string): Box => {
  const [cidr = '', ports = '', ruleId = ''] = text.split(' ')
  const [first = '', last = first] = ports.split('-')
  return { cidr: parseCidr(cidr)!, range: { first: Number(first), last: Number(last) }, ruleId }
}
const show = (sets: readonly (readonly Box[])[]) =>
  sets.map(set => set.map(({ cidr, range, ruleId }) => `${cidr.text} ${portRangeText(range)} ${ruleId}`))

const cases: { name: string; boxes: string[]; expected: string[][] }[] = [
  { name: 'nothing gives nothing', boxes: [], expected: [] },
  {
    name: 'an enclosing block keeps what it has, the inner one the rest',
    boxes: ['10.1.0.0/16 80-90 inner', '10.0.0.0/8 85-95 outer'],
    expected: [['10.0.0.0/8 85-95 outer', '10.1.0.0/16 80-84 inner']],
  },
  {
    name: 'an inner block that adds nothing is left out',
    boxes: ['10.0.0.0/8 1-100 outer', '10.1.0.0/16 50 inner'],
    expected: [['10.0.0.0/8 1-100 outer']],
  },
  {
    name: 'ranges of one block go to the first that has them',
    boxes: ['10.0.0.0/8 80-90 first', '10.0.0.0/8 85-95 second', '10.0.0.0/8 70-100 third'],
    expected: [
      ['10.0.0.0/8 70-79 third', '10.0.0.0/8 80-90 first', '10.0.0.0/8 91-95 second', '10.0.0.0/8 96-100 third'],
    ],
  },
  {
    name: 'a range that many ports from anywhere would cut to pieces goes to a set of its own',
    boxes: [...Array.from({ length: 9 }, (_, i) => `0.0.0.0/0 ${i * 10 + 10} port${i}`), '10.0.0.0/8 1-200 wide'],
    expected: [Array.from({ length: 9 }, (_, i) => `0.0.0.0/0 ${i * 10 + 10} port${i}`), ['10.0.0.0/8 1-200 wide']],
  },
]

for (const { name, boxes, expected } of cases) {
  test(`makeDisjoint: ${name}`, () => assert.deepEqual(show(makeDisjoint(boxes.map(box))), expected))
}

/** Small blocks and ports, so that boxes meet often: 16 addresses, 32 ports. */
const smallBox = fc
  .record({
    address: fc.nat(15),
    length: fc.integer({ min: 28, max: 32 }),
    a: fc.nat(31),
    b: fc.nat(31),
    rule: fc.nat(9),
  })
  .map(
    ({ address, length, a, b, rule }): Box => ({
      cidr: makeCidr('ip', BigInt(address), length),
      range: { first: Math.min(a, b), last: Math.max(a, b) },
      ruleId: `r${rule}`,
    }),
  )

const covers = (each: Box, address: bigint, port: number) =>
  each.cidr.first <= address && address <= each.cidr.last && each.range.first <= port && port <= each.range.last

test('makeDisjoint: covers the same points, each at most once in a set, with at most eight pieces a box', () => {
  fc.assert(
    fc.property(fc.array(smallBox, { maxLength: 60 }), boxes => {
      const sets = makeDisjoint(boxes)
      for (let address = 0n; address < 16n; address += 1n) {
        for (let port = 0; port < 32; port += 1) {
          const hits = sets.map(set => set.filter(each => covers(each, address, port)).length)
          assert.ok(hits.every(count => count <= 1))
          assert.equal(
            hits.some(count => count > 0),
            boxes.some(each => covers(each, address, port)),
          )
        }
      }
      assert.ok(sets.flat().length <= 8 * 2 * boxes.length)
    }),
    { numRuns: 300 },
  )
})

test('makeDisjoint: half single ports from anywhere, half wide ranges from blocks stay near n elements', () => {
  const ports = Array.from({ length: 500 }, (_, i) => box(`0.0.0.0/0 ${i * 100 + 50} p${i}`))
  const blocks = Array.from({ length: 500 }, (_, i) => box(`10.${i >> 8}.${i & 255}.0/24 1-65535 b${i}`))
  const sets = makeDisjoint([...ports, ...blocks])
  assert.deepEqual(
    sets.map(set => set.length),
    [500, 500],
  )
})

test('chooseFieldOrder: one port from many blocks looks at the address first', () => {
  const boxes = Array.from({ length: 100 }, (_, i) => box(`10.0.${i}.0/24 443 r`))
  assert.deepEqual(
    chooseFieldOrder(boxes).map(part => part.first),
    ['address'],
  )
})

test('chooseFieldOrder: many ports from anywhere look at the port first', () => {
  const boxes = Array.from({ length: 100 }, (_, i) => box(`0.0.0.0/0 ${i * 2 + 1} r`))
  assert.deepEqual(
    chooseFieldOrder(boxes).map(part => part.first),
    ['range'],
  )
})

test('chooseFieldOrder: half of each goes to two sets', () => {
  const boxes = [
    ...Array.from({ length: 100 }, (_, i) => box(`10.0.${i}.0/24 65000 r`)),
    ...Array.from({ length: 100 }, (_, i) => box(`0.0.0.0/0 ${i * 2 + 1} r`)),
  ]
  assert.deepEqual(
    chooseFieldOrder(boxes).map(part => [part.first, part.boxes.length]),
    [
      ['range', 100],
      ['address', 100],
    ],
  )
})
