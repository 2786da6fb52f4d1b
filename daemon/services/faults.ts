/** Every fault of a request, told at once. */
import { ApiError, type FieldError } from '../errors.ts'

export interface Refusal {
  readonly status: number
  /** Of the whole answer, where all that was found is of this kind. */
  readonly code: string
}

/** The request itself is wrong. */
export const invalidRequest: Refusal = { status: 400, code: 'InvalidParameter' }
/** The request is well formed, and the state does not allow it. */
export const conflict: Refusal = { status: 409, code: 'Conflict' }
export const limitExceeded: Refusal = { status: 403, code: 'LimitExceeded' }

export class Faults {
  readonly #found: { readonly refusal: Refusal; readonly error: FieldError }[] = []

  get count(): number {
    return this.#found.length
  }

  add(refusal: Refusal, error: FieldError): void {
    this.#found.push({ refusal, error })
  }

  /**
   * What the look-up gives; undefined where it refuses, which is noted.
   * @param field  where in the request that stands which is looked up
   */
  attempt<T>(field: string, lookUp: () => T): T | undefined {
    try {
      return lookUp()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.addError(error, field)
      return undefined
    }
  }

  /** @param field  for an error that says none itself */
  addError({ status, code, message, errors }: ApiError, field = ''): void {
    this.add({ status, code }, errors[0] ?? { code, field, message })
  }

  /** @throws {ApiError} of the kind that all faults are; where they differ, the request is just wrong */
  throwIfAny(): void {
    const [first, ...others] = this.#found
    if (first === undefined) return
    const isOneKind = others.every(({ refusal }) => refusal.code === first.refusal.code)
    const { status, code } = isOneKind ? first.refusal : invalidRequest
    const more = others.length > 0 ? ` (and ${others.length} more)` : ''
    throw new ApiError(status, code, `${first.error.field}: ${first.error.message}${more}`, {
      errors: this.#found.map(({ error }) => error),
    })
  }
}
