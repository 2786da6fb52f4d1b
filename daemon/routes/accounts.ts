/** `/v1/accounts` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { notFound } from '../errors.ts'
import { accountSchema, createAccountSchema, modifyAccountSchema } from '../schemas/accounts.ts'
import { idParam, isoTime } from '../schemas/fields.ts'
import { createAccount, deleteAccount, findAccount, modifyAccount, showAccount } from '../services/accounts.ts'
import { everyAccount, mayRead, requireWrite } from '../services/principal.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Accounts'
const params = Type.Object({ accountId: idParam('The account.') })
const answer = Type.Object({ account: accountSchema })
const subject = ({ accountId }: { accountId: string }) => ({ kind: 'account', id: accountId }) as const

export function addAccountRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url: '/v1/accounts',
    summary: 'List accounts',
    tag,
    *sources(world, { principal }) {
      for (const standing of world.standings('account')) if (mayRead(principal, standing.doc.id)) yield standing
    },
    item: accountSchema,
    show: ({ doc, revision }) => showAccount(doc, revision),
    idField: 'accountId',
    idOf: ({ doc }) => doc.id,
    filters: { name: { like: ({ doc }) => doc.name, description: 'Accounts of this name.' } },
    sorts: { name: ({ doc }) => doc.name, createTime: ({ doc }) => isoTime(doc.createdAtMs) },
  })

  addReadRoute(app, api, {
    url: '/v1/accounts/:accountId',
    summary: 'Read an account',
    tag,
    params,
    answer,
    etag: 'account',
    read(world, { principal, params: { accountId } }) {
      if (!mayRead(principal, accountId)) throw notFound('account', accountId)
      return { account: showAccount(findAccount(world, accountId), world.revisionOf('account', accountId)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/accounts',
    summary: 'Make an account',
    tag,
    action: 'ringwall:CreateAccount',
    body: createAccountSchema,
    status: 201,
    answer,
    etag: 'account',
    plan(world, { principal, body, nowMs }) {
      requireWrite(principal, everyAccount)
      return createAccount(world, body, nowMs)
    },
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: '/v1/accounts/:accountId',
    summary: 'Change an account',
    tag,
    action: 'ringwall:ModifyAccount',
    params,
    body: modifyAccountSchema,
    answer,
    etag: 'account',
    subject,
    plan(world, { principal, params: { accountId }, body }) {
      requireWrite(principal, everyAccount)
      return modifyAccount(world, accountId, body)
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/accounts/:accountId',
    summary: 'Delete an account',
    tag,
    action: 'ringwall:DeleteAccount',
    params,
    answer: Type.Object({ accountId: Type.String() }),
    subject,
    plan(world, { principal, params: { accountId } }) {
      requireWrite(principal, everyAccount)
      return deleteAccount(world, accountId)
    },
  })
}
