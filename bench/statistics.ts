/** Figures that hold on a machine that does other things besides. */

/** @param values  not empty */
export function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b)
  const middle = ordered.length >> 1
  return ordered.length % 2 === 1 ? ordered[middle]! : (ordered[middle - 1]! + ordered[middle]!) / 2
}

/** Median of the ratios burst by burst: what slows the machine for a while slows both. */
export function medianRatio(values: readonly number[], baseline: readonly number[]): number {
  return median(values.map((value, index) => value / baseline[index]!))
}

/** The smallest value that at least `percent` of them do not exceed (nearest rank). @param values  not empty */
export function percentile(values: readonly number[], percent: number): number {
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[Math.max(0, Math.ceil((percent / 100) * ordered.length) - 1)]!
}
