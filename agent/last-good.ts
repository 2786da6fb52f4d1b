/** The last policy that stood in the kernel, on its way to the disk and back. */
import type { Logger } from '../common/log.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../rules-compiler/validate/problem.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'
import type { StateDir } from './state-dir.ts'

/** A policy that stands in the kernel, to be kept; one value for each. */
export interface Kept {
  readonly ir: PolicyIr
  /** The policy file that says the same. */
  readonly text: () => string
  /** What must be kept together with it; told the text that was written. */
  readonly also?: (text: string) => Promise<void>
}

export interface LastGoodOptions {
  readonly log: Logger
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  /** At least this long between two writings; of what comes meanwhile the newest is written. */
  readonly spacingMs?: number
}

export class LastGood {
  readonly #options: LastGoodOptions
  /** What is on disk; null where that is not known. */
  #kept: Kept | null = null
  #next: Kept | null = null
  #writing: Promise<void> | null = null
  #wroteAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(options: LastGoodOptions) {
    this.#options = options
  }

  /** The text on disk; null where there is none, or it cannot be read. */
  async readText(): Promise<string | null> {
    return (await this.#options.stateDir?.readPolicyText()) ?? null
  }

  /** The policy of such a text; null, and a warning, where it is none. */
  readIr(text: string): PolicyIr | null {
    const { ir, faults } = readIr(text)
    if (ir === null) this.#options.log.warn({ faults }, 'the last policy that was in force cannot be read any more')
    return ir
  }

  /** Told of each policy that stands in the kernel; one that is on disk already is not written again. */
  note(kept: Kept): void {
    if (this.#options.stateDir === null || kept === (this.#next ?? this.#kept)) return
    this.#next = kept
    if (this.#writing !== null || this.#timer !== undefined) return
    const waitMs = this.#wroteAtMs + (this.#options.spacingMs ?? 0) - performance.now()
    if (waitMs <= 0) this.#startWriting()
    else this.#timer = setTimeout(() => this.#startWriting(), waitMs)
  }

  /** Writes what waits; resolves when nothing is left to write. */
  async settled(): Promise<void> {
    while (this.#next !== null || this.#writing !== null) {
      this.#startWriting()
      await this.#writing
    }
  }

  #startWriting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
      this.#wroteAtMs = performance.now()
      const waiting = this.#next
      this.#next = null
      if (waiting !== null) this.note(waiting)
    })
  }

  async #write(): Promise<void> {
    const kept = this.#next
    this.#next = null
    if (kept === null) return
    this.#kept = kept
    try {
      const text = kept.text()
      // Without the device indexes and stamps of this boot: they mean other devices and sessions after the next.
      await this.#options.stateDir?.write(text, printRuleset(compile(kept.ir)))
      await kept.also?.(text)
    } catch (error) {
      this.#kept = null
      this.#options.log.error({ error }, 'cannot keep the last good state; what is in force stays')
    }
  }
}

export type ReadIr =
  | { readonly ir: PolicyIr; readonly faults: readonly [] }
  | { readonly ir: null; readonly faults: readonly string[] }

/** Never throws: a text that trips the reader up is one more that is no policy. */
export function readIr(text: string): ReadIr {
  try {
    const { policy, problems } = readPolicy(text)
    return policy === null
      ? { ir: null, faults: problems.map(formatProblem) }
      : { ir: resolvePolicy(policy), faults: [] }
  } catch (error) {
    return { ir: null, faults: [`Cannot read the policy, by a fault of Ringwall's own: ${(error as Error).message}`] }
  }
}
