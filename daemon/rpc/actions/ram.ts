/** RAM: users, groups, policies, roles and access keys. */
import Type, { type TObject, type TProperties } from 'typebox'
import { ApiError } from '../../errors.ts'
import type { PolicyType as PolicyKind, RamGroupDoc, RamPolicyDoc, RamRoleDoc, RamUserDoc } from '../../model/ram.ts'
import { systemPolicies, systemPolicyNamed } from '../../ram/system-policies.ts'
import type { Plan } from '../../services/executor.ts'
import * as keys from '../../services/ram/access-keys.ts'
import * as policies from '../../services/ram/policies.ts'
import { allNamed, findNamed, notExist, type RamCall } from '../../services/ram/ram-call.ts'
import * as roles from '../../services/ram/roles.ts'
import { ramTargetOf } from '../../services/ram/targets.ts'
import * as users from '../../services/ram/users.ts'
import type { World } from '../../state/world.ts'
import { type ReadAction, type RpcAction, type RpcCall, readAction, type WriteAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { beginBehind, tokenOf } from '../paging.ts'
import { coded } from '../read-parameters.ts'
import { isoSeconds } from '../shapes.ts'

/** A name, with the published codes for what is none. */
const nameOf = (field: string, most: number, characters: string) =>
  coded(`InvalidParameter.${field}.InvalidChars`, Type.String({ pattern: `^[${characters}]{1,${most}}$` }))

const UserName = nameOf('UserName', 64, 'A-Za-z0-9._-')
const GroupName = nameOf('GroupName', 64, 'A-Za-z0-9._-')
const RoleName = nameOf('RoleName', 64, 'A-Za-z0-9.-')
const PolicyName = nameOf('PolicyName', 128, 'A-Za-z0-9-')
const PolicyType = coded('InvalidParameter.PolicyType', Type.Enum(['System', 'Custom']))
const VersionId = coded('InvalidParameter.VersionId', Type.String({ pattern: '^v\\d{1,9}$' }))
const comments = Type.Optional(Type.String({ maxLength: 128 }))
const description = Type.Optional(Type.String({ maxLength: 1024 }))
const documentText = Type.String({ maxLength: 20_000 })

const ramCall = (world: World, { accountId, nowMs }: Pick<RpcCall<never>, 'accountId' | 'nowMs'>): RamCall => ({
  world,
  accountId,
  nowMs,
})

/** What an action of RAM says, once its name is known. */
interface Text<P extends TProperties> {
  readonly summary: string
  readonly parameters: P
  /** What it is done to, behind `acs:ram::<account>:`. */
  readonly on: (parameters: never, call: Pick<RpcCall<never>, 'principal'>) => string | readonly string[]
}

function accessOf<P extends TProperties>(name: string, on: Text<P>['on']) {
  return (world: World, call: RpcCall<TObject<P>>) => ({
    action: `ram:${name}`,
    resources: [on(call.parameters as never, call)].flat().map(each => ramTargetOf(world, call.accountId, each)),
  })
}

function reads<P extends TProperties>(
  name: string,
  text: Text<P>,
  read: (call: RamCall, parameters: RpcCall<TObject<P>>['parameters'], rpc: RpcCall<TObject<P>>) => object,
): ReadAction<TObject<P>> {
  return readAction({
    product: 'ram',
    name,
    summary: text.summary,
    parameters: Type.Object(text.parameters),
    access: accessOf(name, text.on),
    read: (world, call) => read(ramCall(world, call), call.parameters, call),
  })
}

function writes<P extends TProperties>(
  name: string,
  text: Text<P> & Pick<WriteAction, 'isSecret'>,
  plan: (call: RamCall, parameters: RpcCall<TObject<P>>['parameters'], rpc: RpcCall<TObject<P>>) => Plan<object>,
): WriteAction<TObject<P>> {
  return writeAction({
    product: 'ram',
    name,
    summary: text.summary,
    parameters: Type.Object(text.parameters),
    ...(text.isSecret !== undefined && { isSecret: text.isSecret }),
    access: accessOf(name, text.on),
    plan: (world, call) => plan(ramCall(world, call), call.parameters, call),
  })
}

const silent = (plan: Plan<object>) => renamed(plan, () => ({}))

const pageFields = {
  Marker: Type.Optional(Type.String({ maxLength: 200 })),
  MaxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
}

/** @param items  in the order of their names, whose case says nothing */
function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  { Marker, MaxItems = 100 }: { readonly Marker?: string; readonly MaxItems?: number },
) {
  const orderOf = (item: T) => nameOf(item).toLowerCase()
  const begin = beginBehind(items, orderOf, { Marker })
  const shown = items.slice(begin, begin + MaxItems)
  const last = shown.at(-1)
  const isTruncated = last !== undefined && items.length > begin + shown.length
  return { shown, fields: { IsTruncated: isTruncated, ...(isTruncated && { Marker: tokenOf(orderOf(last)) }) } }
}

