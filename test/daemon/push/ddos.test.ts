/** What agents tell of attacks: who is believed, what is kept, answered and told on, and what nobody can make the daemon hold. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DdosNotification } from '../../../wire/notification.ts'
import { ended, makeChange, makeEvent, makeSample, makeStatus, second } from '../../support/ddos.ts'
import { account, makeEniDoc, makeInstance, put } from '../../support/documents.ts'
import { FakeAgent, type FakeCredentials } from '../../support/fake-agent.ts'
import { holdTime } from '../../support/held-time.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { PushHost, type PushHostOptions } from '../../support/push-host.ts'

interface Scene extends AsyncDisposable {
  readonly host: PushHost
  /** Serves i-1 and i-2. */
  readonly one: FakeCredentials
  /** Serves i-3. */
  readonly other: FakeCredentials
  readonly told: readonly DdosNotification[]
}

const options = { ddosEventIntervalMs: 1 }

async function setScene(parts: PushHostOptions = {}): Promise<Scene> {
  const told: DdosNotification[] = []
  const notify = async (notification: DdosNotification) => void told.push(notification)
  const host = await PushHost.start({ notify, ...parts, options: { ...options, ...parts.options } })
  const [one, other] = [await host.enrol(), await host.enrol()]
  await host.commit(
    put('instance', makeInstance({ id: 'i-1', agentId: one.agentId })),
    put('instance', makeInstance({ id: 'i-2', agentId: one.agentId })),
    put('instance', makeInstance({ id: 'i-3', agentId: other.agentId })),
    put('eni', makeEniDoc({ id: 'eni-1', instanceId: 'i-1', addresses: ['198.18.0.1', '2001:db8::1'] })),
  )
  return { host, one, other, told, [Symbol.asyncDispose]: () => host.push.close() }
}

async function connect({ host }: Scene, credentials: FakeCredentials): Promise<FakeAgent> {
  const agent = await FakeAgent.connect(host.port, credentials)
  await agent.next('snapshot')
  return agent
}

/** Resolves when the daemon has taken in what the agent said before: it answers a later event that it knows to refuse. */
async function heard(agent: FakeAgent, serial: string): Promise<void> {
  const id = `ddos-heard-${serial}`
  agent.say({ type: 'ddos-event', event: makeEvent({ id, instanceId: 'i-nobody' }) })
  await agent.until(() => agent.said.some(message => message.type === 'ddos-event-kept' && message.eventId === id))
}

/** Whatever the daemon was about to do without waiting for anybody it has done. */
async function turns(): Promise<void> {
  for (let count = 0; count < 100; count += 1) await new Promise(setImmediate)
}

const kept = (agent: FakeAgent) => agent.next('ddos-event-kept')
const event = makeEvent({ id: 'ddos-1' })

describe('the status of an instance', () => {
  test('is that of the agent that serves it, and needs no commit', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await connect(scene, one)
    const revision = host.world.revision
    const instances = ['i-1', 'i-3', 'i-nobody'].map(instanceId => makeStatus({ instanceId, phase: 'cleaning' }))
    agent.say({ type: 'ddos-status', instances })
    await heard(agent, '1')
    const { ddos } = host.push
    assert.deepEqual(ddos.standingOf('i-1'), { agentId: one.agentId, status: instances[0] })
    assert.deepEqual(
      ['i-2', 'i-3', 'i-nobody'].map(id => ddos.standingOf(id)),
      [undefined, undefined, undefined],
    )
    assert.equal(host.world.revision, revision)
    assert.equal(await host.metric('ringwall_daemon_ddos_instances{phase="cleaning"}'), 1)
    agent.say({ type: 'ddos-status', instances: [makeStatus({ instanceId: 'i-2' })] })
    await heard(agent, '2')
    assert.equal(ddos.standingOf('i-1')?.status.phase, 'cleaning')
    assert.equal(ddos.standingOf('i-2')?.status.phase, 'normal')
  })

  test('stays while the agent is away, and is gone with the agent or the instance', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const agent = await connect(scene, one)
    agent.say({ type: 'ddos-status', instances: ['i-1', 'i-2'].map(instanceId => makeStatus({ instanceId })) })
    await heard(agent, '1')
    await agent.close()
    const known = () => ['i-1', 'i-2'].map(id => host.push.ddos.standingOf(id) !== undefined)
    assert.deepEqual(known(), [true, true])
    await host.change('instance', 'i-1', { agentId: other.agentId })
    assert.deepEqual(known(), [false, true])
    await host.change('agent', one.agentId, { status: 'revoked', certificates: [] })
    assert.deepEqual(known(), [false, false])
  })
})

