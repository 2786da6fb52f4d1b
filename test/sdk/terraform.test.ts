/**
 * The calls of Terraform's provider in its order and its forms, by TLS: system parameters in the query and the action's own
 * in a form body; its older library puts all into the query, with an empty `SignatureType` and the type of a form on GET too.
 * What it expects of answers is said beside each resource, as its sources have it. The provider itself is not run here.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Product, versions } from '../../daemon/rpc/action.ts'
import { accountId } from '../support/api.ts'
import { accountKey } from '../support/ram.ts'
import { type RpcKey, sign } from '../support/rpc-client.ts'
import { type SdkEndpoint, startEndpoint } from '../support/sdk/endpoint.ts'
import { send } from '../support/sdk/send.ts'

let on: SdkEndpoint
let key: RpcKey
before(async () => {
  on = await startEndpoint('https')
  key = await accountKey(on.api)
})
after(() => on[Symbol.asyncDispose]())

const region = 'cn-hangzhou'
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
type Reply = { readonly status: number } & Readonly<Record<string, any>>

async function ask(product: Product, action: string, parameters: object, isOld: boolean): Promise<Reply> {
  const version = versions[product]
  const request = isOld
    ? sign(
        key,
        action,
        { ...parameters, SignatureType: '' },
        { version, method: action.startsWith('D') ? 'GET' : 'POST' },
      )
    : sign(key, action, parameters, { version, method: 'POST', inForm: true })
  const headers = { ...request.headers, 'content-type': 'application/x-www-form-urlencoded' }
  const { status, body } = await send(on.endpoint, { ...request, headers })
  return { status, ...body }
}
/** Of today: RpcPost. */
const post = (product: Product, action: string, parameters: object) => ask(product, action, parameters, false)
/** By the older library. */
const old = (product: Product, action: string, parameters: object) => ask(product, action, parameters, true)

async function did(reply: Promise<Reply>): Promise<Reply> {
  const answer = await reply
  assert.equal(answer.status, 200, JSON.stringify(answer))
  return answer
}

/** What its helper takes for "is gone": anything else about a missing object makes it fail, or wait for minutes. */
const isGone = ({ status, Code = '', Message = '' }: Reply) => status === 404 || /NotFound/.test(`${Code}${Message}`)

/** Errors it would repeat for minutes. */
const isRepeated = ({ status, Code = '' }: Reply) =>
  status >= 500 || /Throttling|ServiceUnavailable|OperationConflict|IncorrectStatus/.test(Code)

const group = async (more: object = {}): Promise<string> => {
  const wish = { RegionId: region, VpcId: 'vpc-tf', ClientToken: `tf-${Math.random()}`, ...more }
  return (await did(post('ecs', 'CreateSecurityGroup', wish))).SecurityGroupId
}
const attributeOf = (SecurityGroupId: string, more: object = {}) =>
  post('ecs', 'DescribeSecurityGroupAttribute', { RegionId: region, SecurityGroupId, ...more })

