/** The conversation of daemon and agent, and what the daemon says of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { CompactedError } from '../../../daemon/store/store.ts'
import { makeEvent } from '../../support/ddos.ts'
import { hostReport, makeEniDoc, makeGroup, makeInstance, makeRuleDoc, put } from '../../support/documents.ts'
import { FakeAgent, type FakeCredentials } from '../../support/fake-agent.ts'
import { holdTime } from '../../support/held-time.ts'
import { PushHost, type PushHostOptions } from '../../support/push-host.ts'

interface Scene extends AsyncDisposable {
  readonly host: PushHost
  /** Serve i-1 and i-2, whose ENIs are in sg-db; sg-db lets sg-app in. */
  readonly one: FakeCredentials
  readonly two: FakeCredentials
  /** Serves i-3, whose ENI is in sg-other. */
  readonly other: FakeCredentials
}

async function setScene(options: PushHostOptions = {}): Promise<Scene> {
  const host = await PushHost.start(options)
  const [one, two, other] = [await host.enrol(), await host.enrol(), await host.enrol()]
  await host.commit(
    put('instance', makeInstance({ id: 'i-1', agentId: one.agentId })),
    put('instance', makeInstance({ id: 'i-2', agentId: two.agentId })),
    put('instance', makeInstance({ id: 'i-3', agentId: other.agentId })),
    put('instance', makeInstance({ id: 'i-app' })),
    put('eni', makeEniDoc({ id: 'eni-1', instanceId: 'i-1', addresses: ['198.18.0.1'], securityGroupIds: ['sg-db'] })),
    put('eni', makeEniDoc({ id: 'eni-2', instanceId: 'i-2', addresses: ['198.18.0.2'], securityGroupIds: ['sg-db'] })),
    put(
      'eni',
      makeEniDoc({ id: 'eni-3', instanceId: 'i-3', addresses: ['198.18.0.3'], securityGroupIds: ['sg-other'] }),
    ),
    put(
      'eni',
      makeEniDoc({ id: 'eni-4', instanceId: 'i-app', addresses: ['198.18.0.4'], securityGroupIds: ['sg-app'] }),
    ),
    put('group', makeGroup({ id: 'sg-db', rules: [makeRuleDoc({ id: 'sgr-1', sourceGroupId: 'sg-app' })] })),
    put('group', makeGroup({ id: 'sg-app' })),
    put('group', makeGroup({ id: 'sg-other' })),
  )
  return { host, one, two, other, [Symbol.asyncDispose]: () => host.push.close() }
}

/** An instance joins sg-app, which the agents of sg-db must hear of. */
const join = (host: PushHost, address = '198.18.0.9') =>
  host.commit(
    put(
      'eni',
      makeEniDoc({ id: `eni-${address}`, instanceId: 'i-app', addresses: [address], securityGroupIds: ['sg-app'] }),
    ),
  )

const inSync = (host: PushHost, { agentId }: FakeCredentials) => host.push.agentStatus(agentId)?.state === 'in-sync'

/** Resolves when the daemon has taken in what the agent said before: it answers an event that is not the agent's. */
async function heard(agent: FakeAgent): Promise<void> {
  agent.say({ type: 'ddos-event', event: makeEvent({ id: 'ddos-heard', instanceId: 'i-nobody' }) })
  await agent.next('ddos-event-kept')
}

async function turnsUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

