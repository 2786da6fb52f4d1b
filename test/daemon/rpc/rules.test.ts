/** Rules by the RPC API: both forms, what they echo, and the published codes for what is wrong. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { startApi, type TestApi } from '../../support/api.ts'
import { accountKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
let group: string
before(async () => {
  api = await startApi()
  root = await accountKey(api)
})
after(() => api[Symbol.asyncDispose]())
beforeEach(async () => {
  group = (await call('CreateSecurityGroup')).SecurityGroupId
})

const { call } = rpcCalls(
  () => api.app,
  () => root,
  { always: { RegionId: 'local' } },
)

const https = {
  IpProtocol: 'tcp',
  PortRange: '443/443',
  SourceCidrIp: '198.18.0.0/16',
  Priority: '1',
  Policy: 'accept',
}
const out = { IpProtocol: 'tcp', PortRange: '443/443', DestCidrIp: '198.18.0.0/16', Policy: 'drop' }

async function rules(more: object = {}) {
  const { Permissions } = await call('DescribeSecurityGroupAttribute', { SecurityGroupId: group, ...more })
  return Permissions.Permission
}

async function did(action: string, parameters: object): Promise<void> {
  const answer = await call(action, { SecurityGroupId: group, ...parameters })
  assert.equal(answer.status, 200, JSON.stringify(answer))
  assert.deepEqual(Object.keys(answer), ['status', 'RequestId'])
}

describe('rules', () => {
  for (const [name, parameters] of [
    ['in a list', { Permissions: [https] }],
    ['as flat parameters', https],
  ] as const) {
    test(`are authorized ${name} and echoed with every field`, async () => {
      await did('AuthorizeSecurityGroup', parameters)
      const [{ SecurityGroupRuleId, CreateTime, ...rule }] = await rules()
      assert.match(SecurityGroupRuleId, /^sgr-/)
      assert.match(CreateTime, /Z$/)
      assert.deepEqual(rule, {
        Direction: 'ingress',
        IpProtocol: 'TCP',
        PortRange: '443/443',
        PortRangeListId: '',
        PortRangeListName: '',
        SourcePortRange: '',
        NicType: 'intranet',
        Policy: 'Accept',
        Priority: '1',
        Description: '',
        SourceCidrIp: '198.18.0.0/16',
        DestCidrIp: '',
        Ipv6SourceCidrIp: '',
        Ipv6DestCidrIp: '',
        SourceGroupId: '',
        SourceGroupName: '',
        SourceGroupOwnerAccount: '',
        SourcePrefixListId: '',
        SourcePrefixListName: '',
        DestGroupId: '',
        DestGroupName: '',
        DestGroupOwnerAccount: '',
        DestPrefixListId: '',
        DestPrefixListName: '',
      })
    })
  }

  test('are added once, whatever their description', async () => {
    await did('AuthorizeSecurityGroup', { Permissions: [https] })
    const [{ SecurityGroupRuleId }] = await rules()
    await did('AuthorizeSecurityGroup', { Permissions: [{ ...https, Description: 'again' }] })
    assert.deepEqual(
      (await rules()).map((rule: { SecurityGroupRuleId: string }) => rule.SecurityGroupRuleId),
      [SecurityGroupRuleId],
    )
  })

  test('are of one direction, and asked for by it', async () => {
    await did('AuthorizeSecurityGroup', { Permissions: [https] })
    await did('AuthorizeSecurityGroupEgress', { Permissions: [out] })
    assert.equal((await rules()).length, 2)
    assert.deepEqual(
      (await rules({ Direction: 'egress' })).map((rule: { DestCidrIp: string }) => rule.DestCidrIp),
      ['198.18.0.0/16'],
    )
    assert.equal((await rules({ Direction: 'ingress', NicType: 'internet' })).length, 1)
  })

  test('name one peer: of several the lesser ones are passed over', async () => {
    await did('AuthorizeSecurityGroup', {
      Permissions: [{ ...https, SourceGroupId: 'sg-nowhere', SourcePrefixListId: 'pl-1' }],
    })
    assert.equal((await rules())[0].SourceGroupId, '')
  })

  test('name groups, of this account and of others', async () => {
    const other = (await call('CreateSecurityGroup', { SecurityGroupName: 'other' })).SecurityGroupId
    await did('AuthorizeSecurityGroup', {
      IpProtocol: 'all',
      PortRange: '-1/-1',
      SourceGroupId: other,
      NicType: 'intranet',
    })
    const [rule] = await rules()
    assert.deepEqual([rule.SourceGroupId, rule.SourceGroupName, rule.IpProtocol], [other, 'other', 'ALL'])
    const { SecurityGroups } = await call('DescribeSecurityGroups', { SecurityGroupId: group })
    assert.equal(SecurityGroups.SecurityGroup[0].GroupToGroupRuleCount, 1)
  })

  test('are revoked by id, in a list or flat; what is not there is no fault', async () => {
    await did('AuthorizeSecurityGroup', {
      Permissions: [https, { ...https, PortRange: '80/80' }, { ...https, PortRange: '22/22' }],
    })
    const [{ SecurityGroupRuleId, PortRange }] = await rules()
    await did('RevokeSecurityGroup', { SecurityGroupRuleId: [SecurityGroupRuleId] })
    const left = ['443/443', '80/80', '22/22'].filter(range => range !== PortRange)
    await did('RevokeSecurityGroup', { Permissions: [{ ...https, PortRange: left[0] }] })
    await did('RevokeSecurityGroup', { ...https, PortRange: left[1] })
    assert.deepEqual(await rules(), [])
    await did('RevokeSecurityGroup', https)
  })

  test('are modified by id, and described by what they say, also twice', async () => {
    await did('AuthorizeSecurityGroup', { Permissions: [https] })
    const [{ SecurityGroupRuleId }] = await rules()
    await did('ModifySecurityGroupRule', { SecurityGroupRuleId, Policy: 'Drop', Priority: '7' })
    const [changed] = await rules()
    assert.deepEqual(
      [changed.SecurityGroupRuleId, changed.Policy, changed.Priority],
      [SecurityGroupRuleId, 'Drop', '7'],
    )
    const meant = { ...https, Policy: 'drop', Priority: '7', Description: 'web' }
    await did('ModifySecurityGroupRule', meant)
    await did('ModifySecurityGroupRule', meant)
    assert.equal((await rules())[0].Description, 'web')
  })

  test('come in pages', async () => {
    const many = Array.from({ length: 25 }, (_, port) => ({ ...https, PortRange: `${port + 1}/${port + 1}` }))
    await did('AuthorizeSecurityGroup', { Permissions: many })
    const seen = new Set<string>()
    let NextToken = ''
    do {
      const page = await call('DescribeSecurityGroupAttribute', { SecurityGroupId: group, MaxResults: 10, NextToken })
      for (const rule of page.Permissions.Permission) seen.add(rule.SecurityGroupRuleId)
      NextToken = page.NextToken
    } while (NextToken !== '')
    assert.equal(seen.size, 25)
  })

  test('are all taken or none, and no more than a group may have', async () => {
    const bad = await call('AuthorizeSecurityGroup', {
      SecurityGroupId: group,
      Permissions: [https, { ...https, SourceCidrIp: 'x' }],
    })
    assert.equal(`${bad.status} ${bad.Code}`, '400 InvalidSourceCidrIp.Malformed')
    assert.deepEqual(await rules(), [])
    for (const block of [0, 1]) {
      const many = Array.from({ length: 100 }, (_, port) => ({
        ...https,
        PortRange: `${block * 100 + port + 1}/${block * 100 + port + 1}`,
      }))
      await did('AuthorizeSecurityGroup', { Permissions: many })
    }
    const more = await call('AuthorizeSecurityGroup', { SecurityGroupId: group, ...https })
    assert.equal(`${more.status} ${more.Code}`, '403 AuthorizationLimitExceed')
    await did('AuthorizeSecurityGroup', { ...https, PortRange: '1/1' })
  })
})

describe('what is wrong with a rule', () => {
  const rows: readonly [string, object, string][] = [
    ['AuthorizeSecurityGroup', { SecurityGroupId: 'sg-nowhere', ...https }, '404 InvalidSecurityGroupId.NotFound'],
    ['AuthorizeSecurityGroup', {}, '400 MissingParameter.Permissions'],
    ['AuthorizeSecurityGroup', { ...https, Permissions: [https] }, '400 InvalidParameter.Conflict'],
    ['AuthorizeSecurityGroup', { ...https, IpProtocol: 'sctp' }, '400 InvalidIpProtocol.ValueNotSupported'],
    ['AuthorizeSecurityGroup', { ...https, PortRange: '0/70000' }, '400 InvalidIpProtocol.Malformed'],
    ['AuthorizeSecurityGroup', { ...https, PortRange: '443' }, '400 InvalidIpProtocol.Malformed'],
    ['AuthorizeSecurityGroup', { ...https, IpProtocol: 'icmp' }, '400 OperationDenied'],
    ['AuthorizeSecurityGroup', { ...https, PortRange: '-1/-1' }, '400 OperationDenied'],
    ['AuthorizeSecurityGroup', { ...https, SourceCidrIp: '10.0.0.0/33' }, '400 InvalidSourceCidrIp.Malformed'],
    ['AuthorizeSecurityGroup', { ...https, SourceCidrIp: undefined }, '400 MissingParameter.Source'],
    ['AuthorizeSecurityGroupEgress', { ...out, DestCidrIp: undefined }, '400 MissingParameter.Dest'],
    ['AuthorizeSecurityGroupEgress', { ...out, DestCidrIp: 'x' }, '400 InvalidDestCidrIp.Malformed'],
    [
      'AuthorizeSecurityGroup',
      { ...https, SourceCidrIp: '', SourceGroupId: 'sg-x' },
      '404 InvalidSourceGroupId.NotFound',
    ],
    [
      'AuthorizeSecurityGroup',
      { ...https, SourceCidrIp: '', SourcePrefixListId: 'pl-x' },
      '404 InvalidPrefixListId.NotFound',
    ],
    ['AuthorizeSecurityGroup', { ...https, Policy: 'reject' }, '400 InvalidPolicy.Malformed'],
    ['AuthorizeSecurityGroup', { ...https, Priority: '101' }, '400 InvalidPriority.ValueNotSupported'],
    ['AuthorizeSecurityGroup', { ...https, NicType: 'x' }, '400 InvalidNicType.ValueNotSupported'],
    ['AuthorizeSecurityGroup', { ...https, SourcePortRange: '9' }, '400 InvalidSourcePortRange.Malformed'],
    [
      'AuthorizeSecurityGroup',
      { ...https, PortRange: '', PortRangeListId: 'prl-1' },
      '404 InvalidPortRangeListId.NotFound',
    ],
    ['RevokeSecurityGroup', { SecurityGroupRuleId: ['sgr-x'] }, '400 InvalidParam.SecurityGroupRuleId'],
    ['RevokeSecurityGroupEgress', { SecurityGroupRuleId: ['sgr-x'] }, '404 InvalidSecurityGroupRule.RuleNotExist'],
    ['RevokeSecurityGroup', { SecurityGroupRuleId: ['sgr-x'], ...https }, '400 InvalidParameter.Conflict'],
    [
      'ModifySecurityGroupRule',
      { SecurityGroupRuleId: 'sgr-x', Priority: 2 },
      '404 InvalidSecurityGroupRuleId.NotFound',
    ],
    ['ModifySecurityGroupRule', https, '404 SecurityGroupRule.NotFound'],
    ['DescribeSecurityGroupAttribute', { SecurityGroupId: 'sg-nowhere' }, '404 InvalidSecurityGroupId.NotFound'],
  ]
  for (const [action, parameters, expected] of rows) {
    test(`${action} ${JSON.stringify(parameters)}: ${expected}`, async () => {
      const { status, Code, Message } = await call(action, { SecurityGroupId: group, ...parameters })
      assert.equal(`${status} ${Code}`, expected, Message)
      assert.ok(!Message.includes('NotFound'))
      assert.deepEqual(await rules(), [])
    })
  }

  test('a rule may not become the same as another, nor change its kind of peer', async () => {
    await did('AuthorizeSecurityGroup', { Permissions: [https, { ...https, PortRange: '80/80' }] })
    const { SecurityGroupRuleId } = (await rules()).find((rule: { PortRange: string }) => rule.PortRange === '80/80')
    const same = await call('ModifySecurityGroupRule', {
      SecurityGroupId: group,
      SecurityGroupRuleId,
      PortRange: '443/443',
    })
    assert.equal(`${same.status} ${same.Code}`, '400 InvalidSecurityGroupRule.RuleRepeat')
    const other = await call('ModifySecurityGroupRule', {
      SecurityGroupId: group,
      SecurityGroupRuleId,
      SourceGroupId: group,
    })
    assert.equal(other.status, 400)
  })
})
