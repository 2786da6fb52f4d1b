/** Who has the key of a user that may little tries to get at more: at rights, at objects, at what he must not know. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { keyOf } from '../../../daemon/model/documents.ts'
import { type Product, versions } from '../../../daemon/rpc/action.ts'
import { rpcActions } from '../../../daemon/rpc/actions.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { inject, type RpcKey, type RpcOptions, sign, type WireRequest } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
let otherRoot: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
  otherRoot = await accountKey(api, otherAccountId)
})
after(() => api[Symbol.asyncDispose]())

const productOf = new Map<string, Product>(rpcActions.map(({ name, product }) => [name, product]))

async function ask(key: RpcKey, action: string, parameters: object = {}, options: RpcOptions = {}) {
  const version = versions[productOf.get(action)!]
  const { status, body } = await inject(api.app, sign(key, action, parameters, { version, ...options }))
  return { status, ...body }
}

async function did(key: RpcKey, action: string, parameters: object = {}) {
  const answer = await ask(key, action, parameters)
  assert.equal(answer.status, 200, JSON.stringify(answer))
  return answer
}

const outcome = ({ status, Code = '' }: { status: number; Code?: string }) => `${status} ${Code}`.trim()
const statement =
  (effect: 'Allow' | 'Deny') =>
  (action: unknown, resource: unknown = '*', condition?: object) => ({
    Effect: effect,
    Action: action,
    Resource: resource,
    ...(condition !== undefined && { Condition: condition }),
  })
const [allow, deny] = [statement('Allow'), statement('Deny')]
const on = (relative: string) => `acs:ram::${accountId}:${relative}`
const trust = (principal: string, effect = 'Allow') =>
  JSON.stringify({
    Version: '1',
    Statement: [{ Effect: effect, Action: 'sts:AssumeRole', Principal: { RAM: principal } }],
  })

let made = 0
const userWith = (...statements: readonly object[]) => {
  made += 1
  return userKey(api, `user${made}`, { [`p${made}`]: statements })
}
async function roleWith(trusted: string, ...statements: readonly object[]): Promise<string> {
  made += 1
  const [RoleName, PolicyName] = [`Role${made}`, `rp${made}`]
  await did(root, 'CreateRole', { RoleName, AssumeRolePolicyDocument: trust(trusted) })
  const PolicyDocument = JSON.stringify({ Version: '1', Statement: statements })
  await did(root, 'CreatePolicy', { PolicyName, PolicyDocument })
  await did(root, 'AttachPolicyToRole', { RoleName, PolicyName, PolicyType: 'Custom' })
  return RoleName
}
const assume = (key: RpcKey, role: string, more: object = {}) =>
  ask(key, 'AssumeRole', { RoleArn: on(`role/${role}`), RoleSessionName: 'work', ...more })
async function sessionOf(key: RpcKey, role: string, more: object = {}): Promise<RpcKey> {
  const { Credentials, ...answer } = await assume(key, role, more)
  assert.ok(Credentials, JSON.stringify(answer))
  const { AccessKeyId, AccessKeySecret, SecurityToken } = Credentials
  return { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken }
}

describe('rights', () => {
  const admin = { PolicyType: 'System', PolicyName: 'AdministratorAccess' }

  const rows: readonly [string, readonly object[], string, object, string][] = [
    ['a policy for oneself', [allow('ecs:*')], 'AttachPolicyToUser', { ...admin, UserName: 'me' }, '403 NoPermission'],
    [
      'a policy for oneself, where one may give others',
      [allow('ram:AttachPolicyToUser', [on('user/*'), on('policy/little')])],
      'AttachPolicyToUser',
      { ...admin, UserName: 'me' },
      '403 NoPermission',
    ],
    [
      'a policy for a group, by its name in another case',
      [allow('ram:*'), deny('ram:AttachPolicyToGroup', on('group/Admins'))],
      'AttachPolicyToGroup',
      { ...admin, GroupName: 'aDMINS' },
      '403 NoPermission',
    ],
    [
      'a system policy, by its name in another case',
      [allow('ram:*'), deny('ram:*', on('policy/AdministratorAccess'))],
      'DetachPolicyFromUser',
      { ...admin, PolicyName: 'administratoraccess', UserName: 'me' },
      '403 NoPermission',
    ],
    [
      'a policy as it will be',
      [allow('ram:SetDefaultPolicyVersion', on('policy/other'))],
      'SetDefaultPolicyVersion',
      { PolicyName: 'mine', VersionId: 'v1' },
      '403 NoPermission',
    ],
    [
      'a key of another user',
      [allow('ram:*', on('user/me'))],
      'CreateAccessKey',
      { UserName: 'boss' },
      '403 NoPermission',
    ],
    [
      'a user by a pattern',
      [allow('ram:*', on('user/me'))],
      'CreateAccessKey',
      { UserName: 'm*' },
      '400 InvalidParameter.UserName.InvalidChars',
    ],
    [
      'a group by a path',
      [allow('ecs:*', 'acs:ecs:*:*:securitygroup/sg-1')],
      'DeleteSecurityGroup',
      { SecurityGroupId: 'sg-1/../sg-2' },
      '403 Forbidden.RAM',
    ],
    [
      'a group by a star',
      [allow('ecs:*', 'acs:ecs:*:*:securitygroup/sg-?')],
      'DeleteSecurityGroup',
      { SecurityGroupId: 'sg-*' },
      '404 InvalidSecurityGroupId.NotFound',
    ],
    [
      'a group by another part',
      [allow('ecs:*', 'acs:ecs:*:*:securitygroup/sg-1')],
      'DeleteSecurityGroup',
      { SecurityGroupId: 'x:securitygroup/sg-1' },
      '403 Forbidden.RAM',
    ],
    [
      'a group by a letter that looks alike',
      [allow('ecs:*'), deny('ecs:*', 'acs:ecs:*:*:securitygroup/sg-k')],
      'DeleteSecurityGroup',
      { SecurityGroupId: 'sg-\u212a' },
      '404 InvalidSecurityGroupId.NotFound',
    ],
    [
      'a service in another case',
      [allow('*'), deny('*', 'acs:ECS:*:*:*')],
      'DescribeSecurityGroups',
      {},
      '403 Forbidden.RAM',
    ],
    [
      'another region',
      [allow('ecs:*', 'acs:ecs:cn-hangzhou:*:*')],
      'DescribeSecurityGroups',
      { RegionId: 'cn-hangzhou' },
      '403 Forbidden.RAM',
    ],
  ]
  for (const [name, statements, action, parameters, expected] of rows) {
    test(`${name}: ${expected}`, async () => {
      assert.equal(outcome(await ask(await userWith(...statements), action, parameters)), expected)
    })
  }

  test('to tags say what all tags say that differ in case alone', async () => {
    const { SecurityGroupId } = await did(root, 'CreateSecurityGroup', {
      Tag: [
        { Key: 'stage', Value: 'live' },
        { Key: 'STAGE', Value: 'test' },
      ],
    })
    const careful = [allow('ecs:*'), deny('ecs:*', '*', { StringEquals: { 'ecs:tag/stage': 'live' } })]
    const user = await userWith(...careful)
    assert.equal(outcome(await ask(user, 'DeleteSecurityGroup', { SecurityGroupId })), '403 Forbidden.RAM')
  })

  test('of a policy are those of its version of now', async () => {
    const user = await userWith(allow('ecs:*'))
    const PolicyName = `p${made}`
    const PolicyDocument = JSON.stringify({ Version: '1', Statement: [deny('ecs:*')] })
    await did(root, 'CreatePolicyVersion', { PolicyName, PolicyDocument, SetAsDefault: true })
    assert.equal(outcome(await ask(user, 'DescribeSecurityGroups')), '403 Forbidden.RAM')
    await did(root, 'SetDefaultPolicyVersion', { PolicyName, VersionId: 'v1' })
    assert.equal(outcome(await ask(user, 'DescribeSecurityGroups')), '200')
  })
})

describe('roles', () => {
  const mayAssume = allow('sts:AssumeRole')

  test('a role that is denied is denied by any of its names', async () => {
    const role = await roleWith(on('root'), allow('*'))
    for (const named of [role, role.toLowerCase(), role.toUpperCase()]) {
      const user = await userWith(mayAssume, deny('sts:AssumeRole', on(`role/${role}`)))
      assert.equal(outcome(await assume(user, named)), '403 NoPermission', named)
    }
  })

  test('a session is trusted as its role, and as no user', async () => {
    const first = await roleWith(on('root'), mayAssume)
    const second = await roleWith(on(`role/${first}`), allow('ecs:*'))
    const user = await userWith(mayAssume)
    const third = await roleWith(on(`user/user${made}`), allow('ecs:*'))
    const session = await sessionOf(user, first)
    assert.equal(outcome(await assume(user, second)), '403 NoPermission')
    assert.equal(outcome(await assume(session, third)), '403 NoPermission')
    const chained = await sessionOf(session, second)
    assert.equal(outcome(await ask(chained, 'DescribeSecurityGroups')), '200')
    assert.equal(outcome(await ask(session, 'DescribeSecurityGroups')), '403 Forbidden.RAM')
  })

  test('a session of a role that was deleted, and made again, is over; one that lost its policy may nothing', async () => {
    const role = await roleWith(on('root'), allow('ecs:*'))
    const attached = { RoleName: role, PolicyName: `rp${made}`, PolicyType: 'Custom' }
    const session = await sessionOf(await userWith(mayAssume), role)
    await did(root, 'DetachPolicyFromRole', attached)
    assert.equal(outcome(await ask(session, 'DescribeSecurityGroups')), '403 Forbidden.RAM')
    await did(root, 'DeleteRole', { RoleName: role })
    await did(root, 'CreateRole', { RoleName: role, AssumeRolePolicyDocument: trust(on('root')) })
    await did(root, 'AttachPolicyToRole', attached)
    assert.equal(outcome(await ask(session, 'DescribeSecurityGroups')), '400 InvalidSecurityToken.Expired')
  })

  test('a session is of its own key alone, and makes no keys', async () => {
    const role = await roleWith(on('root'), allow('*'))
    const user = await userWith(mayAssume)
    const [one, two] = [await sessionOf(user, role), await sessionOf(user, role)]
    const mixed = { ...one, securityToken: two.securityToken! }
    assert.equal(outcome(await ask(mixed, 'GetCallerIdentity')), '400 InvalidSecurityToken.MismatchWithAccessKey')
    const { securityToken: _, ...alone } = one
    assert.equal(outcome(await ask(alone, 'GetCallerIdentity')), '400 InvalidAccessKeyId.NotFound')
    assert.equal(outcome(await ask(one, 'CreateAccessKey')), '400 MissingParameter.UserName')
  })

  test('who may not assume a role does not learn whether there is one', async () => {
    const role = await roleWith(on('root'), allow('*'))
    const user = await userWith(allow('ecs:*'))
    for (const named of [role, 'NoSuchRole']) {
      const { Message, ...answer } = await assume(user, named, { DurationSeconds: 43_200 })
      assert.equal(outcome(answer), '403 NoPermission')
      assert.ok(!Message.includes('43200'), Message)
    }
  })

  test('a role of another account that does not trust the caller is none', async () => {
    const make = (RoleName: string, trusted: string) =>
      did(otherRoot, 'CreateRole', { RoleName, AssumeRolePolicyDocument: trust(trusted) })
    await make('closed', `acs:ram::${otherAccountId}:root`)
    await make('open', on('root'))
    const user = await userWith(mayAssume)
    const answers = []
    for (const name of ['closed', 'nosuch', 'open']) {
      const RoleArn = `acs:ram::${otherAccountId}:role/${name}`
      const answer = await ask(user, 'AssumeRole', { RoleArn, RoleSessionName: 'work' })
      answers.push(`${outcome(answer)} ${answer.Message?.replaceAll(name, 'NAME')}`)
    }
    assert.match(answers[0]!, /^404 EntityNotExist.Role /)
    assert.equal(answers[1], answers[0])
    assert.match(answers[2]!, /^200/)
  })

  test('of account 0 there is none', async () => {
    const answer = await ask(root, 'AssumeRole', { RoleArn: 'acs:ram::0:role/ops', RoleSessionName: 'work' })
    assert.equal(outcome(answer), '404 EntityNotExist.Role')
  })
})

describe('objects of another account are as those that there are not', () => {
  const foreign = { sg: 'sg-foreign', i: 'i-foreign', eni: 'eni-foreign', pl: 'pl-foreign', prl: 'prl-foreign' }
  const missing = { sg: 'sg-missing', i: 'i-missing', eni: 'eni-missing', pl: 'pl-missing', prl: 'prl-missing' }
  type Ids = typeof foreign

  before(async () => {
    const tags = { team: 'web' }
    const make = async (url: string, body: object) => {
      const answer = await api.request('POST', `/v1/${url}`, { ...body, tags, accountId: otherAccountId })
      assert.equal(answer.status, 201, JSON.stringify(answer.body))
    }
    await make('security-groups', { securityGroupId: foreign.sg, securityGroupName: 'theirs' })
    await make('instances', { instanceId: foreign.i })
    await make('prefix-lists', { prefixListId: foreign.pl, prefixListName: 'theirs', addressFamily: 'IPv4' })
    await make('port-range-lists', { portRangeListId: foreign.prl, portRangeListName: 'theirs' })
    const eni = { networkInterfaceId: foreign.eni, securityGroupIds: [foreign.sg], tags }
    const { status } = await api.request('POST', '/v1/network-interfaces', { ...eni, accountId: otherAccountId })
    assert.equal(status, 201)
    await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-own' })
    await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-own' })
  })

  const asset = { DdosRegionId: 'local', InstanceType: 'ecs' }
  const rule = { IpProtocol: 'TCP', PortRange: '80/80' }
  const requests: Readonly<Record<string, (ids: Ids) => readonly object[]>> = {
    DeleteSecurityGroup: ({ sg }) => [{ SecurityGroupId: sg }],
    ModifySecurityGroupAttribute: ({ sg }) => [{ SecurityGroupId: sg, SecurityGroupName: 'mine' }],
    ModifySecurityGroupPolicy: ({ sg }) => [{ SecurityGroupId: sg, InnerAccessPolicy: 'Drop' }],
    DescribeSecurityGroups: ({ sg }) => [{ SecurityGroupId: sg }, { SecurityGroupIds: JSON.stringify([sg]) }],
    DescribeSecurityGroupAttribute: ({ sg }) => [{ SecurityGroupId: sg }],
    DescribeSecurityGroupReferences: ({ sg }) => [{ SecurityGroupId: [sg] }],
    AuthorizeSecurityGroup: ({ sg, pl, prl }) => [
      { ...rule, SecurityGroupId: sg, SourceCidrIp: '198.18.0.0/16' },
      { ...rule, SecurityGroupId: 'sg-own', SourceGroupId: sg },
      { ...rule, SecurityGroupId: 'sg-own', SourcePrefixListId: pl },
      { IpProtocol: 'TCP', PortRangeListId: prl, SecurityGroupId: 'sg-own', SourceCidrIp: '198.18.0.0/16' },
    ],
    RevokeSecurityGroup: ({ sg }) => [{ ...rule, SecurityGroupId: sg, SourceCidrIp: '198.18.0.0/16' }],
    ModifySecurityGroupRule: ({ sg }) => [{ SecurityGroupId: sg, SecurityGroupRuleId: 'sgr-1', Priority: 2 }],
    JoinSecurityGroup: ({ sg, i, eni }) => [
      { SecurityGroupId: sg, InstanceId: 'i-own' },
      { SecurityGroupId: 'sg-own', InstanceId: i },
      { SecurityGroupId: 'sg-own', NetworkInterfaceId: eni },
    ],
    LeaveSecurityGroup: ({ sg, i, eni }) => [
      { SecurityGroupId: sg, InstanceId: 'i-own' },
      { SecurityGroupId: 'sg-own', InstanceId: i },
      { SecurityGroupId: 'sg-own', NetworkInterfaceId: eni },
    ],
    RunInstances: ({ sg }) => [{ SecurityGroupId: sg }],
    DescribeInstances: ({ i, sg }) => [{ InstanceIds: JSON.stringify([i]) }, { SecurityGroupId: sg }],
    DescribeInstanceAttribute: ({ i }) => [{ InstanceId: i }],
    ModifyInstanceAttribute: ({ i, sg }) => [
      { InstanceId: i, InstanceName: 'mine' },
      { InstanceId: 'i-own', SecurityGroupIds: [sg] },
    ],
    DeleteInstance: ({ i }) => [{ InstanceId: i }],
    DeleteInstances: ({ i }) => [{ InstanceId: [i] }],
    CreateNetworkInterface: ({ sg }) => [{ VSwitchId: 'vsw-1', SecurityGroupId: sg }],
    DescribeNetworkInterfaces: ({ eni, sg, i }) => [
      { NetworkInterfaceId: [eni] },
      { SecurityGroupId: sg },
      { InstanceId: i },
    ],
    ModifyNetworkInterfaceAttribute: ({ eni }) => [{ NetworkInterfaceId: eni, NetworkInterfaceName: 'mine' }],
    AttachNetworkInterface: ({ eni, i }) => [{ NetworkInterfaceId: eni, InstanceId: i }],
    DetachNetworkInterface: ({ eni, i }) => [{ NetworkInterfaceId: eni, InstanceId: i }],
    DeleteNetworkInterface: ({ eni }) => [{ NetworkInterfaceId: eni }],
    AssignPrivateIpAddresses: ({ eni }) => [{ NetworkInterfaceId: eni, PrivateIpAddress: ['198.18.0.9'] }],
    UnassignPrivateIpAddresses: ({ eni }) => [{ NetworkInterfaceId: eni, PrivateIpAddress: ['198.18.0.9'] }],
    AssignIpv6Addresses: ({ eni }) => [{ NetworkInterfaceId: eni, Ipv6Address: ['2001:db8::9'] }],
    UnassignIpv6Addresses: ({ eni }) => [{ NetworkInterfaceId: eni, Ipv6Address: ['2001:db8::9'] }],
    ModifyPrefixList: ({ pl }) => [{ PrefixListId: pl, PrefixListName: 'mine' }],
    DeletePrefixList: ({ pl }) => [{ PrefixListId: pl }],
    DescribePrefixLists: ({ pl }) => [{ PrefixListId: [pl] }],
    DescribePrefixListAttributes: ({ pl }) => [{ PrefixListId: pl }],
    DescribePrefixListAssociations: ({ pl }) => [{ PrefixListId: pl }],
    ModifyPortRangeList: ({ prl }) => [{ PortRangeListId: prl, PortRangeListName: 'mine' }],
    DeletePortRangeList: ({ prl }) => [{ PortRangeListId: prl }],
    DescribePortRangeLists: ({ prl }) => [{ PortRangeListId: [prl] }],
    DescribePortRangeListEntries: ({ prl }) => [{ PortRangeListId: prl }],
    DescribePortRangeListAssociations: ({ prl }) => [{ PortRangeListId: prl }],
    TagResources: ({ sg, i }) => [
      { ResourceType: 'securitygroup', ResourceId: [sg], Tag: [{ Key: 'a', Value: 'b' }] },
      { ResourceType: 'instance', ResourceId: [i], Tag: [{ Key: 'a', Value: 'b' }] },
    ],
    UntagResources: ({ eni }) => [{ ResourceType: 'eni', ResourceId: [eni], TagKey: ['team'] }],
    ListTagResources: ({ sg, pl }) => [
      { ResourceType: 'securitygroup', ResourceId: [sg] },
      { ResourceType: 'prefixlist', ResourceId: [pl] },
    ],
    DescribeDdosThreshold: ({ i }) => [{ ...asset, DdosType: 'defense', InstanceIds: [i] }],
    DescribeIpDdosThreshold: ({ i }) => [{ ...asset, DdosType: 'defense', InstanceId: i, InternetIp: '198.18.0.9' }],
    ModifyDefenseThreshold: ({ i }) => [{ ...asset, InstanceId: i, Bps: 100, Pps: 1000 }],
    ModifyIpDefenseThreshold: ({ i }) => [{ ...asset, InstanceId: i, InternetIp: '198.18.0.9', Bps: 100, Pps: 1000 }],
    ModifyDdosStatus: ({ i }) => [{ ...asset, InstanceId: i }],
    DescribeDdosEventList: ({ i }) => [{ ...asset, InstanceId: i }],
    DescribeInstance: ({ i }) => [{ ...asset, InstanceId: i }],
    DescribeInstanceIpAddress: ({ i }) => [{ ...asset, InstanceId: i }],
  }

  /** Those that name no object, or whose objects are named within an account: RAM. */
  const others =
    /^(Describe(Regions|InstanceTypes|DdosCount|IpLocationService)|Create(SecurityGroup|PrefixList|PortRangeList)|(AuthorizeSecurityGroup|RevokeSecurityGroup)Egress|ModifySecurityGroupEgressRule)$/

  test('every action that names objects is asked', () => {
    const named = rpcActions
      .filter(action => !('missing' in action) && !['ram', 'sts', 'vpc'].includes(action.product))
      .map(({ name }) => name)
      .filter(name => !others.test(name))
    assert.deepEqual(Object.keys(requests).sort(), [...new Set(named)].sort())
  })

  const policies: readonly [string, readonly object[]][] = [
    ['who may everything', [allow('*')]],
    ['who may what has a tag that theirs has', [allow('*', '*', { StringEquals: { 'ecs:tag/team': 'web' } })]],
    ['who may nothing with what has it', [allow('*'), deny('*', '*', { StringEquals: { 'ecs:tag/team': 'web' } })]],
    ['who may everything of the account', [allow('*', `acs:*:*:${accountId}:*`)]],
  ]
  for (const [who, statements] of policies) {
    test(`for ${who}`, async () => {
      const user = await userWith(...statements)
      const told = async (action: string, ids: Ids, index: number) => {
        const { RequestId: _, ...answer } = await ask(user, action, requests[action]!(ids)[index]!)
        return JSON.stringify(answer).replaceAll(/-(foreign|missing)\b/g, '-x')
      }
      for (const [action, parametersOf] of Object.entries(requests)) {
        for (const index of parametersOf(foreign).keys()) {
          const [theirs, none] = [await told(action, foreign, index), await told(action, missing, index)]
          assert.equal(theirs, none, action)
          assert.ok(!theirs.includes(otherAccountId), `${action}: ${theirs}`)
        }
      }
    })
  }

  test('a rule that names a group of another account does not tell how that is called', async () => {
    const rules = { ...rule, SecurityGroupId: 'sg-own', SourceGroupId: foreign.sg, SourceGroupOwnerId: otherAccountId }
    await did(root, 'AuthorizeSecurityGroup', rules)
    const { Permissions } = await did(root, 'DescribeSecurityGroupAttribute', { SecurityGroupId: 'sg-own' })
    const [{ SourceGroupId, SourceGroupName }] = Permissions.Permission
    assert.deepEqual([SourceGroupId, SourceGroupName], [foreign.sg, ''])
  })

  test('nor does /v1', async () => {
    for (const [who, statements] of policies) {
      const user = await userWith(...statements)
      assert.ok(user)
      const body = { name: `of user${made}`, user: { accountId, userName: `user${made}` } }
      const { token } = (await api.request('POST', '/v1/tokens', body)).body
      const told = async (method: string, url: string) => {
        const answer = await api.request(method, url, undefined, { token })
        const { requestId: _, ...problem } = answer.body
        return JSON.stringify({ ...problem, status: answer.status }).replaceAll(/-(foreign|missing)\b/g, '-x')
      }
      for (const [folder, prefix] of [
        ['security-groups', 'sg'],
        ['instances', 'i'],
        ['network-interfaces', 'eni'],
        ['prefix-lists', 'pl'],
        ['port-range-lists', 'prl'],
      ]) {
        for (const method of ['GET', 'DELETE']) {
          const [theirs, none] = [
            await told(method, `/v1/${folder}/${prefix}-foreign`),
            await told(method, `/v1/${folder}/${prefix}-missing`),
          ]
          assert.equal(theirs, none, `${who}: ${method} ${folder}`)
        }
      }
      const theirKey = otherRoot.accessKeyId
      const [theirs, none] = [
        await told('DELETE', `/v1/ram/access-keys/${theirKey}`),
        await told('DELETE', '/v1/ram/access-keys/RWnosuch'),
      ]
      assert.equal(theirs.replaceAll(theirKey, 'RWnosuch'), none, who)
    }
  })
})

