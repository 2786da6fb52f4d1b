/** `/v1/instances` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam, isoTime } from '../schemas/fields.ts'
import { createInstanceSchema, instanceSchema, modifyInstanceSchema } from '../schemas/instances.ts'
import { createInstance, deleteInstance, modifyInstance, showInstance } from '../services/instances.ts'
import { readable, visible } from '../services/principal.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Instances'
const params = Type.Object({ instanceId: idParam('The instance.') })
const answer = Type.Object({ instance: instanceSchema })
const subject = ({ instanceId }: { instanceId: string }) => ({ kind: 'instance', id: instanceId }) as const

export function addInstanceRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url: '/v1/instances',
    summary: 'List instances',
    tag,
    sources: (world, { principal }) => readable(world, principal, 'instance'),
    item: instanceSchema,
    show: ({ doc, revision }, world) => showInstance(world, doc, revision),
    idField: 'instanceId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Instances of this account.' },
      instanceName: { like: ({ doc }) => doc.name, description: 'Instances of this name.' },
      instanceType: { equals: ({ doc }) => doc.instanceType, description: 'Instances of this type.' },
      agentId: { equals: ({ doc }) => doc.agentId, description: 'Instances that this agent serves.' },
      securityGroupId: {
        test(groupId) {
          const members = api.world.enisOfGroup(groupId)
          return ({ doc }) => [...api.world.enisOfInstance(doc.id)].some(id => members.has(id))
        },
        description: 'Instances with an interface in this group.',
      },
    },
    sorts: { instanceName: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
    tagsOf: ({ doc }) => doc.tags,
  })

  addReadRoute(app, api, {
    url: '/v1/instances/:instanceId',
    summary: 'Read an instance',
    tag,
    params,
    answer,
    etag: 'instance',
    read(world, { principal, params: { instanceId } }) {
      const instance = visible(world, principal, 'instance', instanceId)
      return { instance: showInstance(world, instance, world.revisionOf('instance', instanceId)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/instances',
    summary: 'Register an instance',
    description: 'A host, or a virtual machine on one. One agent may serve several.',
    tag,
    action: 'ecs:RunInstances',
    body: createInstanceSchema,
    status: 201,
    answer,
    etag: 'instance',
    plan: (world, { principal, body, nowMs }) => createInstance(world, principal, { body, nowMs }),
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: '/v1/instances/:instanceId',
    summary: 'Change an instance',
    tag,
    action: 'ecs:ModifyInstanceAttribute',
    params,
    body: modifyInstanceSchema,
    answer,
    etag: 'instance',
    subject,
    plan: (world, { principal, params: { instanceId }, body }) =>
      modifyInstance(world, principal, { id: instanceId, body }),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/instances/:instanceId',
    summary: 'Delete an instance with its network interfaces',
    tag,
    action: 'ecs:DeleteInstance',
    params,
    answer: Type.Object({ instanceId: Type.String() }),
    subject,
    plan: (world, { principal, params: { instanceId } }) => deleteInstance(world, principal, instanceId),
  })
}
