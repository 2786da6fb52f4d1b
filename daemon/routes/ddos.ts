/** `/v1/ddos/…`: how instances stand under attack, past attacks, and traffic as it comes. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { floodTypes } from '../../rules-compiler/model/traffic.ts'
import { ddosEventPhases, ddosPhases } from '../../wire/ddos.ts'
import { ddosEventSchema, ddosInstanceSchema } from '../schemas/ddos.ts'
import { idParam } from '../schemas/fields.ts'
import { eventsOf, showDdosEvent, showDdosInstance, visibleEvent, wentOn } from '../services/ddos.ts'
import { mayRead, visible } from '../services/principal.ts'
import { addListRoute, type Filter, fieldFilter } from './listing.ts'
import { readTime } from './query.ts'
import { type Api, addReadRoute } from './route.ts'

const tag = 'Traffic scrubbing'

export function addDdosRoutes(app: FastifyInstance, api: Api): void {
  const sources = { board: api.ddos, fleet: api.fleet }

  addListRoute(app, api, {
    url: '/v1/ddos/instances',
    summary: 'List instances with how each stands under attack',
    description: 'From what agents tell every few seconds; a daemon that has just started knows nothing of it yet.',
    tag,
    item: ddosInstanceSchema,
    idField: 'instanceId',
    filters: {
      phase: {
        ...fieldFilter('phase', 'Instances in this phase.'),
        schema: Type.Enum([...ddosPhases], { description: 'Instances in this phase.' }),
      },
      accountId: fieldFilter('accountId', 'Instances of this account.'),
      instanceId: fieldFilter('instanceId', 'This instance alone.'),
      agentId: fieldFilter('agentId', 'Instances that this agent serves.'),
    },
    sortFields: ['phase', 'since', 'bitsPerSecond', 'packetsPerSecond'],
    *items(world, { principal }) {
      for (const instance of world.all('instance')) {
        if (!mayRead(principal, instance.accountId)) continue
        yield showDdosInstance(instance, sources, world.revisionOf('instance', instance.id))
      }
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
    item: ddosEventSchema,
    idField: 'eventId',
    filters: {
      instanceId: fieldFilter('instanceId', 'Attacks on this instance.'),
      accountId: fieldFilter('accountId', 'Attacks on instances of this account.'),
      phase: {
        ...fieldFilter('phase', 'Attacks in this phase.'),
        schema: Type.Enum([...ddosEventPhases], { description: 'Attacks in this phase.' }),
      },
      attackType: {
        description: 'Attacks in which this was recognised.',
        schema: Type.Enum([...floodTypes], { description: 'Attacks in which this was recognised.' }),
        matches: ({ attackTypes }, text) => attackTypes.some(({ type }) => type === text),
      },
      since: timeFilter('?since', 'Attacks that had not ended before this time, ISO 8601.', (event, sinceMs) =>
        wentOn(event, { sinceMs, untilMs: null }),
      ),
      until: timeFilter('?until', 'Attacks that began before this time, ISO 8601.', (event, untilMs) =>
        wentOn(event, { sinceMs: null, untilMs }),
      ),
    },
    sortFields: ['startTime'],
    defaultSort: '-startTime',
    *items(world, { principal, query }) {
      const { instanceId } = query as { instanceId?: string }
      for (const doc of instanceId === undefined ? world.all('ddosEvent') : eventsOf(world, instanceId)) {
        if (mayRead(principal, doc.accountId)) yield showDdosEvent(doc, world.revisionOf('ddosEvent', doc.event.id))
      }
    },
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

interface Times {
  readonly startTime: string
  readonly endTime: string | null
}

function timeFilter(
  field: string,
  description: string,
  matches: (event: Times, timeMs: number) => boolean,
): Filter<Times> {
  return {
    description,
    check: text => void readTime(text, field),
    matches: (event, text) => matches(event, readTime(text, field)!),
  }
}