describe('a change', () => {
  test('reaches the agents that see it, and no other', async () => {
    await using scene = await setScene()
    const { host, one, two, other } = scene
    const agents = await Promise.all([one, two, other].map(credentials => FakeAgent.connect(host.port, credentials)))
    await Promise.all(agents.map(agent => agent.next('snapshot')))
    const revision = await join(host)
    const status = await host.push.awaitEnforced(revision, 10_000)
    assert.deepEqual(status, { revision, state: 'enforced', agents: 2, enforced: 2, behind: [] })
    assert.deepEqual(
      agents.map(({ updates }) => updates.length),
      [2, 2, 1],
    )
    const { members } = await agents[0]!.next('delta')
    assert.deepEqual(members, [{ id: 'sg-app', add: ['198.18.0.9'], remove: [] }])
    assert.equal(await host.metric('ringwall_daemon_push_duration_seconds_count'), 2)
  })

  test('that nobody sees is in force at once', async () => {
    await using scene = await setScene()
    const revision = await scene.host.commit(put('group', makeGroup({ id: 'sg-new' })))
    assert.partialDeepStrictEqual(await scene.host.push.status(revision), { state: 'enforced', agents: 0 })
  })

  test('would touch the agents that it does touch', async () => {
    await using scene = await setScene()
    const { host, one, two } = scene
    const value = makeEniDoc({
      id: 'eni-5',
      instanceId: 'i-app',
      addresses: ['198.18.0.5'],
      securityGroupIds: ['sg-app'],
    })
    const touched = host.push.agentsTouchedBy([{ key: 'eni/eni-5', before: null, value }])
    assert.deepEqual(touched, [one.agentId, two.agentId].sort())
  })

  test('names those behind it: away, hanging and refusing', async () => {
    await using scene = await setScene()
    const { host, one, two } = scene
    const hanging = await FakeAgent.connect(host.port, one, { answers: false })
    const { revision: first } = await hanging.next('snapshot')
    hanging.enforce(first)
    await turnsUntil(() => inSync(host, one))
    const revision = await join(host)
    await hanging.next('delta')
    const state = async (id: string) => (await host.push.status(revision)).behind.find(({ agentId }) => agentId === id)
    assert.partialDeepStrictEqual(await state(one.agentId), { state: 'behind', error: null, hostName: 'host-1' })
    assert.partialDeepStrictEqual(await state(two.agentId), { state: 'away' })
    const message = 'Error: No such file\n^^^'
    hanging.say({ type: 'refused', revision, error: { kind: 'not-found', message }, retryInMs: 250 })
    await turnsUntil(() => host.push.agentStatus(one.agentId)?.state === 'refusing')
    assert.partialDeepStrictEqual(await state(one.agentId), { state: 'refusing', error: 'Error: No such file ^^^' })
    hanging.enforce(revision)
    await turnsUntil(() => inSync(host, one))
    assert.equal(host.push.agentStatus(one.agentId)?.lastError, null)
    assert.partialDeepStrictEqual(await host.push.status(revision), { state: 'pending', agents: 2, enforced: 1 })
  })

  test('a policy on trial is shown as long as the agent is there, and confirmed where it waits for somebody', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, { answers: false })
    const { revision } = await agent.next('snapshot')
    const nothing = { code: 'NothingOnTrial', status: 409 }
    assert.throws(() => host.push.confirmTrial(one.agentId), nothing)
    const error = { kind: 'lockout', message: 'On trial' }
    const refuse = (needsPerson: boolean, retryInMs = 60_000) =>
      agent.say({ type: 'refused', revision, error, retryInMs, trial: { cuts: ['a session'], needsPerson } })
    const trial = () => host.push.agentStatus(one.agentId)?.trial
    refuse(false)
    await turnsUntil(() => trial() != null)
    assert.throws(() => host.push.confirmTrial(one.agentId), nothing)
    refuse(true)
    await turnsUntil(() => trial()?.needsPerson === true)
    assert.partialDeepStrictEqual(trial(), { revision, cuts: ['a session'] })
    assert.ok(trial()!.untilMs > Date.now())
    assert.deepEqual(host.push.confirmTrial(one.agentId), trial())
    assert.equal((await agent.next('confirm')).revision, revision)
    refuse(true, 0)
    await turnsUntil(() => trial()!.untilMs <= Date.now())
    assert.throws(() => host.push.confirmTrial(one.agentId), nothing)
    agent.enforce(revision)
    await turnsUntil(() => trial() === null)
    refuse(true)
    await turnsUntil(() => trial() !== null)
    await agent.close()
    await turnsUntil(() => trial() === null)
  })

  test('is waited for until the time is over, or the last agent has it, or is no agent any more', async () => {
    await using scene = await setScene()
    const { host, one, two } = scene
    await FakeAgent.connect(host.port, one)
    await turnsUntil(() => inSync(host, one))
    const revision = await join(host)
    assert.partialDeepStrictEqual(await host.push.awaitEnforced(revision, 1), { state: 'pending', agents: 2 })
    const waiting = host.push.awaitEnforced(revision, 60_000)
    await host.commit({ key: `agent/${two.agentId}`, value: null })
    assert.deepEqual(await waiting, { revision, state: 'enforced', agents: 1, enforced: 1, behind: [] })
  })

  test('is waited for no longer than anybody wants to know', async () => {
    await using scene = await setScene()
    const { host } = scene
    const revision = await join(host)
    const gone = new AbortController()
    const waiting = host.push.awaitEnforced(revision, 60_000, gone.signal)
    gone.abort()
    assert.partialDeepStrictEqual(await waiting, { state: 'pending', agents: 2, enforced: 0 })
  })

  test('of before the start is looked up in the history, until that is gone', async () => {
    await using scene = await setScene()
    const { host, one, two } = scene
    const revision = await join(host)
    await host.push.close()
    await using restarted = await PushHost.start({ store: host.store })
    const { behind, ...counts } = await restarted.push.status(revision)
    assert.deepEqual(counts, { revision, state: 'pending', agents: 2, enforced: 0 })
    assert.deepEqual(behind.map(({ agentId }) => agentId).sort(), [one.agentId, two.agentId].sort())
    await FakeAgent.connect(restarted.port, one)
    await FakeAgent.connect(restarted.port, two)
    assert.partialDeepStrictEqual(await restarted.push.awaitEnforced(revision, 60_000), {
      state: 'enforced',
      enforced: 2,
    })
    await host.store.compact(revision + 1)
    await assert.rejects(restarted.push.status(revision), CompactedError)
    await assert.rejects(restarted.push.status(host.store.head() + 1), { code: 'InvalidRevision.NotFound' })
  })
})

