/** Finds the covers that can meet a box, without looking at all of them: prefix lists make many covers of one rule. */
import { axes, type Box, type Cover } from './coverage.ts'

export type FindNear<Owner> = (box: Box) => readonly Cover<Owner>[]

/** Covers of one block of peers, and the block around it. */
interface Block<Owner> {
  readonly first: number
  readonly last: number
  readonly covers: readonly Cover<Owner>[]
  outer: Block<Owner> | null
}

/**
 * A function from a box to the covers whose peers meet the box's, by block and then in the order given. The peers of
 * all boxes are CIDR blocks of one family, so they nest or are disjoint.
 */
export function indexCovers<Owner>(covers: readonly Cover<Owner>[]): FindNear<Owner> {
  const blocks = makeBlocks(covers)
  return box => {
    const [first, last] = [box[axes.peer]!, box[axes.peer + 1]!]
    const begin = countBefore(blocks, first)
    const near: Cover<Owner>[] = []
    // Whatever begins before the box and reaches it holds the block just before the box as well.
    for (let block = blocks[begin - 1] ?? null; block !== null; block = block.outer) {
      if (block.last >= first) for (const cover of block.covers) near.push(cover)
    }
    for (let index = begin; index < blocks.length && blocks[index]!.first <= last; index += 1) {
      for (const cover of blocks[index]!.covers) near.push(cover)
    }
    return near
  }
}

/** Ordered by first address, outer blocks before the blocks in them. */
function makeBlocks<Owner>(covers: readonly Cover<Owner>[]): readonly Block<Owner>[] {
  const byBlock = Map.groupBy(covers, ({ box }) => `${box[axes.peer]} ${box[axes.peer + 1]}`)
  const blocks = [...byBlock.values()]
    .map((same): Block<Owner> => {
      const { box } = same[0]!
      return { first: box[axes.peer]!, last: box[axes.peer + 1]!, covers: same, outer: null }
    })
    .sort((a, b) => a.first - b.first || b.last - a.last)
  let outer: Block<Owner> | null = null
  for (const block of blocks) {
    while (outer !== null && outer.last < block.first) outer = outer.outer
    block.outer = outer
    outer = block
  }
  return blocks
}

/** How many blocks begin before a coordinate. */
function countBefore(blocks: readonly Block<unknown>[], first: number): number {
  let [low, high] = [0, blocks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (blocks[middle]!.first < first) low = middle + 1
    else high = middle
  }
  return low
}
