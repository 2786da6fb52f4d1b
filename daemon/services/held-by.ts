/** What holds an object, in a message; the whole list stands beside it. */

const shown = 3

/** The first few ids, and how many more there are. */
export function firstOf(ids: readonly string[]): readonly string[] {
  const more = ids.length - shown
  return more > 0 ? [...ids.slice(0, shown), `${more} more`] : ids
}
