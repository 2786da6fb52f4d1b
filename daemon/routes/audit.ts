/** `/v1/audit` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { AuditEvent } from '../audit/event.ts'
import type { AuditPosition } from '../audit/search.ts'
import { actionsIn } from '../model/note.ts'
import { actionsField, pageQuery, pageSchema, principalSchema } from '../schemas/changes.ts'
import { nullable, timeField } from '../schemas/fields.ts'
import { everyAccount, requireRead } from '../services/principal.ts'
import { readTime, refuseQuery } from './query.ts'
import { type Api, addReadRoute } from './route.ts'

const text = (description: string) => Type.Optional(Type.String({ description, maxLength: 256 }))
const time = (description: string) => Type.Optional(Type.String({ description, maxLength: 40 }))
const fields = Type.Unknown({
  description:
    'The fields that differ, named as in a GET; null: no such object. Lists of objects with names are told as added, removed and changed. What the API does not show (certificates of agents, say), and lines from before, are as they are stored.',
})

const eventSchema = Type.Object({
  time: timeField('When it was committed or refused.'),
  requestId: Type.String(),
  principal: principalSchema,
  sourceAddress: nullable(Type.String()),
  action: Type.String({ description: 'The first of `actions`.' }),
  actions: actionsField,
  outcome: Type.Enum(['done', 'refused']),
  code: nullable(Type.String({ description: 'Why it was refused.' })),
  status: nullable(Type.Integer()),
  revision: Type.Integer({ description: 'Of the commit; of what made none, the newest there was.' }),
  objects: Type.Array(Type.String(), { description: 'Keys, `group/sg-web`.' }),
  changes: Type.Array(Type.Object({ key: Type.String(), before: fields, after: fields })),
  detail: nullable(Type.String()),
})

export function addAuditRoutes(app: FastifyInstance, api: Api): void {
  addReadRoute(app, api, {
    url: '/v1/audit',
    summary: 'Read the audit log, newest first',
    description:
      'Every write, done or refused. A page may hold fewer than asked for, or none: there is more as long as nextToken is not null.',
    tag: 'Audit',
    query: Type.Object(
      {
        ...pageQuery,
        action: text('`ecs:AuthorizeSecurityGroup`, say.'),
        principalId: text('Who did it or tried to.'),
        outcome: Type.Optional(Type.Enum(['done', 'refused'])),
        key: text('What it was done to: `group/sg-web`.'),
        requestId: text('The one an answer named.'),
        since: time('Not before this time, ISO 8601.'),
        until: time('Before this time, ISO 8601.'),
      },
      { additionalProperties: false },
    ),
    answer: pageSchema(eventSchema),
    async read(_world, { principal, query }) {
      requireRead(principal, everyAccount)
      const { maxResults = 100, nextToken, since, until, ...filter } = query
      const sinceMs = readTime(since, '?since')
      const untilMs = readTime(until, '?until')
      const page = await api.audit.search({
        filter: {
          ...filter,
          ...(sinceMs !== null && { sinceMs }),
          ...(untilMs !== null && { untilMs }),
        },
        maxEvents: maxResults,
        from: readNextToken(nextToken),
      })
      return { items: page.events.map(showEvent), nextToken: writeNextToken(page.next), totalCount: null }
    },
  })
}

function showEvent({ objects, changes, principal, ...event }: AuditEvent) {
  return {
    ...event,
    actions: [...actionsIn(event)],
    principal: { ...principal },
    objects: [...objects],
    changes: [...changes],
  }
}

function writeNextToken(position: AuditPosition | null): string | null {
  return position === null ? null : `${position.file}.${position.offset}`
}

function readNextToken(token: string | undefined): AuditPosition | null {
  if (token === undefined) return null
  const [, file, offset] = /^([\w-]{22})\.(\d{1,15})$/.exec(token) ?? []
  if (file !== undefined && offset !== undefined) return { file, offset: Number(offset) }
  throw refuseQuery('?nextToken', 'Cannot continue from nextToken: expected one of this list')
}
