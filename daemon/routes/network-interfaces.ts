/** `/v1/network-interfaces`, and joining and leaving groups. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { parseAddress } from '../../rules-compiler/address/cidr.ts'
import type { EniDoc } from '../model/documents.ts'
import { idParam, isoTime, modeField } from '../schemas/fields.ts'
import {
  attachSchema,
  createNetworkInterfaceSchema,
  detachSchema,
  membershipSchema,
  modifyNetworkInterfaceSchema,
  networkInterfaceSchema,
} from '../schemas/network-interfaces.ts'
import { attachNetworkInterface, detachNetworkInterface } from '../services/eni-attachment.ts'
import { joinGroup, leaveGroup } from '../services/membership.ts'
import { enforcementOf, modeOf } from '../services/modes.ts'
import {
  createNetworkInterface,
  deleteNetworkInterface,
  modifyNetworkInterface,
  showNetworkInterface,
} from '../services/network-interfaces.ts'
import { mayRead, type Principal, readable, visible } from '../services/principal.ts'
import type { Standing, World } from '../state/world.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Network interfaces'
const params = Type.Object({ networkInterfaceId: idParam('The network interface.') })
const answer = Type.Object({ networkInterface: networkInterfaceSchema })
const subject = ({ networkInterfaceId }: { networkInterfaceId: string }) =>
  ({ kind: 'eni', id: networkInterfaceId }) as const

export function addNetworkInterfaceRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url: '/v1/network-interfaces',
    summary: 'List network interfaces',
    tag,
    sources: candidates,
    item: networkInterfaceSchema,
    show: ({ doc, revision }, world) => showNetworkInterface(world, doc, revision),
    idField: 'networkInterfaceId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Interfaces of this account.' },
      instanceId: { equals: ({ doc }) => doc.instanceId, description: 'Interfaces of this instance.' },
      securityGroupId: {
        test: groupId => source => source.doc.securityGroupIds.includes(groupId),
        description: 'Interfaces in this group.',
      },
      vpcId: { equals: ({ doc }) => doc.vpcId, description: 'Interfaces in this VPC.' },
      address: {
        test(text) {
          const address = parseAddress(text) ?? ''
          return ({ doc }) => doc.addresses.includes(address)
        },
        description: 'The interface with this address, in each network.',
      },
      macAddress: {
        test(text) {
          const mac = canonicalMac(text)
          return ({ doc }) => doc.macAddress === mac
        },
        description: 'Interfaces with this MAC address.',
      },
      mode: {
        equals: ({ doc }) => modeOf(doc),
        description: 'Interfaces of this mode of their own, enforce or observe.',
        schema: modeField,
      },
      enforcement: {
        equals: ({ doc }) => enforcementOf(api.world, doc).enforcement,
        description: 'enforced, observed (by themselves or by a group), or none, without group.',
        schema: networkInterfaceSchema.properties.enforcement,
      },
      agentId: {
        equals: ({ doc }) => api.world.agentOfEni(doc),
        description: 'Interfaces of instances that this agent serves.',
      },
    },
    sorts: { createTime: ({ doc }) => isoTime(doc.createdAtMs) },
    tagsOf: ({ doc }) => doc.tags,
  })

  addReadRoute(app, api, {
    url: '/v1/network-interfaces/:networkInterfaceId',
    summary: 'Read a network interface',
    tag,
    params,
    answer,
    etag: 'networkInterface',
    read(world, { principal, params: { networkInterfaceId } }) {
      const eni = visible(world, principal, 'eni', networkInterfaceId)
      return { networkInterface: showNetworkInterface(world, eni, world.revisionOf('eni', eni.id)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/network-interfaces',
    summary: 'Register a network interface',
    description:
      'With `device` and neither MAC address nor addresses, those are what the instance’s agent reported of the device.',
    tag,
    action: 'ecs:CreateNetworkInterface',
    body: createNetworkInterfaceSchema,
    status: 201,
    answer,
    etag: 'networkInterface',
    plan: (world, { principal, body, nowMs }) => createNetworkInterface(world, principal, { body, nowMs }),
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: '/v1/network-interfaces/:networkInterfaceId',
    summary: 'Change a network interface',
    description: 'Lists replace what was there.',
    tag,
    action: 'ecs:ModifyNetworkInterfaceAttribute',
    params,
    body: modifyNetworkInterfaceSchema,
    answer,
    etag: 'networkInterface',
    subject,
    plan: (world, { principal, params: { networkInterfaceId }, body }) =>
      modifyNetworkInterface(world, principal, { id: networkInterfaceId, body }),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/network-interfaces/:networkInterfaceId',
    summary: 'Delete a network interface',
    tag,
    action: 'ecs:DeleteNetworkInterface',
    params,
    answer: Type.Object({ networkInterfaceId: Type.String() }),
    subject,
    plan: (world, { principal, params: { networkInterfaceId } }) =>
      deleteNetworkInterface(world, principal, { id: networkInterfaceId }),
  })

  addAttachmentRoutes(app, api)
  addMembershipRoutes(app, api)
}

function addAttachmentRoutes(app: FastifyInstance, api: Api): void {
  const eni = { method: 'POST', tag, params, answer, etag: 'networkInterface', subject } as const
  addWriteRoute(app, api, {
    ...eni,
    url: '/v1/network-interfaces/:networkInterfaceId/attach',
    summary: 'Attach a network interface to an instance',
    description:
      'One that is of no instance. With `device`, one with neither MAC address nor addresses gets what the instance’s agent reported of the device.',
    action: 'ecs:AttachNetworkInterface',
    body: attachSchema,
    plan: (world, { principal, params: { networkInterfaceId }, body }) =>
      attachNetworkInterface(world, principal, { id: networkInterfaceId, body }),
  })
  addWriteRoute(app, api, {
    ...eni,
    url: '/v1/network-interfaces/:networkInterfaceId/detach',
    summary: 'Detach a network interface from its instance',
    description:
      'It keeps its groups and addresses and is in no agent’s view any more: its device is left alone. The primary one goes last.',
    action: 'ecs:DetachNetworkInterface',
    body: detachSchema,
    plan: (world, { principal, params: { networkInterfaceId }, body }) =>
      detachNetworkInterface(world, principal, { id: networkInterfaceId, body }),
  })
}

/** Of fifty thousand, those that can be meant; the filters still decide. */
function* candidates(world: World, { principal, query }: AskedInterfaces): Generator<Standing<EniDoc>> {
  const { instanceId, securityGroupId, macAddress } = query as Readonly<Record<string, string>>
  const ids = instanceId
    ? world.enisOfInstance(instanceId)
    : macAddress !== undefined
      ? world.enisWithMac(canonicalMac(macAddress))
      : securityGroupId !== undefined
        ? world.enisOfGroup(securityGroupId)
        : null
  if (ids === null) return yield* readable(world, principal, 'eni')
  for (const id of ids) {
    const standing = world.standing('eni', id)!
    if (mayRead(principal, standing.doc.accountId)) yield standing
  }
}