const showUser = ({ id, name, displayName, comments, createdAtMs, updatedAtMs }: RamUserDoc) => ({
  UserId: id,
  UserName: name,
  DisplayName: displayName ?? '',
  Comments: comments ?? '',
  MobilePhone: '',
  Email: '',
  CreateDate: isoSeconds(createdAtMs),
  UpdateDate: isoSeconds(updatedAtMs),
  LastLoginDate: '',
})

const showGroup = ({ id, name, comments, createdAtMs, updatedAtMs }: RamGroupDoc) => ({
  GroupId: id,
  GroupName: name,
  Comments: comments ?? '',
  CreateDate: isoSeconds(createdAtMs),
  UpdateDate: isoSeconds(updatedAtMs),
})

const showRole = (role: RamRoleDoc) => ({
  RoleId: role.id,
  RoleName: role.name,
  Arn: roles.roleArn(role),
  Description: role.description ?? '',
  MaxSessionDuration: role.maxSessionSeconds,
  CreateDate: isoSeconds(role.createdAtMs),
  UpdateDate: isoSeconds(role.updatedAtMs),
})

const showRoleWhole = (role: RamRoleDoc) => ({ ...showRole(role), AssumeRolePolicyDocument: role.trustPolicy })

function showCustom(call: RamCall, policy: RamPolicyDoc) {
  return {
    PolicyType: 'Custom',
    PolicyName: policy.name,
    Description: policy.description ?? '',
    DefaultVersion: policy.defaultVersion,
    AttachmentCount: policies.attachmentCount(call, 'Custom', policy.name),
    CreateDate: isoSeconds(policy.createdAtMs),
    UpdateDate: isoSeconds(policy.updatedAtMs),
  }
}

/** System policies have no history: they are as old as the program. */
const systemDate = '2026-01-01T00:00:00Z'

function showSystem(
  call: RamCall,
  { name, description: text }: { readonly name: string; readonly description: string },
) {
  return {
    PolicyType: 'System',
    PolicyName: name,
    Description: text,
    DefaultVersion: 'v1',
    AttachmentCount: policies.attachmentCount(call, 'System', name),
    CreateDate: systemDate,
    UpdateDate: systemDate,
  }
}

const showVersion = (policy: RamPolicyDoc, { id, text, createdAtMs }: RamPolicyDoc['versions'][number]) => ({
  VersionId: id,
  IsDefaultVersion: id === policy.defaultVersion,
  PolicyDocument: text,
  CreateDate: isoSeconds(createdAtMs),
})

function showPolicy(call: RamCall, type: PolicyKind, name: string) {
  if (type === 'Custom') {
    const policy = findNamed(call, 'ramPolicy', name)
    const version = showVersion(policy, policies.defaultVersionOf(policy))
    return { Policy: showCustom(call, policy), DefaultPolicyVersion: version }
  }
  const system = systemPolicyNamed.get(name)
  if (system === undefined) throw notExist('Policy', name)
  const version = { VersionId: 'v1', IsDefaultVersion: true, PolicyDocument: system.text, CreateDate: systemDate }
  return { Policy: showSystem(call, system), DefaultPolicyVersion: version }
}

