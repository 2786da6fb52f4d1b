/** Security groups: made, described, changed and deleted. Their rules are in rules.ts. */
import Type from 'typebox'
import type { GroupDoc } from '../../model/documents.ts'
import { visible, writable } from '../../services/principal.ts'
import { createGroup, deleteGroup, modifyGroup } from '../../services/security-groups.ts'
import type { World } from '../../state/world.ts'
import { type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { anyCase, coded, jsonList } from '../read-parameters.ts'
import { coded403, recoded } from '../recode.ts'
import { accessByField, anyResource, askedResources, namedOrAll } from '../resources.ts'
import { hasTags, isoSeconds, readTags, tagList, tagParameters } from '../shapes.ts'

const pages = { usual: 10, most: 100 }

export const groupId = coded('InvalidSecurityGroupId.Malformed', Type.String({ maxLength: 64 }))
export const groupName = coded(
  'InvalidSecurityGroupName.Malformed',
  Type.String({ pattern: '^\\p{L}[\\p{L}\\p{N}:_.-]{1,127}$' }),
)
/** Misspelt by the published API. */
const groupDescription = coded(
  'InvalidSecurityGroupDiscription.Malformed',
  Type.String({ maxLength: 256, pattern: '^(?!https?://)' }),
)

type Call = Pick<RpcCall<never>, 'principal' | 'nowMs'>

/** What is asked for by an action on one group. @param name  of the action */
export const accessToGroup = (name: string) => accessByField(name, 'group', 'SecurityGroupId')

/** @throws {ApiError} 404 */
export function writableGroup(world: World, { principal, nowMs }: Call, id: string) {
  return { world, principal, nowMs, group: writable(world, principal, 'group', id) }
}

const createParameters = Type.Object({
  VpcId: Type.Optional(Type.String({ maxLength: 64 })),
  SecurityGroupName: Type.Optional(groupName),
  Description: Type.Optional(groupDescription),
  SecurityGroupType: Type.Optional(anyCase(Type.Enum(['normal', 'enterprise']))),
  ...tagParameters,
})

const describeParameters = Type.Object({
  SecurityGroupId: Type.Optional(Type.String({ maxLength: 64 })),
  SecurityGroupIds: Type.Optional(jsonList(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 100 }))),
  SecurityGroupName: Type.Optional(Type.String({ maxLength: 128 })),
  VpcId: Type.Optional(Type.String({ maxLength: 64 })),
  SecurityGroupType: Type.Optional(anyCase(Type.Enum(['normal', 'enterprise']))),
  NetworkType: Type.Optional(anyCase(Type.Enum(['vpc', 'classic']))),
  ...tagParameters,
  ...pagingParameters(pages),
})

type AskedGroups = RpcCall<typeof describeParameters>['parameters']

const byGroup = Type.Object({ SecurityGroupId: groupId })

