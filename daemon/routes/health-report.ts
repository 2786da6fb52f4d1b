/** `GET /v1/health-report` */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { GroupDoc } from '../model/documents.ts'
import { healthReportQuery, healthReportSchema, maxEniIds } from '../schemas/health-report.ts'
import { HealthReporter } from '../services/health-report/reporter.ts'
import { surveyGroups } from '../services/health-report/survey.ts'
import { findLostAddresses } from '../services/lost-addresses.ts'
import { observedEnis } from '../services/modes.ts'
import { mayRead, type Principal, requireRead, visible } from '../services/principal.ts'
import type { World } from '../state/world.ts'
import { type Api, addReadRoute } from './route.ts'

export function addHealthReportRoute(app: FastifyInstance, api: Api): void {
  const reporter = new HealthReporter()
  app.addHook('onClose', () => reporter.close())
  addReadRoute(app, api, {
    url: '/v1/health-report',
    summary: 'What in groups and rules deserves a second look',
    description:
      'Ports open to the world, rules that can never decide or change nothing, groups without member or rule: the findings of `ringwall analyze`. Of a large fleet it takes seconds; reports are made one after the other.',
    tag: 'Reports',
    query: healthReportQuery,
    answer: healthReportSchema,
    async read(world, { principal, query }) {
      const groups = () => groupsToReport(world, principal, query)
      // Faults of the query are told at once, before others' reports are waited for.
      groups()
      const report = await reporter.report(() => surveyGroups(world, principal, groups()), query.maxResults ?? 1000)
      return {
        ...report,
        observed: observedAmong(world, principal, groups()),
        lostAddresses: lostAddressesAmong(world, principal, groups()),
      }
    },
  })
}

function lostAddressesAmong(world: World, principal: Principal, groups: readonly GroupDoc[]) {
  const ids = new Set(groups.flatMap(({ id }) => [...world.enisOfGroup(id)]))
  const enis = [...ids].sort().flatMap(id => world.get('eni', id) ?? [])
  const lost = [
    ...findLostAddresses(
      world,
      enis.filter(eni => mayRead(principal, eni.accountId)),
    ),
  ]
  return { networkInterfaceCount: lost.length, networkInterfaces: lost.slice(0, maxEniIds) }
}

function observedAmong(world: World, principal: Principal, groups: readonly GroupDoc[]) {
  const ids = new Set(groups.map(({ id }) => id))
  const enis = observedEnis(world)
    .filter(eni => mayRead(principal, eni.accountId) && eni.securityGroupIds.some(id => ids.has(id)))
    .map(({ id }) => id)
    .sort()
  return {
    networkInterfaceCount: enis.length,
    networkInterfaceIds: enis.slice(0, maxEniIds),
    securityGroupIds: [...world.observing('group')].filter(id => ids.has(id)).sort(),
  }
}

function groupsToReport(
  world: World,
  principal: Principal,
  { accountId, securityGroupId }: Static<typeof healthReportQuery>,
) {
  if (accountId !== undefined) requireRead(principal, accountId)
  const groups =
    securityGroupId === undefined ? [...world.all('group')] : [visible(world, principal, 'group', securityGroupId)]
  return groups.filter(
    group => mayRead(principal, group.accountId) && (accountId === undefined || group.accountId === accountId),
  )
}
