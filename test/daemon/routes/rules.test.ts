/** `/v1/security-groups/{id}/rules` end to end on a real store. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { defaultLimits } from '../../../rules-compiler/model/policy.ts'
import { type Answer, accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'
import { assertRefused } from '../../support/refused-requests.ts'

type Body = Answer['body']

let api: TestApi
let clock = Date.parse('2026-03-01T00:00:00Z')

before(async () => {
  api = await startApi({ now: () => clock })
  await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-app' })
  await post(api, '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-theirs' })
  await post(api, '/v1/prefix-lists', {
    accountId,
    prefixListId: 'pl-1',
    prefixListName: 'list',
    addressFamily: 'IPv6',
    entries: [{ cidr: '2001:db8::1/32' }],
  })
})
after(() => api[Symbol.asyncDispose]())

/** Where the rules of a new group are. */
async function newGroup(fields: Record<string, unknown> = {}): Promise<string> {
  const { securityGroup } = (await post(api, '/v1/security-groups', { accountId, ...fields })) as Body
  return `/v1/security-groups/${securityGroup.securityGroupId}/rules`
}

async function add(url: string, ...permissions: readonly Record<string, unknown>[]): Promise<Body[]> {
  return ((await post(api, url, { permissions })) as Body).permissions
}

async function rulesAt(url: string): Promise<Body[]> {
  return (await api.request('GET', url.replace(/\/rules$/, ''))).body.permissions
}

const web = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '203.0.113.0/24' }
const shown = { policy: 'accept', priority: 1, nicType: 'internet' }

/** The rule without what makes it this one. */
function content({ securityGroupRuleId: _, createTime: _time, ...fields }: Body) {
  return fields
}

describe('a rule is stored in one form', () => {
  const rows: readonly { name: string; given: Record<string, unknown>; expected: Record<string, unknown> }[] = [
    { name: 'with its defaults', given: web, expected: { ...shown, ...web } },
    {
      name: 'host bits masked off',
      given: { ...web, sourceCidrIp: '203.0.113.77/24' },
      expected: { ...shown, ...web },
    },
    {
      name: 'a bare address as /32',
      given: { ...web, sourceCidrIp: '203.0.113.77' },
      expected: { ...shown, ...web, sourceCidrIp: '203.0.113.77/32' },
    },
    {
      name: 'a bare IPv6 address as /128, as RFC 5952 writes it',
      given: { ...web, sourceCidrIp: undefined, ipv6SourceCidrIp: '2001:DB8:0:0::1' },
      expected: { ...shown, ...web, sourceCidrIp: undefined, ipv6SourceCidrIp: '2001:db8::1/128' },
    },
    {
      name: 'its protocol in lower case, with ports that it has none of',
      given: { direction: 'egress', ipProtocol: 'ICMPv6', ipv6DestCidrIp: '::/0' },
      expected: { ...shown, direction: 'egress', ipProtocol: 'icmpv6', portRange: '-1/-1', ipv6DestCidrIp: '::/0' },
    },
    {
      name: 'a service as its protocol and port',
      given: { direction: 'ingress', service: 'MySQL', sourceCidrIp: '203.0.113.0/24' },
      expected: { ...shown, ...web, portRange: '3306/3306' },
    },
    {
      name: 'a rule between groups as intranet',
      given: { direction: 'ingress', ipProtocol: 'all', sourceGroupId: 'sg-app', sourceGroupOwnerId: accountId },
      expected: {
        ...shown,
        direction: 'ingress',
        ipProtocol: 'all',
        portRange: '-1/-1',
        sourceGroupId: 'sg-app',
        nicType: 'intranet',
      },
    },
    {
      name: 'a group of another account with that account',
      given: { direction: 'egress', ipProtocol: 'all', destGroupId: 'sg-theirs', destGroupOwnerId: otherAccountId },
      expected: {
        ...shown,
        direction: 'egress',
        ipProtocol: 'all',
        portRange: '-1/-1',
        destGroupId: 'sg-theirs',
        destGroupOwnerAccount: otherAccountId,
        nicType: 'intranet',
      },
    },
    {
      name: 'a prefix list, narrowed, with source ports and words',
      given: {
        direction: 'ingress',
        policy: 'drop',
        priority: 100,
        ipProtocol: 'udp',
        portRange: '1/65535',
        sourcePortRange: '53/53',
        sourcePrefixListId: 'pl-1',
        ipv6DestCidrIp: '2001:db8:1::5/64',
        description: 'Ünïcode 网 “quotes” \u{1f600}',
      },
      expected: {
        direction: 'ingress',
        policy: 'drop',
        priority: 100,
        ipProtocol: 'udp',
        portRange: '1/65535',
        sourcePortRange: '53/53',
        sourcePrefixListId: 'pl-1',
        ipv6DestCidrIp: '2001:db8:1::/64',
        nicType: 'internet',
        description: 'Ünïcode 网 “quotes” \u{1f600}',
      },
    },
    {
      name: 'internet, the default, said in a VPC',
      given: { ...web, nicType: 'internet' },
      expected: { ...shown, ...web },
    },
  ]
  for (const { name, given, expected } of rows) {
    test(name, async () => {
      const url = await newGroup()
      const [rule] = await add(url, given)
      assert.deepEqual(content(rule), JSON.parse(JSON.stringify(expected)))
      assert.match(rule.securityGroupRuleId, /^sgr-[a-z0-9]{17}$/)
      assert.equal(rule.createTime, new Date(clock).toISOString())
      // What is shown is taken for the same rule.
      assert.deepEqual(await add(url, content(rule)), [rule])
      assert.deepEqual(await rulesAt(url), [rule])
    })
  }
})

