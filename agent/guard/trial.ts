/** A policy that is in force on trial, and what it still has to show. */
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Outcome } from '../reconcile/loop.ts'
import type { Before } from './before.ts'
import type { Session, Way } from './sessions.ts'
import { cutsOf, type Demand, textsOf } from './weigh.ts'

/** The way to the daemon, where one leads the agent. */
export interface DaemonWay extends Way {
  readonly connected: boolean
  /**
   * The daemon has answered what was sent at this time, on performance.now()'s clock, or later; so packets pass in both
   * directions since.
   */
  readonly provenAtMs: number
}

export interface TrialWitnesses {
  readonly way: () => DaemonWay | null
  /** Asks the daemon for an answer. */
  readonly probeWay: () => void
  readonly listRescueSessions: () => Promise<readonly Session[]>
  /** Reads the table and puts it right, should somebody have changed it. */
  readonly readAgain: () => Promise<void>
}

export class Trial {
  readonly policy: PolicyIr
  readonly demand: Demand
  readonly before: Before
  /** That lived when it began. */
  readonly sessions: readonly Session[]
  readonly #seconds: number
  isConfirmed = false
  /** When the kernel had it whole, on performance.now()'s clock, and what the source is told then. */
  #inForce: { readonly atMs: number; readonly outcome: Outcome } | null = null
  #untilMs: number | null = null
  /** What the far end of each session had acknowledged when the kernel had it. */
  readonly #acknowledged = new Map<string, number>()

  constructor(
    what: Pick<Trial, 'policy' | 'demand' | 'before' | 'sessions'>,
    { seconds, untilMs = null }: { readonly seconds: number; readonly untilMs?: number | null },
  ) {
    this.policy = what.policy
    this.demand = what.demand
    this.before = what.before
    this.sessions = what.sessions
    this.#seconds = seconds
    this.#untilMs = untilMs
  }

  /** For the time that is left. What somebody has confirmed counts for what cuts the same. */
  replacedBy(policy: PolicyIr, demand: Demand): Trial {
    const { before, sessions } = this
    const trial = new Trial({ policy, demand, before, sessions }, { seconds: this.#seconds, untilMs: this.#untilMs })
    trial.isConfirmed = this.isConfirmed && textsOf(demand.cuts).join() === textsOf(this.demand.cuts).join()
    return trial
  }

  /** Told each time the kernel was made to agree with it: what passed before that may have met another ruleset. */
  noteInForce(outcome: Exclude<Outcome, { kind: 'refused' }>): void {
    if (outcome.kind === 'unchanged' && this.#inForce !== null) return
    const atMs = performance.now()
    this.#inForce = { atMs, outcome: this.#inForce?.outcome ?? outcome }
    this.#untilMs ??= atMs + this.#seconds * 1000
    this.#acknowledged.clear()
  }

  get outcome(): Outcome | null {
    return this.#inForce?.outcome ?? null
  }

  /** The time runs from when the kernel has it: until then nobody is locked out. */
  get msLeft(): number {
    return this.#untilMs === null ? this.#seconds * 1000 : Math.max(0, this.#untilMs - performance.now())
  }

  /** What it still waits for, in words; null for nothing. */
  async missing(witnesses: TrialWitnesses): Promise<string | null> {
    const inForce = this.#inForce
    if (inForce === null) return 'the kernel has not got it'
    if (this.demand.needsDaemon) {
      const way = witnesses.way()
      if (way === null || way.provenAtMs <= inForce.atMs) {
        witnesses.probeWay()
        return 'the daemon was not reached through it'
      }
    }
    if (!this.demand.needsPerson || this.isConfirmed) return null
    if (await this.#allCarry(witnesses)) {
      await witnesses.readAgain()
      // Where somebody had taken the table away, that is why packets passed.
      if (this.#inForce === inForce) return null
    }
    return 'nobody confirmed it, and no packet of the session came'
  }

  async #allCarry({ listRescueSessions }: TrialWitnesses): Promise<boolean> {
    // Where sessions that were accepted live on, they say nothing of those that will come.
    if (this.policy.revocation !== 'immediate') return false
    const live = new Map((await listRescueSessions()).map(session => [keyOf(session), session.acknowledged]))
    let all = true
    for (const { session } of cutsOf('rescue', this.demand.cuts)) {
      const key = keyOf(session)
      const now = live.get(key)
      const first = this.#acknowledged.get(key)
      if (now === undefined || first === undefined || now <= first) all = false
      if (now !== undefined && first === undefined) this.#acknowledged.set(key, now)
    }
    return all
  }
}

function keyOf({ local, remote }: Session): string {
  return `${local.address} ${local.port} ${remote.address} ${remote.port}`
}