describe('an agent', () => {
  test('that comes back is told what it missed', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const first = await FakeAgent.connect(host.port, one)
    await first.next('snapshot')
    first.break()
    await turnsUntil(() => host.push.agentStatus(one.agentId)?.state === 'away')
    await join(host)
    assert.equal(host.push.agentStatus(one.agentId)?.behind, true)
    const back = await FakeAgent.connect(host.port, one, { view: first.view })
    const { members, set } = await back.next('delta')
    assert.deepEqual({ members, set }, { members: [{ id: 'sg-app', add: ['198.18.0.9'], remove: [] }], set: [] })
  })

  test('that comes back and missed nothing is told that', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const first = await FakeAgent.connect(host.port, one)
    await first.next('snapshot')
    const position = first.view.position
    await first.close()
    const back = await FakeAgent.connect(host.port, one, { view: first.view, enforced: position, answers: false })
    assert.partialDeepStrictEqual(await back.next('delta'), { set: [], remove: [], members: [] })
    assert.equal(inSync(host, one), true)
  })

  test('that is slow gets one update for all that has happened meanwhile', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, { answers: false })
    const { revision } = await agent.next('snapshot')
    for (const last of [11, 12, 13, 14]) await join(host, `198.18.0.${last}`)
    agent.enforce(revision)
    const { members } = await agent.next('delta')
    assert.deepEqual(members[0]?.add, ['198.18.0.11', '198.18.0.12', '198.18.0.13', '198.18.0.14'])
    assert.equal(agent.updates.length, 2)
  })

  test('that has not answered in time is let go, and comes back', async context => {
    const time = holdTime(context, ['setInterval'])
    await using scene = await setScene({ options: { answerTimeoutMs: 20_000, heartbeatMs: 15_000 } })
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, { answers: false })
    await agent.next('snapshot')
    time.pass(15_000)
    await agent.until(({ pings }) => pings === 1)
    time.pass(15_000)
    assert.equal((await agent.next('goodbye')).code, 'unanswered')
    const back = await FakeAgent.connect(host.port, one, { view: agent.view })
    await back.next('delta')
    await turnsUntil(() => inSync(host, one))
  })

  test('on a slow line is given the time that a large snapshot takes there', async () => {
    await using scene = await setScene({ options: { answerTimeoutMs: 20, heartbeatMs: 400 } })
    const { host, one } = scene
    // 16 KiB a second are expected: this is good for twenty seconds.
    const addresses = Array.from(
      { length: 20_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    )
    await host.change('eni', 'eni-4', { addresses })
    const agent = await FakeAgent.connect(host.port, one)
    agent.pause()
    await setTimeout(2000)
    assert.notEqual(host.push.agentStatus(one.agentId)?.state, 'away')
    agent.resume()
    assert.ok(JSON.stringify(await agent.next('snapshot')).length > 16 * 1024 * 10)
    await turnsUntil(() => inSync(host, one))
    assert.equal(agent.goodbye, null)
  })

  test('that changes hands takes its instances’ view with it', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const [left, right] = [await FakeAgent.connect(host.port, one), await FakeAgent.connect(host.port, other)]
    await Promise.all([left.next('snapshot'), right.next('snapshot')])
    const revision = await host.change('instance', 'i-1', { agentId: other.agentId })
    assert.partialDeepStrictEqual(await host.push.awaitEnforced(revision, 60_000), { agents: 2, enforced: 2 })
    assert.deepEqual([...left.view.objects.keys()], ['settings/fleet'])
    assert.ok(right.view.objects.has('members/sg-app'))
  })

  test('is told nothing that it needs not for enforcing', async () => {
    await using scene = await setScene()
    const { host, one, other } = scene
    const words = { name: 'SECRET-name', description: 'SECRET-description', tags: { SECRET: 'SECRET-tag' } }
    const rule = makeRuleDoc({ id: 'sgr-1', sourceGroupId: 'sg-app', description: 'SECRET-rule' })
    await host.change('group', 'sg-db', { ...words, rules: [rule] })
    await host.change('group', 'sg-app', { ...words, rules: [{ ...rule, id: 'sgr-SECRET' }] })
    for (const id of ['i-1', 'i-app']) await host.change('instance', id, words)
    for (const id of ['eni-1', 'eni-4']) await host.change('eni', id, words)
    const agent = await FakeAgent.connect(host.port, one)
    await agent.next('snapshot')
    const told = [...agent.view.objects.keys()].sort()
    assert.deepEqual(told, ['eni/eni-1', 'group/sg-db', 'instance/i-1', 'members/sg-app', 'settings/fleet'])
    const text = JSON.stringify([...agent.view.objects.values()])
    // Of those whom it lets in, their addresses alone.
    assert.match(text, /198\.18\.0\.4/)
    for (const hidden of ['SECRET', 'eni-4', 'i-app', 'eni-2', '198.18.0.2', 'sg-other', other.agentId, one.agentId]) {
      assert.ok(!text.includes(hidden), hidden)
    }
  })

  test('is told what it must forget, whatever another says that it holds', async () => {
    await using scene = await setScene()
    const { host, one, two } = scene
    const removed: (readonly string[])[] = []
    const first = await Promise.all([one, two].map(credentials => FakeAgent.connect(host.port, credentials)))
    for (const agent of first) await agent.next('snapshot')
    for (const [at, more] of [['members/sg-x members/sg-y'], ['members/sg-x', 'members/sg-y']].entries()) {
      const { view } = first[at]!
      const [anything] = view.objects.values()
      for (const key of more) view.objects.set(key as `members/${string}`, anything!)
      const agent = await FakeAgent.connect(host.port, [one, two][at]!, { view })
      removed.push((await agent.next('delta')).remove)
    }
    assert.deepEqual(removed, [['members/sg-x members/sg-y'], ['members/sg-x', 'members/sg-y']])
  })

  test('cannot say that it enforces what it was not told', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, { answers: false })
    const { revision } = await agent.next('snapshot')
    agent.enforce(revision + 1)
    assert.equal((await agent.next('goodbye')).code, 'bad-message')
    const liar = await FakeAgent.connect(host.port, one, {
      answers: false,
      enforced: { storeId: host.store.id, revision: revision + 1000 },
    })
    await liar.next('snapshot')
    assert.equal(host.push.agentStatus(one.agentId)?.enforcedRevision, null)
  })

  test('with a view of another store does not answer for this one', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, {
      answers: false,
      enforced: { storeId: 'another', revision: 5 },
    })
    agent.enforce(1)
    const { revision } = await agent.next('snapshot')
    agent.enforce(2)
    agent.enforce(revision)
    await turnsUntil(() => inSync(host, one))
    assert.equal(host.push.agentStatus(one.agentId)?.enforcedRevision, revision)
    assert.equal(agent.closed, false)
  })

  test('with a view of later revisions than there are gets all there is, and the log says so', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one, { hello: false })
    agent.hello({ view: { storeId: host.store.id, revision: 9999, keys: [] } })
    await agent.next('snapshot')
    const { head } = host.logged.find(({ msg }) => String(msg).startsWith('the agent holds a later revision'))!
    assert.equal(head, host.world.revision)
  })

  test('that reports of its host other things than before has them stored, once', async context => {
    const time = holdTime(context, ['setTimeout'])
    await using scene = await setScene({ options: { reportIntervalMs: 5000 } })
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one)
    await agent.next('snapshot')
    const head = host.store.head()
    const reports = ['6.1', '6.2', '6.3'].map(kernel => ({ ...hostReport, kernel }))
    for (const report of [hostReport, ...reports]) agent.say({ type: 'report', report })
    await heard(agent)
    assert.equal(host.world.get('agent', one.agentId)?.report?.kernel, '6.1')
    time.pass(5000)
    await turnsUntil(() => host.world.get('agent', one.agentId)?.report?.kernel === '6.3')
    assert.equal(host.store.head(), head + 2)
    assert.equal(agent.updates.length, 1)
    const [commit] = await host.store.history(host.store.head(), 1)
    assert.partialDeepStrictEqual(commit?.note, {
      action: 'ringwall:ReportAgent',
      principal: { kind: 'agent', id: one.agentId },
    })
  })

  test('that reports large things again and again has so much stored of it, and others have theirs', async () => {
    await using scene = await setScene({ options: { reportIntervalMs: 1 } })
    const { host, one, two } = scene
    const [agent, other] = [await FakeAgent.connect(host.port, one), await FakeAgent.connect(host.port, two)]
    // One is what may be stored at once; for two, two minutes are owed.
    const devices = Array.from({ length: 2400 }, (_, at) => ({ ...hostReport.devices[0]!, name: `a-device-${at}` }))
    const kernelOf = ({ agentId }: FakeCredentials) => host.world.get('agent', agentId)?.report?.kernel
    for (const kernel of ['6.1', '6.2']) {
      agent.say({ type: 'report', report: { ...hostReport, kernel, devices } })
      await turnsUntil(() => kernelOf(one) === kernel)
    }
    assert.ok(JSON.stringify(host.world.get('agent', one.agentId)?.report).length > 250_000)
    for (const kernel of ['6.3', '6.4']) {
      agent.say({ type: 'report', report: { ...hostReport, kernel, devices } })
      other.say({ type: 'report', report: { ...hostReport, kernel } })
      await turnsUntil(() => kernelOf(two) === kernel)
    }
    assert.equal(kernelOf(one), '6.2')
  })

  test('that tells of its administrator opening the host, and of the end of that, is in the audit log by names of their own', async () => {
    await using scene = await setScene({ options: { reportIntervalMs: 30 } })
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one)
    await agent.next('snapshot')
    const open = { ...hostReport, openSince: '2026-03-01T10:20:30.123Z' }
    for (const [report, action] of [
      [open, 'OpenHost'],
      [{ ...open, kernel: '6.2' }, 'ReportAgent'],
      [hostReport, 'CloseHost'],
    ] as const) {
      const head = host.store.head()
      agent.say({ type: 'report', report })
      await turnsUntil(() => host.store.head() > head)
      const [commit] = await host.store.history(host.store.head(), 1)
      assert.partialDeepStrictEqual(commit?.note, { action: `ringwall:${action}` })
    }
  })

  test('that nobody hears is pinged, and then taken for gone', async context => {
    const time = holdTime(context, ['setInterval'])
    await using scene = await setScene({ options: { heartbeatMs: 15_000 } })
    const { host, one } = scene
    const agent = await FakeAgent.connect(host.port, one)
    await agent.next('snapshot')
    await turnsUntil(() => inSync(host, one))
    // Alive as long as it answers pings, which ws does by itself.
    const { sinceMs } = host.push.agentStatus(one.agentId)!
    for (let count = 1; count <= 5; count += 1) {
      time.pass(15_000)
      await agent.until(({ pings }) => pings === count)
      await heard(agent)
    }
    assert.equal(host.push.agentStatus(one.agentId)?.sinceMs, sinceMs)
    agent.pause()
    for (let count = 1; count <= 4; count += 1) time.pass(15_000)
    await turnsUntil(() => host.push.agentStatus(one.agentId)?.state === 'away')
  })
})

