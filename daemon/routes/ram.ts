/** `/v1/ram/…`: users, groups and roles of accounts, what policies they have, and what a user may. Policies: ram-policies.ts. */
import type { FastifyInstance } from 'fastify'
import Type, { type TObject } from 'typebox'
import { ramId } from '../model/ram.ts'
import { ringwallResource } from '../ram/resource-names.ts'
import { rpcActions } from '../rpc/actions.ts'
import { resourcesOfAction } from '../rpc/describe.ts'
import { accountIdField, idParam } from '../schemas/fields.ts'
import {
  createRamGroupSchema,
  createRamRoleSchema,
  createRamUserSchema,
  modifyRamRoleSchema,
  modifyRamUserSchema,
  ramGroupSchema,
  ramRoleSchema,
  ramUserSchema,
  simulationSchema,
} from '../schemas/ram.ts'
import type { Plan, RevisionOf } from '../services/executor.ts'
import { accountFor, mayRead, type Principal } from '../services/principal.ts'
import { attachPolicy, detachPolicy, type HolderKind } from '../services/ram/policies.ts'
import { findNamed, type NamedKind, type RamCall } from '../services/ram/ram-call.ts'
import { createRole, deleteRole, updateRole } from '../services/ram/roles.ts'
import { policyTypeOf, showRamGroup, showRamRole, showRamUser } from '../services/ram/show.ts'
import { resourceMeant, simulate } from '../services/ram/simulate.ts'
import {
  addUserToGroup,
  createRamGroup,
  createUser,
  deleteRamGroup,
  deleteUser,
  removeUserFromGroup,
  updateUser,
} from '../services/ram/users.ts'
import type { World } from '../state/world.ts'
import { addListRoute, fieldFilter, wildcardFilter } from './listing.ts'
import { readTime, refuseQuery } from './query.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

export const ramTag = 'Access control'

/** Names are unique within an account. */
export const accountQuery = Type.Object({
  accountId: Type.Optional(accountIdField('The account; the only one there is for the token if left out.')),
})
interface Asked {
  readonly principal: Principal
  readonly query: { readonly accountId?: string }
  readonly nowMs?: number
}

export function ramCall(world: World, { principal, query, nowMs = 0 }: Asked, access: 'read' | 'write'): RamCall {
  return { world, accountId: accountFor(world, principal, query.accountId, access), nowMs }
}

/** What `If-Match` is about. @param field  of the path, with the name */
export const namedSubject =
  <K extends NamedKind>(kind: K, field: string) =>
  (params: unknown, asked: Omit<Asked, 'nowMs'> & { readonly world: World }) => {
    const { accountId } = ramCall(asked.world, asked, 'write')
    return { kind, id: ramId(accountId, (params as Readonly<Record<string, string>>)[field] ?? '') }
  }

/** A plan whose answer is told otherwise. */
export function told<Made, Body>(plan: Plan<Made>, tell: (made: Made, revisionOf: RevisionOf) => Body): Plan<Body> {
  return { writes: plan.writes, body: revisionOf => tell(plan.body(revisionOf), revisionOf) }
}

export const named = ({ accountId, name }: { readonly accountId: string; readonly name: string }) =>
  ramId(accountId, name)

const userParams = Type.Object({ userName: idParam('The user.') })
const groupParams = Type.Object({ groupName: idParam('The group.') })
const roleParams = Type.Object({ roleName: idParam('The role.') })
const accountFilter = <T extends { accountId: string | null }>(what: string) =>
  fieldFilter<T>('accountId', `${what} of this account.`)

export function addRamRoutes(app: FastifyInstance, api: Api): void {
  addUserRoutes(app, api)
  addGroupRoutes(app, api)
  addRoleRoutes(app, api)
  for (const holder of holders) addAttachmentRoutes(app, api, holder)
}

