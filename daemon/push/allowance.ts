/** So many at once, and so many a second: for one key; throttle.ts is for many. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #countedMs: number = performance.now()

  constructor({ burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
  }

  /** @returns whether there was one */
  take(): boolean {
    const nowMs = performance.now()
    this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#countedMs) / 1000) * this.#perSecond) - 1
    this.#countedMs = nowMs
    return this.#left >= 0
  }
}
