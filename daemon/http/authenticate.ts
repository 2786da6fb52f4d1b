/** Bearer tokens: `rwt_<id>_<secret>`, of which the store has the secret's SHA-256 alone. */
import { ApiError } from '../errors.ts'
import { ramId } from '../model/ram.ts'
import { isSecret } from '../secrets.ts'
import type { Principal } from '../services/principal.ts'
import { userPrincipal } from '../services/ram/identity.ts'
import type { World } from '../state/world.ts'

const form = /^Bearer rwt_(?<id>[a-z0-9-]{1,64})_(?<secret>[\w-]{43})$/

/** @throws {ApiError} 401, which does not say what was wrong with a token: who guesses learns nothing */
export function authenticate(world: World, authorization: string | undefined, nowMs: number): Principal {
  if (authorization === undefined) {
    throw new ApiError(401, 'Unauthorized', 'Cannot answer without a token: expected "Authorization: Bearer rwt_…"')
  }
  const { id, secret } = form.exec(authorization)?.groups ?? {}
  const token = id === undefined ? undefined : world.get('token', id)
  const matches = token !== undefined && secret !== undefined && isSecret(secret, token.secretSha256)
  if (!matches || (token.expiresAtMs !== null && token.expiresAtMs <= nowMs)) {
    throw new ApiError(401, 'Unauthorized', 'Cannot accept the token: expected one that exists and is not over')
  }
  const tokenId = token.id
  if (token.user === undefined) return { kind: 'token', id: tokenId, name: token.name, scopes: token.scopes, tokenId }
  const user = world.get('ramUser', ramId(token.user.accountId, token.user.name))
  if (user === undefined) throw new ApiError(401, 'Unauthorized', 'Cannot accept the token: its user is gone')
  return { ...userPrincipal(world, user), tokenId, credentialId: tokenId }
}
