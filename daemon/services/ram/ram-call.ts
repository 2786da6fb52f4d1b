/** What services of RAM have in common: who asks, how names lead to documents, and how writes say what they made. */
import { randomInt } from 'node:crypto'
import { ApiError } from '../../errors.ts'
import { type Documents, keyOf } from '../../model/documents.ts'
import { type AttachedPolicy, ramId } from '../../model/ram.ts'
import type { World } from '../../state/world.ts'
import type { Write } from '../../store/store.ts'
import { firstOf, heldBy } from '../held-by.ts'

export interface RamCall {
  readonly world: World
  /** Whose users, groups, roles and policies are meant. */
  readonly accountId: string
  readonly nowMs: number
}

export type NamedKind = 'ramUser' | 'ramGroup' | 'ramPolicy' | 'ramRole'

/** How each is called in codes: `EntityNotExist.User`. */
export const entityNames = {
  ramUser: 'User',
  ramGroup: 'Group',
  ramPolicy: 'Policy',
  ramRole: 'Role',
} as const satisfies Record<NamedKind, string>

/** @throws {ApiError} 404 `EntityNotExist.User` and so on */
export function findNamed<K extends NamedKind>({ world, accountId }: RamCall, kind: K, name: string): Documents[K] {
  const doc = world.get(kind, ramId(accountId, name))
  if (doc === undefined) throw notExist(entityNames[kind], name)
  return doc
}

/** @throws {ApiError} 409 `EntityAlreadyExists.User` and so on */
export function requireFree({ world, accountId }: RamCall, kind: NamedKind, name: string): void {
  if (world.get(kind, ramId(accountId, name)) !== undefined) throw alreadyExists(entityNames[kind], name)
}

/** Those of the account, in no particular order. */
export function* allOfAccount<K extends NamedKind>({ world, accountId }: RamCall, kind: K): Generator<Documents[K]> {
  for (const doc of world.all(kind)) if (doc.accountId === accountId) yield doc
}

/** Those of the account, by name. */
export function allNamed<K extends NamedKind>(call: RamCall, kind: K): readonly Documents[K][] {
  return [...allOfAccount(call, kind)].sort((a, b) => (ramId('', a.name) < ramId('', b.name) ? -1 : 1))
}

export function put<K extends NamedKind>(kind: K, doc: Documents[K]): Write {
  return { key: keyOf(kind, ramId(doc.accountId, doc.name)), value: doc }
}

export function remove<K extends NamedKind>(kind: K, doc: Documents[K]): Write {
  return { key: keyOf(kind, ramId(doc.accountId, doc.name)), value: null }
}

/** @param entity  `User`, `Group.Policy` */
export function notExist(entity: string, name: string): ApiError {
  return new ApiError(404, `EntityNotExist.${entity}`, `Cannot find ${wordsFor(entity)} "${name}": there is none`)
}

export function alreadyExists(entity: string, name: string): ApiError {
  const message = `Cannot make ${wordsFor(entity)} "${name}": there is one already`
  return new ApiError(409, `EntityAlreadyExists.${entity}`, message)
}

/**
 * @param held     `User.Policy`: the user still has policies
 * @param name     of what is to be deleted
 * @param holders  what must go first, in words
 * @throws {ApiError} 409 `DeleteConflict.User.Policy` and so on where there is any
 */
export function requireNone(held: string, name: string, holders: readonly string[]): void {
  if (holders.length === 0) return
  const [entity = ''] = held.split('.')
  const message = `Cannot delete ${wordsFor(entity)} "${name}": ${firstOf(holders).join(', ')} must go first`
  throw new ApiError(409, `DeleteConflict.${held}`, message, { details: heldBy({ ram: holders }) })
}

/** @throws {ApiError} 409 while the user, group or role has policies */
export function requireNoPolicies(
  kind: Exclude<NamedKind, 'ramPolicy'>,
  name: string,
  policies: readonly AttachedPolicy[],
): void {
  const holders = policies.map(policy => `policy ${policy.name}`)
  requireNone(`${entityNames[kind]}.Policy`, name, holders)
}

/** @param limit  `User.AccessKey` */
export function limitReached(limit: string, most: number): ApiError {
  return new ApiError(409, `LimitExceeded.${limit}`, `Cannot make another ${wordsFor(limit)}: expected ${most} at most`)
}

/** `User.AccessKey` is `access key of a user`. */
function wordsFor(entity: string): string {
  const [first = '', second] = entity.split('.')
  const name = first.toLowerCase()
  if (second === undefined) return name
  return `${second.replace(/(?<=[a-z])[A-Z]/g, ' $&').toLowerCase()} of a ${name}`
}

/** 18 digits, not beginning with 0. */
export function madeNumber(): string {
  return `${randomInt(1, 10)}${Array.from({ length: 17 }, () => randomInt(10)).join('')}`
}

export const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function randomText(length: number, alphabet: string = alphanumeric): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