describe('a message that does not fit ends the connection', () => {
  const hello = { type: 'hello', protocolVersion: 1, report: hostReport, view: null, enforced: null }
  const rows: Readonly<Record<string, { readonly say: unknown; readonly code?: string }>> = {
    'no JSON': { say: 'x' },
    'no object': { say: [1] },
    'of no type': { say: { kind: 'hello' } },
    'of a type of JavaScript’s own': { say: { type: 'constructor' } },
    'not hello at first': { say: { type: 'enforced', revision: 1, seconds: 0, nftSeconds: 0, enis: [] } },
    'of another version': { say: { type: 'hello', protocolVersion: 2 }, code: 'protocol' },
    'with keys that are none': { say: { ...hello, view: { storeId: 'x', revision: 1, keys: [1] } } },
    'with a revision below nothing': { say: { ...hello, enforced: { storeId: 'x', revision: -1 } } },
    'with a fraction of a revision': { say: { ...hello, enforced: { storeId: 'x', revision: 1.5 } } },
    'nested to the bottom': { say: '['.repeat(200_000) },
    'in binary': { say: Buffer.from('{}') },
  }
  for (const [name, { say, code = 'bad-message' }] of Object.entries(rows)) {
    test(name, async () => {
      await using host = await PushHost.start()
      const agent = await FakeAgent.connect(host.port, await host.enrol(), { hello: false })
      if (Buffer.isBuffer(say) || (typeof say === 'string' && say.length > 1)) agent.sayText(say)
      else agent.sayAny(say)
      assert.equal((await agent.next('goodbye')).code, code)
      await agent.until(({ closed }) => closed)
    })
  }

  test('hello again', async () => {
    await using host = await PushHost.start()
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    agent.hello()
    assert.equal((await agent.next('goodbye')).code, 'bad-message')
  })

  test('larger than a message may be', async () => {
    await using host = await PushHost.start()
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    agent.sayText('x'.repeat(1024 * 1024 + 1))
    await agent.until(({ closed }) => closed)
  })

  test('more answers than anybody has to give, to what was said before the update that waits', async () => {
    await using scene = await setScene()
    const { host, one } = scene
    const first = await FakeAgent.connect(host.port, one)
    await first.next('snapshot')
    const { view } = first
    const agent = await FakeAgent.connect(host.port, one, { view, answers: false })
    const { revision } = await agent.next('delta')
    const error = { kind: 'refused', message: 'no' }
    for (let count = 0; count < 300; count += 1) {
      agent.sayAny({ type: 'refused', revision: revision - 1, error, retryInMs: 0 })
    }
    await agent.until(({ closed }) => closed)
    assert.match(agent.goodbye?.message ?? '', /expected at most 10 a second/)
    const logged = host.logged.filter(({ msg }) => msg === 'agent refuses a revision')
    assert.ok(logged.length >= 20 && logged.length < 30, `${logged.length} lines`)
  })

  test('more of them than anybody has to say', async () => {
    await using host = await PushHost.start()
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    for (let count = 0; count < 500; count += 1) agent.say({ type: 'report', report: hostReport })
    assert.equal((await agent.next('goodbye')).code, 'bad-message')
  })
})
