/** `…/observed`: what rules of observed network interfaces would have dropped. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { idParam } from '../schemas/fields.ts'
import { observedFields, observedQuery } from '../schemas/observed.ts'
import { reportObserved } from '../services/observed.ts'
import { mayRead, visible } from '../services/principal.ts'
import { type Api, addReadRoute } from './route.ts'
import { groupParams } from './security-groups.ts'

const description =
  'As agents told it last, in memory alone: nothing of it is known after a start of the daemon until they have told it again.'

export function addObservedRoutes(app: FastifyInstance, api: Api): void {
  addReadRoute(app, api, {
    url: '/v1/network-interfaces/:networkInterfaceId/observed',
    summary: 'What the rules of an observed network interface would have dropped',
    description,
    tag: 'Network interfaces',
    params: Type.Object({ networkInterfaceId: idParam('The network interface.') }),
    query: observedQuery,
    answer: Type.Object({ observed: Type.Object({ networkInterfaceId: Type.String(), ...observedFields }) }),
    async read(world, { principal, params: { networkInterfaceId }, query }) {
      const eni = visible(world, principal, 'eni', networkInterfaceId)
      return { observed: { networkInterfaceId, ...(await reportObserved(api, [eni], query.maxFlows)) } }
    },
  })

  addReadRoute(app, api, {
    url: '/v1/security-groups/:securityGroupId/observed',
    summary: 'The same of all network interfaces in a security group, fleet-wide',
    description,
    tag: 'Security groups',
    params: groupParams,
    query: observedQuery,
    answer: Type.Object({ observed: Type.Object({ securityGroupId: Type.String(), ...observedFields }) }),
    async read(world, { principal, params: { securityGroupId }, query }) {
      const group = visible(world, principal, 'group', securityGroupId)
      const enis = [...world.enisOfGroup(group.id)]
        .map(id => world.get('eni', id)!)
        .filter(({ accountId }) => mayRead(principal, accountId))
      return { observed: { securityGroupId, ...(await reportObserved(api, enis, query.maxFlows)) } }
    },
  })
}
