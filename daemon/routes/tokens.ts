/** `/v1/tokens` and `/v1/whoami` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam, isoTime } from '../schemas/fields.ts'
import { apiTokenSchema, createTokenSchema, whoamiSchema } from '../schemas/tokens.ts'
import { everyAccount, requireRead, requireWrite } from '../services/principal.ts'
import { createToken, deleteToken, showToken } from '../services/tokens.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Tokens'

export function addTokenRoutes(app: FastifyInstance, api: Api): void {
  addReadRoute(app, api, {
    url: '/v1/whoami',
    summary: 'Say whose token this is and what it may do',
    tag,
    answer: whoamiSchema,
    read: (_world, { principal: { id, name, scopes, ram, tokenId = id } }) => ({
      tokenId,
      name,
      scopes: scopes.map(scope => ({ ...scope })),
      identity: ram === undefined ? null : { type: ram.type, accountId: ram.accountId, arn: ram.arn },
    }),
  })

  addListRoute(app, api, {
    url: '/v1/tokens',
    summary: 'List API tokens',
    tag,
    sources(world, { principal }) {
      requireRead(principal, everyAccount)
      return world.standings('token')
    },
    item: apiTokenSchema,
    show: ({ doc, revision }) => showToken(doc, revision),
    idField: 'tokenId',
    idOf: ({ doc }) => doc.id,
    filters: { name: { like: ({ doc }) => doc.name, description: 'Tokens of this name.' } },
    sorts: { name: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/tokens',
    summary: 'Make an API token',
    description:
      'An operator’s, with scopes, or one of a user of RAM, which may what his policies say. The answer is the only place where `token` is ever shown.',
    tag,
    action: 'ringwall:CreateToken',
    query: Type.Object({ dryRun: Type.Optional(Type.Boolean()) }),
    body: createTokenSchema,
    status: 201,
    answer: Type.Object({
      apiToken: apiTokenSchema,
      token: Type.String({ description: 'For `Authorization: Bearer`.' }),
    }),
    isSecret: true,
    plan(world, { principal, body, nowMs, query: { dryRun = false } }) {
      requireWrite(principal, everyAccount)
      return createToken(world, { body, nowMs, dryRun })
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/tokens/:tokenId',
    summary: 'Delete an API token',
    tag,
    action: 'ringwall:DeleteToken',
    params: Type.Object({ tokenId: idParam('The token.') }),
    answer: Type.Object({ tokenId: Type.String() }),
    subject: ({ tokenId }) => ({ kind: 'token', id: tokenId }),
    plan(world, { principal, params: { tokenId }, nowMs }) {
      requireWrite(principal, everyAccount)
      return deleteToken(world, tokenId, nowMs)
    },
  })
}
