/** What was seen at observed ENIs, of one, of a group, and before it is enforced. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AgentStanding } from '../../../daemon/services/fleet.ts'
import type { ObservedStanding } from '../../../daemon/services/observed-board.ts'
import type { ObservedEni } from '../../../wire/observed.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, hostReport, makeFleet, post } from '../../support/fleet-state.ts'
import { makeObservedEni, makeObservedFlow } from '../../support/observed.ts'

const groups = '/v1/security-groups'
const enis = '/v1/network-interfaces'

interface Scene extends AsyncDisposable {
  readonly api: TestApi
  /** What agents told. */
  readonly told: Map<string, ObservedStanding>
  /** Agents that are not connected. */
  readonly away: Set<string>
  tell(eni: ObservedEni, standing?: Partial<ObservedStanding>): void
}

const heardAtMs = Date.parse('2026-03-01T10:30:00Z')

/** As makeFleet makes it; sg-1 has eni-1 (of agent-1) and eni-6 (of agent-6, and in sg-2 too). */
async function setScene(): Promise<Scene> {
  const told = new Map<string, ObservedStanding>()
  const away = new Set<string>()
  const standing = (state: AgentStanding['state']): AgentStanding => ({
    state,
    sinceMs: 0,
    enforcedRevision: 1,
    relevantRevision: 1,
    lastError: null,
    trial: null,
    enis: [],
  })
  const api = await startApi({
    observed: { observedOf: id => told.get(id) },
    fleet: { statusOf: id => standing(away.has(id) ? 'away' : 'in-sync') },
  })
  await makeFleet(api)
  await addAgent(api, 'agent-6')
  await api.request('PATCH', '/v1/instances/i-6', { agentId: 'agent-6' })
  const tell: Scene['tell'] = (eni, fields = {}) =>
    void told.set(eni.eniId, { agentId: 'agent-1', eni, heardAtMs, isCut: false, ...fields })
  return { api, told, away, tell, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

const setMode = (api: TestApi, url: string, mode: 'enforce' | 'observe', query = '') =>
  api.request('PATCH', `${url}${query}`, { mode })

const byRule = { direction: 'ingress', cause: 'rule', ruleId: 'sgr-9', securityGroupId: 'sg-1' } as const
const first = makeObservedEni('eni-1', {
  counts: [
    { ...byRule, packets: 40 },
    { direction: 'ingress', cause: 'default', packets: 2 },
  ],
  flows: [makeObservedFlow({ ...byRule, packets: 30 }), makeObservedFlow({ packets: 2, peer: '203.0.113.7' })],
  flowsLeftOut: 5,
  liveSessions: 3,
})
const sixth = makeObservedEni('eni-6', {
  since: '2026-03-01T09:00:00.000Z',
  counts: [
    { direction: 'egress', cause: 'smtp', packets: 7 },
    { ...byRule, packets: 1 },
  ],
  flows: [
    {
      direction: 'egress',
      cause: 'smtp',
      peer: '2001:db8::25',
      protocol: 'icmpv6',
      icmpType: 128,
      icmpCode: 0,
      packets: 7,
      firstTime: '2026-03-01T09:00:00.000Z',
      lastTime: '2026-03-01T09:00:01.000Z',
    },
  ],
})

describe('what was seen', () => {
  test('of a group is that of all its interfaces, by reason and by flow, the most first', async () => {
    await using scene = await setScene()
    const { api, tell } = scene
    await setMode(api, `${groups}/sg-1`, 'observe')
    tell(first)
    tell(sixth, { agentId: 'agent-6', heardAtMs: heardAtMs + 1000 })
    const { status, body } = await api.request('GET', `${groups}/sg-1/observed`)
    assert.equal(status, 200)
    const { reasons, flows, ...rest } = body.observed
    assert.deepEqual(rest, {
      securityGroupId: 'sg-1',
      networkInterfaceCount: 2,
      observedCount: 2,
      reportedCount: 2,
      isComplete: true,
      since: '2026-03-01T09:00:00.000Z',
      oldestReportTime: '2026-03-01T10:30:00.000Z',
      newestReportTime: '2026-03-01T10:30:01.000Z',
      packets: 50,
      flowsLeftOut: 5,
      liveSessions: 3,
      missing: [],
      missingCount: 0,
    })
    assert.deepEqual(
      reasons.map((reason: Record<string, unknown>) => Object.values(reason).join(' ')),
      ['ingress rule sgr-9 sg-1 41 2', 'egress smtp   7 1', 'ingress default   2 1'],
    )
    assert.deepEqual(
      flows.map((flow: Record<string, unknown>) =>
        [flow.networkInterfaceId, flow.peer, flow.protocol, flow.port, flow.icmpType, flow.packets].join(' '),
      ),
      ['eni-1 203.0.113.9 tcp 22  30', 'eni-6 2001:db8::25 icmpv6  128 7', 'eni-1 203.0.113.7 tcp 22  2'],
    )
    const one = (await api.request('GET', `${groups}/sg-1/observed?maxFlows=1`)).body.observed
    assert.deepEqual([one.flows.length, one.flowsLeftOut, one.packets], [1, 7, 50])
  })

  test('says what it lacks: who has not told, or is too old to, whose agent is away, and what had no room', async () => {
    await using scene = await setScene()
    const { api, tell, away } = scene
    await setMode(api, `${groups}/sg-1`, 'observe')
    await setMode(api, `${groups}/sg-adv`, 'observe')
    const missing = async (id: string) => {
      const { observed } = (await api.request('GET', `${groups}/${id}/observed`)).body
      const texts = observed.missing.map((each: Record<string, unknown>) => Object.values(each).join(' '))
      return [observed.isComplete, observed.reportedCount, observed.missingCount, ...texts]
    }
    assert.deepEqual(await missing('sg-1'), [
      false,
      0,
      2,
      'eni-1 i-1 agent-1 not-capable ',
      'eni-6 i-6 agent-6 not-reported ',
    ])
    await addAgent(api, 'agent-1', { report: { ...hostReport([]), capabilities: { observe: 'counters' } } })
    assert.equal((await missing('sg-1')).at(3), 'eni-1 i-1 agent-1 not-reported ')
    tell(first)
    tell(sixth, { agentId: 'agent-6', isCut: true })
    away.add('agent-1')
    const time = '2026-03-01T10:30:00.000Z'
    assert.deepEqual(await missing('sg-1'), [
      false,
      2,
      2,
      `eni-1 i-1 agent-1 away ${time}`,
      `eni-6 i-6 agent-6 cut ${time}`,
    ])
    assert.deepEqual(await missing('sg-adv'), [false, 0, 1, 'eni-3 i-2  no-agent '])
  })

  test('of interfaces that are enforced is nothing, and complete', async () => {
    await using scene = await setScene()
    const { observed } = (await scene.api.request('GET', `${enis}/eni-1/observed`)).body
    const { networkInterfaceId, networkInterfaceCount, observedCount, isComplete, since, liveSessions } = observed
    assert.deepEqual(
      [networkInterfaceId, networkInterfaceCount, observedCount, isComplete, since, liveSessions],
      ['eni-1', 1, 0, true, null, null],
    )
  })

  test('is for who may see the interface', async () => {
    await using scene = await setScene()
    const { api } = scene
    const token = await api.makeToken([{ accountId: '2000000000000000', access: 'read' }])
    for (const url of [`${enis}/eni-1/observed`, `${groups}/sg-1/observed`]) {
      assert.equal((await api.request('GET', url, undefined, { token })).status, 404)
    }
    assert.equal((await api.request('GET', `${enis}/eni-1/observed?maxFlows=1001`)).status, 400)
  })
})

describe('before it is enforced, a dry run shows', () => {
  test('what was seen of those it concerns, and stores nothing', async () => {
    await using scene = await setScene()
    const { api, tell, away } = scene
    await setMode(api, `${groups}/sg-1`, 'observe')
    await setMode(api, `${groups}/sg-2`, 'observe')
    tell(first)
    tell(sixth, { agentId: 'agent-6' })
    const head = api.store.head()
    const { dryRun, observed } = (await setMode(api, `${groups}/sg-1`, 'enforce', '?dryRun=true')).body
    assert.deepEqual([dryRun, api.store.head()], [true, head])
    // eni-6 is observed by sg-2 as well.
    assert.deepEqual(
      [observed.networkInterfaceCount, observed.packets, observed.liveSessions, observed.isComplete],
      [1, 42, 3, true],
    )
    assert.deepEqual([observed.reasons[0].securityGroupRuleId, observed.flows[0].peer], ['sgr-9', '203.0.113.9'])
    assert.deepEqual([observed.stillObservedIds, observed.stillObservedCount], [['eni-6'], 1])
    away.add('agent-1')
    const incomplete = (await setMode(api, `${groups}/sg-1`, 'enforce', '?dryRun=true')).body.observed
    assert.deepEqual([incomplete.isComplete, incomplete.missing[0].reason], [false, 'away'])
  })

  for (const [name, method, url, body, expected] of [
    ['by the mode of an interface', 'PATCH', `${enis}/eni-1`, { mode: 'enforce' }, [1, 0]],
    ['by other groups', 'PATCH', `${enis}/eni-2`, { securityGroupIds: ['sg-3'] }, [1, 0]],
    ['by leaving a group', 'POST', `${groups}/sg-2/leave`, { networkInterfaceIds: ['eni-6'] }, [1, 0]],
    ['by the mode of a group', 'PATCH', `${groups}/sg-2`, { mode: 'enforce' }, [2, 0]],
    ['not by another name', 'PATCH', `${groups}/sg-2`, { securityGroupName: 'web' }, null],
    ['not by observing', 'PATCH', `${groups}/sg-2`, { mode: 'observe' }, null],
    ['not where nothing was observed', 'PATCH', `${enis}/eni-3`, { mode: 'enforce' }, null],
  ] as const) {
    test(`${name}`, async () => {
      await using scene = await setScene()
      const { api } = scene
      await setMode(api, `${enis}/eni-1`, 'observe')
      await setMode(api, `${groups}/sg-2`, 'observe')
      const answer = await api.request(method, `${url}?dryRun=true`, body)
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      const { observed } = answer.body
      assert.deepEqual(observed === undefined ? null : [observed.observedCount, observed.stillObservedCount], expected)
    })
  }

  test('nothing of an account that the token may not read', async () => {
    await using scene = await setScene()
    const { api } = scene
    await setMode(api, `${groups}/sg-1`, 'observe')
    const token = await api.makeToken([{ accountId, access: 'write' }])
    const { body } = await api.request('PATCH', `${groups}/sg-1?dryRun=true`, { mode: 'enforce' }, { token })
    assert.equal(body.observed.networkInterfaceCount, 2)
  })
})

describe('that something is observed', () => {
  test('is shown of agents, in the health report and by a metric', async () => {
    await using scene = await setScene()
    const { api } = scene
    await setMode(api, `${groups}/sg-2`, 'observe')
    await setMode(api, `${enis}/eni-1`, 'observe')
    await setMode(api, `${enis}/eni-5`, 'observe')
    const { agent } = (await api.request('GET', '/v1/agents/agent-1')).body
    assert.deepEqual(agent.observedNetworkInterfaceIds, ['eni-1', 'eni-2'])
    const health = await api.request('GET', '/v1/health-report')
    assert.deepEqual(health.body.observed, {
      networkInterfaceCount: 3,
      networkInterfaceIds: ['eni-1', 'eni-2', 'eni-6'],
      securityGroupIds: ['sg-2'],
    })
    const ofOne = await api.request('GET', '/v1/health-report?securityGroupId=sg-1')
    assert.deepEqual(ofOne.body.observed, {
      networkInterfaceCount: 2,
      networkInterfaceIds: ['eni-1', 'eni-6'],
      securityGroupIds: [],
    })
    const count = async () =>
      /^ringwall_daemon_observed_network_interfaces (\d+)$/m.exec((await api.request('GET', '/metrics')).body)?.[1]
    assert.equal(await count(), '3')
    await api.request('DELETE', `${enis}/eni-6`)
    await setMode(api, `${enis}/eni-1`, 'enforce')
    await post(api, `${groups}/sg-3/join`, { networkInterfaceIds: ['eni-5'] })
    assert.equal(await count(), '2')
  })
})
