/**
 * Takes what agents tell of attacks: to the notifications, to the store, and only then answered. The last version of
 * each event that waits is the one that is kept. One commit at a time, of one agent, each of them once a second at most:
 * writes of operators come in between.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '../../common/log.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { judgeEvent, keepEvents, type ServedBefore, type Taken } from '../services/ddos-events.ts'
import type { Executor } from '../services/executor.ts'
import type { World } from '../state/world.ts'
import { Throttle } from '../throttle.ts'
import type { DdosMetrics } from './metrics.ts'

export interface EventKeeperParts {
  readonly world: World
  readonly executor: Pick<Executor, 'execute'>
  readonly logger: Logger
  readonly metrics: DdosMetrics
  readonly servedBefore: ServedBefore
  /** Says that the event is on disk in this version or a later one, or will never be. */
  readonly answer: (agentId: string, eventId: string, version: number) => void
  /** Told of each version before it is stored: what is stored was told. Must not fail. */
  readonly onChange: (previous: DdosEvent | null, event: DdosEvent, agentId: string) => Promise<void>
  /** Between two commits of one agent. */
  readonly intervalMs: number
  /** After the store refused. */
  readonly retryMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

interface Waiting {
  /** The latest version of each, by id. */
  readonly events: Map<string, DdosEvent>
  /** Versions that were told and could not be stored, by id. */
  readonly told: Map<string, DdosEvent>
  sourceAddress: string
  /** It had its turn not long ago, or its commit is under way. */
  isPaused: boolean
  isQueued: boolean
}

/** Events of one agent that wait; 40 KB each at most. */
const mostWaiting = 256
const eventsAtOnce = 32
/**
 * Stored of one agent: an attack on each of a hundred instances at once, and then as much as attacks that go on change.
 * Made-up ones would push everybody else's commits out of history and audit log.
 */
const bytesStored = { burst: 1024 * 1024, perSecond: 4096, maxKeys: 100_000 } as const
/** Logged of one agent: the journal is everybody's. */
export const warnings = { burst: 20, perSecond: 1 / 60 } as const

export class EventKeeper {
  readonly #parts: EventKeeperParts
  readonly #waiting = new Map<string, Waiting>()
  readonly #queue: string[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #bytesStored = new Throttle(bytesStored)
  readonly #warnings = new Throttle(warnings)
  #isWorking = false
  #isClosed = false

  constructor(parts: EventKeeperParts) {
    this.#parts = parts
  }

  /** @returns null, or what is wrong: the agent does not wait for answers */
  take(agentId: string, event: DdosEvent, sourceAddress: string): string | null {
    const waiting = this.#waiting.get(agentId)
    const known = waiting?.events.get(event.id)
    if (known !== undefined && known.version >= event.version) return null
    if (known === undefined) {
      const judged = this.#judge(agentId, event)
      if (judged === null) return null
      if ((waiting?.events.size ?? 0) >= mostWaiting) return `ddos-event: expected at most ${mostWaiting} not answered`
    }
    const { events } = this.#wait(agentId, sourceAddress)
    events.set(event.id, event)
    this.#enqueue(agentId)
    return null
  }

  /** The agent was revoked: what it told last is worth nothing. */
  forget(agentId: string): void {
    this.#waiting.get(agentId)?.events.clear()
  }

