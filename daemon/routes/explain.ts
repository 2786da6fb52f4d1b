/** `POST /v1/explain`, which reads: a packet has more fields than a query should have. */
import type { FastifyInstance } from 'fastify'
import { explainSchema, explanationSchema, type PacketQuestion } from '../schemas/explain.ts'
import { explainPacket } from '../services/explain.ts'
import type { Api } from './route.ts'

export function addExplainRoute(app: FastifyInstance, { world }: Api): void {
  app.route({
    method: 'POST',
    url: '/v1/explain',
    schema: {
      summary: 'What decides about a packet at a network interface',
      description:
        'Of a packet that begins a session, by the state as it stands. The connection of the agent itself, which is never judged, is not known here.',
      tags: ['Reports'],
      body: explainSchema,
      response: { 200: explanationSchema },
    },
    handler: async ({ principal, body }) => explainPacket(world, principal, body as PacketQuestion),
  })
}
