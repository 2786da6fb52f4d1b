/**
 * The daemon's own certification authority: it signs the certificates of agents and of the listener that they connect
 * to, and nothing else. Its key is a document of the state, so that a backup has it and several daemons share it.
 */
import 'reflect-metadata'
import { createPrivateKey, hkdfSync, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { type AuthorityDoc, authorityId, keyOf, type TimeSpan } from '../model/documents.ts'
import type { Note } from '../model/note.ts'
import type { Entry, Store } from '../store/store.ts'
import { longestUseMs } from './lifetimes.ts'

/** Name in the listener's certificate, whatever the host is called: agents trust the CA, not a name service. */
const daemonName = 'ringwall-daemon'

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string
  /** Upper-case hex, as `X509Certificate.serialNumber`. */
  readonly serialNumber: string
  readonly notAfterMs: number
}

export interface ServerCertificate extends IssuedCertificate {
  /** PKCS#8, PEM. */
  readonly privateKey: string
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** The CA is trusted by its fingerprint, whatever a clock said when it was made, and has no end (RFC 5280, 4.1.2.5). */
const authorityValidity = { notBeforeMs: Date.UTC(2020, 0), notAfterMs: Date.UTC(9999, 11, 31, 23, 59, 59) }
/** Certificates begin in the past, for hosts whose clock is slow. */
export const clockToleranceMs = 3600 * 1000
const ticketKeyBytes = 48

/** @throws {StoreError} where the store cannot be read or written */
export async function openAuthority(store: Store, nowMs: number = Date.now()): Promise<Authority> {
  const key = keyOf('authority', authorityId)
  const known = await store.get(key)
  if (known !== null) return Authority.read(await takeUp(store, known, nowMs))
  const made: AuthorityDoc = { ...(await makeAuthority(nowMs)), storeId: store.id }
  const note = noteOf('ringwall:CreateAuthority')
  await store.commit({ writes: [{ key, value: made }], preconditions: [{ kind: 'key', key, revision: 0 }], note })
  // Ours, or that of a daemon that started at the same time and was faster.
  const stands = await store.get(key)
  return Authority.read(stands!.value as AuthorityDoc)
}

/** In a store that is another than before, a restored one, it has signed what that knows nothing of. */
async function takeUp(store: Store, { key, value, revision }: Entry, nowMs: number): Promise<AuthorityDoc> {
  const doc = value as AuthorityDoc
  if (doc.storeId === store.id) return doc
  const lost = { fromMs: await newestCommitMs(store, nowMs), untilMs: nowMs }
  const taken: AuthorityDoc = { ...(doc.storeId === undefined ? doc : withLostTime(doc, lost)), storeId: store.id }
  const note = noteOf('ringwall:TakeUpAuthority')
  await store.commit({ writes: [{ key, value: taken }], preconditions: [{ kind: 'key', key, revision }], note })
  return taken
}

/** The CA of a state that knows nothing of this time; older times stay as long as a certificate of theirs is good for anything. */
export function withLostTime(doc: AuthorityDoc, time: TimeSpan): AuthorityDoc {
  const young = lostTimesOf(doc).filter(({ untilMs }) => untilMs + longestUseMs > time.untilMs)
  const { lost: _, ...rest } = doc
  return { ...rest, lostTimes: [...young, time] }
}

function lostTimesOf({ lost, lostTimes = lost === undefined ? [] : [lost] }: Pick<AuthorityDoc, 'lost' | 'lostTimes'>) {
  return lostTimes
}

async function newestCommitMs(store: Store, otherwise: number): Promise<number> {
  const head = store.head()
  const [newest] = head < store.oldest() ? [] : await store.history(head, 1)
  return newest?.timeMs ?? otherwise
}

function noteOf(action: string): Note {
  const principal = { kind: 'system', id: 'system', name: 'daemon' } as const
  return { action, principal, sourceAddress: null, requestId: crypto.randomUUID() }
}

export class Authority {
  /** PEM. */
  readonly certificate: string
  /** SHA-256 of the certificate in DER, base64url: what an enrolment token pins. */
  readonly fingerprint: string
  readonly #x509: X509Certificate
  readonly #signingKey: webcrypto.CryptoKey
  readonly #keyBytes: Buffer
  readonly #lostTimes: readonly TimeSpan[]

