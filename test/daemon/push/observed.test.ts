/** What agents tell of observed ENIs: what is read, who is believed, what is kept, and for how long. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readToDaemon } from '../../../daemon/push/messages.ts'
import { ObservedReports } from '../../../daemon/push/observed-reports.ts'
import { defaultPushOptions } from '../../../daemon/push/options.ts'
import type { World } from '../../../daemon/state/world.ts'
import type { Write } from '../../../daemon/store/store.ts'
import { type ObservedEni, observedLimits } from '../../../wire/observed.ts'
import { changesIn, makeEniDoc, makeGroup, makeInstance, put, worldOf } from '../../support/documents.ts'
import { FakeAgent } from '../../support/fake-agent.ts'
import { makeObservedEni, makeObservedFlow } from '../../support/observed.ts'
import { PushHost } from '../../support/push-host.ts'
import { eventually } from '../../support/sessions.ts'

describe('a message of observed interfaces', () => {
  const read = (message: unknown) => readToDaemon(JSON.stringify(message))
  const eni = makeObservedEni('eni-1', {
    counts: [{ direction: 'egress', cause: 'rule', ruleId: 'sgr-1', securityGroupId: 'sg-1', packets: 9 }],
    flows: [
      makeObservedFlow({ cause: 'rule', ruleId: 'sgr-1', securityGroupId: 'sg-1' }),
      { ...makeObservedFlow({ peer: '2001:db8::9', protocol: 'icmpv6', icmpType: 128, icmpCode: 0 }) },
    ],
    liveSessions: 2,
  })

  test('is read as it is, without what is not known', () => {
    for (const enis of [[], [eni], [eni, makeObservedEni('eni-2', { counts: [], flows: [] })]]) {
      assert.deepEqual(read({ type: 'observed', enis }), { value: { type: 'observed', enis } })
    }
    const [flow] = eni.flows
    const more = { ...eni, colour: 'red', flows: [{ ...flow, device: 'eth0' }] }
    assert.deepEqual(read({ type: 'observed', enis: [more], more: 1 }), {
      value: { type: 'observed', enis: [{ ...eni, flows: [flow] }] },
    })
  })

  const ofFlow = (fields: object) => ({ flows: [{ ...makeObservedFlow(), ...fields }] })
  const ofCount = (fields: object) => ({ counts: [{ direction: 'ingress', cause: 'default', packets: 1, ...fields }] })
  for (const [name, fields] of [
    ['an id of another kind', { eniId: 'i-1' }],
    ['an id with a control character', { eniId: 'eni-1\u001b[2J' }],
    ['no beginning', { since: undefined }],
    ['a time of another zone', { since: '2026-01-31T12:00:00.000+01:00' }],
    ['a cause that drops nothing', ofCount({ cause: 'inner-access' })],
    ['a rule with a line break', ofCount({ ruleId: 'sgr\n1' })],
    ['a negative count', ofCount({ packets: -1 })],
    ['half a packet', ofCount({ packets: 0.5 })],
    ['more counts than an ENI has', { counts: Array(observedLimits.countsOfEni + 1).fill(eni.counts[0]) }],
    ['more flows than are told', { flows: Array(observedLimits.flowsOfEni + 1).fill(eni.flows[0]) }],
    ['a peer that is no address', ofFlow({ peer: '$(reboot)' })],
    ['a protocol in colours', ofFlow({ protocol: '\u001b[31mtcp' })],
    ['a port there is not', ofFlow({ port: 65_536 })],
    ['an ICMP type there is not', ofFlow({ icmpType: 256 })],
    ['sessions in words', { liveSessions: 'many' }],
  ] as const) {
    test(`with ${name} is refused`, () => {
      assert.match(
        (read({ type: 'observed', enis: [{ ...eni, ...fields }] }) as { fault: string }).fault,
        /^observed: /,
      )
    })
  }

  test('with more interfaces than are told is refused', () => {
    const enis = Array(observedLimits.enis + 1).fill(eni)
    assert.match((read({ type: 'observed', enis }) as { fault: string }).fault, /^observed: /)
  })
})

/** agent-1 serves i-1 with eni-1 (of sg-1, observed) and eni-2 (by itself) and eni-3 (not); agent-2 i-2 with eni-4. */
const observed = makeGroup({ id: 'sg-1', mode: 'observe' })
const enforced = makeGroup({ id: 'sg-2' })
const eni = (number: number, instanceId: string, securityGroupId: string) =>
  makeEniDoc({ id: `eni-${number}`, instanceId, securityGroupIds: [securityGroupId] })
