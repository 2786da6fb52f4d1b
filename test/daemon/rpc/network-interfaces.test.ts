/** Network interfaces by the RPC API: without instance and with one, in the order in which Terraform calls. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, device, hostReport } from '../../support/fleet-state.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
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
let lastAddress = 0
const newAddress = () => `198.18.9.${++lastAddress}`
async function newEni(parameters: object = {}): Promise<string> {
  const wish = { VSwitchId: 'vsw-1', PrimaryIpAddress: newAddress(), ...parameters }
  return (await did('CreateNetworkInterface', wish)).NetworkInterfaceId
}
async function described(NetworkInterfaceId: string) {
  const { NetworkInterfaceSets } = await did('DescribeNetworkInterfaces', { NetworkInterfaceId: [NetworkInterfaceId] })
  return NetworkInterfaceSets.NetworkInterfaceSet[0]
}

describe('an interface', () => {
  test('goes the way that Terraform leads it', async () => {
    const [first, second] = [await newGroup({ VpcId: 'vpc-1' }), await newGroup({ VpcId: 'vpc-1' })]
    const InstanceId = await newInstance({ SecurityGroupId: first })
    const made = await did('CreateNetworkInterface', {
      VSwitchId: 'vsw-1',
      SecurityGroupIds: [first],
      PrimaryIpAddress: '198.18.8.1',
      Ipv6Address: ['2001:DB8::8'],
      NetworkInterfaceName: 'spare',
      Description: 'a spare one',
      Tag: [{ Key: 'team', Value: 'a' }],
    })
    const { NetworkInterfaceId } = made
    const { CreationTime, ...available } = await described(NetworkInterfaceId)
    assert.match(CreationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.deepEqual(available, {
      NetworkInterfaceId,
      NetworkInterfaceName: 'spare',
      Description: 'a spare one',
      Status: 'Available',
      Type: 'Secondary',
      VpcId: 'vpc-1',
      VSwitchId: 'vsw-1',
      ZoneId: 'local-a',
      MacAddress: '',
      PrivateIpAddress: '198.18.8.1',
      PrivateIpSets: {
        PrivateIpSet: [
          {
            PrivateIpAddress: '198.18.8.1',
            Primary: true,
            PrivateDnsName: '',
            AssociatedPublicIp: { PublicIpAddress: '', AllocationId: '' },
          },
        ],
      },
      Ipv6Sets: { Ipv6Set: [{ Ipv6Address: '2001:db8::8' }] },
      Ipv4PrefixSets: { Ipv4PrefixSet: [] },
      Ipv6PrefixSets: { Ipv6PrefixSet: [] },
      SecurityGroupIds: { SecurityGroupId: [first] },
      InstanceId: '',
      Attachment: {},
      AssociatedPublicIp: { PublicIpAddress: '', AllocationId: '' },
      QueueNumber: 1,
      QueuePairNumber: 0,
      DeleteOnRelease: true,
      SourceDestCheck: false,
      NetworkInterfaceTrafficMode: 'Standard',
      OwnerId: accountId,
      ResourceGroupId: '',
      ServiceManaged: false,
      ServiceID: 0,
      Tags: { Tag: [{ TagKey: 'team', TagValue: 'a' }] },
    })
    assert.equal(made.Status, 'Available')
    assert.equal(made.PrivateIpAddress, '198.18.8.1')
    // It is in its group already: rules that name the group match its address.
    assert.ok(api.world.membersOf(first).has('198.18.8.1'))

    await did('ModifyNetworkInterfaceAttribute', {
      NetworkInterfaceId,
      SecurityGroupId: [second],
      NetworkInterfaceName: 'taken',
      Description: '',
    })
    await did('AttachNetworkInterface', { NetworkInterfaceId, InstanceId })
    const inUse = await described(NetworkInterfaceId)
    assert.deepEqual(
      [inUse.Status, inUse.InstanceId, inUse.Attachment.InstanceId, inUse.Attachment.DeviceIndex, inUse.Type],
      ['InUse', InstanceId, InstanceId, 1, 'Secondary'],
    )
    assert.deepEqual(inUse.SecurityGroupIds, { SecurityGroupId: [second] })
    assert.deepEqual([inUse.NetworkInterfaceName, inUse.Description], ['taken', ''])
    assert.equal(await refusal('AttachNetworkInterface', { NetworkInterfaceId, InstanceId }), wrongState)
    assert.equal(await refusal('DeleteNetworkInterface', { NetworkInterfaceId }), wrongState)

    await did('DetachNetworkInterface', { NetworkInterfaceId, InstanceId })
    const free = await described(NetworkInterfaceId)
    assert.deepEqual([free.Status, free.InstanceId, free.Attachment], ['Available', '', {}])
    assert.equal(await refusal('DetachNetworkInterface', { NetworkInterfaceId, InstanceId }), wrongState)
    await did('DeleteNetworkInterface', { NetworkInterfaceId })
    const { NetworkInterfaceSets, TotalCount } = await did('DescribeNetworkInterfaces', {
      NetworkInterfaceId: [NetworkInterfaceId],
    })
    assert.deepEqual([NetworkInterfaceSets, TotalCount], [{ NetworkInterfaceSet: [] }, 0])
    assert.equal(await refusal('DeleteNetworkInterface', { NetworkInterfaceId }), '404 InvalidEniId.NotFound')
  })

  test('can be without address until it has one', async () => {
    const group = await newGroup()
    const answer = await did('CreateNetworkInterface', { VSwitchId: 'vsw-1', SecurityGroupId: group })
    assert.deepEqual([answer.PrivateIpAddress, answer.PrivateIpSets], ['', { PrivateIpSet: [] }])
    const address = newAddress()
    const { NetworkInterfaceId } = answer
    await did('AssignPrivateIpAddresses', { NetworkInterfaceId, PrivateIpAddress: [address] })
    assert.equal((await described(NetworkInterfaceId)).PrivateIpAddress, address)
  })

  test('takes MAC address and addresses of a device that its agent reported', async () => {
    const group = await newGroup()
    const eth1 = device('eth1', { macAddress: '02:00:00:00:00:07', addresses: ['198.18.7.7', 'fe80::7'] })
    await addAgent(api, 'agent-rpc', { report: hostReport([eth1]) })
    const body = { accountId, instanceId: 'i-served', agentId: 'agent-rpc' }
    assert.equal((await api.request('POST', '/v1/instances', body)).status, 201)
    const { NetworkInterfaceId } = await did('CreateNetworkInterface', { VSwitchId: 'vsw-1', SecurityGroupId: group })
    const place = { NetworkInterfaceId, InstanceId: 'i-served' }
    assert.equal(await refusal('AttachNetworkInterface', { ...place, RingwallDevice: 'eth9' }), '400 InvalidParameter')
    await did('AttachNetworkInterface', { ...place, RingwallDevice: 'eth1' })
    const { MacAddress, PrivateIpAddress, Type } = await described(NetworkInterfaceId)
    assert.deepEqual([MacAddress, PrivateIpAddress, Type], ['02:00:00:00:00:07', '198.18.7.7', 'Primary'])
    // The last one goes, though it is the primary one, and keeps what is its own.
    await did('DetachNetworkInterface', place)
    const free = await described(NetworkInterfaceId)
    assert.deepEqual([free.MacAddress, free.PrivateIpAddress, free.Type], [MacAddress, PrivateIpAddress, 'Secondary'])
  })

  test('that is primary goes last', async () => {
    const group = await newGroup()
    const InstanceId = await newInstance({ SecurityGroupId: group })
    const other = await newEni({ SecurityGroupId: group })
    await did('AttachNetworkInterface', { NetworkInterfaceId: other, InstanceId })
    const { NetworkInterfaceSets } = await did('DescribeNetworkInterfaces', { InstanceId, Type: 'Primary' })
    const [{ NetworkInterfaceId: primary }] = NetworkInterfaceSets.NetworkInterfaceSet
    assert.equal(
      await refusal('DetachNetworkInterface', { NetworkInterfaceId: primary, InstanceId }),
      '400 InvalidOperation.DetachPrimaryEniNotAllowed',
    )
    await did('DetachNetworkInterface', { NetworkInterfaceId: other, InstanceId })
    await did('DetachNetworkInterface', { NetworkInterfaceId: primary, InstanceId })
    assert.deepEqual([...api.world.enisOfInstance(InstanceId)], [])
  })
})

const wrongState = '400 InvalidOperation.InvalidEniState'

describe('addresses', () => {
  test('are assigned and taken away', async () => {
    const NetworkInterfaceId = await newEni({ SecurityGroupId: await newGroup() })
    const further = [newAddress(), newAddress()]
    const v4 = await did('AssignPrivateIpAddresses', { NetworkInterfaceId, PrivateIpAddress: further })
    assert.deepEqual(v4.AssignedPrivateIpAddressesSet.PrivateIpSet, { PrivateIpAddress: further })
    const v6 = await did('AssignIpv6Addresses', { NetworkInterfaceId, Ipv6Address: ['2001:DB8:0::1', '2001:db8::2'] })
    assert.deepEqual(v6.Ipv6Sets, { Ipv6Address: ['2001:db8::1', '2001:db8::2'] })
    await did('UnassignPrivateIpAddresses', { NetworkInterfaceId, PrivateIpAddress: [further[0]] })
    await did('UnassignIpv6Addresses', { NetworkInterfaceId, Ipv6Address: ['2001:db8:0:0::1'] })
    const { PrivateIpAddress, PrivateIpSets, Ipv6Sets } = await described(NetworkInterfaceId)
    assert.deepEqual(
      PrivateIpSets.PrivateIpSet.map((set: Record<string, unknown>) => [set.PrivateIpAddress, set.Primary]),
      [
        [PrivateIpAddress, true],
        [further[1], false],
      ],
    )
    assert.deepEqual(Ipv6Sets, { Ipv6Set: [{ Ipv6Address: '2001:db8::2' }] })
    const rows: readonly [string, object, string][] = [
      ['AssignPrivateIpAddresses', {}, '400 MissingParameter.PrivateIpAddress'],
      ['AssignPrivateIpAddresses', { SecondaryPrivateIpAddressCount: 1 }, '400 UnsupportedParameter'],
      ['AssignPrivateIpAddresses', { PrivateIpAddress: ['127.0.0.1'] }, '403 InvalidVSwitchId.IpInvalid'],
      ['AssignIpv6Addresses', { Ipv6AddressCount: 2 }, '400 UnsupportedParameter'],
      ['AssignIpv6Addresses', { Ipv6Prefix: ['2001:db8::/80'] }, '400 UnsupportedParameter'],
      ['AssignIpv6Addresses', { Ipv6Address: ['198.18.0.1'] }, '400 InvalidParameter'],
      ['UnassignPrivateIpAddresses', { PrivateIpAddress: [further[0]] }, '403 InvalidIp.IpUnassigned'],
      ['UnassignPrivateIpAddresses', { PrivateIpAddress: [PrivateIpAddress] }, '400 InvalidParameter'],
      ['UnassignIpv6Addresses', { Ipv6Address: ['2001:db8::1'] }, '403 InvalidIp.IpUnassigned'],
      ['UnassignIpv6Addresses', {}, '400 MissingParameter.Ipv6Address'],
    ]
    for (const [action, parameters, expected] of rows) {
      assert.equal(await refusal(action, { NetworkInterfaceId, ...parameters }), expected, JSON.stringify(parameters))
      assert.equal(
        await refusal(action, { PrivateIpAddress: ['198.18.9.250'], ...parameters, NetworkInterfaceId: 'eni-nobody' }),
        /Count|Prefix/.test(JSON.stringify(parameters)) ? '400 UnsupportedParameter' : '404 InvalidEniId.NotFound',
      )
    }
  })
})

describe('refused', () => {
  let group = ''
  let taken = ''
  before(async () => {
    group = await newGroup()
    taken = newAddress()
    await newEni({ SecurityGroupId: group, PrimaryIpAddress: taken })
  })

  const creations: readonly [object, string][] = [
    [{ VSwitchId: undefined }, '400 MissingParameter.VSwitchId'],
    [{ SecurityGroupId: undefined }, '400 MissingParameter.SecurityGroupId'],
    [{ SecurityGroupIds: ['sg-a'] }, '400 InvalidParameter.Conflict'],
    [{ SecurityGroupId: 'sg-nothing' }, '404 InvalidSecurityGroupId.NotFound'],
    [{ PrimaryIpAddress: 'x' }, '403 InvalidVSwitchId.IpInvalid'],
    [{ PrivateIpAddress: ['198.18.9.200'] }, '400 MissingParameter.PrimaryIpAddress'],
    [{ SecondaryPrivateIpAddressCount: 2 }, '400 UnsupportedParameter'],
    [{ Ipv6AddressCount: 1 }, '400 UnsupportedParameter'],
    [{ Ipv4PrefixCount: 1 }, '400 UnsupportedParameter'],
    [{ DeleteOnRelease: false }, '400 UnsupportedParameter'],
    [{ InstanceType: 'Trunk' }, '400 InvalidParameter'],
    [{ NetworkInterfaceName: 'http://x' }, '400 InvalidParameter'],
  ]
  for (const [fault, expected] of creations) {
    test(`CreateNetworkInterface ${JSON.stringify(fault)}: ${expected}`, async () => {
      const wish = { VSwitchId: 'vsw-1', SecurityGroupId: group, ...fault }
      const before = api.world.count('eni')
      assert.equal(await refusal('CreateNetworkInterface', wish), expected)
      assert.equal(api.world.count('eni'), before)
    })
  }

  test('an address that another has, groups of two networks, a group twice', async () => {
    const elsewhere = await newGroup({ VpcId: 'vpc-2' })
    const rows: readonly [object, string][] = [
      [{ SecurityGroupIds: [group], PrimaryIpAddress: taken }, '403 InvalidIp.IpAssigned'],
      [{ SecurityGroupIds: [group, elsewhere] }, '403 InvalidOperation.VpcMismatch'],
      [{ SecurityGroupIds: [group, group] }, '400 InvalidParameter'],
    ]
    for (const [parameters, expected] of rows) {
      assert.equal(await refusal('CreateNetworkInterface', { VSwitchId: 'vsw-1', ...parameters }), expected)
    }
  })

  test('attaching what is not there, and to an instance of others', async () => {
    const NetworkInterfaceId = await newEni({ SecurityGroupId: group })
    const InstanceId = await newInstance()
    await api.request('POST', '/v1/instances', { accountId: otherAccountId, instanceId: 'i-theirs' })
    const rows: readonly [string, object, string][] = [
      ['AttachNetworkInterface', { NetworkInterfaceId: 'eni-nobody', InstanceId }, '404 InvalidEniId.NotFound'],
      ['AttachNetworkInterface', { NetworkInterfaceId, InstanceId: 'i-nobody' }, '404 InvalidEcsId.NotFound'],
      ['AttachNetworkInterface', { NetworkInterfaceId, InstanceId: 'i-theirs' }, '404 InvalidEcsId.NotFound'],
      ['AttachNetworkInterface', { NetworkInterfaceId }, '400 MissingParameter.InstanceId'],
      ['DetachNetworkInterface', { NetworkInterfaceId, InstanceId }, wrongState],
      ['DetachNetworkInterface', { NetworkInterfaceId: 'eni-nobody', InstanceId }, '404 InvalidEniId.NotFound'],
      ['DetachNetworkInterface', { NetworkInterfaceId, InstanceId: 'i-nobody' }, '404 InvalidEcsId.NotFound'],
    ]
    for (const [action, parameters, expected] of rows) {
      assert.equal(await refusal(action, parameters), expected, `${action} ${JSON.stringify(parameters)}`)
    }
  })

  test('other time-outs of connection tracking than those that hold', async () => {
    const NetworkInterfaceId = await newEni({ SecurityGroupId: group })
    const rows: readonly [object, string][] = [
      [{ TcpEstablishedTimeout: 60 }, '400 UnsupportedParameter'],
      [{ UdpTimeout: 30 }, '400 UnsupportedParameter'],
      [{ TcpEstablishedTimeout: 911 }, '400 InvalidParameter'],
    ]
    for (const [ConnectionTrackingConfiguration, expected] of rows) {
      const parameters = { NetworkInterfaceId, ConnectionTrackingConfiguration }
      assert.equal(await refusal('ModifyNetworkInterfaceAttribute', parameters), expected)
    }
    const same = { TcpEstablishedTimeout: api.world.settings.sessionTimeout }
    await did('ModifyNetworkInterfaceAttribute', { NetworkInterfaceId, ConnectionTrackingConfiguration: same })
  })
})

describe('lists', () => {
  test('are filtered, and come in pages of both styles', async () => {
    const group = await newGroup({ VpcId: 'vpc-list' })
    const made: string[] = []
    for (const name of ['one', 'two', 'three']) {
      made.push(await newEni({ SecurityGroupId: group, NetworkInterfaceName: name, VSwitchId: `vsw-${name}` }))
    }
    const idsOf = ({ NetworkInterfaceSets }: { NetworkInterfaceSets: { NetworkInterfaceSet: object[] } }) =>
      NetworkInterfaceSets.NetworkInterfaceSet.map(eni => (eni as { NetworkInterfaceId: string }).NetworkInterfaceId)
    const sorted = [...made].sort()
    const filter = { SecurityGroupId: group }
    const first = await did('DescribeNetworkInterfaces', { ...filter, MaxResults: 2 })
    assert.deepEqual(idsOf(first), sorted.slice(0, 2))
    const next = await did('DescribeNetworkInterfaces', { ...filter, MaxResults: 2, NextToken: first.NextToken })
    assert.deepEqual([idsOf(next), next.NextToken], [sorted.slice(2), ''])
    const page = await did('DescribeNetworkInterfaces', { ...filter, PageNumber: 2, PageSize: 2 })
    assert.deepEqual([idsOf(page), page.TotalCount, page.PageNumber], [sorted.slice(2), 3, 2])
    const [one = '', two = '', three = ''] = made
    await did('TagResources', { ResourceType: 'eni', ResourceId: [two], Tag: [{ Key: 'a', Value: 'b' }] })
    const rows: readonly [object, readonly string[]][] = [
      [{ VpcId: 'vpc-list' }, sorted],
      [{ NetworkInterfaceName: 'one' }, [one]],
      [{ VSwitchId: 'vsw-three' }, [three]],
      [{ ...filter, Tag: [{ Key: 'a', Value: 'b' }] }, [two]],
      [{ PrimaryIpAddress: api.world.get('eni', one)?.addresses[0] }, [one]],
      [{ PrivateIpAddress: api.world.get('eni', three)?.addresses }, [three]],
      [{ ...filter, Status: 'Available' }, sorted],
      [{ ...filter, Status: 'InUse' }, []],
      [{ ...filter, InstanceId: 'i-nobody' }, []],
      [{ NetworkInterfaceId: ['eni-nobody'] }, []],
    ]
    for (const [parameters, expected] of rows) {
      assert.deepEqual(idsOf(await did('DescribeNetworkInterfaces', parameters)), expected, JSON.stringify(parameters))
    }
  })
})

describe('policies', () => {
  test('speak of single interfaces, instances and groups', async () => {
    const group = await newGroup()
    const [mine, other] = [await newEni({ SecurityGroupId: group }), await newEni({ SecurityGroupId: group })]
    const InstanceId = await newInstance()
    const statement = (Resource: string) => ({ Effect: 'Allow', Action: 'ecs:*', Resource })
    const ofEni = await userKey(api, 'of-eni', { 'of-eni': [statement(`acs:ecs:*:*:eni/${mine}`)] })
    const both = await userKey(api, 'of-both', {
      'of-both': [statement(`acs:ecs:*:*:eni/${mine}`), statement(`acs:ecs:*:*:instance/${InstanceId}`)],
    })
    const anyEni = await userKey(api, 'of-any', { 'of-any': [statement('acs:ecs:*:*:eni/*')] })
    const denied = '403 Forbidden.RAM'
    const attach = { NetworkInterfaceId: mine, InstanceId }
    const rows: readonly [RpcKey, string, object, string][] = [
      [ofEni, 'DescribeNetworkInterfaces', { NetworkInterfaceId: [mine] }, '200'],
      [ofEni, 'DescribeNetworkInterfaces', { NetworkInterfaceId: [mine, other] }, denied],
      [ofEni, 'DescribeNetworkInterfaces', {}, denied],
      [ofEni, 'ModifyNetworkInterfaceAttribute', { NetworkInterfaceId: mine, Description: 'new' }, '200'],
      [ofEni, 'ModifyNetworkInterfaceAttribute', { NetworkInterfaceId: mine, SecurityGroupId: [group] }, denied],
      [ofEni, 'ModifyNetworkInterfaceAttribute', { NetworkInterfaceId: other, Description: 'new' }, denied],
      [ofEni, 'AssignPrivateIpAddresses', { NetworkInterfaceId: other, PrivateIpAddress: ['198.18.9.251'] }, denied],
      [ofEni, 'AttachNetworkInterface', attach, denied],
      [both, 'AttachNetworkInterface', attach, '200'],
      [ofEni, 'DetachNetworkInterface', attach, denied],
      [both, 'DetachNetworkInterface', attach, '200'],
      [both, 'DeleteNetworkInterface', { NetworkInterfaceId: other }, denied],
      // The groups are needed too.
      [anyEni, 'CreateNetworkInterface', { VSwitchId: 'vsw-1', SecurityGroupId: group }, denied],
      [both, 'DeleteNetworkInterface', { NetworkInterfaceId: mine }, '200'],
    ]
    for (const [key, action, parameters, expected] of rows) {
      const { status, Code } = await call(action, parameters, key)
      assert.equal(status === 200 ? '200' : `${status} ${Code}`, expected, `${action} ${JSON.stringify(parameters)}`)
    }
  })
})
