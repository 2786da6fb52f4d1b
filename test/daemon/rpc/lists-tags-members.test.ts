/** Prefix lists, tags and memberships by the RPC API. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { versions } from '../../../daemon/rpc/action.ts'
import { rpcActions } from '../../../daemon/rpc/actions.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'

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
  { always: { RegionId: 'local' } },
)
const newGroup = async (parameters: object = {}): Promise<string> =>
  (await did('CreateSecurityGroup', parameters)).SecurityGroupId

async function newEni(instanceId: string, groupId: string, address: string): Promise<string> {
  await api.request('POST', '/v1/instances', { instanceId, accountId })
  const body = { instanceId, securityGroupIds: [groupId], privateIpAddresses: [address] }
  const answer = await api.request('POST', '/v1/network-interfaces', body)
  assert.equal(answer.status, 201, JSON.stringify(answer.body))
  return answer.body.networkInterface.networkInterfaceId
}

describe('prefix lists', () => {
  const wish = {
    PrefixListName: 'offices',
    AddressFamily: 'IPv4',
    MaxEntries: 3,
    Entry: [{ Cidr: '198.18.0.0/24', Description: 'north' }],
  }

  test('count for what they may grow to where rules name them, however many entries there are', async () => {
    await using own = await startApi()
    const key = await accountKey(own)
    const { did: ask, refusal } = rpcCalls(
      () => own.app,
      () => key,
    )
    const { SecurityGroupId } = await ask('CreateSecurityGroup')
    const { PrefixListId } = await ask('CreatePrefixList', { ...wish, MaxEntries: 150 })
    const rule = (port: number) => ({
      SecurityGroupId,
      IpProtocol: 'TCP',
      PortRange: `${port}/${port}`,
      SourcePrefixListId: PrefixListId,
    })
    await ask('AuthorizeSecurityGroup', rule(80))
    const use = async () => {
      const { limits } = (await own.request('GET', '/v1/limits')).body
      const { highest, where } = limits.find(({ limit }: { limit: string }) => limit === 'rulesPerGroup')
      return [highest, where]
    }
    assert.deepEqual(await use(), [150, SecurityGroupId])
    assert.equal(await refusal('AuthorizeSecurityGroup', rule(443)), '403 AuthorizationLimitExceed')
    // A duplicate at the limit adds nothing.
    await ask('AuthorizeSecurityGroup', rule(80))
    assert.deepEqual(await use(), [150, SecurityGroupId])
  })

  test('are made, changed, described and deleted', async () => {
    const { PrefixListId } = await did('CreatePrefixList', { ...wish, Tag: [{ Key: 'team', Value: 'a' }] })
    await did('ModifyPrefixList', {
      PrefixListId,
      AddEntry: [{ Cidr: '198.18.1.1' }],
      RemoveEntry: [{ Cidr: '198.18.0.0/24' }],
      Description: 'all',
    })
    const {
      Entries,
      CreationTime: _,
      RequestId: _id,
      ...attributes
    } = await did('DescribePrefixListAttributes', { PrefixListId })
    assert.deepEqual(Entries, { Entry: [{ Cidr: '198.18.1.1/32', Description: '' }] })
    assert.deepEqual(attributes, {
      status: 200,
      PrefixListId,
      PrefixListName: 'offices',
      AddressFamily: 'IPv4',
      MaxEntries: 3,
      Description: 'all',
    })
    const { PrefixLists } = await did('DescribePrefixLists', { PrefixListId: [PrefixListId] })
    assert.deepEqual(PrefixLists.PrefixList[0].Tags, { Tag: [{ TagKey: 'team', TagValue: 'a' }] })
    const group = await newGroup()
    await did('AuthorizeSecurityGroup', {
      SecurityGroupId: group,
      IpProtocol: 'tcp',
      PortRange: '80/80',
      SourcePrefixListId: PrefixListId,
    })
    const { PrefixListAssociations } = await did('DescribePrefixListAssociations', { PrefixListId })
    assert.deepEqual(PrefixListAssociations.PrefixListAssociation, [
      { ResourceId: group, ResourceType: 'securitygroup' },
    ])
    const held = await call('DeletePrefixList', { PrefixListId })
    assert.deepEqual([held.status, held.Code], [403, 'DependencyViolation'])
    await did('DeleteSecurityGroup', { SecurityGroupId: group })
    await did('DeletePrefixList', { PrefixListId })
    assert.equal((await call('DescribePrefixListAttributes', { PrefixListId })).Code, 'InvalidPrefixListId.NotFound')
  })

  const rows: readonly [object, string][] = [
    [{ PrefixListName: '1' }, 'InvalidParameter.PrefixListName'],
    [{ AddressFamily: 'ipv4' }, 'InvalidParameter.AddressFamily'],
    [{ Entry: [{ Cidr: '10.0.0.1/8' }] }, 'InvalidParameter.CidrMalformed'],
    [{ Entry: [{ Cidr: 'x' }] }, 'InvalidParameter.CidrMalformed'],
    [{ Entry: [{ Cidr: '2001:db8::/32' }] }, 'InvalidParameter.CidrMalformed'],
    [{ Entry: [{ Cidr: '198.18.0.1' }, { Cidr: '198.18.0.1/32' }] }, 'InvalidParameter.CidrDuplicated'],
    [{ MaxEntries: 1, Entry: [{ Cidr: '198.18.0.1' }, { Cidr: '198.18.0.2' }] }, 'LimitExceed.MaxEntries'],
  ]
  for (const [fault, expected] of rows) {
    test(`${JSON.stringify(fault)}: ${expected}`, async () => {
      const { status, Code, Message } = await call('CreatePrefixList', { ...wish, ...fault })
      assert.deepEqual([status, Code], [400, expected], Message)
    })
  }
})

describe('tags', () => {
  test('are given, listed and taken away', async () => {
    const [one, two] = [await newGroup(), await newGroup()]
    await did('TagResources', {
      ResourceType: 'securitygroup',
      ResourceId: [one, two],
      Tag: [{ Key: 'env', Value: 'test' }, { Key: 'x' }],
    })
    const listed = await did('ListTagResources', { ResourceType: 'securitygroup', ResourceId: [one] })
    assert.deepEqual(listed.TagResources.TagResource, [
      { ResourceId: one, ResourceType: 'securitygroup', TagKey: 'env', TagValue: 'test' },
      { ResourceId: one, ResourceType: 'securitygroup', TagKey: 'x', TagValue: '' },
    ])
    const found = await did('DescribeSecurityGroups', { Tag: [{ Key: 'env', Value: 'test' }] })
    assert.equal(found.TotalCount, 2)
    await did('UntagResources', { ResourceType: 'SecurityGroup', ResourceId: [one], TagKey: ['x'] })
    await did('UntagResources', { ResourceType: 'securitygroup', ResourceId: [two], All: true })
    const left = await did('ListTagResources', { ResourceType: 'securitygroup', Tag: [{ Key: 'env' }] })
    assert.deepEqual(
      left.TagResources.TagResource.map(({ ResourceId }: { ResourceId: string }) => ResourceId),
      [one],
    )
  })

  test('of what there is not are refused', async () => {
    const rows: readonly [string, object, string][] = [
      [
        'TagResources',
        { ResourceType: 'disk', ResourceId: ['d-1'], Tag: [{ Key: 'a' }] },
        '404 InvalidResourceType.NotFound',
      ],
      [
        'TagResources',
        { ResourceType: 'instance', ResourceId: ['i-1'], Tag: [{ Key: 'a' }] },
        '404 InvalidResourceId.NotFound',
      ],
      ['TagResources', { ResourceType: 'instance', ResourceId: ['i-1'] }, '404 MissingParameter.Tag'],
      ['ListTagResources', { ResourceType: 'instance' }, '404 MissingParameter.TagOwnerUid'],
    ]
    for (const [action, parameters, expected] of rows) {
      const { status, Code } = await call(action, parameters)
      assert.equal(`${status} ${Code}`, expected)
    }
  })
})

describe('membership', () => {
  test('is joined and left by instance and by network interface', async () => {
    const [first, second] = [await newGroup(), await newGroup()]
    const eni = await newEni('i-member', first, '198.18.7.1')
    await did('JoinSecurityGroup', { SecurityGroupId: second, InstanceId: 'i-member' })
    assert.deepEqual(api.world.get('eni', eni)?.securityGroupIds, [first, second])
    const { SecurityGroups } = await did('DescribeSecurityGroups', { SecurityGroupId: second })
    assert.equal(SecurityGroups.SecurityGroup[0].EcsCount, 1)
    await did('LeaveSecurityGroup', { SecurityGroupId: first, NetworkInterfaceId: eni })
    const rows: readonly [object, string][] = [
      [{ SecurityGroupId: first, InstanceId: 'i-member' }, '404 InvalidSecurityGroupAssociation.NotFound'],
      [{ SecurityGroupId: second, InstanceId: 'i-member' }, '403 InstanceLastSecurityGroup'],
      [{ SecurityGroupId: second, InstanceId: 'i-nobody' }, '404 InvalidInstanceId.NotFound'],
      [{ SecurityGroupId: second, NetworkInterfaceId: 'eni-nobody' }, '404 InvalidEniId.NotFound'],
      [{ SecurityGroupId: 'sg-nothing', InstanceId: 'i-member' }, '404 InvalidSecurityGroupId.NotFound'],
      [{ SecurityGroupId: second }, '400 MissingParameter.InstanceId'],
      [{ SecurityGroupId: second, InstanceId: 'i-member', NetworkInterfaceId: eni }, '400 InvalidParameter.Conflict'],
    ]
    for (const [parameters, expected] of rows) {
      const { status, Code, Message } = await call('LeaveSecurityGroup', parameters)
      assert.equal(`${status} ${Code}`, expected, Message)
    }
  })

  test('needs leave for the group and for the instance', async () => {
    const group = await newGroup()
    await newEni('i-needs', group, '198.18.7.2')
    const own = [{ Effect: 'Allow', Action: 'ecs:*', Resource: `acs:ecs:*:*:securitygroup/*` }]
    const key = await userKey(api, 'joiner', { own })
    const denied = await call('JoinSecurityGroup', { SecurityGroupId: await newGroup(), InstanceId: 'i-needs' }, key)
    assert.deepEqual([denied.status, denied.Code], [403, 'Forbidden.RAM'])
    assert.match(denied.Message, /instance\/i-needs/)
  })

  test('has references: who names whom', async () => {
    const [named, naming] = [await newGroup(), await newGroup()]
    await did('AuthorizeSecurityGroup', {
      SecurityGroupId: naming,
      IpProtocol: 'all',
      PortRange: '-1/-1',
      SourceGroupId: named,
    })
    const { SecurityGroupReferences } = await did('DescribeSecurityGroupReferences', {
      SecurityGroupId: [named, naming],
    })
    assert.deepEqual(SecurityGroupReferences.SecurityGroupReference, [
      {
        SecurityGroupId: named,
        ReferencingSecurityGroups: { ReferencingSecurityGroup: [{ SecurityGroupId: naming, AliUid: accountId }] },
      },
    ])
    const held = await call('DeleteSecurityGroup', { SecurityGroupId: named })
    assert.deepEqual([held.status, held.Code], [403, 'DependencyViolation'])
  })
})

describe('what is not built yet', () => {
  for (const { product, name } of rpcActions.filter(each => 'missing' in each)) {
    test(`${name} says so`, async () => {
      const { call: ask } = rpcCalls(
        () => api.app,
        () => root,
        { version: versions[product] },
      )
      const { status, Code, Message } = await ask(name)
      assert.deepEqual([status, Code], [400, 'UnsupportedOperation'])
      assert.match(Message, /^Cannot carry out \w+ yet: /)
    })
  }
})
