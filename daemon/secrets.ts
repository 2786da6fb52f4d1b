/** What tokens of the API and of enrolment carry: the store has the SHA-256 of it alone. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits and their hash. @returns text for the client, which is shown once, and what the store keeps */
export function makeSecret(): { readonly secret: string; readonly secretSha256: string } {
  const secret = randomBytes(32).toString('base64url')
  return { secret, secretSha256: sha256(secret).toString('hex') }
}

export function isSecret(secret: string, secretSha256: string): boolean {
  return timingSafeEqual(sha256(secret), Buffer.from(secretSha256, 'hex'))
}

/** Of an API token. */
export function tokenText(id: string, secret: string): string {
  return `rwt_${id}_${secret}`
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
