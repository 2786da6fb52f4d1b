/** Users of RAM at `/v1`: by API tokens, as far as their policies go, and never as far as operators. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { userKey } from '../../support/ram.ts'

let api: TestApi
before(async () => {
  api = await startApi()
  await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-web', tags: { team: 'web' } })
  await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-db' })
  await api.request('POST', '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-foreign' })
  await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-ruled', permissions: [rule] })
  await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-1' })
  const eni = { instanceId: 'i-1', networkInterfaceId: 'eni-1', securityGroupIds: ['sg-web'] }
  await api.request('POST', '/v1/network-interfaces', eni)
})
after(() => api[Symbol.asyncDispose]())

let made = 0
/** A token of a new user with one policy of these statements. */
async function tokenOf(...statements: readonly object[]): Promise<string> {
  made += 1
  const userName = `user-${made}`
  await userKey(api, userName, { [`p${made}`]: statements })
  const { status, body } = await api.request('POST', '/v1/tokens', { name: userName, user: { accountId, userName } })
  assert.equal(status, 201, JSON.stringify(body))
  return body.token
}

const allow = (action: unknown, resource: unknown = '*', condition?: object) => ({
  Effect: 'Allow',
  Action: action,
  Resource: resource,
  ...(condition && { Condition: condition }),
})
const deny = (action: unknown, resource: unknown = '*') => ({ ...allow(action, resource), Effect: 'Deny' })

async function outcome(token: string, method: string, url: string, body?: unknown): Promise<string> {
  const answer = await api.request(method, url, body, { token })
  return answer.status < 300 ? 'allowed' : `${answer.status} ${answer.body.code}`
}

const rule = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '198.18.0.0/16' }
const out = { direction: 'egress', ipProtocol: 'tcp', portRange: '80/80', destCidrIp: '198.18.0.0/16' }
const denied = '403 Forbidden.RAM'

interface Row {
  readonly name: string
  readonly policy: readonly object[]
  readonly request: readonly [method: string, url: string, body?: unknown]
  readonly expected: string
}

