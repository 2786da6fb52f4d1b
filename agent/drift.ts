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

/** Who has changed rules since the last look, as the log names them. */
interface Heard {
  /** Those that changed our table. */
  readonly touching: Set<string>
  readonly others: Set<string>
  /** The monitor was away for a moment: it may have been somebody else. */
  missed: boolean
}

/** More of them than this are nobody. */
const mostSuspects = 3

export interface DriftWatchOptions {
  /** Ours, as generations tell of it; where left out nobody can be told from the others. */
  readonly table?: string
  readonly isOwnPid: (pid: number) => boolean
  readonly look: () => void
}

export class DriftWatch {
  readonly #options: DriftWatchOptions
  #timer: NodeJS.Timeout | undefined
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #readingMs = 0
  #heard = nobodyHeard()
  /** Up to the last look, from the last one whose finding was told. */
  #heardBefore = nobodyHeard()
  #isTold = true
  #closed = false

  constructor(options: DriftWatchOptions) {
    this.#options = options
  }

  /**
   * Who may have changed our table as the last look has found it, other than this agent; for the log. Whoever is heard to
   * have changed it, otherwise everybody who changed rules; empty where that is not known: somebody innocent is never named
   * alone. Who is heard since counts too: a look takes time, and sees what is done meanwhile.
   */
  get suspect(): string {
    return nameSuspects(this.#heardBefore, this.#heard)
  }

  noteGeneration({ pid, process, touched = [] }: Generation): void {
    if (this.#options.isOwnPid(pid)) return
    const { table } = this.#options
    const touches = table !== undefined && touched.includes(table)
    this.#heard[touches ? 'touching' : 'others'].add(`${process} (pid ${pid})`)
    this.schedule()
  }

  /** Something may have been missed: look, soon. */
  noteGap(): void {
    this.#heard.missed = true
    this.schedule()
  }

  /** Looks, soon. */
  schedule(): void {
    if (this.#timer !== undefined || this.#closed) return
    const wait = Math.min(Math.max(this.#readingMs * spacing.timesReading, spacing.leastMs), spacing.mostMs)
    const delayMs = Math.max(gatherMs, this.#lookedAtMs + wait - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#lookedAtMs = performance.now()
      // A look may take longer than the rest before the next one: whom it was for is told with it.
      this.#heardBefore = this.#isTold ? this.#heard : together(this.#heardBefore, this.#heard)
      this.#isTold = false
      this.#heard = nobodyHeard()
      this.#options.look()
    }, delayMs)
  }

  /** Told how long the last look took, when what it has found is told. */
  noteReading(milliseconds: number): void {
    this.#readingMs = milliseconds
    this.#isTold = true
  }

  /** Looks no more, whatever is still heard. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}

function nobodyHeard(): Heard {
  return { touching: new Set(), others: new Set(), missed: false }
}

function together(a: Heard, b: Heard): Heard {
  return { touching: a.touching.union(b.touching), others: a.others.union(b.others), missed: a.missed || b.missed }
}

function nameSuspects(before: Heard, since: Heard): string {
  const { touching, others, missed } = together(before, since)
  const suspects = touching.size > 0 ? touching : missed ? new Set<string>() : others
  return suspects.size > mostSuspects ? '' : [...suspects].join(' or ')
}
