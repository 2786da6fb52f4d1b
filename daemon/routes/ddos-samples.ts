/** `/v1/ddos/samples`: traffic of instances as it comes, once a second. */
import { once } from 'node:events'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { ddosSampleSchema } from '../schemas/ddos.ts'
import { mayRead, visible } from '../services/principal.ts'
import { EventStream, eventStreamType } from './event-stream.ts'
import type { Api } from './route.ts'

const maxInstances = 100
const keepAliveMs = 15_000

const query = Type.Object(
  {
    instanceId: Type.Unsafe<string | readonly string[]>({
      description: 'Repeatable.',
      anyOf: [
        { type: 'string', maxLength: 64 },
        { type: 'array', minItems: 1, maxItems: maxInstances, items: { type: 'string', maxLength: 64 } },
      ],
    }),
  },
  { additionalProperties: false },
)

export function addDdosSampleRoute(app: FastifyInstance, api: Api): void {
  const streams = new Set<EventStream>()
  // Connections are cut then: readers are told before, as far as they listen.
  app.addHook('preClose', async () => {
    const closed = [...streams].map(stream => once(stream, 'close'))
    for (const stream of streams) stream.end('stopping')
    await Promise.all(closed)
  })
  app.route({
    method: 'GET',
    url: '/v1/ddos/samples',
    config: { isStream: true },
    schema: {
      summary: 'Follow the traffic of instances',
      description:
        'Server-sent events: `sample` once a second for each instance whose agent is connected; `end` with a reason (slow, forbidden, stopping) before the daemon ends it. Agents measure every second anyway, and send it while somebody reads.',
      tags: ['Traffic scrubbing'],
      querystring: query,
      response: {
        200: {
          description: 'Each `sample` event has a sample as its data.',
          content: { 'text/event-stream': { schema: ddosSampleSchema } },
        },
      },
    },
    handler: async (request, reply) => {
      const instanceIds = [...new Set([(request.query as { instanceId: string | string[] }).instanceId].flat())]
      for (const id of instanceIds) visible(api.world, request.principal, 'instance', id, '?instanceId')
      const stream = openStream(api, request, instanceIds)
      streams.add(stream)
      stream.once('close', () => streams.delete(stream))
      return reply
        .header('content-type', eventStreamType)
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        .serializer((value: unknown) => value as string)
        .send(stream)
    },
  })
}

function openStream({ world, ddos, now }: Api, { principal }: FastifyRequest, instanceIds: readonly string[]) {
  const stream = new EventStream()
  const isGood = () => {
    const token = world.get('token', principal.tokenId ?? '')
    return token !== undefined && (token.expiresAtMs === null || token.expiresAtMs > now())
  }
  const stop = ddos.watch(instanceIds, {
    principalId: principal.id,
    sample(instanceId, text) {
      const { accountId } = world.get('instance', instanceId) ?? {}
      if (accountId !== undefined && mayRead(principal, accountId)) stream.send('sample', text)
    },
    end: reason => stream.end(reason),
  })
  const timer = setInterval(() => (isGood() ? stream.keepAlive() : stream.end('forbidden')), keepAliveMs)
  timer.unref()
  stream.once('close', () => {
    clearInterval(timer)
    stop()
  })
  // Tells the client that it is heard before there is anything to say.
  stream.keepAlive()
  return stream
}
