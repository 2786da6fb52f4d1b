/** Instances and network interfaces in groups, tags, and which groups name which. */
import assert from 'node:assert/strict'
import type { Scenarios } from '../../support/sdk/stage.ts'

const RegionId = 'local'

export const memberScenarios: Scenarios = {
  async 'instances and network interfaces join and leave'({ ask, refused, register }) {
    const home = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const other = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const { SecurityGroupId } = other
    const { instanceId: InstanceId, networkInterfaceId: NetworkInterfaceId } = await register('a', [
      home.SecurityGroupId,
    ])
    const members = async () =>
      (await ask('ecs', 'DescribeSecurityGroups', { RegionId, SecurityGroupId })).SecurityGroups.SecurityGroup[0]
        .EcsCount
    for (const member of [{ InstanceId }, { RegionId, NetworkInterfaceId }]) {
      await ask('ecs', 'JoinSecurityGroup', { SecurityGroupId, ...member })
      assert.equal(await members(), 1)
      await ask('ecs', 'LeaveSecurityGroup', { SecurityGroupId, ...member })
      assert.equal(await members(), 0)
    }
    await refused('InvalidSecurityGroupAssociation.NotFound', 404, 'ecs', 'LeaveSecurityGroup', {
      SecurityGroupId,
      InstanceId,
    })
    await refused('InstanceLastSecurityGroup', 403, 'ecs', 'LeaveSecurityGroup', {
      SecurityGroupId: home.SecurityGroupId,
      InstanceId,
    })
    await refused('InvalidInstanceId.NotFound', 404, 'ecs', 'JoinSecurityGroup', { SecurityGroupId, InstanceId: 'i-0' })
    await refused('InvalidEniId.NotFound', 404, 'ecs', 'JoinSecurityGroup', {
      SecurityGroupId,
      NetworkInterfaceId: 'eni-0',
    })
    await refused('DependencyViolation', 403, 'ecs', 'DeleteSecurityGroup', {
      RegionId,
      SecurityGroupId: home.SecurityGroupId,
    })
  },

  async 'groups tell which others name them'({ ask, refused, accountId }) {
    const named = await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId: 'vpc-1' })
    const naming = await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId: 'vpc-1' })
    await ask('ecs', 'AuthorizeSecurityGroup', {
      RegionId,
      SecurityGroupId: naming.SecurityGroupId,
      IpProtocol: 'all',
      PortRange: '-1/-1',
      SourceGroupId: named.SecurityGroupId,
    })
    const answer = await ask('ecs', 'DescribeSecurityGroupReferences', {
      RegionId,
      SecurityGroupId: [named.SecurityGroupId, naming.SecurityGroupId],
    })
    assert.deepEqual(answer.SecurityGroupReferences.SecurityGroupReference, [
      {
        SecurityGroupId: named.SecurityGroupId,
        ReferencingSecurityGroups: {
          ReferencingSecurityGroup: [{ SecurityGroupId: naming.SecurityGroupId, AliUid: accountId }],
        },
      },
    ])
    await refused('DependencyViolation', 403, 'ecs', 'DeleteSecurityGroup', {
      RegionId,
      SecurityGroupId: named.SecurityGroupId,
    })
  },

  async 'tags are put on, found and taken off'({ ask, refused, register }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const { instanceId } = await register('tagged', [SecurityGroupId])
    for (const [ResourceType, id] of [
      ['securitygroup', SecurityGroupId],
      ['instance', instanceId],
    ]) {
      const on = { RegionId, ResourceType, ResourceId: [id] }
      await ask('ecs', 'TagResources', {
        ...on,
        Tag: [
          { Key: 'team', Value: 'web' },
          { Key: 'empty', Value: '' },
        ],
      })
      const listed = await ask('ecs', 'ListTagResources', { ...on })
      assert.deepEqual(
        listed.TagResources.TagResource.map(({ TagKey, TagValue, ResourceId }: Record<string, string>) => [
          ResourceId,
          TagKey,
          TagValue,
        ]).sort(),
        [
          [id, 'empty', ''],
          [id, 'team', 'web'],
        ],
      )
      await ask('ecs', 'UntagResources', { ...on, TagKey: ['team'] })
      await ask('ecs', 'UntagResources', { ...on, All: true })
      const { TagResources } = await ask('ecs', 'ListTagResources', { ...on })
      assert.deepEqual(TagResources.TagResource, [])
    }
    await refused('InvalidResourceId.NotFound', 404, 'ecs', 'TagResources', {
      RegionId,
      ResourceType: 'securitygroup',
      ResourceId: ['sg-none'],
      Tag: [{ Key: 'a', Value: 'b' }],
    })
    await refused('InvalidTagKey.Malformed', 400, 'ecs', 'TagResources', {
      RegionId,
      ResourceType: 'securitygroup',
      ResourceId: [SecurityGroupId],
      Tag: [{ Key: 'acs:a', Value: 'b' }],
    })
  },

  async 'groups are found by tags'({ ask }) {
    const Tag = [{ Key: 'team', Value: 'web' }]
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId, Tag })
    await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const { SecurityGroups } = await ask('ecs', 'DescribeSecurityGroups', { RegionId, Tag })
    assert.deepEqual(
      SecurityGroups.SecurityGroup.map((group: { SecurityGroupId: string }) => group.SecurityGroupId),
      [SecurityGroupId],
    )
  },

  async 'there is one region'({ ask }) {
    for (const product of ['ecs', 'vpc'] as const) {
      const { Regions } = await ask(product, 'DescribeRegions')
      assert.deepEqual(
        Regions.Region.map((region: { RegionId: string }) => region.RegionId),
        [RegionId],
      )
    }
  },
}
