/** `/v1/security-groups` end to end on a real store. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { groupObject } from '../../../daemon/push/views.ts'
import { checkPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { type Answer, accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { makeEniDoc, put } from '../../support/documents.ts'
import { post } from '../../support/fleet-state.ts'
import { assertRefused } from '../../support/refused-requests.ts'

type Body = Answer['body']

const groups = '/v1/security-groups'

let api: TestApi
let clock = Date.parse('2026-03-01T00:00:00Z')

before(async () => {
  api = await startApi({ now: () => clock })
})
after(() => api[Symbol.asyncDispose]())

async function make(fields: Record<string, unknown>) {
  const { securityGroup, permissions } = (await post(api, groups, { accountId, ...fields })) as Body
  return { id: securityGroup.securityGroupId as string, securityGroup, permissions }
}

/** `accept tcp 22/22 198.18.0.0/15, priority 1`, the way tests below say what they expect. */
function ruleTexts(permissions: readonly Record<string, unknown>[]): readonly string[] {
  return permissions.map(rule => {
    const peer =
      rule.sourceCidrIp ?? rule.destCidrIp ?? rule.sourceGroupId ?? rule.destGroupId ?? rule.sourcePrefixListId
    return `${rule.direction} ${rule.policy} ${rule.ipProtocol} ${rule.portRange} ${peer} ${rule.priority}`
  })
}

describe('making a group', () => {
  test('with nothing said gives a basic group in the VPC without name', async () => {
    const { securityGroup, permissions } = await make({})
    const { securityGroupId, revision, ...rest } = securityGroup
    assert.match(securityGroupId, /^sg-[a-z0-9]{17}$/)
    assert.equal(revision, api.world.revision)
    assert.deepEqual(permissions, [])
    assert.deepEqual(rest, {
      accountId,
      securityGroupName: null,
      description: null,
      tags: {},
      securityGroupType: 'normal',
      networkType: 'vpc',
      vpcId: null,
      innerAccessPolicy: 'accept',
      mode: 'enforce',
      isDefault: false,
      ruleCount: 0,
      networkInterfaceCount: 0,
      observedCount: 0,
      ecsCount: 0,
      createTime: '2026-03-01T00:00:00.000Z',
    })
  })

  const words = [
    { given: 'basic', shown: 'normal', inner: 'accept' },
    { given: 'normal', shown: 'normal', inner: 'accept' },
    { given: 'advanced', shown: 'enterprise', inner: 'drop' },
    { given: 'enterprise', shown: 'enterprise', inner: 'drop' },
  ]
  for (const { given, shown, inner } of words) {
    test(`takes ${given} for ${shown}`, async () => {
      const { securityGroup } = await make({ securityGroupType: given })
      assert.deepEqual([securityGroup.securityGroupType, securityGroup.innerAccessPolicy], [shown, inner])
    })
  }

  const names = ['web', 'Web:1_a.b-c', 'сервер', '网络组', 'éa'.normalize('NFC'), 'a'.repeat(128)]
  for (const name of names) {
    test(`takes the name ${name.slice(0, 20)}`, async () => {
      const { id } = await make({ securityGroupName: name, tags: { constructor: 'x', ключ: '值' } })
      const { body } = await api.request('GET', `${groups}/${id}`)
      assert.equal(body.securityGroup.securityGroupName, name)
      assert.deepEqual(body.securityGroup.tags, { constructor: 'x', ключ: '值' })
    })
  }

  const templates = [
    { template: 'custom', expected: [] },
    { template: 'web-server-linux', expected: ['tcp 80/80', 'tcp 443/443', 'tcp 22/22', 'icmp -1/-1'] },
    { template: 'web-server-windows', expected: ['tcp 80/80', 'tcp 443/443', 'tcp 3389/3389', 'icmp -1/-1'] },
  ]
  for (const { template, expected } of templates) {
    for (const more of [{}, { networkType: 'classic' }, { securityGroupType: 'advanced' }]) {
      test(`from the template ${template}, ${JSON.stringify(more)}`, async () => {
        const { permissions } = await make({ template, ...more })
        assert.deepEqual(
          ruleTexts(permissions),
          expected.map(text => `ingress accept ${text} 0.0.0.0/0 1`),
        )
      })
    }
  }

  test('with a template and rules has each rule once, and may name itself', async () => {
    const { permissions } = await make({
      securityGroupId: 'sg-own',
      template: 'web-server-linux',
      permissions: [
        { direction: 'ingress', service: 'ssh', sourceCidrIp: '0.0.0.0/0' },
        { direction: 'ingress', ipProtocol: 'all', sourceGroupId: 'sg-own' },
      ],
    })
    assert.equal(permissions.length, 5)
    assert.equal(permissions[4].sourceGroupId, 'sg-own')
    assert.equal(permissions[4].nicType, 'intranet')
  })

  test('answers the ETag of the group', async () => {
    const answer = await api.request('POST', groups, { accountId })
    assert.equal(answer.headers.etag, `"${answer.body.revision}"`)
  })
})

