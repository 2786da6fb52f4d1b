/** What the API says when it refuses; RFC 9457 is made of it in app.ts. */
import { makeProblem, type Problem, type ProblemCode, type ProblemOptions } from '../rules-compiler/validate/problem.ts'

/** One fault of a request. */
export interface FieldError {
  /** Stable, for machines: a `ProblemCode`, or a code of the published API. */
  readonly code: string
  /** Path in the request body, `permissions[3].portRange`; for a query parameter `?limit`, for a header its name. */
  readonly field: string
  readonly message: string
  readonly value?: unknown
}

/** A fault in the words of the policy's own checks: `Cannot <action> "<value>": expected …`, on one line. */
export function fieldError(code: ProblemCode, field: string, options: ProblemOptions): FieldError {
  const { message, value } = makeProblem(code, field, options)
  return { code, field, message, value }
}

export interface ApiErrorOptions {
  readonly errors?: readonly FieldError[]
  /** What holds the object, and the like: further members of the answer. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** Refused, with an HTTP status below 500: the client can do something about it. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldError[]
  readonly details: Readonly<Record<string, unknown>>

  /** @param code  stable, in the published API's words where it has one: `InvalidSecurityGroupId.NotFound` */
  constructor(status: number, code: string, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.errors = options.errors ?? []
    this.details = options.details ?? {}
  }
}

const notFoundCodes = {
  account: 'InvalidAccountId.NotFound',
  group: 'InvalidSecurityGroupId.NotFound',
  prefixList: 'InvalidPrefixListId.NotFound',
  portRangeList: 'InvalidPortRangeListId.NotFound',
  instance: 'InvalidInstanceId.NotFound',
  eni: 'InvalidEniId.NotFound',
  agent: 'InvalidAgentId.NotFound',
  enrolment: 'InvalidEnrolmentTokenId.NotFound',
  token: 'InvalidTokenId.NotFound',
  ddosEvent: 'InvalidEventId.NotFound',
} as const

export type NamedKind = keyof typeof notFoundCodes

/** How each kind is called in messages. */
export const kindNames: Readonly<Record<NamedKind, string>> = {
  account: 'account',
  group: 'security group',
  prefixList: 'prefix list',
  portRangeList: 'list of ports',
  instance: 'instance',
  eni: 'network interface',
  agent: 'agent',
  enrolment: 'enrolment token',
  token: 'API token',
  ddosEvent: 'event of traffic scrubbing',
}

/** @param field  where the id stands in the body; left out for an id in the path */
export function notFound(kind: NamedKind, id: string, field?: string): ApiError {
  const message = `Cannot find ${kindNames[kind]} "${id}": there is none with this id that you may see`
  const code = notFoundCodes[kind]
  // An id in the body that leads nowhere is a fault of the body; only one in the path makes the page a missing one.
  return field === undefined
    ? new ApiError(404, code, message)
    : new ApiError(400, code, message, { errors: [{ code, field, message, value: id }] })
}

/**
 * Refuses with every problem that the policy's own checks found.
 * @param fieldOf  the request's field for a problem's path; null for one that is none of the request's doing
 */
export function invalid(problems: readonly Problem[], fieldOf: (path: string) => string): ApiError {
  return refused(problems.map(({ code, path, message, value }) => ({ code, field: fieldOf(path), message, value })))
}

/** Refuses a body with everything that is wrong in it, at least one fault; named by what all of them have in common. */
export function refused(errors: readonly FieldError[]): ApiError {
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  const message = `${first?.field || 'the request'}: ${first?.message}${more}`
  const codes = new Set(errors.map(({ code }) => code))
  const [only = ''] = codes.size === 1 ? codes : []
  if (only === 'limit') return new ApiError(403, 'LimitExceeded', message, { errors })
  const code = only === 'missing' ? 'MissingParameter' : only.endsWith('.NotFound') ? only : 'InvalidParameter'
  return new ApiError(400, code, message, { errors })
}