describe('a request that somebody else has signed', () => {
  const wish = { SecurityGroupId: 'sg-nowhere' }
  const swap = (change: Partial<WireRequest>) => (request: WireRequest) => ({ ...request, ...change })
  const formType = { 'content-type': 'application/x-www-form-urlencoded' }

  const rows: readonly [string, RpcOptions, RegExp][] = [
    ['by GET is none by POST', { method: 'GET', tamper: swap({ method: 'POST' }) }, /SignatureDoesNotMatch/],
    ['by POST is none by GET', { method: 'POST', tamper: swap({ method: 'GET' }) }, /SignatureDoesNotMatch/],
    ['ACS3, by POST, is none by GET', { scheme: 'acs3', tamper: swap({ method: 'GET' }) }, /SignatureDoesNotMatch/],
    [
      'with a parameter once more in a body',
      {
        method: 'POST',
        tamper: request => ({ ...request, headers: { ...request.headers, ...formType }, body: 'SecurityGroupId=sg-1' }),
      },
      /SignatureDoesNotMatch/,
    ],
    [
      'ACS3, with a body added',
      {
        scheme: 'acs3',
        tamper: request => ({ ...request, headers: { ...request.headers, ...formType }, body: 'DryRun=false' }),
      },
      /SignatureDoesNotMatch/,
    ],
    [
      'ACS3, whose form is said to be none',
      {
        scheme: 'acs3',
        inForm: true,
        tamper: request => ({ ...request, headers: { ...request.headers, 'content-type': 'text/plain' } }),
      },
      /SignatureDoesNotMatch/,
    ],
    [
      'ACS3, for another host',
      { scheme: 'acs3', tamper: request => ({ ...request, headers: { ...request.headers, host: 'other.example' } }) },
      /SignatureDoesNotMatch/,
    ],
    [
      'ACS3, of another action',
      {
        scheme: 'acs3',
        tamper: request => ({ ...request, headers: { ...request.headers, 'x-acs-action': 'DescribeSecurityGroups' } }),
      },
      /SignatureDoesNotMatch/,
    ],
    [
      'at a time in another zone',
      { tamper: request => ({ ...request, url: request.url.replace(/(Timestamp=[^&]*)Z/, '$1%2B00%3A00') }) },
      /InvalidTimeStamp.Format/,
    ],
    [
      'with another nonce',
      { tamper: request => ({ ...request, url: request.url.replace(/SignatureNonce=[^&]*/, 'SignatureNonce=other') }) },
      /SignatureDoesNotMatch/,
    ],
    [
      'with a nonce in another place',
      { tamper: request => ({ ...request, url: `${request.url}&SignatureNonce=other` }) },
      /SignatureDoesNotMatch/,
    ],
  ]
  for (const [name, options, code] of rows) {
    test(name, async () => {
      const { Code } = await ask(root, 'DeleteSecurityGroup', wish, options)
      assert.match(Code, code)
    })
  }

  test('in ACS3, a body whose type was not signed is refused: who stands between could make none of a form', async () => {
    const unsigned = (request: WireRequest) => {
      const authorization = request.headers.authorization!.replace('content-type;', '')
      return { ...request, headers: { ...request.headers, authorization } }
    }
    const answer = await ask(root, 'DeleteSecurityGroup', wish, { scheme: 'acs3', inForm: true, tamper: unsigned })
    assert.equal(outcome(answer), '400 IncompleteSignature')
  })

  test('names of headers are in any case', async () => {
    const shouted = (request: WireRequest) => ({
      ...request,
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toUpperCase(), value])),
    })
    const answer = await ask(root, 'DescribeSecurityGroups', {}, { scheme: 'acs3', tamper: shouted })
    assert.equal(outcome(answer), '200')
  })
})

