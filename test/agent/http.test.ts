import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createRequestHandler,
  type Health,
  healthRoute,
  jsonReply,
  metricsRoute,
  type Routes,
  serveLoopback,
} from '../../agent/http.ts'
import { createMetrics } from '../../agent/metrics.ts'

interface Served extends AsyncDisposable {
  readonly url: string
  readonly errors: string[]
  /** Of `/lines`, as many as there are readers. */
  readonly writers: Set<(line: string) => void>
}

async function serve(health: Health, address = '127.0.0.1'): Promise<Served> {
  const errors: string[] = []
  const writers = new Set<(line: string) => void>()
  const routes: Routes = {
    '/health': healthRoute(() => health),
    '/metrics': metricsRoute(createMetrics().registry),
    '/echo': query => jsonReply(200, Object.fromEntries(query)),
    '/lines': () => ({
      contentType: 'application/x-ndjson; charset=utf-8',
      start(write) {
        writers.add(write)
        return () => writers.delete(write)
      },
    }),
    '/broken': () => {
      throw new Error('a secret detail')
    },
  }
  const handler = createRequestHandler(routes, (path, error) => errors.push(`${path}: ${(error as Error).message}`))
  const server = await serveLoopback(handler, address, 0)
  const host = address.includes(':') ? `[${address}]` : address
  return { url: `http://${host}:${server.port}`, errors, writers, [Symbol.asyncDispose]: () => server.close() }
}

const well: Health = { healthy: true, problems: [] }
const unwell: Health = { healthy: false, problems: ['the policy file has 2 faults'] }

interface Row {
  readonly name: string
  readonly path: string
  readonly method?: string
  readonly health?: Health
  readonly expected: { readonly status: number; readonly type: string; readonly body: RegExp }
}

const json = 'application/json; charset=utf-8'
const rows: readonly Row[] = [
  {
    name: 'health',
    path: '/health',
    expected: { status: 200, type: json, body: /^{"healthy":true,"problems":\[\]}\n$/ },
  },
  {
    name: 'bad health',
    path: '/health',
    health: unwell,
    expected: { status: 503, type: json, body: /"problems":\["the policy file has 2 faults"\]/ },
  },
  {
    name: 'metrics',
    path: '/metrics',
    expected: { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: /^# HELP/ },
  },
  {
    name: 'a query is not part of the path',
    path: '/health?verbose',
    expected: { status: 200, type: json, body: /true/ },
  },
  {
    name: 'what stands behind the question mark',
    path: '/echo?instanceId=i-1&a=%26',
    expected: { status: 200, type: json, body: /^{"instanceId":"i-1","a":"&"}\n$/ },
  },
  { name: 'another path', path: '/', expected: { status: 404, type: json, body: /no such path/ } },
  { name: 'a name every object has', path: '/toString', expected: { status: 404, type: json, body: /no such path/ } },
  { name: 'constructor', path: '/constructor', expected: { status: 404, type: json, body: /no such path/ } },
  {
    name: 'another method',
    path: '/health',
    method: 'POST',
    expected: { status: 405, type: json, body: /method POST is not served: expected GET/ },
  },
  {
    name: 'a route that throws',
    path: '/broken',
    expected: { status: 500, type: json, body: /^{"error":"internal error/ },
  },
]

describe("the agent's HTTP", () => {
  for (const { name, path, method = 'GET', health = well, expected } of rows) {
    test(name, async () => {
      await using served = await serve(health)
      const response = await fetch(served.url + path, { method })
      assert.equal(response.status, expected.status)
      assert.equal(response.headers.get('content-type'), expected.type)
      assert.match(await response.text(), expected.body)
      assert.deepEqual(served.errors, path === '/broken' ? ['/broken: a secret detail'] : [])
    })
  }

  test('over IPv6', async () => {
    await using served = await serve(well, '::1')
    assert.equal((await fetch(`${served.url}/health`)).status, 200)
  })

  test('not for a page in a browser that has a name of its own lead here', async () => {
    await using served = await serve(well)
    const { port } = new URL(served.url)
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        request({ host: '127.0.0.1', port, path: '/health', headers: { host } }, response => {
          response.resume()
          resolve(response.statusCode)
        })
          .on('error', reject)
          .end()
      })
    assert.deepEqual(await Promise.all(['evil.example', `localhost:${port}`].map(statusFor)), [421, 200])
  })

  test('for whoever asks, however many connections others hold', async () => {
    await using served = await serve(well)
    const port = Number(new URL(served.url).port)
    const held: Socket[] = []
    for (let count = 0; count < 100; count += 1) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      held.push(socket.resume())
      await once(socket, 'connect')
    }
    assert.equal((await fetch(`${served.url}/health`)).status, 200)
    // The oldest have made room.
    const ended = held.slice(0, 36)
    await Promise.all(ended.map(socket => socket.closed || new Promise(resolve => socket.once('close', resolve))))
    for (const socket of held) socket.destroy()
  })

  for (const address of ['0.0.0.0', '::', '192.0.2.1', 'localhost', '']) {
    test(`not on "${address}"`, async () => {
      const serving = serveLoopback(() => {}, address, 0)
      await assert.rejects(serving, /expected a loopback address such as 127\.0\.0\.1 or ::1/)
    })
  }

  test('on a port that is taken is an error', async () => {
    await using served = await serve(well)
    const port = Number(new URL(served.url).port)
    await assert.rejects(
      serveLoopback(() => {}, '127.0.0.1', port),
      new RegExp(`Cannot serve metrics on "127\\.0\\.0\\.1" port ${port}: another process listens there`),
    )
  })

  test('ends while a client keeps its connection open', async () => {
    const served = await serve(well)
    await (await fetch(`${served.url}/health`)).text()
    await served[Symbol.asyncDispose]()
  })
})

describe('lines for as long as somebody reads them', () => {
  async function until(holds: () => boolean): Promise<void> {
    for (let tries = 0; !holds(); tries += 1) {
      assert.ok(tries < 500, 'it does not come to be so')
      await sleep(10)
    }
  }

  test('come as they are written, and end with the reader', async () => {
    await using served = await serve(well)
    const leave = new AbortController()
    const response = await fetch(`${served.url}/lines`, { signal: leave.signal })
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson; charset=utf-8')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (const write of served.writers) write('[1]')
    assert.equal((await reader.read()).value, '[1]\n')
    leave.abort()
    await until(() => served.writers.size === 0)
  })

  test('have eight readers at once, and others afterwards', async () => {
    await using served = await serve(well)
    const leave = new AbortController()
    const read = () => fetch(`${served.url}/lines`, { signal: leave.signal })
    await Promise.all(Array.from({ length: 8 }, read))
    assert.equal((await read()).status, 503)
    assert.equal((await fetch(`${served.url}/health`)).status, 200)
    leave.abort()
    await until(() => served.writers.size === 0)
    const again = new AbortController()
    assert.equal((await fetch(`${served.url}/lines`, { signal: again.signal })).status, 200)
    again.abort()
  })

  test('are lost to a reader that does not read, and nothing piles up', async () => {
    await using served = await serve(well)
    const leave = new AbortController()
    await fetch(`${served.url}/lines`, { signal: leave.signal })
    const before = process.memoryUsage().rss
    const line = 'x'.repeat(100_000)
    for (let lines = 0; lines < 2_000; lines += 1) {
      for (const write of served.writers) write(line)
      if (lines % 100 === 0) await sleep(1)
    }
    assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024)
    leave.abort()
  })
})
