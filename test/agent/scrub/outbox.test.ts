import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DaemonFeed } from '../../../agent/scrub/daemon-feed.ts'
import { Outbox, type OutboxOptions } from '../../../agent/scrub/outbox.ts'
import type { DdosEvent, DdosStatus } from '../../../wire/ddos.ts'
import type { ToDaemon } from '../../../wire/messages.ts'
import { HandClock } from '../../support/hand-clock.ts'

const rate = (packetsPerSecond: number) => ({ packetsPerSecond, bitsPerSecond: packetsPerSecond * 8_000 })
const amount = { packets: 10, bytes: 1_000 }

function eventOf(facts: Partial<DdosEvent> = {}): DdosEvent {
  const id = facts.id ?? 'ddos-1'
  return {
    id,
    version: 1,
    instanceId: 'i-1',
    phase: 'cleaning',
    trigger: 'pps',
    startTime: '2026-01-01T00:00:00.000Z',
    endTime: null,
    endReason: null,
    thresholds: { bpsMbit: 10, pps: 1_000 },
    peak: { ...rate(2_000), time: '2026-01-01T00:00:01.000Z' },
    offered: amount,
    passed: amount,
    dropped: { udp: amount },
    attackTypes: [],
    topSources: [],
    blackHoles: 0,
    changes: [],
    ...facts,
  }
}

function statusOf(packets: number, facts: Partial<DdosStatus> = {}): DdosStatus {
  const instanceId = facts.instanceId ?? 'i-1'
  return {
    instanceId,
    phase: 'normal',
    since: '2026-01-01T00:00:00.000Z',
    eventId: null,
    attackTypes: [],
    sample: {
      instanceId,
      time: '2026-01-01T00:00:01.000Z',
      intervalSeconds: 1,
      offered: rate(packets),
      passed: rate(packets),
      all: rate(packets),
      byType: {},
      dropped: {},
    },
    topSources: [],
    proposal: null,
    blackHole: null,
    orderId: null,
    ...facts,
  }
}

interface Rig {
  readonly clock: HandClock
  readonly outbox: Outbox
  readonly feed: DaemonFeed
  readonly sent: ToDaemon[]
  readonly warnings: string[]
  /** What was sent since the last time. */
  taken(): readonly ToDaemon[]
}

async function makeRig(folder: string | null = null): Promise<Rig> {
  const clock = new HandClock(1_000)
  const now = () => clock.now()
  const warnings: string[] = []
  const note = (_: unknown, message: string) => void warnings.push(message)
  const log = { warn: note, error: note } as unknown as OutboxOptions['log']
  const outbox = await Outbox.open({ folder, log, now })
  const sent: ToDaemon[] = []
  const feed = new DaemonFeed({ send: message => sent.push(message), outbox, clock, now })
  return { clock, outbox, feed, sent, warnings, taken: () => sent.splice(0) }
}

const typesOf = (messages: readonly ToDaemon[]) => messages.map(({ type }) => type)
const versionsOf = (messages: readonly ToDaemon[]) =>
  messages.flatMap(message => (message.type === 'ddos-event' ? [`${message.event.id} ${message.event.version}`] : []))

