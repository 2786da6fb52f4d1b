/** Requests for an operation of the API: as it is meant to be asked for, and wrong in one or several ways. */

import type { Operation, Parameter } from '../openapi.ts'
import type { Random } from '../random.ts'
import { hostileTexts, inheritedNames, type Lexicon, ValueMaker, writeJson } from './values.ts'

export interface FuzzRequest {
  readonly method: string
  /** Path and query, percent-encoded or not, as a client would put them on the wire. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | undefined
}

export interface Credentials {
  /** Good ones, with more or less power. */
  readonly good: readonly string[]
  readonly bad: readonly string[]
}

export interface RequestMakerOptions {
  readonly random: Random
  readonly operations: readonly Operation[]
  readonly lexicon: Lexicon
  readonly credentials: Credentials
  /** What every write has in its query: `dryRun=true` for a run that is to change nothing. */
  readonly always?: string
}

/** How often a request is wrong in each of the ways there are. */
const oddness = { path: 0.06, query: 0.08, headers: 0.08, authorization: 0.05, contentType: 0.05, method: 0.03 }

export class RequestMaker {
  readonly #options: RequestMakerOptions
  readonly #values: ValueMaker

  constructor(options: RequestMakerOptions) {
    this.#options = options
    this.#values = new ValueMaker(options.random, options.lexicon)
  }

  next(): FuzzRequest {
    const { random, always } = this.#options
    const operation = this.#operation()
    const method = random.chance(oddness.method) ? random.pick(otherMethods) : operation.method
    const query = [this.#query(operation), method === 'GET' ? '' : always].filter(Boolean).join('&')
    const url = `${this.#path(operation)}${query === '' ? '' : `?${query}`}`
    const { body, contentType } = this.#body(operation)
    const headers = {
      ...this.#headers(operation),
      ...this.#authorization(),
      ...(contentType !== null && { 'content-type': contentType }),
    }
    return { method, url, headers, body: ['GET', 'HEAD'].includes(method) ? undefined : body }
  }

  #operation(): Operation {
    const { random, operations } = this.#options
    for (;;) {
      const operation = random.pick(operations)
      if (!random.chance(rarity(operation))) return operation
    }
  }

