/** The live feed over a connection: events as they come, readers that are slow, and how it ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { LiveFeed } from '../../../daemon/ddos/live-feed.ts'
import type { ToAgent } from '../../../wire/messages.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { makeSample, second } from '../../support/ddos.ts'
import { makeAgent } from '../../support/documents.ts'

let api: TestApi
let feed: LiveFeed
const told: ToAgent[] = []

before(async () => {
  api = await startApi({
    ddos(world) {
      feed = new LiveFeed({ world, say: (_, message) => void told.push(message) })
      return { standingOf: () => undefined, watch: (ids, reader) => feed.watch(ids, reader) }
    },
  })
  await api.store.commit({ writes: [{ key: 'agent/agent-1', value: makeAgent({ id: 'agent-1' }) }] })
  for (const [instanceId, owner] of [
    ['i-1', accountId],
    ['i-2', accountId],
    ['i-b', otherAccountId],
  ]) {
    await api.request('POST', '/v1/instances', { accountId: owner, instanceId, agentId: 'agent-1' })
  }
  await api.app.listen({ host: '127.0.0.1', port: 0 })
})
after(() => api[Symbol.asyncDispose]())

/** A client that takes everything that comes, unless it is told to wait. */
class Reader {
  readonly #response: IncomingMessage
  readonly #sent: ClientRequest
  text = ''
  isOver = false
  #wake: (() => void)[] = []

  static async open(query: string, token = api.token): Promise<Reader> {
    const { port } = api.app.server.address() as AddressInfo
    const headers = { authorization: `Bearer ${token}` }
    const sent = request({ host: '127.0.0.1', port, path: `/v1/ddos/samples?${query}`, headers, agent: false })
    sent.end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return new Reader(sent, response)
  }

  private constructor(sent: ClientRequest, response: IncomingMessage) {
    this.#sent = sent
    this.#response = response
    sent.on('error', () => {})
    response.setEncoding('utf8')
    response.on('error', () => {})
    response.on('data', text => {
      this.text += text
      this.#notify()
    })
    response.on('close', () => {
      this.isOver = true
      this.#notify()
    })
  }

  get status(): number {
    return this.#response.statusCode ?? 0
  }

  get contentType(): string {
    return this.#response.headers['content-type'] ?? ''
  }

