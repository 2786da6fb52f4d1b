/** Security groups by the RPC API, beside what /v1 says of them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startApi, type TestApi } from '../../support/api.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { type RpcKey, type RpcReply, rpcCalls } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
})
after(() => api[Symbol.asyncDispose]())

const { call, did } = rpcCalls(
  () => api.app,
  () => root,
  { always: { RegionId: 'cn-hangzhou' } },
)
const made = async (parameters: object = {}): Promise<string> =>
  (await did('CreateSecurityGroup', parameters)).SecurityGroupId

describe('security groups', () => {
  test('are made, described with every field, changed and deleted; /v1 sees the same', async () => {
    const id = await made({
      SecurityGroupName: 'web',
      Description: 'front',
      VpcId: 'vpc-1',
      Tag: [{ Key: 'team', Value: 'a' }],
    })
    const { SecurityGroups, RegionId, TotalCount, NextToken } = await call('DescribeSecurityGroups', {
      SecurityGroupId: id,
    })
    assert.deepEqual([RegionId, TotalCount, NextToken], ['cn-hangzhou', 1, ''])
    const [{ CreationTime, ...shown }] = SecurityGroups.SecurityGroup
    assert.match(CreationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.deepEqual(shown, {
      SecurityGroupId: id,
      SecurityGroupName: 'web',
      Description: 'front',
      VpcId: 'vpc-1',
      SecurityGroupType: 'normal',
      ResourceGroupId: '',
      EcsCount: 0,
      AvailableInstanceAmount: 2000,
      RuleCount: 0,
      GroupToGroupRuleCount: 0,
      ServiceManaged: false,
      ServiceID: 0,
      Tags: { Tag: [{ TagKey: 'team', TagValue: 'a' }] },
    })
    await call('ModifySecurityGroupAttribute', { SecurityGroupId: id, SecurityGroupName: 'api' })
    await call('ModifySecurityGroupPolicy', { SecurityGroupId: id, InnerAccessPolicy: 'Drop' })
    const { body } = await api.request('GET', `/v1/security-groups/${id}`)
    const { securityGroupName, description, innerAccessPolicy } = body.securityGroup
    assert.deepEqual([securityGroupName, description, innerAccessPolicy], ['api', 'front', 'drop'])
    assert.equal((await call('DeleteSecurityGroup', { SecurityGroupId: id })).status, 200)
    const again = await call('DeleteSecurityGroup', { SecurityGroupId: id })
    assert.deepEqual([again.status, again.Code], [404, 'InvalidSecurityGroupId.NotFound'])
    assert.deepEqual((await call('DescribeSecurityGroups', { SecurityGroupId: id })).SecurityGroups, {
      SecurityGroup: [],
    })
  })

  test('are made once for a client token', async () => {
    const wish = { SecurityGroupName: 'once', ClientToken: 'token-1' }
    assert.equal(await made(wish), await made(wish))
    const other = await call('CreateSecurityGroup', { ...wish, SecurityGroupName: 'twice' })
    assert.deepEqual([other.status, other.Code], [400, 'IdempotentParameterMismatch'])
  })

  test('are not made by a dry run', async () => {
    const before = api.world.count('group')
    const refused = api.refused.length
    const { status, Code } = await call('CreateSecurityGroup', { DryRun: true })
    assert.deepEqual([status, Code, api.world.count('group')], [400, 'DryRunOperation', before])
    assert.equal(api.refused.length, refused, 'and nothing is refused')
  })

  test('come in pages, by number and by token', async () => {
    await using many = await startApi()
    const key = await accountKey(many)
    const { did: ask } = rpcCalls(
      () => many.app,
      () => key,
    )
    const ids: string[] = []
    for (let made = 0; made < 7; made += 1) ids.push((await ask('CreateSecurityGroup', {})).SecurityGroupId)
    const idsOf = (reply: RpcReply): string[] =>
      reply.SecurityGroups.SecurityGroup.map((group: { SecurityGroupId: string }) => group.SecurityGroupId)
    const numbered = [1, 2, 3].map(PageNumber => ask('DescribeSecurityGroups', { PageNumber, PageSize: 3 }))
    assert.deepEqual((await Promise.all(numbered)).flatMap(idsOf), ids.toSorted())
    const byToken: string[] = []
    let NextToken = ''
    do {
      const body = await ask('DescribeSecurityGroups', { MaxResults: 3, NextToken })
      byToken.push(...idsOf(body))
      NextToken = body.NextToken
    } while (NextToken !== '')
    assert.deepEqual(byToken, ids.toSorted())
  })

  const faults: readonly [string, object, string][] = [
    ['CreateSecurityGroup', { SecurityGroupName: '1x' }, '400 InvalidSecurityGroupName.Malformed'],
    ['CreateSecurityGroup', { Description: 'https://x' }, '400 InvalidSecurityGroupDiscription.Malformed'],
    ['CreateSecurityGroup', { Tag: [{ Key: 'aliyun' }] }, '400 InvalidTagKey.Malformed'],
    ['CreateSecurityGroup', { Tag: [{ Key: 'a' }, { Key: 'a' }] }, '400 Duplicate.TagKey'],
    ['ModifySecurityGroupPolicy', { SecurityGroupId: 'sg-1', InnerAccessPolicy: 'x' }, '400 InvalidPolicy.Malformed'],
    ['ModifySecurityGroupPolicy', { SecurityGroupId: 'sg-1' }, '400 MissingParameter.InnerAccessPolicy'],
    ['DescribeSecurityGroups', { SecurityGroupIds: 'sg-1' }, '400 InvalidParameter'],
    ['DescribeSecurityGroups', { MaxResults: 1000 }, '400 InvalidParameter'],
  ]
  for (const [action, parameters, expected] of faults) {
    test(`${action} ${JSON.stringify(parameters)}: ${expected}`, async () => {
      const { status, Code } = await call(action, parameters)
      assert.equal(`${status} ${Code}`, expected)
    })
  }
})

describe('policies', () => {
  const looking = [{ Effect: 'Allow', Action: 'ecs:Describe*', Resource: '*' }]

  test('let a user look and not change, and say what denied', async () => {
    const id = await made()
    const alice = await userKey(api, 'alice', { looking })
    assert.equal((await call('DescribeSecurityGroups', {}, alice)).status, 200)
    const denied = await call('DeleteSecurityGroup', { SecurityGroupId: id }, alice)
    assert.deepEqual([denied.status, denied.Code], [403, 'Forbidden.RAM'])
    assert.deepEqual(denied.AccessDeniedDetail, {
      AuthAction: 'ecs:DeleteSecurityGroup',
      AuthPrincipalType: 'SubUser',
      AuthPrincipalOwnerId: '1000000000000000',
      AuthPrincipalDisplayName: 'alice',
      NoPermissionType: 'ImplicitDeny',
      PolicyType: 'AccountLevelIdentityBasedPolicy',
      EncodedDiagnosticMessage: '',
    })
    const { note, code } = api.refused.at(-1)!
    assert.deepEqual([note.action, note.principal.name, code], ['ecs:DeleteSecurityGroup', 'alice', 'Forbidden.RAM'])
  })

  test('speak of single groups, and of their tags', async () => {
    const [web, db] = [await made({ Tag: [{ Key: 'team', Value: 'web' }] }), await made()]
    const tagged = { StringEquals: { 'ecs:tag/team': 'web' } }
    const bob = await userKey(api, 'bob', {
      own: [{ Effect: 'Allow', Action: 'ecs:*', Resource: '*', Condition: tagged }],
    })
    assert.equal((await call('DeleteSecurityGroup', { SecurityGroupId: db }, bob)).status, 403)
    assert.equal((await call('DeleteSecurityGroup', { SecurityGroupId: web }, bob)).status, 200)
  })
})
