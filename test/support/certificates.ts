/** A CA and its certificates, right ones and wrong ones, as a daemon makes them and as an impostor would. */
import 'reflect-metadata'
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { fingerprintOf, makeKey, parseCertificate } from '../../agent/link/keys.ts'

/** Both PEM; plain, so that another process can be given it. */
export interface TestAuthority {
  readonly certificate: string
  readonly privateKey: string
}

export interface IssueOptions {
  readonly usage: 'server' | 'client' | 'none'
  readonly subject?: string
  /** IP addresses that it stands for. */
  readonly addresses?: readonly string[]
  /** Milliseconds since 1970; an hour ago and a week from now where left out. */
  readonly fromMs?: number
  readonly untilMs?: number
}

export interface TestCertificate {
  readonly certificate: string
  readonly privateKey: string
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const hourMs = 3_600_000
const weekMs = 7 * 24 * hourMs

export async function makeAuthority(options: Partial<IssueOptions> = {}): Promise<TestAuthority> {
  const { privateKey } = makeKey()
  const keys = { privateKey: await signingKey(privateKey), publicKey: await verifyingKey(publicKeyOf(privateKey)) }
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=test authority ${randomBytes(4).toString('hex')}`,
    keys,
    signingAlgorithm: ecdsa,
    ...validity(options),
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  })
  return { certificate: `${made.toString('pem')}\n`, privateKey }
}

/** @param publicKey  SubjectPublicKeyInfo in DER, base64url. @returns PEM */
export async function certify(authority: TestAuthority, publicKey: string, options: IssueOptions): Promise<string> {
  const usages = { server: [ExtendedKeyUsage.serverAuth], client: [ExtendedKeyUsage.clientAuth], none: [] }
  const usage = usages[options.usage]
  const issuer = parseCertificate(authority.certificate)!
  const made = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: options.subject ?? 'CN=somebody',
    issuer: issuer.subject,
    ...validity(options),
    signingKey: await signingKey(authority.privateKey),
    signingAlgorithm: ecdsa,
    publicKey: await verifyingKey(Buffer.from(publicKey, 'base64url')),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      ...(usage.length === 0 ? [] : [new ExtendedKeyUsageExtension(usage, true)]),
      ...(options.addresses === undefined
        ? []
        : [new SubjectAlternativeNameExtension(options.addresses.map(value => ({ type: 'ip', value })))]),
    ],
  })
  return `${made.toString('pem')}\n`
}

/** With a key of its own. */
export async function issue(authority: TestAuthority, options: IssueOptions): Promise<TestCertificate> {
  const { privateKey, publicKey } = makeKey()
  return { certificate: await certify(authority, publicKey, options), privateKey }
}

export function fingerprint({ certificate }: TestAuthority): string {
  return fingerprintOf(parseCertificate(certificate)!)
}

function validity({ fromMs = Date.now() - hourMs, untilMs = Date.now() + weekMs }: Partial<IssueOptions>) {
  return { notBefore: new Date(fromMs), notAfter: new Date(untilMs) }
}

function serialNumber(): string {
  return `4${randomBytes(15).toString('hex')}0`
}

function publicKeyOf(privateKey: string): Buffer {
  return createPublicKey(createPrivateKey(privateKey)).export({ type: 'spki', format: 'der' })
}

function signingKey(privateKey: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(privateKey).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, ecdsa, true, ['sign'])
}

function verifyingKey(spki: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('spki', spki, ecdsa, true, ['verify'])
}