describe('the default group', () => {
  const place = { accountId, vpcId: 'vpc-default' }

  test('is made once for each account and network', async () => {
    const first = await api.request('POST', `${groups}/default`, place)
    assert.equal(first.status, 200)
    assert.equal(first.body.securityGroup.isDefault, true)
    assert.deepEqual(ruleTexts(first.body.permissions), [
      'ingress accept icmp -1/-1 0.0.0.0/0 100',
      'ingress accept tcp 22/22 0.0.0.0/0 100',
      'ingress accept tcp 3389/3389 0.0.0.0/0 100',
    ])
    const again = await api.request('POST', `${groups}/default`, { ...place, webPorts: true })
    assert.deepEqual(again.body, first.body)
    const elsewhere = [
      { ...place, vpcId: 'vpc-other' },
      { ...place, accountId: otherAccountId },
      { accountId, networkType: 'classic' },
    ]
    for (const other of elsewhere) {
      const { body } = await api.request('POST', `${groups}/default`, other)
      assert.notEqual(body.securityGroup.securityGroupId, first.body.securityGroup.securityGroupId)
    }
  })

  test('has web ports on request, and may be deleted while it is free', async () => {
    const web = { accountId, vpcId: 'vpc-web', webPorts: true }
    const { body } = await api.request('POST', `${groups}/default`, web)
    assert.deepEqual(ruleTexts(body.permissions).slice(3), [
      'ingress accept tcp 80/80 0.0.0.0/0 100',
      'ingress accept tcp 443/443 0.0.0.0/0 100',
    ])
    const deleted = await api.request('DELETE', `${groups}/${body.securityGroup.securityGroupId}`)
    assert.equal(deleted.status, 200)
    const again = await api.request('POST', `${groups}/default`, web)
    assert.notEqual(again.body.securityGroup.securityGroupId, body.securityGroup.securityGroupId)
  })
})

