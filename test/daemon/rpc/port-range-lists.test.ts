/** Lists of ports by the RPC API, and the rules that name them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startApi, type TestApi } from '../../support/api.ts'
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
const wish = { PortRangeListName: 'web', MaxEntries: 5, Entry: [{ PortRange: '80/80', Description: 'plain' }] }
const newList = async (parameters: object = {}): Promise<string> =>
  (await did('CreatePortRangeList', { ...wish, ...parameters })).PortRangeListId
const newGroup = async (): Promise<string> => (await did('CreateSecurityGroup')).SecurityGroupId

describe('lists of ports', () => {
  test('are made, changed, described and deleted, in plain lists', async () => {
    const PortRangeListId = await newList({ Tag: [{ Key: 'team', Value: 'a' }], Description: 'all' })
    assert.match(PortRangeListId, /^prl-/)
    await did('ModifyPortRangeList', {
      PortRangeListId,
      PortRangeListName: 'web-2',
      AddEntry: [{ PortRange: '8000/8100' }, { PortRange: '443/443' }],
      RemoveEntry: [{ PortRange: '80/80' }],
    })
    const { Entries } = await did('DescribePortRangeListEntries', { PortRangeListId })
    assert.deepEqual(Entries, [
      { PortRange: '8000/8100', Description: '' },
      { PortRange: '443/443', Description: '' },
    ])
    const { PortRangeLists, NextToken } = await did('DescribePortRangeLists', { PortRangeListId: [PortRangeListId] })
    const [{ CreationTime, ...list }, ...others] = PortRangeLists
    assert.match(CreationTime, /Z$/)
    assert.deepEqual([others, NextToken], [[], ''])
    assert.deepEqual(list, {
      PortRangeListId,
      PortRangeListName: 'web-2',
      MaxEntries: 5,
      AssociationCount: 0,
      Description: 'all',
      ResourceGroupId: '',
      Tags: [{ TagKey: 'team', TagValue: 'a' }],
    })
    await did('DeletePortRangeList', { PortRangeListId })
    assert.equal(
      await refusal('DescribePortRangeListEntries', { PortRangeListId }),
      '404 InvalidPortRangeListId.NotFound',
    )
  })

  test('come in pages, by name and by tag', async () => {
    const made = [
      await newList({ PortRangeListName: 'page-1' }),
      await newList({ PortRangeListName: 'page-2', Tag: [{ Key: 'k', Value: 'v' }] }),
    ].sort()
    const idsOf = ({ PortRangeLists }: { PortRangeLists: { PortRangeListId: string }[] }) =>
      PortRangeLists.map(each => each.PortRangeListId)
    const first = await did('DescribePortRangeLists', { PortRangeListId: made, MaxResults: 1 })
    const next = await did('DescribePortRangeLists', {
      PortRangeListId: made,
      MaxResults: 1,
      NextToken: first.NextToken,
    })
    assert.deepEqual([...idsOf(first), ...idsOf(next)], made)
    const named = idsOf(await did('DescribePortRangeLists', { PortRangeListName: 'page-2' }))
    assert.deepEqual(named, idsOf(await did('DescribePortRangeLists', { Tag: [{ Key: 'k', Value: 'v' }] })))
    assert.equal(named.length, 1)
  })

  const rows: readonly [object, string][] = [
    [{ PortRangeListName: '1' }, '400 InvalidParameter.PortRangeListName'],
    [{ MaxEntries: undefined }, '400 MissingParameter.MaxEntries'],
    [{ MaxEntries: 2001 }, '400 InvalidParameter.MaxEntries'],
    [{ Entry: [{ PortRange: '90/80' }] }, '400 InvalidParameter.PortRangeMalformed'],
    [{ Entry: [{ PortRange: '0/80' }] }, '400 InvalidParameter.PortRangeMalformed'],
    [{ Entry: [{ PortRange: '1/65536' }] }, '400 InvalidParameter.PortRangeMalformed'],
    [{ Entry: [{ PortRange: '-1/-1' }] }, '400 InvalidParameter.PortRangeMalformed'],
    [{ Entry: [{ PortRange: '80/80' }, { PortRange: '80' }] }, '400 InvalidParameter.PortRangeDuplicated'],
    [{ MaxEntries: 1, Entry: [{ PortRange: '80/80' }, { PortRange: '81/81' }] }, '400 LimitExceed.MaxEntries'],
  ]
  for (const [fault, expected] of rows) {
    test(`${JSON.stringify(fault)}: ${expected}`, async () => {
      assert.equal(await refusal('CreatePortRangeList', { ...wish, ...fault }), expected)
    })
  }
})

describe('a rule that names one', () => {
  const rule = { IpProtocol: 'tcp', SourceCidrIp: '198.18.0.0/16' }

  test('is shown with it, found by it, changed and revoked', async () => {
    const [list, other] = [await newList(), await newList({ PortRangeListName: 'other' })]
    const SecurityGroupId = await newGroup()
    const asked = { SecurityGroupId, ...rule, PortRangeListId: list }
    await did('AuthorizeSecurityGroup', { ...asked, Description: 'first' })
    // The same again changes nothing.
    await did('AuthorizeSecurityGroup', asked)
    const permissionsOf = async () =>
      (await did('DescribeSecurityGroupAttribute', { SecurityGroupId })).Permissions.Permission
    const [permission, ...others] = await permissionsOf()
    assert.deepEqual(others, [])
    const { PortRange, PortRangeListId, PortRangeListName, Description, SecurityGroupRuleId } = permission
    assert.deepEqual([PortRange, PortRangeListId, PortRangeListName, Description], ['', list, 'web', 'first'])
    const { PortRangeListAssociations } = await did('DescribePortRangeListAssociations', { PortRangeListId: list })
    assert.deepEqual(PortRangeListAssociations, [{ ResourceId: SecurityGroupId, ResourceType: 'securitygroup' }])
    assert.equal(await refusal('DeletePortRangeList', { PortRangeListId: list }), '403 DependencyViolation')
    await did('ModifySecurityGroupRule', { ...asked, Description: 'told by what it says' })
    assert.equal((await permissionsOf())[0].Description, 'told by what it says')

    await did('ModifySecurityGroupRule', { SecurityGroupId, SecurityGroupRuleId, PortRangeListId: other })
    assert.equal((await permissionsOf())[0].PortRangeListId, other)
    await did('ModifySecurityGroupRule', { SecurityGroupId, SecurityGroupRuleId, PortRange: '22/22' })
    const [plain] = await permissionsOf()
    assert.deepEqual([plain.PortRange, plain.PortRangeListId], ['22/22', ''])
    await did('ModifySecurityGroupRule', { SecurityGroupId, SecurityGroupRuleId, PortRangeListId: list })
    await did('RevokeSecurityGroup', { ...asked, PortRangeListId: other })
    assert.equal((await permissionsOf()).length, 1)
    await did('RevokeSecurityGroup', asked)
    assert.deepEqual(await permissionsOf(), [])
    // PortRange is the stronger of the two.
    await did('AuthorizeSecurityGroup', { ...asked, PortRange: '25/25' })
    const [strong] = await permissionsOf()
    assert.deepEqual([strong.PortRange, strong.PortRangeListId], ['25/25', ''])
  })

  test('is refused for other protocols, and for lists that are not there', async () => {
    const SecurityGroupId = await newGroup()
    const list = await newList()
    const rows: readonly [object, string][] = [
      [{ PortRangeListId: 'prl-nothing' }, '404 InvalidPortRangeListId.NotFound'],
      [{ PortRangeListId: list, IpProtocol: 'icmp' }, '400 OperationDenied'],
      [{ PortRangeListId: list, IpProtocol: 'all' }, '400 OperationDenied'],
    ]
    for (const [parameters, expected] of rows) {
      const asked = { SecurityGroupId, ...rule, ...parameters }
      assert.equal(await refusal('AuthorizeSecurityGroup', asked), expected, JSON.stringify(parameters))
    }
  })

  test('weighs what the list may grow to', async () => {
    const SecurityGroupId = await newGroup()
    const { rulesPerGroup } = api.world.settings.limits
    const [big, small] = [await newList({ MaxEntries: rulesPerGroup }), await newList({ MaxEntries: 2 })]
    await did('AuthorizeSecurityGroup', { SecurityGroupId, ...rule, PortRange: '22/22' })
    const tooMuch = { SecurityGroupId, ...rule, PortRangeListId: big }
    assert.equal(await refusal('AuthorizeSecurityGroup', tooMuch), '403 AuthorizationLimitExceed')
    await did('AuthorizeSecurityGroup', { SecurityGroupId, ...rule, PortRangeListId: small })
    const grown = { PortRangeListId: small, MaxEntries: rulesPerGroup }
    assert.equal(await refusal('ModifyPortRangeList', grown), '403 AuthorizationLimitExceed')
    await did('ModifyPortRangeList', { ...grown, MaxEntries: rulesPerGroup - 1 })
  })

  test('needs leave for the list where the list is meant', async () => {
    const [mine, other] = [await newList(), await newList()]
    const allow = { Effect: 'Allow', Action: 'ecs:*', Resource: `acs:ecs:*:*:portrangelist/${mine}` }
    const key = await userKey(api, 'of-list', { 'of-list': [allow] })
    const rows: readonly [string, object, string][] = [
      ['DescribePortRangeListEntries', { PortRangeListId: mine }, '200'],
      ['DescribePortRangeListEntries', { PortRangeListId: other }, '403 Forbidden.RAM'],
      ['DescribePortRangeLists', { PortRangeListId: [mine] }, '200'],
      ['DescribePortRangeLists', {}, '403 Forbidden.RAM'],
      ['ModifyPortRangeList', { PortRangeListId: other, Description: 'x' }, '403 Forbidden.RAM'],
      ['ModifyPortRangeList', { PortRangeListId: mine, Description: 'x' }, '200'],
      ['CreatePortRangeList', wish, '403 Forbidden.RAM'],
      ['DescribePortRangeListAssociations', { PortRangeListId: other }, '403 Forbidden.RAM'],
      ['DeletePortRangeList', { PortRangeListId: other }, '403 Forbidden.RAM'],
      ['DeletePortRangeList', { PortRangeListId: mine }, '200'],
    ]
    for (const [action, parameters, expected] of rows) {
      const { status, Code } = await call(action, parameters, key)
      assert.equal(status === 200 ? '200' : `${status} ${Code}`, expected, `${action} ${JSON.stringify(parameters)}`)
    }
  })

  test('has its tags by TagResources', async () => {
    const list = await newList()
    await did('TagResources', { ResourceType: 'portrangelist', ResourceId: [list], Tag: [{ Key: 'a', Value: 'b' }] })
    assert.deepEqual(api.world.get('portRangeList', list)?.tags, { a: 'b' })
  })
})
