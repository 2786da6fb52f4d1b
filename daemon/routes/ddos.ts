/** `/v1/ddos/…`: how instances stand under attack, past attacks, and traffic as it comes. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { floodTypes } from '../../rules-compiler/model/traffic.ts'
import { type DdosEvent, ddosEventPhases, ddosPhases } from '../../wire/ddos.ts'
import type { DdosEventDoc, InstanceDoc } from '../model/documents.ts'
import { ddosEventSchema, ddosInstanceSchema } from '../schemas/ddos.ts'
import { idParam } from '../schemas/fields.ts'
import { showDdosEvent, showDdosInstance, visibleEvent, wentOn } from '../services/ddos.ts'
import { mayRead, readable, visible } from '../services/principal.ts'
import type { Standing } from '../state/world.ts'
import { addListRoute, type Filter } from './listing.ts'
import { readTime } from './query.ts'
import { type Api, addReadRoute } from './route.ts'

const tag = 'Traffic scrubbing'

export function addDdosRoutes(app: FastifyInstance, api: Api): void {
  const sources = { board: api.ddos, fleet: api.fleet }
  const statusOf = ({ doc }: Standing<InstanceDoc>) => api.ddos.standingOf(doc.id)?.status

  addListRoute(app, api, {
    url: '/v1/ddos/instances',
    summary: 'List instances with how each stands under attack',
    description: 'From what agents tell every few seconds; a daemon that has just started knows nothing of it yet.',
    tag,
    sources: (world, { principal }) => readable(world, principal, 'instance'),
    item: ddosInstanceSchema,
    show: ({ doc, revision }) => showDdosInstance(doc, sources, revision),
    idField: 'instanceId',
    idOf: ({ doc }) => doc.id,
    filters: {
      phase: {
        equals: source => statusOf(source)?.phase ?? null,
        description: 'Instances in this phase.',
        schema: Type.Enum([...ddosPhases]),
      },
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Instances of this account.' },
      instanceId: { equals: ({ doc }) => doc.id, description: 'This instance alone.' },
      agentId: { equals: ({ doc }) => doc.agentId, description: 'Instances that this agent serves.' },
    },
    sorts: {
      phase: source => statusOf(source)?.phase ?? null,
      since: source => statusOf(source)?.since ?? null,
      bitsPerSecond: source => statusOf(source)?.sample?.offered.bitsPerSecond ?? null,
      packetsPerSecond: source => statusOf(source)?.sample?.offered.packetsPerSecond ?? null,
    },
  })

  addReadRoute(app, api, {
    url: '/v1/ddos/instances/:instanceId',
    summary: 'Say how an instance stands under attack',
    tag,
    params: Type.Object({ instanceId: idParam('The instance.') }),
    answer: Type.Object({ ddosInstance: ddosInstanceSchema }),
    read(world, { principal, params: { instanceId } }) {
      const instance = visible(world, principal, 'instance', instanceId)
      return { ddosInstance: showDdosInstance(instance, sources, world.revisionOf('instance', instanceId)) }
    },
  })

  addListRoute(app, api, {
    url: '/v1/ddos/events',
    summary: 'List attacks, newest first',
    tag,
    *sources(world, { principal, query }) {
      const { instanceId } = query as { instanceId?: string }
      if (instanceId === undefined) return yield* readable(world, principal, 'ddosEvent')
      for (const id of world.eventsOfInstance(instanceId)) {
        const standing = world.standing('ddosEvent', id)!
        if (mayRead(principal, standing.doc.accountId)) yield standing
      }
    },
    item: ddosEventSchema,
    show: ({ doc, revision }) => showDdosEvent(doc, revision),
    idField: 'eventId',
    idOf: ({ doc }) => doc.event.id,
    filters: {
      instanceId: { equals: ({ doc }) => doc.event.instanceId, description: 'Attacks on this instance.' },
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Attacks on instances of this account.' },
      phase: {
        equals: ({ doc }) => doc.event.phase,
        description: 'Attacks in this phase.',
        schema: Type.Enum([...ddosEventPhases]),
      },
      attackType: {
        test: text => source => source.doc.event.attackTypes.some(({ type }) => type === text),
        description: 'Attacks in which this was recognised.',
        schema: Type.Enum([...floodTypes]),
      },
      since: timeFilter('?since', 'Attacks that had not ended before this time, ISO 8601.', (event, sinceMs) =>
        wentOn(event, { sinceMs, untilMs: null }),
      ),
      until: timeFilter('?until', 'Attacks that began before this time, ISO 8601.', (event, untilMs) =>
        wentOn(event, { sinceMs: null, untilMs }),
      ),
    },
    sorts: { startTime: ({ doc }) => doc.event.startTime },
    defaultSort: '-startTime',
  })

  addReadRoute(app, api, {
    url: '/v1/ddos/events/:eventId',
    summary: 'Read an attack',
    tag,
    params: Type.Object({ eventId: idParam('The event.') }),
    answer: Type.Object({ ddosEvent: ddosEventSchema }),
    etag: 'ddosEvent',
    read(world, { principal, params: { eventId } }) {
      const doc = visibleEvent(world, principal, eventId)
      return { ddosEvent: showDdosEvent(doc, world.revisionOf('ddosEvent', eventId)) }
    },
  })
}

function timeFilter(
  field: string,
  description: string,
  matches: (event: DdosEvent, timeMs: number) => boolean,
): Filter<Standing<DdosEventDoc>> {
  return {
    description,
    test(text) {
      const timeMs = readTime(text, field)!
      return ({ doc }) => matches(doc.event, timeMs)
    },
  }
}
