/** Signs requests of the RPC API as clients do, by code of its own. */
import assert from 'node:assert/strict'
import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export interface RpcKey {
  readonly accessKeyId: string
  readonly secret: string
  readonly securityToken?: string
}

export interface RpcAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
  readonly body: any
}

export interface RpcOptions {
  readonly version?: string
  readonly scheme?: 'v1' | 'acs3'
  readonly method?: 'GET' | 'POST'
  /** Parameters of the action in a form body, not in the query. */
  readonly inForm?: boolean
  readonly nowMs?: number
  readonly nonce?: string
  /** Changes the request after it was signed. */
  readonly tamper?: (request: WireRequest) => WireRequest
}

export interface WireRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const host = 'ringwall.example:9480'
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, each => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
const joined = (pairs: readonly (readonly [string, string])[]) =>
  pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
const sorted = (pairs: readonly (readonly [string, string])[]) =>
  joined([...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
const seconds = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Lists and objects as clients flatten them: `Tag.1.Key`. */
export function flatten(value: unknown, path = ''): [string, string][] {
  if (value === undefined || value === null) return []
  if (typeof value !== 'object') return [[path, String(value)]]
  const entries = Array.isArray(value)
    ? value.map((item, index) => [String(index + 1), item] as const)
    : Object.entries(value)
  return entries.flatMap(([name, item]) => flatten(item, path === '' ? name : `${path}.${name}`))
}

type Pair = readonly [name: string, value: string]

export function sign(key: RpcKey, action: string, parameters: object, options: RpcOptions = {}): WireRequest {
  return signFlat(key, action, flatten(parameters), options)
}

/** Of parameters as they go over the wire: none is flattened, and one may stand twice. */
export function signFlat(
  key: RpcKey,
  action: string,
  parameters: readonly Pair[],
  options: RpcOptions = {},
): WireRequest {
  const { scheme = 'v1', tamper = (request: WireRequest) => request } = options
  return tamper((scheme === 'v1' ? signVersion1 : signAcs3)(key, action, parameters, options))
}

function signVersion1(key: RpcKey, action: string, own: readonly Pair[], options: RpcOptions): WireRequest {
  const { method = 'GET', inForm = false, version = '2014-05-26', nowMs = Date.now(), nonce = randomUUID() } = options
  const system: readonly Pair[] = [
    ['Action', action],
    ['Version', version],
    ['Format', 'JSON'],
    ['AccessKeyId', key.accessKeyId],
    ['SignatureMethod', 'HMAC-SHA1'],
    ['SignatureVersion', '1.0'],
    ['SignatureNonce', nonce],
    ['Timestamp', seconds(nowMs)],
    ...(key.securityToken === undefined ? [] : [['SecurityToken', key.securityToken] as const]),
  ]
  const toSign = `${method}&%2F&${encode(sorted([...own, ...system]))}`
  const signature = createHmac('sha1', `${key.secret}&`).update(toSign).digest('base64')
  const query = inForm ? system : [...own, ...system]
  return {
    method,
    url: `/?${joined([...query, ['Signature', signature]])}`,
    headers: { host, ...(inForm && { 'content-type': 'application/x-www-form-urlencoded' }) },
    body: inForm ? joined(own) : '',
  }
}

function signAcs3(key: RpcKey, action: string, own: readonly Pair[], options: RpcOptions): WireRequest {
  const { method = 'POST', inForm = false, version = '2014-05-26', nowMs = Date.now(), nonce = randomUUID() } = options
  const none: readonly Pair[] = []
  const [query, form] = inForm ? [none, own] : [own, none]
  const body = joined(form)
  const headers: Record<string, string> = {
    host,
    'x-acs-action': action,
    'x-acs-version': version,
    'x-acs-date': seconds(nowMs),
    'x-acs-signature-nonce': nonce,
    'x-acs-content-sha256': sha256(body),
    ...(inForm && { 'content-type': 'application/x-www-form-urlencoded' }),
    ...(key.securityToken !== undefined && { 'x-acs-security-token': key.securityToken }),
  }
  const names = Object.keys(headers).sort()
  const lines = names.map(name => `${name}:${headers[name]}\n`).join('')
  const canonical = `${method}\n/\n${sorted(query)}\n${lines}\n${names.join(';')}\n${sha256(body)}`
  const signature = createHmac('sha256', key.secret)
    .update(`ACS3-HMAC-SHA256\n${sha256(canonical)}`)
    .digest('hex')
  const authorization = `ACS3-HMAC-SHA256 Credential=${key.accessKeyId},SignedHeaders=${names.join(';')},Signature=${signature}`
  return { method, url: query.length === 0 ? '/' : `/?${joined(query)}`, headers: { ...headers, authorization }, body }
}

export async function inject(app: FastifyInstance, request: WireRequest): Promise<RpcAnswer> {
  const { method, url, headers, body } = request
  const answer = await app.inject({ method, url, headers: { ...headers }, ...(body !== '' && { payload: body }) })
  return { status: answer.statusCode, body: JSON.parse(answer.body) }
}

/** A request of the RPC API in an API of the tests, as one of its keys. */
export type Rpc = (action: string, parameters?: object, key?: RpcKey) => Promise<RpcReply>

/** The status, and the fields of the answer beside it. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
export type RpcReply = any

export interface RpcCalls {
  /** Answers whatever comes. */
  readonly call: Rpc
  /** What must succeed. */
  readonly did: Rpc
  /** Status and code of what must not; clients take the word "NotFound" in a message for something else. */
  readonly refusal: (...asked: Parameters<Rpc>) => Promise<string>
}

/** Of an API and a key that are there when something is called. @param always  parameters of every request */
export function rpcCalls(
  app: () => FastifyInstance,
  root: () => RpcKey,
  { always = {}, ...options }: RpcOptions & { readonly always?: object } = {},
): RpcCalls {
  const call: Rpc = async (action, parameters = {}, key = root()) => {
    const { status, body } = await inject(app(), sign(key, action, { ...always, ...parameters }, options))
    return { status, ...body }
  }
  return {
    call,
    async did(action, parameters, key) {
      const reply = await call(action, parameters, key)
      assert.equal(reply.status, 200, JSON.stringify(reply))
      return reply
    },
    async refusal(action, parameters, key) {
      const { status, Code, Message } = await call(action, parameters, key)
      assert.doesNotMatch(Message ?? '', /NotFound/)
      return `${status} ${Code}`
    },
  }
}
