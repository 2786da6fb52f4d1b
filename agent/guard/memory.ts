/** What the guard remembers over a restart: the trial under way, or what was taken back last. */
import type { Logger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import {
  fingerprintOf,
  type KeptGuard,
  type KeptRefusal,
  type KeptTrial,
  readKeptGuard,
  writeKeptGuard,
} from './kept-guard.ts'
import { type Demand, isRisky, textsOf } from './weigh.ts'

/** A policy that would cut the same by the same rules is another one, but is not worth being locked out for at once. */
export const sameAgainMs = 600_000
const nothingKept: KeptGuard = { trial: null, refused: null }

export class GuardMemory {
  readonly #folder: string | null
  readonly #log: Logger
  #kept: KeptGuard = nothingKept

  /** @param folder  null keeps nothing over a restart */
  constructor(folder: string | null, log: Logger) {
    this.#folder = folder
    this.#log = log
  }

  get trial(): KeptTrial | null {
    return this.#kept.trial
  }

  get refused(): KeptRefusal | null {
    return this.#kept.refused
  }

  /** What an agent before this one has left. */
  async recall(): Promise<void> {
    if (this.#folder !== null) this.#kept = await readKeptGuard(this.#folder, this.#log)
  }

  keepTrial(trial: KeptTrial): Promise<void> {
    return this.#keep({ trial, refused: null })
  }

  /** Taken back now. */
  keepRefused(refused: Omit<KeptRefusal, 'atMs'>): Promise<void> {
    return this.#keep({ trial: null, refused: { ...refused, atMs: Date.now() } })
  }

  forget(): Promise<void> {
    return this.#keep(nothingKept)
  }

  /** Whether it was taken back already, or another that would cut the same was a while ago. */
  refuses(policy: PolicyIr, demand: Demand): boolean {
    const { refused } = this.#kept
    if (refused === null) return false
    if (fingerprintOf(policy) === refused.fingerprint) return true
    const agoMs = Date.now() - refused.atMs
    const isAlike = isRisky(demand) && textsOf(demand.cuts).join() === refused.cuts.join()
    // A clock that was set back says nothing.
    return isAlike && agoMs >= 0 && agoMs < sameAgainMs
  }

  async #keep(kept: KeptGuard): Promise<void> {
    this.#kept = kept
    if (this.#folder === null) return
    try {
      await writeKeptGuard(this.#folder, kept)
    } catch (error) {
      this.#log.error({ error }, 'cannot keep on disk what the guard does; a restart may forget a trial')
    }
  }
}
