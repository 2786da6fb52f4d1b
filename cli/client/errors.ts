/** What can go wrong between a command and the daemon: one line each on stderr, then what to do next. */
import { exitNotReachable, exitRefused, OperationError } from '../command.ts'

/** RFC 9457, as docs/api.md has it; of another server's answer there may be less. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly requestId: string | null
  readonly errors: readonly { readonly field: string; readonly message: string }[]
  /** Lists of ids by field name: `networkInterfaceIds`; of many the first. */
  readonly heldBy: Readonly<Record<string, readonly string[]>>
  /** By the same names how many there are; of a daemon from before none. */
  readonly heldByCounts: Readonly<Record<string, number>>
}

/** The daemon answered, and not as was asked. */
export class RefusedError extends OperationError {
  readonly problem: Problem

  /** @param advice  lines for the end, of who knows more than the answer says */
  constructor(problem: Problem, advice: readonly string[] = []) {
    super([...linesOf(problem), ...advice], problem.status < 500 ? exitRefused : 1)
    this.name = 'RefusedError'
    this.problem = problem
  }
}

export type ConnectionFault = 'not-sent' | 'broken'

/** No answer came. `not-sent`: the daemon cannot have seen the request. */
export class UnreachableError extends OperationError {
  readonly fault: ConnectionFault

  constructor(fault: ConnectionFault, lines: readonly string[], cause?: unknown) {
    super(lines, exitNotReachable, cause)
    this.name = 'UnreachableError'
    this.fault = fault
  }
}

/** @param body  the answer's text, JSON or not */
export function readProblem(status: number, body: string): Problem {
  const read = parseObject(body)
  const errors = Array.isArray(read.errors) ? read.errors : []
  return {
    status,
    code: textOr(read.code, ''),
    detail: textOr(read.detail, `the daemon answered ${status}, and not in the form of Ringwall's API`),
    requestId: typeof read.requestId === 'string' ? read.requestId : null,
    errors: errors.filter(isFieldError),
    heldBy: Object.fromEntries(Object.entries(read.heldBy ?? {}).filter(([, ids]) => Array.isArray(ids))),
    heldByCounts: Object.fromEntries(
      Object.entries(read.heldByCounts ?? {}).filter(([, count]) => Number.isSafeInteger(count)),
    ),
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise
}

function isFieldError(value: unknown): value is Problem['errors'][number] {
  const { field, message } = (value ?? {}) as Record<string, unknown>
  return typeof field === 'string' && typeof message === 'string'
}

function linesOf(problem: Problem): string[] {
  const { errors, detail, heldBy, heldByCounts } = problem
  const said = errors.length === 0 ? [detail] : errorLines(errors)
  const holders = Object.entries(heldBy)
    .filter(([, ids]) => ids.length > 0)
    .map(([field, ids]) => `Held by ${holderNames[field] ?? field}: ${someOf(ids, heldByCounts[field])}`)
  return [...said, ...holders, ...adviceOn(problem)]
}

const mostHoldersShown = 20

function someOf(ids: readonly string[], count = ids.length): string {
  const listed = ids.slice(0, mostHoldersShown)
  const more = Math.max(count, ids.length) - listed.length
  return [...listed, ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}

/** What several fields share is said once; many are, where a command has made several rules of its words. */
function errorLines(errors: Problem['errors']): string[] {
  const fieldsOf = Map.groupBy(errors, ({ message }) => message)
  return [...fieldsOf].map(([message, same]) => {
    // The API tells parameters of a query from fields of a body by a question mark.
    const fields = same
      .map(({ field }) => field.replace(/^\?/, ''))
      .filter(field => field !== '' && !message.startsWith(`${field}:`))
    return fields.length === 0 ? message : `${fields.join(', ')}: ${message}`
  })
}

const holderNames: Readonly<Record<string, string>> = {
  networkInterfaceIds: 'network interfaces',
  securityGroupIds: 'security groups',
  instanceIds: 'instances',
  prefixListIds: 'prefix lists',
  portRangeListIds: 'lists of ports',
  tokenIds: 'API tokens',
  ram: 'users, groups, policies, roles and access keys',
}

/** Where those stand that there are, by how codes of RAM begin: `EntityNotExist.User.AccessKey`. */
const ramLists: readonly (readonly [code: string, command: string])[] = [
  ['EntityNotExist.User.AccessKey', 'ram key list'],
  ['EntityNotExist.User', 'ram user list'],
  ['EntityNotExist.Group', 'ram group list'],
  ['EntityNotExist.Policy.Version', 'ram policy show POLICY'],
  ['EntityNotExist.Policy', 'ram policy list'],
  ['EntityNotExist.Role', 'ram role list'],
]

function adviceOn({ status, code, requestId, heldBy, errors }: Problem): string[] {
  if (code === 'MissingParameter' && errors.some(({ field }) => field === 'accountId')) {
    return [
      'Say which with --account; "ringwall account list" shows them, and a context can have one.',
      '"ringwall context show" says what your token may do.',
    ]
  }
  const list = ramLists.find(([begin]) => code.startsWith(begin))
  if (list !== undefined) return [`"ringwall ${list[1]}" shows those there are.`]
  if (code === 'InstanceLastSecurityGroup') {
    return [
      'Put it into another first: ringwall eni attach ENI GROUP, or exchange them: ringwall eni modify ENI --group GROUP',
    ]
  }
  if (errors.some(({ field }) => field.startsWith('limits.'))) return ['"ringwall limits" shows the limits there are.']
  if (code === 'Forbidden') return ['"ringwall context show" says what your token may do.']
  if (code === 'LimitExceeded')
    return ['"ringwall limits" shows the limits and their use; "ringwall settings set" changes them.']
  if (status === 412) return ['It was changed meanwhile: look at it again, then repeat with the revision it has now.']
  if (heldBy.instanceIds !== undefined) return []
  if (status === 409 && (heldBy.networkInterfaceIds ?? []).length > 0) {
    return ['"ringwall sg leave" and "ringwall eni detach" take interfaces out of a group.']
  }
  if (status === 409 && (heldBy.securityGroupIds ?? []).length > 0) {
    return ['"ringwall rule remove" takes away the rules that name it.']
  }
  if (status === 503) return ['Nothing was stored. Try again when the daemon is well: its log says more.']
  if (status >= 500)
    return [
      requestId === null ? 'The daemon’s log says more.' : `The daemon’s log says more, under request ${requestId}.`,
    ]
  return []
}
