/**
 * Keeps a policy from locking the agent out of its daemon, or an administrator out of the host. It stands between the
 * source and the loop: the first policy of a host, and one that would cut a session it watches over, is put in force on
 * trial, and is taken back unless it shows what weigh.ts wants of it.
 *
 * What is taken back because it would lock somebody out is refused to the source, and not tried again until it changes.
 */
import type { Rescue } from '../../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Nft } from '../nft/nft.ts'
import type { Outcome, ReconcileLoop } from '../reconcile/loop.ts'
import type { StateDir } from '../state-dir.ts'
import {
  type Before,
  type BeforeParts,
  findBefore,
  isOnDisk,
  judgedBy,
  putBack,
  recallBefore,
  tableOf,
} from './before.ts'
import { takesNothing } from './judge.ts'
import { fingerprintOf } from './kept-guard.ts'
import { GuardMemory, sameAgainMs } from './memory.ts'
import type { GuardMetrics } from './metrics.ts'
import { listSessions } from './sessions.ts'
import { type Told, tellOrdered, tellRefused, tellSetAside, tellTrial } from './tell.ts'
import { type DaemonWay, Trial } from './trial.ts'
import { type Demand, isRisky, isTrialNeeded, textsOf, weigh } from './weigh.ts'

export interface GuardOptions {
  /** How long a trial lasts; 0 tries nothing and lets every policy through. */
  readonly seconds: number
  /** Local TCP ports by which the host is administered. */
  readonly rescuePorts: readonly number[]
}

export interface GuardParts extends GuardOptions, Told {
  readonly metrics: GuardMetrics
  readonly loop: Pick<ReconcileLoop, 'setPolicy' | 'forget' | 'settled' | 'resync'>
  readonly nft: Nft
  readonly jsonCtTimeout: boolean
  /** By whom and where the host is administered, besides those that policies name. */
  readonly rescue: readonly Rescue[]
  /** Null keeps nothing over a restart. */
  readonly kept: { readonly folder: string; readonly stateDir: StateDir } | null
  /** Null where no daemon leads. */
  readonly way: () => DaemonWay | null
  /** Asks the daemon for an answer. */
  readonly probeWay: () => void
  /** Resolves when the policy in force is on disk. */
  readonly onDisk: () => Promise<void>
  /** Resolves when a policy is on disk that was on trial. */
  readonly keep: (policy: PolicyIr) => Promise<void>
}

/** Taken back, though as far as can be told it would lock nobody out: tried again when the daemon answers. */
interface SetAside {
  readonly policy: PolicyIr
  /** On performance.now()'s clock. */
  readonly atMs: number
  readonly notBeforeMs: number
}

/** A daemon that answers does so within milliseconds; a person takes longer. */
const lookMs = { first: 20, most: 500 } as const

export class Guard {
  readonly #parts: GuardParts
  readonly #beforeParts: BeforeParts
  readonly #memory: GuardMemory
  /** In the kernel, and no trial; null where that is not known. */
  #enforced: PolicyIr | null = null
  #next: PolicyIr | null = null
  #working: Promise<void> | null = null
  #trial: Trial | null = null
  #setAside: SetAside | null = null
  /** How often in a row a policy was set aside. */
  #setbacks = 0
  /** The last that the source heard of a trial was that the kernel did not take it. */
  #isTellingRefusal = false
  #lookingNow: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #lookInMs: number = lookMs.first
  #closed = false

  constructor(parts: GuardParts) {
    this.#parts = parts
    const { loop, nft, jsonCtTimeout, kept, rescue, log } = parts
    this.#memory = new GuardMemory(kept?.folder ?? null, log)
    this.#beforeParts = { loop, nft, jsonCtTimeout, stateDir: kept?.stateDir ?? null, rescue }
  }