describe('alicloud_security_group', () => {
  test('create, read, update, import, delete', async () => {
    const SecurityGroupId = await group({ SecurityGroupName: 'tf', 'Tag.1.Key': 'env', 'Tag.1.Value': 'test' })
    const by = { RegionId: region, SecurityGroupId }
    const inner = async () => (await did(attributeOf(SecurityGroupId))).InnerAccessPolicy
    // Compared with what was written, whose case is that of the answer.
    assert.equal(await inner(), 'Accept')
    await did(post('ecs', 'ModifySecurityGroupPolicy', { ...by, InnerAccessPolicy: 'Drop', ClientToken: 'inner-1' }))
    assert.equal(await inner(), 'Drop')
    const read = async () => {
      const { SecurityGroups } = await did(post('ecs', 'DescribeSecurityGroups', by))
      return SecurityGroups.SecurityGroup
    }
    const [shown] = await read()
    assert.deepEqual(
      [shown.SecurityGroupName, shown.VpcId, shown.SecurityGroupType, shown.ResourceGroupId, shown.Description],
      ['tf', 'vpc-tf', 'normal', '', ''],
    )
    assert.deepEqual(shown.Tags.Tag, [{ TagKey: 'env', TagValue: 'test' }])

    await did(post('ecs', 'ModifySecurityGroupAttribute', { ...by, SecurityGroupName: 'tf2', Description: 'more' }))
    await did(attributeOf(SecurityGroupId))
    await did(post('ecs', 'ModifySecurityGroupPolicy', { ...by, InnerAccessPolicy: 'Accept', ClientToken: 'inner-2' }))
    const tagged = { RegionId: region, ResourceType: 'securitygroup', 'ResourceId.1': SecurityGroupId }
    await did(post('ecs', 'UntagResources', { ...tagged, 'TagKey.1': 'env' }))
    await did(post('ecs', 'TagResources', { ...tagged, 'Tag.1.Key': 'team', 'Tag.1.Value': 'web' }))
    const [changed] = await read()
    assert.deepEqual([changed.SecurityGroupName, changed.Tags.Tag], ['tf2', [{ TagKey: 'team', TagValue: 'web' }]])

    await did(post('ecs', 'DeleteSecurityGroup', by))
    assert.deepEqual(await read(), [])
    assert.ok(isGone(await attributeOf(SecurityGroupId)))
    assert.ok(isGone(await post('ecs', 'DeleteSecurityGroup', by)))
  })

  test('one that is needed is held by a code it waits for, and that is no "gone"', async () => {
    const SecurityGroupId = await group()
    const naming = await group()
    await did(
      post('ecs', 'AuthorizeSecurityGroup', {
        RegionId: region,
        SecurityGroupId: naming,
        'Permissions.1.IpProtocol': 'all',
        'Permissions.1.PortRange': '-1/-1',
        'Permissions.1.SourceGroupId': SecurityGroupId,
      }),
    )
    const held = await post('ecs', 'DeleteSecurityGroup', { RegionId: region, SecurityGroupId })
    assert.equal(held.Code, 'DependencyViolation')
    assert.ok(!isGone(held) && !isRepeated(held))
  })
})

