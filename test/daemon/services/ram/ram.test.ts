/** Users, groups, policies, roles, keys and sessions: what is made, what is refused, and what a credential is worth. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { ApiError } from '../../../../daemon/errors.ts'
import { decide } from '../../../../daemon/ram/evaluate.ts'
import { createSealer } from '../../../../daemon/ram/seal.ts'
import { requireAccess } from '../../../../daemon/services/access.ts'
import type { Plan } from '../../../../daemon/services/executor.ts'
import * as keys from '../../../../daemon/services/ram/access-keys.ts'
import { type accountPrincipal, findCredential, userPrincipal } from '../../../../daemon/services/ram/identity.ts'
import * as policies from '../../../../daemon/services/ram/policies.ts'
import * as roles from '../../../../daemon/services/ram/roles.ts'
import { assumeRole } from '../../../../daemon/services/ram/sessions.ts'
import * as users from '../../../../daemon/services/ram/users.ts'
import { World } from '../../../../daemon/state/world.ts'

const accountId = '1000000000000000'
const nowMs = Date.UTC(2026, 2, 1)
const group = `acs:ecs:local:${accountId}:securitygroup/sg-1`
const sealer = createSealer(randomBytes(32))

const document = (effect: string, action: string, more: object = {}) =>
  JSON.stringify({ Version: '1', Statement: [{ Effect: effect, Action: action, Resource: '*', ...more }] })
const trusting = (principal: object) =>
  JSON.stringify({ Version: '1', Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: principal }] })

/** A world in which plans are carried out at once. */
function start() {
  const world = new World()
  const call = { world, accountId, nowMs }
  function carryOut<T>(plan: Plan<T>): T {
    const changes = plan.writes.map(({ key, value }) => ({ key, value, before: null }))
    world.apply({ revision: world.revision + 1, changes } as never)
    return plan.body(() => world.revision)
  }
  const mayDo = (name: string, action: string) => {
    const { ram } = userPrincipal(world, world.get('ramUser', `${accountId}.${name}`)!)
    return decide(ram!.grants, { action, resources: [{ name: group }], context: new Map() }).isAllowed
  }
  return { world, call, carryOut, mayDo }
}

const refused = (status: number, code: string) => (error: ApiError) => error.status === status && error.code === code

describe('users and groups', () => {
  test('have names of their own, whatever the case', () => {
    const { call, carryOut } = start()
    carryOut(users.createUser(call, { name: 'Alice' }))
    assert.throws(() => users.createUser(call, { name: 'alice' }), refused(409, 'EntityAlreadyExists.User'))
    carryOut(users.createRamGroup(call, { name: 'alice' }))
    assert.throws(() => users.createRamGroup(call, { name: 'ALICE' }), refused(409, 'EntityAlreadyExists.Group'))
  })

  test('are each account’s own', () => {
    const { call, carryOut } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    const other = { ...call, accountId: '2000000000000000' }
    assert.throws(() => users.updateUser(other, 'alice', {}), refused(404, 'EntityNotExist.User'))
    carryOut(users.createUser(other, { name: 'alice' }))
  })

  test('are deleted when nothing hangs on them any more', () => {
    const { call, carryOut } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    carryOut(users.createRamGroup(call, { name: 'ops' }))
    carryOut(users.addUserToGroup(call, 'alice', 'ops'))
    assert.throws(() => users.addUserToGroup(call, 'alice', 'OPS'), refused(409, 'EntityAlreadyExists.User.Group'))
    const { key } = carryOut(keys.createAccessKey(call, 'alice', sealer))
    const attachment = { kind: 'ramUser', holder: 'alice', type: 'System', policy: 'ReadOnlyAccess' } as const
    carryOut(policies.attachPolicy(call, attachment))
    const remove = () => carryOut(users.deleteUser(call, 'alice'))
    assert.throws(remove, refused(409, 'DeleteConflict.User.AccessKey'))
    carryOut(keys.deleteAccessKey(call, 'alice', key.id))
    assert.throws(remove, refused(409, 'DeleteConflict.User.Group'))
    assert.throws(() => users.deleteRamGroup(call, 'ops'), refused(409, 'DeleteConflict.Group.User'))
    carryOut(users.removeUserFromGroup(call, 'alice', 'ops'))
    assert.throws(remove, refused(409, 'DeleteConflict.User.Policy'))
    carryOut(policies.detachPolicy(call, attachment))
    remove()
    carryOut(users.deleteRamGroup(call, 'ops'))
    assert.throws(remove, refused(404, 'EntityNotExist.User'))
  })
})

