/** Instances: made known, described, changed and forgotten. Which of them an agent serves is said by `/v1`. */
import Type from 'typebox'
import { ApiError } from '../../errors.ts'
import type { EniDoc, InstanceDoc } from '../../model/documents.ts'
import { matchesGlob } from '../../ram/glob.ts'
import type { Plan } from '../../services/executor.ts'
import { deleteInstance, enisOf, modifyInstance } from '../../services/instances.ts'
import { modifyNetworkInterface } from '../../services/network-interfaces.ts'
import { visible, writable } from '../../services/principal.ts'
import { runInstance } from '../../services/run-instance.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { equals, type Filter, filtered, hasSome } from '../filters.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { coded, jsonList } from '../read-parameters.ts'
import { coded400, coded403, coded404, type Recodings, recoded } from '../recode.ts'
import { accessByField, anyResource, askedResources, namedOrAll, resourceOf } from '../resources.ts'
import { hasTags, readTags, tagParameters } from '../shapes.ts'
import { commonFields, describeInstance, type Shown, statusOf } from './instance-shapes.ts'
import { describeInstanceTypes, familyOf } from './instance-types.ts'
import { groupIds, groupParameters, groupsAsked } from './interface-parameters.ts'
import { ipv4Of } from './interface-shapes.ts'

const pages = { usual: 10, most: 100 }

