/** What stands on the wire rather than in a request: broken HTTP, bodies that are shorter or longer than they say, pieces. */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { startApi, type TestApi } from '../support/api.ts'
import { faultsOf } from '../support/fuzz/oracle.ts'
import { sendRaw } from '../support/fuzz/raw-http.ts'
import { makeRandom } from '../support/random.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_260_729)
const mutants = Number(process.env.RINGWALL_FUZZ_MUTANTS ?? 400)

describe('HTTP that is not as it should be', () => {
  let api: TestApi
  let port = 0
  before(async () => {
    api = await startApi()
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    port = (api.app.server.address() as AddressInfo).port
  })
  after(() => api[Symbol.asyncDispose]())

  const body = JSON.stringify({ accountId: '1000000000000000', securityGroupName: 'web' })
  /** A request that makes a group, with whatever is to be wrong about it. */
  function post(changes: Readonly<Record<string, string | null>> = {}, text = body): string {
    const headers: Record<string, string | null> = {
      Host: '127.0.0.1',
      Authorization: `Bearer ${api.token}`,
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
      ...changes,
    }
    const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]))
    return `POST /v1/security-groups HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${text}`
  }
  const chunked = { 'Content-Length': null, 'Transfer-Encoding': 'chunked' }

  /** Statuses of the answers, each of which must be as the API promises. */
  async function statusesOf(bytes: string | Buffer, options?: Parameters<typeof sendRaw>[2]): Promise<number[]> {
    const { revision } = api.world
    const { answers, rest } = await sendRaw(port, bytes, options)
    for (const answer of answers) assert.deepEqual(faultsOf({ method: '', url: '' }, answer), [], answer.text)
    assert.equal(rest, '')
    if (answers.every(({ status }) => status >= 400)) assert.equal(api.world.revision, revision, 'something was stored')
    return answers.map(({ status }) => status)
  }

  const rows: readonly (readonly [name: string, bytes: () => string | Buffer, expected: readonly number[]])[] = [
    ['a good request', () => post(), [201]],
    ['two good ones at once', () => post() + post(), [201, 201]],
    ['a body in chunks', () => post(chunked, `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`), [201]],
    ['no request at all', () => 'x', [400]],
    ['another protocol', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
    ['a first line without a path', () => 'GET HTTP/1.1\r\n\r\n', [400]],
    ['an unknown method', () => post().replace('POST', 'FETCH'), [400]],
    ['a method in small letters', () => post().replace('POST', 'post'), [400]],
    ['a Host twice', () => post().replace('\r\n', '\r\nHost: other\r\n'), [201]],
    ['a bad byte in the path', () => post().replace('/v1/security', '/v1/\x01security'), [400]],
    ['a header line without a colon', () => post().replace('\r\n', '\r\nnonsense\r\n'), [400]],
    ['a NUL in a header', () => post({ 'X-Odd': 'a\0b' }), [400]],
    ['a folded header', () => post({ 'X-Odd': 'a\r\n b' }), [400]],
    ['lines that end with LF alone', () => post().replaceAll('\r\n', '\n'), [400]],
    ['200 KB of headers', () => post({ 'X-Odd': 'x'.repeat(200_000) }), [431]],
    ['3000 headers', () => post(Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`X-${n}`, '1']))), [431]],
    ['a path of 200 KB', () => post().replace('/v1/', `/${'x'.repeat(200_000)}/`), [431]],
    ['a length that is no number', () => post({ 'Content-Length': 'x' }), [400]],
    ['a length below zero', () => post({ 'Content-Length': '-1' }), [400]],
    ['a length with a sign', () => post({ 'Content-Length': `+${body.length}` }), [400]],
    ['two lengths', () => post().replace('\r\n', '\r\nContent-Length: 5\r\n'), [400]],
    ['a length and chunks', () => post({ 'Transfer-Encoding': 'chunked' }), [400]],
    ['a length of 1 GB', () => post({ 'Content-Length': '1000000000' }), [413]],
    ['a length beyond all numbers', () => post({ 'Content-Length': '9'.repeat(30) }), [400]],
    ['a body longer than it says', () => post({ 'Content-Length': '10' }), [400]],
    ['chunks of another transfer encoding', () => post({ ...chunked, 'Transfer-Encoding': 'gzip, chunked' }), [400]],
    ['a chunk without a size', () => post(chunked, 'x\r\n'), [400]],
    ['a chunk as large as all numbers', () => post(chunked, `${'f'.repeat(20)}\r\n${body}`), [400]],
    ['a good one and nonsense', () => `${post()}nonsense\r\n\r\n`, [201, 400]],
    ['a good one and half of another', () => post() + post().slice(0, -5), [201, 400]],
    ['a request after one that ends the connection', () => post({ Connection: 'close' }) + post(), [201]],
    ['a good one after a refused one', () => post({ Authorization: null }) + post(), [401, 201]],
    ['an upgrade to what is not there', () => post({ Connection: 'Upgrade', Upgrade: 'websocket' }), [201]],
  ]
  for (const [name, bytes, expected] of rows) {
    test(name, async () => assert.deepEqual(await statusesOf(bytes()), expected))
  }

  test('HTTP/1.1 without Host is refused by Node itself, without a document', async () => {
    const { revision } = api.world
    const { rest } = await sendRaw(port, post({ Host: null }))
    assert.match(rest, /^HTTP\/1\.1 400 /)
    assert.equal(api.world.revision, revision)
  })

  test('what cannot be read is an error for clients of the RPC API too, who look for its fields alone', async () => {
    const { answers } = await sendRaw(port, `GET /?Action=${'x'.repeat(200_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const { Code, Message, RequestId } = JSON.parse(answers[0]!.text)
    assert.deepEqual([answers[0]!.status, Code], [431, 'RequestTooLarge'])
    assert.match(`${Message} ${RequestId}`, /128 KiB.* of headers [0-9A-F-]{36}$/)
  })

  test('a body shorter than it says, and no more to come, stores nothing', async () => {
    const { revision } = api.world
    await sendRaw(port, post({ 'Content-Length': '1000' }))
    await sendRaw(port, post(chunked, `${(body.length + 9).toString(16)}\r\n${body}`))
    assert.equal(api.world.revision, revision)
    assert.deepEqual(await statusesOf(post()), [201])
  })

  test('a body of 3 MB is refused before it has been read', async () => {
    const { answers } = await sendRaw(port, post(chunked, `300000\r\n${'x'.repeat(0x300000)}\r\n0\r\n\r\n`))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [413],
    )
  })

  test('a request in pieces of one byte is a request', async () => {
    assert.deepEqual(await statusesOf(post(), { pieces: 1 }), [201])
  })

  test(`${mutants} good requests with some bytes changed are answered, refused or cut off`, async () => {
    const random = makeRandom(seed)
    const good = [post(), post(chunked, `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`), post() + post()]
    const seen = new Set<number>()
    const mutant = () => {
      const bytes = Buffer.from(random.pick(good))
      for (let count = random.integer(1, 4); count > 0; count -= 1) {
        const place = random.integer(0, bytes.length - 1)
        if (random.chance(0.5)) bytes[place] = random.integer(0, 255)
        else bytes.copy(bytes, place, random.integer(0, bytes.length - 1))
      }
      return bytes
    }
    for (let count = 0; count < mutants; count += 20) {
      const batch = Array.from({ length: 20 }, mutant)
      const all = await Promise.all(batch.map(async bytes => ({ bytes, ...(await sendRaw(port, bytes)) })))
      for (const { bytes, answers, rest } of all) {
        const told = `${seed}: ${JSON.stringify(bytes.toString('latin1'))}`
        for (const answer of answers) {
          assert.deepEqual(faultsOf({ method: '', url: '' }, answer), [], told)
          seen.add(answer.status)
        }
        // An answer to HEAD has a length and no body.
        assert.ok(rest === '' || /^HTTP\/1\.1 \d{3} /.test(rest), `${told}: ${rest}`)
      }
    }
    assert.ok(
      [201, 400, 401].every(status => seen.has(status)),
      `${[...seen]}`,
    )
    assert.deepEqual(await statusesOf(post()), [201])
  })
})
