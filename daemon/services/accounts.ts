/** Accounts own groups, prefix lists, instances and ENIs. */
import { randomInt } from 'node:crypto'
import type { Static } from 'typebox'
import { ApiError, notFound } from '../errors.ts'
import { type AccountDoc, type Kind, keyOf } from '../model/documents.ts'
import type { Account, createAccountSchema, modifyAccountSchema } from '../schemas/accounts.ts'
import { isoTime } from '../schemas/fields.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { heldBy } from './held-by.ts'

export function showAccount({ id, name, description, createdAtMs }: AccountDoc, revision: number): Account {
  return { accountId: id, name, description, createTime: isoTime(createdAtMs), revision }
}

/** @throws {ApiError} 404 */
export function findAccount(world: World, id: string): AccountDoc {
  const account = world.get('account', id)
  if (account === undefined) throw notFound('account', id)
  return account
}

export function createAccount(
  world: World,
  { accountId, name, description = null }: Static<typeof createAccountSchema>,
  nowMs: number,
): Plan<{ account: Account }> {
  const id = accountId ?? madeAccountId()
  if (world.get('account', id) !== undefined) {
    const message = `Cannot use account id "${id}": expected one that is not taken`
    throw new ApiError(409, 'IdAlreadyExists', message, {
      errors: [{ code: 'duplicate', field: 'accountId', message, value: id }],
    })
  }
  return writeAccount({ id, name, description, createdAtMs: nowMs })
}

export function modifyAccount(
  world: World,
  id: string,
  { name, description }: Static<typeof modifyAccountSchema>,
): Plan<{ account: Account }> {
  const account = findAccount(world, id)
  return writeAccount({
    ...account,
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
  })
}

const ownedKinds = ['group', 'prefixList', 'portRangeList', 'instance', 'eni'] as const satisfies readonly Kind[]
const ramKinds = ['ramUser', 'ramGroup', 'ramPolicy', 'ramRole', 'accessKey'] as const satisfies readonly Kind[]

/** @throws {ApiError} 409 while it owns anything, or a token names it: another account of its id would be that token's */
export function deleteAccount(world: World, id: string): Plan<{ accountId: string }> {
  findAccount(world, id)
  const owned = Object.fromEntries(
    ownedKinds.map(kind => [kind, [...world.all(kind)].filter(doc => doc.accountId === id).map(doc => doc.id)]),
  ) as Record<(typeof ownedKinds)[number], string[]>
  const tokenIds = [...world.all('token')]
    .filter(({ scopes }) => scopes.some(({ accountId }) => accountId === id))
    .map(token => token.id)
  const ram = ramKinds.flatMap(kind =>
    [...world.entries(kind)].filter(([, doc]) => doc.accountId === id).map(([docId]) => keyOf(kind, docId)),
  )
  const count = Object.values(owned).reduce((sum, ids) => sum + ids.length, tokenIds.length + ram.length)
  if (count > 0) {
    const message = `Cannot delete account "${id}": ${count} objects are its own or tokens for it; delete them first`
    throw new ApiError(409, 'DependencyViolation', message, {
      details: heldBy({
        securityGroupIds: owned.group,
        prefixListIds: owned.prefixList,
        portRangeListIds: owned.portRangeList,
        instanceIds: owned.instance,
        networkInterfaceIds: owned.eni,
        tokenIds,
        ram,
      }),
    })
  }
  // Past attacks hold nothing; but whoever has the number next must not read them.
  const events = [...world.all('ddosEvent')].filter(({ accountId }) => accountId === id)
  return {
    writes: [
      { key: keyOf('account', id), value: null },
      ...events.map(({ event }) => ({ key: keyOf('ddosEvent', event.id), value: null })),
    ],
    body: () => ({ accountId: id }),
  }
}

function writeAccount(account: AccountDoc): Plan<{ account: Account }> {
  return {
    writes: [{ key: keyOf('account', account.id), value: account }],
    body: revisionOf => ({ account: showAccount(account, revisionOf('account', account.id)) }),
  }
}

/** 16 digits, not beginning with 0. */
function madeAccountId(): string {
  return `${randomInt(1, 10)}${Array.from({ length: 15 }, () => randomInt(10)).join('')}`
}