  get events(): readonly (readonly [name: string, data: Record<string, unknown>])[] {
    const blocks = this.text.split('\n\n').slice(0, -1)
    return blocks.flatMap(block => {
      const [, name = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
      return name === '' ? [] : [[name, JSON.parse(data)] as const]
    })
  }

  async until(condition: (reader: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>(resolve => this.#wake.push(resolve))
  }

  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  close(): void {
    this.#sent.destroy()
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }
}

const send = (at: number, ...instanceIds: readonly string[]) =>
  feed.take(
    'agent-1',
    instanceIds.map(instanceId => makeSample({ instanceId, time: second(at) })),
  )

async function turnsUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(1)
}

const seen = ({ events }: Reader) => events.map(([name, { instanceId, time }]) => [name, instanceId, time])

describe('the live feed', () => {
  test('gives each reader the samples of its instances, and none of others', async () => {
    const [both, one] = await Promise.all([Reader.open('instanceId=i-1&instanceId=i-2'), Reader.open('instanceId=i-2')])
    assert.deepEqual([both.status, both.contentType], [200, 'text/event-stream; charset=utf-8'])
    await turnsUntil(() => feed.count === 2)
    send(1, 'i-1', 'i-2', 'i-b')
    send(2, 'i-2')
    await both.until(({ events }) => events.length === 3)
    await one.until(({ events }) => events.length === 2)
    assert.deepEqual(seen(both), [
      ['sample', 'i-1', second(1)],
      ['sample', 'i-2', second(1)],
      ['sample', 'i-2', second(2)],
    ])
    assert.deepEqual(both.events[0]?.[1], makeSample({ instanceId: 'i-1', time: second(1) }))
    assert.deepEqual(seen(one), [
      ['sample', 'i-2', second(1)],
      ['sample', 'i-2', second(2)],
    ])
    both.close()
    one.close()
    await turnsUntil(() => feed.count === 0)
    assert.deepEqual(told.at(-1), { type: 'ddos-watch', instanceIds: [] })
  })

  test('lets a reader go that does not read, and serves the other on', async () => {
    const [slow, quick] = await Promise.all([Reader.open('instanceId=i-1'), Reader.open('instanceId=i-1')])
    await turnsUntil(() => feed.count === 2)
    slow.pause()
    // More than the kernel's buffers and the daemon's own take: 22 MB.
    for (let rounds = 0; rounds < 100; rounds += 1) {
      quick.text = ''
      for (let at = 0; at < 500; at += 1) send(at, 'i-1')
      // What is left of the round before is less than a sample.
      await quick.until(({ text }) => text.includes(second(499)))
    }
    await turnsUntil(() => feed.count === 1)
    slow.resume()
    await slow.until(({ isOver }) => isOver)
    quick.text = ''
    send(7, 'i-1')
    await quick.until(({ events }) => events.length === 1)
    quick.close()
    await turnsUntil(() => feed.count === 0)
  })

  test('says why it ends', async () => {
    const reader = await Reader.open('instanceId=i-1')
    await turnsUntil(() => feed.count === 1)
    feed.close()
    await reader.until(({ isOver }) => isOver)
    assert.deepEqual(reader.events, [['end', { reason: 'stopping' }]])
    await turnsUntil(() => feed.count === 0)
  })

  test('shows nothing of an instance that has become somebody else’s', async () => {
    const token = await api.makeToken([{ accountId, access: 'read' }])
    const reader = await Reader.open('instanceId=i-1&instanceId=i-2', token)
    await turnsUntil(() => feed.count === 1)
    await api.request('DELETE', '/v1/instances/i-2')
    await api.request('POST', '/v1/instances', { accountId: otherAccountId, instanceId: 'i-2', agentId: 'agent-1' })
    send(1, 'i-2')
    send(2, 'i-1')
    await reader.until(({ events }) => events.length > 0)
    assert.deepEqual(seen(reader), [['sample', 'i-1', second(2)]])
    reader.close()
    await turnsUntil(() => feed.count === 0)
  })

  for (const [name, query, expected] of [
    ['no instance', '', '400 MissingParameter ?instanceId'],
    ['an instance that is not there', 'instanceId=i-1&instanceId=i-none', '400 InvalidInstanceId.NotFound ?instanceId'],
    ['too many', Array(101).fill('instanceId=i-1').join('&'), '400 InvalidParameter ?instanceId'],
    ['another parameter', 'instanceId=i-1&seconds=9', '400 InvalidParameter ?seconds'],
  ] as const) {
    test(`is refused for ${name}`, async () => {
      const { status, body } = await api.request('GET', `/v1/ddos/samples?${query}`)
      assert.equal(`${status} ${body.code} ${body.errors[0].field}`, expected)
    })
  }

  test('is refused to more readers than there is room for', async () => {
    const token = await api.makeToken([{ accountId, access: 'read' }])
    const readers = await Promise.all(Array.from({ length: 50 }, () => Reader.open('instanceId=i-1', token)))
    const more = await Reader.open('instanceId=i-1', token)
    assert.equal(more.status, 429)
    for (const reader of [...readers, more]) reader.close()
    await turnsUntil(() => feed.count === 0)
  })

  test('ends with a word when the daemon stops', async () => {
    const reader = await Reader.open('instanceId=i-1')
    await turnsUntil(() => feed.count === 1)
    const closed = api.app.close()
    await reader.until(({ isOver }) => isOver)
    assert.deepEqual(reader.events, [['end', { reason: 'stopping' }]])
    await closed
  })
})