const onUser = ({ UserName: name }: { readonly UserName: string }) => `user/${name}`
const onGroup = ({ GroupName: name }: { readonly GroupName: string }) => `group/${name}`
const onRole = ({ RoleName: name }: { readonly RoleName: string }) => `role/${name}`
const onPolicy = ({ PolicyName: name }: { readonly PolicyName: string }) => `policy/${name}`

const userActions: readonly RpcAction[] = [
  writes(
    'CreateUser',
    {
      summary: 'make a user',
      parameters: { UserName, DisplayName: Type.Optional(Type.String({ maxLength: 128 })), Comments: comments },
      on: () => 'user/*',
    },
    (call, { UserName: name, DisplayName, Comments }) =>
      renamed(users.createUser(call, { name, displayName: DisplayName, comments: Comments }), user => ({
        User: showUser(user as RamUserDoc),
      })),
  ),
  reads('GetUser', { summary: 'a user', parameters: { UserName }, on: onUser }, (call, { UserName: name }) => ({
    User: showUser(findNamed(call, 'ramUser', name)),
  })),
  writes(
    'UpdateUser',
    {
      summary: 'change how a user is called and described',
      parameters: {
        UserName,
        NewDisplayName: Type.Optional(Type.String({ maxLength: 128 })),
        NewComments: comments,
      },
      on: onUser,
    },
    (call, { UserName: name, NewDisplayName, NewComments }) =>
      renamed(users.updateUser(call, name, { displayName: NewDisplayName, comments: NewComments }), user => ({
        User: showUser(user as RamUserDoc),
      })),
  ),
  reads('ListUsers', { summary: 'users of the account', parameters: pageFields, on: () => 'user/*' }, (call, page) => {
    const { shown, fields } = pageOf(allNamed(call, 'ramUser'), user => user.name, page)
    return { Users: { User: shown.map(showUser) }, ...fields }
  }),
  writes(
    'DeleteUser',
    { summary: 'delete a user that has nothing any more', parameters: { UserName }, on: onUser },
    (call, { UserName: name }) => silent(users.deleteUser(call, name)),
  ),
]

const groupActions: readonly RpcAction[] = [
  writes(
    'CreateGroup',
    { summary: 'make a group of users', parameters: { GroupName, Comments: comments }, on: () => 'group/*' },
    (call, { GroupName: name, Comments }) =>
      renamed(users.createRamGroup(call, { name, comments: Comments }), group => ({
        Group: showGroup(group as RamGroupDoc),
      })),
  ),
  reads('GetGroup', { summary: 'a group', parameters: { GroupName }, on: onGroup }, (call, { GroupName: name }) => ({
    Group: showGroup(findNamed(call, 'ramGroup', name)),
  })),
  reads(
    'ListGroups',
    { summary: 'groups of the account', parameters: pageFields, on: () => 'group/*' },
    (call, page) => {
      const { shown, fields } = pageOf(allNamed(call, 'ramGroup'), group => group.name, page)
      return { Groups: { Group: shown.map(showGroup) }, ...fields }
    },
  ),
  writes(
    'DeleteGroup',
    { summary: 'delete a group without users and policies', parameters: { GroupName }, on: onGroup },
    (call, { GroupName: name }) => silent(users.deleteRamGroup(call, name)),
  ),
  ...(
    [
      ['AddUserToGroup', 'put a user into a group', users.addUserToGroup],
      ['RemoveUserFromGroup', 'take a user out of a group', users.removeUserFromGroup],
    ] as const
  ).map(([name, summary, change]) =>
    writes(
      name,
      {
        summary,
        parameters: { UserName, GroupName },
        on: (given: { UserName: string; GroupName: string }) => [onUser(given), onGroup(given)],
      },
      (call, { UserName: user, GroupName: group }) => silent(change(call, user, group)),
    ),
  ),
  reads(
    'ListUsersForGroup',
    { summary: 'users in a group', parameters: { GroupName, ...pageFields }, on: onGroup },
    (call, { GroupName: name, ...page }) => {
      const { shown, fields } = pageOf(users.usersOfGroup(call, name), ({ user }) => user.name, page)
      const listed = shown.map(({ user, joinedAtMs }) => ({
        UserName: user.name,
        DisplayName: user.displayName ?? '',
        JoinDate: isoSeconds(joinedAtMs),
      }))
      return { Users: { User: listed }, ...fields }
    },
  ),
  reads(
    'ListGroupsForUser',
    { summary: 'groups of a user', parameters: { UserName }, on: onUser },
    (call, { UserName: name }) => ({
      Groups: {
        Group: users.groupsOfUser(call, name).map(({ group, joinedAtMs }) => ({
          GroupId: group.id,
          GroupName: group.name,
          Comments: group.comments ?? '',
          JoinDate: isoSeconds(joinedAtMs),
        })),
      },
    }),
  ),
]