describe('an event', () => {
  test('is stored, then answered; each version once, whatever is sent again', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await connect(scene, one)
    agent.say({ type: 'ddos-event', event })
    assert.partialDeepStrictEqual(await kept(agent), { eventId: 'ddos-1', version: 1 })
    const { revision } = host.world
    assert.partialDeepStrictEqual(host.world.get('ddosEvent', 'ddos-1'), {
      event,
      agentId: one.agentId,
      accountId: account,
    })
    agent.say({ type: 'ddos-event', event })
    assert.partialDeepStrictEqual(await kept(agent), { eventId: 'ddos-1', version: 1 })
    assert.equal(host.world.revision, revision)
    agent.say({ type: 'ddos-event', event: ended(event, 7) })
    assert.partialDeepStrictEqual(await kept(agent), { version: 7 })
    agent.say({ type: 'ddos-event', event: { ...event, version: 3 } })
    assert.partialDeepStrictEqual(await kept(agent), { version: 7 })
    assert.equal(host.world.get('ddosEvent', 'ddos-1')?.event.version, 7)
    assert.equal(await host.metric('ringwall_daemon_ddos_events_total{trigger="bps"}'), 1)
    assert.equal(await host.metric('ringwall_daemon_ddos_event_writes_total{outcome="stored"}'), 2)
    assert.equal(await host.metric('ringwall_daemon_ddos_event_writes_total{outcome="old"}'), 2)
  })

  test('is one after a restart of the daemon too, and nobody is told twice', async () => {
    const store = new MemoryStore()
    const told: string[] = []
    const notify = async ({ kind }: DdosNotification) => void told.push(kind)
    const first = await setScene({ store, notify })
    const agent = await connect(first, first.one)
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    await first.host.push.close()
    await using host = await PushHost.start({ store, notify, options })
    const again = await FakeAgent.connect(host.port, first.one)
    again.say({ type: 'ddos-event', event })
    assert.partialDeepStrictEqual(await kept(again), { version: 1 })
    again.say({ type: 'ddos-event', event: ended(event) })
    assert.partialDeepStrictEqual(await kept(again), { version: 2 })
    assert.deepEqual(told, ['ddos.start', 'ddos.end'])
    assert.equal(host.world.count('ddosEvent'), 1)
  })

  test('is answered and not kept where it is not the agent’s to tell', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const [mine, theirs] = [await connect(scene, one), await connect(scene, other)]
    mine.say({ type: 'ddos-event', event })
    await kept(mine)
    const rows = [
      makeEvent({ id: 'ddos-2', instanceId: 'i-1' }),
      makeEvent({ id: 'ddos-3', instanceId: 'i-nobody' }),
      // Of another agent, and of another instance than it is known of.
      makeEvent({ id: 'ddos-1', version: 9 }),
      makeEvent({ id: 'ddos-1', version: 9, instanceId: 'i-3' }),
    ]
    for (const row of rows) {
      theirs.say({ type: 'ddos-event', event: row })
      assert.partialDeepStrictEqual(await kept(theirs), { eventId: row.id, version: row.version })
    }
    assert.deepEqual(
      [...host.world.all('ddosEvent')].map(doc => doc.event),
      [event],
    )
    const reasons = host.logged.filter(({ msg }) => msg === 'event of an agent is not kept').map(({ reason }) => reason)
    assert.deepEqual(reasons, [
      'instance "i-1" is not one that the agent serves',
      'instance "i-nobody" is not one that the agent serves',
      `the event is agent "${one.agentId}"'s`,
      'the event is known as one of instance "i-1"',
    ])
    assert.equal(await host.metric('ringwall_daemon_ddos_event_writes_total{outcome="refused"}'), 4)
  })

  test('that has ended does not go on', async () => {
    await using scene = await setScene()
    const agent = await connect(scene, scene.one)
    agent.say({ type: 'ddos-event', event: ended(event) })
    await kept(agent)
    agent.say({ type: 'ddos-event', event: { ...event, version: 9 } })
    assert.partialDeepStrictEqual(await kept(agent), { version: 9 })
    assert.equal(scene.host.world.get('ddosEvent', 'ddos-1')?.event.phase, 'ended')
  })

  test('of an instance that the agent served once is kept, after a restart of the daemon too', async () => {
    const store = new MemoryStore()
    const scene = await setScene({ store })
    const { host, one, other } = scene
    const agent = await connect(scene, one)
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    await host.change('instance', 'i-1', { agentId: other.agentId })
    await host.commit({ key: 'instance/i-2', value: null })
    agent.say({ type: 'ddos-event', event: ended(event) })
    await kept(agent)
    agent.say({ type: 'ddos-event', event: ended(makeEvent({ id: 'ddos-2' })) })
    await kept(agent)
    await host.push.close()
    await using later = await PushHost.start({ store, options })
    const again = await FakeAgent.connect(later.port, one)
    again.say({ type: 'ddos-event', event: ended(makeEvent({ id: 'ddos-3', instanceId: 'i-2' })) })
    await kept(again)
    const shown = [...later.world.all('ddosEvent')].map(doc => [doc.event.id, doc.event.phase, doc.accountId])
    assert.deepEqual(shown, [
      ['ddos-1', 'ended', account],
      ['ddos-2', 'ended', account],
      ['ddos-3', 'ended', account],
    ])
  })

  test('goes on with the agent that the host is after it has enrolled anew', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const agent = await connect(scene, one)
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    await host.change('instance', 'i-1', { agentId: other.agentId })
    const successor = await connect(scene, other)
    successor.say({ type: 'ddos-event', event: ended(event) })
    await kept(successor)
    assert.partialDeepStrictEqual(host.world.get('ddosEvent', 'ddos-1'), {
      agentId: other.agentId,
      event: { phase: 'ended' },
    })
  })

  test('is told of once for each change, with the addresses of the instance, before it is stored', async () => {
    const store = new MemoryStore()
    const stored: boolean[] = []
    const told: DdosNotification[] = []
    await using scene = await setScene({
      store,
      async notify(notification) {
        told.push(notification)
        stored.push((await store.get('ddosEvent/ddos-1')) !== null)
      },
    })
    const agent = await connect(scene, scene.one)
    const blackHole = { endTime: second(1800), holdSeconds: 1800, isManual: false }
    const status = makeStatus({ instanceId: 'i-1', phase: 'black-hole', eventId: 'ddos-1', blackHole })
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    agent.say({ type: 'ddos-status', instances: [status] })
    const changes = [...event.changes, makeChange('types', 2), makeChange('black-hole', 3)]
    agent.say({ type: 'ddos-event', event: { ...event, version: 2, changes } })
    await kept(agent)
    agent.say({ type: 'ddos-event', event: { ...event, version: 3, changes: [...changes, makeChange('lift', 4)] } })
    await kept(agent)
    assert.deepEqual(
      told.map(({ kind, time }) => [kind, time]),
      [
        ['ddos.start', second(0)],
        ['ddos.types', second(2)],
        ['ddos.black-hole', second(3)],
        ['ddos.lift', second(4)],
      ],
    )
    assert.deepEqual(stored, [false, true, true, true])
    assert.deepEqual(told[2]?.addresses, ['198.18.0.1', '2001:db8::1'])
    assert.deepEqual(told[2]?.details.blackHole, blackHole)
  })

  test('of an agent that was revoked meanwhile is not kept', async context => {
    const time = holdTime(context, ['setTimeout'])
    await using scene = await setScene({ options: { ddosEventIntervalMs: 1000 } })
    const { host, one } = scene
    const agent = await connect(scene, one)
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    agent.say({ type: 'ddos-event', event: { ...event, version: 2 } })
    await heard(agent, '1')
    await host.change('agent', one.agentId, { status: 'revoked', certificates: [] })
    time.pass(1000)
    await turns()
    assert.equal(host.world.get('ddosEvent', 'ddos-1')?.event.version, 1)
  })

  test('waits for a disk that refuses, is told of once, and answered when it is stored', async () => {
    const store = new MemoryStore()
    let refusals = 2
    const commit = store.commit.bind(store)
    await using scene = await setScene({ store, options: { ddosRetryMs: 1 } })
    store.commit = request => {
      const isEvent = request.writes.some(({ key }) => key.startsWith('ddosEvent/'))
      if (isEvent && refusals-- > 0) return Promise.reject(new Error('disk full'))
      return commit(request)
    }
    const agent = await connect(scene, scene.one)
    agent.say({ type: 'ddos-event', event })
    await kept(agent)
    assert.equal(scene.told.length, 1)
    assert.equal(await scene.host.metric('ringwall_daemon_ddos_event_writes_total{outcome="failed"}'), 2)
    assert.notEqual(await store.get('ddosEvent/ddos-1'), null)
  })
})

