/** `/v1/port-range-lists` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam, isoTime } from '../schemas/fields.ts'
import { associationSchema } from '../schemas/named-lists.ts'
import {
  createPortRangeListSchema,
  modifyPortRangeListSchema,
  portRangeListSchema,
} from '../schemas/port-range-lists.ts'
import { groupsNaming, showAssociation } from '../services/named-lists.ts'
import {
  createPortRangeList,
  deletePortRangeList,
  modifyPortRangeList,
  showPortRangeList,
} from '../services/port-range-lists.ts'
import { readable, visible, writable } from '../services/principal.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Lists of ports'
const url = '/v1/port-range-lists'
const listUrl = `${url}/:portRangeListId`
const params = Type.Object({ portRangeListId: idParam('The list of ports.') })
const answer = Type.Object({ portRangeList: portRangeListSchema })
const etag = 'portRangeList'
const subject = ({ portRangeListId }: { portRangeListId: string }) =>
  ({ kind: 'portRangeList', id: portRangeListId }) as const

export function addPortRangeListRoutes(app: FastifyInstance, api: Api): void {
  addReadRoutes(app, api)

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a list of ports',
    tag,
    action: 'ecs:CreatePortRangeList',
    body: createPortRangeListSchema,
    status: 201,
    answer,
    etag,
    plan: (world, { principal, body, nowMs }) => createPortRangeList({ world, principal, nowMs }, body),
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: listUrl,
    summary: 'Change a list of ports',
    description:
      'Rules that name it match the new ranges at once. A greater maxEntries must leave room in their groups.',
    tag,
    action: 'ecs:ModifyPortRangeList',
    params,
    body: modifyPortRangeListSchema,
    answer,
    etag,
    subject,
    plan: (world, { principal, params: { portRangeListId }, body }) =>
      modifyPortRangeList(world, writable(world, principal, 'portRangeList', portRangeListId), body),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: listUrl,
    summary: 'Delete a list of ports',
    description: 'Refused while rules name it.',
    tag,
    action: 'ecs:DeletePortRangeList',
    params,
    answer: Type.Object({ portRangeListId: Type.String() }),
    subject,
    plan: (world, { principal, params: { portRangeListId } }) =>
      deletePortRangeList(world, writable(world, principal, 'portRangeList', portRangeListId)),
  })
}

function addReadRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url,
    summary: 'List lists of ports',
    tag,
    sources: (world, { principal }) => readable(world, principal, 'portRangeList'),
    item: portRangeListSchema,
    show: ({ doc, revision }, world) => showPortRangeList(world, doc, revision),
    idField: 'portRangeListId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Lists of this account.' },
      portRangeListName: { like: ({ doc }) => doc.name, description: 'Lists of this name.' },
    },
    sorts: { portRangeListName: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
    tagsOf: ({ doc }) => doc.tags,
  })

  addReadRoute(app, api, {
    url: listUrl,
    summary: 'Read a list of ports',
    tag,
    params,
    answer,
    etag,
    read(world, { principal, params: { portRangeListId } }) {
      const list = visible(world, principal, 'portRangeList', portRangeListId)
      return { portRangeList: showPortRangeList(world, list, world.revisionOf('portRangeList', list.id)) }
    },
  })

  addListRoute(app, api, {
    url: `${listUrl}/associations`,
    summary: 'List the security groups with rules that name a list of ports',
    tag,
    params,
    sources(world, { principal, params: { portRangeListId } }) {
      visible(world, principal, 'portRangeList', portRangeListId)
      return groupsNaming(world, portRangeListId)
    },
    item: associationSchema,
    show: (group, _world, { params: { portRangeListId } }) => showAssociation(group, portRangeListId),
    idField: 'securityGroupId',
    idOf: ({ id }) => id,
  })
}
