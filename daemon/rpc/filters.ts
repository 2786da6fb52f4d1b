/** Which objects of a list are meant. What is not asked for costs nothing: a fleet has tens of thousands of them. */

export type Filter<T> = (item: T) => boolean

/** @returns no filter where nothing is asked for, by a text without characters too */
export function equals<T>(wanted: string | undefined, fieldOf: (item: T) => string | null | undefined): Filter<T>[] {
  return wanted ? [item => fieldOf(item) === wanted] : []
}

/** @returns no filter where no values are asked for */
export function hasSome<T>(
  wanted: readonly string[] | undefined,
  fieldsOf: (item: T) => readonly string[],
): Filter<T>[] {
  if (wanted === undefined || wanted.length === 0) return []
  return [item => fieldsOf(item).some(value => wanted.includes(value))]
}

/** What all of them let through. */
export function filtered<T>(items: Iterable<T>, filters: readonly Filter<T>[]): T[] {
  return [...items].filter(item => filters.every(filter => filter(item)))
}