describe('policies', () => {
  test('grant by the user and by its groups, and a deny of either counts', () => {
    const { call, carryOut, mayDo } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    carryOut(users.createRamGroup(call, { name: 'ops' }))
    carryOut(policies.createPolicy(call, { name: 'no-rules', document: document('Deny', 'ecs:Authorize*') }))
    assert.equal(mayDo('alice', 'ecs:DescribeSecurityGroups'), false)
    const attach = (kind: policies.HolderKind, holder: string, type: 'System' | 'Custom', policy: string) =>
      carryOut(policies.attachPolicy(call, { kind, holder, type, policy }))
    attach('ramUser', 'alice', 'System', 'AliyunECSFullAccess')
    assert.equal(mayDo('alice', 'ecs:AuthorizeSecurityGroup'), true)
    carryOut(users.addUserToGroup(call, 'alice', 'ops'))
    attach('ramGroup', 'ops', 'Custom', 'NO-RULES')
    assert.equal(mayDo('alice', 'ecs:AuthorizeSecurityGroup'), false)
    assert.equal(mayDo('alice', 'ecs:DescribeSecurityGroups'), true)
    assert.throws(
      () => attach('ramGroup', 'ops', 'Custom', 'no-rules'),
      refused(409, 'EntityAlreadyExists.Group.Policy'),
    )
    assert.throws(() => attach('ramGroup', 'ops', 'System', 'no-rules'), refused(404, 'EntityNotExist.Policy'))
    assert.throws(() => policies.deletePolicy(call, 'no-rules'), refused(409, 'DeleteConflict.Policy.Group'))
  })

  test('have five versions at most, of which one counts', () => {
    const { call, carryOut, mayDo, world } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    carryOut(policies.createPolicy(call, { name: 'p', document: document('Allow', 'ecs:A') }))
    carryOut(policies.attachPolicy(call, { kind: 'ramUser', holder: 'alice', type: 'Custom', policy: 'p' }))
    const add = (action: string, setAsDefault: boolean, rotates = false) =>
      carryOut(policies.createPolicyVersion(call, 'p', { document: document('Allow', action), setAsDefault, rotates }))
    add('ecs:B', false)
    assert.deepEqual([mayDo('alice', 'ecs:A'), mayDo('alice', 'ecs:B')], [true, false])
    add('ecs:C', true)
    assert.deepEqual([mayDo('alice', 'ecs:A'), mayDo('alice', 'ecs:C')], [false, true])
    add('ecs:D', false)
    add('ecs:E', false)
    assert.throws(() => add('ecs:F', false), refused(409, 'LimitExceeded.Policy.Version'))
    add('ecs:F', true, true)
    const versions = () => world.get('ramPolicy', `${accountId}.p`)!.versions.map(({ id }) => id)
    assert.deepEqual(versions(), ['v2', 'v3', 'v4', 'v5', 'v6'])
    assert.throws(
      () => policies.deletePolicyVersion(call, 'p', 'v6'),
      refused(409, 'DeleteConflict.Policy.Version.Default'),
    )
    carryOut(policies.setDefaultVersion(call, 'p', 'v2'))
    carryOut(policies.deletePolicyVersion(call, 'p', 'v6'))
    assert.equal(mayDo('alice', 'ecs:B'), true)
    assert.throws(() => policies.setDefaultVersion(call, 'p', 'v1'), refused(404, 'EntityNotExist.Policy.Version'))
  })

  test('that make no sense, or have the name of a system policy, are refused', () => {
    const { call } = start()
    const make = (name: string, text: string) => policies.createPolicy(call, { name, document: text })
    assert.throws(() => make('p', '{}'), refused(400, 'MalformedPolicyDocument'))
    assert.throws(() => make('readonlyaccess', document('Allow', '*')), refused(409, 'EntityAlreadyExists.Policy'))
  })
})