const policyActions: readonly RpcAction[] = [
  writes(
    'CreatePolicy',
    {
      summary: 'make a custom policy',
      parameters: { PolicyName, PolicyDocument: documentText, Description: description },
      on: () => 'policy/*',
    },
    (call, { PolicyName: name, PolicyDocument: document, Description }) =>
      renamed(policies.createPolicy(call, { name, document, description: Description }), policy => ({
        Policy: showCustom(call, policy as RamPolicyDoc),
      })),
  ),
  reads(
    'GetPolicy',
    { summary: 'a policy with its document', parameters: { PolicyType, PolicyName }, on: onPolicy },
    (call, { PolicyType: type, PolicyName: name }) => showPolicy(call, type, name),
  ),
  reads(
    'ListPolicies',
    {
      summary: 'system and custom policies',
      parameters: { PolicyType: Type.Optional(PolicyType), ...pageFields },
      on: () => 'policy/*',
    },
    (call, { PolicyType: type, ...page }) => {
      const all = [
        ...(type === 'Custom' ? [] : systemPolicies.map(policy => showSystem(call, policy))),
        ...(type === 'System' ? [] : allNamed(call, 'ramPolicy').map(policy => showCustom(call, policy))),
      ]
      // Those that there always are come first.
      const orderOf = (policy: (typeof all)[number]) => `${policy.PolicyType === 'System' ? 0 : 1} ${policy.PolicyName}`
      const sorted = all.sort((a, b) => (orderOf(a).toLowerCase() < orderOf(b).toLowerCase() ? -1 : 1))
      const { shown, fields } = pageOf(sorted, orderOf, page)
      return { Policies: { Policy: shown }, ...fields }
    },
  ),
  writes(
    'DeletePolicy',
    { summary: 'delete a custom policy that nobody has', parameters: { PolicyName }, on: onPolicy },
    (call, { PolicyName: name }) => silent(policies.deletePolicy(call, name)),
  ),
  writes(
    'CreatePolicyVersion',
    {
      summary: 'another version of a custom policy, five at most',
      parameters: {
        PolicyName,
        PolicyDocument: documentText,
        SetAsDefault: Type.Optional(Type.Boolean({ default: false })),
        RotateStrategy: Type.Optional(Type.Enum(['None', 'DeleteOldestNonDefaultVersionWhenLimitExceeded'])),
      },
      on: onPolicy,
    },
    (call, { PolicyName: name, PolicyDocument: document, SetAsDefault = false, RotateStrategy = 'None' }) => {
      const given = { document, setAsDefault: SetAsDefault, rotates: RotateStrategy !== 'None' }
      return renamed(policies.createPolicyVersion(call, name, given), made => {
        const { policy, version } = made as ReturnType<ReturnType<typeof policies.createPolicyVersion>['body']>
        return { PolicyVersion: showVersion(policy, version) }
      })
    },
  ),
  reads(
    'GetPolicyVersion',
    {
      summary: 'a version of a policy',
      parameters: { PolicyType: Type.Optional(PolicyType), PolicyName, VersionId },
      on: onPolicy,
    },
    (call, { PolicyType: type = 'Custom', PolicyName: name, VersionId: id }) => {
      if (type === 'System') {
        if (id !== 'v1') throw notExist('Policy.Version', `${name} ${id}`)
        return { PolicyVersion: showPolicy(call, type, name).DefaultPolicyVersion }
      }
      const policy = findNamed(call, 'ramPolicy', name)
      return { PolicyVersion: showVersion(policy, policies.findVersion(policy, id)) }
    },
  ),
  reads(
    'ListPolicyVersions',
    {
      summary: 'versions of a policy',
      parameters: { PolicyType: Type.Optional(PolicyType), PolicyName },
      on: onPolicy,
    },
    (call, { PolicyType: type = 'Custom', PolicyName: name }) => {
      if (type === 'System')
        return { PolicyVersions: { PolicyVersion: [showPolicy(call, type, name).DefaultPolicyVersion] } }
      const policy = findNamed(call, 'ramPolicy', name)
      return { PolicyVersions: { PolicyVersion: policy.versions.map(version => showVersion(policy, version)) } }
    },
  ),
  writes(
    'SetDefaultPolicyVersion',
    { summary: 'which version counts', parameters: { PolicyName, VersionId }, on: onPolicy },
    (call, { PolicyName: name, VersionId: id }) => silent(policies.setDefaultVersion(call, name, id)),
  ),
  writes(
    'DeletePolicyVersion',
    { summary: 'delete a version that does not count', parameters: { PolicyName, VersionId }, on: onPolicy },
    (call, { PolicyName: name, VersionId: id }) => silent(policies.deletePolicyVersion(call, name, id)),
  ),
]

