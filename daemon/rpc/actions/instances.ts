/** Instances: made known, described, changed and forgotten. Which of them an agent serves is said by `/v1`. */
import Type from 'typebox'
import { instanceTypes } from '../../../rules-compiler/model/instance-types.ts'
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
import { pageOf, pagingParameters } from '../paging.ts'
import { coded, jsonList } from '../read-parameters.ts'
import { coded400, coded403, coded404, type Recodings, recoded } from '../recode.ts'
import { accessByField, anyResource, askedResources, resourceOf } from '../resources.ts'
import { hasTags, isoMinutes, readTags, tagList, tagParameters } from '../shapes.ts'
import { addressSets, ipv4Of, zoneOf } from './interface-shapes.ts'

const pages = { usual: 10, most: 100 }
const mostGroups = 10

const id = Type.String({ maxLength: 64 })
const instanceName = coded(
  'InvalidInstanceName.Malformed',
  Type.String({ minLength: 2, maxLength: 128, pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.\\[\\],-]*$' }),
)
const description = coded('InvalidDescription.Malformed', Type.String({ maxLength: 256, pattern: '^(?!https?://)' }))
const groupIds = Type.Array(id, { maxItems: mostGroups })
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

type Shown = Pick<RpcCall<never>, 'regionId' | 'api'>

/** Whether the agent that serves it is connected; of one that none serves, nobody can say that it runs. */
function statusOf({ agentId }: InstanceDoc, { api }: Shown): 'Running' | 'Stopped' {
  const state = agentId === null ? 'away' : (api.fleet.statusOf(agentId)?.state ?? 'away')
  return state === 'away' || state === 'revoked' ? 'Stopped' : 'Running'
}

/** `ecs.g5` of `ecs.g5.large`. */
function familyOf(type: string): string {
  return type.split('.').slice(0, -1).join('.')
}

/** By the size in its name, as types are named: `large` has two, `xlarge` four, `8xlarge` 32. 0 for other names. */
function cpusOf(type: string): number {
  const [, count, size] = /\.(\d*)(x?large)$/.exec(type) ?? []
  if (size === 'large') return count === '' ? 2 : 0
  return size === 'xlarge' ? 4 * Number(count || 1) : 0
}

/** What both descriptions of an instance have. */
function commonFields(world: World, instance: InstanceDoc, call: Shown) {
  const type = instance.instanceType ?? ''
  const report = instance.agentId === null ? null : (world.get('agent', instance.agentId)?.report ?? null)
  const [primary] = enisOf(world, instance.id)
  return {
    InstanceId: instance.id,
    InstanceName: instance.name ?? '',
    Description: instance.description ?? '',
    HostName: report?.hostName ?? '',
    Status: statusOf(instance, call),
    RegionId: call.regionId,
    ZoneId: zoneOf(call),
    InstanceType: type,
    Cpu: cpusOf(type),
    Memory: 0,
    ImageId: '',
    SerialNumber: '',
    CreationTime: isoMinutes(instance.createdAtMs),
    ExpiredTime: '',
    InstanceChargeType: 'PostPaid',
    InternetChargeType: '',
    InternetMaxBandwidthIn: 0,
    InternetMaxBandwidthOut: 0,
    IoOptimized: true,
    ClusterId: '',
    VlanId: '',
    StoppedMode: 'Not-applicable',
    InstanceNetworkType: primary?.networkType ?? 'vpc',
    SecurityGroupIds: { SecurityGroupId: primary?.securityGroupIds ?? [] },
    VpcAttributes: {
      VpcId: primary?.vpcId ?? '',
      VSwitchId: primary?.vSwitchId ?? '',
      NatIpAddress: '',
      PrivateIpAddress: { IpAddress: primary === undefined ? [] : ipv4Of(primary) },
    },
    PublicIpAddress: { IpAddress: [] },
    InnerIpAddress: { IpAddress: [] },
    EipAddress: { AllocationId: '', IpAddress: '', InternetChargeType: '' },
    OperationLocks: { LockReason: [] },
    DedicatedHostAttribute: { DedicatedHostId: '', DedicatedHostName: '', DedicatedHostClusterId: '' },
    CreditSpecification: '',
  }
}

function describeInstance(world: World, instance: InstanceDoc, call: Shown) {
  const kernel = instance.agentId === null ? undefined : world.get('agent', instance.agentId)?.report?.kernel
  return {
    ...commonFields(world, instance, call),
    InstanceTypeFamily: familyOf(instance.instanceType ?? ''),
    OSType: 'linux',
    OSName: kernel === undefined ? '' : `Linux ${kernel}`,
    OSNameEn: kernel === undefined ? '' : `Linux ${kernel}`,
    StartTime: isoMinutes(instance.createdAtMs),
    AutoReleaseTime: '',
    KeyPairName: '',
    ResourceGroupId: '',
    DeletionProtection: false,
    Recyclable: false,
    DeviceAvailable: true,
    SaleCycle: '',
    SpotStrategy: 'NoSpot',
    SpotPriceLimit: 0,
    DeploymentSetId: '',
    HpcClusterId: '',
    LocalStorageAmount: 0,
    GPUAmount: 0,
    GPUSpec: '',
    NetworkInterfaces: { NetworkInterface: enisOf(world, instance.id).map(describeInterface) },
    MetadataOptions: { HttpEndpoint: 'disabled', HttpTokens: 'optional', HttpPutResponseHopLimit: 1 },
    RdmaIpAddress: { IpAddress: [] },
    Tags: { Tag: tagList(instance.tags) },
  }
}

function describeInterface(eni: EniDoc) {
  return {
    NetworkInterfaceId: eni.id,
    MacAddress: eni.macAddress ?? '',
    PrimaryIpAddress: ipv4Of(eni)[0] ?? '',
    Type: eni.type,
    ...addressSets(eni),
  }
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

/** Of many, those that can be meant; the filters still decide. */
function candidates(world: World, { InstanceIds }: AskedInstances): Iterable<InstanceDoc> {
  if (InstanceIds === undefined) return world.all('instance')
  return [...new Set(InstanceIds)].flatMap(each => world.get('instance', each) ?? [])
}

function isAsked(world: World, instance: InstanceDoc, asked: AskedInstances, call: Shown): boolean {
  const { InstanceIds, SecurityGroupId, InstanceName, PrivateIpAddresses = [], KeyPairName } = asked
  const enis = enisOf(world, instance.id)
  const [primary] = enis
  const fields: readonly (readonly [string | undefined, string | null | undefined])[] = [
    [asked.InstanceType, instance.instanceType],
    [asked.InstanceTypeFamily, familyOf(instance.instanceType ?? '')],
    [asked.Status, statusOf(instance, call)],
    [asked.InstanceNetworkType, primary?.networkType],
    [asked.VpcId, primary?.vpcId],
    [asked.VSwitchId, primary?.vSwitchId],
    [KeyPairName, null],
  ]
  return (
    (InstanceIds === undefined || InstanceIds.includes(instance.id)) &&
    fields.every(([wanted, value]) => !wanted || value === wanted) &&
    (!InstanceName || matchesGlob(InstanceName.toLowerCase(), (instance.name ?? '').toLowerCase())) &&
    (!SecurityGroupId || enis.some(eni => eni.securityGroupIds.includes(SecurityGroupId))) &&
    (PrivateIpAddresses.length === 0 ||
      PrivateIpAddresses.some(address => primary !== undefined && ipv4Of(primary).includes(address))) &&
    hasTags(instance.tags, asked.Tag)
  )
}

const runParameters = Type.Object({
  InstanceType: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  InstanceName: Type.Optional(instanceName),
  Description: Type.Optional(description),
  SecurityGroupId: Type.Optional(id),
  SecurityGroupIds: Type.Optional(groupIds),
  VpcId: Type.Optional(id),
  VSwitchId: Type.Optional(id),
  PrivateIpAddress: Type.Optional(id),
  Ipv6Address: Type.Optional(Type.Array(id, { maxItems: 10 })),
  Amount: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  MinAmount: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  NetworkInterface: Type.Optional(Type.Array(Type.Object({}), { maxItems: 100 })),
  ...tagParameters,
})

/** @throws {ApiError} 400 for both words */
function groupsAsked({ SecurityGroupId, SecurityGroupIds = [] }: RpcCall<typeof runParameters>['parameters']) {
  if (SecurityGroupId && SecurityGroupIds.length > 0) {
    const message = 'Cannot take SecurityGroupId and SecurityGroupIds at once: expected one of them'
    throw new ApiError(400, 'InvalidParameter.Conflict', message)
  }
  return SecurityGroupId ? [SecurityGroupId] : [...SecurityGroupIds]
}

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
const typesParameters = Type.Object({
  InstanceTypes: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 10 })),
  InstanceTypeFamily: Type.Optional(Type.String({ maxLength: 128 })),
  ...pagingParameters({ usual: 100, most: 1600 }),
})

