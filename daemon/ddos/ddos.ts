/** The daemon's side of traffic scrubbing, put together: what agents tell of it, kept, shown and passed on. */
import type { Registry } from 'prom-client'
import type { Logger } from '../../common/log.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import type { ToAgent, ToDaemon } from '../../wire/messages.ts'
import { type DdosNotification, newChanges, notificationOf } from '../../wire/notification.ts'
import type { DdosBoard, DdosStanding, SampleReader } from '../services/ddos-board.ts'
import type { Executor } from '../services/executor.ts'
import type { World } from '../state/world.ts'
import type { Commit, Store } from '../store/store.ts'
import { Throttle } from '../throttle.ts'
import { EventKeeper, warnings } from './event-keeper.ts'
import { LiveFeed } from './live-feed.ts'
import { createDdosMetrics } from './metrics.ts'
import { PastServing } from './past-serving.ts'
import { StatusBoard } from './status-board.ts'

export interface DdosParts {
  readonly store: Pick<Store, 'history' | 'oldest'>
  readonly world: World
  readonly executor: Pick<Executor, 'execute'>
  readonly logger: Logger
  readonly registry: Registry
  /** Told of each change of an attack, before it is stored, so that none is lost; must not fail. */
  readonly notify: (notification: DdosNotification) => Promise<void>
  /** To an agent that is connected; nothing happens where it is not. */
  readonly say: (agentId: string, message: ToAgent) => void
  /** Between two commits of one agent, and after one that the store refused. */
  readonly eventIntervalMs: number
  readonly retryMs: number
}

export type DdosMessage = Extract<ToDaemon, { readonly type: `ddos-${string}` }>

/** Of one agent: more than any attack has changes, less than a flood of made-up ones. */
const notifications = { burst: 200, perSecond: 1 } as const

export class Ddos implements DdosBoard {
  readonly #parts: DdosParts
  readonly #statuses: StatusBoard
  readonly #feed: LiveFeed
  readonly #keeper: EventKeeper
  readonly #past: PastServing
  readonly #notifications = new Throttle(notifications)
  readonly #warnings = new Throttle(warnings)

  static async open(parts: DdosParts): Promise<Ddos> {
    return new Ddos(parts, await PastServing.read(parts.store, parts.world.revision))
  }

  private constructor(parts: DdosParts, past: PastServing) {
    const { world, say, executor, logger, registry, eventIntervalMs, retryMs } = parts
    this.#parts = parts
    this.#past = past
    this.#statuses = new StatusBoard(world)
    this.#feed = new LiveFeed({ world, say })
    this.#keeper = new EventKeeper({
      world,
      executor,
      logger,
      metrics: createDdosMetrics(registry, {
        phases: () => this.#statuses.countByPhase(),
        readers: () => this.#feed.count,
      }),
      servedBefore: (agentId, instanceId) => {
        const accountId = past.accountOf(agentId, instanceId)
        return accountId === undefined ? undefined : { accountId }
      },
      answer: (agentId, eventId, version) => say(agentId, { type: 'ddos-event-kept', eventId, version }),
      onChange: (previous, event, agentId) => this.#tell(previous, event, agentId),
      intervalMs: eventIntervalMs,
      retryMs,
      now: Date.now,
    })
  }

  /** @returns null, or what is wrong with it */
  take(agentId: string, message: DdosMessage, sourceAddress: string): string | null {
    switch (message.type) {
      case 'ddos-status':
        this.#statuses.take(agentId, message.instances)
        return null
      case 'ddos-samples':
        this.#feed.take(agentId, message.samples)
        return null
      case 'ddos-event':
        return this.#keeper.take(agentId, message.event, sourceAddress)
      default:
        return message satisfies never
    }
  }

  /** Every commit in order, after the world has it. */
  committed(commit: Commit): void {
    this.#past.committed(commit)
    this.#statuses.committed(commit)
    this.#feed.committed(commit)
  }

  greeted(agentId: string): void {
    this.#feed.greeted(agentId)
  }

  left(agentId: string): void {
    this.#feed.left(agentId)
  }

  revoked(agentId: string): void {
    this.#statuses.forget(agentId)
    this.#keeper.forget(agentId)
  }

  standingOf(instanceId: string): DdosStanding | undefined {
    return this.#statuses.get(instanceId)
  }

  watch(instanceIds: readonly string[], reader: SampleReader): () => void {
    return this.#feed.watch(instanceIds, reader)
  }

  close(): void {
    this.#feed.close()
    this.#keeper.close()
  }

  async #tell(previous: DdosEvent | null, event: DdosEvent, agentId: string): Promise<void> {
    const { world, logger, notify } = this.#parts
    const changes = newChanges(previous, event)
    if (changes.length === 0) return
    const addresses = [...world.enisOfInstance(event.instanceId)].flatMap(id => world.get('eni', id)?.addresses ?? [])
    const status = this.#statuses.get(event.instanceId)?.status
    const blackHole = status?.eventId === event.id ? status.blackHole : null
    for (const change of changes) {
      if (this.#notifications.take(agentId)) await notify(notificationOf(change, { event, addresses, blackHole }))
      else if (this.#warnings.take(agentId)) {
        logger.warn({ agent: agentId, event: event.id, change: change.kind }, 'too many changes: not told')
      }
    }
  }
}
