/** A clock that stands still until a test moves it. */
import type { Clock } from '../../common/clock.ts'

interface Alarm {
  readonly atMs: number
  readonly task: () => void
}

export class HandClock implements Clock {
  #nowMs: number
  readonly #alarms = new Set<Alarm>()
  #noticed: (() => void) | null = null

  constructor(nowMs = Date.now()) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  random(): number {
    return 0.5
  }

  after(milliseconds: number, task: () => void): () => void {
    const alarm = { atMs: this.#nowMs + milliseconds, task }
    this.#alarms.add(alarm)
    this.#noticed?.()
    return () => void this.#alarms.delete(alarm)
  }

  /** Milliseconds until each alarm, the next first. */
  get waits(): readonly number[] {
    return [...this.#alarms].map(({ atMs }) => atMs - this.#nowMs).sort((a, b) => a - b)
  }

  /** Time passes, and nothing that becomes due is served before the next `advance`. */
  delay(milliseconds: number): void {
    this.#nowMs += milliseconds
  }

  /** Runs what is due on the way, in order. */
  advance(milliseconds: number): void {
    const until = this.#nowMs + milliseconds
    for (;;) {
      const next = [...this.#alarms].filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.task()
    }
    this.#nowMs = until
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
