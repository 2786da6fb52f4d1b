/** Export and import of rules: what goes out comes in the same. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type Answer, accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'
import { assertRefused } from '../../support/refused-requests.ts'

type Body = Answer['body']

let api: TestApi

before(async () => {
  api = await startApi()
  await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-app' })
  await post(api, '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-theirs' })
  for (const addressFamily of ['IPv4', 'IPv6']) {
    await post(api, '/v1/prefix-lists', {
      accountId,
      prefixListId: `pl-${addressFamily}`,
      prefixListName: 'list',
      addressFamily,
    })
  }
})
after(() => api[Symbol.asyncDispose]())

async function newGroup(permissions: readonly object[] = []): Promise<string> {
  const { securityGroup } = (await post(api, '/v1/security-groups', { accountId })) as Body
  const url = `/v1/security-groups/${securityGroup.securityGroupId}`
  for (let from = 0; from < permissions.length; from += 100) {
    await post(api, `${url}/rules`, { permissions: permissions.slice(from, from + 100) })
  }
  return url
}

const csv = { headers: { 'content-type': 'text/csv' } }
const web = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '203.0.113.0/24' }
const header = 'direction,policy,priority,ipProtocol,portRange,sourceCidrIp,description'

/** Rules of every kind that a VPC group may have. */
const anyRule = fc
  .record({
    direction: fc.constantFrom('ingress', 'egress'),
    policy: fc.constantFrom('accept', 'drop'),
    priority: fc.integer({ min: 1, max: 100 }),
    protocol: fc.constantFrom('all', 'tcp', 'UDP', 'icmp', 'icmpv6', 'gre'),
    ports: fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 })),
    sourcePorts: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
    object: fc.constantFrom('CidrIp', 'ipv6', 'GroupId', 'OtherGroup', 'PrefixListId'),
    address: fc.nat(0xffff),
    length: fc.integer({ min: 0, max: 32 }),
    isNarrowed: fc.boolean(),
    description: fc.option(
      fc.oneof(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
        fc.constantFrom('=1+1', '-1', "'=x", '@"a",b', "'", '+', ' =', '网'),
      ),
      { nil: undefined },
    ),
  })
  .map(made => {
    const [side, other] = made.direction === 'ingress' ? ['source', 'dest'] : ['dest', 'source']
    const hasPorts = made.protocol === 'tcp' || made.protocol === 'UDP'
    const block4 = `10.${made.address >> 8}.${made.address & 255}.0/${made.length}`
    const block6 = `2001:db8:${made.address.toString(16)}::1/${made.length * 4}`
    const cidrFields = (of: string, family: number) =>
      family === 4 ? { [`${of}CidrIp`]: block4 } : { [`ipv6${of === 'dest' ? 'Dest' : 'Source'}CidrIp`]: block6 }
    const objects: Record<string, object> = {
      CidrIp: cidrFields(side!, 4),
      ipv6: cidrFields(side!, 6),
      GroupId: { [`${side}GroupId`]: 'sg-app' },
      OtherGroup: { [`${side}GroupId`]: 'sg-theirs', [`${side}GroupOwnerAccount`]: otherAccountId },
      PrefixListId: { [`${side}PrefixListId`]: 'pl-IPv4' },
    }
    const description = made.description?.replace(/[\p{Cc}\u2028\u2029]/gu, '')
    return {
      direction: made.direction,
      policy: made.policy,
      priority: made.priority,
      ipProtocol: made.protocol,
      ...(hasPorts && { portRange: `${Math.min(...made.ports)}/${Math.max(...made.ports)}` }),
      ...(hasPorts && made.sourcePorts !== undefined && { sourcePortRange: `${made.sourcePorts}/${made.sourcePorts}` }),
      ...objects[made.object],
      ...(made.isNarrowed && cidrFields(other!, made.object === 'ipv6' ? 6 : 4)),
      ...(description && { description }),
    }
  })

describe('export, then import,', () => {
  for (const format of ['json', 'csv']) {
    test(`as ${format} gives the same rules in another group and in the same`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyRule, { maxLength: 12 }), async rules => {
          const from = await newGroup(rules)
          const to = await newGroup([web])
          const options = format === 'csv' ? csv : {}
          const file = await api.request('GET', `${from}/export?format=${format}`)
          const imported = await api.request('POST', `${to}/import?mode=replace`, file.body, options)
          assert.equal(imported.status, 200, JSON.stringify(imported.body))
          const copy = await api.request('GET', `${to}/export?format=${format}`)
          assert.deepEqual(copy.body, file.body)
          const there = (await api.request('GET', from)).body.permissions
          for (const mode of ['append', 'replace']) {
            const head = api.store.head()
            const again = await api.request('POST', `${from}/import?mode=${mode}`, file.body, options)
            assert.deepEqual(again.body, { permissions: there, revision: head })
          }
        }),
        { numRuns: 30 },
      )
    })
  }

  test('takes what was read by the rules route', async () => {
    const from = await newGroup([web, { ...web, priority: 2, description: 'x' }])
    const { body } = await api.request('GET', from)
    const to = await newGroup()
    const { body: imported } = await api.request('POST', `${to}/import`, { permissions: body.permissions })
    assert.equal(imported.permissions.length, 2)
    assert.notEqual(imported.permissions[0].securityGroupRuleId, body.permissions[0].securityGroupRuleId)
  })
})

