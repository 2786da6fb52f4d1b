/**
 * The two schemes by which requests are signed: HMAC-SHA1 of version 1.0, in parameters, and ACS3-HMAC-SHA256, in
 * headers. Pure: who the key belongs to, its secret, and whether the request came before is for others to say.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { canonicalPairs, encode, type Pair } from './pairs.ts'

export interface SignedRequest {
  readonly method: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Of the query, decoded. */
  readonly query: readonly Pair[]
  /** Of a form body, decoded; none for other bodies. */
  readonly form: readonly Pair[]
  readonly rawBody: Uint8Array
}

/** What a request says of itself, before anything of it is believed. */
export interface Claim {
  readonly scheme: 'HMAC-SHA1' | 'ACS3-HMAC-SHA256'
  readonly accessKeyId: string
  /** Of a session of STS; null for a key that lasts. */
  readonly securityToken: string | null
  readonly nonce: string
  /** Milliseconds since 1970. */
  readonly signedAtMs: number
  readonly action: string
  readonly version: string
  /** What was signed. */
  readonly stringToSign: string
  /** Raw bytes. */
  readonly signature: Buffer
  /** Parameters of the action alone, decoded. */
  readonly parameters: readonly Pair[]
}

const acs3 = 'ACS3-HMAC-SHA256'

/** @throws {ApiError} 400 in the words of the published API where a part is missing or cannot be read */
export function readClaim(request: SignedRequest): Claim {
  return textHeader(request, 'authorization')?.startsWith(acs3) ? readAcs3(request) : readVersion1(request)
}

/** In constant time. */
export function isSignedWith(claim: Claim, secret: string): boolean {
  const expected =
    claim.scheme === 'HMAC-SHA1'
      ? createHmac('sha1', `${secret}&`).update(claim.stringToSign).digest()
      : createHmac('sha256', secret).update(claim.stringToSign).digest()
  return claim.signature.length === expected.length && timingSafeEqual(claim.signature, expected)
}

/** Parameters of version 1.0 that belong to the system, not to the action. */
const systemNames: ReadonlySet<string> = new Set([
  'Action',
  'Version',
  'Format',
  'AccessKeyId',
  'Signature',
  'SignatureMethod',
  'SignatureVersion',
  'SignatureNonce',
  'SignatureType',
  'Timestamp',
  'SecurityToken',
])

function readVersion1({ method, query, form }: SignedRequest): Claim {
  const pairs = [...query, ...form]
  const values = new Map(pairs)
  const required = (name: string): string => {
    const value = values.get(name)
    if (value === undefined || value === '') throw missing(name)
    return value
  }
  const [action, version, accessKeyId, signature] = ['Action', 'Version', 'AccessKeyId', 'Signature'].map(required)
  const [nonce, timestamp] = ['SignatureNonce', 'Timestamp'].map(required)
  if (required('SignatureMethod') !== 'HMAC-SHA1') {
    throw refuse('InvalidSignatureMethod', 'SignatureMethod', values.get('SignatureMethod'), 'HMAC-SHA1')
  }
  if (required('SignatureVersion') !== '1.0') {
    throw refuse('InvalidSignatureVersion', 'SignatureVersion', values.get('SignatureVersion'), '1.0')
  }
  const canonical = canonicalPairs(pairs.filter(([name]) => name !== 'Signature'))
  return {
    scheme: 'HMAC-SHA1',
    accessKeyId: accessKeyId!,
    securityToken: values.get('SecurityToken') || null,
    nonce: bounded('SignatureNonce', nonce!),
    signedAtMs: readTimestamp('Timestamp', timestamp!),
    action: action!,
    version: version!,
    stringToSign: `${method}&%2F&${encode(canonical)}`,
    signature: Buffer.from(signature!, 'base64'),
    parameters: pairs.filter(([name]) => !systemNames.has(name)),
  }
}

/** Headers without which a signature says nothing of the request. */
const neededHeaders = [
  'host',
  'x-acs-action',
  'x-acs-version',
  'x-acs-date',
  'x-acs-content-sha256',
  'x-acs-signature-nonce',
]
const authorizationForm =
  /^ACS3-HMAC-SHA256\s+Credential=(?<key>[^,\s]{1,128})\s*,\s*SignedHeaders=(?<headers>[a-z0-9;-]{1,2000})\s*,\s*Signature=(?<signature>[0-9a-f]{64})$/

function readAcs3(request: SignedRequest): Claim {
  const parts = authorizationForm.exec(textHeader(request, 'authorization') ?? '')?.groups
  if (parts === undefined) {
    const expected = `"${acs3} Credential=…,SignedHeaders=…,Signature=…"`
    throw new ApiError(400, 'IncompleteSignature', `Cannot read the Authorization header: expected ${expected}`)
  }
  const { key = '', headers = '', signature = '' } = parts
  const signed = headers.split(';')
  for (const name of neededHeaders) {
    if (textHeader(request, name) === undefined) throw missing(name)
    if (!signed.includes(name)) {
      throw new ApiError(400, 'IncompleteSignature', `Cannot believe header "${name}": expected it in SignedHeaders`)
    }
  }
  const header = (name: string) => textHeader(request, name) ?? ''
  const bodyHash = createHash('sha256').update(request.rawBody).digest('hex')
  if (header('x-acs-content-sha256') !== bodyHash) {
    throw refuse('SignatureDoesNotMatch', 'x-acs-content-sha256', header('x-acs-content-sha256'), bodyHash)
  }
  // Else whoever stands between could say that a form is none, and take its parameters away.
  if (request.rawBody.length > 0 && !signed.includes('content-type')) {
    throw new ApiError(400, 'IncompleteSignature', 'Cannot believe header "content-type": expected it in SignedHeaders')
  }
  const canonical = [
    request.method,
    '/',
    canonicalPairs(request.query),
    ...signed.map(name => `${name}:${header(name).trim()}`),
    '',
    headers,
    bodyHash,
  ].join('\n')
  return {
    scheme: acs3,
    accessKeyId: key,
    securityToken: header('x-acs-security-token') || null,
    nonce: bounded('x-acs-signature-nonce', header('x-acs-signature-nonce')),
    signedAtMs: readTimestamp('x-acs-date', header('x-acs-date')),
    action: header('x-acs-action'),
    version: header('x-acs-version'),
    stringToSign: `${acs3}\n${createHash('sha256').update(canonical).digest('hex')}`,
    signature: Buffer.from(signature, 'hex'),
    // Generic calls put some of them into the form.
    parameters: [...request.query, ...request.form],
  }
}

function textHeader({ headers }: SignedRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.join(', ')
}

function missing(name: string): ApiError {
  const message = `Cannot answer without ${name}: expected it in every signed request`
  return new ApiError(400, 'MissingParameter', message)
}

function refuse(code: string, name: string, value: string | undefined, expected: string): ApiError {
  return new ApiError(400, code, `Cannot use ${name} "${shorten(value ?? '')}": expected ${expected}`)
}

const shorten = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}…` : text)

function bounded(name: string, value: string): string {
  if (value === '') throw missing(name)
  if (value.length > 128) throw refuse('InvalidParameter', name, value, 'at most 128 characters')
  return value
}

const timestampForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

function readTimestamp(name: string, text: string): number {
  const time = timestampForm.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw refuse('InvalidTimeStamp.Format', name, text, 'UTC such as 2026-03-01T10:20:30Z')
  return time
}