describe('adding', () => {
  test('what is there answers what is there, and stores nothing', async () => {
    const url = await newGroup()
    const [first] = await add(url, { ...web, description: 'first' })
    const revision = api.store.head()
    const answer = await api.request('POST', url, {
      permissions: [{ ...web, description: 'second', priority: 1 }, web],
    })
    assert.deepEqual(answer.body, { permissions: [first], revision })
    assert.equal(api.store.head(), revision)
  })

  test('several objects gives a rule for each, once', async () => {
    const url = await newGroup()
    const sources = '10.0.0.0/8, 11.0.0.1,10.1.0.0/8 ,12.0.0.0/8'
    const rules = await add(url, { ...web, sourceCidrIp: sources }, { ...web, sourceCidrIp: '12.0.0.0/8' })
    assert.deepEqual(
      rules.map(rule => rule.sourceCidrIp),
      ['10.0.0.0/8', '11.0.0.1/32', '12.0.0.0/8'],
    )
    assert.deepEqual(await rulesAt(url), rules)
  })

  test('ten objects, groups too', async () => {
    const url = await newGroup()
    const ten = Array.from({ length: 10 }, (_, n) => `10.0.0.${n}`).join()
    assert.equal((await add(url, { ...web, sourceCidrIp: ten })).length, 10)
    const named = { direction: 'egress', ipProtocol: 'all', destGroupId: `sg-app,${url.split('/')[3]}` }
    assert.equal((await add(url, named)).length, 2)
  })

  test('exactly as many as a group may have, and not one more', async () => {
    const url = await newGroup()
    const ports = Array.from({ length: 200 }, (_, n) => ({ ...web, portRange: `${n + 1}/${n + 1}` }))
    await add(url, ...ports.slice(0, 100))
    await assertRefused(api, {
      url,
      body: {
        permissions: [{ ...web, portRange: '1000/1000', sourceCidrIp: '10.0.0.1,10.0.0.2' }, ...ports.slice(100, 199)],
      },
      expected: '403 LimitExceeded permissions',
      message: /"201": expected at most 200 rules in a group/,
    })
    await add(url, ...ports.slice(100))
    assert.equal((await rulesAt(url)).length, 200)
    await assertRefused(api, {
      url,
      body: { permissions: [{ ...web, portRange: '1000/1000' }] },
      expected: '403 LimitExceeded permissions',
    })
    // Of what is there already no limit speaks.
    assert.equal((await add(url, ...ports.slice(0, 100))).length, 100)
    const id = (await rulesAt(url))[0].securityGroupRuleId
    assert.equal((await api.request('PATCH', `${url}/${id}`, { priority: 7 })).status, 200)
  })

  test('goes by the limits of the settings', async () => {
    const limits = { ...defaultLimits, rulesPerGroup: 2, authorizationObjectsPerRequest: 1 }
    const value = { sessionTimeout: 910, revocation: 'immediate', limits }
    await api.store.commit({ writes: [{ key: 'settings/fleet', value }] })
    const url = await newGroup()
    await assertRefused(api, {
      url,
      body: { permissions: [{ ...web, sourceCidrIp: '10.0.0.1,10.0.0.2' }] },
      expected: '403 LimitExceeded permissions[0].sourceCidrIp',
    })
    await add(url, web, { ...web, priority: 2 })
    await assertRefused(api, {
      url,
      body: { permissions: [{ ...web, priority: 3 }] },
      expected: '403 LimitExceeded permissions',
    })
    await api.store.commit({ writes: [{ key: 'settings/fleet', value: null }] })
  })

  test('in a dry run says which rules it touches', async () => {
    const url = await newGroup()
    const before = api.store.head()
    const { body } = await api.request('POST', `${url}?dryRun=true`, { permissions: [web] })
    assert.deepEqual(
      [body.dryRun, body.permissions.length, body.rules.map((rule: Body) => rule.effect)],
      [true, 1, ['added']],
    )
    assert.equal(api.store.head(), before)
  })

  test('holds for the revision of the group that If-Match says', async () => {
    const url = await newGroup()
    const { headers } = await api.request('GET', url.replace('/rules', ''))
    const options = { headers: { 'if-match': String(headers.etag) } }
    assert.equal((await api.request('POST', url, { permissions: [web] }, options)).status, 200)
    await assertRefused(api, {
      url,
      body: { permissions: [{ ...web, priority: 2 }] },
      ...options,
      expected: '412 PreconditionFailed',
    })
  })

  test('twice under one Idempotency-Key answers the first answer', async () => {
    const url = await newGroup()
    const options = { headers: { 'idempotency-key': 'one-rule' } }
    const first = await api.request('POST', url, { permissions: [web] }, options)
    await api.request('POST', `${url}/revoke`, { permissions: [web] })
    const second = await api.request('POST', url, { permissions: [web] }, options)
    assert.deepEqual(second.body, first.body)
    assert.deepEqual(await rulesAt(url), [])
  })

  test('two at once loses none', async () => {
    const url = await newGroup()
    await Promise.all(Array.from({ length: 20 }, (_, n) => add(url, { ...web, priority: n + 1 }, web)))
    assert.deepEqual(
      (await rulesAt(url)).map(rule => rule.priority).sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, n) => n + 1),
    )
  })
})