describe('what the daemon is told of events', () => {
  test('is each that it has not kept, once it is connected, oldest first', async () => {
    const { outbox, feed, taken } = await makeRig()
    outbox.note(eventOf({ id: 'ddos-2', startTime: '2026-01-02T00:00:00.000Z' }))
    outbox.note(eventOf({ id: 'ddos-1', phase: 'ended' }))
    assert.deepEqual(taken(), [])
    feed.onOpen()
    assert.deepEqual(versionsOf(taken()), ['ddos-1 1', 'ddos-2 1'])
  })

  test('comes again on the next connection, until it is kept', async () => {
    const { outbox, feed, taken } = await makeRig()
    outbox.note(eventOf({ version: 4 }))
    feed.onOpen()
    assert.deepEqual(versionsOf(taken()), ['ddos-1 4'])
    feed.onEnd()
    feed.onOpen()
    assert.deepEqual(versionsOf(taken()), ['ddos-1 4'])
    feed.onEventKept('ddos-1', 3)
    feed.onEnd()
    feed.onOpen()
    assert.deepEqual(versionsOf(taken()), ['ddos-1 4'])
    feed.onEventKept('ddos-1', 4)
    feed.onEnd()
    feed.onOpen()
    assert.deepEqual(versionsOf(taken()), [])
  })

  test('comes again where no answer comes', async () => {
    const { clock, outbox, feed, taken } = await makeRig()
    feed.onOpen()
    outbox.note(eventOf())
    feed.note([])
    assert.deepEqual(versionsOf(taken()), ['ddos-1 1'])
    clock.advance(55_000)
    assert.deepEqual(versionsOf(taken()), [])
    clock.advance(15_000)
    assert.deepEqual(versionsOf(taken()), ['ddos-1 1'])
  })

  test('is at once what has turned, and now and then what has grown', async () => {
    const { clock, outbox, feed, taken } = await makeRig()
    feed.onOpen()
    for (let version = 1; version <= 12; version += 1) {
      outbox.note(eventOf({ version }))
      feed.note([])
      clock.advance(1_000)
    }
    outbox.note(eventOf({ version: 13, phase: 'ended' }))
    feed.note([])
    assert.deepEqual(versionsOf(taken()), ['ddos-1 1', 'ddos-1 6', 'ddos-1 11', 'ddos-1 13'])
  })

  test('is never more than a daemon takes', async () => {
    const { clock, outbox, feed, taken } = await makeRig()
    for (let index = 0; index < 200; index += 1) outbox.note(eventOf({ id: `ddos-${index}`, phase: 'ended' }))
    feed.onOpen()
    assert.ok(taken().length <= 40)
    for (let second = 0; second < 20; second += 1) {
      clock.advance(1_000)
      assert.ok(taken().length <= 30)
    }
    clock.advance(60_000)
    const all = new Set<string>()
    for (const { event } of [...taken()].flatMap(message => (message.type === 'ddos-event' ? [message] : [])))
      all.add(event.id)
    assert.ok(all.size > 0)
  })
})

