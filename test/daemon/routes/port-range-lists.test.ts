/** Lists of ports over REST: what the rules that name them become for agents, in exports, clones and explanations. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { impactOf } from '../../../daemon/push/impact.ts'
import { revisionOfObject, viewObject } from '../../../daemon/push/views.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, makeFleet, post } from '../../support/fleet-state.ts'

const lists = '/v1/port-range-lists'
const rules = '/v1/security-groups/sg-4/rules'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
type Shown = any

describe('lists of ports', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
    await makeFleet(api)
    const entries = [{ portRange: '80' }, { portRange: '8000/8100', description: 'many' }]
    await post(api, lists, { accountId, portRangeListId: 'prl-web', portRangeListName: 'web', entries })
  })
  after(() => api[Symbol.asyncDispose]())

  const permission = {
    direction: 'ingress',
    ipProtocol: 'tcp',
    portRangeListId: 'prl-web',
    sourceCidrIp: '198.18.0.0/16',
  }
  /** As agents are told of the group. */
  const toldOf = (id: string) =>
    (viewObject(api.world, `group/${id}`)!.value as { readonly rules: readonly Shown[] }).rules.map(
      ({ id: ruleId, portRange, portRangeListId }) => [ruleId, portRange, portRangeListId],
    )

  test('are made with canonical ranges, and listed', async () => {
    const { portRangeList } = (await api.request('GET', `${lists}/prl-web`)).body
    assert.deepEqual(portRangeList.entries, [
      { portRange: '80/80', description: null },
      { portRange: '8000/8100', description: 'many' },
    ])
    assert.equal(portRangeList.maxEntries, 20)
    const { items } = (await api.request('GET', `${lists}?portRangeListName=w*`)).body
    assert.deepEqual(
      items.map((each: Shown) => each.portRangeListId),
      ['prl-web'],
    )
  })

  test('a rule that names one is told to agents as one for each range, all of one id, and follows the list', async () => {
    const { permissions } = await post(api, rules, { permissions: [permission] })
    const [{ securityGroupRuleId: id, portRange, portRangeListId }] = permissions as [Shown]
    assert.deepEqual([portRange, portRangeListId], ['', 'prl-web'])
    assert.deepEqual(toldOf('sg-4'), [
      [id, '80/80', undefined],
      [id, '8000/8100', undefined],
    ])
    const before = revisionOfObject(api.world, 'group', 'sg-4')
    await api.request('PATCH', `${lists}/prl-web`, {
      removeEntries: [{ portRange: '80/80' }],
      addEntries: [{ portRange: '443' }],
    })
    assert.deepEqual(toldOf('sg-4'), [
      [id, '8000/8100', undefined],
      [id, '443/443', undefined],
    ])
    assert.ok(revisionOfObject(api.world, 'group', 'sg-4') > before)
    const { items } = (await api.request('GET', `${lists}/prl-web/associations`)).body
    assert.deepEqual(items, [{ securityGroupId: 'sg-4', securityGroupRuleIds: [id] }])
    const held = await api.request('DELETE', `${lists}/prl-web`)
    assert.deepEqual([held.status, held.body.heldBy], [409, { securityGroupIds: ['sg-4'] }])
  })

  test('a change of ranges concerns the agents of the groups, one of its name nobody', async () => {
    await addAgent(api, 'agent-ports')
    await post(api, '/v1/instances', { accountId, instanceId: 'i-ports', agentId: 'agent-ports' })
    await post(api, '/v1/network-interfaces', {
      instanceId: 'i-ports',
      device: 'eth0',
      securityGroupIds: ['sg-4'],
      privateIpAddresses: ['198.18.3.1'],
    })
    const before = api.world.get('portRangeList', 'prl-web')!
    const impact = (value: object | null) => {
      const { viewKeys, agentIds } = impactOf(api.world, [{ key: 'portRangeList/prl-web', before, value }])
      return [[...viewKeys], [...agentIds]]
    }
    assert.deepEqual(impact({ ...before, name: 'x' }), [[], []])
    const entries = [{ portRange: '1/1', description: null }]
    assert.deepEqual(impact({ ...before, entries }), [['group/sg-4'], ['agent-ports']])
    const change = { addEntries: [{ portRange: '1/1' }] }
    const preview = await api.request('PATCH', '/v1/port-range-lists/prl-web?dryRun=true', change)
    const { id: securityGroupRuleId } = api.world.get('group', 'sg-4')!.rules[0]!
    assert.deepEqual(preview.body.rules, [{ securityGroupId: 'sg-4', securityGroupRuleId, effect: 'entries-changed' }])
  })

  test('explanations, health reports, exports and clones know of them', async () => {
    const { id } = api.world.get('group', 'sg-4')!.rules[0]!
    await post(api, '/v1/network-interfaces', { networkInterfaceId: 'eni-ports', securityGroupIds: ['sg-4'] })
    const ask = async (port: number) =>
      (
        await api.request('POST', '/v1/explain', {
          networkInterfaceId: 'eni-ports',
          direction: 'ingress',
          protocol: 'tcp',
          source: '198.18.0.9',
          destination: '198.18.3.9',
          port,
        })
      ).body
    const [hit, miss] = [await ask(8050), await ask(80)]
    assert.deepEqual([hit.verdict, hit.ruleId, miss.verdict], ['accept', id, 'drop'])
    assert.equal((await api.request('GET', '/v1/health-report?securityGroupId=sg-4')).status, 200)

    const exported = (await api.request('GET', '/v1/security-groups/sg-4/export?format=json')).body
    await post(api, '/v1/security-groups/sg-5/import?mode=append', exported)
    assert.equal(api.world.get('group', 'sg-5')!.rules[0]!.portRangeListId, 'prl-web')
    const csv = (await api.request('GET', '/v1/security-groups/sg-4/export?format=csv')).body
    const imported = await api.request('POST', '/v1/security-groups/sg-6/import?mode=append', csv, {
      headers: { 'content-type': 'text/csv' },
    })
    assert.equal(imported.status, 200, JSON.stringify(imported.body))
    assert.equal(api.world.get('group', 'sg-6')!.rules[0]!.portRangeListId, 'prl-web')
    await post(api, '/v1/security-groups/sg-4/clone', { securityGroupId: 'sg-clone' })
    assert.equal(api.world.get('group', 'sg-clone')!.rules[0]!.portRangeListId, 'prl-web')
    // A list is for groups of its own account.
    const elsewhere = await api.request('POST', '/v1/security-groups/sg-4/clone', { accountId: otherAccountId })
    assert.deepEqual([elsewhere.status, elsewhere.body.errors[0].code], [400, 'InvalidPortRangeListId.NotFound'])
  })

  test('what a rule cannot say beside one is refused', async () => {
    const rows: readonly [object, string][] = [
      [{ portRange: '80/80' }, 'permissions[0].portRangeListId'],
      [{ ipProtocol: 'gre' }, 'permissions[0].portRangeListId'],
      [{ portRangeListId: 'prl-none' }, 'permissions[0].portRangeListId'],
      [{ ipProtocol: undefined, service: 'ssh' }, 'permissions[0].portRangeListId'],
    ]
    for (const [fault, field] of rows) {
      const answer = await api.request('POST', rules, { permissions: [{ ...permission, ...fault }] })
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.field], [400, field], JSON.stringify(answer.body))
    }
  })
})
