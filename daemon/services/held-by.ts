/** What holds an object that is to be deleted: some of it in words, more in lists, and how much there is. */

const shown = 3

/** The first few ids, and how many more there are. */
export function firstOf(ids: readonly string[]): readonly string[] {
  const more = ids.length - shown
  return more > 0 ? [...ids.slice(0, shown), `${more} more`] : ids
}

/** Of each kind: a group may have ten thousand interfaces in it. */
export const mostHeld = 100

/** Details of a refusal. @param holders  ids by the name that a field with them has: `networkInterfaceIds` */
export function heldBy(holders: Readonly<Record<string, readonly string[]>>) {
  const all = Object.entries(holders)
  return {
    heldBy: Object.fromEntries(all.map(([field, ids]) => [field, ids.slice(0, mostHeld)])),
    heldByCounts: Object.fromEntries(all.map(([field, ids]) => [field, ids.length])),
  }
}