/** In the order of their names, since pages go on by them. */
const publishedTypes = [...instanceTypes].sort(([a], [b]) => (a < b ? -1 : 1))
const kbitPerMbit = 1000

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
      const groups = groupsAsked(parameters)
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
      const found = [...candidates(world, parameters)]
        .filter(instance => instance.accountId === accountId && isAsked(world, instance, parameters, call))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
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
  readAction({
    product: 'ecs',
    name: 'DescribeInstanceTypes',
    summary: 'types of instances, with what they carry',
    differs:
      'those whose thresholds of traffic scrubbing are known; what nobody says of a type (memory, numbers of interfaces and addresses, which are not limited) is 0',
    parameters: typesParameters,
    access: (_world, call) => ({ action: 'ecs:DescribeInstanceTypes', resources: [anyResource(call, 'instance')] }),
    read(_world, { parameters }) {
      const { InstanceTypes: asked = [], InstanceTypeFamily: family } = parameters
      const found = publishedTypes.filter(
        ([type]) => (asked.length === 0 || asked.includes(type)) && (!family || familyOf(type) === family),
      )
      const { items, fields } = pageOf(
        found,
        ([type]) => type,
        { MaxResults: 100, ...parameters },
        {
          usual: 100,
          most: 1600,
        },
      )
      return {
        InstanceTypes: {
          InstanceType: items.map(([type, { maxBpsMbit, maxPps }]) => ({
            InstanceTypeId: type,
            InstanceTypeFamily: familyOf(type),
            InstanceFamilyLevel: '',
            InstanceCategory: '',
            CpuCoreCount: cpusOf(type),
            CpuArchitecture: '',
            MemorySize: 0,
            GPUAmount: 0,
            GPUSpec: '',
            LocalStorageAmount: 0,
            EniQuantity: 0,
            EniTotalQuantity: 0,
            EniPrivateIpAddressQuantity: 0,
            EniIpv6AddressQuantity: 0,
            InstanceBandwidthRx: maxBpsMbit * kbitPerMbit,
            InstanceBandwidthTx: maxBpsMbit * kbitPerMbit,
            InstancePpsRx: maxPps,
            InstancePpsTx: maxPps,
          })),
        },
        NextToken: fields.NextToken,
      }
    },
  }),
]

/** @throws {ApiError} 403 for an instance without interface */
function primaryOf(world: World, instanceId: string): EniDoc {
  const [primary] = enisOf(world, instanceId)
  if (primary !== undefined) return primary
  const message = `Cannot put instance "${instanceId}" into groups: expected one with a network interface`
  throw new ApiError(403, 'IncorrectInstanceStatus', message)
}
