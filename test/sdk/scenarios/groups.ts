/** Security groups and their rules. */
import assert from 'node:assert/strict'
import type { Scenarios } from '../../support/sdk/stage.ts'

const everywhere = '0.0.0.0/0'
const awkward = '~!\'()* +&=%/?#"中\u{1F600}'
const RegionId = 'local'

export const groupScenarios: Scenarios = {
  async 'a group is made, found, changed and deleted'({ ask, refused }) {
    const wish = {
      RegionId,
      SecurityGroupName: 'web_1:a.b-c',
      Description: awkward,
      VpcId: 'vpc-1',
      SecurityGroupType: 'enterprise',
      Tag: Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: index === 0 ? '' : awkward })),
    }
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', wish)
    const listed = await ask('ecs', 'DescribeSecurityGroups', { RegionId, SecurityGroupId })
    const [group] = listed.SecurityGroups.SecurityGroup
    assert.deepEqual(
      [group.SecurityGroupName, group.Description, group.VpcId, group.SecurityGroupType, listed.RegionId],
      [wish.SecurityGroupName, awkward, 'vpc-1', 'enterprise', RegionId],
    )
    assert.match(group.CreationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    // Ten comes behind two: lists are in the order of their numbers.
    assert.deepEqual(
      group.Tags.Tag.map(({ TagKey, TagValue }: Record<string, string>) => [TagKey, TagValue]),
      wish.Tag.map(({ Key, Value }) => [Key, Value]),
    )
    assert.deepEqual([group.EcsCount, group.RuleCount, group.GroupToGroupRuleCount], [0, 0, 0])

    await ask('ecs', 'ModifySecurityGroupAttribute', { RegionId, SecurityGroupId, SecurityGroupName: 'other' })
    await ask('ecs', 'ModifySecurityGroupAttribute', { RegionId, SecurityGroupId, Description: '' })
    const shown = await ask('ecs', 'DescribeSecurityGroupAttribute', { RegionId, SecurityGroupId })
    assert.deepEqual([shown.SecurityGroupName, shown.Description, shown.InnerAccessPolicy], ['other', '', 'Drop'])
    assert.deepEqual(shown.Permissions.Permission, [])
    assert.deepEqual(shown.SnapshotPolicyIds.SnapshotPolicyId, [])

    await ask('ecs', 'DeleteSecurityGroup', { RegionId, SecurityGroupId })
    await refused('InvalidSecurityGroupId.NotFound', 404, 'ecs', 'DescribeSecurityGroupAttribute', {
      RegionId,
      SecurityGroupId,
    })
    const none = await ask('ecs', 'DescribeSecurityGroups', { RegionId, SecurityGroupId })
    assert.deepEqual([none.SecurityGroups.SecurityGroup, none.TotalCount], [[], 0])
    await refused('InvalidSecurityGroupId.NotFound', 404, 'ecs', 'DeleteSecurityGroup', { RegionId, SecurityGroupId })
  },

  async 'members reach each other or not'({ ask, refused }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    const policy = async () =>
      (await ask('ecs', 'DescribeSecurityGroupAttribute', { RegionId, SecurityGroupId })).InnerAccessPolicy
    assert.equal(await policy(), 'Accept')
    for (const word of ['Drop', 'accept', 'DROP']) {
      await ask('ecs', 'ModifySecurityGroupPolicy', { RegionId, SecurityGroupId, InnerAccessPolicy: word })
    }
    assert.equal(await policy(), 'Drop')
    await refused('InvalidPolicy.Malformed', 400, 'ecs', 'ModifySecurityGroupPolicy', {
      RegionId,
      SecurityGroupId,
      InnerAccessPolicy: 'maybe',
    })
  },

  async 'lists come in pages of both styles'({ ask, refused }) {
    const made: string[] = []
    for (let count = 0; count < 5; count += 1) {
      made.push(
        (await ask('ecs', 'CreateSecurityGroup', { RegionId, SecurityGroupName: `page${count}` })).SecurityGroupId,
      )
    }
    const idsOf = (answer: { SecurityGroups: { SecurityGroup: { SecurityGroupId: string }[] } }) =>
      answer.SecurityGroups.SecurityGroup.map(group => group.SecurityGroupId)
    const byToken: string[] = []
    let NextToken = ''
    do {
      const page = await ask('ecs', 'DescribeSecurityGroups', { RegionId, MaxResults: 2, NextToken })
      byToken.push(...idsOf(page))
      NextToken = page.NextToken ?? ''
    } while (NextToken !== '')
    const byNumber: string[] = []
    for (const PageNumber of [1, 2, 3]) {
      const page = await ask('ecs', 'DescribeSecurityGroups', { RegionId, PageNumber, PageSize: 2 })
      assert.deepEqual([page.TotalCount, page.PageNumber, page.PageSize], [5, PageNumber, 2])
      byNumber.push(...idsOf(page))
    }
    assert.deepEqual(byToken, made.toSorted())
    assert.deepEqual(byNumber, made.toSorted())
    const beyond = await ask('ecs', 'DescribeSecurityGroups', { RegionId, PageNumber: 9, PageSize: 2 })
    assert.deepEqual(idsOf(beyond), [])
    const some = JSON.stringify([made[3], made[1], 'sg-none'])
    assert.deepEqual(
      idsOf(await ask('ecs', 'DescribeSecurityGroups', { RegionId, SecurityGroupIds: some })),
      [made[3]!, made[1]!].toSorted(),
    )
    await refused('InvalidParameter', 400, 'ecs', 'DescribeSecurityGroups', { RegionId, SecurityGroupIds: '[1' })
    await refused('InvalidParameter.NextToken', 400, 'ecs', 'DescribeSecurityGroups', { RegionId, NextToken: '%' })
  },

  async 'a client token makes one group of two requests'({ ask, refused }) {
    const wish = { RegionId, SecurityGroupName: 'once', ClientToken: 'token-1' }
    const first = await ask('ecs', 'CreateSecurityGroup', wish)
    const second = await ask('ecs', 'CreateSecurityGroup', wish)
    assert.equal(first.SecurityGroupId, second.SecurityGroupId)
    await ask('ecs', 'DeleteSecurityGroup', { RegionId, SecurityGroupId: first.SecurityGroupId })
    // Not done again, also where it was undone since.
    assert.equal((await ask('ecs', 'CreateSecurityGroup', wish)).SecurityGroupId, first.SecurityGroupId)
    assert.equal((await ask('ecs', 'DescribeSecurityGroups', { RegionId })).TotalCount, 0)
    await refused('IdempotentParameterMismatch', 400, 'ecs', 'CreateSecurityGroup', {
      ...wish,
      SecurityGroupName: 'other',
    })
  },

  async 'a dry run tells success by an error, and does nothing'({ ask, refused }) {
    await refused('DryRunOperation', 400, 'ecs', 'DescribeSecurityGroups', { RegionId, DryRun: true })
    await refused('InvalidParameter', 400, 'ecs', 'DescribeSecurityGroups', { RegionId, MaxResults: 101, DryRun: true })
    assert.equal((await ask('ecs', 'DescribeSecurityGroups', { RegionId })).TotalCount, 0)
  },

  async 'rules of either direction are added, told, described and taken away'({ ask, refused }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId: 'vpc-1' })
    const peer = await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId: 'vpc-1', SecurityGroupName: 'peer' })
    const on = { RegionId, SecurityGroupId }
    const rules = async (Direction: string) =>
      (await ask('ecs', 'DescribeSecurityGroupAttribute', { ...on, Direction })).Permissions.Permission
    await ask('ecs', 'AuthorizeSecurityGroup', {
      ...on,
      Permissions: [
        { IpProtocol: 'tcp', PortRange: '443/443', SourceCidrIp: everywhere, Description: awkward },
        { IpProtocol: 'UDP', PortRange: '53/53', Ipv6SourceCidrIp: '2001:DB8:0::/32', Policy: 'Drop', Priority: '7' },
        { IpProtocol: 'icmp', PortRange: '-1/-1', SourceGroupId: peer.SecurityGroupId, NicType: 'internet' },
      ],
    })
    // The flat form, as older programs have it, and again, which adds nothing.
    const flat = { ...on, IpProtocol: 'ALL', PortRange: '-1/-1', DestCidrIp: '198.18.0.0/15', Priority: '100' }
    await ask('ecs', 'AuthorizeSecurityGroupEgress', flat)
    await ask('ecs', 'AuthorizeSecurityGroupEgress', flat)
    const ingress = await rules('ingress')
    const of = (protocol: string) =>
      ingress.find(({ IpProtocol }: Record<string, string>) => IpProtocol === protocol) as Record<string, string>
    assert.equal(ingress.length, 3)
    const { SecurityGroupRuleId, CreateTime, ...told } = of('TCP')
    assert.match(SecurityGroupRuleId!, /^sgr-/)
    assert.match(CreateTime!, /Z$/)
    const nothing = ['PortRangeListId', 'PortRangeListName', 'SourcePortRange', 'DestCidrIp', 'Ipv6SourceCidrIp']
    nothing.push('Ipv6DestCidrIp', 'SourceGroupId', 'SourceGroupName', 'SourceGroupOwnerAccount', 'SourcePrefixListId')
    nothing.push('SourcePrefixListName', 'DestGroupId', 'DestGroupName', 'DestGroupOwnerAccount', 'DestPrefixListId')
    nothing.push('DestPrefixListName')
    assert.deepEqual(told, {
      ...Object.fromEntries(nothing.map(name => [name, ''])),
      Direction: 'ingress',
      IpProtocol: 'TCP',
      PortRange: '443/443',
      NicType: 'intranet',
      Policy: 'Accept',
      Priority: '1',
      Description: awkward,
      SourceCidrIp: everywhere,
    })
    assert.deepEqual([of('UDP').Policy, of('UDP').Priority, of('UDP').Ipv6SourceCidrIp], ['Drop', '7', '2001:db8::/32'])
    assert.deepEqual([of('ICMP').SourceGroupId, of('ICMP').SourceGroupName], [peer.SecurityGroupId, 'peer'])
    const egress = await rules('EGRESS')
    assert.deepEqual([egress.length, egress[0].DestCidrIp, egress[0].Priority], [1, '198.18.0.0/15', '100'])
    assert.equal((await rules('all')).length, 4)

    await ask('ecs', 'ModifySecurityGroupRule', { ...on, SecurityGroupRuleId, PortRange: '8443/8443' })
    const tuple = { ...on, IpProtocol: 'udp', PortRange: '53/53', Ipv6SourceCidrIp: '2001:db8::/32' }
    const described = { ...tuple, Policy: 'drop', Priority: '7', Description: 'names' }
    // Twice, as Terraform does.
    await ask('ecs', 'ModifySecurityGroupRule', described)
    await ask('ecs', 'ModifySecurityGroupRule', described)
    await ask('ecs', 'ModifySecurityGroupEgressRule', { ...flat, Description: 'out' })
    const changed = await rules('all')
    assert.deepEqual(
      changed.map(({ PortRange, Description }: Record<string, string>) => `${PortRange} ${Description}`).sort(),
      ['-1/-1 ', '-1/-1 out', '53/53 names', `8443/8443 ${awkward}`],
    )
    await refused('SecurityGroupRule.NotFound', 404, 'ecs', 'ModifySecurityGroupRule', { ...described, Priority: '8' })

    await ask('ecs', 'RevokeSecurityGroup', { ...on, SecurityGroupRuleId: [SecurityGroupRuleId] })
    await ask('ecs', 'RevokeSecurityGroup', { ...tuple, Policy: 'drop', Priority: '7' })
    await ask('ecs', 'RevokeSecurityGroup', {
      ...on,
      Permissions: [{ IpProtocol: 'icmp', PortRange: '-1/-1', SourceGroupId: peer.SecurityGroupId, Policy: 'accept' }],
    })
    await ask('ecs', 'RevokeSecurityGroupEgress', flat)
    // What is gone is gone.
    await ask('ecs', 'RevokeSecurityGroupEgress', flat)
    assert.deepEqual(await rules('all'), [])
    await refused('InvalidParam.SecurityGroupRuleId', 400, 'ecs', 'RevokeSecurityGroup', {
      ...on,
      SecurityGroupRuleId: [SecurityGroupRuleId],
    })
    await refused('InvalidSecurityGroupRule.RuleNotExist', 404, 'ecs', 'RevokeSecurityGroupEgress', {
      ...on,
      SecurityGroupRuleId: ['sgr-none'],
    })
  },

  async 'rules that cannot be are refused by the published codes'({ ask, refused }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId, VpcId: 'vpc-1' })
    const noPeer = { IpProtocol: 'tcp', PortRange: '80/80' }
    const web = { ...noPeer, SourceCidrIp: everywhere }
    const rows: readonly [string, number, object][] = [
      ['InvalidIpProtocol.ValueNotSupported', 400, { ...web, IpProtocol: 'sctpx' }],
      ['InvalidIpProtocol.Malformed', 400, { ...web, PortRange: '90/80' }],
      ['OperationDenied', 400, { ...web, IpProtocol: 'icmp' }],
      ['InvalidSourceCidrIp.Malformed', 400, { ...web, SourceCidrIp: '1.2.3.4.5' }],
      ['MissingParameter.Source', 400, noPeer],
      ['InvalidSourceGroupId.NotFound', 404, { ...noPeer, SourceGroupId: 'sg-none' }],
      ['InvalidPrefixListId.NotFound', 404, { ...noPeer, SourcePrefixListId: 'pl-none' }],
      ['InvalidPolicy.Malformed', 400, { ...web, Policy: 'perhaps' }],
      ['InvalidPriority.ValueNotSupported', 400, { ...web, Priority: '101' }],
      ['InvalidNicType.ValueNotSupported', 400, { ...web, NicType: 'both' }],
      ['InvalidSecurityGroupDiscription.Malformed', 400, { ...web, Description: 'http://x' }],
    ]
    for (const [code, status, rule] of rows) {
      await refused(code, status, 'ecs', 'AuthorizeSecurityGroup', {
        RegionId,
        SecurityGroupId,
        Permissions: [web, rule],
      })
    }
    // All or nothing.
    const { Permissions } = await ask('ecs', 'DescribeSecurityGroupAttribute', { RegionId, SecurityGroupId })
    assert.deepEqual(Permissions.Permission, [])
    await refused('InvalidSecurityGroupId.NotFound', 404, 'ecs', 'AuthorizeSecurityGroup', {
      RegionId,
      SecurityGroupId: 'sg-none',
      ...web,
    })
  },

  async 'a hundred rules go into one request, and come in pages'({ ask }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId })
    await ask('ecs', 'AuthorizeSecurityGroup', {
      RegionId,
      SecurityGroupId,
      Permissions: Array.from({ length: 100 }, (_, index) => ({
        IpProtocol: 'tcp',
        PortRange: `${index + 1}/${index + 1}`,
        SourceCidrIp: '198.18.0.0/15',
        Description: awkward,
      })),
    })
    const ports: string[] = []
    let NextToken = ''
    do {
      const page = await ask('ecs', 'DescribeSecurityGroupAttribute', {
        RegionId,
        SecurityGroupId,
        MaxResults: 40,
        NextToken,
      })
      ports.push(...page.Permissions.Permission.map(({ PortRange }: Record<string, string>) => PortRange))
      NextToken = page.NextToken ?? ''
    } while (NextToken !== '')
    assert.equal(new Set(ports).size, 100)
  },
}
