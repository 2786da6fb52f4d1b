/** Attacks that agents tell of: which of them are kept, and for how long. */
import type { DdosEvent } from '../../wire/ddos.ts'
import { type DdosEventDoc, keyOf, mostDdosEvents } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Write } from '../store/store.ts'
import { eventsOf } from './ddos.ts'
import type { DdosBoard } from './ddos-board.ts'
import { retentionOf } from './settings.ts'

export type Judgement =
  | { readonly kind: 'take'; readonly before: DdosEventDoc | null; readonly accountId: string }
  /** This version or a later one is kept already. */
  | { readonly kind: 'old'; readonly version: number }
  /** It is not for this agent to tell, and never will be. */
  | { readonly kind: 'never'; readonly reason: string }

/** Whose an instance was while an agent served it; undefined where it never did, as far as is known. */
export type ServedBefore = (agentId: string, instanceId: string) => { readonly accountId: string } | undefined

export function judgeEvent(
  world: World,
  event: DdosEvent,
  { agentId, servedBefore }: { readonly agentId: string; readonly servedBefore: ServedBefore },
): Judgement {
  const { id, instanceId, version } = event
  const instance = world.get('instance', instanceId)
  const serves = instance?.agentId === agentId
  const before = world.get('ddosEvent', id) ?? null
  if (before === null) {
    const owner = serves ? instance : servedBefore(agentId, instanceId)
    if (owner !== undefined) return { kind: 'take', before, accountId: owner.accountId }
    return { kind: 'never', reason: `instance "${instanceId}" is not one that the agent serves` }
  }
  if (before.event.instanceId !== instanceId) {
    return { kind: 'never', reason: `the event is known as one of instance "${before.event.instanceId}"` }
  }
  // A host that has enrolled anew goes on with the events of the agent it was.
  if (before.agentId !== agentId && !serves) {
    return { kind: 'never', reason: `the event is agent "${before.agentId}"'s` }
  }
  if (before.event.version >= version) return { kind: 'old', version: before.event.version }
  if (before.event.phase === 'ended' && event.phase !== 'ended') {
    return { kind: 'never', reason: 'the event has ended' }
  }
  return { kind: 'take', before, accountId: before.accountId }
}

export interface Taken {
  readonly event: DdosEvent
  readonly before: DdosEventDoc | null
  readonly accountId: string
}

/**
 * The events, and deletions of those that there is no more room for beside them: of each instance as many as the
 * settings say, those under way and the latest.
 */
export function keepEvents(
  world: World,
  taken: readonly Taken[],
  { agentId, nowMs }: { readonly agentId: string; readonly nowMs: number },
): readonly Write[] {
  const docs = new Map(
    taken.map(({ event, before, accountId }): [string, DdosEventDoc] => [
      event.id,
      { event, agentId, accountId, createdAtMs: before?.createdAtMs ?? nowMs, updatedAtMs: nowMs },
    ]),
  )
  const gone = new Set<string>()
  const trim = (present: Iterable<DdosEventDoc>, added: Iterable<DdosEventDoc>, kept: number) => {
    const all = new Map([...present, ...added].map(doc => [doc.event.id, doc]))
    for (const id of surplus(all, kept)) gone.add(id)
  }
  for (const instanceId of new Set(taken.map(({ event }) => event.instanceId))) {
    const added = [...docs.values()].filter(({ event }) => event.instanceId === instanceId)
    trim(eventsOf(world, instanceId), added, retentionOf(world.settings).keptPerInstance)
  }
  const ofAgent = [...world.eventsOfAgent(agentId)].map(id => world.get('ddosEvent', id)!)
  trim(ofAgent, docs.values(), mostDdosEvents.ofOneAgent)
  const added = taken.filter(({ before }) => before === null).length
  // Some more than needed, so that a full store is not looked through for every event.
  if (world.count('ddosEvent') + added > mostDdosEvents.inAll) {
    trim(world.all('ddosEvent'), docs.values(), mostDdosEvents.inAll * 0.99)
  }
  return [
    ...[...docs].flatMap(([id, doc]) => (gone.has(id) ? [] : [{ key: keyOf('ddosEvent', id), value: doc }])),
    ...[...gone].flatMap(id =>
      world.get('ddosEvent', id) === undefined ? [] : [{ key: keyOf('ddosEvent', id), value: null }],
    ),
  ]
}

/** Ended before under way, then the oldest first. */
function surplus(docs: ReadonlyMap<string, DdosEventDoc>, kept: number): readonly string[] {
  if (docs.size <= kept) return []
  const rank = ({ event }: DdosEventDoc) => `${event.phase === 'ended' ? 0 : 1}${event.startTime}`
  const sorted = [...docs].map(([id, doc]) => ({ id, rank: rank(doc) })).sort((a, b) => (a.rank < b.rank ? -1 : 1))
  return sorted.slice(0, docs.size - kept).map(({ id }) => id)
}

/** What is told of an event that goes on is told at least every minute; an agent that was away catches up within one. */
const lostAfterMs = 600_000

/**
 * Events under way that nobody will end: the instance has another agent or none, or its agent, which has spoken since the
 * daemon's start, has another event or none.
 */
export function sweepLostEvents(world: World, nowMs: number, standingOf: DdosBoard['standingOf']): readonly Write[] {
  const lost: Write[] = []
  for (const doc of world.all('ddosEvent')) {
    const { event, agentId, updatedAtMs } = doc
    if (event.phase === 'ended' || updatedAtMs + lostAfterMs > nowMs) continue
    const { instanceId, id } = event
    const isServed = world.get('instance', instanceId)?.agentId === agentId
    const standing = standingOf(instanceId)
    if (isServed && (standing === undefined || standing.status.eventId === id)) continue
    const time = new Date(nowMs).toISOString()
    const message = 'Nobody tells of it any more'
    const ended: DdosEvent = {
      ...event,
      version: event.version + 1,
      phase: 'ended',
      endTime: time,
      endReason: 'lost',
      changes: [...event.changes, { time, kind: 'end', message }],
    }
    lost.push({ key: keyOf('ddosEvent', id), value: { ...doc, event: ended, updatedAtMs: nowMs } })
    if (lost.length === maxSwept) break
  }
  return lost
}

const dayMs = 24 * 3600 * 1000
/** Deletions at once: a commit is one line of the history. */
const maxSwept = 1000

/** Deletions of events that nothing was heard of for as long as the settings say, and of those above the number of an instance. */
export function sweepEvents(world: World, nowMs: number): readonly Write[] {
  const { keptPerInstance, keptDays } = retentionOf(world.settings)
  const gone = new Set<string>()
  const looked = new Set<string>()
  for (const { event, updatedAtMs } of world.all('ddosEvent')) {
    if (updatedAtMs + keptDays * dayMs <= nowMs) gone.add(event.id)
    if (looked.has(event.instanceId)) continue
    looked.add(event.instanceId)
    const docs = new Map(eventsOf(world, event.instanceId).map(doc => [doc.event.id, doc]))
    for (const id of surplus(docs, keptPerInstance)) gone.add(id)
  }
  return [...gone].slice(0, maxSwept).map(id => ({ key: keyOf('ddosEvent', id), value: null }))
}
