/** What the guard says of a policy, in the log and to the source that gave it. */
import type { Logger } from '../../common/log.ts'
import type { Outcome } from '../reconcile/loop.ts'
import type { Reporter } from '../report.ts'
import { LockoutError } from './error.ts'
import type { Trial } from './trial.ts'
import { cutsOf, type Demand, textsOf } from './weigh.ts'

export interface Told {
  readonly log: Logger
  readonly reporter: Pick<Reporter, 'heldBack'>
  /** The source's: told of what was decided on the policy it gave. */
  readonly onOutcome: (outcome: Outcome) => void
}

/** Said before the kernel has it: what the policy cuts may be the way to say it. */
export function tellTrial({ log, onOutcome }: Told, { demand, msLeft }: Trial): void {
  const cuts = textsOf(demand.cuts)
  const seconds = Math.ceil(msLeft / 1000)
  log.warn({ cuts, seconds }, 'the policy may lock somebody out: it is put in force on trial')
  const end = demand.needsPerson
    ? '; "ringwall confirm" on the host keeps it, or "ringwall agent confirm" elsewhere'
    : ''
  const message = `On trial for ${seconds} s, because it may cut ${cuts.join('; ')}${end}`
  const error = new LockoutError(message, 'lockout', {
    cuts,
    needsPerson: demand.needsPerson,
    untilMs: performance.now() + msLeft,
  })
  onOutcome({ kind: 'refused', cause: 'policy', error, retryInMs: msLeft })
}

export function tellOrdered({ log }: Told, { cuts }: Demand): void {
  const texts = textsOf(cutsOf('rescue', cuts))
  if (texts.length > 0) log.warn({ cuts: texts }, 'the policy of the daemon cuts sessions of administrators')
}

export function tellRefused(told: Told, reason: string): void {
  told.log.warn({ reason }, 'the policy is refused: it was taken back before')
  tellHeldBack(told, `Taken back, and not tried again until the policy changes: ${reason}`)
}

export function tellSetAside(told: Told, reason: string): void {
  tellHeldBack(told, `Taken back, and tried again when the daemon answers: ${reason}`)
}

function tellHeldBack({ reporter, onOutcome }: Told, message: string): void {
  reporter.heldBack(message)
  onOutcome({ kind: 'refused', cause: 'policy', error: new LockoutError(message), retryInMs: 0 })
}