describe('changing a rule', () => {
  const changed = [
    { change: { priority: 5, policy: 'drop' }, expected: { priority: 5, policy: 'drop' } },
    {
      change: { description: null, sourcePortRange: null },
      expected: { description: undefined, sourcePortRange: undefined },
    },
    { change: { portRange: '443/443' }, expected: { portRange: '443/443' } },
    { change: { sourceCidrIp: '10.1.2.3/8' }, expected: { sourceCidrIp: '10.0.0.0/8' } },
    {
      change: { ipProtocol: 'icmp', portRange: null, sourcePortRange: null },
      expected: { ipProtocol: 'icmp', portRange: '-1/-1', sourcePortRange: undefined },
    },
    {
      change: { sourceCidrIp: null, sourceGroupId: 'sg-app' },
      expected: { sourceCidrIp: undefined, sourceGroupId: 'sg-app', nicType: 'intranet' },
    },
    {
      change: { direction: 'egress', sourceCidrIp: null, destCidrIp: '10.0.0.0/8' },
      expected: { direction: 'egress', sourceCidrIp: undefined, destCidrIp: '10.0.0.0/8' },
    },
  ]
  for (const { change, expected } of changed) {
    test(JSON.stringify(change), async () => {
      const url = await newGroup()
      const [rule] = await add(url, { ...web, sourcePortRange: '1024/65535', description: 'old' })
      clock += 1000
      const { status, body } = await api.request('PATCH', `${url}/${rule.securityGroupRuleId}`, change)
      assert.equal(status, 200, JSON.stringify(body))
      assert.deepEqual(body.permission, JSON.parse(JSON.stringify({ ...rule, ...expected })))
      assert.deepEqual(await rulesAt(url), [body.permission])
    })
  }

  test('from a group to a block makes it a rule for every ENI again', async () => {
    for (const networkType of ['vpc', 'classic']) {
      const url = await newGroup({ networkType })
      const self = url.split('/')[3]
      const [rule] = await add(url, { direction: 'ingress', ipProtocol: 'all', sourceGroupId: self })
      const change = { sourceGroupId: null, sourceCidrIp: '203.0.113.0/24' }
      const { body } = await api.request('PATCH', `${url}/${rule.securityGroupRuleId}`, change)
      assert.equal(body.permission?.nicType, 'internet', JSON.stringify(body))
    }
  })

  test('to another group, or to none, takes the account of the old one away', async () => {
    const url = await newGroup()
    const theirs = {
      direction: 'ingress',
      ipProtocol: 'all',
      sourceGroupId: 'sg-theirs',
      sourceGroupOwnerAccount: otherAccountId,
    }
    const [rule] = await add(url, theirs)
    const target = `${url}/${rule.securityGroupRuleId}`
    const kept = await api.request('PATCH', target, { priority: 2 })
    assert.equal(kept.body.permission.sourceGroupOwnerAccount, otherAccountId)
    const own = await api.request('PATCH', target, { sourceGroupId: 'sg-app' })
    assert.deepEqual([own.status, own.body.permission.sourceGroupOwnerAccount], [200, undefined])
    const back = await api.request('PATCH', target, { sourceGroupId: 'sg-theirs', sourceGroupOwnerId: otherAccountId })
    assert.equal(back.body.permission.sourceGroupOwnerAccount, otherAccountId)
    const block = await api.request('PATCH', target, { sourceGroupId: null, sourceCidrIp: '203.0.113.0/24' })
    assert.deepEqual([block.status, block.body.permission.sourceGroupOwnerAccount], [200, undefined])
  })

  test('keeps the intranet of a classic rule', async () => {
    const url = await newGroup({ networkType: 'classic' })
    const [rule] = await add(url, { ...web, sourceCidrIp: '203.0.113.9', nicType: 'intranet' })
    const { body } = await api.request('PATCH', `${url}/${rule.securityGroupRuleId}`, { priority: 2 })
    assert.equal(body.permission.nicType, 'intranet')
  })

  test('is refused where it would be as another is, or none', async () => {
    const url = await newGroup()
    const [first, second] = await add(url, web, { ...web, priority: 2, description: 'another' })
    const target = `${url}/${second.securityGroupRuleId}`
    const same = await assertRefused(api, {
      method: 'PATCH',
      url: target,
      body: { priority: 1 },
      expected: '409 SecurityGroupRuleAlreadyExists',
    })
    assert.equal(same.securityGroupRuleId, first.securityGroupRuleId)
    const refusals = [
      { body: { priority: 0 }, expected: '400 InvalidParameter priority' },
      { body: { portRange: null }, expected: '400 MissingParameter portRange' },
      { body: { sourceCidrIp: '10.0.0.1,10.0.0.2' }, expected: '400 InvalidParameter sourceCidrIp' },
      { body: { sourceGroupId: 'sg-app' }, expected: '400 InvalidParameter sourceGroupId' },
      { body: { direction: null }, expected: '400 InvalidParameter direction' },
      { body: { ipProtocol: 'icmp' }, expected: '400 InvalidParameter portRange' },
      {
        body: { sourceCidrIp: null, sourceGroupId: 'sg-theirs' },
        expected: '400 InvalidSecurityGroupId.NotFound sourceGroupId',
      },
      { body: { securityGroupRuleId: 'sgr-1' }, expected: '400 InvalidParameter securityGroupRuleId' },
    ]
    for (const refusal of refusals) await assertRefused(api, { method: 'PATCH', url: target, ...refusal })
    await assertRefused(api, {
      method: 'PATCH',
      url: `${url}/sgr-none`,
      body: { priority: 1 },
      expected: '404 InvalidSecurityGroupRuleId.NotFound',
    })
  })

  test('to what it is stores nothing', async () => {
    const url = await newGroup()
    const [rule] = await add(url, web)
    const before = api.store.head()
    const { body } = await api.request('PATCH', `${url}/${rule.securityGroupRuleId}`, {
      priority: 1,
      sourcePortRange: null,
    })
    assert.deepEqual(body, { permission: rule, revision: before })
    assert.equal(api.store.head(), before)
  })
})