describe('alicloud_security_group_rule', () => {
  interface Rule {
    readonly type: 'ingress' | 'egress'
    readonly protocol: string
    readonly ports: string
    readonly policy: string
    readonly priority: number
    /** The field of the peer without its side: `CidrIp`. */
    readonly peer: 'CidrIp' | 'GroupId' | 'PrefixListId' | 'Ipv6'
    readonly of: string
  }
  const peerField = ({ type, peer }: Rule) => {
    const side = type === 'ingress' ? 'Source' : 'Dest'
    return peer === 'Ipv6' ? `Ipv6${side}CidrIp` : `${side}${peer}`
  }
  const fields = (rule: Rule) => ({
    IpProtocol: rule.protocol,
    PortRange: rule.ports,
    Policy: rule.policy,
    Priority: String(rule.priority),
    NicType: 'intranet',
    [peerField(rule)]: rule.of,
  })
  const suffix = ({ type }: Rule) => (type === 'ingress' ? '' : 'Egress')

  /** As its service finds a rule again: by all that makes it, with peers that are not set being empty. */
  async function find(SecurityGroupId: string, rule: Rule) {
    const reply = await attributeOf(SecurityGroupId, { Direction: rule.type, NicType: 'intranet' })
    if (isGone(reply)) return undefined
    assert.equal(reply.status, 200)
    const side = rule.type === 'ingress' ? 'Source' : 'Dest'
    return reply.Permissions.Permission.find((each: Record<string, string>) => {
      const peers = [`${side}CidrIp`, `Ipv6${side}CidrIp`, `${side}GroupId`, `${side}PrefixListId`]
      const told = peers.map(name => each[name]).find(value => value !== '')
      return (
        each.IpProtocol!.toLowerCase() === rule.protocol &&
        each.PortRange === rule.ports &&
        told === rule.of &&
        each.Policy!.toLowerCase() === rule.policy &&
        each.Priority === String(rule.priority) &&
        each.NicType === 'intranet'
      )
    })
  }

  const anywhere = { policy: 'accept', priority: 1, peer: 'CidrIp', of: '0.0.0.0/0' } as const
  const rows: readonly (readonly [string, (peerId: string) => Rule])[] = [
    ['tcp from anywhere', () => ({ ...anywhere, type: 'ingress', protocol: 'tcp', ports: '22/22' })],
    [
      'udp dropped',
      () => ({ ...anywhere, type: 'ingress', protocol: 'udp', ports: '1/65535', policy: 'drop', priority: 100 }),
    ],
    [
      'icmp of a group',
      peer => ({ ...anywhere, type: 'ingress', protocol: 'icmp', ports: '-1/-1', peer: 'GroupId', of: peer }),
    ],
    ['all, outbound', () => ({ ...anywhere, type: 'egress', protocol: 'all', ports: '-1/-1', of: '10.0.0.0/8' })],
    [
      'gre, outbound, to a group',
      peer => ({ ...anywhere, type: 'egress', protocol: 'gre', ports: '-1/-1', peer: 'GroupId', of: peer }),
    ],
    [
      'IPv6',
      () => ({ ...anywhere, type: 'ingress', protocol: 'tcp', ports: '443/443', peer: 'Ipv6', of: '2001:db8::/32' }),
    ],
  ]
  for (const [name, ruleOf] of rows) {
    test(`${name}: create, read, update, delete`, async () => {
      const SecurityGroupId = await group()
      const rule = ruleOf(await group())
      const by = { RegionId: region, SecurityGroupId }
      await did(attributeOf(SecurityGroupId))
      const nested = Object.fromEntries(
        Object.entries(fields(rule)).map(([field, value]) => [`Permissions.1.${field}`, value]),
      )
      await did(post('ecs', `AuthorizeSecurityGroup${suffix(rule)}`, { ...by, ...nested, ClientToken: `tf-${name}` }))
      assert.equal((await find(SecurityGroupId, rule))?.Description, '')

      const described = { ...by, ...fields(rule), Description: 'changed' }
      // It makes the update twice.
      for (let count = 0; count < 2; count += 1) {
        await did(old('ecs', `ModifySecurityGroup${suffix(rule)}Rule`, described))
      }
      assert.equal((await find(SecurityGroupId, rule)).Description, 'changed')

      await did(old('ecs', `RevokeSecurityGroup${suffix(rule)}`, { ...by, ...fields(rule) }))
      assert.equal(await find(SecurityGroupId, rule), undefined)
      // Any error here is repeated for five minutes, so there must be none.
      await did(old('ecs', `RevokeSecurityGroup${suffix(rule)}`, { ...by, ...fields(rule) }))
      await did(post('ecs', 'DeleteSecurityGroup', by))
      assert.equal(await find(SecurityGroupId, rule), undefined)
      const gone = await old('ecs', `RevokeSecurityGroup${suffix(rule)}`, { ...by, ...fields(rule) })
      assert.equal(gone.Code, 'InvalidSecurityGroupId.NotFound')
    })
  }
})