const rows: readonly Row[] = [
  { name: 'nothing granted', policy: [allow('ram:*')], request: ['GET', '/v1/security-groups'], expected: denied },
  {
    name: 'looking granted',
    policy: [allow('ecs:Describe*')],
    request: ['GET', '/v1/security-groups'],
    expected: 'allowed',
  },
  {
    name: 'looking granted, changing not',
    policy: [allow('ecs:Describe*')],
    request: ['POST', '/v1/security-groups/sg-web/rules', { permissions: [rule] }],
    expected: denied,
  },
  {
    name: 'who may not authorize, revoke or modify rules: authorize',
    policy: [allow('*'), deny(['ecs:AuthorizeSecurityGroup*', 'ecs:RevokeSecurityGroup*', 'ecs:ModifySecurityGroup*'])],
    request: ['POST', '/v1/security-groups/sg-web/rules', { permissions: [rule] }],
    expected: denied,
  },
  {
    name: 'the same: revoke',
    policy: [allow('*'), deny(['ecs:AuthorizeSecurityGroup*', 'ecs:RevokeSecurityGroup*', 'ecs:ModifySecurityGroup*'])],
    request: ['POST', '/v1/security-groups/sg-web/rules/revoke', { permissions: [rule] }],
    expected: denied,
  },
  {
    name: 'the same: modify',
    policy: [allow('*'), deny(['ecs:AuthorizeSecurityGroup*', 'ecs:RevokeSecurityGroup*', 'ecs:ModifySecurityGroup*'])],
    request: ['PATCH', '/v1/security-groups/sg-web/rules/sgr-1', { priority: 2 }],
    expected: denied,
  },
  {
    name: 'the mode of a group is not its name: denied',
    policy: [allow('*'), deny('ecs:ModifySecurityGroupPolicy')],
    request: ['PATCH', '/v1/security-groups/sg-db', { mode: 'observe' }],
    expected: denied,
  },
  {
    name: 'the mode of a group is not its name: allowed',
    policy: [allow('*'), deny('ecs:ModifySecurityGroupPolicy')],
    request: ['PATCH', '/v1/security-groups/sg-db', { securityGroupName: 'data' }],
    expected: 'allowed',
  },
  {
    name: 'one group by its id',
    policy: [allow('*', `acs:ecs:*:${accountId}:securitygroup/sg-web`)],
    request: ['GET', '/v1/security-groups/sg-web'],
    expected: 'allowed',
  },
  {
    name: 'another group',
    policy: [allow('*', `acs:ecs:*:${accountId}:securitygroup/sg-web`)],
    request: ['GET', '/v1/security-groups/sg-db'],
    expected: denied,
  },
  {
    name: 'a group by its tag',
    policy: [allow('*', '*', { StringEquals: { 'ecs:tag/team': 'web' } })],
    request: ['PATCH', '/v1/security-groups/sg-web', { securityGroupName: 'web' }],
    expected: 'allowed',
  },
  {
    name: 'a group without the tag',
    policy: [allow('*', '*', { StringEquals: { 'ecs:tag/team': 'web' } })],
    request: ['PATCH', '/v1/security-groups/sg-db', { securityGroupName: 'db' }],
    expected: denied,
  },
  {
    name: 'joining needs the instance too',
    policy: [allow('*', 'acs:ecs:*:*:securitygroup/*')],
    request: ['POST', '/v1/security-groups/sg-db/join', { instanceIds: ['i-1'] }],
    expected: denied,
  },
  {
    name: 'a clone shows the rules of the original',
    policy: [allow('*'), deny('ecs:DescribeSecurityGroupAttribute', 'acs:ecs:*:*:securitygroup/sg-db')],
    request: ['POST', '/v1/security-groups/sg-db/clone', {}],
    expected: denied,
  },
  {
    name: 'a clone has the rules of the original',
    policy: [allow('*'), deny('ecs:AuthorizeSecurityGroup')],
    request: ['POST', '/v1/security-groups/sg-ruled/clone', {}],
    expected: denied,
  },
  {
    name: 'a clone of what has no rules of egress',
    policy: [allow('*'), deny('ecs:AuthorizeSecurityGroupEgress')],
    request: ['POST', '/v1/security-groups/sg-ruled/clone', {}],
    expected: 'allowed',
  },
  ...(
    [
      [
        'egress rules are another action',
        'ecs:AuthorizeSecurityGroupEgress',
        'POST',
        'rules',
        { permissions: [rule, out] },
      ],
      ['the same: revoked', 'ecs:RevokeSecurityGroupEgress', 'POST', 'rules/revoke', { permissions: [out] }],
      [
        'a rule made one of egress',
        'ecs:ModifySecurityGroupEgressRule',
        'PATCH',
        'rules/sgr-1',
        { direction: 'egress' },
      ],
      [
        'an import that takes rules away',
        'ecs:RevokeSecurityGroup',
        'POST',
        'import?mode=replace',
        { permissions: [rule] },
      ],
      ['an import with rules of egress', 'ecs:AuthorizeSecurityGroupEgress', 'POST', 'import', { permissions: [out] }],
      ['tags are more than a name', 'ecs:TagResources', 'PATCH', '', { tags: { team: 'web' } }],
      ['taking tags away', 'ecs:UntagResources', 'PATCH', '', { securityGroupName: 'db', tags: {} }],
      ['what members may', 'ecs:ModifySecurityGroupPolicy', 'PATCH', '', { innerAccessPolicy: 'drop' }],
      [
        'a name beside the mode',
        'ecs:ModifySecurityGroupAttribute',
        'PATCH',
        '',
        { securityGroupName: 'db', mode: 'enforce' },
      ],
    ] as const
  ).map(([name, action, method, below, body]) => ({
    name: `${name}: ${action}`,
    policy: [allow('*'), deny(action)],
    request: [method, `/v1/security-groups/sg-db${below === '' ? '' : `/${below}`}`, body] as const,
    expected: denied,
  })),
  ...(
    [
      ['rules of a new group', 'ecs:AuthorizeSecurityGroup', { permissions: [rule] }],
      ['a template for it', 'ecs:AuthorizeSecurityGroup', { template: 'web-server-linux' }],
      ['one that is only observed', 'ecs:ModifySecurityGroupPolicy', { mode: 'observe' }],
    ] as const
  ).map(([name, action, body]) => ({
    name: `${name}: ${action}`,
    policy: [allow('*'), deny(action)],
    request: ['POST', '/v1/security-groups', body] as const,
    expected: denied,
  })),
  {
    name: 'ingress rules, where those of egress are denied',
    policy: [allow('*'), deny(['ecs:AuthorizeSecurityGroupEgress', 'ecs:ModifySecurityGroupPolicy'])],
    request: ['POST', '/v1/security-groups/sg-db/import', { permissions: [rule] }],
    expected: 'allowed',
  },
  {
    name: 'addresses are assigned',
    policy: [allow('*'), deny('ecs:AssignPrivateIpAddresses')],
    request: ['PATCH', '/v1/network-interfaces/eni-1', { privateIpAddresses: ['198.18.0.9'] }],
    expected: denied,
  },
  {
    name: 'thresholds are no matter of single instances',
    policy: [allow('*'), deny('yundun-ddos:*', 'acs:yundun-ddos:*:*:*')],
    request: ['PUT', '/v1/instances/i-1/ddos-threshold', { bps: 100, pps: 1000 }],
    expected: denied,
  },
  { name: 'limits tell of groups', policy: [allow('ecs:*')], request: ['GET', '/v1/limits'], expected: denied },
  {
    name: 'limits, looking granted',
    policy: [allow('*:Describe*')],
    request: ['GET', '/v1/limits'],
    expected: 'allowed',
  },
  {
    name: 'other groups of a network interface need the groups too',
    policy: [allow('*', ['acs:ecs:*:*:eni/*', 'acs:ecs:*:*:securitygroup/sg-web'])],
    request: ['PATCH', '/v1/network-interfaces/eni-1', { securityGroupIds: ['sg-db'] }],
    expected: denied,
  },
  {
    name: 'from the corporate network',
    policy: [allow('ecs:*', '*', { IpAddress: { 'acs:SourceIp': '127.0.0.0/8' } })],
    request: ['GET', '/v1/instances'],
    expected: 'allowed',
  },
  {
    name: 'from elsewhere',
    policy: [allow('ecs:*', '*', { IpAddress: { 'acs:SourceIp': '198.18.0.0/16' } })],
    request: ['GET', '/v1/instances'],
    expected: denied,
  },
  {
    name: 'TLS alone',
    policy: [allow('ecs:*', '*', { Bool: { 'acs:SecureTransport': 'true' } })],
    request: ['GET', '/v1/instances'],
    expected: denied,
  },
  {
    name: 'another account',
    policy: [allow('*')],
    request: ['GET', '/v1/security-groups/sg-foreign'],
    expected: '404 InvalidSecurityGroupId.NotFound',
  },
  { name: 'the fleet: agents', policy: [allow('*')], request: ['GET', '/v1/agents'], expected: '403 Forbidden' },
  {
    name: 'the fleet: settings',
    policy: [allow('*')],
    request: ['PATCH', '/v1/settings', { sessionTimeout: 900 }],
    expected: '403 Forbidden',
  },
  {
    name: 'the fleet: tokens',
    policy: [allow('*')],
    request: ['POST', '/v1/tokens', { name: 'x', scopes: [{ accountId: '*', access: 'write' }] }],
    expected: '403 Forbidden',
  },
  { name: 'the fleet: audit', policy: [allow('*')], request: ['GET', '/v1/audit'], expected: '403 Forbidden' },
  { name: 'the fleet: backup', policy: [allow('*')], request: ['POST', '/v1/backup', {}], expected: '403 Forbidden' },
  { name: 'what one is', policy: [deny('*')], request: ['GET', '/v1/whoami'], expected: 'allowed' },
]

