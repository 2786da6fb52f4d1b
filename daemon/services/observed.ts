/** What rules of observed ENIs would have dropped: of one, of a group fleet-wide, and of what a write would enforce. */
import type { ObservedFlow, ObservedReason } from '../../wire/observed.ts'
import { type EniDoc, type GroupDoc, keyOf, parseKey } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import { defaultFlows, maxListed, maxReasons, type ObservedReport } from '../schemas/observed.ts'
import type { World } from '../state/world.ts'
import type { Change } from '../store/store.ts'
import type { Fleet } from './fleet.ts'
import { isObserved } from './modes.ts'
import type { ObservedBoard, ObservedStanding } from './observed-board.ts'

export interface ObservedSources {
  readonly world: World
  readonly observed: ObservedBoard
  readonly fleet: Pick<Fleet, 'statusOf'>
}

/** @param enis  those that the reader may see, observed or not */
export function reportObserved(
  sources: ObservedSources,
  enis: readonly EniDoc[],
  maxFlows: number = defaultFlows,
): ObservedReport {
  const observed = enis.filter(eni => isObserved(sources.world, eni))
  const standings = observed.flatMap(({ id }) => sources.observed.observedOf(id) ?? [])
  const missing = observed.flatMap(eni => missingOf(sources, eni) ?? [])
  const flows = standings.flatMap(({ eni }) => eni.flows.map(flow => ({ eniId: eni.eniId, flow })))
  flows.sort((a, b) => b.flow.packets - a.flow.packets || compare(a.eniId, b.eniId))
  const reasons = sumReasons(standings)
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
  const sessions = standings.flatMap(({ eni }) => eni.liveSessions ?? [])
  const heard = standings.map(({ heardAtMs }) => heardAtMs)
  return {
    networkInterfaceCount: enis.length,
    observedCount: observed.length,
    reportedCount: standings.length,
    isComplete: missing.length === 0,
    since: standings.map(({ eni }) => eni.since).reduce<string | null>(earlier, null),
    oldestReportTime: heard.length === 0 ? null : isoTime(heard.reduce((a, b) => Math.min(a, b))),
    newestReportTime: heard.length === 0 ? null : isoTime(heard.reduce((a, b) => Math.max(a, b))),
    packets: sum(reasons.map(({ packets }) => packets)),
    reasons: reasons.slice(0, maxReasons),
    flows: flows.slice(0, maxFlows).map(({ eniId, flow }) => showFlow(eniId, flow)),
    flowsLeftOut: sum(standings.map(({ eni }) => eni.flowsLeftOut)) + Math.max(0, flows.length - maxFlows),
    liveSessions: sessions.length === 0 ? null : sum(sessions),
    missing: missing.slice(0, maxListed),
    missingCount: missing.length,
  }
}

/** Whose drops begin with a write, and whose do not, though a mode that observed them goes. */
export interface Enforced {
  readonly enforced: readonly EniDoc[]
  readonly stillObserved: readonly EniDoc[]
}

/** @param world  as it is before the changes */
export function enforcedBy(world: World, changes: readonly Change[]): Enforced {
  const after = new Map(changes.map(({ key, value }) => [key, value]))
  const get: World['get'] = (kind, id) => {
    const key = keyOf(kind, id)
    return after.has(key) ? ((after.get(key) ?? undefined) as never) : world.get(kind, id)
  }
  const enforced: EniDoc[] = []
  const stillObserved: EniDoc[] = []
  for (const id of concernedBy(world, changes)) {
    const [before, now] = [world.get('eni', id), get('eni', id)]
    if (before === undefined || now === undefined || !isObserved(world, before)) continue
    if (isObserved({ get }, now)) stillObserved.push(before)
    else enforced.push(before)
  }
  return { enforced, stillObserved }
}

/** ENIs whose own mode or groups change, or the mode of one of their groups: from `observe` on. */
function concernedBy(world: World, changes: readonly Change[]): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { key, before, value } of changes) {
    const { kind, id } = parseKey(key)
    const ended =
      (before as { readonly mode?: string } | null)?.mode !== (value as { readonly mode?: string } | null)?.mode
    if (kind === 'group' && ended && (before as GroupDoc | null)?.mode === 'observe') {
      for (const eniId of world.enisOfGroup(id)) ids.add(eniId)
    }
    const groupsOf = (doc: unknown) => (doc as EniDoc | null)?.securityGroupIds.join()
    if (kind === 'eni' && (ended || groupsOf(before) !== groupsOf(value))) ids.add(id)
  }
  return ids
}

/** @returns null where the report of it is whole and its agent there */
function missingOf({ world, observed, fleet }: ObservedSources, eni: EniDoc): ObservedReport['missing'][number] | null {
  const standing = observed.observedOf(eni.id)
  const agentId = world.get('instance', eni.instanceId)?.agentId ?? null
  const state = agentId === null ? null : (fleet.statusOf(agentId)?.state ?? 'away')
  const reason =
    agentId === null
      ? 'no-agent'
      : state === 'away' || state === 'revoked'
        ? 'away'
        : standing === undefined
          ? 'not-reported'
          : standing.isCut
            ? 'cut'
            : null
  if (reason === null) return null
  const lastReportTime = standing === undefined ? null : isoTime(standing.heardAtMs)
  return { networkInterfaceId: eni.id, instanceId: eni.instanceId, agentId, reason, lastReportTime }
}

function sumReasons(standings: readonly ObservedStanding[]): ObservedReport['reasons'] {
  const sums = new Map<string, { readonly reason: ObservedReason; packets: number; readonly eniIds: Set<string> }>()
  for (const { eni } of standings) {
    for (const { packets, ...reason } of eni.counts) {
      const key = JSON.stringify(showReason(reason))
      const sum = sums.get(key) ?? { reason, packets: 0, eniIds: new Set<string>() }
      sum.packets += packets
      sum.eniIds.add(eni.eniId)
      sums.set(key, sum)
    }
  }
  return [...sums]
    .sort(([a, { packets: ofA }], [b, { packets: ofB }]) => ofB - ofA || compare(a, b))
    .map(([, { reason, packets, eniIds }]) => ({
      ...showReason(reason),
      packets,
      networkInterfaceCount: eniIds.size,
    }))
}

function showReason(reason: ObservedReason) {
  const { direction, cause, ruleId = null, securityGroupId = null } = reason
  return { direction, cause, securityGroupRuleId: ruleId, securityGroupId }
}

function showFlow(eniId: string, flow: ObservedFlow): ObservedReport['flows'][number] {
  const { peer, protocol, port = null, icmpType = null, icmpCode = null, packets, firstTime, lastTime } = flow
  return {
    networkInterfaceId: eniId,
    ...showReason(flow),
    peer,
    protocol,
    port,
    icmpType,
    icmpCode,
    packets,
    firstTime,
    lastTime,
  }
}

function earlier(a: string | null, b: string): string {
  return a === null || b < a ? b : a
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
