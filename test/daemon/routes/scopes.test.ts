/** What a token may not see does not exist for it, and what it may not change stays. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { makeFleet } from '../../support/fleet-state.ts'

describe('scopes', () => {
  let api: TestApi
  const tokens: Record<string, string> = {}
  before(async () => {
    api = await startApi()
    await makeFleet(api)
    tokens.own = await api.makeToken([{ accountId, access: 'write' }])
    tokens.reader = await api.makeToken([{ accountId, access: 'read' }])
    tokens.auditor = await api.makeToken([{ accountId: '*', access: 'read' }])
  })
  after(() => api[Symbol.asyncDispose]())

  /** Token, request, and what comes of it. */
  const rows: readonly (readonly [string, string, string, unknown, string])[] = [
    ['own', 'GET', '/v1/instances/i-b', undefined, '404 InvalidInstanceId.NotFound'],
    ['own', 'GET', '/v1/network-interfaces/eni-b', undefined, '404 InvalidEniId.NotFound'],
    ['own', 'GET', '/v1/accounts/2000000000000000', undefined, '404 InvalidAccountId.NotFound'],
    ['own', 'POST', '/v1/security-groups/sg-b/join', { instanceIds: ['i-1'] }, '404 InvalidSecurityGroupId.NotFound'],
    ['own', 'POST', '/v1/security-groups/sg-1/join', { networkInterfaceIds: ['eni-b'] }, '400 InvalidEniId.NotFound'],
    [
      'own',
      'POST',
      '/v1/network-interfaces',
      { instanceId: 'i-3', securityGroupIds: ['sg-b'] },
      '400 InvalidSecurityGroupId.NotFound',
    ],
    ['own', 'POST', '/v1/instances', { accountId: '2000000000000000' }, '400 InvalidAccountId.NotFound'],
    ['own', 'POST', '/v1/instances', { agentId: 'agent-1' }, '403 Forbidden'],
    ['own', 'PATCH', '/v1/instances/i-1', { agentId: null }, '403 Forbidden'],
    ['own', 'PATCH', '/v1/instances/i-1', { smtpUnblocked: true }, '403 Forbidden'],
    ['reader', 'PATCH', '/v1/instances/i-1', { instanceName: 'x' }, '403 Forbidden'],
    ['reader', 'DELETE', '/v1/network-interfaces/eni-2', undefined, '403 Forbidden'],
    ['reader', 'POST', '/v1/instances', {}, '400 MissingParameter'],
    ['reader', 'POST', '/v1/instances', { accountId }, '403 Forbidden'],
    ['reader', 'POST', '/v1/security-groups/sg-1/leave', { instanceIds: ['i-6'] }, '403 Forbidden'],
    ['auditor', 'DELETE', '/v1/instances/i-1', undefined, '403 Forbidden'],
    ['auditor', 'POST', '/v1/tokens', { name: 'x', scopes: [{ accountId: '*', access: 'write' }] }, '403 Forbidden'],
    ...(
      [
        ['GET', '/v1/tokens'],
        ['GET', '/v1/agents'],
        ['GET', '/v1/agents/agent-1'],
        ['GET', '/v1/enrolment-tokens'],
        ['GET', '/v1/settings'],
        ['GET', '/v1/audit'],
        ['POST', '/v1/backup'],
        ['PATCH', '/v1/settings', {}],
        ['POST', '/v1/accounts', { name: 'x' }],
        ['PATCH', '/v1/accounts/1000000000000000', { name: 'x' }],
        ['DELETE', '/v1/accounts/1000000000000000'],
        ['POST', '/v1/enrolment-tokens', {}],
        ['POST', '/v1/agents/agent-1/revoke'],
        ['DELETE', '/v1/agents/agent-1'],
        ['DELETE', '/v1/tokens/token-test0'],
      ] as const
    ).map(([method, url, body]) => ['own', method, url, body, '403 Forbidden'] as const),
  ]

  for (const [who, method, url, body, expected] of rows) {
    test(`${who}: ${method} ${url} ${JSON.stringify(body) ?? ''}`, async () => {
      const stored = await api.store.list('')
      const answer = await api.request(method, url, body, { token: tokens[who]! })
      assert.equal(`${answer.status} ${answer.body.code}`, expected, JSON.stringify(answer.body))
      assert.deepEqual(await api.store.list(''), stored)
    })
  }

  test('lists have what the token may see', async () => {
    const count = async (url: string, token: string) =>
      (await api.request('GET', url, undefined, { token })).body.totalCount
    for (const url of ['/v1/instances', '/v1/network-interfaces']) {
      assert.equal((await count(url, tokens.auditor!)) - (await count(url, tokens.own!)), 1, url)
    }
    assert.deepEqual([await count('/v1/accounts', tokens.own!), await count('/v1/accounts', tokens.auditor!)], [1, 2])
    const other = await api.request('GET', '/v1/instances?accountId=2000000000000000', undefined, {
      token: tokens.own!,
    })
    assert.equal(other.body.totalCount, 0)
  })

  test('an address of an account it may not see is taken, and no more is said', async () => {
    const body = { instanceId: 'i-3', privateIpAddresses: ['198.18.0.99'], securityGroupIds: [] }
    const answer = await api.request('POST', '/v1/network-interfaces', body, { token: tokens.own! })
    assert.equal(answer.status, 409)
    assert.match(answer.body.detail, /one of another account has it/)
    assert.doesNotMatch(JSON.stringify(answer.body), /eni-b|i-b\b/)
  })

  test('changes show a token its own objects, and none of the rest', async () => {
    await api.request('PATCH', '/v1/instances/i-b', { instanceName: 'theirs' })
    const theirs = api.store.head()
    await api.request('PATCH', '/v1/instances/i-1', { instanceName: 'ours' })
    const seen = await api.request('GET', '/v1/changes', undefined, { token: tokens.own! })
    assert.deepEqual(seen.body.items[0].keys, ['instance/i-1'])
    assert.ok(seen.body.items.every(({ revision }: { revision: number }) => revision !== theirs))
    const one = await api.request('GET', `/v1/changes/${theirs}`, undefined, { token: tokens.own! })
    assert.deepEqual([one.status, one.body.code], [404, 'InvalidRevision.NotFound'])
  })

  test('limits count what the token may see', async () => {
    const answer = await api.request('GET', '/v1/limits', undefined, { token: tokens.own! })
    const where = answer.body.limits.map((use: { where: string | null }) => use.where)
    assert.ok(!where.includes('sg-b') && !where.includes('eni-b'), JSON.stringify(where))
  })

  test('whoami', async () => {
    const answer = await api.request('GET', '/v1/whoami', undefined, { token: tokens.reader! })
    assert.deepEqual(answer.body.scopes, [{ accountId, access: 'read' }])
  })
})
