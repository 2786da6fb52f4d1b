import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRequestHandler, type Health, healthRoute, metricsRoute, serveLoopback } from '../../agent/http.ts'
import { createMetrics } from '../../agent/metrics.ts'

interface Served extends AsyncDisposable {
  readonly url: string
  readonly errors: string[]
}

async function serve(health: Health, address = '127.0.0.1'): Promise<Served> {
  const errors: string[] = []
  const routes = {
    '/health': healthRoute(() => health),
    '/metrics': metricsRoute(createMetrics().registry),
    '/broken': () => {
      throw new Error('a secret detail')
    },
  }
  const handler = createRequestHandler(routes, (path, error) => errors.push(`${path}: ${(error as Error).message}`))
  const server = await serveLoopback(handler, address, 0)
  const host = address.includes(':') ? `[${address}]` : address
  return { url: `http://${host}:${server.port}`, errors, [Symbol.asyncDispose]: () => server.close() }
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
