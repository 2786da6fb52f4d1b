/** `/v1/changes`: what was committed, and where it is in force. */
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { ApiError } from '../errors.ts'
import { changeFields, listedChangeSchema, pageQuery, pageSchema } from '../schemas/changes.ts'
import { compacted, enforcementOf, findCommit, latestCommits } from '../services/changes.ts'
import { type Api, addReadRoute, enforcementAnswer, enforcementSchema } from './route.ts'

const tag = 'Changes'

export function addChangeRoutes(app: FastifyInstance, api: Api): void {
  const { store, board } = api

  addReadRoute(app, api, {
    url: '/v1/changes',
    summary: 'List the latest changes, newest first',
    description: 'A page may hold fewer than asked for; there are more as long as nextToken is not null.',
    tag,
    query: Type.Object(pageQuery, { additionalProperties: false }),
    answer: pageSchema(listedChangeSchema),
    async read(_world, { principal, query: { maxResults = 100, nextToken } }) {
      const page = await latestCommits(store, principal, { before: readNextToken(nextToken), maxResults })
      const items = []
      for (const commit of page.commits) {
        const found = await enforcementOf(board, commit.revision)
        const { state, agents, enforced } = found ?? {}
        const enforcement =
          state === undefined || agents === undefined || enforced === undefined ? null : { state, agents, enforced }
        items.push({ ...commit, enforcement })
        // One that concerned ten thousand agents takes some ten milliseconds.
        await setImmediate()
      }
      return { items, nextToken: page.before === null ? null : String(page.before), totalCount: null }
    },
  })

  addReadRoute(app, api, {
    url: '/v1/changes/:revision',
    summary: 'Say where a change is in force, and who is behind',
    tag,
    params: Type.Object({ revision: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) }),
    answer: Type.Object({ ...changeFields, enforcement: enforcementSchema }),
    async read(_world, { principal, params: { revision } }) {
      const commit = await findCommit(store, principal, revision)
      const enforcement = await enforcementOf(board, revision)
      if (enforcement === null) throw compacted(revision, store.oldest())
      return { ...commit, enforcement: enforcementAnswer(enforcement) }
    },
  })
}

function readNextToken(token: string | undefined): number | null {
  if (token === undefined) return null
  if (/^[1-9]\d{0,14}$/.test(token)) return Number(token)
  const message = 'Cannot continue from nextToken: expected one of this list'
  throw new ApiError(400, 'InvalidParameter', message, {
    errors: [{ code: 'invalid-value', field: '?nextToken', message }],
  })
}