describe('alicloud_ecs_network_interface and its attachment', () => {
  const describeOne = async (NetworkInterfaceId: string) => {
    const { NetworkInterfaceSets } = await did(
      post('ecs', 'DescribeNetworkInterfaces', {
        RegionId: region,
        'NetworkInterfaceId.1': NetworkInterfaceId,
        MaxResults: 10,
      }),
    )
    return NetworkInterfaceSets.NetworkInterfaceSet
  }
  /** It reaches into these without looking whether they are there. */
  function requireContainers(eni: Reply) {
    for (const [set, list] of [
      ['PrivateIpSets', 'PrivateIpSet'],
      ['Ipv6Sets', 'Ipv6Set'],
      ['Ipv4PrefixSets', 'Ipv4PrefixSet'],
      ['SecurityGroupIds', 'SecurityGroupId'],
    ]) {
      assert.ok(Array.isArray(eni[set!]?.[list!]), set)
    }
    for (const each of eni.PrivateIpSets.PrivateIpSet) assert.equal(typeof each.Primary, 'boolean')
    assert.equal(typeof eni.SourceDestCheck, 'boolean')
    assert.equal(typeof eni.QueueNumber, 'number')
  }

  test('create, poll, read, update, attach, detach, delete, poll', async () => {
    const [first, second] = [await group(), await group()]
    const { NetworkInterfaceId } = await did(
      post('ecs', 'CreateNetworkInterface', {
        RegionId: region,
        VSwitchId: 'vsw-1',
        'SecurityGroupIds.1': first,
        PrimaryIpAddress: '198.18.100.1',
        'PrivateIpAddress.1': '198.18.100.2',
        NetworkInterfaceName: 'tf',
        'Tag.1.Key': 'env',
        'Tag.1.Value': 'test',
      }),
    )
    const by = { RegionId: region, NetworkInterfaceId }
    const [made] = await describeOne(NetworkInterfaceId)
    requireContainers(made)
    assert.deepEqual([made.Status, made.VSwitchId, made.ResourceGroupId], ['Available', 'vsw-1', ''])
    const { TagResources } = await did(
      post('ecs', 'ListTagResources', { RegionId: region, ResourceType: 'eni', 'ResourceId.1': NetworkInterfaceId }),
    )
    assert.deepEqual([TagResources.TagResource[0].TagKey, TagResources.TagResource[0].TagValue], ['env', 'test'])

    await did(
      post('ecs', 'ModifyNetworkInterfaceAttribute', {
        ...by,
        Description: 'changed',
        NetworkInterfaceName: 'tf2',
        'SecurityGroupId.1': second,
      }),
    )
    await did(post('ecs', 'UnassignPrivateIpAddresses', { ...by, 'PrivateIpAddress.1': '198.18.100.2' }))
    await did(post('ecs', 'AssignPrivateIpAddresses', { ...by, 'PrivateIpAddress.1': '198.18.100.3' }))
    await did(post('ecs', 'AssignIpv6Addresses', { ...by, 'Ipv6Address.1': '2001:db8:100::1' }))
    await did(post('ecs', 'UnassignIpv6Addresses', { ...by, 'Ipv6Address.1': '2001:db8:100::1' }))
    const [changed] = await describeOne(NetworkInterfaceId)
    assert.deepEqual(
      changed.PrivateIpSets.PrivateIpSet.filter((each: Reply) => each.Primary === false).map(
        (each: Reply) => each.PrivateIpAddress,
      ),
      ['198.18.100.3'],
    )
    assert.deepEqual(changed.SecurityGroupIds.SecurityGroupId, [second])

    const run = await did(post('ecs', 'RunInstances', { RegionId: region, SecurityGroupId: first, VSwitchId: 'vsw-1' }))
    const [InstanceId] = run.InstanceIdSets.InstanceIdSet
    await did(post('ecs', 'AttachNetworkInterface', { ...by, InstanceId }))
    const [attached] = await describeOne(NetworkInterfaceId)
    assert.deepEqual([attached.Status, attached.InstanceId], ['InUse', InstanceId])
    const busy = await post('ecs', 'DeleteNetworkInterface', by)
    assert.equal(busy.Code, 'InvalidOperation.InvalidEniState')
    await did(post('ecs', 'DetachNetworkInterface', { ...by, InstanceId }))
    assert.equal((await describeOne(NetworkInterfaceId))[0].Status, 'Available')
    await did(post('ecs', 'DeleteNetworkInterface', by))
    assert.deepEqual(await describeOne(NetworkInterfaceId), [])
    assert.ok(isGone(await post('ecs', 'DeleteNetworkInterface', by)))
  })

  test('alicloud_instance: groups are left first, and joined then', async () => {
    const [first, second] = [await group(), await group()]
    const run = await did(post('ecs', 'RunInstances', { RegionId: region, SecurityGroupId: first, VSwitchId: 'vsw-1' }))
    const [InstanceId] = run.InstanceIdSets.InstanceIdSet
    const groupsOf = async () =>
      (await did(post('ecs', 'DescribeInstances', { RegionId: region, InstanceIds: JSON.stringify([InstanceId]) })))
        .Instances.Instance[0].SecurityGroupIds.SecurityGroupId
    // Leaving the last one is refused, which it passes over; the second attempt succeeds.
    const last = await post('ecs', 'LeaveSecurityGroup', { InstanceId, SecurityGroupId: first })
    assert.equal(last.Code, 'InstanceLastSecurityGroup')
    await did(post('ecs', 'JoinSecurityGroup', { InstanceId, SecurityGroupId: second }))
    await did(post('ecs', 'LeaveSecurityGroup', { InstanceId, SecurityGroupId: first }))
    assert.deepEqual(await groupsOf(), [second])
    const attribute = await did(post('ecs', 'DescribeInstanceAttribute', { InstanceId }))
    assert.deepEqual(attribute.SecurityGroupIds.SecurityGroupId, [second])
  })
})

