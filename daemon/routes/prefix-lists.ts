/** `/v1/prefix-lists` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam, isoTime } from '../schemas/fields.ts'
import { associationSchema } from '../schemas/named-lists.ts'
import { createPrefixListSchema, modifyPrefixListSchema, prefixListSchema } from '../schemas/prefix-lists.ts'
import { groupsNaming, showAssociation } from '../services/named-lists.ts'
import { createPrefixList, deletePrefixList, modifyPrefixList, showPrefixList } from '../services/prefix-lists.ts'
import { readable, visible, writable } from '../services/principal.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Prefix lists'
const url = '/v1/prefix-lists'
const listUrl = `${url}/:prefixListId`
const params = Type.Object({ prefixListId: idParam('The prefix list.') })
const answer = Type.Object({ prefixList: prefixListSchema })
const etag = 'prefixList'
const subject = ({ prefixListId }: { prefixListId: string }) => ({ kind: 'prefixList', id: prefixListId }) as const

export function addPrefixListRoutes(app: FastifyInstance, api: Api): void {
  addReadRoutes(app, api)

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a prefix list',
    tag,
    action: 'ecs:CreatePrefixList',
    body: createPrefixListSchema,
    status: 201,
    answer,
    etag,
    plan: (world, { principal, body, nowMs }) => createPrefixList({ world, principal, nowMs }, body),
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: listUrl,
    summary: 'Change a prefix list',
    description: 'Rules that name it match the new blocks at once. Every such rule must be allowed to name them.',
    tag,
    action: 'ecs:ModifyPrefixList',
    params,
    body: modifyPrefixListSchema,
    answer,
    etag,
    subject,
    plan: (world, { principal, params: { prefixListId }, body }) =>
      modifyPrefixList(world, writable(world, principal, 'prefixList', prefixListId), body),
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: listUrl,
    summary: 'Delete a prefix list',
    description: 'Refused while rules name it.',
    tag,
    action: 'ecs:DeletePrefixList',
    params,
    answer: Type.Object({ prefixListId: Type.String() }),
    subject,
    plan: (world, { principal, params: { prefixListId } }) =>
      deletePrefixList(world, writable(world, principal, 'prefixList', prefixListId)),
  })
}

function addReadRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url,
    summary: 'List prefix lists',
    tag,
    sources: (world, { principal }) => readable(world, principal, 'prefixList'),
    item: prefixListSchema,
    show: ({ doc, revision }, world) => showPrefixList(world, doc, revision),
    idField: 'prefixListId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Lists of this account.' },
      prefixListName: { like: ({ doc }) => doc.name, description: 'Lists of this name.' },
      addressFamily: {
        equals: ({ doc }) => doc.addressFamily,
        description: 'IPv4 or IPv6.',
        schema: prefixListSchema.properties.addressFamily,
      },
    },
    sorts: { prefixListName: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
    tagsOf: ({ doc }) => doc.tags,
  })

  addReadRoute(app, api, {
    url: listUrl,
    summary: 'Read a prefix list',
    tag,
    params,
    answer,
    etag,
    read(world, { principal, params: { prefixListId } }) {
      const list = visible(world, principal, 'prefixList', prefixListId)
      return { prefixList: showPrefixList(world, list, world.revisionOf('prefixList', list.id)) }
    },
  })

  addListRoute(app, api, {
    url: `${listUrl}/associations`,
    summary: 'List the security groups with rules that name a prefix list',
    tag,
    params,
    sources(world, { principal, params: { prefixListId } }) {
      visible(world, principal, 'prefixList', prefixListId)
      return groupsNaming(world, prefixListId)
    },
    item: associationSchema,
    show: (group, _world, { params: { prefixListId } }) => showAssociation(group, prefixListId),
    idField: 'securityGroupId',
    idOf: ({ id }) => id,
  })
}