interface AskedInterfaces {
  readonly principal: Principal
  readonly query: object
}

function canonicalMac(text: string): string {
  return text.toLowerCase().replaceAll('-', ':')
}

function addMembershipRoutes(app: FastifyInstance, api: Api): void {
  const group = {
    tag: 'Security groups',
    params: Type.Object({ securityGroupId: idParam('The group.') }),
    body: membershipSchema,
    answer: Type.Object({
      securityGroupId: Type.String(),
      networkInterfaceIds: Type.Array(Type.String(), {
        description: 'Those asked for; of an instance the primary one.',
      }),
    }),
    subject: ({ securityGroupId }: { securityGroupId: string }) => ({ kind: 'group', id: securityGroupId }) as const,
  }
  addWriteRoute(app, api, {
    ...group,
    method: 'POST',
    url: '/v1/security-groups/:securityGroupId/join',
    summary: 'Put interfaces into a group',
    description: 'All or none. Who is in it already stays in it.',
    action: 'ecs:JoinSecurityGroup',
    plan: (world, { principal, params: { securityGroupId }, body }) =>
      joinGroup(world, principal, { securityGroupId, body }),
  })
  addWriteRoute(app, api, {
    ...group,
    method: 'POST',
    url: '/v1/security-groups/:securityGroupId/leave',
    summary: 'Take interfaces out of a group',
    description: 'All or none. An interface that has a policy keeps one group at least.',
    action: 'ecs:LeaveSecurityGroup',
    plan: (world, { principal, params: { securityGroupId }, body }) =>
      leaveGroup(world, principal, { securityGroupId, body }),
  })
}
