/** `/v1/security-groups` and `/v1/security-group-templates` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam, isoTime, modeField } from '../schemas/fields.ts'
import {
  cloneGroupSchema,
  createGroupSchema,
  defaultGroupSchema,
  type GroupTypeWord,
  groupWithRulesSchema,
  memberSchema,
  modifyGroupSchema,
  referencesSchema,
  securityGroupSchema,
  templatesSchema,
} from '../schemas/security-groups.ts'
import { modeOf } from '../services/modes.ts'
import { exportRule } from '../services/permissions.ts'
import { readable, visible, writable } from '../services/principal.ts'
import { ruleActionsOf } from '../services/rule-actions.ts'
import {
  cloneGroup,
  createGroup,
  deleteGroup,
  groupTypeOf,
  membersOf,
  modifyGroup,
  provideDefaultGroup,
  showGroup,
  showGroupWithRules,
  showMember,
  showReferences,
} from '../services/security-groups.ts'
import { servicePorts, templateNames, templates } from '../services/templates.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Security groups'
const createAction = 'ecs:CreateSecurityGroup'
export const groupParams = Type.Object({ securityGroupId: idParam('The security group.') })
export const groupSubject = ({ securityGroupId }: { securityGroupId: string }) =>
  ({ kind: 'group', id: securityGroupId }) as const

export function addSecurityGroupRoutes(app: FastifyInstance, api: Api): void {
  addReadRoutes(app, api)
  addMakingRoutes(app, api)

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: '/v1/security-groups/:securityGroupId',
    summary: 'Change a security group',
    tag,
    description: 'With `mode` or `innerAccessPolicy` the action is `ecs:ModifySecurityGroupPolicy`.',
    action: 'ecs:ModifySecurityGroupAttribute',
    params: groupParams,
    body: modifyGroupSchema,
    answer: Type.Object({ securityGroup: securityGroupSchema }),
    etag: 'securityGroup',
    subject: groupSubject,
    plan(world, { principal, params, body, nowMs }) {
      const group = writable(world, principal, 'group', params.securityGroupId)
      return modifyGroup({ world, principal, group, nowMs }, body)
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/security-groups/:securityGroupId',
    summary: 'Delete a security group',
    description: 'Refused while network interfaces are in it or rules of other groups name it.',
    tag,
    action: 'ecs:DeleteSecurityGroup',
    params: groupParams,
    answer: Type.Object({ securityGroupId: Type.String() }),
    subject: groupSubject,
    plan(world, { principal, params, nowMs }) {
      const group = writable(world, principal, 'group', params.securityGroupId)
      return deleteGroup({ world, principal, group, nowMs })
    },
  })
}

function addReadRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url: '/v1/security-groups',
    summary: 'List security groups',
    tag,
    sources: (world, { principal }) => readable(world, principal, 'group'),
    item: securityGroupSchema,
    show: ({ doc, revision }, world) => showGroup(world, doc, revision),
    idField: 'securityGroupId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Groups of this account.' },
      securityGroupName: { like: ({ doc }) => doc.name, description: 'Groups of this name.' },
      vpcId: {
        equals: ({ doc }) => doc.vpcId,
        description: 'Groups in this VPC; empty for those in none that has a name.',
      },
      networkType: {
        equals: ({ doc }) => doc.networkType,
        description: 'vpc or classic.',
        schema: securityGroupSchema.properties.networkType,
      },
      mode: {
        equals: ({ doc }) => modeOf(doc),
        description: 'Groups of this mode, enforce or observe.',
        schema: modeField,
      },
      securityGroupType: {
        test(text) {
          const type = groupTypeOf(text as GroupTypeWord)
          return ({ doc }) => doc.type === type
        },
        description: 'normal (or basic), or enterprise (or advanced).',
        schema: createGroupSchema.properties.securityGroupType,
      },
    },
    sorts: { securityGroupName: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
    tagsOf: ({ doc }) => doc.tags,
  })

  addReadRoute(app, api, {
    url: '/v1/security-groups/:securityGroupId',
    summary: 'Read a security group and its rules',
    tag,
    params: groupParams,
    answer: groupWithRulesSchema,
    etag: 'securityGroup',
    read(world, { principal, params: { securityGroupId } }) {
      const group = visible(world, principal, 'group', securityGroupId)
      return showGroupWithRules(world, group, world.revisionOf('group', group.id))
    },
  })

  addReadRoute(app, api, {
    url: '/v1/security-groups/:securityGroupId/references',
    summary: 'Which rules of other groups name a security group',
    tag,
    params: groupParams,
    answer: referencesSchema,
    read(world, { principal, params: { securityGroupId } }) {
      return showReferences({ world, principal, group: visible(world, principal, 'group', securityGroupId) })
    },
  })

  addListRoute(app, api, {
    url: '/v1/security-groups/:securityGroupId/members',
    summary: 'List the network interfaces in a security group',
    tag,
    params: groupParams,
    sources: (world, { principal, params: { securityGroupId } }) =>
      membersOf({ world, principal, group: visible(world, principal, 'group', securityGroupId) }),
    item: memberSchema,
    show: showMember,
    idField: 'networkInterfaceId',
    idOf: ({ id }) => id,
  })

  addReadRoute(app, api, {
    url: '/v1/security-group-templates',
    summary: 'Templates of groups, and services by name',
    tag,
    answer: templatesSchema,
    read: () => ({
      templates: templateNames.map(template => ({ template, permissions: templates[template].map(exportRule) })),
      services: [...servicePorts].map(([service, port]) => ({
        service,
        ipProtocol: 'tcp' as const,
        portRange: `${port}/${port}`,
      })),
    }),
  })
}

function addMakingRoutes(app: FastifyInstance, api: Api): void {
  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/security-groups',
    summary: 'Make a security group',
    tag,
    action: createAction,
    actionsOf: changes => [createAction, ...ruleActionsOf(changes)],
    body: createGroupSchema,
    status: 201,
    answer: groupWithRulesSchema,
    etag: 'securityGroup',
    plan: (world, { principal, body, nowMs }) => createGroup({ world, principal, nowMs }, body),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/security-groups/default',
    summary: 'The default group of an account and network, made if there is none',
    tag,
    action: createAction,
    body: defaultGroupSchema,
    answer: groupWithRulesSchema,
    etag: 'securityGroup',
    plan: (world, { principal, body, nowMs }) => provideDefaultGroup({ world, principal, nowMs }, body),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/security-groups/:securityGroupId/clone',
    summary: 'Copy a security group with its rules',
    description:
      'What is left out is as in the original. Every rule must be allowed in the type and network of the copy; rules that name the original itself name the copy. The copy is enforced.',
    tag,
    action: createAction,
    actionsOf: changes => [createAction, ...ruleActionsOf(changes)],
    params: groupParams,
    body: cloneGroupSchema,
    status: 201,
    answer: groupWithRulesSchema,
    etag: 'securityGroup',
    subject: groupSubject,
    plan(world, { principal, params, body, nowMs }) {
      const group = visible(world, principal, 'group', params.securityGroupId)
      return cloneGroup({ world, principal, group, nowMs }, body)
    },
  })
}