const holders = [
  { word: 'User', kind: 'ramUser', field: 'UserName', schema: UserName },
  { word: 'Group', kind: 'ramGroup', field: 'GroupName', schema: GroupName },
  { word: 'Role', kind: 'ramRole', field: 'RoleName', schema: RoleName },
] as const

/** The name of the user, group or role that a request is about. */
const holderIn = (field: string, given: object) => String((given as Record<string, unknown>)[field])

const attachmentActions: readonly RpcAction[] = holders.flatMap(({ word, kind, field, schema }) => {
  const parameters: TProperties = { PolicyType, PolicyName, [field]: schema }
  const on = (given: { PolicyName: string }) => [`${word.toLowerCase()}/${holderIn(field, given)}`, onPolicy(given)]
  const change = (name: string, summary: string, carryOut: typeof policies.attachPolicy) =>
    writes(name, { summary, parameters, on: on as never }, (call, given) => {
      const { PolicyType: type, PolicyName: policy } = given as { PolicyType: PolicyKind; PolicyName: string }
      return silent(carryOut(call, { kind, holder: holderIn(field, given), type, policy }))
    })
  return [
    change(`AttachPolicyTo${word}`, `give a policy to a ${word.toLowerCase()}`, policies.attachPolicy),
    change(`DetachPolicyFrom${word}`, `take a policy from a ${word.toLowerCase()}`, policies.detachPolicy),
    reads(
      `ListPoliciesFor${word}`,
      {
        summary: `policies of a ${word.toLowerCase()}`,
        parameters: { [field]: schema } as TProperties,
        on: ((given: object) => `${word.toLowerCase()}/${holderIn(field, given)}`) as never,
      },
      (call, given) => ({
        Policies: {
          Policy: findNamed(call, kind, holderIn(field, given)).policies.map(({ type, name, attachedAtMs }) => {
            const { Policy } = showPolicy(call, type, name)
            const { PolicyType: policyType, PolicyName: policyName, Description, DefaultVersion } = Policy
            return {
              PolicyType: policyType,
              PolicyName: policyName,
              Description,
              DefaultVersion,
              AttachDate: isoSeconds(attachedAtMs),
            }
          }),
        },
      }),
    ),
  ]
})