  #path({ path, parameters }: Operation): string {
    const { random } = this.#options
    const isOdd = random.chance(oddness.path)
    const filled = path.replace(/\{(\w+)\}/g, (_whole, name: string) => {
      if (isOdd) return random.pick(oddSegments)
      const schema = parameters.find(parameter => parameter.name === name)?.schema ?? { type: 'string' }
      return encodeURIComponent(String(this.#values.likely(schema, name)))
    })
    return isOdd && random.chance(0.2)
      ? random.pick([`${filled}/`, `/${filled}`, filled.toUpperCase(), `${filled}/x`])
      : filled
  }

  #query({ parameters, path }: Operation): string {
    const { random } = this.#options
    // Names of RAM are those of an account: without it they are refused at the door.
    const isNeeded = ({ name, required = false }: Parameter) =>
      required || (name === 'accountId' && path.startsWith('/v1/ram/'))
    const chosen = parameters.filter(
      parameter => parameter.in === 'query' && random.chance(isNeeded(parameter) ? 0.85 : 0.15),
    )
    const pairs = chosen.flatMap(({ name, schema }) => {
      const values = [this.#values.likely(schema, name)].flat()
      return values.map(
        value => `${name}=${encodeText(random.chance(oddness.query) ? random.pick(hostileTexts) : String(value))}`,
      )
    })
    if (random.chance(oddness.query)) pairs.push(random.pick(oddQueries))
    if (random.chance(0.02) && pairs.length > 0) pairs.push(pairs[0]!)
    return pairs.join('&')
  }

  #headers({ parameters }: Operation): Record<string, string> {
    const { random } = this.#options
    const chosen = parameters.filter(({ in: place }) => place === 'header' && random.chance(0.1))
    const known = chosen.map(({ name, schema }) => [name, String(this.#values.likely(schema, name))])
    const odd = random.chance(oddness.headers) ? [random.pick(oddHeaders)] : []
    return Object.fromEntries([...known, ...odd])
  }

  #authorization(): Record<string, string> {
    const { random, credentials } = this.#options
    if (!random.chance(oddness.authorization)) {
      const [strongest = '', ...others] = credentials.good
      const token = others.length === 0 || random.chance(0.8) ? strongest : random.pick(others)
      return { authorization: `Bearer ${token}` }
    }
    return random.chance(0.2) ? {} : { authorization: random.pick(credentials.bad) }
  }

  #body({ bodies, example }: Operation): {
    readonly body: string | Buffer | undefined
    readonly contentType: string | null
  } {
    const { random } = this.#options
    const [type, schema] = bodies.size > 0 ? random.pick([...bodies]) : ['application/json', null]
    const contentType = random.chance(oddness.contentType) ? random.pick(oddContentTypes) : type
    if (schema === null) {
      if (random.chance(0.9)) return { body: undefined, contentType: null }
      return { body: random.pick(['', '{}', 'null', '[]', '{"a":1}', '0', 'x']), contentType }
    }
    if (!type.includes('json')) return { body: random.pick(otherBodies), contentType }
    const value = example !== undefined && random.chance(0.3) ? example : this.#values.likely(schema, '')
    const mood = random.integer(1, 10)
    if (mood <= 5) return { body: writeJson(value), contentType }
    if (mood <= 9) {
      const times = random.integer(1, 3)
      let changed = value
      for (let count = 0; count < times; count += 1) changed = this.#withOneOdd(changed)
      return { body: writeJson(changed), contentType }
    }
    return { body: this.#spoil(writeJson(value)), contentType }
  }

  /** The same value, but for one place in it, at any depth. */
  #withOneOdd(value: unknown): unknown {
    const { random } = this.#options
    if (typeof value !== 'object' || value === null || random.chance(0.15)) return this.#values.hostile()
    if (Array.isArray(value)) {
      if (value.length === 0 || random.chance(0.1)) return [...value, this.#values.hostile()]
      const index = random.integer(0, value.length - 1)
      return value.with(index, this.#withOneOdd(value[index]))
    }
    const entries = Object.entries(value)
    if (entries.length === 0 || random.chance(0.2)) {
      const name = random.pick([...inheritedNames, '', 'x', 'accountID', '\u0000', 'a'.repeat(2000), 'é', '0'])
      // fromEntries makes a key of its own even of __proto__.
      return Object.fromEntries([...entries, [name, this.#values.hostile()]])
    }
    const [name, inner] = random.pick(entries)
    if (random.chance(0.1)) return Object.fromEntries(entries.filter(([each]) => each !== name))
    return Object.fromEntries(entries.map(([each, old]) => [each, each === name ? this.#withOneOdd(inner) : old]))
  }

  /** Text that is no JSON any more, or JSON that says something twice. */
  #spoil(text: string): string | Buffer {
    const { random } = this.#options
    const place = random.integer(0, text.length)
    const ways: readonly (() => string | Buffer)[] = [
      () => text.slice(0, place),
      () =>
        `${text.slice(0, place)}${random.pick(['"', '{', '}', ',', '\\', '\u0000', 'NaN', '//', '\n', "'"])}${text.slice(place)}`,
      () => text.replace(/\{("[^"]*"):/, '{$1:null,$1:'),
      () => text.replace('{', '{"__proto__":{"polluted":true},'),
      () => text.replace('{', '{"\\u005f_proto__":1,'),
      () => `\ufeff${text}`,
      () => `${text}${text}`,
      () => `${text},`,
      () => `/* */${text}`,
      () => text.replaceAll('"', "'"),
      () => Buffer.from(text, 'utf16le'),
      () =>
        Buffer.concat([
          Buffer.from(text.slice(0, place)),
          Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
          Buffer.from(text.slice(place)),
        ]),
      () => ' '.repeat(1_100_000) + text,
      () => '['.repeat(50_000),
      () => `{"a":${'{"a":'.repeat(5000)}1${'}'.repeat(5001)}`,
      () => random.pick(['', 'null', 'NaN', 'undefined', '-', '1e400', '"', '[]', '""', 'true']),
    ]
    return random.pick(ways)()
  }
}

/** How often it is passed over: what takes away leaves less to ask about; backups and reports take as long as dozens of others. */
function rarity({ method, path }: Operation): number {
  if (path === '/v1/backup' || path === '/v1/health-report') return 0.95
  return method === 'DELETE' || path.endsWith('/revoke') ? 0.5 : 0
}

function encodeText(text: string): string {
  return encodeURIComponent(text.toWellFormed()).slice(0, 4000)
}

const otherMethods = [
  'PUT',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'DELETE',
  'PATCH',
  'GET',
  'POST',
  'PROPFIND',
  'QUERY',
  'SEARCH',
]

const oddSegments = [
  ...inheritedNames,
  '%00',
  '%ZZ',
  '%',
  '%2F',
  '..%2F..%2Fv1%2Fwhoami',
  '..',
  '.',
  '%F0%9F%98%80',
  '%C0%80',
  '%ED%A0%80',
  'x'.repeat(64),
  'x'.repeat(65),
  'x'.repeat(5000),
  ':securityGroupId',
  '*',
  'null',
  '-1',
  '1e400',
  '99999999999999999999',
  'sg-%E2%80%AE',
]

const oddQueries = [
  '',
  '&&&',
  '=',
  '=x',
  '%00',
  '%00=%00',
  'x=%ZZ',
  'dryRun=%ZZ',
  'dryRun=maybe',
  'dryRun=true&dryRun=false',
  'dryRun=',
  '__proto__=x',
  '__proto__[polluted]=x',
  'constructor=1&toString=2',
  'a[b][c]=1',
  'maxResults=0',
  'maxResults=-1',
  'maxResults=1e3',
  'maxResults=NaN',
  'maxResults=501',
  'maxResults=1&maxResults=2',
  'nextToken=x',
  'nextToken=W10',
  'nextToken=eyJfX3Byb3RvX18iOjF9',
  `nextToken=${Buffer.from('["__proto__",null,{}]').toString('base64url')}`,
  `nextToken=${'A'.repeat(3000)}`,
  'sort=constructor',
  'sort=-',
  'sort=__proto__',
  'tag=:',
  'tag=__proto__',
  `tag=${'x'.repeat(500)}`,
  Array.from({ length: 100 }, (_, index) => `tag=t${index}`).join('&'),
  Array.from({ length: 1200 }, (_, index) => `x${index}=1`).join('&'),
  'wait=never',
  'wait=enforced&timeout=0',
  'wait=enforced&timeout=1e400',
  'timeout=301',
  'format=xml',
  'mode=__proto__',
  'since=never',
  'since=1e400&until=-1',
  'key=%2F',
  'key=__proto__/x',
  `x=${'y'.repeat(8000)}`,
]

const oddHeaders: readonly [string, string][] = [
  ['if-match', 'x'],
  ['if-match', '"-1"'],
  ['if-match', 'W/"1"'],
  ['if-match', '"1", "2"'],
  ['if-match', '"99999999999999999999"'],
  ['if-match', '1'.repeat(5000)],
  ['idempotency-key', ''],
  ['idempotency-key', 'same'],
  ['idempotency-key', 'k'.repeat(65)],
  ['idempotency-key', 'a b'],
  ['idempotency-key', '__proto__'],
  ['accept', 'image/png'],
  ['accept-encoding', 'zstd;q=NaN, *;q=0'],
  ['x-request-id', 'mine'],
  ['x-http-method-override', 'DELETE'],
  ['x-forwarded-for', '127.0.0.1'],
  ['host', ''],
  ['range', 'bytes=0-1'],
  ['expect', '200-maybe'],
  ['__proto__', 'x'],
  ['cookie', 'x'.repeat(4000)],
  ['content-encoding', 'gzip'],
]

const oddContentTypes = [
  '',
  'x',
  'a/b/c',
  'text/plain',
  'text/csv',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json, text/html',
  'APPLICATION/JSON',
  'application/json;',
  'application/json; ;;=',
  'application/problem+json',
  `application/json; x=${'y'.repeat(3000)}`,
  'application/vnd.sqlite3',
  '__proto__',
]

const otherBodies = [
  '',
  'x',
  'direction,policy,ipProtocol,portRange,sourceCidrIp\r\ningress,accept,tcp,80/80,0.0.0.0/0\r\n',
  'direction,direction\ningress,egress\n',
  '__proto__,direction\nx,ingress\n',
  'direction,ipProtocol,portRange,sourceCidrIp\n"ingress,tcp,80/80,0.0.0.0/0',
  'direction;ipProtocol\ningress;tcp\n',
  '\ufeffdirection,ipProtocol,portRange,sourceCidrIp\ningress,tcp,443/443,"198.18.0.0/24,203.0.113.7"\n',
  `direction,ipProtocol,sourceCidrIp\n${'ingress,all,0.0.0.0/0\n'.repeat(3000)}`,
  `direction,description\ningress,${'x'.repeat(200_000)}\n`,
  `${'a,'.repeat(50_000)}\n`,
  '"'.repeat(1001),
  '\n'.repeat(10_000),
  '\u0000\u0001\u0002',
  'SQLite format 3\u0000 and nothing more',
  Buffer.from('SQLite format 3\u0000'.padEnd(4096, '\u0001')),
  Buffer.alloc(10_000, 0xff),
]
