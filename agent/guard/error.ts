/** A policy that is not in force, or on trial only, because it would lock somebody out. */
export class LockoutError extends Error {
  readonly kind = 'lockout'
  override readonly name = 'LockoutError'
}