export const securityGroupActions = [
  writeAction({
    product: 'ecs',
    name: 'CreateSecurityGroup',
    summary: 'make a group',
    differs: 'a VPC is a name and need not be made before; without VpcId the group is in the VPC that needs no name',
    parameters: createParameters,
    access: (_world, call) => ({ action: 'ecs:CreateSecurityGroup', resources: [anyResource(call, 'group')] }),
    plan(world, { principal, accountId, parameters, nowMs }) {
      const { VpcId, SecurityGroupName, Description, SecurityGroupType = 'normal', Tag } = parameters
      const plan = createGroup(
        { world, principal, nowMs },
        {
          accountId,
          securityGroupName: SecurityGroupName ?? null,
          description: Description || null,
          tags: readTags(Tag),
          securityGroupType: SecurityGroupType,
          vpcId: VpcId || null,
        },
      )
      return renamed(plan, ({ securityGroup }) => ({ SecurityGroupId: securityGroup.securityGroupId }))
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeleteSecurityGroup',
    summary: 'delete a group that nothing holds',
    parameters: byGroup,
    access: accessToGroup('DeleteSecurityGroup'),
    plan: (world, call) =>
      recoded({ DependencyViolation: coded403('DependencyViolation') }, () =>
        renamed(deleteGroup(writableGroup(world, call, call.parameters.SecurityGroupId)), () => ({})),
      ),
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifySecurityGroupAttribute',
    summary: 'rename or describe a group',
    parameters: Type.Object({
      ...byGroup.properties,
      SecurityGroupName: Type.Optional(groupName),
      Description: Type.Optional(groupDescription),
    }),
    access: accessToGroup('ModifySecurityGroupAttribute'),
    plan(world, call) {
      const { SecurityGroupId, SecurityGroupName, Description } = call.parameters
      const plan = modifyGroup(writableGroup(world, call, SecurityGroupId), {
        ...(SecurityGroupName !== undefined && { securityGroupName: SecurityGroupName }),
        ...(Description !== undefined && { description: Description || null }),
      })
      return renamed(plan, () => ({}))
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifySecurityGroupPolicy',
    summary: 'whether members reach each other',
    parameters: Type.Object({
      ...byGroup.properties,
      InnerAccessPolicy: coded('InvalidPolicy.Malformed', anyCase(Type.Enum(['accept', 'drop']))),
    }),
    access: accessToGroup('ModifySecurityGroupPolicy'),
    plan(world, call) {
      const { SecurityGroupId, InnerAccessPolicy } = call.parameters
      const changes = { innerAccessPolicy: InnerAccessPolicy }
      return renamed(modifyGroup(writableGroup(world, call, SecurityGroupId), changes), () => ({}))
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribeSecurityGroups',
    summary: 'groups of the account, in pages',
    parameters: describeParameters,
    access: (world, call) => ({ action: 'ecs:DescribeSecurityGroups', resources: askedGroups(world, call) }),
    read(world, { principal, accountId, parameters, regionId }) {
      const found = [
        ...namedOrAll(
          world,
          'group',
          parameters.SecurityGroupId ? [parameters.SecurityGroupId] : parameters.SecurityGroupIds,
        ),
      ]
        .filter(group => group.accountId === accountId && isAsked(group, parameters))
        .filter(group => visible(world, principal, 'group', group.id) === group)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      const { items, fields } = pageOf(found, group => group.id, parameters, pages)
      return {
        RegionId: regionId,
        SecurityGroups: { SecurityGroup: items.map(group => describeGroup(world, group)) },
        ...fields,
      }
    },
  }),
]

/** Those that are named, or all. */
function askedGroups(world: World, call: RpcCall<typeof describeParameters>) {
  const { SecurityGroupId, SecurityGroupIds = [] } = call.parameters
  const ids = [...(SecurityGroupId ? [SecurityGroupId] : []), ...SecurityGroupIds]
  return askedResources(world, call, 'group', ids)
}

function isAsked(group: GroupDoc, asked: AskedGroups): boolean {
  const { SecurityGroupId, SecurityGroupIds, SecurityGroupName, VpcId, SecurityGroupType, NetworkType, Tag } = asked
  return (
    (!SecurityGroupId || group.id === SecurityGroupId) &&
    (SecurityGroupIds === undefined || SecurityGroupIds.includes(group.id)) &&
    (!SecurityGroupName || group.name === SecurityGroupName) &&
    (!VpcId || group.vpcId === VpcId) &&
    (SecurityGroupType === undefined || typeWord(group) === SecurityGroupType) &&
    (NetworkType === undefined || group.networkType === NetworkType) &&
    hasTags(group.tags, Tag)
  )
}

const typeWord = ({ type }: GroupDoc) => (type === 'basic' ? 'normal' : 'enterprise')

function describeGroup(world: World, group: GroupDoc) {
  const eniIds = [...world.enisOfGroup(group.id)]
  const { limits } = world.settings
  const namesGroup = group.rules.filter(rule => rule.sourceGroupId !== undefined || rule.destGroupId !== undefined)
  const most = group.type === 'basic' ? limits.basicGroupPrivateIps : limits.advancedGroupEnis
  return {
    SecurityGroupId: group.id,
    SecurityGroupName: group.name ?? '',
    Description: group.description ?? '',
    VpcId: group.vpcId ?? '',
    SecurityGroupType: typeWord(group),
    CreationTime: isoSeconds(group.createdAtMs),
    ResourceGroupId: '',
    EcsCount: new Set(eniIds.flatMap(id => world.get('eni', id)?.instanceId ?? [])).size,
    AvailableInstanceAmount: Math.max(0, most - world.membersOf(group.id).size),
    RuleCount: group.rules.length,
    GroupToGroupRuleCount: namesGroup.length,
    ServiceManaged: false,
    ServiceID: 0,
    Tags: { Tag: tagList(group.tags) },
  }
}
