/**
 * The known word that was probably meant: the one with the fewest letters to change, add, leave out or swap with the next, case apart.
 * @returns null where none is near: more than a third of the letters would have to change
 */
export function nearestWord(word: string, known: readonly string[]): string | null {
  // The time goes with the length, which a hostile file chooses.
  if (word.length > 64) return null
  let nearest: string | null = null
  let least = Math.floor(word.length / 3) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [nearest, least] = [candidate, distance]
  }
  return nearest
}

/** Optimal string alignment distance, row by row of the usual table. */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let line = 1; line <= a.length; line++) {
    const next = [line]
    for (let column = 1; column <= b.length; column++) {
      const changed = row[column - 1]! + (a[line - 1] === b[column - 1] ? 0 : 1)
      const isSwapped = line > 1 && column > 1 && a[line - 1] === b[column - 2] && a[line - 2] === b[column - 1]
      const swapped = isSwapped ? before[column - 2]! + 1 : changed
      next.push(Math.min(changed, swapped, row[column]! + 1, next[column - 1]! + 1))
    }
    before = row
    row = next
  }
  return row[b.length]!
}
