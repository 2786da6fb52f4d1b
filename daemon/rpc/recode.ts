/** Errors of services in the codes that an action's clients know. */
import { ApiError, type FieldError } from '../errors.ts'

export interface Recoding {
  readonly status: number
  readonly code: string
}

/**
 * By the first fault's code and field, the most telling first: `unknown-reference sourceGroupId`, `limit`, then the
 * code of the whole error.
 */
export type Recodings = Readonly<Record<string, Recoding>>

export const coded400 = (code: string): Recoding => ({ status: 400, code })
export const coded403 = (code: string): Recoding => ({ status: 403, code })
export const coded404 = (code: string): Recoding => ({ status: 404, code })

/** Carries out; what is refused is told in other words. */
export function recoded<T>(recodings: Recodings, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const recoding = recodingOf(error, recodings)
    if (recoding === null) throw error
    const { errors, details } = error
    throw new ApiError(recoding.status, recoding.code, error.message, { errors, details, cause: error })
  }
}

function recodingOf(error: ApiError, recodings: Recodings): Recoding | null {
  const [first] = error.errors
  for (const key of [...(first === undefined ? [] : keysOf(first)), error.code]) {
    if (Object.hasOwn(recodings, key)) return recodings[key]!
  }
  return null
}

/** The last word of a path says which field it is: `permissions[3].portRange`. */
function keysOf({ code, field }: FieldError): readonly string[] {
  const name = field
    .split('.')
    .at(-1)!
    .replace(/\[\d+\]$/, '')
  return [`${code} ${name}`, name, code]
}
