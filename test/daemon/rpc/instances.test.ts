/** Instances by the RPC API. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { AgentStanding } from '../../../daemon/services/fleet.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, hostReport } from '../../support/fleet-state.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'

const connected: AgentStanding = {
  state: 'in-sync',
  sinceMs: 0,
  enforcedRevision: 1,
  relevantRevision: 1,
  lastError: null,
  trial: null,
  enis: [],
}

let api: TestApi
let root: RpcKey
before(async () => {
  api = await startApi({ fleet: { statusOf: agentId => (agentId === 'agent-here' ? connected : undefined) } })
  root = await accountKey(api)
  for (const agentId of ['agent-here', 'agent-gone']) {
    await addAgent(api, agentId, { report: hostReport([]) })
    const body = { accountId, instanceId: `i-of-${agentId}`, agentId, instanceName: agentId }
    assert.equal((await api.request('POST', '/v1/instances', body)).status, 201)
  }
})
after(() => api[Symbol.asyncDispose]())

const { call, did, refusal } = rpcCalls(
  () => api.app,
  () => root,
  { always: { RegionId: 'local' } },
)
const newGroup = async (parameters: object = {}): Promise<string> =>
  (await did('CreateSecurityGroup', parameters)).SecurityGroupId
const newInstance = async (parameters: object = {}): Promise<string> =>
  (await did('RunInstances', parameters)).InstanceIdSets.InstanceIdSet[0]
const ids = (list: readonly string[]) => JSON.stringify(list)
async function described(id: string) {
  const { Instances } = await did('DescribeInstances', { InstanceIds: ids([id]) })
  return Instances.Instance[0]
}

describe('an instance', () => {
  test('is registered with its primary interface and told completely', async () => {
    const group = await newGroup({ VpcId: 'vpc-1' })
    const InstanceId = await newInstance({
      ImageId: 'img-1',
      InstanceType: 'ecs.g5.2xlarge',
      InstanceName: 'web-1',
      Description: 'the first',
      SecurityGroupId: group,
      VSwitchId: 'vsw-1',
      PrivateIpAddress: '198.18.1.1',
      Tag: [{ Key: 'team', Value: 'a' }],
    })
    const { CreationTime, StartTime, NetworkInterfaces, ...instance } = await described(InstanceId)
    assert.match(CreationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/)
    assert.equal(StartTime, CreationTime)
    assert.deepEqual(instance, {
      InstanceId,
      InstanceName: 'web-1',
      Description: 'the first',
      HostName: '',
      Status: 'Stopped',
      RegionId: 'local',
      ZoneId: 'local-a',
      InstanceType: 'ecs.g5.2xlarge',
      InstanceTypeFamily: 'ecs.g5',
      Cpu: 8,
      Memory: 0,
      ImageId: '',
      SerialNumber: '',
      ExpiredTime: '',
      InstanceChargeType: 'PostPaid',
      InternetChargeType: '',
      InternetMaxBandwidthIn: 0,
      InternetMaxBandwidthOut: 0,
      IoOptimized: true,
      ClusterId: '',
      VlanId: '',
      StoppedMode: 'Not-applicable',
      InstanceNetworkType: 'vpc',
      SecurityGroupIds: { SecurityGroupId: [group] },
      VpcAttributes: {
        VpcId: 'vpc-1',
        VSwitchId: 'vsw-1',
        NatIpAddress: '',
        PrivateIpAddress: { IpAddress: ['198.18.1.1'] },
      },
      PublicIpAddress: { IpAddress: [] },
      InnerIpAddress: { IpAddress: [] },
      EipAddress: { AllocationId: '', IpAddress: '', InternetChargeType: '' },
      OperationLocks: { LockReason: [] },
      DedicatedHostAttribute: { DedicatedHostId: '', DedicatedHostName: '', DedicatedHostClusterId: '' },
      CreditSpecification: '',
      OSType: 'linux',
      OSName: '',
      OSNameEn: '',
      AutoReleaseTime: '',
      KeyPairName: '',
      ResourceGroupId: '',
      DeletionProtection: false,
      Recyclable: false,
      DeviceAvailable: true,
      SaleCycle: '',
      SpotStrategy: 'NoSpot',
      SpotPriceLimit: 0,
      DeploymentSetId: '',
      HpcClusterId: '',
      LocalStorageAmount: 0,
      GPUAmount: 0,
      GPUSpec: '',
      MetadataOptions: { HttpEndpoint: 'disabled', HttpTokens: 'optional', HttpPutResponseHopLimit: 1 },
      RdmaIpAddress: { IpAddress: [] },
      Tags: { Tag: [{ TagKey: 'team', TagValue: 'a' }] },
    })
    const [eni] = NetworkInterfaces.NetworkInterface
    assert.deepEqual([eni.Type, eni.PrimaryIpAddress, eni.Ipv6Sets], ['Primary', '198.18.1.1', { Ipv6Set: [] }])
    const attribute = await did('DescribeInstanceAttribute', { InstanceId })
    assert.deepEqual(
      [attribute.InstanceName, attribute.SecurityGroupIds, attribute.VpcAttributes.PrivateIpAddress],
      ['web-1', { SecurityGroupId: [group] }, { IpAddress: ['198.18.1.1'] }],
    )
    assert.ok(api.world.membersOf(group).has('198.18.1.1'))
  })

  test('without group is in the default group, as it is of its VPC', async () => {
    const instance = await described(await newInstance({ VpcId: 'vpc-new' }))
    assert.equal(instance.VpcAttributes.VpcId, 'vpc-new')
    const [groupId] = instance.SecurityGroupIds.SecurityGroupId
    assert.equal(api.world.get('group', groupId)?.isDefault, true)
  })

  test('runs where its agent is connected', async () => {
    assert.equal((await described('i-of-agent-here')).Status, 'Running')
    assert.equal((await described('i-of-agent-gone')).Status, 'Stopped')
    const here = await described('i-of-agent-here')
    assert.deepEqual([here.HostName, here.OSName], ['web1', 'Linux 6.18.0'])
    assert.deepEqual(here.NetworkInterfaces, { NetworkInterface: [] })
  })

  test('is changed, its groups those of its primary interface', async () => {
    const [first, second] = [await newGroup(), await newGroup()]
    const InstanceId = await newInstance({ SecurityGroupId: first })
    await did('ModifyInstanceAttribute', {
      InstanceId,
      InstanceName: 'db-1',
      Description: 'new',
      SecurityGroupIds: [second, first],
    })
    const { InstanceName, Description, SecurityGroupIds } = await described(InstanceId)
    assert.deepEqual(
      [InstanceName, Description, SecurityGroupIds],
      ['db-1', 'new', { SecurityGroupId: [second, first] }],
    )
    const rows: readonly [object, string][] = [
      [{ SecurityGroupIds: [first, first] }, '400 InvalidParameter'],
      [{ SecurityGroupIds: ['sg-nothing'] }, '404 InvalidSecurityGroupId.NotFound'],
      [{ SecurityGroupIds: [await newGroup({ VpcId: 'vpc-2' })] }, '403 InvalidOperation.VpcMismatch'],
      [{ InstanceName: 'http://x' }, '400 InvalidInstanceName.Malformed'],
      [{ InstanceId: 'i-nobody' }, '404 InvalidInstanceId.NotFound'],
      [{ InstanceId: 'i-of-agent-here', SecurityGroupIds: [first] }, '403 IncorrectInstanceStatus'],
    ]
    for (const [parameters, expected] of rows) {
      // Nothing of it is done where a part of it cannot be.
      const wish = { InstanceId, Description: 'never', ...parameters }
      assert.equal(await refusal('ModifyInstanceAttribute', wish), expected, JSON.stringify(parameters))
    }
    assert.equal((await described(InstanceId)).Description, 'new')
  })

  test('is deleted with its interfaces, one whose agent is connected by force alone', async () => {
    const InstanceId = await newInstance()
    await did('DeleteInstance', { InstanceId })
    assert.equal(await refusal('DeleteInstance', { InstanceId }), '404 InvalidInstanceId.NotFound')
    assert.equal(await refusal('DescribeInstanceAttribute', { InstanceId }), '404 InvalidInstanceId.NotFound')
    assert.deepEqual([...api.world.enisOfInstance(InstanceId)], [])
    await addAgent(api, 'agent-here')
    await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-busy', agentId: 'agent-here' })
    const idle = await newInstance()
    const both = { InstanceId: [idle, 'i-busy'] }
    assert.equal(await refusal('DeleteInstances', both), '403 IncorrectInstanceStatus')
    assert.notEqual(api.world.get('instance', idle), undefined)
    assert.equal(await refusal('DeleteInstance', { InstanceId: 'i-busy' }), '403 IncorrectInstanceStatus')
    assert.equal(await refusal('DeleteInstances', { InstanceId: [idle, 'i-nobody'] }), '404 InvalidInstanceId.NotFound')
    await did('DeleteInstances', { ...both, Force: true })
    assert.deepEqual([api.world.get('instance', idle), api.world.get('instance', 'i-busy')], [undefined, undefined])
  })

  const rows: readonly [object, string][] = [
    [{ Amount: 2 }, '400 UnsupportedParameter'],
    [{ Amount: 0 }, '400 InvalidParameter'],
    [{ NetworkInterface: [{ SecurityGroupId: 'sg-1' }] }, '400 UnsupportedParameter'],
    [{ SecurityGroupId: 'sg-1', SecurityGroupIds: ['sg-2'] }, '400 InvalidParameter.Conflict'],
    [{ SecurityGroupId: 'sg-nothing' }, '404 InvalidSecurityGroupId.NotFound'],
    [{ PrivateIpAddress: '0.0.0.1' }, '403 InvalidPrivateIpAddress.Malformed'],
    [{ PrivateIpAddress: '198.18.1.1', VpcId: 'vpc-1' }, '403 InvalidPrivateIpAddress.Duplicated'],
    [{ InstanceName: '1' }, '400 InvalidInstanceName.Malformed'],
  ]
  for (const [parameters, expected] of rows) {
    test(`is not registered with ${JSON.stringify(parameters)}: ${expected}`, async () => {
      const before = api.world.count('instance')
      assert.equal(await refusal('RunInstances', parameters), expected)
      assert.equal(api.world.count('instance'), before)
    })
  }
})

describe('lists', () => {
  const idsOf = ({ Instances }: { Instances: { Instance: { InstanceId: string }[] } }) =>
    Instances.Instance.map(({ InstanceId }) => InstanceId)

  test('are filtered, and come in pages of both styles', async () => {
    const group = await newGroup({ VpcId: 'vpc-list' })
    const made: string[] = []
    for (const number of [1, 2, 3]) {
      const PrivateIpAddress = `198.18.2.${number}`
      const InstanceType = number === 3 ? 'ecs.c5.large' : 'ecs.g5.large'
      made.push(
        await newInstance({ SecurityGroupId: group, InstanceName: `list-${number}`, PrivateIpAddress, InstanceType }),
      )
    }
    const [one = '', two = '', three = ''] = made
    const sorted = [...made].sort()
    const first = await did('DescribeInstances', { SecurityGroupId: group, MaxResults: 2 })
    const next = await did('DescribeInstances', {
      SecurityGroupId: group,
      MaxResults: 2,
      NextToken: first.NextToken,
    })
    assert.deepEqual([...idsOf(first), ...idsOf(next)], sorted)
    assert.equal(next.NextToken, '')
    const page = await did('DescribeInstances', { SecurityGroupId: group, PageNumber: 2, PageSize: 2 })
    assert.deepEqual([idsOf(page), page.TotalCount], [sorted.slice(2), 3])
    await did('TagResources', { ResourceType: 'instance', ResourceId: [two], Tag: [{ Key: 'a', Value: 'b' }] })
    const rows: readonly [object, readonly string[]][] = [
      [{ InstanceIds: ids([one, 'i-nobody']) }, [one]],
      [{ InstanceName: 'LIST-*' }, sorted],
      [{ InstanceName: 'list-2' }, [two]],
      [{ VpcId: 'vpc-list' }, sorted],
      [{ VpcId: 'vpc-list', InstanceType: 'ecs.c5.large' }, [three]],
      [{ VpcId: 'vpc-list', Status: 'Running' }, []],
      [{ Status: 'Running' }, ['i-of-agent-here']],
      [{ PrivateIpAddresses: ids(['198.18.2.2']) }, [two]],
      [{ Tag: [{ Key: 'a', Value: 'b' }] }, [two]],
      [{ KeyPairName: 'none' }, []],
    ]
    for (const [parameters, expected] of rows) {
      assert.deepEqual(idsOf(await did('DescribeInstances', parameters)), expected, JSON.stringify(parameters))
    }
    assert.equal(await refusal('DescribeInstances', { InstanceIds: 'i-1' }), '400 InvalidInstanceIds.Malformed')
  })

  test('look at the interfaces of those alone that are on the page', async t => {
    const looked = t.mock.method(api.world, 'enisOfInstance')
    const { TotalCount, ...page } = await did('DescribeInstances', { PageSize: 2 })
    assert.ok(TotalCount > 2)
    assert.deepEqual([...new Set(looked.mock.calls.map(call => call.arguments[0]))], idsOf(page))
  })

  test('of types say what is known of them', async () => {
    const { InstanceTypes } = await did('DescribeInstanceTypes', { InstanceTypes: ['ecs.g5.xlarge', 'ecs.none'] })
    const [type, ...others] = InstanceTypes.InstanceType
    assert.deepEqual(others, [])
    assert.deepEqual(
      [type.InstanceTypeId, type.InstanceTypeFamily, type.CpuCoreCount, type.InstanceBandwidthRx, type.InstancePpsRx],
      ['ecs.g5.xlarge', 'ecs.g5', 4, 1_500_000, 500_000],
    )
    const first = await did('DescribeInstanceTypes', { MaxResults: 1 })
    const next = await did('DescribeInstanceTypes', { MaxResults: 1, NextToken: first.NextToken })
    const typeOf = (answer: typeof first) => answer.InstanceTypes.InstanceType[0].InstanceTypeId
    assert.ok(typeOf(first) < typeOf(next))
    const family = await did('DescribeInstanceTypes', { InstanceTypeFamily: 'ecs.c5' })
    assert.ok(family.InstanceTypes.InstanceType.length > 1)
  })
})

describe('policies', () => {
  test('speak of single instances and of groups', async () => {
    const group = await newGroup()
    const [mine, other] = [await newInstance(), await newInstance()]
    const allow = (Resource: string) => ({ Effect: 'Allow', Action: 'ecs:*', Resource })
    const one = await userKey(api, 'of-one', { 'of-one': [allow(`acs:ecs:*:*:instance/${mine}`)] })
    const all = await userKey(api, 'of-all', { 'of-all': [allow('acs:ecs:*:*:instance/*')] })
    const denied = '403 Forbidden.RAM'
    const rows: readonly [RpcKey, string, object, string][] = [
      [one, 'DescribeInstances', { InstanceIds: ids([mine]) }, '200'],
      [one, 'DescribeInstances', { InstanceIds: ids([mine, other]) }, denied],
      [one, 'DescribeInstances', {}, denied],
      [all, 'DescribeInstances', {}, '200'],
      [one, 'DescribeInstanceAttribute', { InstanceId: other }, denied],
      [one, 'DescribeInstanceAttribute', { InstanceId: mine }, '200'],
      [one, 'DescribeInstanceTypes', {}, denied],
      [one, 'ModifyInstanceAttribute', { InstanceId: mine, Description: 'x' }, '200'],
      [one, 'ModifyInstanceAttribute', { InstanceId: other, Description: 'x' }, denied],
      [all, 'ModifyInstanceAttribute', { InstanceId: mine, SecurityGroupIds: [group] }, denied],
      [one, 'RunInstances', {}, denied],
      [all, 'RunInstances', {}, '200'],
      [all, 'RunInstances', { SecurityGroupId: group }, denied],
      [one, 'DeleteInstances', { InstanceId: [mine, other] }, denied],
      [one, 'DeleteInstance', { InstanceId: mine }, '200'],
    ]
    for (const [key, action, parameters, expected] of rows) {
      const { status, Code } = await call(action, parameters, key)
      assert.equal(status === 200 ? '200' : `${status} ${Code}`, expected, `${action} ${JSON.stringify(parameters)}`)
    }
  })
})
