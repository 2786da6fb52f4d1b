/**
 * Keeps a policy from locking the agent out of its daemon, or an administrator out of the host. It stands between the
 * source and the loop: a policy that would cut a session it watches over is put in force on trial, and is taken back
 * unless the daemon is reached through it and somebody on the host shows that they still are.
 *
 * What is taken back is refused to the source, and not tried again until it changes.
 */
import type { Logger } from '../../common/log.ts'
import { deleteTable } from '../../rules-compiler/nft/commands.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { readIr } from '../last-good.ts'
import type { Nft } from '../nft/nft.ts'
import type { Outcome, ReconcileLoop } from '../reconcile/loop.ts'
import type { Reporter } from '../report.ts'
import { readTable, takeSnapshot } from '../snapshot.ts'
import type { StateDir } from '../state-dir.ts'
import { LockoutError } from './error.ts'
import { type Cut, findCuts, takesNothing } from './judge.ts'
import { fingerprintOf, type KeptGuard, readKeptGuard, writeKeptGuard } from './kept-guard.ts'
import type { GuardMetrics } from './metrics.ts'
import { listSessions, type Session, type Way } from './sessions.ts'

/** The way to the daemon, where one leads the agent. */
export interface DaemonWay extends Way {
  readonly connected: boolean
  /**
   * The daemon has answered what was sent at this time, on performance.now()'s clock, or later; so packets pass in both
   * directions since.
   */
  readonly provenAtMs: number
}

export interface GuardOptions {
  /** How long a trial lasts; 0 tries nothing and lets every policy through. */
  readonly seconds: number
  /** Local TCP ports by which the host is administered. */
  readonly rescuePorts: readonly number[]
}

export interface GuardParts extends GuardOptions {
  readonly log: Logger
  readonly metrics: GuardMetrics
  readonly reporter: Pick<Reporter, 'heldBack'>
  readonly loop: Pick<ReconcileLoop, 'setPolicy' | 'forget' | 'settled'>
  readonly nft: Nft
  readonly jsonCtTimeout: boolean
  /** Null keeps nothing over a restart. */
  readonly kept: { readonly folder: string; readonly stateDir: StateDir } | null
  /** Null where no daemon leads. */
  readonly way: () => DaemonWay | null
  /** Asks the daemon for an answer. */
  readonly probeWay: () => void
  /** Resolves when the policy in force is on disk. */
  readonly onDisk: () => Promise<void>
  /** The source's: told of what was decided on the policy it gave. */
  readonly onOutcome: (outcome: Outcome) => void
}

/** What is put back. */
type Before =
  | { readonly kind: 'policy'; readonly ir: PolicyIr }
  /** No table stood. */
  | { readonly kind: 'nothing' }
  /** A table stood whose policy is not known. */
  | { readonly kind: 'table'; readonly restore: () => Promise<void> }

interface Trial {
  policy: PolicyIr
  cuts: readonly Cut[]
  readonly before: Before
  readonly sessions: readonly Session[]
  /** Whether the daemon must be reached. */
  readonly needsDaemon: boolean
  readonly untilMs: number
  /** When the kernel had it, on performance.now()'s clock, and what the source is told then. */
  inForce: { readonly atMs: number; outcome: Outcome } | null
  /** What was acknowledged on each session that would be cut, when the kernel had it. */
  readonly acknowledged: Map<string, number>
  isConfirmed: boolean
}

const lookMs = 500
/** A policy that would cut the same by the same rules is another one, but is not worth being locked out for at once. */
const sameAgainMs = 600_000