const entitiesAction = reads(
  'ListEntitiesForPolicy',
  { summary: 'who has a policy', parameters: { PolicyType, PolicyName }, on: onPolicy },
  (call, { PolicyType: type, PolicyName: name }) => {
    showPolicy(call, type, name)
    const of = (kind: policies.HolderKind) => policies.holdersOf(call, kind, type, name)
    const when = (ms: number) => ({ AttachDate: isoSeconds(ms) })
    return {
      Users: {
        User: of('ramUser').map(({ doc, attachedAtMs }) => {
          const user = doc as RamUserDoc
          return { UserId: user.id, UserName: user.name, DisplayName: user.displayName ?? '', ...when(attachedAtMs) }
        }),
      },
      Groups: {
        Group: of('ramGroup').map(({ doc, attachedAtMs }) => ({
          GroupName: doc.name,
          Comments: (doc as RamGroupDoc).comments ?? '',
          ...when(attachedAtMs),
        })),
      },
      Roles: {
        Role: of('ramRole').map(({ doc, attachedAtMs }) => {
          const role = doc as RamRoleDoc
          return {
            RoleId: role.id,
            RoleName: role.name,
            Arn: roles.roleArn(role),
            Description: role.description ?? '',
            ...when(attachedAtMs),
          }
        }),
      },
    }
  },
)

const MaxSessionDuration = Type.Optional(
  coded(
    'InvalidParameter.MaxSessionDuration',
    Type.Integer({ minimum: roles.sessionSeconds.usual, maximum: roles.sessionSeconds.most }),
  ),
)

const roleActions: readonly RpcAction[] = [
  writes(
    'CreateRole',
    {
      summary: 'make a role',
      parameters: { RoleName, AssumeRolePolicyDocument: documentText, Description: description, MaxSessionDuration },
      on: () => 'role/*',
    },
    (call, given) => {
      const { RoleName: name, AssumeRolePolicyDocument: trustPolicy, Description } = given
      const wish = { name, trustPolicy, description: Description, maxSessionSeconds: given.MaxSessionDuration }
      return renamed(roles.createRole(call, wish), role => ({ Role: showRoleWhole(role as RamRoleDoc) }))
    },
  ),
  reads(
    'GetRole',
    { summary: 'a role with its trust policy', parameters: { RoleName }, on: onRole },
    (call, { RoleName: name }) => ({
      Role: showRoleWhole(findNamed(call, 'ramRole', name)),
    }),
  ),
  reads('ListRoles', { summary: 'roles of the account', parameters: pageFields, on: () => 'role/*' }, (call, page) => {
    const { shown, fields } = pageOf(allNamed(call, 'ramRole'), role => role.name, page)
    return { Roles: { Role: shown.map(showRole) }, ...fields }
  }),
  writes(
    'UpdateRole',
    {
      summary: 'whom a role trusts, and for how long',
      parameters: {
        RoleName,
        NewAssumeRolePolicyDocument: Type.Optional(documentText),
        NewDescription: description,
        NewMaxSessionDuration: MaxSessionDuration,
      },
      on: onRole,
    },
    (call, given) => {
      const changes = {
        trustPolicy: given.NewAssumeRolePolicyDocument,
        description: given.NewDescription,
        maxSessionSeconds: given.NewMaxSessionDuration,
      }
      return renamed(roles.updateRole(call, given.RoleName, changes), role => ({
        Role: showRoleWhole(role as RamRoleDoc),
      }))
    },
  ),
  writes(
    'DeleteRole',
    { summary: 'delete a role without policies', parameters: { RoleName }, on: onRole },
    (call, { RoleName: name }) => silent(roles.deleteRole(call, name)),
  ),
]