describe('changing a group', () => {
  test('replaces what is given, and null clears', async () => {
    const { id } = await make({ securityGroupName: 'web', description: 'before', tags: { a: '1', b: '2' } })
    const changed = await api.request('PATCH', `${groups}/${id}`, {
      securityGroupName: 'web2',
      description: null,
      tags: { c: '' },
      innerAccessPolicy: 'drop',
    })
    const { securityGroupName, description, tags, innerAccessPolicy, revision } = changed.body.securityGroup
    assert.deepEqual([securityGroupName, description, tags, innerAccessPolicy], ['web2', null, { c: '' }, 'drop'])
    assert.equal(changed.headers.etag, `"${revision}"`)
    const cleared = await api.request('PATCH', `${groups}/${id}`, { securityGroupName: null, tags: null })
    assert.deepEqual([cleared.body.securityGroup.securityGroupName, cleared.body.securityGroup.tags], [null, {}])
  })

  test('to what it is already stores nothing', async () => {
    const { id, securityGroup } = await make({ securityGroupName: 'same' })
    const { body } = await api.request('PATCH', `${groups}/${id}`, { securityGroupName: 'same' })
    assert.equal(body.revision, api.world.revision)
    assert.equal(body.securityGroup.revision, securityGroup.revision)
  })

  test('holds only for the revision that If-Match says', async () => {
    const { id, securityGroup } = await make({ securityGroupName: 'old' })
    const headers = { 'if-match': `"${securityGroup.revision}"` }
    const first = await api.request('PATCH', `${groups}/${id}`, { securityGroupName: 'new' }, { headers })
    assert.equal(first.status, 200)
    for (const method of ['PATCH', 'DELETE']) {
      await assertRefused(api, {
        method,
        url: `${groups}/${id}`,
        ...(method === 'PATCH' && { body: { securityGroupName: 'newer' } }),
        headers,
        expected: '412 PreconditionFailed',
      })
    }
  })

  test('in a dry run says what would be, and stores nothing', async () => {
    const { id } = await make({})
    const before = api.store.head()
    const { status, body } = await api.request('PATCH', `${groups}/${id}?dryRun=true`, { securityGroupName: 'would' })
    assert.equal(status, 200)
    assert.equal(body.dryRun, true)
    assert.deepEqual(
      body.changes.map(({ key, before, after }: Body) => [key, before.securityGroupName, after.securityGroupName]),
      [[`group/${id}`, null, 'would']],
    )
    assert.equal(api.store.head(), before)
    assert.equal(api.world.get('group', id)?.name, null)
  })

  test('twice under one Idempotency-Key makes one group', async () => {
    const headers = { 'idempotency-key': 'make-it-once' }
    const first = await api.request('POST', groups, { accountId, securityGroupName: 'once' }, { headers })
    const second = await api.request('POST', groups, { accountId, securityGroupName: 'once' }, { headers })
    assert.equal(second.status, 201)
    assert.equal(second.headers['idempotent-replayed'], 'true')
    assert.deepEqual(second.body, first.body)
    await assertRefused(api, {
      url: groups,
      body: { accountId, securityGroupName: 'other' },
      headers,
      expected: '422 IdempotentParameterMismatch',
    })
  })
})

describe('a clone', () => {
  test('has the same rules under ids of its own, and names itself where the original does', async () => {
    const { id, permissions } = await make({
      securityGroupName: 'origin',
      tags: { a: '1' },
      innerAccessPolicy: 'drop',
      permissions: [
        { direction: 'ingress', service: 'ssh', sourceCidrIp: '203.0.113.0/24', description: 'the office' },
      ],
    })
    await post(api, `${groups}/${id}/rules`, {
      permissions: [{ direction: 'egress', ipProtocol: 'all', destGroupId: id }],
    })
    const { status, body } = await api.request('POST', `${groups}/${id}/clone`, { vpcId: 'vpc-clone' })
    assert.equal(status, 201)
    const { securityGroupId, securityGroupName, vpcId, tags, innerAccessPolicy } = body.securityGroup
    assert.deepEqual([securityGroupName, vpcId, tags, innerAccessPolicy], ['origin', 'vpc-clone', { a: '1' }, 'drop'])
    assert.deepEqual(ruleTexts(body.permissions), [
      'ingress accept tcp 22/22 203.0.113.0/24 1',
      `egress accept all -1/-1 ${securityGroupId} 1`,
    ])
    assert.equal(body.permissions[0].description, 'the office')
    assert.notEqual(body.permissions[0].securityGroupRuleId, permissions[0].securityGroupRuleId)
  })

  test('may be of another type, network and account, where its rules are allowed', async () => {
    const { id } = await make({ template: 'web-server-linux', vpcId: 'vpc-1' })
    const wish = { securityGroupType: 'advanced', accountId: otherAccountId, securityGroupName: null }
    const { body } = await api.request('POST', `${groups}/${id}/clone`, wish)
    const { accountId: owner, securityGroupType, innerAccessPolicy, vpcId, ruleCount } = body.securityGroup
    assert.deepEqual(
      [owner, securityGroupType, innerAccessPolicy, vpcId, ruleCount],
      [otherAccountId, 'enterprise', 'drop', 'vpc-1', 4],
    )
    const classic = await api.request('POST', `${groups}/${id}/clone`, { networkType: 'classic' })
    assert.deepEqual([classic.body.securityGroup.networkType, classic.body.securityGroup.vpcId], ['classic', null])
  })

  test('in another account says whose the groups are that its rules name', async () => {
    const { id: named } = await make({})
    const { id } = await make({ permissions: [{ direction: 'ingress', ipProtocol: 'all', sourceGroupId: named }] })
    const { body } = await api.request('POST', `${groups}/${id}/clone`, { accountId: otherAccountId })
    assert.equal(body.permissions[0].sourceGroupOwnerAccount, accountId)
    const back = await api.request('POST', `${groups}/${body.securityGroup.securityGroupId}/clone`, { accountId })
    assert.equal(back.body.permissions[0].sourceGroupOwnerAccount, undefined)
  })
})