describe('revoking', () => {
  test('by id in the path', async () => {
    const url = await newGroup()
    const [first, second] = await add(url, web, { ...web, priority: 2 })
    const { body } = await api.request('DELETE', `${url}/${first.securityGroupRuleId}`)
    assert.deepEqual(body, { securityGroupRuleId: first.securityGroupRuleId, revision: api.store.head() })
    assert.deepEqual(await rulesAt(url), [second])
    await assertRefused(api, {
      method: 'DELETE',
      url: `${url}/${first.securityGroupRuleId}`,
      expected: '404 InvalidSecurityGroupRuleId.NotFound',
    })
  })

  test('by ids, all of which must be there', async () => {
    const url = await newGroup()
    const [first, second, third] = await add(url, web, { ...web, priority: 2 }, { ...web, priority: 3 })
    const ids = [third.securityGroupRuleId, first.securityGroupRuleId, third.securityGroupRuleId]
    await assertRefused(api, {
      url: `${url}/revoke`,
      body: { securityGroupRuleIds: ['sgr-x', ...ids, '__proto__'] },
      expected: '400 InvalidSecurityGroupRuleId.NotFound securityGroupRuleIds[0] securityGroupRuleIds[4]',
    })
    const { body } = await api.request('POST', `${url}/revoke`, { securityGroupRuleIds: ids })
    assert.deepEqual(body.revoked, [third, first])
    assert.deepEqual(await rulesAt(url), [second])
  })

  test('by content, as it is asked for or shown; what is not there is no fault', async () => {
    const url = await newGroup()
    const [first, second, third] = await add(
      url,
      { ...web, description: 'x' },
      { ...web, sourceCidrIp: '10.0.0.0/8,11.0.0.0/8' },
    )
    const permissions = [
      { ...web, sourceCidrIp: '203.0.113.9/24', policy: 'accept', priority: 1 },
      { ...web, priority: 9 },
      { direction: 'ingress', ipProtocol: 'all', sourceGroupId: 'sg-gone' },
      { direction: 'ingress', ipProtocol: 'all', sourcePrefixListId: 'pl-gone' },
      third,
    ]
    const { body } = await api.request('POST', `${url}/revoke`, { permissions })
    assert.deepEqual(body.revoked, [first, third])
    assert.deepEqual(await rulesAt(url), [second])
    const before = api.store.head()
    const again = await api.request('POST', `${url}/revoke`, { permissions })
    assert.deepEqual(again.body, { revoked: [], revision: before })
  })

  const refusals = [
    { name: 'nothing', body: {}, expected: '400 MissingParameter securityGroupRuleIds' },
    {
      name: 'both',
      body: { securityGroupRuleIds: ['sgr-1'], permissions: [web] },
      expected: '400 InvalidParameter securityGroupRuleIds',
    },
    {
      name: 'what is no rule',
      body: { permissions: [web, { ...web, portRange: '9/1' }] },
      expected: '400 InvalidParameter permissions[1].portRange',
    },
    {
      name: 'one rule of no object',
      body: { permissions: [{ ...web, sourceCidrIp: undefined }] },
      expected: '400 MissingParameter permissions[0]',
    },
  ]
  for (const { name, body, expected } of refusals) {
    test(`refuses ${name}`, async () => {
      const url = await newGroup()
      await add(url, web)
      await assertRefused(api, { url: `${url}/revoke`, body, expected })
    })
  }
})