describe('a flood of events', () => {
  test('leaves as many of an instance as the settings say: those under way and the latest', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    await host.commit({ key: 'settings/fleet', value: { ...host.world.settings, ddosEvents: { keptPerInstance: 3 } } })
    const agent = await connect(scene, one)
    const underWay = makeEvent({ id: 'ddos-0' })
    agent.say({ type: 'ddos-event', event: underWay })
    await kept(agent)
    for (let serial = 1; serial <= 60; serial += 1) {
      const past = makeEvent({ id: `ddos-${serial}`, startTime: second(serial) })
      agent.say({ type: 'ddos-event', event: ended(past) })
    }
    for (let answers = 0; answers < 60; answers += 1) await kept(agent)
    assert.deepEqual([...host.world.eventsOfInstance('i-1')].sort(), ['ddos-0', 'ddos-59', 'ddos-60'])
  })

  test('ends the connection where more are on their way than are ever kept', async () => {
    await using scene = await setScene({ options: { ddosEventIntervalMs: 3_600_000 } })
    const agent = await connect(scene, scene.one)
    for (let serial = 0; serial < 300; serial += 1) {
      agent.say({ type: 'ddos-event', event: makeEvent({ id: `ddos-${serial}` }) })
    }
    await agent.until(({ closed }) => closed)
    assert.partialDeepStrictEqual(agent.goodbye, { code: 'bad-message' })
    assert.match(agent.goodbye?.message ?? '', /ddos-event: expected at most 256 not answered/)
  })

  test('that are large is stored as far as its bytes go, and those of others are', async () => {
    await using scene = await setScene({ options: { ddosEventIntervalMs: 1 } })
    const { host } = scene
    const [agent, other] = [await connect(scene, scene.one), await connect(scene, scene.other)]
    const changes = Array.from({ length: 100 }, (_, at) => ({ ...makeChange('types', at), message: 'x'.repeat(500) }))
    const large = (version: number) => makeEvent({ id: 'ddos-large', version, changes })
    let version = 0
    // 20 of them are a MiB.
    for (; version < 40; version += 1) {
      agent.say({ type: 'ddos-event', event: large(version) })
      other.say({ type: 'ddos-event', event: makeEvent({ id: 'ddos-small', instanceId: 'i-3', version }) })
      await kept(other)
    }
    assert.ok(JSON.stringify(host.world.get('ddosEvent', 'ddos-large')).length > 50_000)
    assert.equal(host.world.get('ddosEvent', 'ddos-small')?.event.version, version - 1)
    assert.ok((host.world.get('ddosEvent', 'ddos-large')?.event.version ?? 0) < 30)
  })

  test('of versions makes no flood of commits: the last one counts', async context => {
    const time = holdTime(context, ['setTimeout'])
    await using scene = await setScene({ options: { ddosEventIntervalMs: 1000 } })
    const { host, one } = scene
    const agent = await connect(scene, one)
    const { revision } = host.world
    for (let version = 1; version <= 200; version += 1) agent.say({ type: 'ddos-event', event: { ...event, version } })
    await heard(agent, '1')
    assert.equal(host.world.get('ddosEvent', 'ddos-1')?.event.version, 1)
    time.pass(1000)
    await agent.until(() => agent.said.some(message => message.type === 'ddos-event-kept' && message.version === 200))
    assert.equal(host.world.get('ddosEvent', 'ddos-1')?.event.version, 200)
    assert.equal(host.world.revision, revision + 2)
  })

  test('is too many messages', async () => {
    await using scene = await setScene()
    const agent = await connect(scene, scene.one)
    for (let count = 0; count < 1000; count += 1) agent.say({ type: 'ddos-status', instances: [] })
    await agent.until(({ closed }) => closed)
    assert.match(agent.goodbye?.message ?? '', /expected at most 20 of scrubbing a second/)
  })

  test('that nobody keeps is logged so many times and no more', async () => {
    await using scene = await setScene()
    const agent = await connect(scene, scene.one)
    for (let serial = 0; serial < 100; serial += 1) await heard(agent, `${serial}`)
    const logged = scene.host.logged.filter(({ msg }) => msg === 'event of an agent is not kept')
    assert.ok(logged.length >= 20 && logged.length < 30, `${logged.length} lines`)
  })

  test('is told of so many times and no more', async () => {
    await using scene = await setScene()
    const agent = await connect(scene, scene.one)
    for (let serial = 0; serial < 4; serial += 1) {
      const changes = Array.from({ length: 100 }, (_, at) => makeChange('types', serial * 100 + at))
      agent.say({ type: 'ddos-event', event: makeEvent({ id: `ddos-${serial}`, changes }) })
      await kept(agent)
    }
    assert.ok(scene.told.length >= 200 && scene.told.length < 260, `${scene.told.length} notifications`)
    const logged = scene.host.logged.filter(({ msg }) => msg === 'too many changes: not told')
    assert.ok(logged.length >= 20 && logged.length < 30, `${logged.length} lines`)
  })
})

