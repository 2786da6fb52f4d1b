/** Accounts, tokens, settings and limits. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { viewObject } from '../../../daemon/push/views.ts'
import { accountId, otherAccountId, startApi } from '../../support/api.ts'
import { makeFleet, post } from '../../support/fleet-state.ts'

const all = { accountId: '*', access: 'write' } as const

describe('tokens', () => {
  test('are shown once, and do what their scopes say', async () => {
    await using api = await startApi()
    const body = { name: 'ci', scopes: [{ accountId, access: 'read' }] }
    const made = await api.request('POST', '/v1/tokens', body)
    const { token, apiToken } = made.body
    assert.match(token, /^rwt_token-[a-z0-9]{17}_[\w-]{43}$/)
    const listed = await api.request('GET', '/v1/tokens?name=ci')
    assert.deepEqual(listed.body.items, [apiToken])
    assert.doesNotMatch(JSON.stringify(listed.body), /secret/i)
    const whoami = await api.request('GET', '/v1/whoami', undefined, { token })
    assert.deepEqual(whoami.body, { tokenId: apiToken.tokenId, name: 'ci', scopes: body.scopes, identity: null })
    const stored = JSON.stringify(await api.store.list('token/'))
    assert.ok(!stored.includes(token.split('_').at(-1)), 'the secret itself is stored')
  })

  test('a dry run shows none that looks good', async () => {
    await using api = await startApi()
    const answer = await api.request('POST', '/v1/tokens?dryRun=true', { name: 'ci', scopes: [all] })
    assert.deepEqual([answer.body.token, api.world.count('token')], ['not made: this was a dry run', 1])
    assert.doesNotMatch(JSON.stringify(answer.body), /rwt_|secretSha256/)
  })

  test('one deletes itself if another may do everything, and the last one may not', async () => {
    let nowMs = 0
    await using api = await startApi({ now: () => nowMs })
    const made = await api.request('POST', '/v1/tokens', { name: 'two', scopes: [all], expiresInSeconds: 60 })
    const { token, apiToken } = made.body
    nowMs = 60_000
    const last = await api.request('DELETE', '/v1/tokens/token-test0')
    assert.deepEqual([last.status, last.body.code], [409, 'Conflict'])
    nowMs = 1
    const own = await api.request('DELETE', `/v1/tokens/${apiToken.tokenId}`, undefined, { token })
    assert.equal(own.status, 200)
    assert.equal((await api.request('GET', '/v1/whoami', undefined, { token })).status, 401)
    assert.equal((await api.request('DELETE', '/v1/tokens/token-test0')).status, 409)
    await api.makeToken([{ accountId, access: 'write' }])
    assert.equal((await api.request('DELETE', '/v1/tokens/token-test0')).status, 409)
  })

  for (const [name, body, expected] of [
    ['a name that is taken', { name: 'token-test0', scopes: [all] }, '409 Conflict name'],
    ['a name of two lines', { name: 'a\nb', scopes: [all] }, '400 InvalidParameter name'],
    ['no scope', { name: 'x', scopes: [] }, '400 InvalidParameter scopes'],
    [
      'an account that is not there',
      { name: 'x', scopes: [all, { accountId: '9999999999999999', access: 'read' }] },
      '400 InvalidAccountId.NotFound scopes[1].accountId',
    ],
    [
      'an account twice',
      {
        name: 'x',
        scopes: [
          { accountId, access: 'read' },
          { accountId, access: 'write' },
        ],
      },
      '400 InvalidParameter scopes[1].accountId',
    ],
    [
      'no account',
      { name: 'x', scopes: [{ accountId: 'all', access: 'read' }] },
      '400 InvalidParameter scopes[0].accountId',
    ],
    [
      'no access',
      { name: 'x', scopes: [{ accountId: '*', access: 'admin' }] },
      '400 InvalidParameter scopes[0].access',
    ],
    ['an end in the past', { name: 'x', scopes: [all], expiresInSeconds: -1 }, '400 InvalidParameter expiresInSeconds'],
    ['what is missing', {}, '400 MissingParameter name'],
  ] as const) {
    test(`${name} is refused`, async () => {
      await using api = await startApi()
      const answer = await api.request('POST', '/v1/tokens', body)
      const fields = answer.body.errors.map(({ field }: { field: string }) => field)
      assert.equal([answer.status, answer.body.code, ...fields].join(' '), expected)
      assert.equal(api.world.count('token'), 1)
    })
  }
})

describe('settings', () => {
  test('are the defaults until one is changed, and change by field', async () => {
    await using api = await startApi()
    const { settings } = (await api.request('GET', '/v1/settings')).body
    assert.deepEqual([settings.sessionTimeout, settings.revocation, settings.revision], [910, 'immediate', 0])
    const head = api.store.head()
    const same = await api.request('PATCH', '/v1/settings', { sessionTimeout: 910, limits: { groupsPerEni: 5 } })
    assert.deepEqual([same.status, api.store.head()], [200, head])
    const headers = { 'if-match': '"0"' }
    const changed = await api.request(
      'PATCH',
      '/v1/settings',
      { revocation: 'drain', limits: { groupsPerEni: 9 } },
      { headers },
    )
    const now = changed.body.settings
    assert.deepEqual(
      [now.revocation, now.sessionTimeout, now.limits.groupsPerEni, now.limits.rulesPerGroup, now.revision],
      ['drain', 910, 9, 200, head + 1],
    )
    const late = await api.request('PATCH', '/v1/settings', { sessionTimeout: 60 }, { headers })
    assert.equal(late.status, 412)
  })

  test('what is logged changes by field, and is told to agents as far as it was set', async () => {
    await using api = await startApi()
    const logging = { drops: true, sessions: false, perSecond: 100, nflogGroup: 21_079 }
    assert.deepEqual((await api.request('GET', '/v1/settings')).body.settings.logging, logging)
    await api.request('PATCH', '/v1/settings', { logging: { perSecond: 10_000 } })
    const changed = await api.request('PATCH', '/v1/settings', { logging: { sessions: true } })
    assert.deepEqual(changed.body.settings.logging, { ...logging, perSecond: 10_000, sessions: true })
    const told = viewObject(api.world, 'settings/fleet')
    assert.deepEqual(told?.kind === 'settings' && told.value.logging, { perSecond: 10_000, sessions: true })
  })

  for (const body of [
    { sessionTimeout: 0 },
    { sessionTimeout: 911 },
    { sessionTimeout: 1.5 },
    { revocation: 'never' },
    { limits: { rulesPerGroup: 0 } },
    { limits: { rulesPerGroup: 1e9 } },
    { limits: { enisPerHost: 5 } },
    { limits: null },
    { logging: null },
    { logging: { perSecond: 0 } },
    { logging: { perSecond: 10_001 } },
    { logging: { nflogGroup: 0 } },
    { logging: { nflogGroup: 65_536 } },
    { logging: { drops: 'yes' } },
    { logging: { file: '/tmp/x' } },
  ]) {
    test(`${JSON.stringify(body)} is refused`, async () => {
      await using api = await startApi()
      assert.equal((await api.request('PATCH', '/v1/settings', body)).status, 400)
      assert.equal(api.world.count('settings'), 0)
    })
  }

  test('a limit below what is there is refused, with where that is', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const { limits } = (await api.request('GET', '/v1/limits')).body
    const uses = Object.fromEntries(limits.map(({ limit, ...use }: { limit: string }) => [limit, use]))
    assert.deepEqual([uses.groupsPerEni.highest, uses.groupsPerEni.where], [2, 'eni-6'])
    assert.deepEqual([uses.advancedGroupEnis.highest, uses.advancedGroupEnis.where], [1, 'sg-adv'])
    assert.equal(uses.basicGroupPrivateIps.highest, 2)
    assert.deepEqual([uses.keyPairsPerAccount.highest, uses.keyPairsPerAccount.where], [0, null])
    const given = { groupsPerEni: 1, basicGroupPrivateIps: 1, advancedGroupEnis: 1 }
    const answer = await api.request('PATCH', '/v1/settings', { limits: given })
    const fields = answer.body.errors.map(({ field }: { field: string }) => field)
    assert.deepEqual([answer.status, ...fields], [409, 'limits.groupsPerEni', 'limits.basicGroupPrivateIps'])
    assert.match(answer.body.detail, /expected 2 or more, which eni-6 has/)
    assert.equal(api.world.count('settings'), 0)
  })
})

describe('accounts', () => {
  test('are made, renamed and deleted, with an id of 16 digits', async () => {
    await using api = await startApi()
    const { account } = await post(api, '/v1/accounts', { name: 'shop' })
    const { accountId: id } = account as { accountId: string }
    assert.match(id, /^[1-9]\d{15}$/)
    const renamed = await api.request('PATCH', `/v1/accounts/${id}`, { name: 'store', description: 'of things' })
    assert.deepEqual([renamed.body.account.name, renamed.body.account.description], ['store', 'of things'])
    assert.equal((await api.request('GET', `/v1/accounts/${id}`)).headers.etag, renamed.headers.etag)
    assert.equal((await api.request('DELETE', `/v1/accounts/${id}`)).status, 200)
    assert.equal((await api.request('GET', `/v1/accounts/${id}`)).status, 404)
  })

  test('one that owns something is held by it', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const answer = await api.request('DELETE', `/v1/accounts/${otherAccountId}`)
    assert.deepEqual([answer.status, answer.body.code], [409, 'DependencyViolation'])
    assert.deepEqual(answer.body.heldBy, {
      securityGroupIds: ['sg-b'],
      prefixListIds: [],
      portRangeListIds: [],
      instanceIds: ['i-b'],
      networkInterfaceIds: ['eni-b'],
      tokenIds: [],
      ram: [],
    })
    assert.equal(api.world.count('account'), 2)
  })

  test('one that a token names is held by it, or the token would be for whoever has the id next', async () => {
    await using api = await startApi()
    await api.makeToken([{ accountId: otherAccountId, access: 'read' }])
    const answer = await api.request('DELETE', `/v1/accounts/${otherAccountId}`)
    assert.deepEqual([answer.status, answer.body.code], [409, 'DependencyViolation'])
    assert.equal(answer.body.heldBy.tokenIds.length, 1)
  })

  for (const [name, method, url, body, expected] of [
    ['an id that is taken', 'POST', '/v1/accounts', { accountId, name: 'x' }, '409 IdAlreadyExists'],
    ['an id of 15 digits', 'POST', '/v1/accounts', { accountId: '100000000000000', name: 'x' }, '400 InvalidParameter'],
    ['no name', 'POST', '/v1/accounts', {}, '400 MissingParameter'],
    ['one that is not there', 'PATCH', '/v1/accounts/9999999999999999', { name: 'x' }, '404 InvalidAccountId.NotFound'],
    ['to delete one that is not there', 'DELETE', '/v1/accounts/x', undefined, '404 InvalidAccountId.NotFound'],
  ] as const) {
    test(`${name} is refused`, async () => {
      await using api = await startApi()
      const answer = await api.request(method, url, body)
      assert.equal(`${answer.status} ${answer.body.code}`, expected)
      assert.equal(api.world.count('account'), 2)
    })
  }
})
