/** Instances and network interfaces, from the first to the last. */
import assert from 'node:assert/strict'
import type { Scenarios, Stage } from '../../support/sdk/stage.ts'

const RegionId = 'local'
const VpcId = 'vpc-net'
const VSwitchId = 'vsw-1'

const groupIn = async ({ ask }: Pick<Stage, 'ask'>): Promise<string> =>
  (await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId })).SecurityGroupId

async function interfaceOf({ ask }: Pick<Stage, 'ask'>, id: string) {
  const { NetworkInterfaceSets } = await ask('ecs', 'DescribeNetworkInterfaces', { RegionId, NetworkInterfaceId: [id] })
  assert.equal(NetworkInterfaceSets.NetworkInterfaceSet.length, 1)
  return NetworkInterfaceSets.NetworkInterfaceSet[0]
}

export const instanceScenarios: Scenarios = {
  async 'an instance is made known, found, put into other groups and forgotten'(stage) {
    const { ask, refused } = stage
    const SecurityGroupId = await groupIn(stage)
    const other = await groupIn(stage)
    const made = await ask('ecs', 'RunInstances', {
      RegionId,
      InstanceType: 'ecs.g5.large',
      InstanceName: 'web',
      SecurityGroupId,
      VSwitchId,
      Amount: 1,
      Tag: [{ Key: 'team', Value: 'web' }],
    })
    const [InstanceId] = made.InstanceIdSets.InstanceIdSet
    const describe = async (asked: object) =>
      (await ask('ecs', 'DescribeInstances', { RegionId, ...asked })).Instances.Instance
    const [instance] = await describe({ InstanceIds: JSON.stringify([InstanceId]) })
    assert.deepEqual(
      [instance.InstanceName, instance.InstanceType, instance.Cpu, instance.Status, instance.VpcAttributes.VpcId],
      ['web', 'ecs.g5.large', 2, 'Stopped', VpcId],
    )
    assert.deepEqual(instance.SecurityGroupIds.SecurityGroupId, [SecurityGroupId])
    assert.match(instance.CreationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/)
    assert.deepEqual([instance.NetworkInterfaces.NetworkInterface.length, instance.PublicIpAddress.IpAddress], [1, []])
    for (const asked of [{ InstanceName: 'w*' }, { SecurityGroupId }, { Tag: [{ Key: 'team', Value: 'web' }] }]) {
      assert.equal((await describe(asked)).length, 1, JSON.stringify(asked))
    }
    assert.deepEqual(await describe({ InstanceIds: '["i-none"]' }), [])

    await ask('ecs', 'ModifyInstanceAttribute', { InstanceId, InstanceName: 'www', SecurityGroupIds: [other] })
    const changed = await ask('ecs', 'DescribeInstanceAttribute', { InstanceId })
    assert.deepEqual([changed.InstanceName, changed.SecurityGroupIds.SecurityGroupId], ['www', [other]])

    await ask('ecs', 'DeleteInstance', { InstanceId })
    await refused('InvalidInstanceId.NotFound', 404, 'ecs', 'DescribeInstanceAttribute', { InstanceId })
    const more: string[] = []
    for (let count = 0; count < 2; count += 1) {
      const { InstanceIdSets } = await ask('ecs', 'RunInstances', { RegionId, SecurityGroupId, VSwitchId })
      more.push(...InstanceIdSets.InstanceIdSet)
    }
    await refused('InvalidInstanceId.NotFound', 404, 'ecs', 'DeleteInstances', {
      RegionId,
      InstanceId: [...more, 'i-none'],
    })
    assert.equal((await describe({})).length, 2)
    await ask('ecs', 'DeleteInstances', { RegionId, InstanceId: more })
    assert.deepEqual(await describe({}), [])
    const wish = { RegionId, SecurityGroupId, VSwitchId, DryRun: true }
    await refused('DryRunOperation', 400, 'ecs', 'RunInstances', wish)
    await refused('InvalidSecurityGroupId.NotFound', 404, 'ecs', 'RunInstances', { ...wish, SecurityGroupId: 'sg-0' })
    assert.deepEqual(await describe({}), [])
    await refused('InvalidInstanceIds.Malformed', 400, 'ecs', 'DescribeInstances', { RegionId, InstanceIds: 'i-1' })
  },

  async 'types of instances'({ ask }) {
    const { InstanceTypes } = await ask('ecs', 'DescribeInstanceTypes', { InstanceTypes: ['ecs.g5.large'] })
    const [type] = InstanceTypes.InstanceType
    assert.deepEqual(
      [InstanceTypes.InstanceType.length, type.InstanceTypeId, type.CpuCoreCount],
      [1, 'ecs.g5.large', 2],
    )
    const page = await ask('ecs', 'DescribeInstanceTypes', { MaxResults: 2 })
    const next = await ask('ecs', 'DescribeInstanceTypes', { MaxResults: 2, NextToken: page.NextToken })
    const names = [...page.InstanceTypes.InstanceType, ...next.InstanceTypes.InstanceType].map(
      ({ InstanceTypeId }) => InstanceTypeId,
    )
    assert.equal(new Set(names).size, 4)
  },

  async 'a network interface is made, attached, changed, detached and deleted'(stage) {
    const { ask, refused, word } = stage
    const first = await groupIn(stage)
    const second = await groupIn(stage)
    const octet = Number(word.slice(-3)) % 250
    const ip = (last: number) => `198.19.${octet}.${last + 100 * (Number(word[2]) % 2)}`
    const made = await ask('ecs', 'CreateNetworkInterface', {
      RegionId,
      VSwitchId,
      SecurityGroupIds: [first],
      PrimaryIpAddress: ip(1),
      NetworkInterfaceName: 'second',
      Description: 'of the tests',
      Tag: [{ Key: 'a', Value: 'b' }],
      ClientToken: `eni-${word}`,
    })
    const { NetworkInterfaceId } = made
    assert.deepEqual([made.Status, made.VSwitchId, made.PrivateIpAddress], ['Available', VSwitchId, ip(1)])
    const on = { RegionId, NetworkInterfaceId }
    const shown = await interfaceOf(stage, NetworkInterfaceId)
    assert.deepEqual(
      shown.PrivateIpSets.PrivateIpSet.map((set: { Primary: boolean }) => set.Primary),
      [true],
    )
    assert.deepEqual(
      [shown.Ipv6Sets.Ipv6Set, shown.Ipv4PrefixSets.Ipv4PrefixSet, shown.SecurityGroupIds.SecurityGroupId],
      [[], [], [first]],
    )
    await ask('ecs', 'AssignPrivateIpAddresses', { ...on, PrivateIpAddress: [ip(2), ip(3)] })
    await ask('ecs', 'UnassignPrivateIpAddresses', { ...on, PrivateIpAddress: [ip(2)] })
    const v6 = `2001:db8:${Number(word)}::7`
    await ask('ecs', 'AssignIpv6Addresses', { ...on, Ipv6Address: [v6.toUpperCase()] })
    const addressed = await interfaceOf(stage, NetworkInterfaceId)
    assert.deepEqual(
      addressed.PrivateIpSets.PrivateIpSet.map((set: Record<string, unknown>) => [set.PrivateIpAddress, set.Primary]),
      [
        [ip(1), true],
        [ip(3), false],
      ],
    )
    assert.deepEqual(addressed.Ipv6Sets.Ipv6Set, [{ Ipv6Address: v6 }])
    await ask('ecs', 'UnassignIpv6Addresses', { ...on, Ipv6Address: [v6] })

    const { InstanceIdSets } = await ask('ecs', 'RunInstances', { RegionId, SecurityGroupId: first, VSwitchId })
    const [InstanceId] = InstanceIdSets.InstanceIdSet
    await ask('ecs', 'AttachNetworkInterface', { ...on, InstanceId })
    const attached = await interfaceOf(stage, NetworkInterfaceId)
    assert.deepEqual(
      [attached.Status, attached.InstanceId, attached.Attachment.InstanceId, attached.Attachment.DeviceIndex],
      ['InUse', InstanceId, InstanceId, 1],
    )
    await refused('InvalidOperation.InvalidEniState', 400, 'ecs', 'DeleteNetworkInterface', on)
    await ask('ecs', 'ModifyNetworkInterfaceAttribute', {
      ...on,
      SecurityGroupId: [first, second],
      NetworkInterfaceName: 'renamed',
      ConnectionTrackingConfiguration: { TcpEstablishedTimeout: 910 },
    })
    const modified = await interfaceOf(stage, NetworkInterfaceId)
    assert.deepEqual(
      [modified.NetworkInterfaceName, modified.SecurityGroupIds.SecurityGroupId.toSorted()],
      ['renamed', [first, second].toSorted()],
    )
    const { TagResources } = await ask('ecs', 'ListTagResources', {
      RegionId,
      ResourceType: 'eni',
      ResourceId: [NetworkInterfaceId],
    })
    assert.equal(TagResources.TagResource.length, 1)
    await ask('ecs', 'DetachNetworkInterface', { ...on, InstanceId })
    assert.equal((await interfaceOf(stage, NetworkInterfaceId)).Status, 'Available')
    await ask('ecs', 'DeleteNetworkInterface', on)
    const { NetworkInterfaceSets } = await ask('ecs', 'DescribeNetworkInterfaces', {
      RegionId,
      NetworkInterfaceId: [NetworkInterfaceId],
    })
    assert.deepEqual(NetworkInterfaceSets.NetworkInterfaceSet, [])
    await refused('InvalidEniId.NotFound', 404, 'ecs', 'DeleteNetworkInterface', on)
    await refused('InvalidSecurityGroupId.NotFound', 404, 'ecs', 'CreateNetworkInterface', {
      RegionId,
      VSwitchId,
      SecurityGroupId: 'sg-none',
    })
  },
}
