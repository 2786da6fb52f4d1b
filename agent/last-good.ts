/** The last policy that stood in the kernel, on its way to the disk and back. */
import type { Logger } from '../common/log.ts'
import type { Policy, Rescue } from '../rules-compiler/model/policy.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { withoutLogs } from '../rules-compiler/policy/without-logs.ts'
import { formatProblem } from '../rules-compiler/validate/problem.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'
import type { StateDir } from './state-dir.ts'

/** A policy that stands in the kernel, to be kept; one value for each. */
export interface Kept {
  readonly ir: PolicyIr
  /** The policy file that says the same. */
  readonly text: () => string
}

export interface LastGoodOptions {
  readonly log: Logger
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  /** Of this host, whatever the text says. */
  readonly rescue: readonly Rescue[]
  /**
   * How long after one writing the next may begin, by what the last one took; none where left out. Of what comes
   * meanwhile the newest is written.
   */
  readonly spacingMs?: (tookMs: number) => number
}

/** A disk that refuses is left alone this long, each time longer. */
const retryMs = { first: 1_000, most: 10_000 } as const

export class LastGood {
  readonly #options: LastGoodOptions
  /** What is on disk; null where that is not known. */
  #kept: Kept | null = null
  #next: Kept | null = null
  #writing: Promise<void> | null = null
  #nextAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  /** Why the disk has not what the kernel has; null while it has. */
  #fault: string | null = null
  #failures = 0
  #isClosed = false

  constructor(options: LastGoodOptions) {
    this.#options = options
  }

  /** One sentence for whoever asks for health; empty while the disk takes what it is given. */
  problems(): readonly string[] {
    return this.#fault === null ? [] : [`what is in force cannot be kept on disk for the next boot: ${this.#fault}`]
  }

  /** The text on disk; null where there is none, or it cannot be read. */
  async readText(): Promise<string | null> {
    return (await this.#options.stateDir?.readPolicyText()) ?? null
  }

  /** The policy of such a text; null, and a warning, where it is none. */
  readIr(text: string): PolicyIr | null {
    const { ir, faults } = readIr(text, this.#options.rescue)
    if (ir === null) this.#options.log.warn({ faults }, 'the last policy that was in force cannot be read any more')
    return ir
  }

  /** Told of each policy that stands in the kernel; one that is on disk already is not written again. */
  note(kept: Kept): void {
    if (this.#options.stateDir === null || kept === (this.#next ?? this.#kept)) return
    this.#next = kept
    if (this.#writing !== null || this.#timer !== undefined) return
    const waitMs = this.#nextAtMs - performance.now()
    if (waitMs <= 0) this.#startWriting()
    else if (!this.#isClosed) this.#timer = setTimeout(() => this.#startWriting(), waitMs)
  }

  /** Writes what waits; resolves when nothing is left to write, or the disk has refused it once more. */
  async settled(): Promise<void> {
    do {
      if (this.#next !== null) this.#startWriting()
      await this.#writing
    } while (this.#next !== null && this.#fault === null)
  }

  /** What waits is written by `settled` alone from now on. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #startWriting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const startedAtMs = performance.now()
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
      const nowMs = performance.now()
      const spacingMs = this.#options.spacingMs?.(nowMs - startedAtMs) ?? 0
      this.#nextAtMs = nowMs + (this.#fault === null ? spacingMs : this.#restMs())
      const waiting = this.#next
      this.#next = null
      if (waiting !== null) this.note(waiting)
    })
  }

  /** How long a disk that has refused is left alone. */
  #restMs(): number {
    return Math.min(retryMs.first * 2 ** (this.#failures - 1), retryMs.most)
  }

  async #write(): Promise<void> {
    const kept = this.#next
    this.#next = null
    if (kept === null) return
    this.#kept = kept
    try {
      const text = kept.text()
      // Without the device indexes and stamps of this boot: they mean other devices and sessions after the next. Without
      // logs, which nobody reads so early and which another kernel may not have: then nothing of it would load.
      await this.#options.stateDir?.write(text, printRuleset(compile(withoutLogs(kept.ir))))
      if (this.#fault !== null) this.#options.log.info('the last good state is kept again')
      this.#fault = null
      this.#failures = 0
    } catch (error) {
      this.#kept = null
      // The disk may have room again when nothing changes in the policy any more.
      this.#next ??= kept
      this.#failures += 1
      if (this.#fault === null) {
        this.#options.log.error({ error }, 'cannot keep the last good state; what is in force stays')
      }
      this.#fault = error instanceof Error ? error.message : String(error)
    }
  }
}

export type ReadIr =
  | { readonly ir: PolicyIr; readonly faults: readonly [] }
  | { readonly ir: null; readonly faults: readonly string[] }

/**
 * Never throws: a text that trips the reader up is one more that is no policy.
 * @param rescue  by whom and where the host is administered, besides those that the text names
 */
export function readIr(text: string, rescue: readonly Rescue[] = []): ReadIr {
  try {
    const { policy, problems } = readPolicy(text)
    return policy === null
      ? { ir: null, faults: problems.map(formatProblem) }
      : { ir: resolvePolicy(withRescue(policy, rescue)), faults: [] }
  } catch (error) {
    return { ir: null, faults: [`Cannot read the policy, by a fault of Ringwall's own: ${(error as Error).message}`] }
  }
}

/** By whom and where the host is administered, besides those that the policy names. */
export function withRescue(policy: Policy, rescue: readonly Rescue[]): Policy {
  const { settings } = policy
  return { ...policy, settings: { ...settings, rescue: [...settings.rescue, ...rescue] } }
}