  private constructor(
    { certificate, ...doc }: Pick<AuthorityDoc, 'certificate' | 'lost' | 'lostTimes'>,
    signingKey: webcrypto.CryptoKey,
    keyBytes: Buffer,
  ) {
    this.certificate = certificate
    this.#lostTimes = lostTimesOf(doc)
    this.#x509 = new X509Certificate(certificate)
    this.fingerprint = Buffer.from(this.#x509.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
    this.#signingKey = signingKey
    this.#keyBytes = keyBytes
  }

  static async read(doc: AuthorityDoc): Promise<Authority> {
    const keyBytes = createPrivateKey(doc.privateKey).export({ type: 'pkcs8', format: 'der' })
    const signingKey = await webcrypto.subtle.importKey('pkcs8', keyBytes, ecdsa, false, ['sign'])
    return new Authority(doc, signingKey, keyBytes)
  }

  /** Whether this CA signed it. Says nothing of its time or purpose. */
  hasSigned(certificate: X509Certificate): boolean {
    return certificate.checkIssued(this.#x509) && certificate.verify(this.#x509.publicKey)
  }

  /** Whether it was signed in a time of which the state, a restored one, knows nothing. */
  hasForgotten({ validFromDate }: X509Certificate): boolean {
    const signedMs = validFromDate.getTime() + clockToleranceMs
    return this.#lostTimes.some(({ fromMs, untilMs }) => signedMs > fromMs && signedMs <= untilMs)
  }

  /** @param publicKey  SubjectPublicKeyInfo in DER, P-256 */
  async issueAgentCertificate(
    agentId: string,
    publicKey: Buffer,
    validMs: number,
    nowMs: number,
  ): Promise<IssuedCertificate> {
    const key = await webcrypto.subtle.importKey('spki', publicKey, ecdsa, true, ['verify'])
    return this.#issue(`CN=${agentId}`, key, { notBeforeMs: nowMs - clockToleranceMs, notAfterMs: nowMs + validMs }, [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth], true),
    ])
  }

  /** With a key of its own, which is never stored. */
  async issueServerCertificate(validMs: number, nowMs: number): Promise<ServerCertificate> {
    const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
    const validity = { notBeforeMs: nowMs - clockToleranceMs, notAfterMs: nowMs + validMs }
    const issued = await this.#issue(`CN=${daemonName}`, keys.publicKey, validity, [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth], true),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: daemonName }]),
    ])
    return { ...issued, privateKey: await exportPrivateKey(keys.privateKey) }
  }

  /**
   * Keys for TLS session tickets. Made from the CA's key, so that tickets outlive the daemon's process, and other ones
   * each period. Who has the CA's key needs no ticket.
   */
  ticketKeys(period: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#keyBytes, '', `ringwall session tickets ${period}`, ticketKeyBytes))
  }

  async #issue(subject: string, publicKey: webcrypto.CryptoKey, validity: Validity, extensions: readonly Extension[]) {
    const made = await X509CertificateGenerator.create({
      serialNumber: makeSerialNumber(),
      subject,
      issuer: this.#x509.subject,
      ...validityDates(validity),
      signingKey: this.#signingKey,
      signingAlgorithm: ecdsa,
      publicKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        await SubjectKeyIdentifierExtension.create(publicKey),
        await AuthorityKeyIdentifierExtension.create(await this.#authorityKey()),
        ...extensions,
      ],
    })
    const certificate = `${made.toString('pem')}\n`
    const { serialNumber } = new X509Certificate(certificate)
    return { certificate, serialNumber, notAfterMs: made.notAfter.getTime() }
  }

  #authorityKey(): Promise<webcrypto.CryptoKey> {
    const spki = this.#x509.publicKey.export({ type: 'spki', format: 'der' })
    return webcrypto.subtle.importKey('spki', spki, ecdsa, true, ['verify'])
  }
}

async function makeAuthority(nowMs: number): Promise<AuthorityDoc> {
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
  // The name differs from that of any other installation: certificates are looked up by the name of their issuer.
  const name = `CN=Ringwall agents ${randomBytes(4).toString('hex')}`
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerialNumber(),
    name,
    keys,
    signingAlgorithm: ecdsa,
    ...validityDates(authorityValidity),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    id: authorityId,
    certificate: `${made.toString('pem')}\n`,
    privateKey: await exportPrivateKey(keys.privateKey),
    createdAtMs: nowMs,
  }
}

interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Certificates know whole seconds (RFC 5280, 4.1.2.5). */
function validityDates({ notBeforeMs, notAfterMs }: Validity) {
  const wholeSeconds = (ms: number) => new Date(Math.floor(ms / 1000) * 1000)
  return { notBefore: wholeSeconds(notBeforeMs), notAfter: wholeSeconds(notAfterMs) }
}

/** 128 bits, of which the first two are fixed: the number is positive, and as long as the others (RFC 5280, 4.1.2.2). */
function makeSerialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}

async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}
