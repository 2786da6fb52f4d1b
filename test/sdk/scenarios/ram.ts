/** RAM and STS: users, groups, policies, roles, keys, and who is who. */
import assert from 'node:assert/strict'
import type { Scenarios } from '../../support/sdk/stage.ts'

const allow = (Action: string, Resource = '*') =>
  JSON.stringify({ Version: '1', Statement: [{ Effect: 'Allow', Action, Resource }] })
const trust = (accountId: string) =>
  JSON.stringify({
    Version: '1',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${accountId}:root`] } }],
  })
const named = (list: readonly Record<string, string>[], field: string) => list.map(each => each[field]!)

export const ramScenarios: Scenarios = {
  async 'users and groups'({ ask, refused }) {
    const { User } = await ask('ram', 'CreateUser', { UserName: 'alice', DisplayName: 'Alice', Comments: "it's (ok)" })
    assert.deepEqual([User.UserName, User.DisplayName, User.Comments], ['alice', 'Alice', "it's (ok)"])
    await refused('EntityAlreadyExists.User', 409, 'ram', 'CreateUser', { UserName: 'alice' })
    await ask('ram', 'UpdateUser', { UserName: 'alice', NewDisplayName: 'A.' })
    assert.equal((await ask('ram', 'GetUser', { UserName: 'alice' })).User.DisplayName, 'A.')
    await ask('ram', 'CreateUser', { UserName: 'bob' })
    const first = await ask('ram', 'ListUsers', { MaxItems: 1 })
    assert.deepEqual([named(first.Users.User, 'UserName'), first.IsTruncated], [['alice'], true])
    const rest = await ask('ram', 'ListUsers', { Marker: first.Marker })
    assert.deepEqual([named(rest.Users.User, 'UserName'), rest.IsTruncated], [['bob'], false])
    // The one at which a page ended may have gone.
    await ask('ram', 'CreateUser', { UserName: 'Aaron' })
    const page = await ask('ram', 'ListUsers', { MaxItems: 1 })
    assert.deepEqual(named(page.Users.User, 'UserName'), ['Aaron'])
    await ask('ram', 'DeleteUser', { UserName: 'aaron' })
    const behind = await ask('ram', 'ListUsers', { Marker: page.Marker })
    assert.deepEqual(named(behind.Users.User, 'UserName'), ['alice', 'bob'])
    await refused('InvalidParameter.Marker', 400, 'ram', 'ListUsers', { Marker: '%' })
    const policies: string[] = []
    let Marker = ''
    do {
      const some = await ask('ram', 'ListPolicies', { PolicyType: 'System', MaxItems: 2, Marker })
      policies.push(...named(some.Policies.Policy, 'PolicyName'))
      Marker = some.IsTruncated === true ? some.Marker : ''
    } while (Marker !== '')
    assert.equal(new Set(policies).size, policies.length)
    assert.equal(policies.length, (await ask('ram', 'ListPolicies', { PolicyType: 'System' })).Policies.Policy.length)
    await ask('ram', 'CreateGroup', { GroupName: 'staff', Comments: 'all' })
    assert.equal((await ask('ram', 'GetGroup', { GroupName: 'staff' })).Group.Comments, 'all')
    assert.deepEqual(named((await ask('ram', 'ListGroups')).Groups.Group, 'GroupName'), ['staff'])
    const membership = { UserName: 'alice', GroupName: 'staff' }
    await ask('ram', 'AddUserToGroup', membership)
    await refused('EntityAlreadyExists.User.Group', 409, 'ram', 'AddUserToGroup', membership)
    const members = await ask('ram', 'ListUsersForGroup', { GroupName: 'staff' })
    assert.deepEqual(named(members.Users.User, 'UserName'), ['alice'])
    const groups = await ask('ram', 'ListGroupsForUser', { UserName: 'alice' })
    assert.deepEqual(named(groups.Groups.Group, 'GroupName'), ['staff'])
    await refused('DeleteConflict.User.Group', 409, 'ram', 'DeleteUser', { UserName: 'alice' })
    await refused('DeleteConflict.Group.User', 409, 'ram', 'DeleteGroup', { GroupName: 'staff' })
    await ask('ram', 'RemoveUserFromGroup', membership)
    await ask('ram', 'DeleteGroup', { GroupName: 'staff' })
    for (const UserName of ['alice', 'bob']) await ask('ram', 'DeleteUser', { UserName })
    await refused('EntityNotExist.User', 404, 'ram', 'GetUser', { UserName: 'alice' })
    await refused('EntityNotExist.Group', 404, 'ram', 'GetGroup', { GroupName: 'staff' })
    await refused('InvalidParameter.UserName.InvalidChars', 400, 'ram', 'CreateUser', { UserName: 'a b' })
  },

  async 'policies and their versions'({ ask, refused }) {
    const PolicyName = 'look'
    const { Policy } = await ask('ram', 'CreatePolicy', { PolicyName, PolicyDocument: allow('ecs:Describe*') })
    assert.deepEqual([Policy.PolicyType, Policy.DefaultVersion], ['Custom', 'v1'])
    const custom = { PolicyType: 'Custom', PolicyName }
    const { DefaultPolicyVersion } = await ask('ram', 'GetPolicy', custom)
    assert.deepEqual(JSON.parse(DefaultPolicyVersion.PolicyDocument), JSON.parse(allow('ecs:Describe*')))
    const { PolicyVersion } = await ask('ram', 'CreatePolicyVersion', {
      PolicyName,
      PolicyDocument: allow('ecs:*'),
      SetAsDefault: false,
    })
    assert.deepEqual([PolicyVersion.VersionId, PolicyVersion.IsDefaultVersion], ['v2', false])
    await ask('ram', 'SetDefaultPolicyVersion', { PolicyName, VersionId: 'v2' })
    const second = await ask('ram', 'GetPolicyVersion', { ...custom, VersionId: 'v2' })
    assert.equal(second.PolicyVersion.IsDefaultVersion, true)
    const versions = await ask('ram', 'ListPolicyVersions', custom)
    assert.deepEqual(named(versions.PolicyVersions.PolicyVersion, 'VersionId'), ['v1', 'v2'])
    await refused('DeleteConflict.Policy.Version.Default', 409, 'ram', 'DeletePolicyVersion', {
      PolicyName,
      VersionId: 'v2',
    })
    await ask('ram', 'DeletePolicyVersion', { PolicyName, VersionId: 'v1' })
    const all = await ask('ram', 'ListPolicies', { PolicyType: 'Custom' })
    assert.deepEqual(named(all.Policies.Policy, 'PolicyName'), [PolicyName])
    await refused('MalformedPolicyDocument', 400, 'ram', 'CreatePolicy', { PolicyName: 'x', PolicyDocument: '{' })

    await ask('ram', 'CreateUser', { UserName: 'alice' })
    await ask('ram', 'CreateGroup', { GroupName: 'staff' })
    await ask('ram', 'CreateRole', { RoleName: 'ops', AssumeRolePolicyDocument: trust('1000000000000000') })
    const holders = [
      ['User', { UserName: 'alice' }],
      ['Group', { GroupName: 'staff' }],
      ['Role', { RoleName: 'ops' }],
    ] as const
    for (const [word, holder] of holders) {
      await ask('ram', `AttachPolicyTo${word}`, { ...custom, ...holder })
      await refused(`EntityAlreadyExists.${word}.Policy`, 409, 'ram', `AttachPolicyTo${word}`, { ...custom, ...holder })
      const { Policies } = await ask('ram', `ListPoliciesFor${word}`, holder)
      assert.deepEqual(named(Policies.Policy, 'PolicyName'), [PolicyName])
    }
    const entities = await ask('ram', 'ListEntitiesForPolicy', custom)
    assert.deepEqual(
      [entities.Users.User, entities.Groups.Group, entities.Roles.Role].map(list => list.length),
      [1, 1, 1],
    )
    assert.equal((await ask('ram', 'GetPolicy', custom)).Policy.AttachmentCount, 3)
    await refused('DeleteConflict.Policy.User', 409, 'ram', 'DeletePolicy', { PolicyName })
    for (const [word, holder] of holders) {
      await ask('ram', `DetachPolicyFrom${word}`, { ...custom, ...holder })
      await refused(`EntityNotExist.${word}.Policy`, 404, 'ram', `DetachPolicyFrom${word}`, { ...custom, ...holder })
    }
    await ask('ram', 'DeletePolicy', { PolicyName })
    await refused('EntityNotExist.Policy', 404, 'ram', 'GetPolicy', custom)
  },

  async 'roles are made, assumed and deleted'({ ask, refused, accountId }) {
    const RoleName = 'Ops'
    const { Role } = await ask('ram', 'CreateRole', {
      RoleName,
      AssumeRolePolicyDocument: trust(accountId),
      Description: 'on call',
    })
    assert.equal(Role.Arn, `acs:ram::${accountId}:role/ops`)
    await ask('ram', 'UpdateRole', { RoleName, NewMaxSessionDuration: 7200 })
    assert.equal((await ask('ram', 'GetRole', { RoleName })).Role.MaxSessionDuration, 7200)
    assert.deepEqual(named((await ask('ram', 'ListRoles')).Roles.Role, 'RoleName'), [RoleName])
    // The account itself and sessions may not assume roles; a user may.
    await ask('ram', 'DeleteRole', { RoleName })
    await refused('EntityNotExist.Role', 404, 'ram', 'GetRole', { RoleName })
  },

  async 'access keys are made, switched off and deleted'({ ask, refused }) {
    const UserName = 'alice'
    await ask('ram', 'CreateUser', { UserName })
    const { AccessKey } = await ask('ram', 'CreateAccessKey', { UserName })
    assert.deepEqual([AccessKey.Status, typeof AccessKey.AccessKeySecret], ['Active', 'string'])
    await ask('ram', 'CreateAccessKey', { UserName })
    await refused('LimitExceeded.User.AccessKey', 409, 'ram', 'CreateAccessKey', { UserName })
    const { AccessKeyId: UserAccessKeyId } = AccessKey
    await ask('ram', 'UpdateAccessKey', { UserName, UserAccessKeyId, Status: 'Inactive' })
    const { AccessKeys } = await ask('ram', 'ListAccessKeys', { UserName })
    assert.deepEqual(named(AccessKeys.AccessKey, 'Status').sort(), ['Active', 'Inactive'])
    assert.ok(AccessKeys.AccessKey.every((key: object) => !Object.hasOwn(key, 'AccessKeySecret')))
    const used = await ask('ram', 'GetAccessKeyLastUsed', { UserName, UserAccessKeyId })
    assert.equal(used.AccessKeyLastUsed.LastUsedDate, '')
    await refused('DeleteConflict.User.AccessKey', 409, 'ram', 'DeleteUser', { UserName })
    await ask('ram', 'DeleteAccessKey', { UserName, UserAccessKeyId })
    await refused('EntityNotExist.User.AccessKey', 404, 'ram', 'DeleteAccessKey', { UserName, UserAccessKeyId })
  },

  async 'a user assumes a role, and the session may what the role may'({ ask, as, accountId }) {
    const UserName = 'alice'
    await ask('ram', 'CreateUser', { UserName })
    await ask('ram', 'CreatePolicy', { PolicyName: 'assume', PolicyDocument: allow('sts:AssumeRole') })
    await ask('ram', 'CreatePolicy', { PolicyName: 'look', PolicyDocument: allow('ecs:Describe*') })
    await ask('ram', 'AttachPolicyToUser', { PolicyType: 'Custom', PolicyName: 'assume', UserName })
    await ask('ram', 'CreateRole', { RoleName: 'looker', AssumeRolePolicyDocument: trust(accountId) })
    await ask('ram', 'AttachPolicyToRole', { PolicyType: 'Custom', PolicyName: 'look', RoleName: 'looker' })
    const { AccessKey } = await ask('ram', 'CreateAccessKey', { UserName })
    const alice = as({ accessKeyId: AccessKey.AccessKeyId, secret: AccessKey.AccessKeySecret })
    const me = await alice.ask('sts', 'GetCallerIdentity')
    assert.deepEqual([me.IdentityType, me.Arn], ['RAMUser', `acs:ram::${accountId}:user/alice`])
    await alice.refused('Forbidden.RAM', 403, 'ecs', 'DescribeSecurityGroups', { RegionId: 'local' })
    const wish = { RoleArn: `acs:ram::${accountId}:role/looker`, RoleSessionName: 'work', DurationSeconds: 900 }
    const { Credentials, AssumedRoleUser } = await alice.ask('sts', 'AssumeRole', wish)
    assert.equal(AssumedRoleUser.Arn, `acs:ram::${accountId}:role/looker/work`)
    const session = as({
      accessKeyId: Credentials.AccessKeyId,
      secret: Credentials.AccessKeySecret,
      securityToken: Credentials.SecurityToken,
    })
    assert.equal((await session.ask('sts', 'GetCallerIdentity')).IdentityType, 'AssumedRoleUser')
    await session.ask('ecs', 'DescribeSecurityGroups', { RegionId: 'local' })
    await session.refused('Forbidden.RAM', 403, 'ecs', 'CreateSecurityGroup', { RegionId: 'local' })
    await alice.refused('NoPermission', 403, 'ram', 'ListUsers')
    await ask('ram', 'DetachPolicyFromRole', { PolicyType: 'Custom', PolicyName: 'look', RoleName: 'looker' })
    // Policies are read anew for each request, of sessions that are open too.
    await session.refused('Forbidden.RAM', 403, 'ecs', 'DescribeSecurityGroups', { RegionId: 'local' })
  },

  async 'everybody may ask who he is'({ ask, accountId }) {
    const identity = await ask('sts', 'GetCallerIdentity')
    assert.equal(identity.AccountId, accountId)
  },
}
