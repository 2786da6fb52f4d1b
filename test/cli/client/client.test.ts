/** The client against a real daemon, with what lies between them broken. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { after, suite, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { Client } from '../../../cli/client/client.ts'
import { Connection, type Endpoint } from '../../../cli/client/connection.ts'
import { RefusedError, UnreachableError } from '../../../cli/client/errors.ts'
import { issue, makeAuthority } from '../../support/certificates.ts'
import { startOperator } from '../../support/operator.ts'

const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())

function endpoint(url: string, more: Partial<Endpoint> = {}): Endpoint {
  return { url: new URL(url), token: operator.token, ca: null, fingerprint: null, ...more }
}

function using(url: string, more: Partial<Endpoint> = {}) {
  const connection = new Connection(endpoint(url, more))
  return { client: new Client(connection), [Symbol.dispose]: () => connection.close() }
}

const createAccount = (name: string) => ({ method: 'POST', path: '/v1/accounts', body: { name } }) as const
const accountsNamed = async (name: string) =>
  JSON.parse(await operator.do('account', 'list', '--name', name, '--json')).items as readonly unknown[]

interface Cutter extends AsyncDisposable {
  readonly url: string
  /** How many connections were cut, and how many requests went through to the daemon. */
  readonly cut: number
}

/** Lets requests through to the daemon, and cuts the first connections instead of giving the answer back. */
async function startCutter(cuts: number, when: 'before-the-request' | 'after-the-answer'): Promise<Cutter> {
  const sockets = new Set<Socket>()
  let cut = 0
  const server = createTcpServer(client => {
    const { hostname, port } = new URL(operator.url)
    const isCut = cut < cuts
    if (isCut) cut += 1
    if (isCut && when === 'before-the-request') {
      client.once('data', () => client.destroy())
      client.on('error', () => {})
      return
    }
    const daemon = connect(Number(port), hostname)
    for (const socket of [client, daemon]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.pipe(daemon)
    if (isCut) daemon.once('data', () => client.destroy())
    else daemon.pipe(client)
    client.on('close', () => daemon.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cut() {
      return cut
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

suite('a connection that breaks', () => {
  for (const when of ['before-the-request', 'after-the-answer'] as const) {
    test(`${when}: the write is sent again, and made once`, async () => {
      await using cutter = await startCutter(2, when)
      using session = using(cutter.url)
      const answer = await session.client.write<{ account: { name: string } }>(createAccount(when))
      assert.equal(answer.account.name, when)
      assert.equal(cutter.cut, 2)
      assert.equal((await accountsNamed(when)).length, 1)
    })
  }

  test('again and again: it says so in the end, and the write is made once', async () => {
    await using cutter = await startCutter(99, 'after-the-answer')
    using session = using(cutter.url)
    await assert.rejects(session.client.write(createAccount('unlucky')), error => {
      assert.ok(error instanceof UnreachableError)
      assert.deepEqual(error.lines, [
        `Cannot reach the daemon at ${cutter.url}: the connection broke`,
        'The daemon’s log may say why.',
        'Where it has a certificate, the URL is https://.',
      ])
      assert.equal(error.exitCode, 5)
      return true
    })
    assert.equal(cutter.cut, 4)
    assert.equal((await accountsNamed('unlucky')).length, 1)
  })

  test('under a write whose answer is a secret: it is not sent again, and it is said that it may have been made', async () => {
    await using cutter = await startCutter(1, 'after-the-answer')
    using session = using(cutter.url)
    const body = { name: 'lost', scopes: [{ accountId: '*', access: 'read' }] }
    await assert.rejects(session.client.write({ method: 'POST', path: '/v1/tokens', body, isSecret: true }), error => {
      assert.ok(error instanceof UnreachableError)
      assert.match(error.lines.join('\n'), /the connection broke\nThe request was sent, and may have been carried out/)
      return true
    })
    const { items } = JSON.parse(await operator.do('token', 'list', '--json'))
    assert.equal(items.filter(({ name }: { name: string }) => name === 'lost').length, 1)
  })

  test('nothing listens: three more tries, then who to start', async () => {
    // Any other port may be given to somebody between two tries.
    using session = using('http://127.0.0.1:1')
    await assert.rejects(session.client.get('/v1/accounts'), error => {
      assert.ok(error instanceof UnreachableError)
      assert.equal(error.fault, 'not-sent')
      assert.match(error.lines.join('\n'), /: nothing listens there\nStart the daemon there with "ringwall daemon"/)
      return true
    })
  })
})

interface Scripted extends AsyncDisposable {
  readonly url: string
  readonly requests: IncomingMessage[]
}

/** Answers by rote: for what a healthy daemon does not do. */
async function startScripted(answer: (turn: number, reply: ServerResponse) => void): Promise<Scripted> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, reply) => {
    request.resume()
    requests.push(request)
    answer(requests.length, reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const refuse = (reply: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}) =>
  reply
    .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
    .end(JSON.stringify({ status, code: 'StoreUnavailable', detail: 'Cannot store', requestId: 'r-1', errors: [] }))

suite('answers that ask to come again', () => {
  test('503: the same request under the same key', async () => {
    await using server = await startScripted((turn, reply) =>
      turn < 3 ? refuse(reply, 503) : reply.end('{"revision":7}'),
    )
    using session = using(server.url)
    assert.deepEqual(await session.client.write(createAccount('x')), { revision: 7 })
    const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
    assert.equal(keys.length, 3)
    assert.match(String(keys[0]), /^[!-~]{1,64}$/)
    assert.equal(new Set(keys).size, 1)
  })

  test('503 without end: what the daemon says, exit code 1', async () => {
    await using server = await startScripted((_turn, reply) => refuse(reply, 503))
    using session = using(server.url)
    await assert.rejects(session.client.write(createAccount('x')), error => {
      assert.ok(error instanceof RefusedError)
      assert.deepEqual(error.lines, [
        'Cannot store',
        'Nothing was stored. Try again when the daemon is well: its log says more.',
      ])
      assert.equal(error.exitCode, 1)
      return true
    })
    assert.equal(server.requests.length, 4)
  })

  test('429: after the pause that was asked for, which is told', async () => {
    await using server = await startScripted((turn, reply) =>
      turn === 1 ? refuse(reply, 429, { 'retry-after': '1' }) : reply.end('{"revision":7}'),
    )
    const pauses: number[] = []
    const connection = new Connection(endpoint(server.url))
    await new Client(connection, { onPause: seconds => pauses.push(seconds) }).write(createAccount('x'))
    connection.close()
    assert.deepEqual(pauses, [1])
    assert.equal(server.requests.length, 2)
  })

  test('429 with a pause nobody waits for: told at once', async () => {
    await using server = await startScripted((_turn, reply) => refuse(reply, 429, { 'retry-after': '3600' }))
    using session = using(server.url)
    await assert.rejects(session.client.get('/v1/accounts'), RefusedError)
    assert.equal(server.requests.length, 1)
  })

  for (const status of [400, 401, 404, 409, 412, 500]) {
    test(`${status} is not asked again`, async () => {
      await using server = await startScripted((_turn, reply) => refuse(reply, status))
      using session = using(server.url)
      await assert.rejects(session.client.write(createAccount('x')), { exitCode: status < 500 ? 4 : 1 })
      assert.equal(server.requests.length, 1)
    })
  }
})

suite('answers that are no answers', () => {
  const rows: readonly (readonly [string, (reply: ServerResponse) => void, RegExp])[] = [
    [
      'a page of a proxy',
      reply => reply.writeHead(502).end('<html>Bad Gateway</html>'),
      /the daemon answered 502, and not in the form of Ringwall's API/,
    ],
    [
      'a problem of odd shape',
      reply => reply.writeHead(400).end('{"detail":5,"errors":[1,{}],"heldBy":{"a":null}}'),
      /the daemon answered 400/,
    ],
    [
      'an answer that breaks off',
      reply => void reply.writeHead(200, { 'content-length': '100' }).write('{"a":', () => reply.destroy()),
      /the connection broke/,
    ],
    ['a page that says it is well', reply => reply.end('<html>'), /Cannot read the answer/],
  ]
  for (const [name, answer, message] of rows) {
    test(name, async () => {
      await using server = await startScripted((_turn, reply) => answer(reply))
      const connection = new Connection(endpoint(server.url))
      await assert.rejects(new Client(connection, { retries: 0 }).get('/v1/accounts'), message)
      connection.close()
    })
  }

  test('silence', async () => {
    await using server = await startScripted(() => {})
    const connection = new Connection(endpoint(server.url))
    await assert.rejects(
      new Client(connection, { retries: 0, timeoutMs: 100 }).get('/v1/accounts'),
      /it has said nothing for/,
    )
    connection.close()
  })
})

test('all pages of a list, or as many items as asked for', async () => {
  using session = using(operator.url)
  const tagged = Array.from({ length: 7 }, (_, index) => `paged-${index}`)
  for (const name of tagged) await session.client.write(createAccount(name))
  const all = await session.client.list<{ name: string }>('/v1/accounts', { name: 'paged-*', sort: 'name' })
  assert.deepEqual(
    all.items.map(({ name }) => name),
    tagged,
  )
  const some = await session.client.list<{ name: string }>('/v1/accounts', { name: 'paged-*', sort: 'name' }, 3)
  assert.deepEqual(
    [some.items.map(({ name }) => name), some.nextToken === null, some.totalCount],
    [tagged.slice(0, 3), false, 7],
  )
})

suite('TLS', async () => {
  const authority = await makeAuthority()
  const own = await issue(authority, { usage: 'server' })
  const fingerprint = new X509Certificate(own.certificate).fingerprint256.replaceAll(':', '').toLowerCase()
  const heard: string[] = []
  const server = createTlsServer({ cert: own.certificate, key: own.privateKey }, socket => {
    socket.on('error', () => {})
    socket.on('data', data => {
      heard.push(String(data))
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
    })
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = async (more: Partial<Endpoint>) => {
    heard.length = 0
    const connection = new Connection(endpoint(url, more))
    const client = new Client(connection, { retries: 0 })
    try {
      await client.get('/v1/accounts')
      await client.get('/v1/accounts')
    } finally {
      connection.close()
    }
  }

  test('the certificate of the fingerprint is accepted, whoever signed it', async () => {
    await ask({ fingerprint })
    assert.equal(heard.length, 2)
  })
  for (const [name, more, message] of [
    [
      'another fingerprint',
      { fingerprint: 'ab'.repeat(32) },
      /its certificate has the fingerprint [0-9a-f]{64}, not the expected one/,
    ],
    ['a CA that is not known', {}, /its certificate is of no CA that is known here/],
    ['another CA', { ca: (await makeAuthority()).certificate }, /its certificate is of no CA that is known here/],
    [
      'the right CA, but a name the certificate has not',
      { ca: authority.certificate },
      /its certificate is for another name/,
    ],
  ] as const) {
    test(`${name}: not a byte of the token is sent`, async () => {
      await assert.rejects(ask(more), message)
      assert.deepEqual(heard, [])
    })
  }
})
