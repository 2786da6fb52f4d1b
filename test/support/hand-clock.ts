/** A clock that stands still until a test moves it. */
import type { Clock } from '../../common/clock.ts'

interface Alarm {
  readonly atMs: number
  readonly task: () => void
}

export class HandClock implements Clock {
  /** Alarms are by this; the wall clock differs by steps. */
  #monotonicMs: number
  #steppedMs = 0
  readonly #alarms = new Set<Alarm>()
  #noticed: (() => void) | null = null

  constructor(nowMs = Date.now()) {
    this.#monotonicMs = nowMs
  }

  now(): number {
    return this.#monotonicMs + this.#steppedMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Somebody sets the wall clock. */
  step(milliseconds: number): void {
    this.#steppedMs += milliseconds
  }

  random(): number {
    return 0.5
  }

  after(milliseconds: number, task: () => void): () => void {
    const alarm = { atMs: this.#monotonicMs + milliseconds, task }
    this.#alarms.add(alarm)
    this.#noticed?.()
    return () => void this.#alarms.delete(alarm)
  }

  /** Milliseconds until each alarm, the next first. */
  get waits(): readonly number[] {
    return [...this.#alarms].map(({ atMs }) => atMs - this.#monotonicMs).sort((a, b) => a - b)
  }

  /** Time passes, and nothing that becomes due is served before the next `advance`. */
  delay(milliseconds: number): void {
    this.#monotonicMs += milliseconds
  }

  /** Runs what is due on the way, in order. */
  advance(milliseconds: number): void {
    const until = this.#monotonicMs + milliseconds
    for (;;) {
      const next = [...this.#alarms].filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs)
      next.task()
    }
    this.#monotonicMs = until
  }

  /** Resolves when there is an alarm of exactly this wait. */
  async waitsFor(milliseconds: number): Promise<void> {
    while (!this.waits.includes(milliseconds)) {
      await new Promise<void>(resolve => {
        this.#noticed = resolve
      })
    }
  }
}