describe('a user of RAM', () => {
  for (const { name, policy, request, expected } of rows) {
    test(`${name}: ${expected}`, async () => {
      assert.equal(await outcome(await tokenOf(...policy), ...request), expected)
    })
  }

  test('is told which statement denied', async () => {
    const token = await tokenOf(allow('*'), deny('ecs:DeleteSecurityGroup'))
    const { body } = await api.request('DELETE', '/v1/security-groups/sg-web', undefined, { token })
    assert.match(
      body.detail,
      /^user-\d+ may not ecs:DeleteSecurityGroup on acs:ecs:local:\d{16}:securitygroup\/sg-web: statement 2 of Custom\/p\d+ denies it$/,
    )
    assert.equal(body.accessDeniedDetail.NoPermissionType, 'ExplicitDeny')
  })

  test('is who acted, in the audit log and to himself', async () => {
    const token = await tokenOf(allow('ecs:*'))
    const { body } = await api.request('GET', '/v1/whoami', undefined, { token })
    assert.equal(body.identity.type, 'RAMUser')
    assert.match(body.identity.arn, /^acs:ram::1000000000000000:user\/user-\d+$/)
  })

  test('has no token any more when he is gone', async () => {
    const token = await tokenOf(allow('ecs:*'))
    const name = `user-${made}`
    await api.store.commit({ writes: [{ key: `ramUser/${accountId}.${name}`, value: null }] })
    assert.equal(await outcome(token, 'GET', '/v1/security-groups'), '401 Unauthorized')
  })
})

