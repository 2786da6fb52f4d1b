/** Instances under attack and past attacks, as the API shows them. */
import type { DdosEvent, DdosSample, DdosThresholds } from '../../wire/ddos.ts'
import { notFound } from '../errors.ts'
import type { DdosEventDoc, InstanceDoc } from '../model/documents.ts'
import type { ShownDdosEvent, ShownDdosInstance } from '../schemas/ddos.ts'
import { isoTime } from '../schemas/fields.ts'
import type { World } from '../state/world.ts'
import type { DdosBoard } from './ddos-board.ts'
import { scrubbingFields, thresholdFields } from './ddos-thresholds.ts'
import type { Fleet } from './fleet.ts'
import { mayRead, type Principal } from './principal.ts'

export interface Sources {
  readonly board: DdosBoard
  readonly fleet: Pick<Fleet, 'statusOf'>
}

export function showDdosInstance(
  instance: InstanceDoc,
  { board, fleet }: Sources,
  revision: number,
): ShownDdosInstance {
  const { id, accountId, agentId } = instance
  const status = board.standingOf(id)?.status
  const agent = agentId === null ? undefined : fleet.statusOf(agentId)
  return {
    instanceId: id,
    accountId,
    agentId,
    phase: status?.phase ?? null,
    since: status?.since ?? null,
    staleSince: status !== undefined && agent?.state === 'away' ? isoTime(agent.sinceMs) : null,
    eventId: status?.eventId ?? null,
    attackTypes: [...(status?.attackTypes ?? [])],
    bitsPerSecond: status?.sample?.offered.bitsPerSecond ?? null,
    packetsPerSecond: status?.sample?.offered.packetsPerSecond ?? null,
    sample: status?.sample ? showSample(status.sample) : null,
    topSources: (status?.topSources ?? []).map(source => ({ ...source })),
    blackHole: status?.blackHole ?? null,
    ...thresholdFields(instance, board),
    ...scrubbingFields(instance),
    carriedOutOrderId: status?.orderId ?? null,
    revision,
  }
}

function showSample({ instanceId: _, ...sample }: DdosSample) {
  return sample
}

export function showDdosEvent({ event, agentId, accountId }: DdosEventDoc, revision: number): ShownDdosEvent {
  const { id, thresholds, attackTypes, topSources, changes, ...same } = event
  return {
    eventId: id,
    accountId,
    agentId,
    ...same,
    thresholds: showThresholds(thresholds),
    attackTypes: [...attackTypes],
    topSources: [...topSources],
    changes: [...changes],
    revision,
  }
}

function showThresholds(thresholds: DdosThresholds | null) {
  return thresholds === null ? null : { bps: thresholds.bpsMbit, pps: thresholds.pps }
}

/** @throws {ApiError} 404, also for one of an account that he may not read */
export function visibleEvent(world: World, principal: Principal, id: string): DdosEventDoc {
  const doc = world.get('ddosEvent', id)
  if (doc === undefined || !mayRead(principal, doc.accountId)) throw notFound('ddosEvent', id)
  return doc
}

/** Those that are kept of one instance. */
export function eventsOf(world: World, instanceId: string): readonly DdosEventDoc[] {
  return [...world.eventsOfInstance(instanceId)].map(id => world.get('ddosEvent', id)!)
}

/** Whether the event went on at some time of the interval; null: open at that end. */
export function wentOn(
  { startTime, endTime }: Pick<DdosEvent, 'startTime' | 'endTime'>,
  { sinceMs, untilMs }: { readonly sinceMs: number | null; readonly untilMs: number | null },
): boolean {
  if (sinceMs !== null && endTime !== null && Date.parse(endTime) < sinceMs) return false
  return untilMs === null || Date.parse(startTime) < untilMs
}
