/** Time and chance, passed in where tests must hold them. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds from any beginning, which no step of the clock disturbs. */
  monotonicMs(): number
  /** From 0 to 1. */
  random(): number
  /** @returns what cancels it */
  after(milliseconds: number, task: () => void): () => void
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
  after(milliseconds, task) {
    const timer = setTimeout(task, milliseconds)
    return () => clearTimeout(timer)
  },
}