describe('deleting', () => {
  test('a group that names itself', async () => {
    const { id } = await make({})
    await post(api, `${groups}/${id}/rules`, {
      permissions: [{ direction: 'ingress', ipProtocol: 'all', sourceGroupId: id }],
    })
    const { body } = await api.request('DELETE', `${groups}/${id}`)
    assert.deepEqual(body, { securityGroupId: id, revision: api.world.revision })
    assert.equal(await api.store.get(`group/${id}`), null)
  })

  test('is refused shortly however much holds it', async () => {
    const { id } = await make({ vpcId: 'vpc-crowd' })
    const names = Array.from({ length: 250 }, (_, index) => `eni-crowd-${String(index).padStart(3, '0')}`)
    const crowd = names.map((name, index) =>
      put(
        'eni',
        makeEniDoc({
          id: name,
          accountId,
          instanceId: null,
          vpcId: 'vpc-crowd',
          addresses: [`198.18.9.${index}`],
          securityGroupIds: [id],
        }),
      ),
    )
    await api.store.commit({ writes: crowd })
    const problem = await assertRefused(api, {
      method: 'DELETE',
      url: `${groups}/${id}`,
      expected: '409 DependencyViolation',
    })
    assert.deepEqual(problem.heldBy, { networkInterfaceIds: names.slice(0, 100), securityGroupIds: [] })
    assert.deepEqual(problem.heldByCounts, { networkInterfaceIds: 250, securityGroupIds: 0 })
    assert.match(problem.detail, /eni-crowd-000, eni-crowd-001, eni-crowd-002, 247 more$/)
  })

  test('is refused while something holds it; of another account’s objects that there is one', async () => {
    const { id } = await make({ vpcId: 'vpc-held' })
    await post(api, '/v1/instances', { accountId, instanceId: 'i-holder' })
    await post(api, '/v1/network-interfaces', {
      instanceId: 'i-holder',
      networkInterfaceId: 'eni-holder',
      vpcId: 'vpc-held',
      privateIpAddresses: ['198.18.7.7'],
      securityGroupIds: [id],
    })
    const permission = { direction: 'ingress', ipProtocol: 'all', sourceGroupId: id }
    const own = await make({ vpcId: 'vpc-held', permissions: [permission] })
    const theirs = await make({
      vpcId: 'vpc-held',
      accountId: otherAccountId,
      permissions: [{ ...permission, sourceGroupOwnerAccount: accountId }],
    })
    const request = { method: 'DELETE', url: `${groups}/${id}`, expected: '409 DependencyViolation' }
    const problem = await assertRefused(api, request)
    assert.deepEqual(problem.heldBy, {
      networkInterfaceIds: ['eni-holder'],
      securityGroupIds: [own.id, theirs.id].sort(),
    })
    const token = await api.makeToken([{ accountId, access: 'write' }])
    const seen = await assertRefused(api, { ...request, token })
    assert.deepEqual(seen.heldBy, { networkInterfaceIds: ['eni-holder'], securityGroupIds: [own.id] })
    assert.deepEqual(seen.heldByCounts, { networkInterfaceIds: 1, securityGroupIds: 1 })
    assert.match(seen.detail, /eni-holder, .*another account/)
    assert.ok(!JSON.stringify(seen).includes(theirs.id))

    const references = await api.request('GET', `${groups}/${id}/references`)
    assert.deepEqual(
      references.body.referencedBy
        .map((each: Body) => [each.securityGroupId, each.accountId, each.securityGroupRuleIds])
        .sort(),
      [own, theirs]
        .map(group => [group.id, group.securityGroup.accountId, [group.permissions[0].securityGroupRuleId]])
        .sort(),
    )
    const seenReferences = await api.request('GET', `${groups}/${id}/references`, undefined, { token })
    assert.deepEqual(
      seenReferences.body.referencedBy.map((each: Body) => each.securityGroupId),
      [own.id],
    )

    const members = await api.request('GET', `${groups}/${id}/members`)
    assert.deepEqual(members.body.items, [
      { networkInterfaceId: 'eni-holder', instanceId: 'i-holder', addresses: ['198.18.7.7'] },
    ])
    const { body } = await api.request('GET', `${groups}/${id}`)
    assert.deepEqual([body.securityGroup.networkInterfaceCount, body.securityGroup.ecsCount], [1, 1])
  })
})

