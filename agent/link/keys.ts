/** The agent's key, the proof that it has it, and what its certificates must be. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { proofText } from '../../wire/enrolment.ts'

export interface KeyPair {
  /** PKCS#8, PEM. */
  readonly privateKey: string
  /** SubjectPublicKeyInfo in DER, base64url. */
  readonly publicKey: string
}

export function makeKey(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  return { privateKey, publicKey: publicKey.toString('base64url') }
}

/** @param purpose  the token's id, or the agent's for a renewal */
export function proveKey({ privateKey, publicKey }: KeyPair, purpose: string): string {
  const text = Buffer.from(proofText(purpose, publicKey))
  return sign('sha256', text, { key: createPrivateKey(privateKey), dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

/** id-kp-serverAuth and id-kp-clientAuth (RFC 5280, section 4.2.1.12). */
export const serverUsage = '1.3.6.1.5.5.7.3.1'
const usages = { server: serverUsage, client: '1.3.6.1.5.5.7.3.2' } as const

/**
 * Whether a certificate is the CA's, in its time, and for this side: one that is for an agent must not pass for the
 * daemon's, nor the reverse.
 * @param now  null: its time is the other side's to judge
 * @returns null, or what is wrong with it
 */
export function faultOf(
  certificate: X509Certificate,
  side: keyof typeof usages,
  ca: X509Certificate,
  now: Date | null = new Date(),
): string | null {
  if (!ca.ca || !certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) return 'not signed by the CA'
  if (certificate.ca || !certificate.keyUsage?.includes(usages[side])) return `not a ${side} certificate`
  return now === null ? null : (faultOfTime(certificate, now) ?? faultOfTime(ca, now))
}

function faultOfTime({ validFromDate, validToDate }: X509Certificate, now: Date): string | null {
  if (now < validFromDate)
    return `not valid before ${validFromDate.toISOString()}, and the clock says ${now.toISOString()}`
  if (now > validToDate) return `not valid after ${validToDate.toISOString()}, and the clock says ${now.toISOString()}`
  return null
}

/**
 * A certificate that the daemon made for our key.
 * @param now  null: until when it is good is for the daemon to judge, by its own clock
 * @throws {Error} if it is none
 */
export function checkIssued(
  certificate: string,
  { privateKey }: Pick<KeyPair, 'privateKey'>,
  caCertificate: string,
  now: Date | null = null,
): void {
  const parsed = parseCertificate(certificate)
  const ca = parseCertificate(caCertificate)
  const fault =
    parsed === null || ca === null
      ? 'not a certificate in PEM'
      : (faultOf(parsed, 'client', ca, now) ?? faultOfKey(parsed, privateKey))
  if (fault !== null) throw new Error(`Cannot use the certificate that the daemon gave: it is ${fault}`)
}

function faultOfKey(certificate: X509Certificate, privateKey: string): string | null {
  const own = createPublicKey(createPrivateKey(privateKey))
  return certificate.publicKey.equals(own) ? null : 'for another key'
}

/** @returns null where the text is no certificate in PEM */
export function parseCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem)
  } catch {
    return null
  }
}

/** SHA-256 of the certificate in DER, base64url: 43 characters. */
export function fingerprintOf(certificate: X509Certificate): string {
  return Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
}
