/** Totals that never fall, from counters that do: a kernel object made anew counts from zero again. */

export interface Total {
  /** The last reading. */
  readonly reading: number
  /** All that was counted since the first reading, that one included. */
  readonly total: number
  /** What the last reading added to the total. */
  readonly increase: number
}

/**
 * A reading lower than the one before means that the object was made anew: everything it shows is new. What it counted
 * between the last reading and its end is lost; one made anew that has already passed the last reading looks as if it
 * had gone on, which loses as little.
 * @param previous  null for the first reading, which counts whole: the object's own beginning is the total's
 * @param reading   packets or bytes, not negative
 */
export function advance(previous: Total | null, reading: number): Total {
  if (previous === null) return { reading, total: reading, increase: reading }
  const increase = reading < previous.reading ? reading : reading - previous.reading
  return { reading, total: previous.total + increase, increase }
}