describe('listing rules', () => {
  test('filters, sorts and pages', async () => {
    const url = await newGroup()
    const [a] = await add(url, { ...web, priority: 3 })
    clock += 1000
    const [b] = await add(url, {
      direction: 'egress',
      ipProtocol: 'icmp',
      destCidrIp: '0.0.0.0/0',
      priority: 1,
      policy: 'drop',
    })
    clock += 1000
    const [c] = await add(url, { ...web, priority: 2, ipProtocol: 'udp' })
    const rows = [
      { query: 'sort=priority', expected: [b, c, a] },
      { query: 'sort=-createTime', expected: [c, b, a] },
      { query: 'sort=priority&direction=ingress', expected: [c, a] },
      { query: 'policy=drop', expected: [b] },
      { query: 'ipProtocol=TCP', expected: [a] },
    ]
    for (const { query, expected } of rows) {
      const { body } = await api.request('GET', `${url}?${query}`)
      assert.deepEqual(body, { items: expected, nextToken: null, totalCount: expected.length }, query)
    }
    const first = await api.request('GET', `${url}?sort=priority&maxResults=2`)
    const second = await api.request('GET', `${url}?sort=priority&maxResults=2&nextToken=${first.body.nextToken}`)
    assert.deepEqual([...first.body.items, ...second.body.items], [b, c, a])
  })
})

