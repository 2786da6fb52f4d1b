/** What the audit log has of writes that the RPC API refused: what they were about, who asked, from where, and why. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { RefusedWrite } from '../../../daemon/model/note.ts'
import { type Product, versions } from '../../../daemon/rpc/action.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { inject, type RpcKey, type RpcOptions, sign } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
let nobody: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
  nobody = await userKey(api, 'nobody', {})
})
after(() => api[Symbol.asyncDispose]())

type Row = readonly [product: Product, action: string, parameters: object, objects: readonly string[]]

async function refusedOf(
  key: RpcKey,
  [product, action, parameters]: readonly [Product, string, object],
  options: RpcOptions = {},
): Promise<RefusedWrite> {
  const known = api.refused.length
  const request = sign(key, action, parameters, { version: versions[product], ...options })
  const { status, body } = await inject(api.app, request)
  assert.equal(api.refused.length, known + 1, `${status} ${JSON.stringify(body)}`)
  const refused = api.refused.at(-1)!
  assert.deepEqual([refused.code, refused.note.sourceAddress], [body.Code, '127.0.0.1'])
  return refused
}

const ram = (kind: string, name: string) => `${kind}/${accountId}.${name}`

describe('a write that policies deny', () => {
  const group = { SecurityGroupId: 'sg-1' }
  const rule = { ...group, IpProtocol: 'TCP', PortRange: '80/80', SourceCidrIp: '198.18.0.0/16' }
  const asset = { DdosRegionId: 'local', InstanceType: 'ecs', InstanceId: 'i-1' }
  const policy = { PolicyType: 'System', PolicyName: 'AdministratorAccess' }
  const rows: readonly Row[] = [
    ['ecs', 'AuthorizeSecurityGroup', rule, ['group/sg-1']],
    ['ecs', 'RevokeSecurityGroupEgress', { ...group, SecurityGroupRuleId: ['sgr-1'] }, ['group/sg-1']],
    ['ecs', 'CreateSecurityGroup', { SecurityGroupName: 'web' }, []],
    ['ecs', 'JoinSecurityGroup', { ...group, InstanceId: 'i-1' }, ['group/sg-1', 'instance/i-1']],
    ['ecs', 'LeaveSecurityGroup', { ...group, NetworkInterfaceId: 'eni-1' }, ['group/sg-1', 'eni/eni-1']],
    ['ecs', 'RunInstances', group, ['group/sg-1']],
    ['ecs', 'DeleteInstances', { InstanceId: ['i-1', 'i-2'] }, ['instance/i-1', 'instance/i-2']],
    [
      'ecs',
      'AttachNetworkInterface',
      { NetworkInterfaceId: 'eni-1', InstanceId: 'i-1' },
      ['eni/eni-1', 'instance/i-1'],
    ],
    ['ecs', 'ModifyPrefixList', { PrefixListId: 'pl-1' }, ['prefixList/pl-1']],
    ['ecs', 'DeletePortRangeList', { PortRangeListId: 'prl-1' }, ['portRangeList/prl-1']],
    ['ecs', 'TagResources', { ResourceType: 'eni', ResourceId: ['eni-1'], Tag: [{ Key: 'a' }] }, ['eni/eni-1']],
    ['antiddos-public', 'ModifyDefenseThreshold', { ...asset, Bps: 100, Pps: 1000 }, ['instance/i-1']],
    ['ram', 'CreateUser', { UserName: 'eve' }, []],
    [
      'ram',
      'AddUserToGroup',
      { UserName: 'Eve', GroupName: 'admins' },
      [ram('ramUser', 'eve'), ram('ramGroup', 'admins')],
    ],
    [
      'ram',
      'AttachPolicyToRole',
      { ...policy, RoleName: 'ops' },
      [ram('ramRole', 'ops'), ram('ramPolicy', 'administratoraccess')],
    ],
    ['ram', 'CreateAccessKey', {}, [ram('ramUser', 'nobody')]],
    ['ram', 'DeleteAccessKey', { UserName: 'eve', UserAccessKeyId: 'RW1' }, [ram('ramUser', 'eve'), 'accessKey/RW1']],
  ]
  for (const [product, action, parameters, objects] of rows) {
    test(`${action} ${JSON.stringify(parameters)} is about ${objects.join(', ') || 'what was to be made'}`, async () => {
      const refused = await refusedOf(nobody, [product, action, parameters])
      const { note, status } = refused
      assert.deepEqual(refused.objects, objects)
      assert.equal(status, 403)
      assert.equal(note.action, `${product === 'antiddos-public' ? 'yundun-ddos' : product}:${action}`)
      const { id } = api.world.get('ramUser', `${accountId}.nobody`)!
      assert.deepEqual(note.principal, { kind: 'user', id, name: 'nobody', credentialId: nobody.accessKeyId })
    })
  }
})

describe('a write that is refused for what it says', () => {
  const rows: readonly (readonly [...Row, code: string])[] = [
    ['ecs', 'DeleteSecurityGroup', { SecurityGroupId: 'sg-9' }, ['group/sg-9'], 'InvalidSecurityGroupId.NotFound'],
    [
      'ecs',
      'AuthorizeSecurityGroup',
      { SecurityGroupId: 'sg-1', Priority: 1000 },
      ['group/sg-1'],
      'InvalidPriority.ValueNotSupported',
    ],
    ['ecs', 'DeleteSecurityGroup', {}, [], 'MissingParameter.SecurityGroupId'],
    ['ecs', 'DeleteSecurityGroup', { SecurityGroupId: ['sg-1'] }, [], 'InvalidSecurityGroupId.Malformed'],
    ['ecs', 'DeleteInstances', {}, [], 'MissingParameter.InstanceId'],
    ['ecs', 'DeleteInstances', { InstanceId: ['i-1', ''] }, ['instance/i-1'], 'InvalidParameter'],
    ['ecs', 'JoinSecurityGroup', { InstanceId: 'i-1' }, ['instance/i-1'], 'MissingParameter.SecurityGroupId'],
    ['ecs', 'DeletePrefixList', { PrefixListId: 'pl-1', RegionId: 'x y' }, ['prefixList/pl-1'], 'InvalidParameter'],
    ['ecs', 'TagResources', { ResourceType: 'disk', ResourceId: ['d-1'] }, [], 'InvalidResourceType.NotFound'],
    ['ram', 'DeleteUser', { UserName: 'eve' }, [ram('ramUser', 'eve')], 'EntityNotExist.User'],
    ['ram', 'DeleteAccessKey', { UserAccessKeyId: '' }, [], 'EntityNotExist.User.AccessKey'],
    ['ram', 'DeleteUser', { UserName: 'e v e' }, [], 'InvalidParameter.UserName.InvalidChars'],
  ]
  for (const [product, action, parameters, objects, code] of rows) {
    test(`${action} ${JSON.stringify(parameters)}: ${code}`, async () => {
      const refused = await refusedOf(root, [product, action, parameters])
      assert.deepEqual([refused.objects, refused.code], [objects, code])
      const principal = { kind: 'account', id: accountId, name: accountId, credentialId: root.accessKeyId }
      assert.deepEqual(refused.note.principal, principal)
    })
  }
})

describe('a write that nobody has signed', () => {
  const wish = ['ecs', 'DeleteSecurityGroup', { SecurityGroupId: 'sg-1' }] as const
  const rows: readonly (readonly [string, () => RpcKey, string])[] = [
    ['with an unknown key', () => ({ accessKeyId: 'RWunknown', secret: 'x' }), 'InvalidAccessKeyId.NotFound'],
    ['with a wrong secret', () => ({ ...root, secret: 'x' }), 'SignatureDoesNotMatch'],
    ['with a wrong session', () => ({ ...root, securityToken: 'v1.x' }), 'InvalidSecurityToken.MismatchWithAccessKey'],
  ]
  for (const scheme of ['v1', 'acs3'] as const) {
    for (const [name, keyOf, code] of rows) {
      test(`${name}, ${scheme}, is told with the key that it names: ${code}`, async () => {
        const key = keyOf()
        const refused = await refusedOf(key, wish, { scheme })
        const { note, objects } = refused
        assert.deepEqual(note.principal, { kind: 'key', id: key.accessKeyId, name: 'unknown' })
        assert.deepEqual([refused.code, objects, note.action], [code, ['group/sg-1'], 'ecs:DeleteSecurityGroup'])
      })
    }
  }

  test('is no better for saying that it is a dry run', async () => {
    const { objects } = await refusedOf({ ...root, secret: 'x' }, ['ecs', wish[1], { ...wish[2], DryRun: true }])
    assert.deepEqual(objects, ['group/sg-1'])
  })

  test('of RAM names nothing where the account is not known', async () => {
    const key = { accessKeyId: `RW${'x'.repeat(500)}`, secret: 'x' }
    const { objects, note } = await refusedOf(key, ['ram', 'DeleteUser', { UserName: 'eve' }])
    assert.deepEqual([objects, note.principal.id.length], [[], 64])
  })

  test('comes a second time: whose it is is known', async () => {
    const request = sign(root, 'DeleteSecurityGroup', { SecurityGroupId: 'sg-2' })
    await inject(api.app, request)
    await inject(api.app, request)
    const { code, note, objects } = api.refused.at(-1)!
    assert.deepEqual([code, note.principal.kind, objects], ['SignatureNonceUsed', 'account', ['group/sg-2']])
  })
})

test('reads that are refused are not told', async () => {
  const known = api.refused.length
  await inject(api.app, sign(nobody, 'DescribeSecurityGroups', {}))
  await inject(api.app, sign({ ...root, secret: 'x' }, 'DescribeSecurityGroups', {}))
  assert.equal(api.refused.length, known)
})

test('the log is searched by object and by key, and has no secret of a request', async () => {
  const key = { ...root, secret: 'x', securityToken: 'v1.token-of-a-session' }
  for (const secret of ['x', 'y']) {
    await inject(api.app, sign({ ...root, secret }, 'DeleteSecurityGroup', { SecurityGroupId: 'sg-77' }))
    await inject(api.app, sign({ ...key, secret }, 'DeleteSecurityGroup', { SecurityGroupId: 'sg-77' }))
  }
  await api.audit.settled()
  const search = async (query: string) => (await api.request('GET', `/v1/audit?outcome=refused&${query}`)).body.items
  const found = await search('key=group/sg-77')
  assert.equal(found.length, 4)
  assert.equal((await search(`key=group/sg-77&principalId=${root.accessKeyId}`)).length, 4)
  assert.match(found.map((each: { detail: string }) => each.detail).join(), /Specified signature is not matched/)
  assert.doesNotMatch(JSON.stringify(found), /token-of-a-session|string to sign/)
})

test('what is done says by which key', async () => {
  const alice = await userKey(api, 'alice', { all: [{ Effect: 'Allow', Action: '*', Resource: '*' }] })
  await inject(api.app, sign(alice, 'CreateSecurityGroup', { SecurityGroupName: 'web' }))
  await api.audit.settled()
  const [done] = (await api.request('GET', '/v1/audit?outcome=done&action=ecs:CreateSecurityGroup')).body.items
  const { name, credentialId } = done.principal
  assert.deepEqual([name, credentialId], ['alice', alice.accessKeyId])
})
