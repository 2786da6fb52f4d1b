/** Finds the items whose blocks meet a block, without looking at all of them: prefix lists make many of one rule. */
import { firstIndex } from './first-index.ts'

/** The ends of a block of addresses, or of whatever else they are counted in. */
export interface Span {
  readonly first: number | bigint
  readonly last: number | bigint
}

/** Items of one block, and the block around it. */
interface Block<Item> extends Span {
  readonly items: readonly Item[]
  outer: Block<Item> | null
}

/**
 * A function from a span to the items whose spans meet it, by block and then in the order given.
 * @param spanOf  spans of one family; like those that are asked for they nest or are disjoint, as CIDR blocks do
 */
export function indexBlocks<Item>(
  items: readonly Item[],
  spanOf: (item: Item) => Span,
): (span: Span) => readonly Item[] {
  const blocks = makeBlocks(items, spanOf)
  return ({ first, last }) => {
    const begin = firstIndex(blocks.length, index => blocks[index]!.first >= first)
    const near: Item[] = []
    // Whatever begins before the span and reaches it holds the block just before the span as well.
    for (let block = blocks[begin - 1] ?? null; block !== null; block = block.outer) {
      if (block.last >= first) for (const item of block.items) near.push(item)
    }
    for (let index = begin; index < blocks.length && blocks[index]!.first <= last; index += 1) {
      for (const item of blocks[index]!.items) near.push(item)
    }
    return near
  }
}

/** Ordered by where they begin, outer blocks before the blocks in them. */
function makeBlocks<Item>(items: readonly Item[], spanOf: (item: Item) => Span): readonly Block<Item>[] {
  const byBlock = Map.groupBy(items, item => {
    const { first, last } = spanOf(item)
    return `${first} ${last}`
  })
  const blocks = [...byBlock.values()]
    .map((same): Block<Item> => {
      const { first, last } = spanOf(same[0]!)
      return { first, last, items: same, outer: null }
    })
    .sort((a, b) => compare(a.first, b.first) || compare(b.last, a.last))
  let outer: Block<Item> | null = null
  for (const block of blocks) {
    while (outer !== null && outer.last < block.first) outer = outer.outer
    block.outer = outer
    outer = block
  }
  return blocks
}

function compare(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