describe('events on disk', () => {
  async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-outbox-'))
    try {
      await work(folder)
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  test('are there after a restart, with what the daemon has of them', async () => {
    await inFolder(async folder => {
      const first = await makeRig(folder)
      first.outbox.note(eventOf({ id: 'ddos-1', phase: 'ended' }))
      first.outbox.note(eventOf({ id: 'ddos-2', startTime: '2026-01-02T00:00:00.000Z', version: 5 }))
      first.outbox.kept('ddos-1', 1)
      await first.outbox.settled()
      const second = await makeRig(folder)
      assert.deepEqual(
        second.outbox.recent().map(({ id }) => id),
        ['ddos-2', 'ddos-1'],
      )
      second.feed.onOpen()
      assert.deepEqual(versionsOf(second.taken()), ['ddos-2 5'])
    })
  })

  test('are forgotten beyond 200, and those first that the daemon has', async () => {
    await inFolder(async folder => {
      const { outbox } = await makeRig(folder)
      for (let index = 0; index < 210; index += 1) {
        const startTime = new Date(index * 1000).toISOString()
        outbox.note(eventOf({ id: `ddos-${index}`, phase: index === 0 ? 'cleaning' : 'ended', startTime }))
        if (index >= 100 && index < 105) outbox.kept(`ddos-${index}`, 1)
      }
      await outbox.settled()
      const ids = new Set(outbox.recent().map(({ id }) => id))
      assert.equal(ids.size, 200)
      assert.ok(ids.has('ddos-0'), 'one under way is never forgotten')
      for (const id of ['ddos-100', 'ddos-104', 'ddos-1', 'ddos-5']) assert.ok(!ids.has(id), id)
      assert.equal((await readdir(join(folder, 'ddos-events'))).length, 200)
    })
  })

  test('that are damaged are set aside, and never sent', async () => {
    await inFolder(async folder => {
      const first = await makeRig(folder)
      first.outbox.note(eventOf())
      await first.outbox.settled()
      const path = (name: string) => join(folder, 'ddos-events', name)
      await writeFile(path('ddos-torn.json'), '{"keptVersion":0,"event":{"id":"ddos-torn"')
      const bent = JSON.stringify({ keptVersion: 0, event: { ...eventOf({ id: 'ddos-bent' }), peak: 'high' } })
      await writeFile(path('ddos-bent.json'), bent)
      const second = await makeRig(folder)
      assert.equal(second.warnings.length, 2)
      second.feed.onOpen()
      assert.deepEqual(versionsOf(second.taken()), ['ddos-1 1'])
      assert.deepEqual((await readdir(join(folder, 'ddos-events'))).toSorted(), [
        'ddos-1.json',
        'ddos-bent.json.bad',
        'ddos-torn.json.bad',
      ])
    })
  })

  test('that the disk refuses are shown and sent all the same', async () => {
    await inFolder(async folder => {
      await writeFile(join(folder, 'ddos-events'), '')
      const { outbox, feed, taken } = await makeRig(folder)
      feed.onOpen()
      outbox.note(eventOf())
      feed.note([])
      await outbox.settled()
      assert.deepEqual(versionsOf(taken()), ['ddos-1 1'])
      assert.notEqual(outbox.problem, null)
    })
  })
})

describe('what the daemon is told of how instances stand', () => {
  test('is all of it after hello, and then once a minute while nothing moves', async () => {
    const { clock, feed, taken } = await makeRig()
    feed.onOpen()
    let messages = 0
    for (let second = 0; second < 180; second += 1) {
      feed.note([statusOf(100), statusOf(100 + (second % 2) * 20, { instanceId: 'i-2' })])
      for (const message of taken()) {
        messages += 1
        assert.equal(message.type === 'ddos-status' && message.instances.length, 2)
      }
      clock.advance(1_000)
    }
    assert.equal(messages, 3)
  })

  test('is at once what has turned, of that instance alone', async () => {
    const { clock, feed, taken } = await makeRig()
    feed.onOpen()
    feed.note([statusOf(100), statusOf(100, { instanceId: 'i-2' })])
    taken()
    clock.advance(1_000)
    feed.note([statusOf(100), statusOf(100, { instanceId: 'i-2', phase: 'over' })])
    const [message, ...more] = taken()
    assert.deepEqual(more, [])
    assert.deepEqual(message?.type === 'ddos-status' && message.instances.map(({ instanceId }) => instanceId), ['i-2'])
  })

  test('is every five seconds what has moved', async () => {
    const { clock, feed, taken } = await makeRig()
    feed.onOpen()
    let messages = 0
    for (let second = 0; second < 50; second += 1) {
      feed.note([statusOf(1_000 * 2 ** (second % 8))])
      messages += taken().length
      clock.advance(1_000)
    }
    assert.ok(messages >= 9 && messages <= 11, `${messages} messages in 50 s`)
  })

  test('is samples of those that are watched, each second, until the connection ends', async () => {
    const { clock, feed, taken } = await makeRig()
    const statuses = [statusOf(100), statusOf(100, { instanceId: 'i-2' })]
    feed.onOpen()
    feed.note(statuses)
    taken()
    feed.onWatch(['i-2', 'i-9'])
    for (let second = 0; second < 5; second += 1) {
      clock.advance(1_000)
      feed.note(statuses)
    }
    const messages = taken()
    assert.deepEqual(
      typesOf(messages),
      Array.from({ length: 5 }, () => 'ddos-samples'),
    )
    const [first] = messages
    assert.deepEqual(first?.type === 'ddos-samples' && first.samples.map(({ instanceId }) => instanceId), ['i-2'])
    feed.onEnd()
    feed.onOpen()
    feed.note(statuses)
    assert.deepEqual(typesOf(taken()), ['ddos-status'])
  })

  test('goes in pieces that fit into a message', async () => {
    const { feed, taken } = await makeRig()
    feed.onOpen()
    feed.note(Array.from({ length: 1_000 }, (_, index) => statusOf(100, { instanceId: `i-${index}` })))
    const messages = taken()
    assert.equal(messages.length, 10)
    for (const message of messages) assert.ok(JSON.stringify(message).length < 1024 * 1024)
  })
})