describe('the live feed', () => {
  const reader = (principalId = 'token-1') => {
    const texts: string[] = []
    const ends: string[] = []
    return {
      principalId,
      texts,
      ends,
      sample: (instanceId: string, text: string) => void texts.push(`${instanceId} ${JSON.parse(text).time}`),
      end: (reason: string) => void ends.push(reason),
    }
  }
  const samples = (at: number) => ({
    type: 'ddos-samples' as const,
    samples: ['i-1', 'i-2', 'i-3'].map(instanceId => makeSample({ instanceId, time: second(at) })),
  })

  test('asks agents for what is watched, and passes it on to each reader', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const agent = await connect(scene, one)
    const silent = await connect(scene, other)
    const [both, first] = [reader(), reader()]
    const stopBoth = host.push.ddos.watch(['i-1', 'i-2'], both)
    assert.deepEqual((await agent.next('ddos-watch')).instanceIds, ['i-1', 'i-2'])
    const stopFirst = host.push.ddos.watch(['i-1'], first)
    agent.say(samples(1))
    await heard(agent, '1')
    assert.deepEqual(both.texts, [`i-1 ${second(1)}`, `i-2 ${second(1)}`])
    assert.deepEqual(first.texts, [`i-1 ${second(1)}`])
    assert.equal(await host.metric('ringwall_daemon_ddos_readers'), 2)
    stopBoth()
    assert.deepEqual((await agent.next('ddos-watch')).instanceIds, ['i-1'])
    stopFirst()
    stopFirst()
    assert.deepEqual((await agent.next('ddos-watch')).instanceIds, [])
    agent.say(samples(2))
    await heard(agent, '2')
    assert.equal(both.texts.length + first.texts.length, 3)
    assert.deepEqual(
      silent.said.filter(({ type }) => type === 'ddos-watch'),
      [],
    )
  })

  test('takes samples from the agent that serves the instance alone', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const stranger = await connect(scene, other)
    const watching = reader()
    host.push.ddos.watch(['i-1', 'i-3'], watching)
    assert.deepEqual((await stranger.next('ddos-watch')).instanceIds, ['i-3'])
    stranger.say(samples(1))
    await heard(stranger, '1')
    assert.deepEqual(watching.texts, [`i-3 ${second(1)}`])
    await host.change('instance', 'i-1', { agentId: other.agentId })
    assert.deepEqual((await stranger.next('ddos-watch')).instanceIds, ['i-1', 'i-3'])
    const agent = await connect(scene, one)
    agent.say(samples(2))
    await heard(agent, '2')
    assert.equal(watching.texts.length, 1)
  })

  test('is told to an agent that comes back', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const first = await connect(scene, one)
    host.push.ddos.watch(['i-2'], reader())
    assert.deepEqual((await first.next('ddos-watch')).instanceIds, ['i-2'])
    first.break()
    const second = await FakeAgent.connect(host.port, one)
    assert.deepEqual((await second.next('ddos-watch')).instanceIds, ['i-2'])
  })

  test('has room for so many readers, and lets them go when the daemon stops', async () => {
    await using scene = await setScene()
    const { ddos } = scene.host.push
    const readers = Array.from({ length: 50 }, () => reader())
    const stops = readers.map(each => ddos.watch(['i-1'], each))
    assert.throws(() => ddos.watch(['i-1'], reader()), { status: 429 })
    ddos.watch(['i-1'], reader('token-2'))
    stops[0]?.()
    ddos.watch(['i-1'], reader())
    await scene.host.push.close()
    assert.deepEqual(
      readers.map(({ ends }) => ends),
      [[], ...Array(49).fill(['stopping'])],
    )
  })
})
