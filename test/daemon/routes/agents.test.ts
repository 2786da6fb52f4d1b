/** Agents and enrolment tokens, as far as the REST API goes; enrolment itself is in test/daemon/pki. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ApiError } from '../../../daemon/errors.ts'
import type { AgentStanding } from '../../../daemon/services/fleet.ts'
import { parseEnrolmentToken } from '../../../wire/enrolment.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, hostReport, makeFleet, post } from '../../support/fleet-state.ts'

const standing: AgentStanding = {
  state: 'refusing',
  sinceMs: Date.parse('2026-02-03T00:00:00Z'),
  enforcedRevision: 7,
  relevantRevision: 9,
  lastError: { message: 'nft refuses' },
  trial: { revision: 9, cuts: ['a session (a rule)'], needsPerson: true, untilMs: Date.parse('2026-02-03T00:01:00Z') },
  enis: [{ id: 'eni-1', state: 'enforced' }],
}

const shownTrial = {
  revision: 9,
  cuts: ['a session (a rule)'],
  needsPerson: true,
  until: '2026-02-03T00:01:00.000Z',
}

describe('agents', () => {
  let api: TestApi
  const confirmed: string[] = []
  before(async () => {
    api = await startApi({
      fleet: {
        statusOf: id => (id === 'agent-1' ? standing : undefined),
        confirmTrial(id) {
          if (id !== 'agent-1') throw new ApiError(409, 'NothingOnTrial', `Cannot confirm for agent "${id}"`)
          confirmed.push(id)
          return standing.trial!
        },
      },
    })
    await makeFleet(api)
  })
  after(() => api[Symbol.asyncDispose]())

  test('show since when their host is open, as they said last', async () => {
    const openOf = async (id: string) => {
      const { isOpen, openSince } = (await api.request('GET', `/v1/agents/${id}`)).body.agent
      return [isOpen, openSince]
    }
    const report = hostReport([])
    await addAgent(api, 'agent-open', { report: { ...report, openSince: '2026-02-03T00:00:00.000Z' } })
    await addAgent(api, 'agent-opened', { report: { ...report, openSince: null } })
    assert.deepEqual(await openOf('agent-1'), [false, null])
    assert.deepEqual(await openOf('agent-silent'), [false, null])
    assert.deepEqual(await openOf('agent-open'), [true, '2026-02-03T00:00:00.000Z'])
    assert.deepEqual(await openOf('agent-opened'), [true, null])
    assert.match((await api.request('GET', '/metrics')).body, /^ringwall_daemon_open_hosts 2$/m)
    for (const id of ['agent-open', 'agent-opened']) {
      await api.store.commit({ writes: [{ key: `agent/${id}`, value: null }] })
    }
  })

  test('show who gets in to their host whatever the rules say, where they tell', async () => {
    const rescueOf = async (id: string) => {
      const { rescue, rescuePorts } = (await api.request('GET', `/v1/agents/${id}`)).body.agent
      return { rescue, rescuePorts }
    }
    const told = { rescue: [{ source: '198.18.7.0/24', port: 22 }], rescuePorts: [22, 2222] }
    await addAgent(api, 'agent-rescued', { report: { ...hostReport([]), ...told } })
    assert.deepEqual(await rescueOf('agent-rescued'), told)
    assert.deepEqual(await rescueOf('agent-1'), { rescue: null, rescuePorts: null })
    assert.deepEqual(await rescueOf('agent-silent'), { rescue: null, rescuePorts: null })
    await api.store.commit({ writes: [{ key: 'agent/agent-rescued', value: null }] })
  })

  test('show what they said and how they stand', async () => {
    const { agent } = (await api.request('GET', '/v1/agents/agent-1')).body
    const { state, since, enforcedRevision, relevantRevision, lastError, instanceIds, networkInterfaces, devices } =
      agent
    assert.deepEqual(
      { state, since, enforcedRevision, relevantRevision, lastError, instanceIds, networkInterfaces },
      {
        state: 'refusing',
        since: '2026-02-03T00:00:00.000Z',
        enforcedRevision: 7,
        relevantRevision: 9,
        lastError: 'nft refuses',
        instanceIds: ['i-1', 'i-4'],
        networkInterfaces: [{ networkInterfaceId: 'eni-1', state: 'enforced' }],
      },
    )
    assert.deepEqual(
      devices.map((each: { name: string }) => each.name),
      ['eth0', 'eth1', 'br0', 'eth2', 'tap0'],
    )
    assert.equal(agent.certificateExpireTime, '2030-01-01T00:00:00.000Z')
    assert.deepEqual(agent.trial, shownTrial)
  })

  test('are told that somebody wants what is on trial; the audit log has who', async () => {
    const path = '/v1/agents/agent-1/confirm'
    const { status, body } = await api.request('POST', path)
    assert.deepEqual([status, body], [200, { agentId: 'agent-1', trial: shownTrial }])
    const nothing = await api.request('POST', '/v1/agents/agent-silent/confirm')
    assert.deepEqual([nothing.status, nothing.body.code], [409, 'NothingOnTrial'])
    assert.equal((await api.request('POST', '/v1/agents/agent-none/confirm')).status, 404)
    const reader = await api.makeToken([{ accountId: '*', access: 'read' }])
    assert.equal((await api.request('POST', path, undefined, { token: reader })).status, 403)
    assert.deepEqual(confirmed, ['agent-1'])
    await api.audit.settled()
    const { items } = (await api.request('GET', '/v1/audit?action=ringwall:ConfirmPolicy')).body
    assert.deepEqual(items.map((event: { outcome: string; detail?: string }) => [event.outcome, event.detail]).at(-1), [
      'done',
      'the policy of revision 9 on trial at agent agent-1',
    ])
  })

  test('are listed by state and host name', async () => {
    const ids = async (query: string) =>
      (await api.request('GET', `/v1/agents?${query}`)).body.items.map((agent: { agentId: string }) => agent.agentId)
    assert.deepEqual(await ids('state=revoked'), ['agent-revoked'])
    assert.deepEqual(await ids('state=away'), ['agent-silent'])
    assert.deepEqual(await ids('hostName=*SILENT'), ['agent-silent'])
  })

  test('at work cannot be deleted; revoked it can, and its instances stay', async () => {
    await addAgent(api, 'agent-gone', { report: api.world.get('agent', 'agent-1')!.report })
    await post(api, '/v1/instances', { accountId, instanceId: 'i-gone', agentId: 'agent-gone' })
    await post(api, '/v1/enrolment-tokens', { agentId: 'agent-gone' })
    const early = await api.request('DELETE', '/v1/agents/agent-gone')
    assert.deepEqual([early.status, early.body.code], [409, 'Conflict'])
    const revoked = await api.request('POST', '/v1/agents/agent-gone/revoke')
    assert.deepEqual([revoked.body.agent.state, revoked.body.agent.certificateExpireTime], ['revoked', null])
    const head = api.store.head()
    assert.equal((await api.request('POST', '/v1/agents/agent-gone/revoke')).body.revision, head)
    assert.equal((await api.request('DELETE', '/v1/agents/agent-gone')).status, 200)
    assert.equal(api.world.get('instance', 'i-gone')?.agentId, null)
    assert.equal(api.world.count('enrolment'), 0)
  })

  test('one that never connected can be deleted', async () => {
    await addAgent(api, 'agent-never')
    assert.equal((await api.request('DELETE', '/v1/agents/agent-never')).status, 200)
    assert.equal((await api.request('DELETE', '/v1/agents/agent-never')).status, 404)
  })
})

describe('enrolment tokens', () => {
  test('are shown once, with the command that uses them', async () => {
    await using api = await startApi({ now: () => 0, fleet: { agentUrl: 'https://ringwall.example:7443' } })
    await makeFleet(api)
    const body = {
      instanceIds: ['i-3'],
      newInstance: { accountId, instanceType: 'ecs.g5.large' },
      expiresInSeconds: 60,
    }
    const made = (await api.request('POST', '/v1/enrolment-tokens', body)).body
    const parsed = parseEnrolmentToken(made.token)
    assert.equal(parsed?.id, made.enrolmentToken.enrolmentTokenId)
    assert.equal(parsed?.caFingerprint, 'A'.repeat(43))
    assert.equal(made.joinCommand, `ringwall agent join https://ringwall.example:7443 --token ${made.token}`)
    assert.equal(made.enrolmentToken.expireTime, '1970-01-01T00:01:00.000Z')
    const listed = await api.request('GET', '/v1/enrolment-tokens')
    assert.deepEqual(listed.body.items, [made.enrolmentToken])
    assert.ok(!JSON.stringify(listed.body).includes(parsed!.secret))
    const { enrolmentTokenId } = made.enrolmentToken
    assert.equal((await api.request('DELETE', `/v1/enrolment-tokens/${enrolmentTokenId}`)).status, 200)
    assert.equal((await api.request('DELETE', `/v1/enrolment-tokens/${enrolmentTokenId}`)).status, 404)
  })

  for (const [name, body, expected] of [
    ['an agent that is not there', { agentId: 'agent-none' }, '400 InvalidAgentId.NotFound agentId'],
    ['instances that are not there', { instanceIds: ['i-3', 'i-x'] }, '400 InvalidInstanceId.NotFound instanceIds[1]'],
    ['an instance that another agent serves', { instanceIds: ['i-1'] }, '409 Conflict instanceIds[0]'],
    ['an instance twice', { instanceIds: ['i-3', 'i-3'] }, '400 InvalidParameter instanceIds[1]'],
    [
      'an account that is not there',
      { newInstance: { accountId: '9999999999999999' } },
      '400 InvalidAccountId.NotFound newInstance.accountId',
    ],
    ['eight days', { expiresInSeconds: 8 * 24 * 3600 }, '400 InvalidParameter expiresInSeconds'],
    ['instances with one device twice', { instanceIds: ['i-3', 'i-2'] }, '409 Conflict instanceIds[1]'],
    [
      'an instance with a device that the agent serves already',
      { agentId: 'agent-1', instanceIds: ['i-2'] },
      '409 Conflict instanceIds[0]',
    ],
  ] as const) {
    test(`${name}: refused`, async () => {
      await using api = await startApi()
      await makeFleet(api)
      for (const instanceId of ['i-2', 'i-3']) {
        const device = { instanceId, device: 'eth0', privateIpAddresses: [], securityGroupIds: [] }
        await post(api, '/v1/network-interfaces', device)
      }
      const answer = await api.request('POST', '/v1/enrolment-tokens', body)
      const fields = answer.body.errors.map(({ field }: { field: string }) => field)
      assert.equal([answer.status, answer.body.code, ...fields].join(' '), expected, JSON.stringify(answer.body))
      assert.equal(api.world.count('enrolment'), 0)
    })
  }

  test('one for the agent that serves the instance already', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const made = await post(api, '/v1/enrolment-tokens', { agentId: 'agent-1', instanceIds: ['i-1'] })
    assert.ok(made.token)
  })
})
