/** Requests as nobody should send them: each is refused with its status, none is a fault of the daemon's. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { tokenText } from '../../daemon/secrets.ts'
import { accountId, startApi, type TestApi } from '../support/api.ts'

const url = '/v1/instances'
const json = { 'content-type': 'application/json' }
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('bodies', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const rows: readonly (readonly [name: string, body: string | undefined, expected: string, field?: string])[] = [
    ['no body', undefined, '400 InvalidParameter'],
    ['an empty one', '', '400 InvalidParameter'],
    ['no JSON', '{accountId}', '400 InvalidParameter', 'line 1, column 2'],
    ['half of one', '{"accountId": "', '400 InvalidParameter', 'line 1, column 15'],
    ['two', '{}{}', '400 InvalidParameter', 'line 1, column 3'],
    ['a list', '[]', '400 InvalidParameter', ''],
    ['null', 'null', '400 InvalidParameter', ''],
    ['a number', '17', '400 InvalidParameter', ''],
    ['a key twice', '{"accountId":"1","accountId":"2"}', '400 InvalidParameter', 'line 1, column 18'],
    ['a key twice, once escaped', '{"a":1,"\\u0061":2}', '400 InvalidParameter', 'line 1, column 8'],
    ['an unknown field', '{"size":1}', '400 InvalidParameter', 'size'],
    ['__proto__', '{"__proto__":{"accountId":"1000000000000000"}}', '400 InvalidParameter', '__proto__'],
    ['__proto__ in tags', '{"tags":{"__proto__":"x"}}', '400 InvalidParameter', 'tags.__proto__'],
    ['constructor', '{"constructor":{"prototype":{}}}', '400 InvalidParameter', 'constructor'],
    ['toString', '{"toString":1}', '400 InvalidParameter', 'toString'],
    ['a wrong type', '{"accountId":1000000000000000}', '400 InvalidParameter', 'accountId'],
    ['a huge number', '{"accountId":1e999}', '400 InvalidParameter', 'accountId'],
    ['a list for text', '{"instanceName":["x"]}', '400 InvalidParameter', 'instanceName'],
    ['an object for a list of tags', '{"tags":[]}', '400 InvalidParameter', 'tags'],
    ['a tag that is no text', '{"tags":{"a":1}}', '400 InvalidParameter', 'tags.a'],
    [
      'too many tags',
      JSON.stringify({ tags: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, ''])) }),
      '400 InvalidParameter',
      'tags',
    ],
    ['a control character in a name', '{"instanceName":"a\\u0000b"}', '400 InvalidParameter', 'instanceName'],
    ['a line break in a name', '{"instanceName":"a\\nb"}', '400 InvalidParameter', 'instanceName'],
    ['a name too long', JSON.stringify({ instanceName: 'x'.repeat(129) }), '400 InvalidParameter', 'instanceName'],
    ['an empty name', '{"instanceName":""}', '400 InvalidParameter', 'instanceName'],
    ['an id with a slash', '{"instanceId":"i-a/b"}', '400 InvalidParameter', 'instanceId'],
    ['an id with a dot-dot and no end', `{"instanceId":"i-${'.'.repeat(100)}"}`, '400 InvalidParameter', 'instanceId'],
    ['13 levels', nested(13), '400 InvalidParameter'],
    ['a hundred thousand levels', nested(100_000), '400 InvalidParameter'],
    ['more values than anything means', `[${'1,'.repeat(20_001)}1]`, '400 InvalidParameter'],
    ['over 1 MiB', JSON.stringify({ instanceName: 'x'.repeat(1024 * 1024) }), '413 RequestTooLarge'],
    ['a lone surrogate', '{"instanceName":"\\ud800"}', '400 InvalidParameter', 'instanceName'],
  ]

  for (const [name, body, expected, field] of rows) {
    test(name, async () => {
      const answer = await api.request('POST', url, body, { headers: json })
      assert.equal(`${answer.status} ${answer.body.code}`, expected, JSON.stringify(answer.body))
      if (field !== undefined) assert.equal(answer.body.errors[0].field, field)
      assert.equal(({} as Record<string, unknown>).accountId, undefined)
    })
  }

  test('no body at all is told as that', async () => {
    for (const [body, headers] of [
      [undefined, {}],
      ['', json],
      ['null', json],
    ] as const) {
      const { detail } = (await api.request('POST', url, body, { headers })).body
      assert.equal(detail, 'Cannot do without a body: expected an object, as application/json')
    }
  })

  for (const [name, body, field] of [
    ['what is no UTF-8', Buffer.from('{"accountId":\n"1",\n"instanceName":"B\xfcro"}', 'latin1'), 'line 3'],
    ['half of a character at the end', Buffer.from([0x22, 0xc3]), 'line 1'],
    ['UTF-16', Buffer.from('{"instanceName":"\ud83d\ude00"}', 'utf16le'), 'line 1'],
  ] as const) {
    test(name, async () => {
      const { body: problem, status } = await api.request('POST', url, body, { headers: json })
      assert.deepEqual([status, problem.code, problem.errors[0].field], [400, 'InvalidParameter', field])
      assert.match(problem.detail, /expected UTF-8/)
    })
  }

  test('a packed body', async () => {
    const headers = { ...json, 'content-encoding': 'gzip' }
    const { status, body } = await api.request('POST', url, gzipSync('{}'), { headers })
    assert.deepEqual([status, body.code], [415, 'UnsupportedMediaType'])
    assert.match(body.detail, /without Content-Encoding/)
    const identity = { ...json, 'content-encoding': 'identity' }
    assert.equal((await api.request('POST', url, { accountId }, { headers: identity })).status, 201)
  })

  for (const [body, expected] of [
    [{ accountId: '12' }, 'accountId: Cannot read "12": expected 16 digits'],
    [
      { instanceId: 'web' },
      'instanceId: Cannot read "web": expected "i-", then 1 to 61 letters of a to z, digits, "_", "." and "-"',
    ],
    [
      { instanceName: 'a\nb' },
      'instanceName: Cannot read "a\\nb": expected text on one line, without control characters or null',
    ],
    [
      { tags: { 'a:b': '' } },
      'tags["a:b"]: Cannot read field "a:b": expected a key of 1 to 128 characters, without ":" and control characters',
    ],
    [{ 'a:b': '' }, '["a:b"]: Cannot read field "a:b": expected a field that the route takes'],
  ] as const) {
    test(`${JSON.stringify(body)} is refused in words`, async () => {
      assert.equal((await api.request('POST', url, body)).body.detail, expected)
    })
  }

  test('a body where none is expected', async () => {
    const answer = await api.request('DELETE', `${url}/i-1`, { force: true })
    assert.deepEqual([answer.status, answer.body.code], [400, 'InvalidParameter'])
    assert.equal((await api.request('DELETE', `${url}/i-1`, '{}', { headers: json })).status, 404)
  })

  for (const [type, expected] of [
    ['text/plain', '415 UnsupportedMediaType'],
    ['application/x-www-form-urlencoded', '415 UnsupportedMediaType'],
    ['application/json; charset=utf-8', '201 undefined'],
    ['application/vnd.sqlite3', '415 UnsupportedMediaType'],
    // For imports alone.
    ['text/csv', '415 UnsupportedMediaType'],
    ['nonsense', '415 UnsupportedMediaType'],
  ]) {
    test(`as ${type}`, async () => {
      const body = JSON.stringify({ accountId })
      const answer = await api.request('POST', url, body, { headers: { 'content-type': type! } })
      assert.equal(`${answer.status} ${answer.body.code}`, expected)
    })
  }

  test('all that is wrong is told at once, twenty at most', async () => {
    const fields = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, 1]))
    const answer = await api.request('POST', url, { ...fields, accountId: 1, instanceName: '' })
    assert.equal(answer.body.errors.length, 20)
  })
})

describe('paths and tokens', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
  })
  after(() => api[Symbol.asyncDispose]())

  for (const [method, path, expected] of [
    ['GET', '/v1/nothing', '404 NotFound'],
    ['GET', '/v1/security-group', '404 NotFound'],
    ['GET', '/v1', '404 NotFound'],
    ['PUT', '/v1/instances', '405 MethodNotAllowed'],
    ['GET', '/v1/instances/', '404 InvalidInstanceId.NotFound'],
    ['GET', '/v1/instances/__proto__', '404 InvalidInstanceId.NotFound'],
    ['GET', '/v1/instances/..%2f..%2fetc%2fpasswd', '404 InvalidInstanceId.NotFound'],
    ['GET', '/v1/instances/%00', '404 InvalidInstanceId.NotFound'],
    ['GET', '/v1/instances/%E0%A4%A', '400 InvalidRequest'],
    ['GET', `/v1/instances/${'i'.repeat(65)}`, '414 InvalidRequest'],
    ['GET', '/v1/changes/0', '400 InvalidParameter'],
    ['GET', '/v1/changes/one', '400 InvalidParameter'],
    ['GET', '/v1/changes/1e3', '400 InvalidParameter'],
    ['GET', '/v1/changes/99999999999999999999', '400 InvalidParameter'],
    ['GET', '/v1/changes/9007199254740991', '400 InvalidParameter'],
    ['GET', '/v1/changes/999999999999999', '404 InvalidRevision.NotFound'],
    ['GET', '/v1/audit?since=yesterday', '400 InvalidParameter'],
    ['GET', '/v1/audit?until=2026-13-01', '400 InvalidParameter'],
    ['GET', '/v1/audit?nextToken=x', '400 InvalidParameter'],
    ['GET', '/v1/changes?nextToken=-1', '400 InvalidParameter'],
  ] as const) {
    test(`${method} ${path.slice(0, 50)} is ${expected}`, async () => {
      const answer = await api.request(method, path)
      assert.equal(`${answer.status} ${answer.body.code}`, expected, JSON.stringify(answer.body))
      assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
      assert.equal(typeof answer.body.requestId, 'string')
    })
  }

  for (const [method, path, allowed] of [
    ['PUT', '/v1/instances', 'GET, POST'],
    ['HEAD', '/v1/instances?maxResults=1', 'GET, POST'],
    ['POST', '/v1/instances/i-1', 'DELETE, GET, PATCH'],
    ['OPTIONS', '/v1/whoami', 'GET'],
  ] as const) {
    test(`${method} ${path} is told what is allowed there`, async () => {
      const headers = { authorization: `Bearer ${api.token}` }
      const answer = await api.app.inject({ method, url: path, headers })
      assert.deepEqual([answer.statusCode, answer.headers.allow], [405, allowed])
    })
  }

  const wrong = [
    null,
    '',
    'rwt_token-test0_',
    tokenText('token-test0', 'x'.repeat(43)),
    tokenText('token-none', 'x'.repeat(43)),
    tokenText('__proto__', 'x'.repeat(43)),
    `${'x'.repeat(5000)}`,
  ]
  for (const token of wrong) {
    test(`token ${JSON.stringify(token)?.slice(0, 30)} is refused before the body is read`, async () => {
      const answer = await api.request('POST', url, '{not json', { token, headers: json })
      assert.deepEqual([answer.status, answer.body.code], [401, 'Unauthorized'])
      assert.equal(answer.headers['www-authenticate'], 'Bearer')
    })
  }

  test('a token that is over is refused, and one that was deleted', async () => {
    let nowMs = 0
    await using timed = await startApi({ now: () => nowMs })
    const body = { name: 'short', scopes: [{ accountId, access: 'read' }], expiresInSeconds: 60 }
    const { apiToken, token } = (await timed.request('POST', '/v1/tokens', body)).body
    nowMs = 59_999
    assert.equal((await timed.request('GET', '/v1/whoami', undefined, { token })).status, 200)
    nowMs = 60_000
    assert.equal((await timed.request('GET', '/v1/whoami', undefined, { token })).status, 401)
    nowMs = 0
    await timed.request('DELETE', `/v1/tokens/${apiToken.tokenId}`)
    assert.equal((await timed.request('GET', '/v1/whoami', undefined, { token })).status, 401)
  })

  test('health is told to who asks for no body', async () => {
    const { statusCode, body } = await api.app.inject({ method: 'HEAD', url: '/health' })
    assert.deepEqual([statusCode, body], [200, ''])
  })

  test('health, metrics and the contract need no token', async () => {
    for (const path of ['/health', '/metrics', '/openapi.json', '/docs']) {
      const { status } = await api.request('GET', path, undefined, { token: null })
      assert.ok(status === 200 || status === 302, `${path}: ${status}`)
    }
  })

  test('metrics from another machine need a token that may read everything', async () => {
    const ask = (headers: Record<string, string>) =>
      api.app.inject({ method: 'GET', url: '/metrics', remoteAddress: '198.18.0.9', headers })
    const own = await api.makeToken([{ accountId, access: 'write' }])
    assert.equal((await ask({})).statusCode, 401)
    assert.equal((await ask({ authorization: `Bearer ${own}` })).statusCode, 403)
    assert.equal((await ask({ authorization: `Bearer ${api.token}` })).statusCode, 200)
  })

  test('metrics for whoever asks through a proxy, or from a page in a browser, need a token too', async () => {
    const statusFor = async (headers: Record<string, string>) =>
      (await api.app.inject({ method: 'GET', url: '/metrics', remoteAddress: '127.0.0.1', headers })).statusCode
    for (const host of ['localhost', 'LOCALHOST:7080', '127.0.0.1', '127.0.1.1:7080', '[::1]:7080', '[::1]']) {
      assert.equal(await statusFor({ host }), 200, host)
    }
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:80', '198.18.0.1', '::1']) {
      assert.equal(await statusFor({ host }), 401, host)
    }
    assert.equal(await statusFor({ host: 'localhost', 'x-forwarded-for': '198.18.0.9' }), 401)
    assert.equal(await statusFor({ host: 'localhost', forwarded: 'for=198.18.0.9' }), 401)
    assert.equal(await statusFor({ host: 'evil.example', authorization: `Bearer ${api.token}` }), 200)
  })

  test('the documentation runs its own scripts alone, in no frame, and keeps no token', async () => {
    for (const path of ['/docs/', '/docs/static/swagger-initializer.js']) {
      const { headers, body, statusCode } = await api.app.inject({ method: 'GET', url: path })
      assert.equal(statusCode, 200)
      assert.match(
        String(headers['content-security-policy']),
        /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/,
      )
      assert.equal(headers['x-content-type-options'], 'nosniff')
      // Scripts that stand in the page itself would not run.
      assert.doesNotMatch(body, /<script>|<script[^>]* src="(https?:)?\/\//)
      assert.doesNotMatch(body, /persistAuthorization":true/)
    }
  })

  test('no other page is let in by a browser', async () => {
    const origin = 'https://evil.example'
    const preflight = await api.app.inject({
      method: 'OPTIONS',
      url,
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })
    assert.equal(preflight.statusCode, 405)
    const form = await api.app.inject({
      method: 'POST',
      url,
      headers: { origin, 'content-type': 'text/plain' },
      body: '{}',
    })
    assert.equal(form.statusCode, 401)
    for (const { headers } of [preflight, form]) {
      assert.deepEqual(
        Object.keys(headers).filter(name => /^access-control|^set-cookie/.test(name)),
        [],
      )
    }
  })

  test('every refused write is noted with who, what and why', async () => {
    const before = api.refused.length
    await api.request('POST', url, { accountId: 'x' })
    await api.request('DELETE', `${url}/i-none`, undefined, { token: null })
    await api.request('GET', `${url}/i-none`)
    const noted = api.refused
      .slice(before)
      .map(({ note, status, code }) => [note.action, note.principal.name, status, code])
    assert.deepEqual(noted, [
      ['ecs:RunInstances', 'token-test0', 400, 'InvalidParameter'],
      ['ecs:DeleteInstance', 'unknown', 401, 'Unauthorized'],
    ])
  })
})

describe('too many requests', () => {
  test('are refused by token, and without token by address, ten times sooner', async () => {
    await using api = await startApi({ requestsPerMinute: 30 })
    const other = await api.makeToken([{ accountId, access: 'read' }])
    const statuses = []
    for (let count = 0; count < 31; count += 1) statuses.push((await api.request('GET', '/v1/whoami')).status)
    assert.deepEqual([statuses.filter(status => status === 200).length, statuses.at(-1)], [30, 429])
    const refused = await api.request('GET', '/v1/whoami')
    assert.deepEqual([refused.body.code, typeof refused.headers['retry-after']], ['Throttling', 'string'])
    assert.equal((await api.request('GET', '/v1/whoami', undefined, { token: other })).status, 200)
    const strangers = []
    for (let count = 0; count < 4; count += 1) {
      strangers.push((await api.request('GET', '/v1/whoami', undefined, { token: null })).status)
    }
    assert.deepEqual(strangers, [401, 401, 401, 429])
  })

  test('are counted for a /64 of IPv6: a host has as many addresses there as it likes', async () => {
    await using api = await startApi({ requestsPerMinute: 30 })
    const statusOf = async (remoteAddress: string) =>
      (await api.app.inject({ method: 'GET', url: '/v1/whoami', remoteAddress })).statusCode
    const statuses = []
    for (let count = 0; count < 4; count += 1) statuses.push(await statusOf(`2001:db8:1:2::${count}`))
    assert.deepEqual(statuses, [401, 401, 401, 429])
    assert.equal(await statusOf('2001:db8:1:3::1'), 401)
  })
})

describe('on a socket', () => {
  /** Bytes as they are; what comes back until the connection ends. */
  async function talk(api: TestApi, bytes: string): Promise<string> {
    const { port } = api.app.server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes)
    let text = ''
    for await (const chunk of socket) text += chunk
    return text
  }

  test('what is no HTTP is refused, and the next client is served', async () => {
    await using api = await startApi()
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    assert.match(await talk(api, '\x16\x03\x01\x00\x00 nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /)
    assert.match(
      await talk(api, `GET /health HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(200_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    )
    assert.match(await talk(api, 'GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 200 /)
  })

  test('a body that says it is larger than it may be is refused before it comes', async () => {
    await using api = await startApi()
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.server.address() as AddressInfo
    const headers = { authorization: `Bearer ${api.token}`, ...json, 'content-length': 2 * 1024 * 1024 }
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: url, headers }, response => {
      resolve(response.statusCode)
      request.destroy()
    })
    request.on('error', reject)
    request.write('{')
    assert.equal(await promise, 413)
  })
})
