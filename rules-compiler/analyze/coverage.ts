/**
 * Sets of packets as boxes, and the question everything here rests on: do these boxes together cover that one? The
 * answer is exact: boxes are subtracted from one another, packets are never sampled.
 *
 * A packet is a point with five coordinates, all integers: protocol class, peer address, destination port, source port
 * and own address. Families are kept apart. Addresses stand for their rank among the ends of the blocks in use, so that
 * all coordinates are small numbers. A member of a group can have any address, so a box of a group rule has all of
 * them, and callers ask only about boxes whose group the packet is in.
 */

/** First and last of each axis in turn; protocol comes first, so that ports are only ever split for tcp and udp. */
export type Box = readonly number[]

export const axes = { protocol: 0, peer: 2, port: 4, sourcePort: 6, local: 8 } as const
const boxLength = 10

/** A box and whose it is. */
export interface Cover<Owner> {
  readonly box: Box
  readonly owner: Owner
}

function boxesOverlap(a: Box, b: Box): boolean {
  for (let axis = 0; axis < boxLength; axis += 2) {
    if (a[axis]! > b[axis + 1]! || b[axis]! > a[axis + 1]!) return false
  }
  return true
}

function boxContains(outer: Box, inner: Box): boolean {
  for (let axis = 0; axis < boxLength; axis += 2) {
    if (outer[axis]! > inner[axis]! || inner[axis + 1]! > outer[axis + 1]!) return false
  }
  return true
}

/** What two boxes share; null where they are apart. */
export function intersectBoxes(a: Box, b: Box): Box | null {
  if (!boxesOverlap(a, b)) return null
  return a.map((end, index) => (index % 2 === 0 ? Math.max(end, b[index]!) : Math.min(end, b[index]!)))
}

/**
 * A part of the region that no cover reaches; null where the covers together hold all of it.
 * @param owners  receives the owners of covers that were needed; left as it was where the region is not covered
 */
export function findUncovered<Owner>(
  region: Box,
  covers: readonly Cover<Owner>[],
  owners: Set<Owner> = new Set(),
): Box | null {
  const used = new Set<Owner>()
  const uncovered = subtract(region, covers, used)
  if (uncovered === null) for (const owner of used) owners.add(owner)
  return uncovered
}

function subtract<Owner>(region: Box, covers: readonly Cover<Owner>[], used: Set<Owner>): Box | null {
  const near = covers.filter(cover => boxesOverlap(region, cover.box))
  const whole = near.find(cover => boxContains(cover.box, region))
  if (whole !== undefined) {
    used.add(whole.owner)
    return null
  }
  const largest = findLargest(region, near)
  if (largest === null) return region
  used.add(largest.owner)
  // Cut away on each axis what lies before and after the cover; what is left in the end lies inside it.
  const rest = [...region]
  for (let axis = 0; axis < boxLength; axis += 2) {
    const [first, last] = [largest.box[axis]!, largest.box[axis + 1]!]
    if (rest[axis]! < first) {
      const uncovered = subtract(rest.with(axis + 1, first - 1), near, used)
      if (uncovered !== null) return uncovered
      rest[axis] = first
    }
    if (rest[axis + 1]! > last) {
      const uncovered = subtract(rest.with(axis, last + 1), near, used)
      if (uncovered !== null) return uncovered
      rest[axis + 1] = last
    }
  }
  return null
}

/** The cover that takes most of the region: the fewer pieces are left, the sooner the answer is known. */
function findLargest<Owner>(region: Box, covers: readonly Cover<Owner>[]): Cover<Owner> | null {
  let largest: Cover<Owner> | null = null
  let largestShare = 0
  for (const cover of covers) {
    let share = 1
    for (let axis = 0; axis < boxLength; axis += 2) {
      const [first, last] = [region[axis]!, region[axis + 1]!]
      const overlap = Math.min(last, cover.box[axis + 1]!) - Math.max(first, cover.box[axis]!) + 1
      share *= overlap / (last - first + 1)
    }
    if (share > largestShare) {
      largest = cover
      largestShare = share
    }
  }
  return largest
}