const fleet = () =>
  worldOf(
    put('group', observed),
    put('group', enforced),
    put('instance', makeInstance({ id: 'i-1', agentId: 'agent-1' })),
    put('instance', makeInstance({ id: 'i-2', agentId: 'agent-2' })),
    put('eni', eni(1, 'i-1', 'sg-1')),
    put('eni', { ...eni(2, 'i-1', 'sg-2'), mode: 'observe' }),
    put('eni', eni(3, 'i-1', 'sg-2')),
    put('eni', eni(4, 'i-2', 'sg-1')),
  )
const ids = ['eni-1', 'eni-2', 'eni-3', 'eni-4', 'eni-none']
const all = ids.map(id => makeObservedEni(id))
const heldIn = (reports: ObservedReports) => ids.filter(id => reports.observedOf(id) !== undefined).join(' ')

function commit(world: World, reports: ObservedReports, ...writes: readonly Write[]): void {
  const made = { revision: world.revision + 1, timeMs: 1, note: null, changes: changesIn(world, writes) }
  world.apply(made)
  reports.committed(made)
}

describe('reports of observed interfaces', () => {
  test('count of those that are observed and that the agent serves, each time whole', () => {
    const reports = new ObservedReports({ world: fleet(), now: () => 7 })
    reports.take('agent-1', all)
    assert.equal(heldIn(reports), 'eni-1 eni-2')
    assert.deepEqual(reports.observedOf('eni-1'), {
      agentId: 'agent-1',
      eni: makeObservedEni('eni-1'),
      heardAtMs: 7,
      isCut: false,
    })
    reports.take('agent-2', all)
    assert.equal(heldIn(reports), 'eni-1 eni-2 eni-4')
    assert.equal(reports.observedOf('eni-1')?.agentId, 'agent-1')
    reports.take('agent-1', [makeObservedEni('eni-2', { flowsLeftOut: 5 }), makeObservedEni('eni-2')])
    assert.equal(heldIn(reports), 'eni-2 eni-4')
    assert.equal(reports.observedOf('eni-2')?.eni.flowsLeftOut, 5)
    reports.take('agent-1', [])
    assert.equal(heldIn(reports), 'eni-4')
  })

  for (const [name, writes, left] of [
    ['the mode of the group', [put('group', makeGroup({ id: 'sg-1' }))], 'eni-2'],
    ['the mode of the ENI', [put('eni', eni(2, 'i-1', 'sg-2'))], 'eni-1 eni-4'],
    ['the group of the ENI', [put('eni', eni(1, 'i-1', 'sg-2'))], 'eni-2 eni-4'],
    ['the agent', [put('instance', makeInstance({ id: 'i-1', agentId: 'agent-2' }))], 'eni-4'],
    ['the ENI itself', [{ key: 'eni/eni-4', value: null }], 'eni-1 eni-2'],
    ['nothing of it', [put('eni', { ...eni(1, 'i-1', 'sg-1'), description: 'web' })], 'eni-1 eni-2 eni-4'],
    ['nothing but the name of the group', [put('group', { ...observed, name: 'web' })], 'eni-1 eni-2 eni-4'],
  ] as const) {
    test(`stay or go when a commit changes ${name}`, () => {
      const world = fleet()
      const reports = new ObservedReports({ world, now: () => 7 })
      reports.take('agent-1', all)
      reports.take('agent-2', all)
      commit(world, reports, ...writes)
      assert.equal(heldIn(reports), left)
    })
  }

  test('are bounded in all, and what is not kept is said', () => {
    const reports = new ObservedReports({ world: fleet(), now: () => 7, mostCounts: 3, mostFlows: 2 })
    const many = (eniId: string): ObservedEni =>
      makeObservedEni(eniId, { counts: Array(2).fill(all[0]!.counts[0]), flows: Array(2).fill(all[0]!.flows[0]) })
    const kept = (id: string) => {
      const { eni, isCut } = reports.observedOf(id)!
      return [eni.counts.length, eni.flows.length, eni.flowsLeftOut, isCut]
    }
    // Over and over, so that what is given back is seen to be.
    for (let round = 0; round < 5; round += 1) {
      reports.take('agent-1', [many('eni-1'), many('eni-2')])
      assert.deepEqual(
        [kept('eni-1'), kept('eni-2')],
        [
          [2, 2, 0, false],
          [1, 0, 2, true],
        ],
      )
      reports.take('agent-2', [many('eni-4')])
      assert.deepEqual(kept('eni-4'), [0, 0, 2, true])
      reports.forget('agent-1')
      reports.take('agent-2', [many('eni-4')])
      assert.deepEqual(kept('eni-4'), [2, 2, 0, false])
      reports.forget('agent-2')
    }
  })
})

