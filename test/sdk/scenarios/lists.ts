/** Prefix lists and lists of ports. */
import assert from 'node:assert/strict'
import type { Scenarios } from '../../support/sdk/stage.ts'

const RegionId = 'local'
const cidrsOf = (answer: { Entries: { Entry: { Cidr: string }[] } }) =>
  answer.Entries.Entry.map(({ Cidr }) => Cidr).sort()

export const listScenarios: Scenarios = {
  async 'a prefix list is made, filled, named by a rule and deleted'({ ask, refused }) {
    const wish = { RegionId, PrefixListName: 'offices', AddressFamily: 'IPv4', MaxEntries: 5 }
    const { PrefixListId } = await ask('ecs', 'CreatePrefixList', {
      ...wish,
      Entry: [{ Cidr: '198.18.0.0/24', Description: 'north' }, { Cidr: '198.18.1.7' }],
    })
    const on = { RegionId, PrefixListId }
    const shown = await ask('ecs', 'DescribePrefixListAttributes', on)
    assert.deepEqual(cidrsOf(shown), ['198.18.0.0/24', '198.18.1.7/32'])
    assert.deepEqual([shown.PrefixListName, shown.AddressFamily, shown.MaxEntries], ['offices', 'IPv4', 5])
    await ask('ecs', 'ModifyPrefixList', {
      ...on,
      PrefixListName: 'sites',
      AddEntry: [{ Cidr: '198.19.0.0/16', Description: 'south' }],
      RemoveEntry: [{ Cidr: '198.18.1.7/32' }],
    })
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const rule = { IpProtocol: 'tcp', PortRange: '22/22', SourcePrefixListId: PrefixListId, Policy: 'accept' }
    await ask('ecs', 'AuthorizeSecurityGroup', { RegionId, SecurityGroupId, Permissions: [rule] })
    const { Permissions } = await ask('ecs', 'DescribeSecurityGroupAttribute', { RegionId, SecurityGroupId })
    const [told] = Permissions.Permission
    assert.deepEqual([told.SourcePrefixListId, told.SourcePrefixListName], [PrefixListId, 'sites'])
    const { PrefixLists } = await ask('ecs', 'DescribePrefixLists', { RegionId, PrefixListName: 'sites' })
    assert.deepEqual(
      PrefixLists.PrefixList.map((list: Record<string, unknown>) => [list.PrefixListId, list.AssociationCount]),
      [[PrefixListId, 1]],
    )
    const { PrefixListAssociations } = await ask('ecs', 'DescribePrefixListAssociations', on)
    assert.deepEqual(PrefixListAssociations.PrefixListAssociation, [
      { ResourceId: SecurityGroupId, ResourceType: 'securitygroup' },
    ])
    await refused('DependencyViolation', 403, 'ecs', 'DeletePrefixList', on)
    await ask('ecs', 'RevokeSecurityGroup', { RegionId, SecurityGroupId, Permissions: [rule] })
    await ask('ecs', 'DeletePrefixList', on)
    await refused('InvalidPrefixListId.NotFound', 404, 'ecs', 'DescribePrefixListAttributes', on)
  },

  async 'a list of ports is made, filled, named by a rule and deleted'({ ask, refused }) {
    const { PortRangeListId } = await ask('ecs', 'CreatePortRangeList', {
      RegionId,
      PortRangeListName: 'web',
      MaxEntries: 10,
      Entry: [{ PortRange: '80/80', Description: 'plain' }, { PortRange: '8000/8100' }],
    })
    const on = { RegionId, PortRangeListId }
    const entries = async () =>
      (await ask('ecs', 'DescribePortRangeListEntries', on)).Entries.map(
        (entry: Record<string, string>) => `${entry.PortRange} ${entry.Description}`,
      ).sort()
    assert.deepEqual(await entries(), ['80/80 plain', '8000/8100 '])
    await ask('ecs', 'ModifyPortRangeList', {
      ...on,
      PortRangeListName: 'www',
      AddEntry: [{ PortRange: '443/443' }],
      RemoveEntry: [{ PortRange: '8000/8100' }],
    })
    assert.deepEqual(await entries(), ['443/443 ', '80/80 plain'])
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const rule = { IpProtocol: 'tcp', PortRangeListId, SourceCidrIp: '198.18.0.0/15', Policy: 'accept' }
    await ask('ecs', 'AuthorizeSecurityGroup', { RegionId, SecurityGroupId, Permissions: [rule] })
    const { Permissions } = await ask('ecs', 'DescribeSecurityGroupAttribute', { RegionId, SecurityGroupId })
    const [told] = Permissions.Permission
    assert.deepEqual([told.PortRangeListId, told.PortRangeListName], [PortRangeListId, 'www'])
    const lists = await ask('ecs', 'DescribePortRangeLists', { RegionId, PortRangeListName: 'www' })
    assert.deepEqual(
      lists.PortRangeLists.map((list: Record<string, unknown>) => [list.PortRangeListId, list.AssociationCount]),
      [[PortRangeListId, 1]],
    )
    const { PortRangeListAssociations } = await ask('ecs', 'DescribePortRangeListAssociations', on)
    assert.deepEqual(PortRangeListAssociations, [{ ResourceId: SecurityGroupId, ResourceType: 'securitygroup' }])
    await refused('DependencyViolation', 403, 'ecs', 'DeletePortRangeList', on)
    await ask('ecs', 'RevokeSecurityGroup', { RegionId, SecurityGroupId, Permissions: [rule] })
    await ask('ecs', 'DeletePortRangeList', on)
    await refused('InvalidPortRangeListId.NotFound', 404, 'ecs', 'DescribePortRangeListEntries', on)
  },

  async 'a prefix list that cannot be is refused'({ refused }) {
    const wish = { RegionId, PrefixListName: 'offices', AddressFamily: 'IPv4', MaxEntries: 2 }
    const rows: readonly [string, object][] = [
      ['InvalidParameter.AddressFamily', { AddressFamily: 'IPv5' }],
      ['InvalidParameter.PrefixListName', { PrefixListName: '1' }],
      ['InvalidParameter.CidrMalformed', { Entry: [{ Cidr: '10.0.0.1/8' }] }],
      ['InvalidParameter.CidrDuplicated', { Entry: [{ Cidr: '10.0.0.1' }, { Cidr: '10.0.0.1/32' }] }],
      ['LimitExceed.MaxEntries', { Entry: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(Cidr => ({ Cidr })) }],
    ]
    for (const [code, change] of rows) {
      await refused(code, 400, 'ecs', 'CreatePrefixList', { ...wish, ...change })
    }
  },
}
