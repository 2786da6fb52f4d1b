/**
 * Disjoint elements. A concatenated interval set refuses an element whose start or end lies in another, and takes
 * other overlaps silently (nft 1.0.6, Linux 6.18), so what goes into one set is made disjoint first. All elements of a
 * set have one verdict: which of two overlapping rules an element came from matters to its hit counter only.
 *
 * CIDR blocks nest or are disjoint, so it is enough to take from each block the ranges that its enclosing blocks
 * already have. Taken alone, that can cost n²/4 elements: n/2 single ports from anywhere cut each of n/2 blocks with
 * a wide range into n/2 pieces. So a range that would fall into more than `maxPieces` stays whole in a further set,
 * where it is only cut by ranges that went there for the same reason. Each set needs `maxPieces` times as many boxes
 * as the one before it, which bounds the sets by 1 + log8 n and the elements by 8 n.
 */
import type { Cidr } from '../address/cidr.ts'
import { firstIndex } from '../address/first-index.ts'
import type { PortRange } from '../address/port-range.ts'

/** What one element covers: a block of peers and a range of ports (or of protocol numbers). */
export interface Box {
  readonly cidr: Cidr
  readonly range: PortRange
  readonly ruleId: string
}

const maxPieces = 8

/**
 * @param boxes  of one family, in deciding order; a range that several boxes of the same block have goes to the first
 * @returns lists of boxes, disjoint within each list, that together cover what was given; ordered by block and range
 */
export function makeDisjoint(boxes: readonly Box[]): readonly (readonly Box[])[] {
  const sets: Box[][] = []
  /** The enclosing blocks of the present one, outermost first. */
  const enclosing: Enclosing[] = []
  for (const block of groupByBlock(boxes)) {
    while (enclosing.length > 0 && enclosing.at(-1)!.cidr.last < block.cidr.first) enclosing.pop()
    const outer = coveredBy(enclosing.at(-1))
    const own: PortRange[][] = []
    for (const box of block.boxes) {
      for (let index = 0; ; index += 1) {
        const pieces = subtractRanges(box.range, outer[index] ?? [])
        if (pieces.length > maxPieces) continue
        if (pieces.length > 0) {
          for (let next = sets.length; next <= index; next += 1) sets.push([])
          sets[index]!.push(...pieces.map(range => ({ ...box, range })))
          for (let next = own.length; next <= index; next += 1) own.push([])
          own[index]!.push(...pieces)
        }
        break
      }
    }
    enclosing.push({ cidr: block.cidr, outer, own, covered: null })
  }
  return sets.filter(set => set.length > 0)
}

interface Enclosing {
  readonly cidr: Cidr
  /** What the blocks around it cover in each set, and what it adds. */
  readonly outer: readonly (readonly PortRange[])[]
  readonly own: readonly (readonly PortRange[])[]
  covered: readonly (readonly PortRange[])[] | null
}

/** What a block and those around it cover in each set; put together only when a block inside it asks. */
function coveredBy(block: Enclosing | undefined): readonly (readonly PortRange[])[] {
  if (block === undefined) return []
  const { outer, own } = block
  block.covered ??= Array.from({ length: Math.max(outer.length, own.length) }, (_, index) =>
    mergeRanges(outer[index] ?? [], own[index] ?? []),
  )
  return block.covered
}

/** Blocks in the order of a walk from the outside in, each with ranges that no longer overlap, ordered. */
function groupByBlock(boxes: readonly Box[]): readonly { readonly cidr: Cidr; readonly boxes: readonly Box[] }[] {
  const blocks = new Map<string, Box[]>()
  for (const box of boxes) {
    const block = blocks.get(box.cidr.text)
    if (block === undefined) blocks.set(box.cidr.text, [box])
    else block.push(box)
  }
  return [...blocks.values()]
    .map(block => ({ cidr: block[0]!.cidr, boxes: flattenBlock(block) }))
    .sort((a, b) => compareNumbers(a.cidr.first, b.cidr.first) || a.cidr.prefixLength - b.cidr.prefixLength)
}

/** Overlaps within one block go to the first box that has them; neighbouring pieces of one rule become one again. */
function flattenBlock(block: readonly Box[]): readonly Box[] {
  if (block.length === 1) return block
  const ends = [...new Set(block.flatMap(box => [box.range.first, box.range.last + 1]))].sort((a, b) => a - b)
  const pieces: { box: Box; range: { first: number; last: number } }[] = []
  const openBoxes = sweepFirstBox(block, ends)
  ends.forEach((first, index) => {
    const box = openBoxes[index]
    const next = ends[index + 1]
    if (box === undefined || next === undefined) return
    const previous = pieces.at(-1)
    if (previous?.box === box && previous.range.last + 1 === first) previous.range.last = next - 1
    else pieces.push({ box, range: { first, last: next - 1 } })
  })
  return pieces.map(({ box, range }) => ({ ...box, range }))
}

/** For each elementary interval that starts at `ends[i]`, the first box of the block that covers it. */
function sweepFirstBox(block: readonly Box[], ends: readonly number[]): readonly (Box | undefined)[] {
  const position = new Map(ends.map((end, index) => [end, index]))
  const owner: (Box | undefined)[] = Array.from({ length: ends.length })
  // `nextFree[i]` leads to the first interval at or after i without an owner, so each interval is visited once.
  const nextFree = ends.map((_, index) => index)
  const findFree = (start: number): number => {
    let index = start
    while (index < ends.length && nextFree[index] !== index) {
      nextFree[index] = nextFree[nextFree[index]!] ?? ends.length
      index = nextFree[index]!
    }
    return index
  }
  for (const box of block) {
    const stop = position.get(box.range.last + 1)!
    for (let index = findFree(position.get(box.range.first)!); index < stop; index = findFree(index)) {
      owner[index] = box
      nextFree[index] = index + 1
    }
  }
  return owner
}

/** What is left of a range when the covered ones (ordered, disjoint) are taken out. */
function subtractRanges(range: PortRange, covered: readonly PortRange[]): readonly PortRange[] {
  const pieces: PortRange[] = []
  let first = range.first
  const nearest = firstIndex(covered.length, index => covered[index]!.last >= range.first)
  for (let index = nearest; index < covered.length; index += 1) {
    const hole = covered[index]!
    if (hole.first > range.last) break
    if (hole.first > first) pieces.push({ first, last: hole.first - 1 })
    first = hole.last + 1
  }
  if (first <= range.last) pieces.push({ first, last: range.last })
  return pieces
}

/** Union of two lists of ranges, ordered and disjoint; neighbours are joined. */
function mergeRanges(a: readonly PortRange[], b: readonly PortRange[]): readonly PortRange[] {
  if (b.length === 0) return a
  const merged: { first: number; last: number }[] = []
  for (const range of [...a, ...b].sort((left, right) => left.first - right.first)) {
    const previous = merged.at(-1)
    if (previous !== undefined && range.first <= previous.last + 1) previous.last = Math.max(previous.last, range.last)
    else merged.push({ ...range })
  }
  return merged
}

export function compareNumbers(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