describe('listing', () => {
  let listing: TestApi

  before(async () => {
    listing = await startApi({ now: () => clock })
    const wanted = [
      { securityGroupId: 'sg-a', securityGroupName: 'web-front', tags: { team: 'a' } },
      { securityGroupId: 'sg-b', securityGroupName: 'web-back', tags: { team: 'b', env: 'prod' }, vpcId: 'vpc-1' },
      { securityGroupId: 'sg-c', securityGroupName: 'db', securityGroupType: 'advanced' },
      { securityGroupId: 'sg-d', securityGroupName: 'db', networkType: 'classic' },
      { securityGroupId: 'sg-e', accountId: otherAccountId, tags: { env: 'test' } },
    ]
    for (const group of wanted) {
      clock += 1000
      await post(listing, groups, { accountId, ...group })
    }
  })
  after(() => listing[Symbol.asyncDispose]())

  const rows = [
    { query: '', expected: 'a b c d e' },
    { query: `accountId=${otherAccountId}`, expected: 'e' },
    { query: 'securityGroupName=web*', expected: 'a b' },
    { query: 'securityGroupName=*B*', expected: 'a b c d' },
    { query: 'securityGroupName=db', expected: 'c d' },
    { query: 'vpcId=vpc-1', expected: 'b' },
    { query: 'networkType=classic', expected: 'd' },
    { query: 'securityGroupType=advanced', expected: 'c' },
    { query: 'securityGroupType=enterprise', expected: 'c' },
    { query: 'tag=team', expected: 'a b' },
    { query: 'tag=team:b&tag=env', expected: 'b' },
    { query: 'tag=constructor', expected: '' },
    { query: 'tag=env:test', expected: 'e' },
    { query: 'sort=-createTime', expected: 'e d c b a' },
    { query: 'sort=securityGroupName', expected: 'e c d b a' },
    { query: 'sort=-securityGroupId&networkType=vpc', expected: 'e c b a' },
  ]
  for (const { query, expected } of rows) {
    test(query || 'everything', async () => {
      for (const maxResults of [500, 2, 1]) {
        assert.equal(await pages(listing, `${groups}?${query}&maxResults=${maxResults}`), expected)
      }
    })
  }

  for (const query of [
    'maxResults=0',
    'maxResults=501',
    'sort=name',
    'securityGroupType=x',
    'nextToken=x',
    'unknown=1',
  ]) {
    test(`refuses ${query}`, async () => {
      const { status, body } = await listing.request('GET', `${groups}?${query}`)
      assert.deepEqual([status, body.code, body.errors[0].field], [400, 'InvalidParameter', `?${query.split('=')[0]}`])
    })
  }
})

