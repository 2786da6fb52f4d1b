/** Objects as changes tell of them: in the words of a GET, all that is stored of them, and no secret. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Documents, Kind } from '../../../daemon/model/documents.ts'
import { describeDocument } from '../../../daemon/services/describe.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { makeEvent } from '../../support/ddos.ts'
import { makeEniDoc, makeGroup, makeInstance, makeRuleDoc } from '../../support/documents.ts'
import { makeFleet, post } from '../../support/fleet-state.ts'

const common = { accountId, name: 'n', description: 'd', tags: { a: 'b' }, createdAtMs: 1 }
const policy = { type: 'Custom', name: 'p', attachedAtMs: 1 } as const
const updated = { createdAtMs: 1, updatedAtMs: 2 }
const ram = { id: '1', accountId, name: 'n', policies: [policy], ...updated }

/** Each with every field that it can have. */
const whole: { readonly [K in Kind]?: Documents[K] } = {
  account: { id: accountId, name: 'n', description: 'd', createdAtMs: 1 },
  group: makeGroup({ id: 'sg-1', ...common, vpcId: 'vpc-1', mode: 'observe', rules: [makeRuleDoc({ id: 'sgr-1' })] }),
  prefixList: {
    id: 'pl-1',
    ...common,
    addressFamily: 'IPv4',
    maxEntries: 5,
    entries: [{ cidr: '198.18.0.0/16', description: null }],
  },
  portRangeList: { id: 'prl-1', ...common, maxEntries: 5, entries: [{ portRange: '80/80', description: null }] },
  instance: makeInstance({
    id: 'i-1',
    ...common,
    agentId: 'agent-1',
    ddosThreshold: { bps: 1, pps: 1, source: 'manual' },
    scrubbingCancelled: true,
    ddosOrder: { id: 'order-1', action: 'lift', holdSeconds: null },
  }),
  eni: makeEniDoc({
    id: 'eni-1',
    instanceId: 'i-1',
    ...common,
    vSwitchId: 'vsw-1',
    mode: 'observe',
    addresses: ['198.18.0.1', '2001:db8::1'],
    securityGroupIds: ['sg-1'],
  }),
  enrolment: {
    id: 'tok-1',
    secretSha256: 'hash',
    agentId: 'agent-1',
    instanceIds: ['i-1'],
    newInstance: null,
    createdAtMs: 1,
    expiresAtMs: 2,
    usedByAgentId: null,
  },
  token: {
    id: 'token-1',
    name: 'n',
    secretSha256: 'hash',
    scopes: [{ accountId, access: 'read' }],
    user: { accountId, name: 'u' },
    createdAtMs: 1,
    expiresAtMs: 2,
  },
  settings: {
    sessionTimeout: 910,
    revocation: 'drain',
    limits: {} as Documents['settings']['limits'],
    trafficScope: 'all',
    scrubbing: { allowList: ['198.18.0.0/16'] },
    logging: { accepted: true } as Documents['settings']['logging'] & {},
    ddosEvents: { keptDays: 5 },
  },
  ddosEvent: { event: makeEvent({ id: 'ddos-1' }), agentId: 'agent-1', accountId, ...updated },
  ramUser: { ...ram, displayName: 'N', comments: 'c', groups: [{ name: 'g', joinedAtMs: 1 }] },
  ramGroup: { ...ram, comments: 'c' },
  ramPolicy: {
    id: '1',
    accountId,
    name: 'n',
    description: 'd',
    versions: [{ id: 'v1', text: '{"Version":"1"}', createdAtMs: 1 }],
    defaultVersion: 'v1',
    nextVersion: 2,
    ...updated,
  },
  ramRole: { ...ram, description: 'd', trustPolicy: '{"Version":"1"}', maxSessionSeconds: 3600 },
  accessKey: { id: 'RW1', accountId, userName: 'u', sealedSecret: 'sealed', status: 'Active', createdAtMs: 1 },
}

/** Hashes and seals, and what means nothing to anybody but the daemon. */
const untold: Readonly<Record<string, readonly string[]>> = {
  enrolment: ['secretSha256'],
  token: ['secretSha256'],
  accessKey: ['sealedSecret'],
  ramPolicy: ['id', 'nextVersion'],
  ddosEvent: ['createdAtMs', 'updatedAtMs'],
}

