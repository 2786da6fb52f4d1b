/** A policy that is not in force, or on trial only: it would lock somebody out, or the host was opened. */
export class LockoutError extends Error {
  override readonly name = 'LockoutError'
  readonly kind: 'lockout' | 'panic'

  constructor(message: string, kind: LockoutError['kind'] = 'lockout') {
    super(message)
    this.kind = kind
  }
}
