/** What is set and ordered about traffic scrubbing: `/v1/instances/{instanceId}/ddos-threshold`, `…/scrubbing/…`, `…/black-hole…` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { blackHoleSchema, ddosThresholdSchema, scrubbingSchema, setThresholdSchema } from '../schemas/ddos.ts'
import { idParam } from '../schemas/fields.ts'
import {
  cancelScrubbing,
  orderScrubbing,
  resumeScrubbing,
  setThreshold,
  showThreshold,
} from '../services/ddos-thresholds.ts'
import { visible } from '../services/principal.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Traffic scrubbing'
const params = Type.Object({ instanceId: idParam('The instance.') })
const subject = ({ instanceId }: { instanceId: string }) => ({ kind: 'instance', id: instanceId }) as const
const threshold = Type.Object({ ddosThreshold: ddosThresholdSchema })
const scrubbing = Type.Object({ scrubbing: scrubbingSchema })

export function addScrubbingRoutes(app: FastifyInstance, api: Api): void {
  const { ddos: board } = api

  addReadRoute(app, api, {
    url: '/v1/instances/:instanceId/ddos-threshold',
    summary: 'Read the thresholds of traffic scrubbing',
    tag,
    params,
    answer: threshold,
    etag: 'ddosThreshold',
    read(world, { principal, params: { instanceId } }) {
      const instance = visible(world, principal, 'instance', instanceId)
      return { ddosThreshold: showThreshold(instance, board, world.revisionOf('instance', instanceId)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'PUT',
    url: '/v1/instances/:instanceId/ddos-threshold',
    summary: 'Set the thresholds of traffic scrubbing',
    description:
      'Both by hand, at most what the instance type allows; or those of the type, with source `type`; or what the agent proposes now, with source `auto`.',
    tag,
    action: 'yundun-ddos:ModifyDefenseThreshold',
    params,
    body: setThresholdSchema,
    answer: threshold,
    etag: 'ddosThreshold',
    subject,
    plan: (world, { principal, params: { instanceId }, body }) =>
      setThreshold(world, principal, { id: instanceId, body, board }),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/instances/:instanceId/scrubbing/cancel',
    summary: 'Cancel traffic scrubbing',
    description: 'Its traffic is measured and never cleaned until it is resumed. A black hole comes all the same.',
    tag,
    action: 'yundun-ddos:ModifyDdosStatus',
    params,
    answer: scrubbing,
    etag: 'scrubbing',
    subject,
    plan: (world, { principal, params: { instanceId } }) => cancelScrubbing(world, principal, instanceId),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/instances/:instanceId/scrubbing/resume',
    summary: 'Resume traffic scrubbing',
    tag,
    action: 'yundun-ddos:ModifyDdosStatus',
    params,
    answer: scrubbing,
    etag: 'scrubbing',
    subject,
    plan: (world, { principal, params: { instanceId } }) => resumeScrubbing(world, principal, instanceId),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/instances/:instanceId/black-hole',
    summary: 'Order a black hole',
    description:
      'All inbound traffic in scope is dropped for the time. The agent carries it out once; its status has the id of the order then.',
    tag,
    action: 'ringwall:OrderBlackHole',
    params,
    body: blackHoleSchema,
    answer: scrubbing,
    etag: 'scrubbing',
    subject,
    plan: (world, { principal, params: { instanceId }, body }) =>
      orderScrubbing(world, principal, { id: instanceId, action: 'black-hole', holdSeconds: body.holdSeconds }),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/instances/:instanceId/black-hole/lift',
    summary: 'Order the end of a black hole',
    tag,
    action: 'ringwall:LiftBlackHole',
    params,
    answer: scrubbing,
    etag: 'scrubbing',
    subject,
    plan: (world, { principal, params: { instanceId } }) =>
      orderScrubbing(world, principal, { id: instanceId, action: 'lift' }),
  })
}
