/**
 * How a host enrols. The token holds all that the host needs to trust the daemon and the daemon to trust the host, once:
 * `rwe1.<id>.<secret>.<fingerprint>`, where the fingerprint is that of the daemon's CA certificate.
 */
import type { HostReport } from './messages.ts'

export interface EnrolmentToken {
  readonly id: string
  /** 256 random bits, base64url. */
  readonly secret: string
  /** SHA-256 of the CA certificate in DER, base64url. */
  readonly caFingerprint: string
}

export interface EnrolRequest {
  readonly tokenId: string
  readonly secret: string
  /** The agent's public key, SubjectPublicKeyInfo in DER, base64url: ECDSA on P-256. */
  readonly publicKey: string
  /** Signature of `proofText` by that key: ECDSA with SHA-256 in IEEE P1363 form, base64url. */
  readonly proof: string
  readonly report: HostReport
  /** What its clock says, milliseconds since 1970: certificates are good by it. Left out by agents from before. */
  readonly timeMs?: number
}

export interface EnrolAnswer {
  readonly agentId: string
  /** PEM. */
  readonly certificate: string
  readonly caCertificate: string
}

/** By the certificate that is to be renewed, which TLS shows to be the agent's own. */
export interface RenewRequest {
  /** The new key and its proof, as in an `EnrolRequest`; the proof's purpose is the agent's id. */
  readonly publicKey: string
  readonly proof: string
}

export interface RenewAnswer {
  /** PEM. */
  readonly certificate: string
}

/** `reason` of a refusal: the certificate has ended, and is good for a `RenewRequest` alone; the same, and for nothing. */
export const endedReasons = { renewable: 'renewable', tooLate: 'expired' } as const

/** What the key signs to show that the agent has it. @param purpose  the token's id, or the agent's for a renewal */
export function proofText(purpose: string, publicKey: string): string {
  return `ringwall key proof 1\n${purpose}\n${publicKey}`
}

const form = /^rwe1\.(?<id>[a-z0-9-]{1,64})\.(?<secret>[\w-]{43})\.(?<caFingerprint>[\w-]{43})$/

/** @returns null where the text is no token */
export function parseEnrolmentToken(text: string): EnrolmentToken | null {
  const { id, secret, caFingerprint } = form.exec(text.trim())?.groups ?? {}
  return id === undefined || secret === undefined || caFingerprint === undefined ? null : { id, secret, caFingerprint }
}

export function formatEnrolmentToken({ id, secret, caFingerprint }: EnrolmentToken): string {
  return `rwe1.${id}.${secret}.${caFingerprint}`
}
