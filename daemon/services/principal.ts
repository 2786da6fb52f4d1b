/** Who asks, and what he may see and change. */
import { ApiError, notFound } from '../errors.ts'
import type { Documents, TokenScope } from '../model/documents.ts'
import type { NotedPrincipal } from '../model/note.ts'
import type { Grants } from '../ram/evaluate.ts'
import type { Standing, World } from '../state/world.ts'

export interface Principal extends NotedPrincipal {
  /** The accounts that can be reached at all. */
  readonly scopes: readonly TokenScope[]
  /** Judged by policies within those accounts; left out for operators' tokens, of whom the scopes say all. */
  readonly ram?: RamIdentity
  /** The API token that it came with. */
  readonly tokenId?: string
}

/** An account, a RAM user, or a session of a role. */
export interface RamIdentity {
  readonly type: 'Account' | 'RAMUser' | 'AssumedRoleUser'
  readonly accountId: string
  /** `acs:ram::<account>:user/<name>`, `…:assumed-role/<role>/<session>`, `…:root`. */
  readonly arn: string
  readonly displayName: string
  readonly grants: Grants
}

/** Of what belongs to no account (accounts, agents, tokens, settings, audit, backup), and of every account. */
export const everyAccount = '*'

export function mayRead({ scopes }: Principal, accountId: string): boolean {
  return scopes.some(scope => scope.accountId === everyAccount || scope.accountId === accountId)
}

export function mayWrite({ scopes }: Principal, accountId: string): boolean {
  return scopes.some(
    scope => scope.access === 'write' && (scope.accountId === everyAccount || scope.accountId === accountId),
  )
}

/** @throws {ApiError} 403 */
export function requireRead(principal: Principal, accountId: string): void {
  if (!mayRead(principal, accountId)) throw forbidden(principal, 'read', accountId)
}

/** @throws {ApiError} 403 */
export function requireWrite(principal: Principal, accountId: string): void {
  if (!mayWrite(principal, accountId)) throw forbidden(principal, 'write', accountId)
}

type OwnedKind = 'group' | 'prefixList' | 'portRangeList' | 'instance' | 'eni'

/**
 * An object that the principal may see.
 * @param field  where its id stands in the body; left out for an id in the path
 * @throws {ApiError} not found, also where it belongs to an account he may not read
 */
export function visible<K extends OwnedKind>(world: World, principal: Principal, kind: K, id: string, field?: string) {
  const doc = world.get(kind, id)
  if (doc === undefined || !mayRead(principal, doc.accountId)) throw notFound(kind, id, field)
  return doc
}

/** The same, to be changed. @throws {ApiError} not found, or 403 where he may read only */
export function writable<K extends OwnedKind>(world: World, principal: Principal, kind: K, id: string, field?: string) {
  const doc = visible(world, principal, kind, id, field)
  requireWrite(principal, doc.accountId)
  return doc
}

/** Kinds of what belongs to an account. */
type KindOfAccount = {
  [K in keyof Documents]: Documents[K] extends { readonly accountId: string } ? K : never
}[keyof Documents]

/** Everything of a kind that the principal may see. */
export function* readable<K extends KindOfAccount>(
  world: World,
  principal: Principal,
  kind: K,
): Generator<Standing<Documents[K]>> {
  for (const standing of world.standings(kind)) if (mayRead(principal, standing.doc.accountId)) yield standing
}

/**
 * The account a new object belongs to.
 * @param given   as in the request; left out, it is the principal's only account, or the only one there is
 * @param access  what it is for: to read, any that he may read will do
 * @throws {ApiError} where there is a choice and none was made, or the account is not there or not his to write
 */
export function accountFor(
  world: World,
  principal: Principal,
  given: string | undefined,
  access: 'read' | 'write' = 'write',
): string {
  const may = access === 'read' ? mayRead : mayWrite
  if (given !== undefined) {
    if (world.get('account', given) === undefined || !mayRead(principal, given)) {
      throw notFound('account', given, 'accountId')
    }
    if (access === 'write') requireWrite(principal, given)
    return given
  }
  const candidates = [...world.all('account')].map(account => account.id).filter(id => may(principal, id))
  const [only, another] = candidates
  if (only !== undefined && another === undefined) return only
  const message =
    only === undefined
      ? `Cannot choose an account: there is none that you may ${access}`
      : `Cannot choose an account: expected accountId, one of the ${candidates.length} that you may ${access}`
  throw new ApiError(400, 'MissingParameter', message, {
    errors: [{ code: 'missing', field: 'accountId', message }],
  })
}

function forbidden({ name }: Principal, access: 'read' | 'write', accountId: string): ApiError {
  const where = accountId === everyAccount ? 'what belongs to no account' : `account ${accountId}`
  return new ApiError(403, 'Forbidden', `Token "${name}" may not ${access} ${where}: expected a scope that allows it`)
}