function addUserRoutes(app: FastifyInstance, api: Api): void {
  const url = '/v1/ram/users'
  const userUrl = `${url}/:userName`
  const answer = Type.Object({ user: ramUserSchema })
  const subject = namedSubject('ramUser', 'userName')

  addListRoute(app, api, {
    url,
    summary: 'List users',
    tag: ramTag,
    item: ramUserSchema,
    idField: 'arn',
    filters: { accountId: accountFilter('Users'), userName: wildcardFilter('userName', 'Users of this name.') },
    sortFields: ['userName', 'createTime'],
    *items(world, { principal }) {
      for (const user of world.all('ramUser')) {
        if (mayRead(principal, user.accountId)) yield showRamUser(user, world.revisionOf('ramUser', named(user)))
      }
    },
  })

  addReadRoute(app, api, {
    url: userUrl,
    summary: 'Read a user with its groups and policies',
    tag: ramTag,
    params: userParams,
    query: accountQuery,
    answer,
    etag: 'user',
    read(world, input) {
      const user = findNamed(ramCall(world, input, 'read'), 'ramUser', input.params.userName)
      return { user: showRamUser(user, world.revisionOf('ramUser', named(user))) }
    },
  })

  addReadRoute(app, api, {
    url: `${userUrl}/simulate`,
    summary: 'Say whether a user may do something, and which statements decide',
    description: 'As if he asked now, by the address and at the time that are given. Nothing is done.',
    tag: ramTag,
    params: userParams,
    query: Type.Object({
      ...accountQuery.properties,
      action: Type.String({ description: 'ecs:AuthorizeSecurityGroup, say.', maxLength: 200 }),
      resource: Type.Optional(
        Type.String({
          description:
            'An id such as sg-web, user/NAME, or a whole name acs:…; all that it can be done to if left out.',
          maxLength: 512,
        }),
      ),
      sourceAddress: Type.Optional(
        Type.String({ description: 'From where he asks; 127.0.0.1 if left out.', format: 'ip', maxLength: 64 }),
      ),
      secure: Type.Optional(Type.Boolean({ description: 'Whether by TLS.', default: true })),
      time: Type.Optional(Type.String({ description: 'When, ISO 8601; now if left out.', maxLength: 40 })),
    }),
    answer: Type.Object({ simulation: simulationSchema }),
    read(world, input) {
      const { params, query, nowMs } = input
      const { action, resource, sourceAddress = '127.0.0.1', secure = true, time } = query
      if (!/^[a-z][\w-]*:\w+$/i.test(action)) {
        const message = `Cannot judge action "${action}": expected one such as ecs:AuthorizeSecurityGroup`
        throw refuseQuery('?action', message, action)
      }
      const call = ramCall(world, input, 'read')
      const user = findNamed(call, 'ramUser', params.userName)
      const facts = { sourceAddress, isSecure: secure, nowMs: readTime(time, '?time') ?? nowMs }
      const owner = { regionId: api.regionId, accountId: call.accountId }
      const resources =
        resource === undefined
          ? (resourcesOfAction(rpcActions, action, owner) ?? [ringwallResource(owner, '*')])
          : [resourceMeant(world, owner, resource)]
      return { simulation: simulate(world, user, { action, resources, facts }) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a user, who may nothing yet',
    tag: ramTag,
    action: 'ram:CreateUser',
    query: accountQuery,
    body: createRamUserSchema,
    status: 201,
    answer,
    etag: 'user',
    plan(world, input) {
      const { userName: name, displayName, comments } = input.body
      const given = { name, displayName: displayName ?? undefined, comments: comments ?? undefined }
      return told(createUser(ramCall(world, input, 'write'), given), (user, revisionOf) => ({
        user: showRamUser(user, revisionOf('ramUser', named(user))),
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: userUrl,
    summary: 'Change how a user is called and described',
    tag: ramTag,
    action: 'ram:UpdateUser',
    params: userParams,
    query: accountQuery,
    body: modifyRamUserSchema,
    answer,
    etag: 'user',
    subject,
    plan: (world, input) =>
      told(updateUser(ramCall(world, input, 'write'), input.params.userName, input.body), (user, revisionOf) => ({
        user: showRamUser(user, revisionOf('ramUser', named(user))),
      })),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: userUrl,
    summary: 'Delete a user',
    description: 'Refused while it has access keys, API tokens, groups or policies.',
    tag: ramTag,
    action: 'ram:DeleteUser',
    params: userParams,
    query: accountQuery,
    answer: Type.Object({ userName: Type.String() }),
    subject,
    plan: (world, input) =>
      told(deleteUser(ramCall(world, input, 'write'), input.params.userName), () => ({
        userName: input.params.userName,
      })),
  })
}

function addGroupRoutes(app: FastifyInstance, api: Api): void {
  const url = '/v1/ram/groups'
  const groupUrl = `${url}/:groupName`
  const answer = Type.Object({ group: ramGroupSchema })

  addListRoute(app, api, {
    url,
    summary: 'List groups of users',
    tag: ramTag,
    item: ramGroupSchema,
    idField: 'arn',
    filters: { accountId: accountFilter('Groups'), groupName: wildcardFilter('groupName', 'Groups of this name.') },
    sortFields: ['groupName', 'createTime'],
    *items(world, { principal, nowMs }) {
      for (const group of world.all('ramGroup')) {
        const { accountId } = group
        if (!mayRead(principal, accountId)) continue
        yield showRamGroup({ world, accountId, nowMs }, group, world.revisionOf('ramGroup', named(group)))
      }
    },
  })

  addReadRoute(app, api, {
    url: groupUrl,
    summary: 'Read a group with its users and policies',
    tag: ramTag,
    params: groupParams,
    query: accountQuery,
    answer,
    etag: 'group',
    read(world, input) {
      const call = ramCall(world, input, 'read')
      const group = findNamed(call, 'ramGroup', input.params.groupName)
      return { group: showRamGroup(call, group, world.revisionOf('ramGroup', named(group))) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a group of users',
    tag: ramTag,
    action: 'ram:CreateGroup',
    query: accountQuery,
    body: createRamGroupSchema,
    status: 201,
    answer,
    etag: 'group',
    plan(world, input) {
      const call = ramCall(world, input, 'write')
      const { groupName: name, comments } = input.body
      return told(createRamGroup(call, { name, comments: comments ?? undefined }), (group, revisionOf) => ({
        group: showRamGroup(call, group, revisionOf('ramGroup', named(group))),
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: groupUrl,
    summary: 'Delete a group',
    description: 'Refused while it has users or policies.',
    tag: ramTag,
    action: 'ram:DeleteGroup',
    params: groupParams,
    query: accountQuery,
    answer: Type.Object({ groupName: Type.String() }),
    subject: namedSubject('ramGroup', 'groupName'),
    plan: (world, input) =>
      told(deleteRamGroup(ramCall(world, input, 'write'), input.params.groupName), () => ({
        groupName: input.params.groupName,
      })),
  })

  for (const [method, summary, action, change] of [
    ['PUT', 'Put a user into a group', 'ram:AddUserToGroup', addUserToGroup],
    ['DELETE', 'Take a user out of a group', 'ram:RemoveUserFromGroup', removeUserFromGroup],
  ] as const) {
    addWriteRoute(app, api, {
      method,
      url: `${groupUrl}/users/:userName`,
      summary,
      tag: ramTag,
      action,
      params: Type.Object({ ...groupParams.properties, ...userParams.properties }),
      query: accountQuery,
      answer: Type.Object({ groupName: Type.String(), userName: Type.String() }),
      subject: namedSubject('ramUser', 'userName'),
      plan(world, input) {
        const { groupName, userName } = input.params
        return told(change(ramCall(world, input, 'write'), userName, groupName), () => ({ groupName, userName }))
      },
    })
  }
}

function addRoleRoutes(app: FastifyInstance, api: Api): void {
  const url = '/v1/ram/roles'
  const roleUrl = `${url}/:roleName`
  const answer = Type.Object({ role: ramRoleSchema })
  const subject = namedSubject('ramRole', 'roleName')

  addListRoute(app, api, {
    url,
    summary: 'List roles',
    tag: ramTag,
    item: ramRoleSchema,
    idField: 'arn',
    filters: { accountId: accountFilter('Roles'), roleName: wildcardFilter('roleName', 'Roles of this name.') },
    sortFields: ['roleName', 'createTime'],
    *items(world, { principal }) {
      for (const role of world.all('ramRole')) {
        if (mayRead(principal, role.accountId)) yield showRamRole(role, world.revisionOf('ramRole', named(role)))
      }
    },
  })

  addReadRoute(app, api, {
    url: roleUrl,
    summary: 'Read a role with its trust policy and policies',
    tag: ramTag,
    params: roleParams,
    query: accountQuery,
    answer,
    etag: 'role',
    read(world, input) {
      const role = findNamed(ramCall(world, input, 'read'), 'ramRole', input.params.roleName)
      return { role: showRamRole(role, world.revisionOf('ramRole', named(role))) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a role',
    tag: ramTag,
    action: 'ram:CreateRole',
    query: accountQuery,
    body: createRamRoleSchema,
    status: 201,
    answer,
    etag: 'role',
    plan(world, input) {
      const { roleName: name, trustPolicy, description, maxSessionSeconds } = input.body
      const given = {
        name,
        trustPolicy: JSON.stringify(trustPolicy),
        description: description ?? undefined,
        maxSessionSeconds,
      }
      return told(createRole(ramCall(world, input, 'write'), given), (role, revisionOf) => ({
        role: showRamRole(role, revisionOf('ramRole', named(role))),
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: roleUrl,
    summary: 'Change who may assume a role, and for how long',
    description: 'Sessions there are stay.',
    tag: ramTag,
    action: 'ram:UpdateRole',
    params: roleParams,
    query: accountQuery,
    body: modifyRamRoleSchema,
    answer,
    etag: 'role',
    subject,
    plan(world, input) {
      const { trustPolicy, ...others } = input.body
      const changes = { ...others, ...(trustPolicy !== undefined && { trustPolicy: JSON.stringify(trustPolicy) }) }
      return told(updateRole(ramCall(world, input, 'write'), input.params.roleName, changes), (role, revisionOf) => ({
        role: showRamRole(role, revisionOf('ramRole', named(role))),
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: roleUrl,
    summary: 'Delete a role; its sessions end',
    description: 'Refused while it has policies.',
    tag: ramTag,
    action: 'ram:DeleteRole',
    params: roleParams,
    query: accountQuery,
    answer: Type.Object({ roleName: Type.String() }),
    subject,
    plan: (world, input) =>
      told(deleteRole(ramCall(world, input, 'write'), input.params.roleName), () => ({
        roleName: input.params.roleName,
      })),
  })
}

interface Holder {
  readonly kind: HolderKind
  readonly word: 'User' | 'Group' | 'Role'
  readonly folder: string
  readonly params: TObject
}

const holders: readonly Holder[] = [
  { kind: 'ramUser', word: 'User', folder: 'users', params: userParams },
  { kind: 'ramGroup', word: 'Group', folder: 'groups', params: groupParams },
  { kind: 'ramRole', word: 'Role', folder: 'roles', params: roleParams },
]

function addAttachmentRoutes(app: FastifyInstance, api: Api, { kind, word, folder, params }: Holder): void {
  const field = `${word.toLowerCase()}Name`
  for (const [method, verb, action, change] of [
    ['PUT', 'Give a policy to a', `ram:AttachPolicyTo${word}`, attachPolicy],
    ['DELETE', 'Take a policy from a', `ram:DetachPolicyFrom${word}`, detachPolicy],
  ] as const) {
    addWriteRoute(app, api, {
      method,
      url: `/v1/ram/${folder}/:${field}/policies/:policyName`,
      summary: `${verb} ${word.toLowerCase()}`,
      tag: ramTag,
      action,
      params: Type.Object({
        ...params.properties,
        policyName: Type.String({ description: 'The policy.', maxLength: 128 }),
      }),
      query: accountQuery,
      answer: Type.Object({ [field]: Type.String(), policyType: Type.String(), policyName: Type.String() }),
      subject: namedSubject(kind, field),
      plan(world, input) {
        const call = ramCall(world, input, 'write')
        const { [field]: holder = '', policyName: policy = '' } = input.params as Readonly<Record<string, string>>
        const type = policyTypeOf(world, call.accountId, policy)
        return told(change(call, { kind, holder, type, policy }), () => ({
          [field]: holder,
          policyType: type,
          policyName: policy,
        })) as never
      },
    })
  }
}
