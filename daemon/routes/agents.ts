/** `/v1/agents` and `/v1/enrolment-tokens` */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { sourceAddressOf } from '../http/source-address.ts'
import { agentSchema, createEnrolmentTokenSchema, enrolmentTokenSchema, trialSchema } from '../schemas/agents.ts'
import { idParam, isoTime } from '../schemas/fields.ts'
import {
  createEnrolment,
  deleteAgent,
  deleteEnrolment,
  findAgent,
  revokeAgent,
  showAgent,
  showEnrolment,
  showTrial,
  stateOf,
} from '../services/fleet.ts'
import { everyAccount, requireRead, requireWrite } from '../services/principal.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Agents'
const params = Type.Object({ agentId: idParam('The agent.') })
const answer = Type.Object({ agent: agentSchema })
const subject = ({ agentId }: { agentId: string }) => ({ kind: 'agent', id: agentId }) as const

export function addAgentRoutes(app: FastifyInstance, api: Api): void {
  const { fleet } = api

  addListRoute(app, api, {
    url: '/v1/agents',
    summary: 'List agents',
    tag,
    sources(world, { principal }) {
      requireRead(principal, everyAccount)
      return world.all('agent')
    },
    item: agentSchema,
    show: (agent, world) => showAgent(world, agent, fleet.statusOf(agent.id)),
    idField: 'agentId',
    idOf: ({ id }) => id,
    filters: {
      state: {
        equals: agent => stateOf(agent, fleet.statusOf(agent.id)),
        description: 'Agents in this state.',
        schema: agentSchema.properties.state,
      },
      hostName: { like: ({ hostName }) => hostName, description: 'Agents on hosts of this name.' },
    },
    sorts: { hostName: ({ hostName }) => hostName, createTime: ({ createdAtMs }) => isoTime(createdAtMs) },
  })

  addReadRoute(app, api, {
    url: '/v1/agents/:agentId',
    summary: 'Read an agent',
    tag,
    params,
    answer,
    etag: 'agent',
    read(world, { principal, params: { agentId } }) {
      requireRead(principal, everyAccount)
      return { agent: showAgent(world, findAgent(world, agentId), fleet.statusOf(agentId)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/agents/:agentId/revoke',
    summary: 'Revoke an agent',
    description:
      'It is cut off at once and cannot come back without a new enrolment token. What stands in its kernel stays in force.',
    tag,
    action: 'ringwall:RevokeAgent',
    params,
    answer,
    etag: 'agent',
    subject,
    plan(world, { principal, params: { agentId }, nowMs }) {
      requireWrite(principal, everyAccount)
      const { agent, key } = revokeAgent(world, agentId, nowMs)
      return {
        writes: [{ key, value: agent }],
        body: revisionOf => ({
          agent: { ...showAgent(world, agent, undefined), revision: revisionOf('agent', agentId) },
        }),
      }
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/agents/:agentId',
    summary: 'Delete an agent',
    description: 'Only one that is revoked or was never connected. Its instances are without agent then.',
    tag,
    action: 'ringwall:DeleteAgent',
    params,
    answer: Type.Object({ agentId: Type.String() }),
    subject,
    plan(world, { principal, params: { agentId } }) {
      requireWrite(principal, everyAccount)
      return deleteAgent(world, agentId)
    },
  })

  addConfirmRoute(app, api)
  addEnrolmentRoutes(app, api)
}

/** Nothing is stored: what is confirmed is what the agent has in its kernel now. */
function addConfirmRoute(app: FastifyInstance, { world, fleet, audit }: Api): void {
  const action = 'ringwall:ConfirmPolicy'
  app.post('/v1/agents/:agentId/confirm', {
    config: { action },
    schema: {
      summary: 'Confirm the policy that an agent has on trial',
      description:
        'The agent keeps it, once it has reached the daemon through it. Only while `trial` of the agent waits for somebody: 409 otherwise.',
      tags: [tag],
      params,
      querystring: Type.Object({}, { additionalProperties: false }),
      response: { 200: Type.Object({ agentId: Type.String(), trial: trialSchema }) },
      'x-action': action,
    },
    async handler(request: FastifyRequest) {
      const { agentId } = request.params as { agentId: string }
      requireWrite(request.principal, everyAccount)
      findAgent(world, agentId)
      const trial = fleet.confirmTrial(agentId)
      const { id, kind, name } = request.principal
      audit.acted(
        { action, principal: { kind, id, name }, sourceAddress: sourceAddressOf(request), requestId: request.id },
        `the policy of revision ${trial.revision} on trial at agent ${agentId}`,
      )
      return { agentId, trial: showTrial(trial) }
    },
  })
}

function addEnrolmentRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url: '/v1/enrolment-tokens',
    summary: 'List enrolment tokens',
    tag,
    sources(world, { principal }) {
      requireRead(principal, everyAccount)
      return world.standings('enrolment')
    },
    item: enrolmentTokenSchema,
    show: ({ doc, revision }) => showEnrolment(doc, revision),
    idField: 'enrolmentTokenId',
    idOf: ({ doc }) => doc.id,
    sorts: { createTime: ({ doc }) => isoTime(doc.createdAtMs) },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/enrolment-tokens',
    summary: 'Make a token with which one host becomes an agent, once',
    description: 'The answer is the only place where `token` is ever shown.',
    tag,
    action: 'ringwall:CreateEnrolmentToken',
    query: Type.Object({ dryRun: Type.Optional(Type.Boolean()) }),
    body: createEnrolmentTokenSchema,
    status: 201,
    answer: Type.Object({
      enrolmentToken: enrolmentTokenSchema,
      token: Type.String(),
      joinCommand: Type.String({ description: 'To be run on the host, as root.' }),
    }),
    isSecret: true,
    plan(world, { principal, body, nowMs, query: { dryRun = false } }) {
      requireWrite(principal, everyAccount)
      return createEnrolment(world, { body, fleet: api.fleet, nowMs, dryRun })
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: '/v1/enrolment-tokens/:enrolmentTokenId',
    summary: 'Delete an enrolment token',
    tag,
    action: 'ringwall:DeleteEnrolmentToken',
    params: Type.Object({ enrolmentTokenId: idParam('The enrolment token.') }),
    answer: Type.Object({ enrolmentTokenId: Type.String() }),
    subject: ({ enrolmentTokenId }) => ({ kind: 'enrolment', id: enrolmentTokenId }),
    plan(world, { principal, params: { enrolmentTokenId } }) {
      requireWrite(principal, everyAccount)
      return deleteEnrolment(world, enrolmentTokenId)
    },
  })
}