const keyOwner = { UserName: Type.Optional(UserName) }
const UserAccessKeyId = Type.String({ maxLength: 128 })

/** Whose keys are meant: those of the user named, else of who asks. @throws {ApiError} 400 for a session, which has none */
function ownerOf({ principal }: Pick<RpcCall<never>, 'principal'>, name: string | undefined): keys.Owner {
  if (name !== undefined) return name
  if (principal.kind === 'account') return null
  if (principal.kind === 'user') return principal.name
  throw new ApiError(400, 'MissingParameter.UserName', 'Cannot tell whose access keys are meant: expected UserName')
}

/** Without a name it is who asks. */
function onOwner({ UserName: name }: { readonly UserName?: string }, call: Pick<RpcCall<never>, 'principal'>): string {
  return `user/${ownerOf(call, name) ?? '*'}`
}

const keyActions: readonly RpcAction[] = [
  writes(
    'CreateAccessKey',
    { summary: 'make an access key; its secret is shown once', parameters: keyOwner, on: onOwner, isSecret: true },
    (call, { UserName: name }, rpc) =>
      renamed(keys.createAccessKey(call, ownerOf(rpc, name), rpc.api.sealer), made => {
        const { key, secret } = made as keys.MadeKey
        return {
          AccessKey: {
            AccessKeyId: key.id,
            AccessKeySecret: secret,
            Status: key.status,
            CreateDate: isoSeconds(key.createdAtMs),
          },
        }
      }),
  ),
  reads(
    'ListAccessKeys',
    { summary: 'access keys of a user', parameters: keyOwner, on: onOwner },
    (call, { UserName: name }, rpc) => {
      const owner = ownerOf(rpc, name)
      if (owner !== null) findNamed(call, 'ramUser', owner)
      const shown = keys.keysOf(call, owner).map(({ id, status, createdAtMs }) => ({
        AccessKeyId: id,
        Status: status,
        CreateDate: isoSeconds(createdAtMs),
      }))
      return { AccessKeys: { AccessKey: shown } }
    },
  ),
  reads(
    'GetAccessKeyLastUsed',
    { summary: 'when a key was used last', parameters: { ...keyOwner, UserAccessKeyId }, on: onOwner },
    (call, { UserName: name, UserAccessKeyId: id }, rpc) => {
      if (!keys.keysOf(call, ownerOf(rpc, name)).some(key => key.id === id)) throw notExist('User.AccessKey', id)
      const use = rpc.api.keyUsage.of(id)
      return { AccessKeyLastUsed: { LastUsedDate: use === undefined ? '' : isoSeconds(use.atMs) } }
    },
  ),
  writes(
    'UpdateAccessKey',
    {
      summary: 'switch an access key off and on',
      parameters: {
        ...keyOwner,
        UserAccessKeyId,
        Status: coded('InvalidParameter.Status', Type.Enum(['Active', 'Inactive'])),
      },
      on: onOwner,
    },
    (call, { UserName: name, UserAccessKeyId: id, Status }, rpc) =>
      silent(keys.updateAccessKey(call, ownerOf(rpc, name), id, Status)),
  ),
  writes(
    'DeleteAccessKey',
    { summary: 'delete an access key', parameters: { ...keyOwner, UserAccessKeyId }, on: onOwner },
    (call, { UserName: name, UserAccessKeyId: id }, rpc) => silent(keys.deleteAccessKey(call, ownerOf(rpc, name), id)),
  ),
]

export const ramActions: readonly RpcAction[] = [
  ...userActions,
  ...groupActions,
  ...policyActions,
  ...attachmentActions,
  entitiesAction,
  ...roleActions,
  ...keyActions,
]