  /** Takes the ruleset away, and a trial with it, until the next policy. */
  async openHost(): Promise<void> {
    this.#next = null
    this.#setAside = null
    await this.#working
    await this.#lookingNow
    if (this.#trial !== null) this.#end('superseded')
    // Of the agent before this one too: at the undo it would be taken back.
    await this.#memory.forget()
    await putBack({ kind: 'nothing' }, this.#beforeParts)
    this.#enforced = null
  }

  /** Before the source starts: looks after a trial that an agent before this one was ended in. */
  async open(): Promise<void> {
    const { log, seconds } = this.#parts
    await this.#memory.recall()
    const { trial } = this.#memory
    if (trial === null) return
    if (!trial.isRisky) {
      log.warn('the agent was ended before the daemon had answered through the policy; that goes on')
      return
    }
    if (await isOnDisk(trial.fingerprint, this.#beforeParts)) {
      await this.#memory.forget()
      return
    }
    log.warn({ cuts: trial.cuts }, 'the agent was ended during a trial; the policy on trial is taken back')
    await putBack(await recallBefore(trial.before, trial.table, this.#beforeParts), this.#beforeParts)
    const { fingerprint, cuts } = trial
    if (seconds === 0) await this.#memory.forget()
    else await this.#memory.keepRefused({ fingerprint, cuts, reason: 'the agent was ended during the trial' })
  }

  setPolicy(policy: PolicyIr): void {
    this.#setAside = null
    if (this.#working === null && this.#trial === null && this.#isHarmless(policy)) {
      this.#letThrough(policy)
      return
    }
    this.#next = policy
    this.#working ??= this.#work()
  }

  /** Told of each run of the loop. @returns whether the source is to be told now */
  noteOutcome(outcome: Outcome): boolean {
    const trial = this.#trial
    if (outcome.kind === 'refused') return this.#noteRefused(trial)
    if (outcome.kind === 'planned') return trial === null
    if (trial === null || outcome.policy !== trial.policy) {
      this.#enforced = outcome.policy
      return true
    }
    if (this.#isTellingRefusal) this.#tellTrial(trial)
    trial.noteInForce(outcome)
    if (trial.demand.needsDaemon) this.#parts.probeWay()
    this.#lookSoon('anew')
    return false
  }

  /** That the kernel does not take it is no matter of what it would cut: the source is told as of any other policy. */
  #noteRefused(trial: Trial | null): boolean {
    if (trial !== null && trial.outcome !== null) return false
    this.#isTellingRefusal = trial !== null && isRisky(trial.demand)
    return true
  }

  /** Somebody is there who wants what is on trial. @returns false where nothing waits for anybody */
  confirm(): boolean {
    if (this.#trial === null || !this.#trial.demand.needsPerson) return false
    this.#trial.isConfirmed = true
    this.#look()
    return true
  }

  status() {
    const { refused } = this.#memory
    return {
      trial: this.#trial && showTrial(this.#trial),
      refused: refused && { reason: refused.reason, since: new Date(refused.atMs).toISOString() },
    }
  }

  problems(): readonly string[] {
    const { trial } = this.status()
    if (trial === null) return []
    const why =
      trial.cuts.length === 0 ? 'the daemon has not answered through it' : `it may cut ${trial.cuts.join('; ')}`
    return [`the policy is in force on trial, ${trial.secondsLeft} s left: ${why}`]
  }

  /** Resolves when what was set has been decided on and is in the kernel, on trial perhaps. */
  async settled(): Promise<void> {
    while (this.#working !== null) await this.#working
    await this.#parts.loop.settled()
  }

  /** A trial that may fail is taken back: nobody would be there to do it when its time is over. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#working
    await this.#lookingNow
    if (this.#trial === null || !isRisky(this.#trial.demand)) return
    try {
      await this.#takeBack(this.#trial, 'the agent was stopped during the trial')
    } catch (error) {
      this.#parts.log.error({ error }, 'cannot take back the policy on trial; the next agent that starts does')
    }
  }

  #isHarmless(policy: PolicyIr): boolean {
    const { seconds, rescuePorts, way } = this.#parts
    if (seconds === 0) return true
    if (this.#enforced === null || this.#memory.refused !== null) return false
    return takesNothing(this.#enforced, policy, { rescuePorts, daemonPort: way()?.port ?? null })
  }

  async #work(): Promise<void> {
    // What comes in the same turn is looked at once.
    await Promise.resolve()
    try {
      while (this.#next !== null && !this.#closed) {
        // A trial that is being ended is ended first.
        await this.#lookingNow
        const policy = this.#next
        this.#next = null
        await this.#consider(policy)
      }
    } finally {
      this.#working = null
    }
  }

  async #consider(policy: PolicyIr): Promise<void> {
    const { log, metrics } = this.#parts
    try {
      // What was let through before it is what would be put back.
      await this.#parts.loop.settled()
      const trial = this.#trial
      const way = this.#parts.way()
      const before = trial?.before ?? (await this.#before())
      const sessions = trial?.sessions ?? (await listSessions({ way, rescuePorts: this.#parts.rescuePorts }))
      const demand = weigh(policy, {
        before: judgedBy(before),
        sessions,
        isLed: way !== null,
        isReached: way !== null && (way.connected || (this.#memory.trial !== null && before.kind !== 'policy')),
      })
      if (this.#trial === null && this.#memory.refuses(policy, demand))
        tellRefused(this.#parts, this.#memory.refused!.reason)
      else if (isTrialNeeded(demand))
        await this.#try(trial?.replacedBy(policy, demand) ?? this.#newTrial({ policy, demand, before, sessions }))
      else this.#trust(policy, demand)
    } catch (error) {
      // Whoever cannot look must not keep the policy from the kernel: that would open more than was meant.
      log.error({ error }, 'cannot look whether the policy locks somebody out; it is put in force')
      this.#letThrough(policy)
    }
    metrics.refusing.set(this.#memory.refused === null ? 0 : 1)
  }

  async #before(): Promise<Before> {
    if (this.#enforced !== null) return { kind: 'policy', ir: this.#enforced }
    const { trial } = this.#memory
    return trial === null ? findBefore(this.#beforeParts) : recallBefore(trial.before, trial.table, this.#beforeParts)
  }

  #trust(policy: PolicyIr, demand: Demand): void {
    if (this.#trial !== null) this.#parts.log.info('the policy on trial is replaced by one that locks nobody out')
    tellOrdered(this.#parts, demand)
    this.#letThrough(policy)
  }

  #letThrough(policy: PolicyIr): void {
    if (this.#trial !== null) this.#end('superseded')
    if (this.#memory.refused !== null || this.#memory.trial !== null) void this.#memory.forget()
    this.#parts.loop.setPolicy(policy)
  }

  #newTrial(what: Pick<Trial, 'policy' | 'demand' | 'before' | 'sessions'>): Trial {
    return new Trial(what, { seconds: this.#parts.seconds })
  }

  /** A new trial, or the one under way with another policy. */
  async #try(trial: Trial): Promise<void> {
    const { loop, metrics, onDisk } = this.#parts
    const { policy, demand, before } = trial
    // What stands must be on disk before, and what is on trial not until it is confirmed.
    await onDisk()
    const fingerprint = fingerprintOf(policy)
    const cuts = textsOf(demand.cuts)
    const kept = { fingerprint, cuts, before: before.kind, table: tableOf(before), isRisky: isRisky(demand) }
    await this.#memory.keepTrial(kept)
    this.#trial = trial
    metrics.onTrial.set(1)
    if (isRisky(demand)) this.#tellTrial(trial)
    else tellOrdered(this.#parts, demand)
    loop.setPolicy(policy)
    this.#lookSoon('anew')
  }

  #tellTrial(trial: Trial): void {
    this.#isTellingRefusal = false
    tellTrial(this.#parts, trial)
  }

  #lookSoon(when: 'anew' | 'later' = 'later'): void {
    clearTimeout(this.#timer)
    this.#lookInMs = when === 'anew' ? lookMs.first : Math.min(2 * this.#lookInMs, lookMs.most)
    if (this.#closed || (this.#trial === null && this.#setAside === null)) return
    this.#timer = setTimeout(() => this.#look(), this.#lookInMs)
  }

  #look(): void {
    this.#lookingNow ??= this.#lookAt(this.#trial).finally(() => {
      this.#lookingNow = null
      this.#lookSoon()
    })
  }

  async #lookAt(trial: Trial | null): Promise<void> {
    if (this.#closed || this.#working !== null) return
    if (trial === null) {
      this.#lookAtSetAside()
      return
    }
    try {
      const missing = await trial.missing({
        way: this.#parts.way,
        probeWay: this.#parts.probeWay,
        listRescueSessions: () => listSessions({ way: null, rescuePorts: this.#parts.rescuePorts }),
        readAgain: async () => {
          this.#parts.loop.resync('check')
          await this.#parts.loop.settled()
        },
      })
      if (this.#trial !== trial || this.#working !== null || this.#closed) return
      if (missing === null) await this.#accept(trial)
      else if (trial.msLeft === 0) await this.#takeBack(trial, `${missing} within ${this.#parts.seconds} s`)
    } catch (error) {
      this.#parts.log.error({ error }, 'cannot end the trial of a policy; it is tried again')
    }
  }

  #lookAtSetAside(): void {
    if (this.#setAside === null) return
    const { policy, atMs, notBeforeMs } = this.#setAside
    if ((this.#parts.way()?.provenAtMs ?? Number.NEGATIVE_INFINITY) <= atMs) this.#parts.probeWay()
    else if (performance.now() >= notBeforeMs) this.setPolicy(policy)
  }

  async #accept(trial: Trial): Promise<void> {
    const { log, keep, onOutcome } = this.#parts
    // Whoever starts next compares with what is on disk, and nobody confirms twice.
    if (isRisky(trial.demand)) await keep(trial.policy)
    this.#end('confirmed')
    this.#setbacks = 0
    this.#enforced = trial.policy
    await this.#memory.forget()
    if (isRisky(trial.demand)) log.info('the policy on trial is confirmed')
    onOutcome(trial.outcome!)
  }

  async #takeBack(trial: Trial, missing: string): Promise<void> {
    const cuts = textsOf(trial.demand.cuts)
    const { log, metrics } = this.#parts
    log.error({ cuts, reason: missing }, 'the policy on trial is taken back; what stood before is in force again')
    await putBack(trial.before, this.#beforeParts)
    const what = cuts.length === 0 ? 'the first policy of this host' : `it would cut ${cuts.join('; ')}`
    const reason = `${missing} (${what})`
    this.#end('rolled-back')
    if (isRisky(trial.demand)) {
      const fingerprint = fingerprintOf(trial.policy)
      await this.#memory.keepRefused({ fingerprint, cuts, reason })
      metrics.refusing.set(1)
      tellRefused(this.#parts, reason)
    } else {
      await this.#memory.forget()
      this.#setAsideFor(trial.policy, reason)
    }
  }

  #setAsideFor(policy: PolicyIr, reason: string): void {
    const nowMs = performance.now()
    this.#setAside = { policy, atMs: nowMs, notBeforeMs: nowMs + (this.#setbacks === 0 ? 0 : sameAgainMs) }
    this.#setbacks += 1
    tellSetAside(this.#parts, reason)
    this.#lookSoon('anew')
  }

  #end(outcome: 'confirmed' | 'rolled-back' | 'superseded'): void {
    clearTimeout(this.#timer)
    this.#trial = null
    this.#parts.metrics.trials.inc({ outcome })
    this.#parts.metrics.onTrial.set(0)
  }
}

function showTrial({ demand, isConfirmed, msLeft }: Trial) {
  const { cuts, needsDaemon, needsPerson } = demand
  return {
    cuts: textsOf(cuts),
    needsDaemon,
    needsPerson,
    confirmed: isConfirmed,
    secondsLeft: Math.ceil(msLeft / 1000),
  }
}