  /** What waits is told again by the agents. */
  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  /** @returns null where there is nothing to store, which is answered */
  #judge(agentId: string, event: DdosEvent): Taken | null {
    const { world, servedBefore, logger, metrics, answer } = this.#parts
    const judged = judgeEvent(world, event, { agentId, servedBefore })
    if (judged.kind === 'take') return { event, before: judged.before, accountId: judged.accountId }
    if (judged.kind === 'old') {
      metrics.eventWrites.inc({ outcome: 'old' })
      answer(agentId, event.id, Math.max(event.version, judged.version))
    } else {
      const { id, instanceId } = event
      metrics.eventWrites.inc({ outcome: 'refused' })
      if (this.#warnings.take(agentId)) {
        logger.warn(
          { agent: agentId, event: id, instance: instanceId, reason: judged.reason },
          'event of an agent is not kept',
        )
      }
      answer(agentId, id, event.version)
    }
    return null
  }

  #wait(agentId: string, sourceAddress: string): Waiting {
    const known = this.#waiting.get(agentId)
    if (known !== undefined) {
      known.sourceAddress = sourceAddress
      return known
    }
    const waiting: Waiting = { events: new Map(), told: new Map(), sourceAddress, isPaused: false, isQueued: false }
    this.#waiting.set(agentId, waiting)
    return waiting
  }

  #enqueue(agentId: string): void {
    const waiting = this.#waiting.get(agentId)
    if (waiting === undefined || waiting.isPaused || waiting.isQueued || this.#isClosed) return
    waiting.isQueued = true
    this.#queue.push(agentId)
    if (!this.#isWorking) void this.#work()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let agentId = this.#queue.shift(); agentId !== undefined; agentId = this.#queue.shift()) {
      const waiting = this.#waiting.get(agentId)!
      waiting.isQueued = false
      waiting.isPaused = true
      const some = [...waiting.events.values()].slice(0, eventsAtOnce)
      const isDone = await this.#keep(agentId, some, waiting)
      if (isDone) {
        for (const event of some) if (waiting.events.get(event.id) === event) waiting.events.delete(event.id)
      }
      const owedMs = isDone ? 1000 * this.#bytesStored.spend(agentId, JSON.stringify(some).length) : 0
      this.#pause(agentId, isDone ? Math.max(this.#parts.intervalMs, owedMs) : this.#parts.retryMs)
    }
    this.#isWorking = false
  }

  #pause(agentId: string, ms: number): void {
    if (this.#isClosed) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      const waiting = this.#waiting.get(agentId)!
      waiting.isPaused = false
      if (waiting.events.size > 0) this.#enqueue(agentId)
      else this.#waiting.delete(agentId)
    }, ms)
    timer.unref()
    this.#timers.add(timer)
  }

  /** @returns false where the store refused: all of it is tried again */
  async #keep(agentId: string, events: readonly DdosEvent[], { told, sourceAddress }: Waiting): Promise<boolean> {
    const { world, executor, logger, metrics, answer, onChange, now } = this.#parts
    try {
      const taken = events.flatMap(event => this.#judge(agentId, event) ?? [])
      for (const { before, event } of taken) {
        await onChange(told.get(event.id) ?? before?.event ?? null, event, agentId)
        told.set(event.id, event)
      }
      // Judged once more: the state may be another since.
      const stored: Taken[] = []
      await executor.execute(callOf(world, agentId, sourceAddress), { subject: null, status: 200 }, state => {
        stored.length = 0
        stored.push(...taken.flatMap(({ event }) => this.#again(state, event, agentId)))
        return { writes: keepEvents(state, stored, { agentId, nowMs: now() }), body: () => null }
      })
      for (const { event, before } of stored) {
        metrics.eventWrites.inc({ outcome: 'stored' })
        if (before === null) metrics.events.inc({ trigger: event.trigger })
      }
      told.clear()
      for (const { event } of taken) answer(agentId, event.id, event.version)
      return true
    } catch (error) {
      metrics.eventWrites.inc({ outcome: 'failed' }, events.length)
      logger.warn({ agent: agentId, events: events.length, error }, 'events of an agent were not stored; tried again')
      return false
    }
  }

  #again(state: World, event: DdosEvent, agentId: string): Taken[] {
    const judged = judgeEvent(state, event, { agentId, servedBefore: this.#parts.servedBefore })
    return judged.kind === 'take' ? [{ event, before: judged.before, accountId: judged.accountId }] : []
  }
}

function callOf(world: World, agentId: string, sourceAddress: string) {
  const name = world.get('agent', agentId)?.hostName ?? agentId
  return {
    principal: { kind: 'agent' as const, id: agentId, name, scopes: [] },
    action: 'ringwall:ReportDdosEvent',
    requestId: randomUUID(),
    sourceAddress,
    dryRun: false,
    ifMatch: null,
    idempotency: null,
  }
}
