/** Access keys: an id that is told, and a secret that signs. */
import { type Documents, keyOf } from '../../model/documents.ts'
import type { AccessKeyDoc } from '../../model/ram.ts'
import type { Sealer } from '../../ram/seal.ts'
import type { Plan } from '../executor.ts'
import { findNamed, limitReached, notExist, type RamCall, randomText } from './ram-call.ts'
import { isSameName } from './users.ts'

const mostOfOneUser = 2

/** Whose keys are meant: a user's, or null for the account's own. */
export type Owner = string | null

export interface MadeKey {
  readonly key: AccessKeyDoc
  /** Shown once. */
  readonly secret: string
}

/** @throws {ApiError} 404 where there is no such user, 409 where it has two */
export function createAccessKey(call: RamCall, owner: Owner, sealer: Sealer): Plan<MadeKey> {
  const userName = owner === null ? null : findNamed(call, 'ramUser', owner).name
  if (keysOf(call, userName).length >= mostOfOneUser) throw limitReached('User.AccessKey', mostOfOneUser)
  const { key, secret } = makeAccessKey(call, userName, sealer)
  return { writes: [{ key: keyOf('accessKey', key.id), value: key }], body: () => ({ key, secret }) }
}

export function makeAccessKey(
  { accountId, nowMs }: Pick<RamCall, 'accountId' | 'nowMs'>,
  userName: Owner,
  sealer: Sealer,
): MadeKey {
  const id = `RW${randomText(22)}`
  const secret = randomText(30)
  const sealedSecret = sealer.seal(secret, sealPurpose(id))
  return { key: { id, accountId, userName, sealedSecret, status: 'Active', createdAtMs: nowMs }, secret }
}

/** Every request of a key needs its secret; documents are replaced whole, so what was opened of one stays true for it. */
const openedBy = new WeakMap<Sealer, WeakMap<AccessKeyDoc, string | null>>()

/** Null where the key in the file is not the one it was sealed by. */
export function secretOf(key: AccessKeyDoc, sealer: Sealer): string | null {
  const opened = openedBy.get(sealer) ?? new WeakMap<AccessKeyDoc, string | null>()
  openedBy.set(sealer, opened)
  const known = opened.get(key)
  if (known !== undefined) return known
  const secret = sealer.open(key.sealedSecret, sealPurpose(key.id))
  opened.set(key, secret)
  return secret
}

const sealPurpose = (accessKeyId: string) => `access key ${accessKeyId}`

/** In the order they were made. */
export function keysOf({ world, accountId }: RamCall, owner: Owner): readonly AccessKeyDoc[] {
  const isOwners = (userName: Owner) =>
    owner === null || userName === null ? owner === userName : isSameName(userName, owner)
  return [...world.all('accessKey')].filter(key => key.accountId === accountId && isOwners(key.userName))
}

export function updateAccessKey(
  call: RamCall,
  owner: Owner,
  keyId: string,
  status: Documents['accessKey']['status'],
): Plan<object> {
  const key = findKey(call, owner, keyId)
  return { writes: [{ key: keyOf('accessKey', key.id), value: { ...key, status } }], body: () => ({}) }
}

export function deleteAccessKey(call: RamCall, owner: Owner, keyId: string): Plan<object> {
  const key = findKey(call, owner, keyId)
  return { writes: [{ key: keyOf('accessKey', key.id), value: null }], body: () => ({}) }
}

/** @throws {ApiError} 404 where the owner, or the key of the owner, is not there */
function findKey(call: RamCall, owner: Owner, keyId: string): AccessKeyDoc {
  if (owner !== null) findNamed(call, 'ramUser', owner)
  const key = keysOf(call, owner).find(({ id }) => id === keyId)
  if (key === undefined) throw notExist('User.AccessKey', keyId)
  return key
}
