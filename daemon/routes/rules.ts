/** `/v1/security-groups/{securityGroupId}/rules` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { ruleProtocols } from '../../rules-compiler/address/protocol.ts'
import { fieldError } from '../errors.ts'
import type { RuleDoc } from '../model/documents.ts'
import { idParam, isoTime } from '../schemas/fields.ts'
import { authorizeSchema, modifyRuleSchema, permissionSchema, revokeSchema } from '../schemas/rules.ts'
import { showPermission } from '../services/permissions.ts'
import { type Principal, visible, writable } from '../services/principal.ts'
import { ruleActionsOf } from '../services/rule-actions.ts'
import { authorize, deleteRule, type GroupCall, modifyRule, revoke } from '../services/rules.ts'
import type { World } from '../state/world.ts'
import { addListRoute } from './listing.ts'
import { refuseQuery } from './query.ts'
import { type Api, addWriteRoute } from './route.ts'
import { groupParams, groupSubject } from './security-groups.ts'

const tag = 'Rules'
const url = '/v1/security-groups/:securityGroupId/rules'
const ruleUrl = `${url}/:securityGroupRuleId`
const ruleParams = Type.Object({ ...groupParams.properties, securityGroupRuleId: idParam('The rule.') })
const permissions = Type.Array(permissionSchema)

interface RuleInput {
  readonly principal: Principal
  readonly params: { readonly securityGroupId: string }
  readonly nowMs: number
}

function callFor(world: World, { principal, params, nowMs }: RuleInput): GroupCall {
  return { world, principal, group: writable(world, principal, 'group', params.securityGroupId), nowMs }
}

/** In upper or lower case, as in a rule. */
function ofProtocol(text: string) {
  const protocol = text.toLowerCase()
  if (ruleProtocols.some(known => known === protocol)) return (rule: RuleDoc) => rule.ipProtocol === protocol
  const { message } = fieldError('invalid-value', '', {
    action: 'read protocol',
    value: text,
    expected: `one of ${ruleProtocols.join(', ')}`,
  })
  throw refuseQuery('?ipProtocol', message, text)
}

export function addRuleRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url,
    summary: 'List the rules of a security group',
    tag,
    params: groupParams,
    sources: (world, { principal, params: { securityGroupId } }) =>
      visible(world, principal, 'group', securityGroupId).rules,
    item: permissionSchema,
    show: showPermission,
    idField: 'securityGroupRuleId',
    idOf: ({ id }) => id,
    filters: {
      direction: {
        equals: ({ direction }) => direction,
        description: 'ingress or egress.',
        schema: permissionSchema.properties.direction,
      },
      policy: {
        equals: ({ policy }) => policy,
        description: 'accept or drop.',
        schema: permissionSchema.properties.policy,
      },
      ipProtocol: { test: ofProtocol, description: 'Rules that name this protocol.' },
    },
    sorts: { priority: ({ priority }) => priority, createTime: ({ createdAtMs }) => isoTime(createdAtMs) },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Add rules to a security group',
    description: 'All or none. A rule that is there already is answered as it is.',
    tag,
    action: 'ecs:AuthorizeSecurityGroup',
    actionsOf: changes => ruleActionsOf(changes),
    params: groupParams,
    body: authorizeSchema,
    answer: Type.Object({ permissions }),
    subject: groupSubject,
    plan: (world, input) => authorize(callFor(world, input), input.body),
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: ruleUrl,
    summary: 'Change a rule',
    description: 'null clears a field. The rule keeps its id, and must not become the same as another.',
    tag,
    action: 'ecs:ModifySecurityGroupRule',
    actionsOf: changes => ruleActionsOf(changes),
    params: ruleParams,
    body: modifyRuleSchema,
    answer: Type.Object({ permission: permissionSchema }),
    subject: groupSubject,
    plan: (world, input) => modifyRule(callFor(world, input), input.params.securityGroupRuleId, input.body),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: ruleUrl,
    summary: 'Take a rule out of a security group',
    tag,
    action: 'ecs:RevokeSecurityGroup',
    actionsOf: changes => ruleActionsOf(changes),
    params: ruleParams,
    answer: Type.Object({ securityGroupRuleId: Type.String() }),
    subject: groupSubject,
    plan: (world, input) => deleteRule(callFor(world, input), input.params.securityGroupRuleId),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: `${url}/revoke`,
    summary: 'Take rules out of a security group, by id or by what they say',
    description: 'By id each must be there; of what is given by content, what is not there is left alone.',
    tag,
    action: 'ecs:RevokeSecurityGroup',
    actionsOf: changes => ruleActionsOf(changes),
    params: groupParams,
    body: revokeSchema,
    answer: Type.Object({ revoked: permissions }),
    subject: groupSubject,
    plan: (world, input) => revoke(callFor(world, input), input.body),
  })
}
