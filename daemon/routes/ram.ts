/** `/v1/ram/…`: users, groups and roles of accounts, what policies they have, and what a user may. Policies: ram-policies.ts. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { ringwallResource } from '../ram/resource-names.ts'
import { rpcActions } from '../rpc/actions.ts'
import { resourcesOfAction } from '../rpc/describe.ts'
import { idParam } from '../schemas/fields.ts'
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
import { userArn } from '../services/ram/identity.ts'
import { attachPolicy, detachPolicy, type HolderKind } from '../services/ram/policies.ts'
import { entityNames, findNamed } from '../services/ram/ram-call.ts'
import { createRole, deleteRole, roleArn, updateRole } from '../services/ram/roles.ts'
import { groupArn, policyTypeOf, showRamGroup, showRamRole, showRamUser } from '../services/ram/show.ts'
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
import { readTime, refuseQuery } from './query.ts'
import {
  accountQuery,
  addDeleteRoute,
  addLookRoutes,
  idOf,
  type Named,
  namedSubject,
  ramCall,
  ramTag,
  ramUrl,
  type Shown,
  told,
} from './ram-route.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const userParams = Type.Object({ userName: idParam('The user.') })
const groupParams = Type.Object({ groupName: idParam('The group.') })
const roleParams = Type.Object({ roleName: idParam('The role.') })

const users: Shown<'ramUser', typeof ramUserSchema> = {
  kind: 'ramUser',
  folder: 'users',
  nameField: 'userName',
  params: userParams,
  schema: ramUserSchema,
  arnOf: userArn,
  show: (_, user, revisionOf) => showRamUser(user, revisionOf('ramUser', idOf(user))),
}
const groups: Shown<'ramGroup', typeof ramGroupSchema> = {
  kind: 'ramGroup',
  folder: 'groups',
  nameField: 'groupName',
  params: groupParams,
  schema: ramGroupSchema,
  arnOf: groupArn,
  show: (call, group, revisionOf) => showRamGroup(call, group, revisionOf('ramGroup', idOf(group))),
}
const roles: Shown<'ramRole', typeof ramRoleSchema> = {
  kind: 'ramRole',
  folder: 'roles',
  nameField: 'roleName',
  params: roleParams,
  schema: ramRoleSchema,
  arnOf: roleArn,
  show: (_, role, revisionOf) => showRamRole(role, revisionOf('ramRole', idOf(role))),
}

export function addRamRoutes(app: FastifyInstance, api: Api): void {
  addUserRoutes(app, api)
  addGroupRoutes(app, api)
  addRoleRoutes(app, api)
  for (const holder of [users, groups, roles]) addAttachmentRoutes(app, api, holder)
}

function addUserRoutes(app: FastifyInstance, api: Api): void {
  const url = '/v1/ram/users'
  const userUrl = ramUrl(users)
  const answer = Type.Object({ user: ramUserSchema })
  const subject = namedSubject('ramUser', 'userName')

  addLookRoutes(app, api, users, { list: 'List users', read: 'Read a user with its groups and policies' })

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
          ? (resourcesOfAction(rpcActions, action, owner) ?? [ringwallResource(owner)])
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
      const call = ramCall(world, input, 'write')
      return told(createUser(call, given), (user, revisionOf) => ({ user: users.show(call, user, revisionOf) }))
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
    plan(world, input) {
      const call = ramCall(world, input, 'write')
      return told(updateUser(call, input.params.userName, input.body), (user, revisionOf) => ({
        user: users.show(call, user, revisionOf),
      }))
    },
  })

  const text = {
    summary: 'Delete a user',
    description: 'Refused while it has access keys, API tokens, groups or policies.',
  }
  addDeleteRoute(app, api, users, text, deleteUser)
}

function addGroupRoutes(app: FastifyInstance, api: Api): void {
  const url = '/v1/ram/groups'
  const groupUrl = ramUrl(groups)
  const answer = Type.Object({ group: ramGroupSchema })

  addLookRoutes(app, api, groups, {
    list: 'List groups of users',
    read: 'Read a group with its users and policies',
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
        group: groups.show(call, group, revisionOf),
      }))
    },
  })

  const text = { summary: 'Delete a group', description: 'Refused while it has users or policies.' }
  addDeleteRoute(app, api, groups, text, deleteRamGroup)

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
  const roleUrl = ramUrl(roles)
  const answer = Type.Object({ role: ramRoleSchema })
  const subject = namedSubject('ramRole', 'roleName')

  addLookRoutes(app, api, roles, { list: 'List roles', read: 'Read a role with its trust policy and policies' })

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
      const call = ramCall(world, input, 'write')
      return told(createRole(call, given), (role, revisionOf) => ({ role: roles.show(call, role, revisionOf) }))
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
      const call = ramCall(world, input, 'write')
      return told(updateRole(call, input.params.roleName, changes), (role, revisionOf) => ({
        role: roles.show(call, role, revisionOf),
      }))
    },
  })

  const text = { summary: 'Delete a role; its sessions end', description: 'Refused while it has policies.' }
  addDeleteRoute(app, api, roles, text, deleteRole)
}

function addAttachmentRoutes(app: FastifyInstance, api: Api, holder: Named<HolderKind>): void {
  const { kind, nameField, params } = holder
  const word = entityNames[kind]
  for (const [method, verb, action, change] of [
    ['PUT', 'Give a policy to a', `ram:AttachPolicyTo${word}`, attachPolicy],
    ['DELETE', 'Take a policy from a', `ram:DetachPolicyFrom${word}`, detachPolicy],
  ] as const) {
    addWriteRoute(app, api, {
      method,
      url: `${ramUrl(holder)}/policies/:policyName`,
      summary: `${verb} ${word.toLowerCase()}`,
      tag: ramTag,
      action,
      params: Type.Object({
        ...params.properties,
        policyName: Type.String({ description: 'The policy.', maxLength: 128 }),
      }),
      query: accountQuery,
      answer: Type.Object({ [nameField]: Type.String(), policyType: Type.String(), policyName: Type.String() }),
      subject: namedSubject(kind, nameField),
      plan(world, input) {
        const call = ramCall(world, input, 'write')
        const { [nameField]: name = '', policyName: policy = '' } = input.params as Readonly<Record<string, string>>
        const type = policyTypeOf(world, call.accountId, policy)
        return told(change(call, { kind, holder: name, type, policy }), () => ({
          [nameField]: name,
          policyType: type,
          policyName: policy,
        }))
      },
    })
  }
}