describe('alicloud_ecs_prefix_list', () => {
  test('create, read, update, delete', async () => {
    const { PrefixListId } = await did(
      post('ecs', 'CreatePrefixList', {
        RegionId: region,
        AddressFamily: 'IPv4',
        MaxEntries: 10,
        PrefixListName: 'tf-list',
        ClientToken: 'tf-list-1',
        'Entry.1.Cidr': '198.18.0.0/24',
        'Entry.1.Description': '',
        'Entry.2.Cidr': '198.18.1.0/24',
        'Entry.2.Description': 'second',
      }),
    )
    const by = { RegionId: region, PrefixListId }
    const read = () => post('ecs', 'DescribePrefixListAttributes', by)
    const entries = async () =>
      (await did(read())).Entries.Entry.map((entry: Reply) => `${entry.Cidr} ${entry.Description}`).sort()
    assert.deepEqual(await entries(), ['198.18.0.0/24 ', '198.18.1.0/24 second'])
    assert.equal((await did(read())).MaxEntries, 10)
    // A description that changes is an entry that goes and another that comes, in one request.
    await did(
      post('ecs', 'ModifyPrefixList', {
        ...by,
        PrefixListName: 'tf-list2',
        'RemoveEntry.1.Cidr': '198.18.1.0/24',
        'AddEntry.1.Cidr': '198.18.1.0/24',
        'AddEntry.1.Description': 'changed',
      }),
    )
    assert.deepEqual(await entries(), ['198.18.0.0/24 ', '198.18.1.0/24 changed'])
    await did(post('ecs', 'DeletePrefixList', by))
    assert.ok(isGone(await read()))
  })
})

describe('alicloud_ddos_basic_defense_threshold', () => {
  test('create, wait, read, update', async () => {
    const run = await did(
      post('ecs', 'RunInstances', { RegionId: region, InstanceType: 'ecs.g5.large', SecurityGroupId: await group() }),
    )
    const [InstanceId] = run.InstanceIdSets.InstanceIdSet
    const asset = { DdosRegionId: region, InstanceType: 'ecs' }
    const read = async () => {
      const asked = { ...asset, DdosType: 'defense', 'InstanceIds.1': InstanceId }
      const { Thresholds } = await did(post('antiddos-public', 'DescribeDdosThreshold', asked))
      return Thresholds.Threshold[0]
    }
    for (const [Bps, Pps] of [
      [100, 70_000],
      [200, 80_000],
    ]) {
      await did(post('antiddos-public', 'ModifyDefenseThreshold', { ...asset, InstanceId, Bps, Pps, IsAuto: false }))
      const threshold = await read()
      // It waits for one of two words, and compares numbers and a truth value.
      assert.ok(['defense', 'blackhole'].includes(threshold.DdosType))
      assert.deepEqual([threshold.Bps, threshold.Pps, threshold.IsAuto], [Bps, Pps, false])
      assert.deepEqual([typeof threshold.MaxBps, typeof threshold.MaxPps], ['number', 'number'])
    }
    await did(post('antiddos-public', 'ModifyDefenseThreshold', { ...asset, InstanceId, IsAuto: true }))
    assert.equal((await read()).IsAuto, true)
  })
})