describe('export', () => {
  test('names the file, and runs nothing in a spreadsheet', async () => {
    const url = await newGroup([{ ...web, ipProtocol: 'icmp', portRange: '-1/-1', description: '=HYPERLINK("x")' }])
    const { headers, body } = await api.request('GET', `${url}/export?format=csv`)
    assert.equal(headers['content-type'], 'text/csv; charset=utf-8')
    assert.equal(headers['content-disposition'], `attachment; filename="${url.split('/')[3]}.csv"`)
    const [, line] = body.split('\r\n')
    assert.equal(line, `ingress,accept,1,icmp,'-1/-1,,,203.0.113.0/24,,,,,,,,,,internet,"'=HYPERLINK(""x"")"`)
  })

  test('is of json or csv', async () => {
    const url = await newGroup()
    assert.equal((await api.request('GET', `${url}/export?format=xml`)).status, 400)
    assert.deepEqual((await api.request('GET', `${url}/export`)).body, { permissions: [] })
  })
})

describe('import', () => {
  test('appends, or replaces what is not in the file', async () => {
    const rules = [web, { ...web, priority: 2, description: 'old words' }]
    const url = await newGroup(rules)
    const [first, second] = (await api.request('GET', url)).body.permissions
    const file = {
      permissions: [
        { ...web, priority: 3 },
        { ...web, priority: 2, description: 'new words' },
      ],
    }
    const appended = await api.request('POST', `${url}/import`, file)
    assert.deepEqual(appended.body.permissions[1], second)
    const replaced = await api.request('POST', `${url}/import?mode=replace`, file)
    assert.deepEqual(replaced.body.permissions, [appended.body.permissions[0], { ...second, description: 'new words' }])
    assert.deepEqual((await api.request('GET', url)).body.permissions, replaced.body.permissions)
    assert.notEqual(first.priority, 2)
    await api.request('POST', `${url}/import?mode=replace`, { permissions: [] })
    assert.deepEqual((await api.request('GET', url)).body.permissions, [])
  })

  test('reads CSV of few columns, services and several objects', async () => {
    const url = await newGroup()
    const text = `direction,service,sourceCidrIp,priority\ningress,ssh,"10.0.0.1,10.0.0.2",\n\ningress,HTTPS,0.0.0.0/0,7\n`
    const { body } = await api.request('POST', `${url}/import`, text, csv)
    assert.deepEqual(
      body.permissions.map((rule: Body) => `${rule.portRange} ${rule.sourceCidrIp} ${rule.priority}`),
      ['22/22 10.0.0.1/32 1', '22/22 10.0.0.2/32 1', '443/443 0.0.0.0/0 7'],
    )
  })

  const oldDefaults = [
    { ...web, ipProtocol: 'icmp', portRange: '-1/-1', sourceCidrIp: '0.0.0.0/0', priority: 110 },
    ...[22, 3389, 80, 443].map(port => ({
      ...web,
      portRange: `${port}/${port}`,
      sourceCidrIp: '0.0.0.0/0',
      priority: 110,
    })),
  ]

  test('takes priority 110 in the rules of default groups', async () => {
    const url = await newGroup()
    const { body } = await api.request('POST', `${url}/import`, { permissions: oldDefaults })
    assert.deepEqual(
      body.permissions.map((rule: Body) => rule.priority),
      [100, 100, 100, 100, 100],
    )
    const text = `${header}\r\nIngress,accept,110,tcp,22/22,0.0.0.0/0,\r\n`.replace('Ingress', 'ingress')
    const again = await api.request('POST', `${url}/import`, text, csv)
    assert.deepEqual(again.body.permissions, [body.permissions[1]])
  })

  test('and in no others', async () => {
    const url = await newGroup()
    const others = [
      { ...oldDefaults[1], portRange: '23/23' },
      { ...oldDefaults[1], policy: 'drop' },
      { ...oldDefaults[1], sourceCidrIp: '10.0.0.0/8' },
      { ...oldDefaults[1], direction: 'egress', sourceCidrIp: undefined, destCidrIp: '0.0.0.0/0' },
      { ...oldDefaults[1], priority: 111 },
    ]
    const fields = others.map((_, index) => `permissions[${index + 1}].priority`).join(' ')
    await assertRefused(api, {
      url: `${url}/import`,
      body: { permissions: [oldDefaults[0], ...others] },
      expected: `400 InvalidParameter ${fields}`,
    })
  })

  const lines = (...rows: readonly string[]) => [header, ...rows].join('\r\n')
  const good = 'ingress,accept,1,tcp,80/80,10.0.0.0/8,'
  const refusals: readonly { name: string; text: string; expected: string; message?: RegExp }[] = [
    { name: 'an empty file', text: '', expected: '400 InvalidParameter line 1' },
    { name: 'empty lines alone', text: '\n\n', expected: '400 InvalidParameter line 1' },
    {
      name: 'a column there is not',
      text: 'direction,port\n',
      expected: '400 InvalidParameter line 1',
      message: /"port"/,
    },
    {
      name: 'a column of JavaScript’s own',
      text: 'direction,__proto__\ningress,x\n',
      expected: '400 InvalidParameter line 1',
    },
    { name: 'a column twice', text: 'direction,direction\n', expected: '400 InvalidParameter line 1' },
    { name: 'a quote that is not closed', text: lines(good, '"ingress'), expected: '400 InvalidParameter line 3' },
    {
      name: 'every bad line, in their order, after a cell of two lines',
      text: lines(
        '"ingress",accept,1,tcp,80/80,10.0.0.0/8,x',
        'ingress,accept,1,tcp,90/80,10.0.0.0/8,',
        good,
        'ingress,accept,x,tcp,80/80,10.0.0.0/8,',
        'ingress,accept,1',
        'sideways,accept,1,tcp,80/80,10.0.0.0/8,',
        'ingress,accept,1,tcp,80/80,10.0.0.0/8,"two\r\nlines"',
        "ingress,accept,0,icmp,'-1/-1,10.0.0.0/8,",
      ),
      expected: `400 InvalidParameter ${[3, 5, 6, 7, 8, 10].map(line => `line ${line}`).join(' ')}`,
      message: /portRange: Cannot read port range "90\/80"[\s\S]*priority: |priority: [\s\S]*portRange: Cannot/,
    },
  ]
  for (const { name, text, expected, ...more } of refusals) {
    test(`refuses ${name}`, async () => {
      const url = await newGroup([web])
      await assertRefused(api, { url: `${url}/import?mode=replace`, body: text, ...csv, expected, ...more })
    })
  }

  test('refuses what a spreadsheet wrote in another character set, and says where', async () => {
    const url = await newGroup([web])
    const body = Buffer.from(lines(good, `${good}B\xfcro`, good), 'latin1')
    await assertRefused(api, {
      url: `${url}/import`,
      body,
      ...csv,
      expected: '400 InvalidParameter line 3',
      message: /UTF-8/,
    })
  })

  test('refuses a mode there is not, and what is neither JSON nor CSV', async () => {
    const url = await newGroup()
    await assertRefused(api, {
      url: `${url}/import?mode=merge`,
      body: { permissions: [] },
      expected: '400 InvalidParameter ?mode',
    })
    await assertRefused(api, { url: `${url}/import`, expected: '400 MissingParameter permissions' })
    await assertRefused(api, {
      url: `${url}/import`,
      body: '<rules/>',
      headers: { 'content-type': 'application/xml' },
      expected: '415 UnsupportedMediaType',
    })
    await assertRefused(api, {
      url: `${url}/import`,
      body: { permissions: [web, { ...web, priority: 0 }] },
      expected: '400 InvalidParameter permissions[1].priority',
    })
  })

  test('refuses more rules than a group may have, and replaces as many as it may', async () => {
    const ports = Array.from({ length: 201 }, (_, n) => ({ ...web, portRange: `${n + 1}/${n + 1}` }))
    const url = await newGroup(ports.slice(0, 200))
    const other = ports.map(rule => ({ ...rule, priority: 2 }))
    await assertRefused(api, {
      url: `${url}/import`,
      body: { permissions: other.slice(0, 1) },
      expected: '403 LimitExceeded permissions',
    })
    await assertRefused(api, {
      url: `${url}/import?mode=replace`,
      body: { permissions: other },
      expected: '403 LimitExceeded permissions',
    })
    const { status } = await api.request('POST', `${url}/import?mode=replace`, { permissions: other.slice(0, 200) })
    assert.equal(status, 200)
  })

  test('in a dry run stores nothing', async () => {
    const url = await newGroup([web])
    const head = api.store.head()
    const { body } = await api.request('POST', `${url}/import?mode=replace&dryRun=true`, lines(good), csv)
    assert.deepEqual(body.rules.map((rule: Body) => rule.effect).sort(), ['added', 'removed'])
    assert.equal(api.store.head(), head)
  })
})
