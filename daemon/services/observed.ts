/** What rules of observed ENIs would have dropped: of one, of a group fleet-wide, and of what a write would enforce. */
import { setImmediate } from 'node:timers/promises'
import type { ObservedCount, ObservedFlow, ObservedReason } from '../../wire/observed.ts'
import { type AgentDoc, type EniDoc, type GroupDoc, keyOf, parseKey } from '../model/documents.ts'
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

/** Some five milliseconds of them; between two such parts the daemon serves everyone else. */
const enisAtOnce = 500

/** @param enis  those that the reader may see, observed or not */
export async function reportObserved(
  sources: ObservedSources,
  enis: readonly EniDoc[],
  maxFlows: number = defaultFlows,
): Promise<ObservedReport> {
  const sum = new Sum(sources, maxFlows)
  for (let from = 0; from < enis.length; from += enisAtOnce) {
    if (from > 0) await setImmediate()
    for (const eni of enis.slice(from, from + enisAtOnce)) sum.add(eni)
  }
  return { networkInterfaceCount: enis.length, ...sum.report() }
}

interface ReasonSum {
  readonly reason: ObservedReason
  packets: number
  eniCount: number
  /** Counted last: an ENI that tells a reason twice is one. */
  lastEniId: string
}

/** A group may have fifty thousand ENIs, with twenty reasons and some flows each. */
class Sum {
  readonly #sources: ObservedSources
  readonly #maxFlows: number
  readonly #reasons = new Map<string, ReasonSum>()
  #flows: { readonly eniId: string; readonly flow: ObservedFlow }[] = []
  #flowCount = 0
  #observedCount = 0
  #reportedCount = 0
  #packets = 0
  #flowsLeftOut = 0
  #liveSessions: number | null = null
  #since: string | null = null
  #oldestAtMs = Number.POSITIVE_INFINITY
  #newestAtMs = 0
  #missing: ObservedReport['missing'] = []
  #missingCount = 0

  constructor(sources: ObservedSources, maxFlows: number) {
    this.#sources = sources
    this.#maxFlows = maxFlows
  }

  add(eni: EniDoc): void {
    const { world, observed } = this.#sources
    if (!isObserved(world, eni)) return
    this.#observedCount += 1
    const missing = missingOf(this.#sources, eni)
    if (missing !== null) {
      this.#missingCount += 1
      if (this.#missing.length < maxListed) this.#missing.push(missing)
    }
    const standing = observed.observedOf(eni.id)
    if (standing !== undefined) this.#addStanding(standing)
  }

  report(): Omit<ObservedReport, 'networkInterfaceCount'> {
    const isHeard = this.#reportedCount > 0
    this.#keepMost()
    return {
      observedCount: this.#observedCount,
      reportedCount: this.#reportedCount,
      isComplete: this.#missingCount === 0,
      since: this.#since,
      oldestReportTime: isHeard ? isoTime(this.#oldestAtMs) : null,
      newestReportTime: isHeard ? isoTime(this.#newestAtMs) : null,
      packets: this.#packets,
      reasons: this.#mostReasons(),
      flows: this.#flows.map(({ eniId, flow }) => showFlow(eniId, flow)),
      flowsLeftOut: this.#flowsLeftOut + this.#flowCount - this.#flows.length,
      liveSessions: this.#liveSessions,
      missing: this.#missing,
      missingCount: this.#missingCount,
    }
  }

  #addStanding({ eni, heardAtMs }: ObservedStanding): void {
    this.#reportedCount += 1
    this.#oldestAtMs = Math.min(this.#oldestAtMs, heardAtMs)
    this.#newestAtMs = Math.max(this.#newestAtMs, heardAtMs)
    if (this.#since === null || eni.since < this.#since) this.#since = eni.since
    if (eni.liveSessions !== null) this.#liveSessions = (this.#liveSessions ?? 0) + eni.liveSessions
    this.#flowsLeftOut += eni.flowsLeftOut
    for (const count of eni.counts) this.#addCount(eni.eniId, count)
    this.#flowCount += eni.flows.length
    for (const flow of eni.flows) this.#flows.push({ eniId: eni.eniId, flow })
    if (this.#flows.length > 2 * this.#maxFlows + mostFlowsHeld) this.#keepMost()
  }

  #addCount(eniId: string, count: ObservedCount): void {
    const { direction, cause, ruleId = '', securityGroupId = '', packets } = count
    const key = `${direction} ${cause} ${ruleId} ${securityGroupId}`
    const sum = this.#reasons.get(key)
    this.#packets += packets
    if (sum === undefined) {
      this.#reasons.set(key, { reason: count, packets, eniCount: 1, lastEniId: eniId })
      return
    }
    sum.packets += packets
    if (sum.lastEniId !== eniId) sum.eniCount += 1
    sum.lastEniId = eniId
  }

  #keepMost(): void {
    this.#flows.sort((a, b) => b.flow.packets - a.flow.packets || compare(a.eniId, b.eniId))
    this.#flows = this.#flows.slice(0, this.#maxFlows)
  }

  #mostReasons(): ObservedReport['reasons'] {
    return [...this.#reasons]
      .sort(([a, { packets: ofA }], [b, { packets: ofB }]) => ofB - ofA || compare(a, b))
      .slice(0, maxReasons)
      .map(([, { reason, packets, eniCount }]) => ({ ...showReason(reason), packets, networkInterfaceCount: eniCount }))
  }
}

/** Of the flows, before those that are least are let go of. */
const mostFlowsHeld = 5000

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

/** @returns null where the report of it is whole and its agent there; through one without instance nothing passes */
function missingOf({ world, observed, fleet }: ObservedSources, eni: EniDoc): ObservedReport['missing'][number] | null {
  if (eni.instanceId === null) return null
  const standing = observed.observedOf(eni.id)
  const agentId = world.agentOfEni(eni)
  const state = agentId === null ? null : (fleet.statusOf(agentId)?.state ?? 'away')
  const reason =
    agentId === null
      ? 'no-agent'
      : state === 'away' || state === 'revoked'
        ? 'away'
        : standing === undefined
          ? canObserve(world.get('agent', agentId))
            ? 'not-reported'
            : 'not-capable'
          : standing.isCut
            ? 'cut'
            : null
  if (reason === null) return null
  const lastReportTime = standing === undefined ? null : isoTime(standing.heardAtMs)
  return { networkInterfaceId: eni.id, instanceId: eni.instanceId, agentId, reason, lastReportTime }
}

/** One that has told nothing of its host yet may. */
function canObserve(agent: AgentDoc | undefined): boolean {
  const report = agent?.report ?? null
  return report === null || report.capabilities.observe !== undefined
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
