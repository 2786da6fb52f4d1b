/** A trial, for whoever may end it. */
export interface TrialNotice {
  /** Whom the policy would cut by what, in words; sorted. */
  readonly cuts: readonly string[]
  /** Somebody must confirm it. */
  readonly needsPerson: boolean
  /** On performance.now()'s clock. */
  readonly untilMs: number
}

/** A policy that is not in force, or on trial only: it would lock somebody out, or the host was opened. */
export class LockoutError extends Error {
  override readonly name = 'LockoutError'
  readonly kind: 'lockout' | 'panic'
  /** Null where it is not in force. */
  readonly trial: TrialNotice | null

  constructor(message: string, kind: LockoutError['kind'] = 'lockout', trial: TrialNotice | null = null) {
    super(message)
    this.kind = kind
    this.trial = trial
  }
}