test('sessions, and sessions of sessions, count for the key that began them', async () => {
  await using small = await startApi({ requestsPerMinute: 30 })
  const key = await accountKey(small)
  const call = async (by: RpcKey, action: string, parameters: object = {}) => {
    const version = versions[productOf.get(action)!]
    return (await inject(small.app, sign(by, action, parameters, { version }))).body
  }
  await call(key, 'CreateRole', { RoleName: 'ops', AssumeRolePolicyDocument: trust(on('root')) })
  const policy = { PolicyType: 'System', PolicyName: 'AliyunSTSAssumeRoleAccess' }
  await call(key, 'AttachPolicyToRole', { ...policy, RoleName: 'ops' })
  let by = key
  let answered = 0
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const wish = { RoleArn: on('role/ops'), RoleSessionName: 'work' }
    const { Credentials, Code } = await call(by, 'AssumeRole', wish)
    if (Credentials === undefined) {
      assert.equal(Code, 'Throttling.User')
      continue
    }
    answered += 1
    const { AccessKeyId, AccessKeySecret, SecurityToken } = Credentials
    by = { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken }
  }
  assert.ok(answered > 0 && answered < 40, `${answered}`)
  assert.equal((await call(key, 'GetCallerIdentity')).Code, 'Throttling.User')
})

test('a key that was switched off signs nothing more, and sessions that it has begun may what their role may', async () => {
  const role = await roleWith(on('root'), allow('ecs:Describe*'))
  const user = await userWith(allow('sts:AssumeRole'))
  const session = await sessionOf(user, role)
  const key = api.world.get('accessKey', user.accessKeyId)!
  await api.store.commit({ writes: [{ key: keyOf('accessKey', key.id), value: { ...key, status: 'Inactive' } }] })
  assert.equal(outcome(await ask(user, 'GetCallerIdentity')), '400 InvalidAccessKeyId.Inactive')
  assert.equal(outcome(await ask(session, 'DescribeSecurityGroups')), '200')
})