const id = Type.String({ maxLength: 64 })
const instanceName = coded(
  'InvalidInstanceName.Malformed',
  Type.String({ minLength: 2, maxLength: 128, pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.\\[\\],-]*$' }),
)
const description = coded('InvalidDescription.Malformed', Type.String({ maxLength: 256, pattern: '^(?!https?://)' }))
const byInstance = Type.Object({ InstanceId: Type.String({ minLength: 1, maxLength: 64 }) })
const instanceIds = coded('InvalidInstanceIds.Malformed', jsonList(Type.Array(id, { maxItems: 100 })))

const codes: Recodings = {
  'InvalidSecurityGroupId.NotFound': coded404('InvalidSecurityGroupId.NotFound'),
  'InvalidInstanceId.NotFound': coded404('InvalidInstanceId.NotFound'),
  'duplicate privateIpAddresses': coded403('InvalidPrivateIpAddress.Duplicated'),
  'invalid-value privateIpAddresses': coded403('InvalidPrivateIpAddress.Malformed'),
  'conflict securityGroupIds': coded403('InvalidOperation.VpcMismatch'),
  'duplicate securityGroupIds': coded400('InvalidParameter'),
  'limit securityGroupIds': coded403('SecurityGroupInstanceLimitExceed'),
}

const describeParameters = Type.Object({
  InstanceIds: Type.Optional(instanceIds),
  SecurityGroupId: Type.Optional(id),
  KeyPairName: Type.Optional(Type.String({ maxLength: 128 })),
  VpcId: Type.Optional(id),
  VSwitchId: Type.Optional(id),
  InstanceName: Type.Optional(Type.String({ maxLength: 128 })),
  InstanceType: Type.Optional(Type.String({ maxLength: 128 })),
  InstanceTypeFamily: Type.Optional(Type.String({ maxLength: 128 })),
  InstanceNetworkType: Type.Optional(id),
  Status: Type.Optional(id),
  PrivateIpAddresses: Type.Optional(coded('InvalidInstanceIp.Malformed', jsonList(Type.Array(id, { maxItems: 100 })))),
  ...tagParameters,
  ...pagingParameters(pages),
})
type AskedInstances = RpcCall<typeof describeParameters>['parameters']

function filtersOf(world: World, asked: AskedInstances, call: Shown): readonly Filter<InstanceDoc>[] {
  const { SecurityGroupId, InstanceName, Tag } = asked
  const primaryOf = ({ id }: InstanceDoc) => enisOf(world, id)[0]
  const ipv4OfPrimary = (instance: InstanceDoc) => {
    const primary = primaryOf(instance)
    return primary === undefined ? [] : ipv4Of(primary)
  }
  return [
    ...equals<InstanceDoc>(asked.InstanceType, ({ instanceType }) => instanceType),
    ...equals<InstanceDoc>(asked.InstanceTypeFamily, ({ instanceType }) => familyOf(instanceType ?? '')),
    ...equals<InstanceDoc>(asked.Status, instance => statusOf(instance, call)),
    ...equals<InstanceDoc>(asked.InstanceNetworkType, instance => primaryOf(instance)?.networkType),
    ...equals<InstanceDoc>(asked.VpcId, instance => primaryOf(instance)?.vpcId),
    ...equals<InstanceDoc>(asked.VSwitchId, instance => primaryOf(instance)?.vSwitchId),
    // No instance has one.
    ...equals<InstanceDoc>(asked.KeyPairName, () => null),
    ...hasSome<InstanceDoc>(SecurityGroupId ? [SecurityGroupId] : [], ({ id }) => groupsOf(world, id)),
    ...hasSome<InstanceDoc>(asked.PrivateIpAddresses, ipv4OfPrimary),
    ...(InstanceName ? [named(InstanceName)] : []),
    ({ tags }) => hasTags(tags, Tag),
  ]
}

function groupsOf(world: World, instanceId: string): readonly string[] {
  return enisOf(world, instanceId).flatMap(({ securityGroupIds }) => securityGroupIds)
}

/** Whatever the case. @param pattern  with `*` for anything */
function named(pattern: string): Filter<InstanceDoc> {
  const wanted = pattern.toLowerCase()
  return ({ name }) => matchesGlob(wanted, (name ?? '').toLowerCase())
}

/** Of many, those that can be meant; the filters still decide. */
function candidates(world: World, { InstanceIds, SecurityGroupId }: AskedInstances) {
  if (InstanceIds !== undefined || !SecurityGroupId) return namedOrAll(world, 'instance', InstanceIds)
  const enis = namedOrAll(world, 'eni', world.enisOfGroup(SecurityGroupId))
  return namedOrAll(
    world,
    'instance',
    [...enis].flatMap(({ instanceId }) => instanceId ?? []),
  )
}

const runParameters = Type.Object({
  InstanceType: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  InstanceName: Type.Optional(instanceName),
  Description: Type.Optional(description),
  ...groupParameters,
  VpcId: Type.Optional(id),
  VSwitchId: Type.Optional(id),
  PrivateIpAddress: Type.Optional(id),
  Ipv6Address: Type.Optional(Type.Array(id, { maxItems: 10 })),
  Amount: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  MinAmount: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  NetworkInterface: Type.Optional(Type.Array(Type.Object({}), { maxItems: 100 })),
  ...tagParameters,
})

/** @throws {ApiError} 400 for what would be left undone */
function requireOnePlainInstance({ Amount = 1, NetworkInterface }: RpcCall<typeof runParameters>['parameters']): void {
  if (Amount > 1) {
    const message = `Cannot register ${Amount} instances at once: expected Amount 1, since each is a machine of its own`
    throw new ApiError(400, 'UnsupportedParameter', message)
  }
  if (NetworkInterface !== undefined) {
    const message =
      'Cannot use NetworkInterface.1: expected SecurityGroupId, and further interfaces attached afterwards'
    throw new ApiError(400, 'UnsupportedParameter', message)
  }
}

/** What is connected is not forgotten by mistake: its host would be open. @throws {ApiError} 403 */
function requireStopped(instance: InstanceDoc, force: boolean, call: Shown): void {
  if (force || statusOf(instance, call) === 'Stopped') return
  const message = `Cannot delete instance "${instance.id}": its agent is connected, and nothing is enforced there afterwards; expected Force=true`
  throw new ApiError(403, 'IncorrectInstanceStatus', message)
}

/** All of them or none. */
function together(plans: readonly Plan<unknown>[]): Plan<object> {
  return { writes: plans.flatMap(({ writes }) => writes), body: () => ({}) }
}

interface Deleting {
  readonly ids: readonly string[]
  readonly force: boolean
}

function deletePlan(world: World, call: Pick<RpcCall<never>, 'principal'> & Shown, { ids, force }: Deleting) {
  const plans = [...new Set(ids)].map(each => {
    requireStopped(writable(world, call.principal, 'instance', each), force, call)
    return deleteInstance(world, call.principal, each)
  })
  return together(plans)
}

const force = Type.Optional(Type.Boolean({ default: false }))
const modifyParameters = Type.Object({
  ...byInstance.properties,
  SecurityGroupIds: Type.Optional(groupIds),
  InstanceName: Type.Optional(instanceName),
  Description: Type.Optional(description),
})
const deleteParameters = Type.Object({ ...byInstance.properties, Force: force })
const deleteManyParameters = Type.Object({
  InstanceId: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: 100 }),
  Force: force,
})
export const instanceActions: readonly RpcAction[] = [
  writeAction({
    product: 'ecs',
    name: 'RunInstances',
    summary: 'make a machine known, with its primary interface',
    differs:
      'registers a machine that is there, one at a time, and starts none: it is Stopped until an agent that serves it (by /v1) is connected; without group it is in the default group of its VPC, which is VpcId or that of the first group; images, disks and prices are passed over',
    parameters: runParameters,
    access: (world, call) => ({
      action: 'ecs:RunInstances',
      resources: [
        anyResource(call, 'instance'),
        ...groupsAsked(call.parameters).map(group => resourceOf(world, call, 'group', group)),
      ],
    }),
    plan(world, { principal, accountId, parameters, nowMs }) {
      requireOnePlainInstance(parameters)
      const { InstanceType, InstanceName, Description, VpcId, VSwitchId, PrivateIpAddress, Ipv6Address } = parameters
      const groups = [...groupsAsked(parameters)]
      const wish = {
        instance: {
          accountId,
          instanceName: InstanceName ?? null,
          description: Description || null,
          instanceType: InstanceType ?? null,
          tags: readTags(parameters.Tag),
        },
        networkInterface: {
          ...(VpcId && { vpcId: VpcId }),
          ...(VSwitchId && { vSwitchId: VSwitchId }),
          ...(groups.length > 0 && { securityGroupIds: groups }),
          privateIpAddresses: PrivateIpAddress ? [PrivateIpAddress] : [],
          ipv6Addresses: Ipv6Address ?? [],
        },
        nowMs,
      }
      return recoded(codes, () =>
        renamed(runInstance(world, principal, wish), ({ instanceId }) => ({
          InstanceIdSets: { InstanceIdSet: [instanceId] },
        })),
      )
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribeInstances',
    summary: 'instances of the account, in pages',
    differs:
      'Running where the agent that serves it is connected, else Stopped; Cpu is told by the name of the type, and Memory is 0, since nobody says it',
    parameters: describeParameters,
    access: (world, call) => ({
      action: 'ecs:DescribeInstances',
      resources: askedResources(world, call, 'instance', call.parameters.InstanceIds),
    }),
    read(world, call) {
      const { accountId, parameters } = call
      const isOwn = (instance: InstanceDoc) => instance.accountId === accountId
      const filters = [isOwn, ...filtersOf(world, parameters, call)]
      const found = filtered(candidates(world, parameters), filters).sort((a, b) => (a.id < b.id ? -1 : 1))
      const { items, fields } = pageOf(found, instance => instance.id, parameters, pages)
      return { Instances: { Instance: items.map(instance => describeInstance(world, instance, call)) }, ...fields }
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribeInstanceAttribute',
    summary: 'one instance',
    parameters: byInstance,
    access: accessByField('DescribeInstanceAttribute', 'instance', 'InstanceId'),
    read: (world, call) =>
      commonFields(world, visible(world, call.principal, 'instance', call.parameters.InstanceId), call),
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifyInstanceAttribute',
    summary: 'rename an instance, put it into other groups',
    differs: 'groups are those of its primary interface; HostName is the host’s own and passed over',
    parameters: modifyParameters,
    access: (world, call) => ({
      action: 'ecs:ModifyInstanceAttribute',
      resources: [
        resourceOf(world, call, 'instance', call.parameters.InstanceId),
        ...(call.parameters.SecurityGroupIds ?? []).map(group => resourceOf(world, call, 'group', group)),
      ],
    }),
    subject: call => ({ kind: 'instance', id: call.parameters.InstanceId }),
    plan(world, { principal, parameters }) {
      const { InstanceId, SecurityGroupIds, InstanceName, Description } = parameters
      const body = {
        ...(InstanceName !== undefined && { instanceName: InstanceName }),
        ...(Description !== undefined && { description: Description || null }),
      }
      return recoded(codes, () => {
        const modified = modifyInstance(world, principal, { id: InstanceId, body })
        if (SecurityGroupIds === undefined) return together([modified])
        const wish = { id: primaryOf(world, InstanceId).id, body: { securityGroupIds: [...SecurityGroupIds] } }
        return together([modified, modifyNetworkInterface(world, principal, wish)])
      })
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeleteInstance',
    summary: 'forget an instance with its interfaces',
    differs: 'the machine itself goes on; Force is needed as long as its agent is connected',
    parameters: deleteParameters,
    access: accessByField('DeleteInstance', 'instance', 'InstanceId'),
    plan(world, call) {
      const { InstanceId, Force = false } = call.parameters
      return deletePlan(world, call, { ids: [InstanceId], force: Force })
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeleteInstances',
    summary: 'forget up to 100 instances, or none of them',
    differs: 'as DeleteInstance',
    parameters: deleteManyParameters,
    access: (world, call) => ({
      action: 'ecs:DeleteInstances',
      resources: askedResources(world, call, 'instance', call.parameters.InstanceId),
    }),
    plan(world, call) {
      const { InstanceId, Force = false } = call.parameters
      return deletePlan(world, call, { ids: InstanceId, force: Force })
    },
  }),
  describeInstanceTypes,
]

/** @throws {ApiError} 403 for an instance without interface */
function primaryOf(world: World, instanceId: string): EniDoc {
  const [primary] = enisOf(world, instanceId)
  if (primary !== undefined) return primary
  const message = `Cannot put instance "${instanceId}" into groups: expected one with a network interface`
  throw new ApiError(403, 'IncorrectInstanceStatus', message)
}
