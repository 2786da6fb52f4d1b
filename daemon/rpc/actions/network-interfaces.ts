/** Network interfaces: made without instance, attached to one and detached, given addresses and groups. */
import Type from 'typebox'
import { ApiError } from '../../errors.ts'
import type { EniDoc } from '../../model/documents.ts'
import { attachNetworkInterface, detachNetworkInterface } from '../../services/eni-attachment.ts'
import {
  createNetworkInterface,
  deleteNetworkInterface,
  modifyNetworkInterface,
} from '../../services/network-interfaces.ts'
import { visible, writable } from '../../services/principal.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type RpcCall, readAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { equals, type Filter, filtered, hasSome } from '../filters.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { recoded } from '../recode.ts'
import { anyResource, askedResources, namedOrAll, resourceOf } from '../resources.ts'
import { hasTags, readTags, tagParameters } from '../shapes.ts'
import {
  accessToEni,
  address,
  addresses,
  byEni,
  canonical,
  codes,
  counted,
  eniSubject,
  groupIds,
  groupParameters,
  groupsAsked,
  id,
  noAllocator,
  refuseCounted,
  unsupported,
} from './interface-parameters.ts'
import { describeEni, eniStatus, ipv4Of } from './interface-shapes.ts'

const pages = { usual: 10, most: 500 }

