/** Who is in which group, and which groups name which. */
import Type from 'typebox'
import { ApiError } from '../../errors.ts'
import { joinGroup, leaveGroup } from '../../services/membership.ts'
import { visible } from '../../services/principal.ts'
import { showReferences } from '../../services/security-groups.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { coded400, coded403, coded404, type Recodings, recoded } from '../recode.ts'
import { askedResources, resourceOf } from '../resources.ts'
import { groupId } from './security-groups.ts'

const parameters = Type.Object({
  SecurityGroupId: groupId,
  InstanceId: Type.Optional(Type.String({ maxLength: 64 })),
  NetworkInterfaceId: Type.Optional(Type.String({ maxLength: 64 })),
})

const codes: Recodings = {
  'InvalidInstanceId.NotFound': coded404('InvalidInstanceId.NotFound'),
  'InvalidEniId.NotFound': coded404('InvalidEniId.NotFound'),
  'InvalidSecurityGroupAssociation.NotFound': coded404('InvalidSecurityGroupAssociation.NotFound'),
  InstanceLastSecurityGroup: coded403('InstanceLastSecurityGroup'),
  LimitExceeded: coded400('InstanceSecurityGroupLimitExceeded'),
  InvalidParameter: coded403('InvalidOperation.VpcMismatch'),
}

/** What a change of membership is done to: the group, and the instance or network interface. */
function resourcesOf(world: World, call: RpcCall<typeof parameters>) {
  const { SecurityGroupId, InstanceId, NetworkInterfaceId } = call.parameters
  const members = [
    ...(InstanceId ? [resourceOf(world, call, 'instance', InstanceId)] : []),
    ...(NetworkInterfaceId ? [resourceOf(world, call, 'eni', NetworkInterfaceId)] : []),
  ]
  return [resourceOf(world, call, 'group', SecurityGroupId), ...members]
}

/** @throws {ApiError} 400 for both, or neither */
function membersOf({ InstanceId, NetworkInterfaceId }: RpcCall<typeof parameters>['parameters']) {
  if (InstanceId && NetworkInterfaceId) {
    const message = 'Cannot take InstanceId and NetworkInterfaceId at once: expected one of them'
    throw new ApiError(400, 'InvalidParameter.Conflict', message)
  }
  if (InstanceId) return { instanceIds: [InstanceId] }
  if (NetworkInterfaceId) return { networkInterfaceIds: [NetworkInterfaceId] }
  throw new ApiError(400, 'MissingParameter.InstanceId', 'Cannot do without InstanceId or NetworkInterfaceId')
}

const changes = [
  ['JoinSecurityGroup', 'put an instance or network interface into a group', joinGroup],
  ['LeaveSecurityGroup', 'take an instance or network interface out of a group', leaveGroup],
] as const

export const membershipActions: readonly RpcAction[] = [
  ...changes.map(([name, summary, change]) =>
    writeAction({
      product: 'ecs',
      name,
      summary,
      differs: 'of an instance its primary network interface is meant',
      parameters,
      access: (world, call) => ({ action: `ecs:${name}`, resources: resourcesOf(world, call) }),
      subject: call => ({ kind: 'group', id: call.parameters.SecurityGroupId }),
      plan(world, { principal, parameters: asked }) {
        const wish = { securityGroupId: asked.SecurityGroupId, body: membersOf(asked) }
        return recoded(codes, () => renamed(change(world, principal, wish), () => ({})))
      },
    }),
  ),
  readAction({
    product: 'ecs',
    name: 'DescribeSecurityGroupReferences',
    summary: 'groups with rules that name a group',
    parameters: Type.Object({ SecurityGroupId: Type.Array(groupId, { minItems: 1, maxItems: 10 }) }),
    access: (world, call) => ({
      action: 'ecs:DescribeSecurityGroupReferences',
      resources: askedResources(world, call, 'group', call.parameters.SecurityGroupId),
    }),
    read(world, { principal, parameters: { SecurityGroupId: ids } }) {
      const references = ids.map(id =>
        showReferences({ world, principal, group: visible(world, principal, 'group', id) }),
      )
      return {
        SecurityGroupReferences: {
          SecurityGroupReference: references
            .filter(({ referencedBy }) => referencedBy.length > 0)
            .map(({ securityGroupId, referencedBy }) => ({
              SecurityGroupId: securityGroupId,
              ReferencingSecurityGroups: {
                ReferencingSecurityGroup: referencedBy.map(({ securityGroupId: naming, accountId }) => ({
                  SecurityGroupId: naming,
                  AliUid: accountId,
                })),
              },
            })),
        },
      }
    },
  }),
]