describe('hostile input', () => {
  const bodies = [
    '{"permissions":[{"__proto__":{"direction":"ingress"},"ipProtocol":"all"}]}',
    '{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceCidrIp":"0.0.0.0/0","constructor":1}]}',
    '{"permissions":{"length":1,"0":{}}}',
    '{"permissions":[null]}',
    '{"permissions":[[]]}',
    '{"permissions":[{"direction":"ingress","direction":"egress"}]}',
    '{"permissions":[{"direction":"ingress","ipProtocol":"all","priority":1e999,"sourceCidrIp":"0.0.0.0/0"}]}',
    '{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceCidrIp":"0.0.0.0/0\\u0000"}]}',
    '{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceCidrIp":"","service":"__proto__"}]}',
    '{"permissions":[{"direction":"ingress","service":"toString","sourceCidrIp":"0.0.0.0/0"}]}',
    `{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceCidrIp":"${','.repeat(4000)}"}]}`,
    `{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceCidrIp":"${'1'.repeat(5000)}"}]}`,
    '{"permissions":[{"direction":"ingress","ipProtocol":"all","sourceGroupId":"\\ud800"}]}',
    '{"securityGroupRuleIds":["__proto__"],"__proto__":null}',
    'null',
    '[]',
    '"permissions"',
  ]
  for (const text of bodies) {
    test(text.slice(0, 80), async () => {
      const url = await newGroup()
      for (const target of [
        url,
        `${url}/revoke`,
        url.replace('/rules', '/import'),
        `${url.replace('/rules', '/clone')}`,
      ]) {
        const head = api.store.head()
        const { status, body } = await api.request('POST', target, text, {
          headers: { 'content-type': 'application/json' },
        })
        assert.ok(status >= 400 && status < 500, `${target} ${status} ${JSON.stringify(body)}`)
        assert.equal(api.store.head(), head)
      }
    })
  }

  test('the name of what every object has, as a tag', async () => {
    const make = (tags: string) =>
      api.request('POST', '/v1/security-groups', `{"accountId":"${accountId}","tags":${tags}}`, {
        headers: { 'content-type': 'application/json' },
      })
    assert.equal((await make('{"constructor":"a","toString":"b"}')).status, 201)
    assert.equal((await make('{"__proto__":"a"}')).status, 400)
    assert.equal((await make('{"__proto__":{"x":"a"}}')).status, 400)
    assert.equal(({} as Record<string, unknown>).x, undefined)
  })
})
