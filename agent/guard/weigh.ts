/** What a policy must show before it is trusted; pure. */
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { type Cut, findCuts } from './judge.ts'
import type { Session } from './sessions.ts'

export interface Demand {
  readonly cuts: readonly Cut[]
  /** The daemon must be reached through it. */
  readonly needsDaemon: boolean
  /** Somebody must confirm it, or the sessions it would cut must go on through it. */
  readonly needsPerson: boolean
}

export interface Circumstances {
  /** What judges now; `nothing` where no ruleset stands, `unknown` where it is not known what it says. */
  readonly before: PolicyIr | 'nothing' | 'unknown'
  readonly sessions: readonly Session[]
  /** A daemon leads, and somebody is there who can take back what was asked for. */
  readonly isLed: boolean
  /** That daemon can be expected to answer. */
  readonly isReached: boolean
}

/**
 * A file that cuts an administrator off may be a slip of whoever sits in that very session; what a daemon says was
 * asked for by an operator who sits elsewhere, and is undone there as long as the daemon is reached. Only where nothing
 * was enforced before, on a host without a policy, whatever ruleset of somebody's stands there, or at a device of no ENI,
 * nobody can be taken to know yet who works there.
 */
export function weigh(policy: PolicyIr, { before, sessions, isLed, isReached }: Circumstances): Demand {
  const cuts = findCuts(before, policy, sessions)
  const isFirst = typeof before === 'string'
  const isKnown = ({ device }: Session) => typeof before === 'object' && isJudged(before, device)
  return {
    cuts,
    needsDaemon: isReached && (isFirst || cuts.length > 0),
    needsPerson: cutsOf('rescue', cuts).some(({ session }) => !isLed || !isKnown(session)),
  }
}

function isJudged({ enis }: PolicyIr, device: string): boolean {
  return enis.some(eni => eni.device === device && !eni.isObserved)
}

export function isTrialNeeded({ needsDaemon, needsPerson }: Demand): boolean {
  return needsDaemon || needsPerson
}

/** Whether it may well fail: as far as can be told, all others pass as soon as the daemon has answered. */
export function isRisky({ cuts, needsPerson }: Demand): boolean {
  return needsPerson || cutsOf('daemon', cuts).length > 0
}

export function cutsOf(kind: Session['kind'], cuts: readonly Cut[]): readonly Cut[] {
  return cuts.filter(({ session }) => session.kind === kind)
}

/** Each text once, sorted. */
export function textsOf(cuts: readonly Cut[]): readonly string[] {
  return [...new Set(cuts.map(({ text }) => text))].sort()
}