const interfaceName = Type.String({ pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.-]{1,127}$' })
const description = Type.String({ maxLength: 255, pattern: '^(?!https?://)' })

const createParameters = Type.Object({
  VSwitchId: Type.String({ minLength: 1, maxLength: 64 }),
  ...groupParameters,
  PrimaryIpAddress: Type.Optional(address),
  PrivateIpAddress: Type.Optional(addresses),
  Ipv6Address: Type.Optional(addresses),
  NetworkInterfaceName: Type.Optional(interfaceName),
  Description: Type.Optional(description),
  DeleteOnRelease: Type.Optional(Type.Boolean()),
  InstanceType: Type.Optional(Type.Enum(['Secondary'])),
  ...counted,
  ...tagParameters,
})

/** @throws {ApiError} 400 for both words, or neither */
function someGroups(parameters: RpcCall<typeof createParameters>['parameters']): readonly string[] {
  const asked = groupsAsked(parameters)
  if (asked.length > 0) return asked
  const message = 'Cannot do without SecurityGroupId or SecurityGroupIds'
  throw new ApiError(400, 'MissingParameter.SecurityGroupId', message)
}

/** The primary one first. @throws {ApiError} 400 for others without it */
function ipv4Asked({ PrimaryIpAddress, PrivateIpAddress = [] }: RpcCall<typeof createParameters>['parameters']) {
  if (PrimaryIpAddress !== undefined) return [PrimaryIpAddress, ...PrivateIpAddress]
  if (PrivateIpAddress.length === 0) return []
  const message = `Cannot use PrivateIpAddress without PrimaryIpAddress: expected ${noAllocator}`
  throw new ApiError(400, 'MissingParameter.PrimaryIpAddress', message)
}

function requireDeletedWithInstance(deleteOnRelease: boolean | undefined): void {
  if (deleteOnRelease === false) {
    unsupported('DeleteOnRelease=false', 'true: interfaces go with their instance; detach first what shall stay')
  }
}

const describeParameters = Type.Object({
  NetworkInterfaceId: Type.Optional(Type.Array(id, { maxItems: 100 })),
  InstanceId: Type.Optional(id),
  SecurityGroupId: Type.Optional(id),
  Type: Type.Optional(id),
  Status: Type.Optional(id),
  NetworkInterfaceName: Type.Optional(Type.String({ maxLength: 128 })),
  PrimaryIpAddress: Type.Optional(Type.String({ maxLength: 64 })),
  PrivateIpAddress: Type.Optional(addresses),
  Ipv6Address: Type.Optional(addresses),
  VSwitchId: Type.Optional(id),
  VpcId: Type.Optional(id),
  ...tagParameters,
  ...pagingParameters(pages),
})
type AskedEnis = RpcCall<typeof describeParameters>['parameters']

function filtersOf(asked: AskedEnis): readonly Filter<EniDoc>[] {
  const { SecurityGroupId, PrimaryIpAddress, PrivateIpAddress = [], Ipv6Address = [], Tag } = asked
  const addressesOf = ({ addresses }: EniDoc) => addresses
  return [
    ...equals<EniDoc>(asked.InstanceId, ({ instanceId }) => instanceId),
    ...equals<EniDoc>(asked.Type, ({ type }) => type),
    ...equals<EniDoc>(asked.Status, eniStatus),
    ...equals<EniDoc>(asked.NetworkInterfaceName, ({ name }) => name),
    ...equals<EniDoc>(asked.VSwitchId, ({ vSwitchId }) => vSwitchId),
    ...equals<EniDoc>(asked.VpcId, ({ vpcId }) => vpcId),
    ...equals<EniDoc>(PrimaryIpAddress && canonical(PrimaryIpAddress), eni => ipv4Of(eni)[0]),
    ...hasSome<EniDoc>(SecurityGroupId ? [SecurityGroupId] : [], ({ securityGroupIds }) => securityGroupIds),
    ...hasSome<EniDoc>(PrivateIpAddress.map(canonical), addressesOf),
    ...hasSome<EniDoc>(Ipv6Address.map(canonical), addressesOf),
    ({ tags }) => hasTags(tags, Tag),
  ]
}

const trackingParameters = Type.Object({
  TcpEstablishedTimeout: Type.Optional(Type.Integer({ minimum: 30, maximum: 910 })),
  TcpClosedAndTimeWaitTimeout: Type.Optional(Type.Integer({ minimum: 3, maximum: 15 })),
  UdpTimeout: Type.Optional(Type.Integer({ minimum: 10, maximum: 100 })),
})

const modifyParameters = Type.Object({
  ...byEni.properties,
  SecurityGroupId: Type.Optional(groupIds),
  NetworkInterfaceName: Type.Optional(interfaceName),
  Description: Type.Optional(description),
  DeleteOnRelease: Type.Optional(Type.Boolean()),
  ConnectionTrackingConfiguration: Type.Optional(trackingParameters),
})

/** What holds already may be asked for. @throws {ApiError} 400 */
function requireTrackingAsItIs(
  { settings }: World,
  asked: RpcCall<typeof modifyParameters>['parameters']['ConnectionTrackingConfiguration'],
): void {
  const { TcpEstablishedTimeout, ...others } = asked ?? {}
  const { sessionTimeout } = settings
  if (TcpEstablishedTimeout !== undefined && TcpEstablishedTimeout !== sessionTimeout) {
    const what = `ConnectionTrackingConfiguration.TcpEstablishedTimeout "${TcpEstablishedTimeout}"`
    unsupported(what, `${sessionTimeout}, the sessionTimeout that the settings have for the whole fleet`)
  }
  const [name] = Object.keys(others)
  if (name !== undefined) {
    unsupported(`ConnectionTrackingConfiguration.${name}`, 'none: that is as long as each host’s kernel has it')
  }
}

const attachParameters = Type.Object({
  ...byEni.properties,
  InstanceId: Type.String({ minLength: 1, maxLength: 64 }),
  RingwallDevice: Type.Optional(Type.String({ maxLength: 64 })),
})

function attachAccess(action: string) {
  return (world: World, call: RpcCall<typeof attachParameters>) => ({
    action: `ecs:${action}`,
    resources: [
      resourceOf(world, call, 'eni', call.parameters.NetworkInterfaceId),
      resourceOf(world, call, 'instance', call.parameters.InstanceId),
    ],
  })
}

export const networkInterfaceActions: readonly RpcAction[] = [
  writeAction({
    product: 'ecs',
    name: 'CreateNetworkInterface',
    summary: 'make an interface of no instance',
    differs:
      'any VSwitchId is taken and told again, the VPC is that of the groups; addresses are those that are given, and none where none is, since Ringwall assigns none; numbers of addresses, prefixes and DeleteOnRelease=false are refused',
    parameters: createParameters,
    access: (world, call) => ({
      action: 'ecs:CreateNetworkInterface',
      resources: [
        anyResource(call, 'eni'),
        ...someGroups(call.parameters).map(group => resourceOf(world, call, 'group', group)),
      ],
    }),
    plan(world, call) {
      const { principal, accountId, parameters, nowMs } = call
      refuseCounted(parameters)
      requireDeletedWithInstance(parameters.DeleteOnRelease)
      const body = {
        accountId,
        vSwitchId: parameters.VSwitchId,
        securityGroupIds: [...someGroups(parameters)],
        privateIpAddresses: ipv4Asked(parameters),
        ipv6Addresses: parameters.Ipv6Address ?? [],
        networkInterfaceName: parameters.NetworkInterfaceName ?? null,
        description: parameters.Description || null,
        tags: readTags(parameters.Tag),
      }
      const plan = recoded(codes, () => createNetworkInterface(world, principal, { body, nowMs }))
      const made = plan.writes.at(-1)!.value as EniDoc
      return renamed(plan, () => describeEni(world, made, call))
    },
  }),
  readAction({
    product: 'ecs',
    name: 'DescribeNetworkInterfaces',
    summary: 'interfaces of the account, in pages',
    differs: 'one of no instance is Available, every other InUse: nothing is attached little by little',
    parameters: describeParameters,
    access: (world, call) => ({
      action: 'ecs:DescribeNetworkInterfaces',
      resources: askedResources(world, call, 'eni', call.parameters.NetworkInterfaceId),
    }),
    read(world, call) {
      const { accountId, parameters } = call
      const isOwn = (eni: EniDoc) => eni.accountId === accountId
      const filters = [isOwn, ...filtersOf(parameters)]
      const found = filtered(candidates(world, parameters), filters).sort((a, b) => (a.id < b.id ? -1 : 1))
      const { items, fields } = pageOf(found, eni => eni.id, parameters, pages)
      return {
        NetworkInterfaceSets: { NetworkInterfaceSet: items.map(eni => describeEni(world, eni, call)) },
        ...fields,
      }
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'ModifyNetworkInterfaceAttribute',
    summary: 'rename an interface, put it into other groups',
    differs:
      'TcpEstablishedTimeout is the session timeout of the whole fleet, and is refused where it is another; the other timeouts are the kernel’s',
    parameters: modifyParameters,
    access: (world, call) => ({
      action: 'ecs:ModifyNetworkInterfaceAttribute',
      resources: [
        resourceOf(world, call, 'eni', call.parameters.NetworkInterfaceId),
        ...(call.parameters.SecurityGroupId ?? []).map(group => resourceOf(world, call, 'group', group)),
      ],
    }),
    subject: eniSubject,
    plan(world, { principal, parameters }) {
      const { NetworkInterfaceId, SecurityGroupId, NetworkInterfaceName, Description } = parameters
      requireDeletedWithInstance(parameters.DeleteOnRelease)
      requireTrackingAsItIs(world, parameters.ConnectionTrackingConfiguration)
      const body = {
        ...(SecurityGroupId !== undefined && { securityGroupIds: [...SecurityGroupId] }),
        ...(NetworkInterfaceName !== undefined && { networkInterfaceName: NetworkInterfaceName }),
        ...(Description !== undefined && { description: Description || null }),
      }
      return recoded(codes, () =>
        renamed(modifyNetworkInterface(world, principal, { id: NetworkInterfaceId, body }), () => ({})),
      )
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'AttachNetworkInterface',
    summary: 'give an interface to an instance',
    differs:
      'done at once; the first interface of an instance becomes its primary one; RingwallDevice names the device, of which MAC address and addresses are taken where the interface has none',
    parameters: attachParameters,
    access: attachAccess('AttachNetworkInterface'),
    subject: eniSubject,
    plan(world, { principal, parameters: { NetworkInterfaceId, InstanceId, RingwallDevice } }) {
      const body = { instanceId: InstanceId, ...(RingwallDevice && { device: RingwallDevice }) }
      return recoded(codes, () =>
        renamed(attachNetworkInterface(world, principal, { id: NetworkInterfaceId, body }), () => ({})),
      )
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DetachNetworkInterface',
    summary: 'take an interface from its instance',
    differs: 'done at once; the primary interface can be detached when it is the last one',
    parameters: attachParameters,
    access: attachAccess('DetachNetworkInterface'),
    subject: eniSubject,
    plan(world, { principal, parameters: { NetworkInterfaceId, InstanceId } }) {
      return recoded(codes, () => {
        // Which of them is missing is told before anything else: a client takes that for done.
        writable(world, principal, 'eni', NetworkInterfaceId)
        visible(world, principal, 'instance', InstanceId, 'InstanceId')
        const wish = { id: NetworkInterfaceId, body: { instanceId: InstanceId } }
        return renamed(detachNetworkInterface(world, principal, wish), () => ({}))
      })
    },
  }),
  writeAction({
    product: 'ecs',
    name: 'DeleteNetworkInterface',
    summary: 'delete an interface of no instance',
    parameters: byEni,
    access: accessToEni('DeleteNetworkInterface'),
    plan: (world, { principal, parameters: { NetworkInterfaceId } }) =>
      renamed(deleteNetworkInterface(world, principal, { id: NetworkInterfaceId, state: 'unattached' }), () => ({})),
  }),
]

/** Of many, those that can be meant; the filters still decide. */
function candidates(world: World, { InstanceId, SecurityGroupId, NetworkInterfaceId = [] }: AskedEnis) {
  if (NetworkInterfaceId.length > 0) return namedOrAll(world, 'eni', NetworkInterfaceId)
  if (InstanceId) return namedOrAll(world, 'eni', world.enisOfInstance(InstanceId))
  return namedOrAll(world, 'eni', SecurityGroupId ? world.enisOfGroup(SecurityGroupId) : undefined)
}