describe('access keys', () => {
  const find = (world: World, accessKeyId: string, opened = sealer) =>
    findCredential(world, opened, { accessKeyId, securityToken: null, nowMs })

  test('are two for each user, sealed, and good while they are active', () => {
    const { world, call, carryOut } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    const { key, secret } = carryOut(keys.createAccessKey(call, 'alice', sealer))
    carryOut(keys.createAccessKey(call, 'Alice', sealer))
    assert.throws(() => keys.createAccessKey(call, 'alice', sealer), refused(409, 'LimitExceeded.User.AccessKey'))
    assert.equal(find(world, key.id).secret, secret)
    assert.ok(!JSON.stringify(world.get('accessKey', key.id)).includes(secret))
    assert.throws(() => find(world, key.id, createSealer(randomBytes(32))), refused(400, 'InvalidAccessKeyId.NotFound'))
    carryOut(keys.updateAccessKey(call, 'alice', key.id, 'Inactive'))
    assert.throws(() => find(world, key.id), refused(400, 'InvalidAccessKeyId.Inactive'))
    assert.throws(() => find(world, 'LTAInobody'), refused(400, 'InvalidAccessKeyId.NotFound'))
  })

  test('of the account itself may do everything', () => {
    const { world, call, carryOut } = start()
    const { key } = carryOut(keys.createAccessKey(call, null, sealer))
    const { principal } = find(world, key.id)
    assert.equal(principal.ram?.arn, `acs:ram::${accountId}:root`)
    const facts = { sourceAddress: '198.18.0.1', isSecure: true, nowMs }
    requireAccess(principal, { action: 'ram:DeleteUser', resources: [{ name: '*' }] }, facts)
  })

  test('cannot be exchanged in the store', () => {
    const { world, call, carryOut } = start()
    carryOut(users.createUser(call, { name: 'alice' }))
    const one = carryOut(keys.createAccessKey(call, 'alice', sealer))
    const two = carryOut(keys.createAccessKey(call, null, sealer))
    const forged = { ...two.key, sealedSecret: one.key.sealedSecret }
    carryOut({ writes: [{ key: `accessKey/${two.key.id}`, value: forged }], body: () => null })
    assert.throws(() => find(world, two.key.id), refused(400, 'InvalidAccessKeyId.NotFound'))
  })
})

