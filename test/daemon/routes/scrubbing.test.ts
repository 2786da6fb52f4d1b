/** Thresholds, orders, instances under attack and past attacks, over REST. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { keyOf } from '../../../daemon/model/documents.ts'
import type { DdosStanding } from '../../../daemon/services/ddos-board.ts'
import type { DdosEvent } from '../../../wire/ddos.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { ended, makeEvent, makeStatus, second } from '../../support/ddos.ts'
import { makeAgent } from '../../support/documents.ts'

let api: TestApi
let standings: Map<string, DdosStanding>
let awaySinceMs: number | null

beforeEach(async () => {
  standings = new Map()
  awaySinceMs = null
  api = await startApi({
    ddos: () => ({ standingOf: id => standings.get(id), watch: () => () => {} }),
    fleet: {
      statusOf: () => ({
        state: awaySinceMs === null ? 'in-sync' : 'away',
        sinceMs: awaySinceMs ?? 0,
        enforcedRevision: 1,
        relevantRevision: 1,
        lastError: null,
        trial: null,
        enis: [],
      }),
    },
  })
  await api.store.commit({
    writes: ['agent-1', 'agent-2'].map(id => ({ key: keyOf('agent', id), value: makeAgent({ id }) })),
  })
  for (const [instanceId, owner, instanceType, agentId] of [
    ['i-1', accountId, 'ecs.g5.large', 'agent-1'],
    ['i-2', accountId, null, null],
    ['i-b', otherAccountId, 'ecs.t5-c1m1.large', 'agent-2'],
  ]) {
    const made = await api.request('POST', '/v1/instances', { accountId: owner, instanceId, instanceType, agentId })
    assert.equal(made.status, 201)
  }
})
afterEach(() => api[Symbol.asyncDispose]())

const url = (id: string, rest = 'ddos-threshold') => `/v1/instances/${id}/${rest}`
const put = (id: string, body: unknown, query = '') => api.request('PUT', `${url(id)}${query}`, body)
const ask = async (path: string) => (await api.request('GET', path)).body

function propose(instanceId: string, proposal: { bpsMbit: number; pps: number } | null): void {
  standings.set(instanceId, { agentId: 'agent-1', status: makeStatus({ instanceId, proposal }) })
}

describe('thresholds', () => {
  test('are those of the instance type, none without one, and what was set by hand', async () => {
    const { revision, ...ofType } = (await ask(url('i-1'))).ddosThreshold
    const maxima = { maxBps: 1000, maxPps: 300_000, proposedBps: null, proposedPps: null }
    assert.deepEqual(ofType, { instanceId: 'i-1', bps: 1000, pps: 300_000, source: 'type', ...maxima })
    assert.equal(revision, api.world.revisionOf('instance', 'i-1'))
    assert.partialDeepStrictEqual((await ask(url('i-2'))).ddosThreshold, {
      bps: null,
      pps: null,
      source: null,
      maxBps: null,
    })
    const set = await put('i-1', { bps: 100, pps: 70_000 })
    assert.partialDeepStrictEqual(set.body.ddosThreshold, { bps: 100, pps: 70_000, source: 'manual', maxBps: 1000 })
    assert.equal(set.headers.etag, `"${api.world.revision}"`)
    assert.deepEqual((await ask(url('i-1'))).ddosThreshold, set.body.ddosThreshold)
    const unknown = await put('i-2', { bps: 10_000_000, pps: 1_000_000_000, source: 'manual' })
    assert.partialDeepStrictEqual(unknown.body.ddosThreshold, { bps: 10_000_000, source: 'manual' })
    const back = await put('i-1', { source: 'type' })
    assert.partialDeepStrictEqual(back.body.ddosThreshold, { bps: 1000, pps: 300_000, source: 'type' })
    assert.equal(api.world.get('instance', 'i-1')?.ddosThreshold, undefined)
  })

  test('at the maximum are taken, and above it refused with the field and the maximum', async () => {
    assert.equal((await put('i-1', { bps: 1000, pps: 300_000 })).status, 200)
    const { revision } = api.world
    const { status, body } = await put('i-1', { bps: 1001, pps: 300_001 })
    assert.deepEqual([status, body.code, api.world.revision], [400, 'InvalidParameter', revision])
    assert.deepEqual(
      body.errors.map(({ field, message }: { field: string; message: string }) => [field, message]),
      [
        ['bps', 'Cannot set bps "1001": expected at most 1000 Mbit/s, the maximum of instance type ecs.g5.large'],
        [
          'pps',
          'Cannot set pps "300001": expected at most 300000 packets a second, the maximum of instance type ecs.g5.large',
        ],
      ],
    )
  })

  for (const [name, body, expected] of [
    ['bps alone', { bps: 1 }, '400 MissingParameter pps'],
    ['pps alone', { pps: 1, source: 'manual' }, '400 MissingParameter bps'],
    ['nothing', {}, '400 MissingParameter bps pps'],
    ['nothing above nothing', { bps: 0, pps: 0 }, '400 InvalidParameter bps pps'],
    ['fractions', { bps: 1.5, pps: 1 }, '400 InvalidParameter bps'],
    ['text', { bps: '1', pps: 1 }, '400 InvalidParameter bps'],
    ['numbers beside the type', { source: 'type', bps: 1, pps: 1 }, '400 InvalidParameter bps pps'],
    ['numbers beside auto', { source: 'auto', bps: 1 }, '400 InvalidParameter bps'],
    ['another source', { source: 'guess' }, '400 InvalidParameter source'],
    ['auto without a proposal', { source: 'auto' }, '409 Conflict source'],
    ['an unknown field', { source: 'type', isAuto: true }, '400 InvalidParameter isAuto'],
  ] as const) {
    test(`${name} is refused`, async () => {
      const { revision } = api.world
      const { status, body: answer } = await put('i-1', body)
      const fields = answer.errors.map(({ field }: { field: string }) => field).join(' ')
      assert.equal(`${status} ${answer.code} ${fields}`, expected)
      assert.equal(api.world.revision, revision)
    })
  }

  test('of the agent’s proposal are taken over as it is now, in whole numbers and within the maximum', async () => {
    propose('i-1', { bpsMbit: 12.3, pps: 400_000 })
    assert.partialDeepStrictEqual((await ask(url('i-1'))).ddosThreshold, {
      proposedBps: 13,
      proposedPps: 300_000,
      source: 'type',
    })
    const { body } = await put('i-1', { source: 'auto' })
    assert.partialDeepStrictEqual(body.ddosThreshold, { bps: 13, pps: 300_000, source: 'auto' })
    propose('i-1', { bpsMbit: 0, pps: 1 })
    assert.partialDeepStrictEqual((await ask(url('i-1'))).ddosThreshold, { bps: 13, proposedBps: 1, source: 'auto' })
    propose('i-1', null)
    const refused = await put('i-1', { source: 'auto' })
    assert.match(refused.body.detail, /Cannot take over thresholds for instance "i-1": expected a proposal/)
  })

  test('that are set keep the instance from a type that allows less', async () => {
    await put('i-1', { bps: 600, pps: 70_000 })
    const refused = await api.request('PATCH', '/v1/instances/i-1', { instanceType: 'ecs.t5-c1m1.large' })
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.errors[0].field],
      [409, 'Conflict', 'instanceType'],
    )
    assert.match(refused.body.detail, /"ecs.t5-c1m1.large": it allows 500 Mbit\/s .* 600 Mbit\/s and 70000 packets/)
    for (const instanceType of ['ecs.g5.4xlarge', 'my.own', null]) {
      assert.equal((await api.request('PATCH', '/v1/instances/i-1', { instanceType })).status, 200)
    }
    await put('i-1', { bps: 500, pps: 100_000 })
    assert.equal((await api.request('PATCH', '/v1/instances/i-1', { instanceType: 'ecs.t5-c1m1.large' })).status, 200)
  })

  test('are written as everything else is: dry runs, If-Match, Idempotency-Key, audit', async () => {
    const before = api.world.revision
    const dry = await put('i-1', { bps: 1, pps: 1 }, '?dryRun=true')
    assert.deepEqual([dry.status, dry.body.dryRun, dry.body.changes.length, api.world.revision], [200, true, 1, before])
    const stale = await api.request('PUT', url('i-1'), { bps: 1, pps: 1 }, { headers: { 'if-match': '"1"' } })
    assert.equal(stale.status, 412)
    const headers = { 'idempotency-key': 'key', 'if-match': `"${api.world.revisionOf('instance', 'i-1')}"` }
    const first = await api.request('PUT', url('i-1'), { bps: 2, pps: 2 }, { headers })
    const again = await api.request('PUT', url('i-1'), { bps: 2, pps: 2 }, { headers })
    assert.deepEqual([first.status, again.status, again.headers['idempotent-replayed']], [200, 200, 'true'])
    assert.deepEqual(again.body, first.body)
    const same = await put('i-1', { bps: 2, pps: 2 }, '?wait=enforced')
    assert.deepEqual([same.body.revision, same.body.enforcement.state], [first.body.revision, 'enforced'])
    await api.audit.settled()
    const { items } = await ask('/v1/audit?action=yundun-ddos:ModifyDefenseThreshold')
    assert.deepEqual(
      items.map(({ outcome, objects }: { outcome: string; objects: string[] }) => [outcome, ...objects]),
      [
        ['done', 'instance/i-1'],
        ['refused', 'instance/i-1'],
      ],
    )
    assert.deepEqual(items[0].changes[0].after.ddosThreshold, { bps: 2, pps: 2, source: 'manual' })
  })
})

describe('scrubbing', () => {
  const post = (id: string, rest: string, body?: unknown) => api.request('POST', url(id, rest), body)

  test('is cancelled and resumed', async () => {
    const cancelled = await post('i-1', 'scrubbing/cancel')
    assert.partialDeepStrictEqual(cancelled.body.scrubbing, {
      instanceId: 'i-1',
      scrubbingCancelled: true,
      order: null,
    })
    assert.equal((await post('i-1', 'scrubbing/cancel')).body.revision, cancelled.body.revision)
    assert.equal((await ask('/v1/instances/i-1')).instance.scrubbingCancelled, true)
    assert.equal((await post('i-1', 'scrubbing/resume')).body.scrubbing.scrubbingCancelled, false)
    assert.equal((await ask('/v1/instances/i-1')).instance.scrubbingCancelled, false)
  })

  test('orders have an id of their own each, and go to the agent there is', async () => {
    const first = await post('i-1', 'black-hole', { holdSeconds: 60 })
    const { order } = first.body.scrubbing
    assert.match(order.orderId, /^order-[a-z0-9]{17}$/)
    assert.partialDeepStrictEqual(order, { action: 'black-hole', holdSeconds: 60 })
    const second = (await post('i-1', 'black-hole', {})).body.scrubbing.order
    assert.partialDeepStrictEqual(second, { action: 'black-hole', holdSeconds: null })
    assert.notEqual(second.orderId, order.orderId)
    const lift = (await post('i-1', 'black-hole/lift')).body.scrubbing.order
    assert.partialDeepStrictEqual(lift, { action: 'lift', holdSeconds: null })
    assert.equal((await ask('/v1/ddos/instances/i-1')).ddosInstance.order.orderId, lift.orderId)
    const idle = await post('i-2', 'black-hole', {})
    assert.deepEqual([idle.status, idle.body.code], [409, 'Conflict'])
    assert.match(idle.body.detail, /Cannot black-hole instance "i-2": expected one that an agent serves/)
    assert.equal((await post('i-2', 'black-hole/lift')).status, 409)
    for (const holdSeconds of [0, -1, 1.5, 1e9, '60', null]) {
      assert.equal((await post('i-1', 'black-hole', { holdSeconds })).status, 400, `${holdSeconds}`)
    }
  })

  test('an order is not for another agent, and not for a host that enrols again', async () => {
    const order = () => post('i-1', 'black-hole', {})
    const stored = () => api.world.get('instance', 'i-1')?.ddosOrder
    await order()
    await api.request('PATCH', '/v1/instances/i-1', { instanceName: 'web' })
    assert.notEqual(stored(), undefined)
    await api.request('PATCH', '/v1/instances/i-1', { agentId: 'agent-2' })
    assert.equal(stored(), undefined)
    await order()
    await api.request('POST', '/v1/agents/agent-2/revoke')
    await api.request('DELETE', '/v1/agents/agent-2')
    assert.equal(stored(), undefined)
    assert.equal(api.world.get('instance', 'i-1')?.agentId, null)
  })

  test('readers order nothing, and what belongs to others is not there', async () => {
    const reader = await api.makeToken([{ accountId, access: 'read' }])
    const own = await api.makeToken([{ accountId, access: 'write' }])
    const writes = [
      ['PUT', 'ddos-threshold', { source: 'type' }],
      ['POST', 'scrubbing/cancel', undefined],
      ['POST', 'scrubbing/resume', undefined],
      ['POST', 'black-hole', {}],
      ['POST', 'black-hole/lift', undefined],
    ] as const
    const { revision } = api.world
    for (const [method, rest, body] of writes) {
      const refused = await api.request(method, url('i-1', rest), body, { token: reader })
      assert.deepEqual([refused.status, refused.body.code], [403, 'Forbidden'], rest)
      const hidden = await api.request(method, url('i-b', rest), body, { token: own })
      assert.deepEqual([hidden.status, hidden.body.code], [404, 'InvalidInstanceId.NotFound'], rest)
    }
    assert.equal(api.world.revision, revision)
    assert.equal((await api.request('GET', url('i-1'), undefined, { token: reader })).status, 200)
    for (const path of [url('i-b'), '/v1/ddos/instances/i-b']) {
      assert.equal((await api.request('GET', path, undefined, { token: own })).status, 404)
    }
    const samples = await api.request('GET', '/v1/ddos/samples?instanceId=i-1&instanceId=i-b', undefined, {
      token: own,
    })
    assert.deepEqual([samples.status, samples.body.code], [400, 'InvalidInstanceId.NotFound'])
  })
})

describe('instances under attack', () => {
  test('are shown as their agents told, with thresholds, and since when that is old', async () => {
    const status = makeStatus({
      instanceId: 'i-1',
      phase: 'cleaning',
      eventId: 'ddos-1',
      attackTypes: ['udp'],
      topSources: [{ address: '203.0.113.9', packets: 1, bytes: 2, share: 0.5 }],
      blackHole: { endTime: second(9), holdSeconds: 60, isManual: true },
      orderId: 'order-1',
    })
    standings.set('i-1', { agentId: 'agent-1', status })
    const { ddosInstance } = await ask('/v1/ddos/instances/i-1')
    assert.partialDeepStrictEqual(ddosInstance, {
      instanceId: 'i-1',
      accountId,
      agentId: 'agent-1',
      phase: 'cleaning',
      since: second(0),
      staleSince: null,
      eventId: 'ddos-1',
      attackTypes: ['udp'],
      bitsPerSecond: 8_000_000,
      packetsPerSecond: 1000,
      topSources: status.topSources,
      blackHole: status.blackHole,
      bps: 1000,
      maxPps: 300_000,
      source: 'type',
      scrubbingCancelled: false,
      order: null,
      carriedOutOrderId: 'order-1',
    })
    assert.equal(ddosInstance.sample.instanceId, undefined)
    awaySinceMs = 1000
    assert.equal((await ask('/v1/ddos/instances/i-1')).ddosInstance.staleSince, '1970-01-01T00:00:01.000Z')
    assert.partialDeepStrictEqual((await ask('/v1/ddos/instances/i-2')).ddosInstance, {
      phase: null,
      staleSince: null,
      sample: null,
    })
  })

  test('are listed, filtered and sorted', async () => {
    propose('i-1', null)
    const ids = async (query: string) =>
      (await ask(`/v1/ddos/instances?${query}`)).items.map(({ instanceId }: { instanceId: string }) => instanceId)
    assert.deepEqual(await ids(''), ['i-1', 'i-2', 'i-b'])
    assert.deepEqual(await ids('phase=normal'), ['i-1'])
    assert.deepEqual(await ids('phase=cleaning'), [])
    assert.deepEqual(await ids(`accountId=${otherAccountId}`), ['i-b'])
    assert.deepEqual(await ids('instanceId=i-2'), ['i-2'])
    assert.deepEqual(await ids('agentId=agent-1'), ['i-1'])
    assert.deepEqual((await ids('sort=-bitsPerSecond'))[0], 'i-1')
    assert.equal((await api.request('GET', '/v1/ddos/instances?phase=calm')).status, 400)
  })
})

describe('past attacks', () => {
  async function keep(event: DdosEvent, owner = accountId): Promise<void> {
    const value = { event, agentId: 'agent-1', accountId: owner, createdAtMs: 1, updatedAtMs: 1 }
    await api.store.commit({ writes: [{ key: keyOf('ddosEvent', event.id), value }] })
  }
  const syn = makeEvent({ id: 'ddos-1', startTime: second(0) })
  beforeEach(async () => {
    await keep(ended({ ...syn, attackTypes: syn.attackTypes.map(each => ({ ...each, type: 'syn' as const })) }))
    await keep(makeEvent({ id: 'ddos-2', startTime: second(100), instanceId: 'i-2' }))
    await keep(makeEvent({ id: 'ddos-3', startTime: second(200), instanceId: 'i-b' }), otherAccountId)
  })
  const ids = async (query: string) =>
    (await ask(`/v1/ddos/events?${query}`)).items.map(({ eventId }: { eventId: string }) => eventId)

  test('are shown whole', async () => {
    const { ddosEvent } = await ask('/v1/ddos/events/ddos-1')
    const { id, thresholds: _, ...same } = ended(syn)
    assert.partialDeepStrictEqual(ddosEvent, {
      eventId: id,
      accountId,
      agentId: 'agent-1',
      thresholds: { bps: 100, pps: 70_000 },
      offered: same.offered,
      dropped: same.dropped,
      changes: same.changes,
      endReason: 'subsided',
    })
    const missing = await api.request('GET', '/v1/ddos/events/ddos-none')
    assert.deepEqual([missing.status, missing.body.code], [404, 'InvalidEventId.NotFound'])
  })

  test('are listed newest first, filtered, in pages', async () => {
    assert.deepEqual(await ids(''), ['ddos-3', 'ddos-2', 'ddos-1'])
    assert.deepEqual(await ids('sort=startTime'), ['ddos-1', 'ddos-2', 'ddos-3'])
    assert.deepEqual(await ids('instanceId=i-2'), ['ddos-2'])
    assert.deepEqual(await ids(`accountId=${accountId}`), ['ddos-2', 'ddos-1'])
    assert.deepEqual(await ids('phase=ended'), ['ddos-1'])
    assert.deepEqual(await ids('attackType=syn'), ['ddos-1'])
    assert.deepEqual(await ids(`until=${second(150)}`), ['ddos-2', 'ddos-1'])
    // It ended after 90 s; the others go on.
    assert.deepEqual(await ids(`since=${second(90)}`), ['ddos-3', 'ddos-2', 'ddos-1'])
    assert.deepEqual(await ids(`since=${second(91)}`), ['ddos-3', 'ddos-2'])
    const first = await ask('/v1/ddos/events?maxResults=2')
    assert.equal(first.totalCount, 3)
    assert.deepEqual(await ids(`maxResults=2&nextToken=${first.nextToken}`), ['ddos-1'])
  })

  test('are looked for by times that can be read', async () => {
    for (const query of ['since=yesterday', 'until=2026-01-31T12:00', 'phase=over', 'attackType=tsunami']) {
      const { status, body } = await api.request('GET', `/v1/ddos/events?${query}`)
      assert.deepEqual([status, body.errors[0].field], [400, `?${query.split('=')[0]}`], query)
    }
  })

  test('are there for those who may read the account', async () => {
    const own = await api.makeToken([{ accountId: otherAccountId, access: 'read' }])
    const { body } = await api.request('GET', '/v1/ddos/events', undefined, { token: own })
    assert.deepEqual(
      body.items.map(({ eventId }: { eventId: string }) => eventId),
      ['ddos-3'],
    )
    assert.equal((await api.request('GET', '/v1/ddos/events/ddos-1', undefined, { token: own })).status, 404)
  })

  test('go with their account', async () => {
    await api.request('DELETE', '/v1/instances/i-b')
    assert.equal((await api.request('DELETE', `/v1/accounts/${otherAccountId}`)).status, 200)
    assert.deepEqual(await ids(''), ['ddos-2', 'ddos-1'])
  })

  test('are in a backup, and come back with it; what was ordered then does not', async () => {
    await api.request('POST', '/v1/instances/i-1/black-hole', {})
    const backup = await api.app.inject({
      method: 'POST',
      url: '/v1/backup',
      headers: { authorization: `Bearer ${api.token}` },
    })
    await api.store.commit({ writes: [{ key: 'ddosEvent/ddos-1', value: null }] })
    await api.request('POST', '/v1/instances/i-1/black-hole/lift')
    const restored = await api.app.inject({
      method: 'POST',
      url: '/v1/restore',
      headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/vnd.sqlite3' },
      payload: backup.rawPayload,
    })
    assert.equal(restored.statusCode, 200, restored.body)
    assert.deepEqual(await ids(''), ['ddos-3', 'ddos-2', 'ddos-1'])
    assert.equal(api.world.get('instance', 'i-1')?.ddosOrder, undefined)
  })
})

describe('settings of traffic scrubbing', () => {
  const patch = (body: unknown) => api.request('PATCH', '/v1/settings', body)

  test('have defaults, and take any of the fields', async () => {
    const { settings } = await ask('/v1/settings')
    assert.equal(settings.trafficScope, 'internet')
    assert.deepEqual(settings.scrubbing, {
      secondsOver: 1,
      holdTime: 60,
      blackHoleThreshold: 5000,
      blackHoleHoldTime: 1800,
      mostBlackHoleHoldTime: 86_400,
      allowList: [],
    })
    assert.deepEqual(settings.ddosEvents, { keptPerInstance: 200, keptDays: 90 })
    const { revision } = api.world
    assert.equal((await patch({ scrubbing: {}, ddosEvents: {} })).body.revision, revision)
    const allowList = ['203.0.113.9/24', '2001:db8::1', '203.0.113.0/24']
    const changed = await patch({ trafficScope: 'all', scrubbing: { holdTime: 30, allowList } })
    assert.partialDeepStrictEqual(changed.body.settings, {
      trafficScope: 'all',
      scrubbing: { holdTime: 30, secondsOver: 1, allowList: ['203.0.113.0/24', '2001:db8::1/128'] },
    })
    const later = await patch({ scrubbing: { secondsOver: 3 }, ddosEvents: { keptDays: 1 } })
    assert.partialDeepStrictEqual(later.body.settings, {
      trafficScope: 'all',
      scrubbing: { holdTime: 30, secondsOver: 3 },
      ddosEvents: { keptPerInstance: 200, keptDays: 1 },
    })
    assert.deepEqual(api.world.settings.scrubbing?.allowList, ['203.0.113.0/24', '2001:db8::1/128'])
  })

  test('make the first black hole the longest where it is longer than that is by default', async () => {
    const { body } = await patch({ scrubbing: { blackHoleHoldTime: 100_000 } })
    assert.partialDeepStrictEqual(body.settings.scrubbing, {
      blackHoleHoldTime: 100_000,
      mostBlackHoleHoldTime: 100_000,
    })
  })

  for (const [name, scrubbing, field] of [
    ['a block that is none', { allowList: ['203.0.113.0/24', '203.0.113.0/33'] }, 'scrubbing.allowList[1]'],
    ['no seconds over', { secondsOver: 0 }, 'scrubbing.secondsOver'],
    ['a fraction', { holdTime: 0.5 }, 'scrubbing.holdTime'],
    ['more than a week', { blackHoleHoldTime: 604_801 }, 'scrubbing.blackHoleHoldTime'],
    ['a longest below the first', { mostBlackHoleHoldTime: 1799 }, 'scrubbing.mostBlackHoleHoldTime'],
    ['an unknown field', { holdSeconds: 1 }, 'scrubbing.holdSeconds'],
  ] as const) {
    test(`refuse ${name}`, async () => {
      const { revision } = api.world
      const { status, body } = await patch({ scrubbing })
      assert.deepEqual([status, body.errors[0].field, api.world.revision], [400, field, revision])
    })
  }
})
