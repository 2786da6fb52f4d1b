import type { TestContext } from 'node:test'

export interface HeldTime {
  /** Runs what is due on the way, and what is measured is so much later. */
  pass(milliseconds: number): void
}

type Timers = 'setInterval' | 'setTimeout'

/**
 * Until the test ends, the time that this process measures stands still, and so do those timers, wherever else it is held
 * up: nobody is silent or late because of that. The wall clock goes on. Before anything that starts such a timer.
 */
export function holdTime({ mock }: TestContext, timers: readonly Timers[]): HeldTime {
  let nowMs = performance.now()
  mock.timers.enable({ apis: [...timers] })
  mock.method(performance, 'now', () => nowMs)
  return {
    pass(milliseconds) {
      nowMs += milliseconds
      mock.timers.tick(milliseconds)
    },
  }
}