describe('a session of a role', () => {
  function withRole(trust: object) {
    const setting = start()
    const { call, carryOut, world } = setting
    carryOut(users.createUser(call, { name: 'alice' }))
    carryOut(
      policies.attachPolicy(call, {
        kind: 'ramUser',
        holder: 'alice',
        type: 'System',
        policy: 'AliyunSTSAssumeRoleAccess',
      }),
    )
    carryOut(roles.createRole(call, { name: 'Ops', trustPolicy: trusting(trust) }))
    carryOut(
      policies.attachPolicy(call, { kind: 'ramRole', holder: 'ops', type: 'System', policy: 'AliyunECSFullAccess' }),
    )
    const assume = (more: object = {}) => {
      const alice = userPrincipal(world, world.get('ramUser', `${accountId}.alice`)!)
      const given = {
        roleArn: `acs:ram::${accountId}:role/ops`,
        sessionName: 'work',
        durationSeconds: 900,
        policy: null,
        ...more,
      }
      return assumeRole(call, alice.ram!, { sealer, context: new Map(), given: { ...given, begunBy: 'RWalice' } })
    }
    const open = (made: ReturnType<typeof assume>, atMs = nowMs) =>
      findCredential(world, sealer, {
        accessKeyId: made.session.accessKeyId,
        securityToken: made.securityToken,
        nowMs: atMs,
      })
    return { ...setting, assume, open }
  }
  const account = { RAM: `acs:ram::${accountId}:root` }
  const may = (principal: ReturnType<typeof accountPrincipal>, action: string) =>
    decide(principal.ram!.grants, { action, resources: [{ name: group }], context: new Map() }).isAllowed

  test('has what the role has, until it is over', () => {
    const { assume, open } = withRole(account)
    const made = assume()
    const { principal, secret } = open(made)
    assert.equal(secret, made.session.secret)
    assert.equal(principal.ram?.arn, `acs:ram::${accountId}:assumed-role/ops/work`)
    assert.deepEqual([may(principal, 'ecs:AuthorizeSecurityGroup'), may(principal, 'ram:CreateUser')], [true, false])
    assert.throws(() => open(made, nowMs + 900_000), refused(400, 'InvalidSecurityToken.Expired'))
  })

  test('is narrowed by its own policy, and by what becomes of the role', () => {
    const { assume, open, carryOut, call } = withRole(account)
    const made = assume({ policy: document('Allow', 'ecs:Describe*') })
    assert.equal(may(open(made).principal, 'ecs:DescribeSecurityGroups'), true)
    assert.equal(may(open(made).principal, 'ecs:AuthorizeSecurityGroup'), false)
    carryOut(
      policies.detachPolicy(call, { kind: 'ramRole', holder: 'Ops', type: 'System', policy: 'AliyunECSFullAccess' }),
    )
    assert.equal(may(open(made).principal, 'ecs:DescribeSecurityGroups'), false)
    carryOut(roles.deleteRole(call, 'ops'))
    carryOut(roles.createRole(call, { name: 'ops', trustPolicy: trusting(account) }))
    assert.throws(() => open(made), refused(400, 'InvalidSecurityToken.Expired'))
  })

  test('needs the trust of the role, and leave to assume it', () => {
    assert.throws(() => withRole({ Service: 'ecs.aliyuncs.com' }).assume(), refused(403, 'NoPermission'))
    const { assume, call, carryOut } = withRole(account)
    carryOut(
      policies.detachPolicy(call, {
        kind: 'ramUser',
        holder: 'alice',
        type: 'System',
        policy: 'AliyunSTSAssumeRoleAccess',
      }),
    )
    assert.throws(() => assume(), refused(403, 'NoPermission'))
  })

  test('is refused where it makes no sense', () => {
    const { assume } = withRole(account)
    const rows: readonly [object, number, string][] = [
      [{ roleArn: 'ops' }, 400, 'InvalidParameter.RoleArn'],
      [{ roleArn: `acs:ram::${accountId}:role/nobody` }, 404, 'EntityNotExist.Role'],
      [{ durationSeconds: 899 }, 400, 'InvalidParameter.DurationSeconds'],
      [{ durationSeconds: 3601 }, 400, 'InvalidParameter.DurationSeconds'],
      [{ policy: '{}' }, 400, 'InvalidParameter.PolicyGrammar'],
      [{ policy: ' '.repeat(2049) }, 400, 'InvalidParameter.PolicySize'],
    ]
    for (const [given, status, code] of rows) assert.throws(() => assume(given), refused(status, code), code)
  })

  test('has a token that is good for its own key alone', () => {
    const { assume, world } = withRole(account)
    const [one, two] = [assume(), assume()]
    const mixed = { accessKeyId: one.session.accessKeyId, securityToken: two.securityToken, nowMs }
    assert.throws(
      () => findCredential(world, sealer, mixed),
      refused(400, 'InvalidSecurityToken.MismatchWithAccessKey'),
    )
    const made = { ...mixed, securityToken: 'token' }
    assert.throws(() => findCredential(world, sealer, made), refused(400, 'InvalidSecurityToken.Malformed'))
  })
})
