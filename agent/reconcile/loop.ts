/**
 * The reconcile loop: makes the kernel agree with the desired policy, and keeps it so.
 *
 * One run at a time. Whatever happens meanwhile (a new policy, a device, a stranger's change, the regular check) is
 * remembered and served by one further run. A run works on what the last one left in the kernel, unless something may
 * have changed it: then the table is read first. A refused transaction changes nothing: the old ruleset stays in force
 * and the run is tried again, later each time.
 */

import { addTable } from '../../rules-compiler/nft/commands.ts'
import { diff } from '../../rules-compiler/nft/diff.ts'
import { type ActualRuleset, readRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { type Ruleset, tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { withoutLogs } from '../../rules-compiler/policy/without-logs.ts'
import type { Untracked } from '../conntrack/open-sessions.ts'
import type { Nft } from '../nft/nft.ts'
import { commit } from './commit.ts'
import { describeTransactions } from './describe.ts'
import { type Bindings, bindDevices, type Device, deviceIndexes, readBindings } from './devices.ts'
import { afterPlan, makePlan, type Plan, readCtMarkMask, readStamps, type Standing, stampsNeeded } from './plan.ts'
import { type ReadMarks, type Renewed, StampPool } from './stamp-pool.ts'

export interface LoopParts {
  readonly nft: Nft
  readonly listDevices: () => Promise<readonly Device[]>
  readonly readMarks: ReadMarks
  /** Called before there is a table, when it may be that nothing tracks connections yet; must not throw. */
  readonly trackOpenSessions: () => Promise<Untracked | null>
  /** Told of every run, in order; must not throw. */
  readonly onOutcome: (outcome: Outcome) => void
  /** Whether the host's nft keeps the policy of a timeout object that is given as JSON. */
  readonly jsonCtTimeout: boolean
  /** Whether the host's kernel has NFLOG; without it the ruleset is loaded without logs. */
  readonly canLog: boolean
  /** Plan, and change nothing. */
  readonly dryRun?: boolean
}

export type Outcome =
  | (Reached & {
      readonly kind: 'applied' | 'planned'
      readonly plan: Plan
      readonly summary: string
      /** The table was read, and was not as the run before had left it: somebody else changed it. */
      readonly drifted: boolean
      /** Of the sessions that were open before there was a table; null where all of them are tracked. */
      readonly untracked: Untracked | null
    })
  | (Reached & { readonly kind: 'unchanged' })
  | { readonly kind: 'refused'; readonly cause: Cause; readonly error: Error; readonly retryInMs: number }

interface Reached {
  readonly cause: Cause
  readonly policy: PolicyIr
  readonly ruleset: Ruleset
  readonly bindings: Bindings
  /** ENIs and directions that have to do without a stamp. */
  readonly lacking: Renewed['lacking']
  /** From the beginning of the run, reading included. */
  readonly seconds: number
  /** Of which was spent in nft. */
  readonly nftSeconds: number
}

/** Why a run was made; of several at once the first in this order. */
export const causes = ['drift', 'policy', 'device', 'retry', 'check'] as const
export type Cause = (typeof causes)[number]

const retryDelayMs = { first: 250, most: 30_000 } as const
/** One is usual; others who write into the table at the same time make it a few. */
const mostIncomplete = 5

export class ReconcileLoop {
  readonly #parts: LoopParts
  #desired: PolicyIr | null = null
  #pool: StampPool | null = null
  #poolMask = 0
  #standing: Standing | null = null
  /** What the last run left in the kernel; null where that is not known. */
  #left: Ruleset | null = null
  /** The policy it was made from. */
  #leftPolicy: PolicyIr | null = null
  #bindings: Bindings = new Map()
  #devices: readonly Device[] | null = null
  #devicesChanged = false
  /** Indexes of devices removed since they were bound last. */
  #gone = new Set<number>()
  #pending = new Set<Cause>()
  #running: Promise<void> | null = null
  #retryTimer: NodeJS.Timeout | undefined
  #failures = 0
  /** Runs in a row, for one policy, that left something for the next. */
  #incomplete = 0
  /** Spent in nft by the run under way. */
  #nftMs = 0
  /** How often the table was to be read again. */
  #reads = 0
  #closed = false

  constructor(parts: LoopParts) {
    this.#parts = parts
  }

  /** Makes this policy the desired one. */
  setPolicy(desired: PolicyIr): void {
    this.#desired = desired
    this.#incomplete = 0
    this.#trigger('policy')
  }

  /** No policy is desired any more: what stands is left to whoever asked for this. */
  forget(): void {
    this.#desired = null
    this.#standing = null
    this.#left = null
    this.#leftPolicy = null
    clearTimeout(this.#retryTimer)
  }

  /**
   * Devices may have come, gone or been renamed.
   * @param gone  index of one that was removed; another may have it by now
   */
  devicesChanged(gone?: number): void {
    if (gone !== undefined) this.#gone.add(gone)
    this.#devicesChanged = true
    this.#trigger('device')
  }

  /** Somebody else may have changed the table: it is read before it is compared. */
  resync(cause: 'drift' | 'check'): void {
    this.#devicesChanged = true
    this.#standing = null
    this.#reads += 1
    this.#trigger(cause)
  }

  /** Resolves when nothing is left to do: applied, or refused and waiting to be tried again. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  /** Finishes the run under way and makes no further one. What stands in the kernel stays. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    await this.settled()
  }

  #trigger(cause: Cause): void {
    if (this.#closed) return
    this.#pending.add(cause)
    this.#running ??= this.#serve()
  }

  async #serve(): Promise<void> {
    // What comes in the same turn is served by one run.
    await Promise.resolve()
    try {
      while (this.#pending.size > 0 && !this.#closed) {
        const cause = causes.find(each => this.#pending.has(each))!
        this.#pending.clear()
        clearTimeout(this.#retryTimer)
        if (this.#desired !== null) this.#parts.onOutcome(await this.#outcomeOf(this.#desired, cause))
      }
    } finally {
      // In the same turn as the last look at what is pending: a cause that came in between would wait forever.
      this.#running = null
    }
  }

  async #outcomeOf(desired: PolicyIr, cause: Cause): Promise<Outcome> {
    try {
      const outcome = await this.#run(desired, cause)
      this.#failures = 0
      return outcome
    } catch (error) {
      return this.#refused(cause, error instanceof Error ? error : new Error(String(error)))
    }
  }

  async #run(desired: PolicyIr, cause: Cause): Promise<Outcome> {
    const startedAt = performance.now()
    this.#nftMs = 0
    // A stranger's change that is heard of during the run may have come before what was read and done here or after.
    const reads = this.#reads
    const isHeardOf = () => reads !== this.#reads
    const devices = await this.#listDevices()
    const known = this.#standing
    const standing = known ?? (await this.#read(desired, devices))
    this.#bindings = bindDevices(desired, devices, this.#bindings, this.#gone)
    // What was removed during the listing may still be in it.
    if (!this.#devicesChanged) this.#gone.clear()
    const indexes = deviceIndexes(this.#bindings)
    const judged = this.#parts.canLog ? desired : withoutLogs(desired)
    const needed = stampsNeeded(standing, judged, indexes)
    const pool = this.#stampPool(desired.ctMarkMask)
    const { stamps, lacking } = await pool.renew(standing.stamps, [...needed.fresh, ...needed.raised])
    const plan = makePlan(standing, judged, indexes, stamps)
    const { prepare, change, complete } = plan.transactions
    const reached = (): Reached => ({
      cause,
      policy: desired,
      ruleset: plan.ruleset,
      bindings: this.#bindings,
      lacking,
      seconds: (performance.now() - startedAt) / 1000,
      nftSeconds: this.#nftMs / 1000,
    })
    if (prepare.length + change.length === 0) {
      this.#standing = isHeardOf() ? null : afterPlan(standing, plan, desired)
      this.#leave(plan, desired)
      return { kind: 'unchanged', ...reached() }
    }
    const summary = describeTransactions(plan.transactions)
    const drifted = known === null && this.#differsFromLeft(standing.actual)
    if (this.#parts.dryRun) return { kind: 'planned', plan, summary, drifted, untracked: null, ...reached() }
    // Forgotten until the kernel has it: whatever goes wrong on the way, the next run reads first.
    this.#standing = null
    this.#left = null
    const untracked = standing.actual === null ? await this.#parts.trackOpenSessions() : null
    await this.#inNft(commit(this.#parts.nft, plan.transactions, this.#parts.jsonCtTimeout))
    if (complete && !isHeardOf()) this.#standing = afterPlan(standing, plan, desired)
    if (complete) this.#leave(plan, desired)
    else this.#goOn()
    return { kind: 'applied', plan, summary, drifted, untracked, ...reached() }
  }

  /** A table made anew takes a second run. @throws {Error} where that never ends */
  #goOn(): void {
    this.#incomplete += 1
    if (this.#incomplete >= mostIncomplete) {
      throw new Error(
        `Cannot read back what nft has loaded: after ${this.#incomplete} times the table in the kernel still differs from the ruleset; expected the same as was loaded`,
      )
    }
    this.#pending.add('check')
  }

  #leave(plan: Plan, policy: PolicyIr): void {
    this.#incomplete = 0
    this.#left = plan.ruleset
    this.#leftPolicy = policy
  }

  /** Listing costs as much as a small change, so it is done only after something may have happened to a device. */
  async #listDevices(): Promise<readonly Device[]> {
    if (this.#devices === null || this.#devicesChanged) {
      // Before the listing: what changes during it is listed by the run that the change asks for.
      this.#devicesChanged = false
      this.#devices = await this.#parts.listDevices()
    }
    return this.#devices
  }

  /** Counts the time until it is done as nft's. */
  async #inNft<T>(work: Promise<T>): Promise<T> {
    const startedAt = performance.now()
    try {
      return await work
    } finally {
      this.#nftMs += performance.now() - startedAt
    }
  }

  #differsFromLeft(actual: ActualRuleset | null): boolean {
    return this.#left !== null && diff(actual, this.#left).change.length > 0
  }

  async #read(desired: PolicyIr, devices: readonly Device[]): Promise<Standing> {
    const objects = await this.#inNft(this.#parts.nft.list(tableFamily, tableName))
    if (objects === null) return { actual: null, enforced: null, stamps: new Map() }
    const actual = readRuleset(objects, new Map(devices.map(device => [device.name, device.index])))
    if (this.#bindings.size === 0) this.#bindings = readBindings(actual)
    // Another layout of the mark makes every stamp unreadable, ours and those on sessions.
    const stamps = readCtMarkMask(actual) === desired.ctMarkMask ? readStamps(actual, desired.ctMarkMask) : new Map()
    // A stranger may have put the table to sleep, which nft 1.0.6 does not list as JSON; adding it again wakes it.
    if (!this.#parts.dryRun) await this.#inNft(this.#parts.nft.apply([addTable]))
    // Whatever differs from the ruleset left may have let sessions in that it would not have.
    const isAsLeft = this.#left !== null && !this.#differsFromLeft(actual)
    return { actual, enforced: isAsLeft ? this.#leftPolicy : null, stamps }
  }

  #stampPool(ctMarkMask: number): StampPool {
    if (this.#pool === null || this.#poolMask !== ctMarkMask) {
      this.#pool = new StampPool(ctMarkMask, this.#parts.readMarks)
      this.#poolMask = ctMarkMask
    }
    return this.#pool
  }

  #refused(cause: Cause, error: Error): Outcome {
    const retryInMs = Math.min(retryDelayMs.first * 2 ** this.#failures, retryDelayMs.most)
    this.#failures += 1
    this.#standing = null
    this.#devices = null
    // Nobody would end the timer of a closed loop, and a process waits for its timers.
    if (!this.#closed) this.#retryTimer = setTimeout(() => this.#trigger('retry'), retryInMs)
    return { kind: 'refused', cause, error, retryInMs }
  }
}

/** One run and no more: no retry, no watching. */
export async function reconcileOnce(policy: PolicyIr, parts: Omit<LoopParts, 'onOutcome'>): Promise<Outcome> {
  const outcomes: Outcome[] = []
  const loop = new ReconcileLoop({ ...parts, onOutcome: outcome => outcomes.push(outcome) })
  loop.setPolicy(policy)
  await loop.settled()
  await loop.close()
  // A table made anew takes two runs; the first says what was done, a refusal of the second is what counts.
  return outcomes.find(outcome => outcome.kind === 'refused') ?? outcomes[0]!
}