describe('an agent with observed interfaces', () => {
  async function setScene() {
    const host = await PushHost.start({ options: { observedMessageBurst: 3, observedMessagesPerSecond: 1e-6 } })
    const credentials = await host.enrol()
    await host.commit(
      put('group', observed),
      put('instance', makeInstance({ id: 'i-1', agentId: credentials.agentId })),
      put('eni', eni(1, 'i-1', 'sg-1')),
    )
    const agent = await FakeAgent.connect(host.port, credentials)
    await agent.next('snapshot')
    return { host, credentials, agent, [Symbol.asyncDispose]: () => host.push.close() }
  }

  const heard = (host: PushHost) =>
    eventually(async () => assert.notEqual(host.push.observed.observedOf('eni-1'), undefined))

  test('is told the mode and heard, and what it told stays while it is away, until it is revoked', async () => {
    await using scene = await setScene()
    const { host, agent, credentials } = scene
    agent.say({ type: 'observed', enis: [makeObservedEni('eni-1')] })
    await heard(host)
    await host.commit(put('group', { ...observed, description: 'no news to agents' }))
    const revision = host.world.revision
    const { mode: _, ...enforcing } = observed
    const delta = agent.next('delta')
    await host.commit(put('group', enforcing))
    const { set } = await delta
    assert.deepEqual(
      set.map(object => [object.id, 'mode' in object.value]),
      [['sg-1', false]],
    )
    assert.equal(host.world.revision, revision + 1)
    assert.equal(host.push.observed.observedOf('eni-1'), undefined)
    await host.commit(put('group', observed))
    agent.say({ type: 'observed', enis: [makeObservedEni('eni-1')] })
    await heard(host)
    agent.break()
    await eventually(async () => assert.equal(host.push.agentStatus(credentials.agentId)?.state, 'away'))
    assert.notEqual(host.push.observed.observedOf('eni-1'), undefined)
    await host.commit(put('agent', { ...host.world.get('agent', credentials.agentId)!, status: 'revoked' }))
    assert.equal(host.push.observed.observedOf('eni-1'), undefined)
  })

  test('that tells it too often is let go', async () => {
    await using scene = await setScene()
    const { agent } = scene
    for (let count = 0; count < 4; count += 1) agent.say({ type: 'observed', enis: [] })
    assert.match((await agent.next('goodbye')).message, /expected a report of observed .* at most every 10 s/)
    assert.ok(defaultPushOptions.observedMessagesPerSecond >= 0.1)
  })
})