test('rules of egress alone, and the inner policy, are audited as by the RPC API', async () => {
  const token = await tokenOf(allow('ecs:*'))
  await outcome(token, 'POST', '/v1/security-groups/sg-web/rules', { permissions: [out] })
  await outcome(token, 'POST', '/v1/security-groups/sg-web/rules', { permissions: [out, rule] })
  await outcome(token, 'POST', '/v1/security-groups/sg-web/rules', { permissions: [null] })
  await outcome(token, 'PATCH', '/v1/security-groups/sg-web', { innerAccessPolicy: 'drop' })
  await api.audit.settled()
  const { items } = (await api.request('GET', '/v1/audit?maxResults=4')).body
  assert.deepEqual(
    items.map(({ action, outcome: was }: { action: string; outcome: string }) => `${action} ${was}`),
    [
      'ecs:ModifySecurityGroupPolicy done',
      'ecs:AuthorizeSecurityGroup refused',
      'ecs:AuthorizeSecurityGroup done',
      'ecs:AuthorizeSecurityGroupEgress done',
    ],
  )
})

describe('what a user was refused is audited with what it was about', () => {
  const ram = (kind: string, name: string) => `${kind}/${accountId}.${name}`
  const rows: readonly [string, string, unknown, readonly string[]][] = [
    [
      'POST',
      '/v1/security-groups/sg-db/join',
      { instanceIds: ['i-1', 'i-2'] },
      ['group/sg-db', 'instance/i-1', 'instance/i-2'],
    ],
    ['PATCH', '/v1/network-interfaces/eni-1', { securityGroupIds: ['sg-db'] }, ['eni/eni-1', 'group/sg-db']],
    ['DELETE', '/v1/security-groups/sg-db/rules/sgr-1', undefined, ['group/sg-db']],
    ['PUT', '/v1/instances/i-1/ddos-threshold', { bps: 100, pps: 1000 }, ['instance/i-1']],
    ['PUT', '/v1/ram/groups/Admins/users/eve', {}, [ram('ramGroup', 'admins'), ram('ramUser', 'eve')]],
    ['DELETE', '/v1/ram/policies/all', undefined, [ram('ramPolicy', 'all')]],
    ['PATCH', '/v1/ram/access-keys/RW1', { status: 'Inactive' }, ['accessKey/RW1']],
    ['POST', '/v1/security-groups', {}, []],
    // As the schema refuses it.
    [
      'POST',
      '/v1/security-groups/sg-db/join',
      { instanceIds: ['i-1', 'x'.repeat(1000)] },
      ['group/sg-db', 'instance/i-1'],
    ],
    ['POST', '/v1/security-groups/sg-db/join', [], ['group/sg-db']],
  ]
  for (const [method, url, body, objects] of rows) {
    test(`${method} ${url} ${JSON.stringify(body)?.slice(0, 80) ?? ''}`, async () => {
      const token = await tokenOf(allow('sts:*'))
      assert.match(await outcome(token, method, url, body), /^40[03] /)
      await api.audit.settled()
      const [event] = (await api.request('GET', '/v1/audit?maxResults=1')).body.items
      assert.deepEqual([event.outcome, event.objects], ['refused', objects])
      assert.match(event.principal.credentialId, /^token-/)
    })
  }
})

describe('a token', () => {
  const rows: readonly [object, string][] = [
    [{}, '400 MissingParameter'],
    [{ scopes: [{ accountId, access: 'read' }], user: { accountId, userName: 'x' } }, '400 InvalidParameter'],
    [{ user: { accountId, userName: 'nobody' } }, '404 EntityNotExist.User'],
  ]
  for (const [bearer, expected] of rows) {
    test(`of ${JSON.stringify(bearer)} is refused: ${expected}`, async () => {
      const { status, body } = await api.request('POST', '/v1/tokens', { name: 'new', ...bearer })
      assert.equal(`${status} ${body.code}`, expected)
    })
  }
})

test('every route of /v1 says what must be allowed, or is the operators’ alone', async () => {
  const { paths } = (await api.request('GET', '/openapi.json')).body
  const token = await tokenOf(allow('*'))
  const operators: string[] = []
  for (const [path, methods] of Object.entries(paths as Record<string, Record<string, { 'x-action'?: string }>>)) {
    for (const method of Object.keys(methods)) {
      // Where the path names what is not there, that is what is told.
      const url = path.replace(/\{\w+\}/g, 'x-1')
      const { status, body } = await api.request(method.toUpperCase(), url, method === 'get' ? undefined : {}, {
        token,
      })
      if (status === 403 && body.code === 'Forbidden' && body.detail.includes('operators'))
        operators.push(`${method} ${path}`)
    }
  }
  assert.deepEqual(
    operators.filter(each => /security-group|instances|network-interface|prefix-list|ddos/.test(each)),
    [],
  )
  assert.ok(operators.includes('get /v1/agents'))
})
