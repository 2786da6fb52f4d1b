/** Time and chance, passed in where tests must hold them. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** From 0 to 1. */
  random(): number
  /** @returns what cancels it */
  after(milliseconds: number, task: () => void): () => void
}

export const realClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(milliseconds, task) {
    const timer = setTimeout(task, milliseconds)
    return () => clearTimeout(timer)
  },
}
