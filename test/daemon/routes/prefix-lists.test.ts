/** `/v1/prefix-lists` end to end on a real store. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Answer, accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'
import { assertRefused } from '../../support/refused-requests.ts'

type Body = Answer['body']

const lists = '/v1/prefix-lists'

let api: TestApi

before(async () => {
  api = await startApi({ now: () => Date.parse('2026-03-01T00:00:00Z') })
})
after(() => api[Symbol.asyncDispose]())

async function make(fields: Record<string, unknown> = {}): Promise<Body> {
  const wish = { accountId, prefixListName: 'list', addressFamily: 'IPv4', ...fields }
  return ((await post(api, lists, wish)) as Body).prefixList
}

describe('making a prefix list', () => {
  test('stores blocks in one form', async () => {
    const { prefixListId, revision, ...rest } = await make({
      entries: [{ cidr: '198.18.7.9/15' }, { cidr: '203.0.113.9', description: 'the office' }, { cidr: '0.0.0.0/0' }],
    })
    assert.match(prefixListId, /^pl-[a-z0-9]{17}$/)
    assert.equal(revision, api.store.head())
    assert.deepEqual(rest, {
      accountId,
      prefixListName: 'list',
      description: null,
      tags: {},
      addressFamily: 'IPv4',
      maxEntries: 20,
      entries: [
        { cidr: '198.18.0.0/15', description: null },
        { cidr: '203.0.113.9/32', description: 'the office' },
        { cidr: '0.0.0.0/0', description: null },
      ],
      associationCount: 0,
      createTime: '2026-03-01T00:00:00.000Z',
    })
  })

  test('of IPv6', async () => {
    const { entries } = await make({ addressFamily: 'IPv6', entries: [{ cidr: '2001:DB8::9/32' }, { cidr: '::1' }] })
    assert.deepEqual(
      entries.map((entry: Body) => entry.cidr),
      ['2001:db8::/32', '::1/128'],
    )
  })

  test('of as many entries as there may be', async () => {
    const entries = Array.from({ length: 200 }, (_, n) => ({ cidr: `10.0.0.${n}` }))
    const whole = await make({ entries })
    assert.deepEqual([whole.entries.length, whole.maxEntries], [200, 200])
    assert.equal((await make({ entries: entries.slice(0, 3), maxEntries: 3 })).entries.length, 3)
  })
})

describe('changing a prefix list', () => {
  test('takes entries out, then adds others; what is there gets the new description', async () => {
    const { prefixListId } = await make({
      maxEntries: 3,
      entries: [{ cidr: '10.0.0.0/8' }, { cidr: '11.0.0.0/8', description: 'old' }, { cidr: '12.0.0.0/8' }],
    })
    const { status, body, headers } = await api.request('PATCH', `${lists}/${prefixListId}`, {
      removeEntries: [{ cidr: '10.9.9.9/8' }, { cidr: '99.0.0.0/8' }],
      addEntries: [{ cidr: '11.0.0.0/8', description: 'new' }, { cidr: '13.0.0.1/8' }],
    })
    assert.equal(status, 200, JSON.stringify(body))
    assert.equal(headers.etag, `"${body.revision}"`)
    assert.deepEqual(body.prefixList.entries, [
      { cidr: '11.0.0.0/8', description: 'new' },
      { cidr: '12.0.0.0/8', description: null },
      { cidr: '13.0.0.0/8', description: null },
    ])
  })

  test('changes its words, and null clears', async () => {
    const { prefixListId } = await make({ description: 'x', tags: { a: '1' } })
    const change = { prefixListName: 'other', description: null, tags: null, maxEntries: 5 }
    const { body } = await api.request('PATCH', `${lists}/${prefixListId}`, change)
    const { prefixListName, description, tags, maxEntries } = body.prefixList
    assert.deepEqual([prefixListName, description, tags, maxEntries], ['other', null, {}, 5])
  })

  test('holds only for the revision that If-Match says; a dry run stores nothing', async () => {
    const { prefixListId, revision } = await make()
    const url = `${lists}/${prefixListId}`
    const head = api.store.head()
    const dry = await api.request('PATCH', `${url}?dryRun=true`, { maxEntries: 5 })
    assert.deepEqual([dry.body.dryRun, dry.body.changes.length, api.store.head()], [true, 1, head])
    const headers = { 'if-match': `"${revision}"` }
    assert.equal((await api.request('PATCH', url, { maxEntries: 5 }, { headers })).status, 200)
    await assertRefused(api, {
      method: 'PATCH',
      url,
      body: { maxEntries: 6 },
      headers,
      expected: '412 PreconditionFailed',
    })
    await assertRefused(api, { method: 'DELETE', url, headers, expected: '412 PreconditionFailed' })
  })

  test('with a family that a narrowed rule does not have is refused', async () => {
    const { prefixListId } = await make({ addressFamily: 'IPv6' })
    await post(api, '/v1/security-groups', {
      accountId,
      securityGroupId: 'sg-narrow',
      permissions: [
        { direction: 'ingress', ipProtocol: 'all', sourcePrefixListId: prefixListId, destCidrIp: '198.18.0.1' },
      ],
    })
    await assertRefused(api, {
      method: 'PATCH',
      url: `${lists}/${prefixListId}`,
      body: { addEntries: [{ cidr: '2001:db8::/32' }] },
      expected: '400 InvalidParameter addEntries',
      message: /rule sgr-\w+ of sg-narrow names the list: Cannot narrow to "198\.18\.0\.1\/32"/,
    })
  })
})

describe('a list that rules name', () => {
  test('weighs what it may grow to, and with a list of ports each combination', async () => {
    const { prefixListId } = await make({ maxEntries: 50 })
    const { portRangeList } = (await post(api, '/v1/port-range-lists', {
      accountId,
      portRangeListName: 'web',
      maxEntries: 3,
      entries: [{ portRange: '80/80' }],
    })) as Body
    const rule = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourcePrefixListId: prefixListId }
    const { portRange: _, ...ofPorts } = { ...rule, portRangeListId: portRangeList.portRangeListId }
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-full', permissions: [rule, ofPorts] })
    const limits = (await api.request('GET', '/v1/limits')).body.limits
    const use = limits.find(({ limit }: Body) => limit === 'rulesPerGroup')
    assert.deepEqual([use.highest, use.where], [200, 'sg-full'])
    const url = '/v1/security-groups/sg-full/rules'
    await assertRefused(api, {
      method: 'POST',
      url,
      body: {
        permissions: [{ direction: 'ingress', ipProtocol: 'tcp', portRange: '81/81', sourceCidrIp: '10.0.0.1' }],
      },
      expected: '403 LimitExceeded permissions',
      message: /a count of "201": expected at most 200 .* where one that names a list counts for its maxEntries/,
    })
    await assertRefused(api, {
      method: 'PATCH',
      url: `${lists}/${prefixListId}`,
      body: { maxEntries: 51 },
      expected: '403 LimitExceeded maxEntries',
      message: /sg-full has rules that name the list: Cannot accept a count of "204"/,
    })
    const change = async (body: object) => (await api.request('PATCH', `${lists}/${prefixListId}`, body)).status
    const room = { addEntries: [{ cidr: '10.1.0.0/16' }], maxEntries: 49 }
    assert.deepEqual([await change(room), await change({ maxEntries: 50 })], [200, 200])
  })

  test('that weigh more than they may, since a time when lists weighed less, can be changed and get no more', async () => {
    const { prefixListId } = await make({ maxEntries: 100 })
    const rule = { direction: 'ingress', ipProtocol: 'tcp', sourcePrefixListId: prefixListId }
    const { permissions } = (await post(api, '/v1/security-groups', {
      accountId,
      securityGroupId: 'sg-over',
      permissions: ['80/80', '81/81'].map(portRange => ({ ...rule, portRange })),
    })) as Body
    const doc = api.world.get('prefixList', prefixListId)
    await api.store.commit({ writes: [{ key: `prefixList/${prefixListId}`, value: { ...doc, maxEntries: 150 } }] })
    const url = '/v1/security-groups/sg-over/rules'
    const changed = await api.request('PATCH', `${url}/${permissions[0].securityGroupRuleId}`, { priority: 2 })
    assert.equal(changed.status, 200, JSON.stringify(changed.body))
    const more = { permissions: [{ direction: 'ingress', ipProtocol: 'all', sourceCidrIp: '10.0.0.1' }] }
    const message = new RegExp(`a list counts for its maxEntries \\(${prefixListId} 150\\)$`)
    await assertRefused(api, { method: 'POST', url, body: more, expected: '403 LimitExceeded permissions', message })
    const one = { permissions: [{ ...rule, portRange: '82/82' }] }
    // A smaller list makes room: that is what the refusal tells of.
    assert.equal((await api.request('PATCH', `${lists}/${prefixListId}`, { maxEntries: 20 })).status, 200)
    assert.equal((await api.request('POST', url, more)).status, 200)
    await api.store.commit({ writes: [{ key: `prefixList/${prefixListId}`, value: { ...doc, maxEntries: 150 } }] })
    assert.equal((await api.request('POST', '/v1/security-groups/sg-over/import?mode=replace', one)).status, 200)
  })

  test('shows them, and can be deleted after them', async () => {
    const { prefixListId } = await make({ entries: [{ cidr: '10.0.0.0/8' }] })
    const url = `${lists}/${prefixListId}`
    const rule = { direction: 'ingress', ipProtocol: 'all', sourcePrefixListId: prefixListId }
    const { permissions } = (await post(api, '/v1/security-groups', {
      accountId,
      securityGroupId: 'sg-user',
      permissions: [
        rule,
        { ...rule, policy: 'drop', priority: 2 },
        { direction: 'ingress', service: 'ssh', sourceCidrIp: '10.0.0.0/8' },
      ],
    })) as Body
    const { body } = await api.request('GET', `${url}/associations`)
    const securityGroupRuleIds = permissions.slice(0, 2).map((each: Body) => each.securityGroupRuleId)
    assert.deepEqual(body.items, [{ securityGroupId: 'sg-user', securityGroupRuleIds }])
    assert.equal((await api.request('GET', url)).body.prefixList.associationCount, 1)
    const rulesTouched = async (change: object) => (await api.request('PATCH', `${url}?dryRun=true`, change)).body.rules
    assert.deepEqual(
      await rulesTouched({ addEntries: [{ cidr: '198.18.0.0/15' }] }),
      securityGroupRuleIds.map((securityGroupRuleId: string) => ({
        securityGroupId: 'sg-user',
        securityGroupRuleId,
        effect: 'entries-changed',
      })),
    )
    assert.deepEqual(await rulesTouched({ prefixListName: 'renamed' }), [])
    await assertRefused(api, { method: 'DELETE', url, expected: '409 DependencyViolation' })
    await api.request('POST', '/v1/security-groups/sg-user/rules/revoke', { securityGroupRuleIds })
    assert.deepEqual((await api.request('DELETE', url)).body, { prefixListId, revision: api.store.head() })
    assert.equal((await api.request('GET', url)).status, 404)
  })
})

describe('listing', () => {
  test('filters, sorts and pages', async () => {
    const listing = await startApi()
    try {
      for (const [id, fields] of Object.entries({
        'pl-a': { prefixListName: 'office', tags: { env: 'prod' } },
        'pl-b': { prefixListName: 'bad', addressFamily: 'IPv6' },
        'pl-c': { prefixListName: 'office-2', accountId: otherAccountId },
      })) {
        await post(listing, lists, { accountId, addressFamily: 'IPv4', prefixListId: id, ...fields })
      }
      const rows = [
        { query: '', expected: ['pl-a', 'pl-b', 'pl-c'] },
        { query: 'prefixListName=office*', expected: ['pl-a', 'pl-c'] },
        { query: 'addressFamily=IPv6', expected: ['pl-b'] },
        { query: `accountId=${otherAccountId}`, expected: ['pl-c'] },
        { query: 'tag=env:prod', expected: ['pl-a'] },
        { query: 'sort=-prefixListName', expected: ['pl-c', 'pl-a', 'pl-b'] },
        { query: 'maxResults=1&sort=-createTime', expected: ['pl-c'] },
      ]
      for (const { query, expected } of rows) {
        const { body } = await listing.request('GET', `${lists}?${query}`)
        assert.deepEqual(
          body.items.map((list: Body) => list.prefixListId),
          expected,
          query,
        )
      }
    } finally {
      await listing[Symbol.asyncDispose]()
    }
  })
})

test('tokens of another account see nothing, those that may read change nothing', async () => {
  const { prefixListId } = await make()
  const url = `${lists}/${prefixListId}`
  const stranger = await api.makeToken([{ accountId: otherAccountId, access: 'write' }])
  const reader = await api.makeToken([{ accountId, access: 'read' }])
  for (const write of [
    { method: 'PATCH', url, body: { maxEntries: 9 } },
    { method: 'DELETE', url },
  ]) {
    await assertRefused(api, { ...write, token: stranger, expected: '404 InvalidPrefixListId.NotFound' })
    await assertRefused(api, { ...write, token: reader, expected: '403 Forbidden' })
  }
  for (const path of ['', '/associations']) {
    assert.equal((await api.request('GET', `${url}${path}`, undefined, { token: stranger })).status, 404)
    assert.equal((await api.request('GET', `${url}${path}`, undefined, { token: reader })).status, 200)
  }
  const { body } = await api.request('GET', lists, undefined, { token: stranger })
  assert.deepEqual(body.items, [])
})
