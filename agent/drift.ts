/**
 * When to read the table again because somebody changed the ruleset of the namespace. The monitor does not say in every
 * case what was changed (elements of interval sets are left out), so each generation that is not ours is a reason to
 * look; looking costs time in proportion to the table, so it is spaced: within a second, and never a busy loop while
 * another program rewrites its own tables all the time.
 */
import type { Generation } from './watch/nft-monitor.ts'

/** Several transactions of one program mostly come together. */
const gatherMs = 10
const spacing = { leastMs: 100, mostMs: 800, timesReading: 4 } as const

export interface DriftWatchOptions {
  readonly isOwnPid: (pid: number) => boolean
  readonly look: () => void
}

export class DriftWatch {
  readonly #options: DriftWatchOptions
  #timer: NodeJS.Timeout | undefined
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #readingMs = 0
  #suspect = ''
  #closed = false

  constructor(options: DriftWatchOptions) {
    this.#options = options
  }

  /** Who changed the ruleset last, other than this agent; for the log. */
  get suspect(): string {
    return this.#suspect
  }

  noteGeneration({ pid, process }: Generation): void {
    if (this.#options.isOwnPid(pid)) return
    this.#suspect = `${process} (pid ${pid})`
    this.schedule()
  }

  /** Something may have been missed: look, soon. */
  schedule(): void {
    if (this.#timer !== undefined || this.#closed) return
    const wait = Math.min(Math.max(this.#readingMs * spacing.timesReading, spacing.leastMs), spacing.mostMs)
    const delayMs = Math.max(gatherMs, this.#lookedAtMs + wait - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#lookedAtMs = performance.now()
      this.#options.look()
    }, delayMs)
  }

  /** Told how long the last look took. */
  noteReading(milliseconds: number): void {
    this.#readingMs = milliseconds
  }

  /** Looks no more, whatever is still heard. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}
