/**
 * Which field a concatenated interval set (pipapo) looks at first. The kernel intersects bitmaps field by field, and
 * each element that still matches costs 20-25 ns in every step after it (measured on Linux 6.18: 25 µs a packet for
 * 1,000 rules of one port looked at port first, next to nothing address first; the other way round for 1,000 port
 * ranges from anywhere). No single order is safe, so the elements are counted: all one way, all the other way, or
 * split in two by how long their prefixes are, or by the side on which fewer others match with them.
 */
import { firstIndex } from '../address/first-index.ts'
import { type Box, compareNumbers } from './disjoint.ts'

export interface OrderedBoxes {
  readonly first: 'address' | 'range'
  readonly boxes: readonly Box[]
}

/** What one more lookup costs, in elements that match in the first field. */
const lookupCost = 5

/**
 * @param boxes  disjoint, not empty
 * @returns one or two lists, each with the field to look at first; together the boxes given, in their order
 */
export function chooseFieldOrder(boxes: readonly Box[]): readonly OrderedBoxes[] {
  const whole: readonly Plan[] = [[{ first: 'address', boxes }], [{ first: 'range', boxes }]]
  const simple = cheapest(whole)
  // A second lookup can win no more than this.
  if (simple.cost <= 2 * (lookupCost + 1)) return simple.plan
  const lengths = [...new Set(boxes.map(box => box.cidr.prefixLength))].sort((a, b) => a - b)
  const sameAddress = countByAddress(boxes)
  const sameRange = countByRange(boxes)
  const splits = [
    split(boxes, box => sameAddress.get(box)! <= sameRange.get(box)!),
    ...lengths.slice(1).map(length => split(boxes, box => box.cidr.prefixLength >= length)),
  ]
  return cheapest([simple.plan, ...splits.filter(plan => plan.every(part => part.boxes.length > 0))]).plan
}

type Plan = readonly OrderedBoxes[]

function split(boxes: readonly Box[], addressFirst: (box: Box) => boolean): Plan {
  return [
    { first: 'range', boxes: boxes.filter(box => !addressFirst(box)) },
    { first: 'address', boxes: boxes.filter(addressFirst) },
  ]
}

function cheapest(plans: readonly Plan[]): { readonly plan: Plan; readonly cost: number } {
  return plans
    .map(plan => ({ plan, cost: plan.reduce((sum, part) => sum + cost(part), 0) }))
    .reduce((best, next) => (next.cost < best.cost ? next : best))
}

/** The most elements a packet can match in the first field, and the lookup itself. */
function cost({ first, boxes }: OrderedBoxes): number {
  const counts = first === 'address' ? countByAddress(boxes) : countByRange(boxes)
  let most = 0
  for (const count of counts.values()) if (count > most) most = count
  return lookupCost + most
}

/** For each box, how many have a block that holds its block: as many match in the address field with it. */
function countByAddress(boxes: readonly Box[]): ReadonlyMap<Box, number> {
  const blocks = new Map<string, { readonly cidr: Box['cidr']; readonly boxes: Box[] }>()
  for (const box of boxes) {
    const block = blocks.get(box.cidr.text)
    if (block === undefined) blocks.set(box.cidr.text, { cidr: box.cidr, boxes: [box] })
    else block.boxes.push(box)
  }
  const ordered = [...blocks.values()].sort(
    (a, b) => compareNumbers(a.cidr.first, b.cidr.first) || a.cidr.prefixLength - b.cidr.prefixLength,
  )
  const counts = new Map<Box, number>()
  const enclosing: { readonly last: bigint; readonly count: number }[] = []
  for (const block of ordered) {
    while (enclosing.length > 0 && enclosing.at(-1)!.last < block.cidr.first) enclosing.pop()
    const count = (enclosing.at(-1)?.count ?? 0) + block.boxes.length
    enclosing.push({ last: block.cidr.last, count })
    for (const box of block.boxes) counts.set(box, count)
  }
  return counts
}

/** For each box, how many ranges overlap with its range: at most as many match in the range field with it. */
function countByRange(boxes: readonly Box[]): ReadonlyMap<Box, number> {
  const firsts = boxes.map(box => box.range.first).sort((a, b) => a - b)
  const lasts = boxes.map(box => box.range.last).sort((a, b) => a - b)
  const counts = new Map<Box, number>()
  for (const box of boxes) {
    const begunBefore = countAtMost(firsts, box.range.last)
    const endedBefore = countAtMost(lasts, box.range.first - 1)
    counts.set(box, begunBefore - endedBefore)
  }
  return counts
}

/** How many of the ordered values are at most the limit. */
function countAtMost(values: readonly number[], limit: number): number {
  return firstIndex(values.length, index => values[index]! > limit)
}
