/** RAM by the RPC API: from a user that may nothing to a session that may what its role may. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { accountKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'
import { eventually } from '../../support/sessions.ts'

let api: TestApi
let root: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
})
after(() => api[Symbol.asyncDispose]())

const signed = { method: 'POST', scheme: 'acs3' } as const
const calls = (version: string) =>
  rpcCalls(
    () => api.app,
    () => root,
    { ...signed, version },
  )
const { call: ram, did } = calls('2015-05-01')
const { call: ecs } = calls('2014-05-26')
const { call: sts } = calls('2015-04-01')

const document = (effect: string, action: string) =>
  JSON.stringify({ Version: '1', Statement: [{ Effect: effect, Action: action, Resource: '*' }] })

async function newUser(name: string): Promise<RpcKey> {
  await did('CreateUser', { UserName: name })
  const { AccessKey } = await did('CreateAccessKey', { UserName: name })
  return { accessKeyId: AccessKey.AccessKeyId, secret: AccessKey.AccessKeySecret }
}

describe('users', () => {
  test('are made, shown, changed, listed and deleted', async () => {
    const { User } = await did('CreateUser', { UserName: 'carol', DisplayName: 'Carol', Comments: 'ops' })
    assert.match(User.UserId, /^\d{18}$/)
    assert.equal((await did('GetUser', { UserName: 'CAROL' })).User.DisplayName, 'Carol')
    await did('UpdateUser', { UserName: 'carol', NewDisplayName: 'C.' })
    const listed = (await did('ListUsers')).Users.User.map((user: { UserName: string }) => user.UserName)
    assert.deepEqual(listed, ['carol'])
    await did('DeleteUser', { UserName: 'carol' })
    const gone = await ram('GetUser', { UserName: 'carol' })
    assert.deepEqual([gone.status, gone.Code], [404, 'EntityNotExist.User'])
  })

  test('come in pages', async () => {
    for (const name of ['p1', 'p2', 'p3']) await did('CreateUser', { UserName: name })
    const first = await did('ListUsers', { MaxItems: 2 })
    assert.deepEqual([first.IsTruncated, first.Users.User.length], [true, 2])
    const rest = await did('ListUsers', { MaxItems: 2, Marker: first.Marker })
    assert.deepEqual([rest.IsTruncated, rest.Users.User[0].UserName, rest.Marker], [false, 'p3', undefined])
    for (const name of ['p1', 'p2', 'p3']) await did('DeleteUser', { UserName: name })
  })
})

describe('a user', () => {
  test('may what its policies and those of its groups say, from the next request on', async () => {
    const dave = await newUser('dave')
    const { SecurityGroupId } = await ecs('CreateSecurityGroup', {}, root)
    const authorize = () =>
      ecs(
        'AuthorizeSecurityGroup',
        { SecurityGroupId, IpProtocol: 'tcp', PortRange: '80/80', SourceCidrIp: '198.18.0.0/16' },
        dave,
      )
    assert.equal((await authorize()).status, 403)
    await did('AttachPolicyToUser', { PolicyType: 'System', PolicyName: 'AliyunECSFullAccess', UserName: 'dave' })
    assert.equal((await authorize()).status, 200)
    await did('CreateGroup', { GroupName: 'readers' })
    await did('CreatePolicy', {
      PolicyName: 'no-rules',
      PolicyDocument: document('Deny', 'ecs:AuthorizeSecurityGroup*'),
    })
    await did('AttachPolicyToGroup', { PolicyType: 'Custom', PolicyName: 'no-rules', GroupName: 'readers' })
    await did('AddUserToGroup', { UserName: 'dave', GroupName: 'readers' })
    const denied = await authorize()
    assert.deepEqual([denied.status, denied.Code], [403, 'Forbidden.RAM'])
    assert.equal(denied.AccessDeniedDetail.NoPermissionType, 'ExplicitDeny')
    assert.match(denied.Message, /statement 1 of Custom\/no-rules denies it/)
    await did('CreatePolicyVersion', {
      PolicyName: 'no-rules',
      PolicyDocument: document('Deny', 'ecs:X'),
      SetAsDefault: true,
    })
    assert.equal((await authorize()).status, 200)
    const { Users, Groups } = await did('ListEntitiesForPolicy', { PolicyType: 'Custom', PolicyName: 'no-rules' })
    assert.deepEqual([Users.User, Groups.Group[0].GroupName], [[], 'readers'])
  })

  test('cannot give itself anything, and can be given its own keys to keep', async () => {
    const erin = await newUser('erin')
    const attach = { PolicyType: 'System', PolicyName: 'AdministratorAccess', UserName: 'erin' }
    const denied = await ram('AttachPolicyToUser', attach, erin)
    assert.deepEqual([denied.status, denied.Code], [403, 'NoPermission'])
    const own = [{ Effect: 'Allow', Action: 'ram:*AccessKey*', Resource: `acs:ram:*:${accountId}:user/erin` }]
    await did('CreatePolicy', {
      PolicyName: 'own-keys',
      PolicyDocument: JSON.stringify({ Version: '1', Statement: own }),
    })
    await did('AttachPolicyToUser', { PolicyType: 'Custom', PolicyName: 'own-keys', UserName: 'erin' })
    const { AccessKey } = await did('CreateAccessKey', {}, erin)
    assert.equal((await did('ListAccessKeys', {}, erin)).AccessKeys.AccessKey.length, 2)
    await did('UpdateAccessKey', { UserAccessKeyId: AccessKey.AccessKeyId, Status: 'Inactive' }, erin)
    const off = { accessKeyId: AccessKey.AccessKeyId, secret: AccessKey.AccessKeySecret }
    assert.equal((await ram('GetUser', { UserName: 'erin' }, off)).Code, 'InvalidAccessKeyId.Inactive')
    assert.equal((await ram('ListAccessKeys', { UserName: 'dave' }, erin)).status, 403)
    const { AccessKeyLastUsed } = await did('GetAccessKeyLastUsed', { UserAccessKeyId: erin.accessKeyId }, erin)
    assert.match(AccessKeyLastUsed.LastUsedDate, /^20.*Z$/)
    await did('DeleteAccessKey', { UserAccessKeyId: AccessKey.AccessKeyId }, erin)
  })

  test('assumes a role, and is no more than that', async () => {
    const frank = await newUser('frank')
    const trust = {
      Effect: 'Allow',
      Action: 'sts:AssumeRole',
      Principal: { RAM: [`acs:ram::${accountId}:user/frank`] },
    }
    const { Role } = await did('CreateRole', {
      RoleName: 'Viewer',
      AssumeRolePolicyDocument: JSON.stringify({ Version: '1', Statement: [trust] }),
    })
    assert.equal(Role.Arn, `acs:ram::${accountId}:role/viewer`)
    await did('AttachPolicyToRole', { PolicyType: 'System', PolicyName: 'AliyunECSReadOnlyAccess', RoleName: 'viewer' })
    await did('AttachPolicyToUser', {
      PolicyType: 'System',
      PolicyName: 'AliyunSTSAssumeRoleAccess',
      UserName: 'frank',
    })
    const { Credentials } = await sts('AssumeRole', { RoleArn: Role.Arn, RoleSessionName: 'look' }, frank)
    const session = {
      accessKeyId: Credentials.AccessKeyId,
      secret: Credentials.AccessKeySecret,
      securityToken: Credentials.SecurityToken,
    }
    assert.equal((await ecs('DescribeSecurityGroups', {}, session)).status, 200)
    const denied = await ecs('CreateSecurityGroup', {}, session)
    assert.deepEqual([denied.status, denied.AccessDeniedDetail.AuthPrincipalType], [403, 'AssumedRoleUser'])
    await did('UpdateRole', { RoleName: 'viewer', NewMaxSessionDuration: 7200 })
    assert.equal((await did('GetRole', { RoleName: 'viewer' })).Role.MaxSessionDuration, 7200)
    assert.equal((await did('ListRoles')).Roles.Role.length, 1)
  })
})

describe('what is refused', () => {
  const rows: readonly [string, object, string][] = [
    ['CreateUser', { UserName: 'a b' }, '400 InvalidParameter.UserName.InvalidChars'],
    ['CreateUser', { UserName: 'x'.repeat(65) }, '400 InvalidParameter.UserName.InvalidChars'],
    ['CreateUser', {}, '400 MissingParameter.UserName'],
    ['CreatePolicy', { PolicyName: 'p', PolicyDocument: '{}' }, '400 MalformedPolicyDocument'],
    ['GetPolicy', { PolicyType: 'Custom', PolicyName: 'nothing' }, '404 EntityNotExist.Policy'],
    ['GetPolicy', { PolicyType: 'Other', PolicyName: 'nothing' }, '400 InvalidParameter.PolicyType'],
    ['DeletePolicy', { PolicyName: 'AdministratorAccess' }, '404 EntityNotExist.Policy'],
    ['AddUserToGroup', { UserName: 'nobody', GroupName: 'nothing' }, '404 EntityNotExist.User'],
    ['DeleteGroup', { GroupName: 'nothing' }, '404 EntityNotExist.Group'],
    ['GetRole', { RoleName: 'nothing' }, '404 EntityNotExist.Role'],
    ['CreateRole', { RoleName: 'r', AssumeRolePolicyDocument: '{}' }, '400 MalformedPolicyDocument'],
    ['DeleteAccessKey', { UserAccessKeyId: 'RWx' }, '404 EntityNotExist.User.AccessKey'],
    [
      'AttachPolicyToUser',
      { PolicyType: 'System', PolicyName: 'ReadOnlyAccess', UserName: 'nobody' },
      '404 EntityNotExist.User',
    ],
  ]
  for (const [action, parameters, expected] of rows) {
    test(`${action} ${JSON.stringify(parameters).slice(0, 80)}: ${expected}`, async () => {
      const { status, Code, Message } = await ram(action, parameters)
      assert.equal(`${status} ${Code}`, expected, Message)
    })
  }

  test('names in another case lead past no policy', async () => {
    const key = await newUser('case-keeper')
    await did('CreateUser', { UserName: 'boss' })
    const PolicyDocument = JSON.stringify({
      Version: '1',
      Statement: [
        { Effect: 'Allow', Action: 'ram:*', Resource: '*' },
        { Effect: 'Deny', Action: 'ram:*', Resource: `acs:ram:*:${accountId}:user/boss` },
      ],
    })
    await did('CreatePolicy', { PolicyName: 'not-the-boss', PolicyDocument })
    const attached = { PolicyType: 'Custom', PolicyName: 'not-the-boss', UserName: 'case-keeper' }
    await did('AttachPolicyToUser', attached)
    for (const UserName of ['boss', 'BOSS', 'Boss']) {
      for (const action of ['GetUser', 'CreateAccessKey', 'DeleteUser']) {
        assert.equal((await ram(action, { UserName }, key)).Code, 'NoPermission', `${action} ${UserName}`)
      }
    }
    await did('GetUser', { UserName: 'CASE-KEEPER' }, key)
  })

  test('is told of, and no secret ever is', async () => {
    const key = await newUser('grace')
    const text = await eventually(async () => {
      const { body } = await api.request('GET', '/v1/audit?maxResults=100&action=ram:CreateAccessKey')
      const line = JSON.stringify(body)
      assert.ok(line.includes(key.accessKeyId))
      return line
    })
    assert.ok(!text.includes(key.secret) && !text.includes('sealedSecret'))
  })
})

describe('system policies', () => {
  test('are listed and shown like others', async () => {
    const { Policies } = await did('ListPolicies', { PolicyType: 'System' })
    assert.ok(Policies.Policy.some(({ PolicyName }: { PolicyName: string }) => PolicyName === 'AliyunECSFullAccess'))
    const { DefaultPolicyVersion } = await did('GetPolicy', { PolicyType: 'System', PolicyName: 'ReadOnlyAccess' })
    assert.equal(JSON.parse(DefaultPolicyVersion.PolicyDocument).Version, '1')
    assert.equal(
      (await did('ListPolicyVersions', { PolicyType: 'System', PolicyName: 'ReadOnlyAccess' })).PolicyVersions
        .PolicyVersion.length,
      1,
    )
  })

  test('come first, and who has a policy is counted for those of the page alone', async t => {
    const looked = t.mock.method(api.world, 'all')
    const { Policies, Marker } = await did('ListPolicies', { MaxItems: 1 })
    assert.deepEqual(
      Policies.Policy.map(({ PolicyName }: { PolicyName: string }) => PolicyName),
      ['AdministratorAccess'],
    )
    assert.equal(looked.mock.calls.filter(call => call.arguments[0] === 'ramRole').length, 1)
    const { Policies: rest } = await did('ListPolicies', { MaxItems: 1000, Marker })
    assert.equal(rest.Policy[0].PolicyName, 'AliyunECSFullAccess')
    assert.equal(rest.Policy.at(-1).PolicyType, 'Custom')
  })
})
