/** API tokens: who may use this API, and for what. */
import type { Static } from 'typebox'
import { ApiError, notFound } from '../errors.ts'
import { keyOf, type TokenDoc } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import type { ApiToken, createTokenSchema } from '../schemas/tokens.ts'
import { makeSecret, tokenText } from '../secrets.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { conflict, Faults, invalidRequest } from './faults.ts'
import { madeId } from './ids.ts'
import { everyAccount } from './principal.ts'
import { findNamed } from './ram/ram-call.ts'

/** Without its secret, of which nobody has anything but the hash. */
export function showToken(token: TokenDoc, revision: number): ApiToken {
  const { id, name, scopes, user, createdAtMs, expiresAtMs } = token
  return {
    tokenId: id,
    name,
    scopes: scopes.map(scope => ({ ...scope })),
    user: user === undefined ? null : { accountId: user.accountId, userName: user.name },
    createTime: isoTime(createdAtMs),
    expireTime: expiresAtMs === null ? null : isoTime(expiresAtMs),
    revision,
  }
}

export interface CreateToken {
  readonly body: Static<typeof createTokenSchema>
  readonly nowMs: number
  /** Then nothing is stored, and a token that looked good would not be. */
  readonly dryRun: boolean
}

export const notMade = 'not made: this was a dry run'

export function createToken(
  world: World,
  { body, nowMs, dryRun }: CreateToken,
): Plan<{ apiToken: ApiToken; token: string }> {
  const { name, expiresInSeconds = null } = body
  const faults = new Faults()
  checkName(world, name, faults)
  const bearer = readBearer(world, body, faults)
  faults.throwIfAny()
  const { secret, secretSha256 } = makeSecret()
  const token: TokenDoc = {
    id: madeId('token'),
    name,
    secretSha256,
    ...bearer,
    createdAtMs: nowMs,
    expiresAtMs: expiresInSeconds === null ? null : nowMs + expiresInSeconds * 1000,
  }
  return {
    writes: [{ key: keyOf('token', token.id), value: token }],
    body: revisionOf => ({
      apiToken: showToken(token, revisionOf('token', token.id)),
      token: dryRun ? notMade : tokenText(token.id, secret),
    }),
  }
}

const missing = { status: 400, code: 'MissingParameter' }

/** Whose it will be: an operator's, with scopes, or a user's. */
function readBearer(
  world: World,
  { scopes, user }: Pick<CreateToken['body'], 'scopes' | 'user'>,
  faults: Faults,
): Pick<TokenDoc, 'scopes' | 'user'> {
  if ((scopes === undefined) === (user === undefined)) {
    const message = 'Cannot tell whose token it will be: expected either scopes or user'
    const isMissing = scopes === undefined
    faults.add(isMissing ? missing : invalidRequest, {
      code: isMissing ? 'missing' : 'conflict',
      field: 'scopes',
      message,
    })
    return { scopes: [] }
  }
  if (user === undefined) {
    checkScopes(world, scopes!, faults)
    return { scopes: scopes! }
  }
  const { accountId, userName } = user
  const found = faults.attempt('user.userName', () => findNamed({ world, accountId, nowMs: 0 }, 'ramUser', userName))
  return { scopes: [{ accountId, access: 'write' }], user: { accountId, name: found?.name ?? userName } }
}

/** @throws {ApiError} 409 for the last one that could make another */
export function deleteToken(world: World, id: string, nowMs: number): Plan<{ tokenId: string }> {
  const token = world.get('token', id)
  if (token === undefined) throw notFound('token', id)
  const others = [...world.all('token')].filter(other => other.id !== id)
  if (isMaster(token, nowMs) && !others.some(other => isMaster(other, nowMs))) {
    const message = `Cannot delete token "${token.name}": it is the last one with write on "*"; make another first`
    throw new ApiError(409, 'Conflict', message)
  }
  return { writes: [{ key: keyOf('token', id), value: null }], body: () => ({ tokenId: id }) }
}

function isMaster({ scopes, expiresAtMs }: TokenDoc, nowMs: number): boolean {
  const isOver = expiresAtMs !== null && expiresAtMs <= nowMs
  return !isOver && scopes.some(({ accountId, access }) => accountId === everyAccount && access === 'write')
}

function checkName(world: World, name: string, faults: Faults): void {
  const other = [...world.all('token')].find(token => token.name === name)
  if (other === undefined) return
  const message = `Cannot use token name "${name}": expected one that no other token has, but ${other.id} has it`
  faults.add(conflict, { code: 'duplicate', field: 'name', message, value: name })
}

function checkScopes(world: World, scopes: TokenDoc['scopes'], faults: Faults): void {
  const seen = new Set<string>()
  for (const [index, { accountId }] of scopes.entries()) {
    const field = `scopes[${index}].accountId`
    if (seen.has(accountId)) {
      const message = `Cannot use account "${accountId}" a second time: expected each account once`
      faults.add(invalidRequest, { code: 'duplicate', field, message, value: accountId })
    } else if (accountId !== everyAccount && world.get('account', accountId) === undefined) {
      faults.addError(notFound('account', accountId, field))
    }
    seen.add(accountId)
  }
}