/** Another value of the same shape. */
function other(value: unknown): unknown {
  if (typeof value === 'number') return value + 1000
  if (typeof value === 'boolean') return !value
  if (typeof value === 'string') return value.startsWith('{') ? '{"Version":"2"}' : `${value}x`
  if (Array.isArray(value)) return []
  if (typeof value === 'object' && value !== null) {
    const [[name, first] = ['', null], ...rest] = Object.entries(value)
    return Object.fromEntries([[name, other(first)], ...rest])
  }
  return 'other'
}

describe('a change tells of everything that is stored of', () => {
  for (const [kind, doc] of Object.entries(whole)) {
    test(kind, () => {
      const text = (value: unknown) => JSON.stringify(describeDocument(`${kind}/x`, value))
      const fields = Object.entries(doc)
      const hidden = fields.filter(([name, value]) => text({ ...doc, [name]: other(value) }) === text(doc))
      // What is told by its absence, or in two words alone.
      const silent = hidden.filter(([name]) => {
        const { [name as keyof typeof doc]: _, ...without } = doc
        return text(without) === text(doc)
      })
      assert.deepEqual(
        silent.map(([name]) => name),
        untold[kind] ?? [],
      )
      for (const secret of ['hash', 'sealed']) assert.ok(!text(doc).includes(secret), secret)
    })
  }
})

test('what is not whole, or not shown by the API, is told as it is stored, without secrets', () => {
  assert.deepEqual(describeDocument('group/sg-1', { id: 'sg-1', secretSha256: 'hash' }), { id: 'sg-1' })
  assert.deepEqual(describeDocument('authority/agents', { id: 'agents', privateKey: 'key' }), { id: 'agents' })
  assert.equal(describeDocument('group/sg-1', null), null)
})

describe('the words are those of a GET', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
    await makeFleet(api)
    await post(api, '/v1/prefix-lists', { accountId, prefixListName: 'office', addressFamily: 'IPv4' })
    await post(api, '/v1/port-range-lists', { accountId, portRangeListName: 'web' })
    await post(api, `/v1/ram/users?accountId=${accountId}`, { userName: 'alice' })
    await post(api, `/v1/ram/groups?accountId=${accountId}`, { groupName: 'admins' })
  })
  after(() => api[Symbol.asyncDispose]())

  const lists: readonly (readonly [kind: Kind, url: string, idField: string])[] = [
    ['account', '/v1/accounts', 'accountId'],
    ['group', '/v1/security-groups', 'securityGroupId'],
    ['prefixList', '/v1/prefix-lists', 'prefixListId'],
    ['portRangeList', '/v1/port-range-lists', 'portRangeListId'],
    ['instance', '/v1/instances', 'instanceId'],
    ['eni', '/v1/network-interfaces', 'networkInterfaceId'],
    ['token', '/v1/tokens', 'tokenId'],
    ['ramUser', '/v1/ram/users', 'userName'],
    ['ramGroup', '/v1/ram/groups', 'groupName'],
  ]
  for (const [kind, url, idField] of lists) {
    test(kind, async () => {
      const { items } = (await api.request('GET', url)).body
      assert.ok(items.length > 0)
      for (const item of items) {
        const id = kind.startsWith('ram') ? `${accountId}.${item[idField]}` : item[idField]
        const { permissions: _, ddosThreshold: _threshold, order: _order, ...told } = described(kind, id)
        assert.partialDeepStrictEqual(item, told)
      }
    })
  }

  const described = (kind: Kind, id: string) => describeDocument(`${kind}/${id}`, api.world.get(kind, id)) ?? {}

  test('rules, in a dry run and in the audit log', async () => {
    const rule = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '198.18.0.0/16' }
    const url = '/v1/security-groups/sg-1/rules'
    const dry = await api.request('POST', `${url}?dryRun=true`, { permissions: [rule] })
    const [change, ...more] = dry.body.changes
    assert.deepEqual(more, [])
    const [added] = change.after.permissions.slice(change.before.permissions.length)
    const { securityGroupRuleId: _, createTime: _time, ...said } = added
    assert.deepEqual(said, { ...rule, policy: 'accept', priority: 1, nicType: 'internet' })
    await post(api, url, { permissions: [rule] })
    const shown = (await api.request('GET', '/v1/security-groups/sg-1')).body.permissions.at(-1)
    await api.audit.settled()
    const [event] = (await api.request('GET', '/v1/audit?maxResults=1')).body.items
    assert.deepEqual(event.changes, [
      {
        key: 'group/sg-1',
        before: { permissions: { removed: [], changed: [] } },
        after: { permissions: { added: [shown], changed: [] } },
      },
    ])
  })
})
