/** How long to wait before connecting again. */

const delayMs = { first: 200, most: 30_000 } as const

/**
 * Full jitter: anywhere between nothing and 0.2 s, doubling to 30 s, so that agents cut off together come back apart.
 * @param failures  in a row, this one among them: 1 or more
 * @param random  from 0 to 1
 * @returns milliseconds
 */
export function backOff(failures: number, random: number): number {
  return Math.floor(random * Math.min(delayMs.first * 2 ** (failures - 1), delayMs.most))
}