export class Guard {
  readonly #parts: GuardParts
  #kept: KeptGuard = { trial: null, refused: null }
  /** In the kernel, and no trial; null where that is not known. */
  #enforced: PolicyIr | null = null
  #next: PolicyIr | null = null
  #working: Promise<void> | null = null
  #trial: Trial | null = null
  #lookingNow: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: GuardParts) {
    this.#parts = parts
  }

  /** Takes the ruleset away, and a trial with it, until the next policy. */
  async openHost(): Promise<void> {
    this.#next = null
    await this.#working
    await this.#lookingNow
    if (this.#trial !== null) {
      this.#end('superseded')
      await this.#keep({ trial: null, refused: null })
    }
    await this.#putBack({ kind: 'nothing' })
    this.#enforced = null
  }

  /** Before the source starts: ends a trial that an agent before this one was killed in. */
  async open(): Promise<void> {
    const { kept, log, seconds } = this.#parts
    if (kept === null) return
    this.#kept = await readKeptGuard(kept.folder, log)
    const { trial } = this.#kept
    if (trial === null) return
    const before = await this.#keptBefore(trial.before)
    log.warn({ cuts: trial.cuts }, 'the agent was ended during a trial; the policy on trial is taken back')
    await this.#putBack(before)
    this.#refuse(trial.fingerprint, trial.cuts, 'the agent was ended during the trial')
    if (seconds === 0) await this.#keep({ trial: null, refused: null })
    else await this.#keep(this.#kept)
  }

  setPolicy(policy: PolicyIr): void {
    if (this.#working === null && this.#trial === null && this.#isHarmless(policy)) {
      this.#letThrough(policy)
      return
    }
    this.#next = policy
    this.#working ??= this.#work()
  }

  /** Told of each run of the loop. @returns whether the source is to be told now */
  noteOutcome(outcome: Outcome): boolean {
    if (outcome.kind === 'refused' || outcome.kind === 'planned') return this.#trial === null
    const trial = this.#trial
    if (trial === null || outcome.policy !== trial.policy) {
      this.#enforced = outcome.policy
      return true
    }
    if (trial.inForce === null) trial.inForce = { atMs: performance.now(), outcome }
    return false
  }

  /** Somebody on the host is there, and wants what is on trial. */
  confirm(): void {
    if (this.#trial === null) return
    this.#trial.isConfirmed = true
    this.#look()
  }

  status() {
    const trial = this.#trial
    const { refused } = this.#kept
    return {
      trial: trial && {
        cuts: textsOf(trial.cuts),
        needsDaemon: trial.needsDaemon,
        confirmed: trial.isConfirmed,
        secondsLeft: Math.max(0, Math.ceil((trial.untilMs - performance.now()) / 1000)),
      },
      refused: refused && { reason: refused.reason, since: new Date(refused.atMs).toISOString() },
    }
  }

  problems(): readonly string[] {
    const { trial } = this.status()
    if (trial === null) return []
    return [`the policy is in force on trial, ${trial.secondsLeft} s left: it may cut ${trial.cuts.join('; ')}`]
  }

  /** Resolves when what was set has been decided on and is in the kernel, on trial perhaps. */
  async settled(): Promise<void> {
    while (this.#working !== null) await this.#working
    await this.#parts.loop.settled()
  }

  /** A trial under way is taken back: nobody would be there to do it when its time is over. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#working
    await this.#lookingNow
    if (this.#trial === null) return
    try {
      await this.#takeBack(this.#trial, 'the agent was stopped during the trial')
    } catch (error) {
      this.#parts.log.error({ error }, 'cannot take back the policy on trial; the next agent that starts does')
    }
  }

  #isHarmless(policy: PolicyIr): boolean {
    if (this.#parts.seconds === 0) return true
    return this.#enforced !== null && this.#kept.refused === null && takesNothing(this.#enforced, policy)
  }

  async #work(): Promise<void> {
    // What comes in the same turn is looked at once.
    await Promise.resolve()
    try {
      while (this.#next !== null && !this.#closed) {
        const policy = this.#next
        this.#next = null
        await this.#consider(policy)
      }
    } finally {
      this.#working = null
    }
  }

  async #consider(policy: PolicyIr): Promise<void> {
    const { log, seconds } = this.#parts
    try {
      // What was let through before it is what would be put back.
      await this.#parts.loop.settled()
      const trial = this.#trial
      const way = this.#parts.way()
      const before = trial?.before ?? (await this.#before())
      const sessions = trial?.sessions ?? (await listSessions({ way, rescuePorts: this.#parts.rescuePorts }))
      const cuts = findCuts(judgedBy(before), policy, sessions)
      const isFirst = before.kind === 'nothing' && way?.connected === true
      if (trial !== null) {
        await this.#goOn(trial, policy, cuts)
      } else if (this.#isRefusedAgain(policy, cuts)) {
        this.#tellRefused(this.#kept.refused!.reason)
      } else if (cuts.length === 0 && !isFirst) {
        this.#letThrough(policy)
      } else {
        await this.#begin({ policy, cuts, before, sessions, isFirst, way })
      }
    } catch (error) {
      // Whoever cannot look must not keep the policy from the kernel: that would open more than was meant.
      log.error({ error }, 'cannot look whether the policy locks somebody out; it is put in force')
      this.#letThrough(policy)
    }
    if (seconds > 0) this.#parts.metrics.refusing.set(this.#kept.refused === null ? 0 : 1)
  }

  async #before(): Promise<Before> {
    if (this.#enforced !== null) return { kind: 'policy', ir: this.#enforced }
    const { kept, nft, jsonCtTimeout } = this.#parts
    // What was confirmed in an earlier life counts, though a boot has taken it from the kernel.
    if (kept !== null && (await kept.stateDir.readPolicyText()) !== null) return this.#keptBefore('policy')
    const { existed, restore } = await takeSnapshot(nft, jsonCtTimeout)
    return existed ? { kind: 'table', restore } : { kind: 'nothing' }
  }

  async #keptBefore(kind: 'nothing' | 'policy'): Promise<Before> {
    const text = kind === 'policy' ? await this.#parts.kept?.stateDir.readPolicyText() : null
    const { ir } = text == null ? { ir: null } : readIr(text)
    if (ir !== null) return { kind: 'policy', ir }
    if (kind === 'nothing') return { kind }
    const { restore } = await takeSnapshot(this.#parts.nft, this.#parts.jsonCtTimeout)
    return { kind: 'table', restore }
  }

  #isRefusedAgain(policy: PolicyIr, cuts: readonly Cut[]): boolean {
    const { refused } = this.#kept
    if (refused === null) return false
    const isAlike = cuts.length > 0 && textsOf(cuts).join() === refused.cuts.join()
    return (isAlike && Date.now() - refused.atMs < sameAgainMs) || fingerprintOf(policy) === refused.fingerprint
  }

  #letThrough(policy: PolicyIr): void {
    if (this.#kept.refused !== null) void this.#keep({ trial: null, refused: null })
    this.#parts.loop.setPolicy(policy)
  }

  async #begin(
    found: Pick<Trial, 'policy' | 'cuts' | 'before' | 'sessions'> & {
      readonly isFirst: boolean
      readonly way: DaemonWay | null
    },
  ): Promise<void> {
    const { isFirst, way, ...what } = found
    const { log, metrics, loop, onDisk, onOutcome, seconds } = this.#parts
    const cuts = textsOf(what.cuts)
    // What stands must be on disk before, and what is on trial not until it is confirmed.
    await onDisk()
    const before = what.before.kind === 'nothing' ? 'nothing' : 'policy'
    await this.#keep({ trial: { fingerprint: fingerprintOf(what.policy), cuts, before }, refused: null })
    this.#trial = {
      ...what,
      needsDaemon: way?.connected ?? false,
      untilMs: performance.now() + seconds * 1000,
      inForce: null,
      acknowledged: new Map(),
      isConfirmed: false,
    }
    metrics.onTrial.set(1)
    if (!isFirst || cuts.length > 0) {
      log.warn({ cuts, seconds }, 'the policy may lock somebody out: it is put in force on trial')
      const error = new LockoutError(`On trial for ${seconds} s, because it may cut ${cuts.join('; ')}; ${advice}`)
      // Said before: what the policy cuts may be the way to say it.
      onOutcome({ kind: 'refused', cause: 'policy', error, retryInMs: seconds * 1000 })
    }
    loop.setPolicy(what.policy)
    this.#lookSoon()
  }

  /** Another policy comes during a trial. */
  async #goOn(trial: Trial, policy: PolicyIr, cuts: readonly Cut[]): Promise<void> {
    const { loop, metrics, log } = this.#parts
    if (cuts.length === 0) {
      this.#end('superseded')
      log.info('the policy on trial is replaced by one that locks nobody out')
      await this.#keep({ trial: null, refused: null })
      loop.setPolicy(policy)
      metrics.onTrial.set(0)
      return
    }
    const before = trial.before.kind === 'nothing' ? 'nothing' : 'policy'
    await this.#keep({ trial: { fingerprint: fingerprintOf(policy), cuts: textsOf(cuts), before }, refused: null })
    trial.policy = policy
    trial.cuts = cuts
    trial.inForce = null
    trial.acknowledged.clear()
    loop.setPolicy(policy)
  }

  #lookSoon(): void {
    clearTimeout(this.#timer)
    if (!this.#closed && this.#trial !== null) this.#timer = setTimeout(() => this.#look(), lookMs)
  }

  #look(): void {
    this.#lookingNow ??= this.#lookAt(this.#trial).finally(() => {
      this.#lookingNow = null
      this.#lookSoon()
    })
  }

  async #lookAt(trial: Trial | null): Promise<void> {
    if (trial === null || this.#closed || this.#working !== null) return
    try {
      const missing = await this.#missing(trial)
      if (this.#trial !== trial || this.#working !== null || this.#closed) return
      if (missing === null) await this.#accept(trial)
      else if (performance.now() >= trial.untilMs)
        await this.#takeBack(trial, `${missing} within ${this.#parts.seconds} s`)
    } catch (error) {
      this.#parts.log.error({ error }, 'cannot end the trial of a policy; it is tried again')
    }
  }

  /** What the trial still waits for, in words; null for nothing. */
  async #missing(trial: Trial): Promise<string | null> {
    if (trial.inForce === null) return 'the kernel has not got it'
    if (trial.needsDaemon) {
      const way = this.#parts.way()
      if (way === null || way.provenAtMs <= trial.inForce.atMs) {
        this.#parts.probeWay()
        return 'the daemon was not reached through it'
      }
    }
    const rescue = trial.cuts.filter(({ session }) => session.kind === 'rescue')
    if (rescue.length === 0 || trial.isConfirmed) return null
    // Where sessions that were accepted live on, they say nothing of those that will come.
    const isCarrying = trial.policy.revocation === 'immediate' && (await this.#allCarry(trial, rescue))
    return isCarrying ? null : 'nobody confirmed it, and no packet of the session came'
  }

  async #allCarry(trial: Trial, cuts: readonly Cut[]): Promise<boolean> {
    const live = await listSessions({ way: null, rescuePorts: this.#parts.rescuePorts })
    const acknowledged = new Map(live.map(session => [keyOf(session), session.acknowledged]))
    let all = true
    for (const { session } of cuts) {
      const key = keyOf(session)
      const now = acknowledged.get(key)
      const first = trial.acknowledged.get(key)
      if (now === undefined || first === undefined || now <= first) all = false
      if (now !== undefined && first === undefined) trial.acknowledged.set(key, now)
    }
    return all
  }

  async #accept(trial: Trial): Promise<void> {
    const { log, onOutcome } = this.#parts
    this.#end('confirmed')
    this.#enforced = trial.policy
    await this.#keep({ trial: null, refused: null })
    if (trial.cuts.length > 0) log.info('the policy on trial is confirmed')
    onOutcome(trial.inForce!.outcome)
  }

  async #takeBack(trial: Trial, missing: string): Promise<void> {
    const cuts = textsOf(trial.cuts)
    const { log } = this.#parts
    log.error({ cuts, reason: missing }, 'the policy on trial is taken back; what stood before is in force again')
    await this.#putBack(trial.before)
    const what = cuts.length === 0 ? 'the first policy of this host' : `it would cut ${cuts.join('; ')}`
    this.#end('rolled-back')
    this.#refuse(fingerprintOf(trial.policy), cuts, `${missing} (${what})`)
    this.#parts.metrics.refusing.set(1)
    await this.#keep(this.#kept)
    this.#tellRefused(this.#kept.refused!.reason)
  }

  async #putBack(before: Before): Promise<void> {
    const { loop, nft } = this.#parts
    if (before.kind === 'policy') {
      loop.setPolicy(before.ir)
      await loop.settled()
      return
    }
    loop.forget()
    await loop.settled()
    if (before.kind === 'table') await before.restore()
    else if ((await readTable(nft)) !== null) await nft.apply([deleteTable])
  }

  #refuse(fingerprint: string, cuts: readonly string[], reason: string): void {
    this.#kept = { trial: null, refused: { fingerprint, cuts, reason, atMs: Date.now() } }
  }

  #tellRefused(reason: string): void {
    const message = `Taken back, and not tried again until the policy changes: ${reason}`
    this.#parts.log.warn({ reason }, 'the policy is refused: it was taken back before')
    this.#parts.reporter.heldBack(message)
    this.#parts.onOutcome({ kind: 'refused', cause: 'policy', error: new LockoutError(message), retryInMs: 0 })
  }

  #end(outcome: 'confirmed' | 'rolled-back' | 'superseded'): void {
    clearTimeout(this.#timer)
    this.#trial = null
    this.#parts.metrics.trials.inc({ outcome })
    this.#parts.metrics.onTrial.set(0)
  }

  async #keep(kept: KeptGuard): Promise<void> {
    this.#kept = kept
    if (this.#parts.kept === null) return
    try {
      await writeKeptGuard(this.#parts.kept.folder, kept)
    } catch (error) {
      this.#parts.log.error({ error }, 'cannot keep on disk what the guard does; a restart may forget a trial')
    }
  }
}

const advice = '"ringwall confirm" on the host keeps it'

function judgedBy(before: Before): PolicyIr | 'nothing' | 'unknown' {
  if (before.kind === 'policy') return before.ir
  return before.kind === 'nothing' ? 'nothing' : 'unknown'
}

/** Each once, sorted. */
function textsOf(cuts: readonly Cut[]): readonly string[] {
  return [...new Set(cuts.map(({ text }) => text))].sort()
}

function keyOf({ local, remote }: Session): string {
  return `${local.address} ${local.port} ${remote.address} ${remote.port}`
}