/** Last letters of the ids on all pages. */
async function pages(api: TestApi, url: string): Promise<string> {
  const letters: string[] = []
  let next = ''
  do {
    const { status, body } = await api.request('GET', `${url}${next}`)
    assert.equal(status, 200, JSON.stringify(body))
    letters.push(...body.items.map((group: { securityGroupId: string }) => group.securityGroupId.slice(-1)))
    next = body.nextToken === null ? '' : `&nextToken=${encodeURIComponent(body.nextToken)}`
    if (next === '') assert.equal(body.totalCount, letters.length)
  } while (next !== '')
  return letters.join(' ')
}

describe('tokens', () => {
  test('of another account see nothing, those that may read change nothing', async () => {
    const { id } = await make({ securityGroupName: 'hidden' })
    const stranger = await api.makeToken([{ accountId: otherAccountId, access: 'write' }])
    const reader = await api.makeToken([{ accountId, access: 'read' }])
    const url = `${groups}/${id}`
    const rule = { permissions: [{ direction: 'ingress', service: 'ssh', sourceCidrIp: '203.0.113.0/24' }] }
    const writes = [
      { method: 'PATCH', url, body: { securityGroupName: 'mine' } },
      { method: 'DELETE', url },
      { url: `${url}/rules`, body: rule },
      { url: `${url}/rules/revoke`, body: rule },
      { url: `${url}/import`, body: rule },
      { method: 'PATCH', url: `${url}/rules/sgr-1`, body: { priority: 2 } },
      { method: 'DELETE', url: `${url}/rules/sgr-1` },
    ]
    for (const write of writes) {
      await assertRefused(api, { ...write, token: stranger, expected: '404 InvalidSecurityGroupId.NotFound' })
      await assertRefused(api, { ...write, token: reader, expected: '403 Forbidden' })
    }
    await assertRefused(api, {
      url: `${url}/clone`,
      body: { accountId: otherAccountId },
      token: stranger,
      expected: '404 InvalidSecurityGroupId.NotFound',
    })
    await assertRefused(api, { url: `${url}/clone`, body: {}, token: reader, expected: '403 Forbidden' })
    await assertRefused(api, { url: groups, body: { accountId }, token: reader, expected: '403 Forbidden' })
    await assertRefused(api, {
      url: groups,
      body: { accountId },
      token: stranger,
      expected: '400 InvalidAccountId.NotFound accountId',
    })
    for (const path of ['', '/rules', '/references', '/members', '/export', '/export?format=csv']) {
      assert.equal((await api.request('GET', `${url}${path}`, undefined, { token: stranger })).status, 404, path)
      assert.equal((await api.request('GET', `${url}${path}`, undefined, { token: reader })).status, 200, path)
      assert.equal((await api.request('GET', `${url}${path}`, undefined, { token: null })).status, 401, path)
    }
    const { body } = await api.request('GET', `${groups}?maxResults=500`, undefined, { token: stranger })
    assert.deepEqual(
      new Set(body.items.map((group: { accountId: string }) => group.accountId)),
      new Set([otherAccountId]),
    )
  })
})

describe('what is stored', () => {
  test('of every group is what agents can check', () => {
    let count = 0
    for (const group of api.world.all('group')) {
      const { value } = groupObject(group) as { value: { rules: readonly Record<string, string>[] } }
      const named = value.rules
        .flatMap(rule => rule.sourceGroupId ?? rule.destGroupId ?? [])
        .filter(id => id !== group.id)
      const others = [...new Set(named)]
        .map(id => groupObject(api.world.get('group', id)!).value)
        .map(other => ({ ...other, rules: [] }))
      const { problems } = checkPolicy({ apiVersion: 'ringwall/v1', securityGroups: [value, ...others] })
      assert.deepEqual(problems, [])
      count += value.rules.length
    }
    assert.ok(count > 50)
  })
})
