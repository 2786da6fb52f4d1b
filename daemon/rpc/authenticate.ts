/** Whose a request is: it is read, its signature verified, its nonce taken, and it is counted. */

import type { FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import type { Api } from '../routes/route.ts'
import type { FoundCredential } from '../services/ram/identity.ts'
import type { Nonces } from './nonces.ts'
import { type Pair, readPairs } from './pairs.ts'
import type { Asker } from './refused.ts'
import { type Claim, isSignedWith, readClaim, type SignedRequest } from './signature.ts'

export interface DoorOptions {
  readonly api: Api
  /**
   * @throws {ApiError} 400 `InvalidAccessKeyId.NotFound`, `.Inactive`, `InvalidSecurityToken.…`
   */
  readonly findKey: (accessKeyId: string, securityToken: string | null) => FoundCredential
  /** Told of good signatures, for "last used". */
  readonly onUsed: (accessKeyId: string, sourceAddress: string) => void
  /**
   * Counts a request by its key, which for a session is the one that began it, or where that is null, not good, by its
   * address.
   * @throws {ApiError} 429 where there were too many
   */
  readonly limit: (request: FastifyRequest, accessKeyId: string | null) => Promise<void>
}

interface Watched extends DoorOptions {
  /** Told what a request says of itself, before anything of it is believed; of who asks it is filled in what turns out. */
  readonly onClaim: (claim: Claim, asker: Asker) => void
}

export interface Signed {
  readonly claim: Claim
  readonly found: FoundCredential
}

/** @throws {ApiError} 400, and 429 where there were too many */
export async function authenticate(
  request: FastifyRequest,
  nonces: Nonces,
  { api, findKey, onUsed, limit, onClaim }: Watched,
): Promise<Signed> {
  let signed: Signed
  try {
    const claim = readClaim(signedRequestOf(request))
    const asker: Asker = { owner: null, isProven: false }
    onClaim(claim, asker)
    const found = findKey(claim.accessKeyId, claim.securityToken)
    asker.owner = found
    if (!isSignedWith(claim, found.secret)) throw wrongSignature(claim)
    asker.isProven = true
    const nowMs = api.now()
    nonces.forget(nowMs)
    nonces.take(found.countedAs, claim.nonce, claim.signedAtMs, nowMs)
    signed = { claim, found }
  } catch (error) {
    await limit(request, null)
    throw error
  }
  const { claim, found } = signed
  await limit(request, found.countedAs)
  onUsed(claim.accessKeyId, sourceAddressOf(request))
  return signed
}

function signedRequestOf(request: FastifyRequest): SignedRequest {
  const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const question = request.url.indexOf('?')
  return {
    method: request.method,
    headers: request.headers,
    query: question < 0 ? [] : readPairs(request.url.slice(question + 1)),
    form: formOf(request, rawBody),
    rawBody,
  }
}

function formOf({ headers }: FastifyRequest, rawBody: Buffer): readonly Pair[] {
  const type = headers['content-type'] ?? ''
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(type) ? readPairs(rawBody.toString('utf8')) : []
}

/** Nobody looks at more; that of a large form is several times as large as the form. */
const mostShownToSign = 64 * 1024

const signedIntro = ' server string to sign is:'

/** The client's own library compares this text with what it signed, so it must end so. */
function wrongSignature({ stringToSign }: Claim): ApiError {
  const shown = stringToSign.slice(0, mostShownToSign)
  const message = `Specified signature is not matched with our calculation.${signedIntro}${shown}`
  return new ApiError(400, 'SignatureDoesNotMatch', message)
}

/** What was signed is everything that the request says, tokens of sessions too: nothing for a log. */
export function withoutSigned(message: string): string {
  const at = message.indexOf(signedIntro)
  return at < 0 ? message : message.slice(0, at)
}