describe('alicloud_ram_…', () => {
  const document = (Action: string) =>
    JSON.stringify({ Version: '1', Statement: [{ Effect: 'Allow', Action: [Action], Resource: ['*'] }] })

  test('user, access key, group and membership', async () => {
    await did(post('ram', 'CreateUser', { UserName: 'tf', DisplayName: 'Terraform' }))
    await did(post('ram', 'UpdateUser', { UserName: 'tf', NewDisplayName: 'T.' }))
    assert.equal((await did(post('ram', 'GetUser', { UserName: 'tf' }))).User.DisplayName, 'T.')
    const { AccessKey } = await did(post('ram', 'CreateAccessKey', { UserName: 'tf' }))
    const byKey = { UserName: 'tf', UserAccessKeyId: AccessKey.AccessKeyId }
    await did(post('ram', 'UpdateAccessKey', { ...byKey, Status: 'Inactive' }))
    const { AccessKeys } = await did(post('ram', 'ListAccessKeys', { UserName: 'tf' }))
    assert.equal(AccessKeys.AccessKey[0].Status, 'Inactive')
    await did(post('ram', 'CreateGroup', { GroupName: 'tf-staff' }))
    await did(post('ram', 'AddUserToGroup', { UserName: 'tf', GroupName: 'tf-staff' }))
    const { Users } = await did(post('ram', 'ListUsersForGroup', { GroupName: 'tf-staff' }))
    assert.deepEqual(
      Users.User.map(({ UserName }: Reply) => UserName),
      ['tf'],
    )

    await did(post('ram', 'RemoveUserFromGroup', { UserName: 'tf', GroupName: 'tf-staff' }))
    await did(post('ram', 'DeleteGroup', { GroupName: 'tf-staff' }))
    await did(post('ram', 'DeleteAccessKey', byKey))
    await did(post('ram', 'DeleteUser', { UserName: 'tf' }))
    for (const [action, parameters] of [
      ['GetUser', { UserName: 'tf' }],
      ['GetGroup', { GroupName: 'tf-staff' }],
      ['ListAccessKeys', { UserName: 'tf' }],
    ] as const) {
      assert.ok(isGone(await post('ram', action, parameters)), action)
    }
  })

  test('policy, role and attachments', async () => {
    await did(
      post('ram', 'CreatePolicy', {
        PolicyName: 'tf-policy',
        PolicyDocument: document('ecs:Describe*'),
        Description: 'a',
      }),
    )
    const by = { PolicyType: 'Custom', PolicyName: 'tf-policy' }
    const documentNow = async () => (await did(post('ram', 'GetPolicy', by))).DefaultPolicyVersion.PolicyDocument
    // It compares the documents as they were written.
    assert.equal(await documentNow(), document('ecs:Describe*'))
    await did(
      post('ram', 'CreatePolicyVersion', {
        PolicyName: 'tf-policy',
        PolicyDocument: document('ecs:*'),
        SetAsDefault: true,
        RotateStrategy: 'DeleteOldestNonDefaultVersionWhenLimitExceeded',
      }),
    )
    assert.equal(await documentNow(), document('ecs:*'))
    const trust = JSON.stringify({
      Statement: [{ Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { RAM: [`acs:ram::${accountId}:root`] } }],
      Version: '1',
    })
    await did(post('ram', 'CreateRole', { RoleName: 'tf-role', AssumeRolePolicyDocument: trust }))
    const { Role } = await did(post('ram', 'GetRole', { RoleName: 'tf-role' }))
    assert.deepEqual([Role.AssumeRolePolicyDocument, Role.Arn], [trust, `acs:ram::${accountId}:role/tf-role`])
    await did(post('ram', 'UpdateRole', { RoleName: 'tf-role', NewMaxSessionDuration: 7200 }))
    await did(post('ram', 'AttachPolicyToRole', { ...by, RoleName: 'tf-role' }))
    const listed = async () => (await did(post('ram', 'ListPoliciesForRole', { RoleName: 'tf-role' }))).Policies.Policy
    assert.equal((await listed())[0].PolicyType, 'Custom')

    // Those it finds attached it takes away itself, versions that are not the default too.
    await did(post('ram', 'DetachPolicyFromRole', { ...by, RoleName: 'tf-role' }))
    assert.deepEqual(await listed(), [])
    assert.ok(isGone(await post('ram', 'DetachPolicyFromRole', { ...by, RoleName: 'tf-role' })))
    await did(post('ram', 'DeleteRole', { RoleName: 'tf-role' }))
    const { PolicyVersions } = await did(post('ram', 'ListPolicyVersions', by))
    for (const { VersionId, IsDefaultVersion } of PolicyVersions.PolicyVersion) {
      if (!IsDefaultVersion) await did(post('ram', 'DeletePolicyVersion', { PolicyName: 'tf-policy', VersionId }))
    }
    await did(post('ram', 'DeletePolicy', { PolicyName: 'tf-policy' }))
    assert.ok(isGone(await post('ram', 'GetPolicy', by)))
    assert.ok(isGone(await post('ram', 'GetRole', { RoleName: 'tf-role' })))
  })
})

test('nothing that it asked for was refused in a way it would repeat for minutes', () => {
  const repeated = on.exchanges.filter(({ status, body }) => isRepeated({ status, ...body }))
  assert.deepEqual(repeated, [])
  for (const { body, status } of on.exchanges) {
    if (status >= 400 && status !== 404) assert.ok(!isGone({ status, ...body }), JSON.stringify(body))
  }
})
