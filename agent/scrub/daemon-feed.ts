/**
 * What of traffic scrubbing goes to the daemon: how instances stand, as far as something moved; events until they are
 * kept; and samples while somebody watches. A fleet at rest is quiet: one message a minute from each host.
 */
import type { Clock } from '../../common/clock.ts'
import type { DdosSample, DdosStatus } from '../../wire/ddos.ts'
import type { ToDaemon } from '../../wire/messages.ts'
import type { DdosListener } from '../link/daemon.ts'
import type { Outbox } from './outbox.ts'
import { howUrgent } from './summary.ts'

export interface DaemonFeedOptions {
  readonly send: (message: ToDaemon) => void
  readonly outbox: Outbox
  readonly clock: Pick<Clock, 'after'>
  /** Milliseconds of any beginning that never go back. */
  readonly now: () => number
}

/** A daemon takes ten messages a second that answer nothing, a hundred at once; others of ours are among them. */
const allowance = { most: 40, perSecond: 5 } as const
/** One is 2 to 4 KB with its sources, a message 1 MiB at most. */
const mostInstances = 100
const movedIntervalMs = 5_000
const idleIntervalMs = 60_000

export class DaemonFeed implements DdosListener {
  readonly #options: DaemonFeedOptions
  #connected = false
  #watched: ReadonlySet<string> = new Set()
  #statuses: ReadonlyMap<string, DdosStatus> = new Map()
  readonly #told = new Map<string, DdosStatus>()
  #toldMovedAtMs = Number.NEGATIVE_INFINITY
  #toldAllAtMs = Number.NEGATIVE_INFINITY
  #tokens: number = allowance.most
  #tokensAtMs = 0
  #cancelFlush: (() => void) | null = null

  constructor(options: DaemonFeedOptions) {
    this.#options = options
    this.#tokensAtMs = options.now()
  }

  onOpen(): void {
    this.#connected = true
    this.#told.clear()
    this.#toldAllAtMs = Number.NEGATIVE_INFINITY
    this.#options.outbox.forgetSent()
    this.#flush()
  }

  onEnd(): void {
    this.#connected = false
    this.#watched = new Set()
    this.close()
  }

  onEventKept(eventId: string, version: number): void {
    this.#options.outbox.kept(eventId, version)
  }

  onWatch(instanceIds: readonly string[]): void {
    this.#watched = new Set(instanceIds)
  }

  /** Told every second how all instances stand, with their samples, and after each change of an event. */
  note(statuses: readonly DdosStatus[]): void {
    this.#statuses = new Map(statuses.map(status => [status.instanceId, status]))
    for (const id of this.#told.keys()) if (!this.#statuses.has(id)) this.#told.delete(id)
    if (!this.#connected) return
    this.#flush()
    this.#sendSamples(
      statuses.flatMap(({ instanceId, sample }) => (this.#watched.has(instanceId) ? (sample ?? []) : [])),
    )
  }

  close(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = null
  }

  #flush(): void {
    this.close()
    this.#sendStatuses()
    this.#options.outbox.sendDue(event => this.#send({ type: 'ddos-event', event }))
    // With no instance nothing comes every second, and what is in the outbox still must go.
    this.#cancelFlush = this.#options.clock.after(movedIntervalMs, () => this.#flush())
  }

  #sendStatuses(): void {
    const nowMs = this.#options.now()
    const isTimeForAll = nowMs - this.#toldAllAtMs >= idleIntervalMs
    const isTimeForMoved = nowMs - this.#toldMovedAtMs >= movedIntervalMs
    const due = [...this.#statuses.values()].filter(status => {
      const urgency = isTimeForAll ? 'now' : howUrgent(this.#told.get(status.instanceId) ?? null, status)
      return urgency === 'now' || (urgency === 'soon' && isTimeForMoved)
    })
    if (due.length === 0) return
    for (const instances of chunks(due)) {
      if (!this.#send({ type: 'ddos-status', instances })) return
      for (const status of instances) this.#told.set(status.instanceId, status)
    }
    if (isTimeForMoved) this.#toldMovedAtMs = nowMs
    if (isTimeForAll) this.#toldAllAtMs = nowMs
  }

  /** Those of one second are of no use in the next: what cannot be sent is left out. */
  #sendSamples(samples: readonly DdosSample[]): void {
    for (const each of chunks(samples)) if (!this.#send({ type: 'ddos-samples', samples: each })) return
  }

  #send(message: ToDaemon): boolean {
    if (!this.#connected) return false
    const nowMs = this.#options.now()
    this.#tokens = Math.min(allowance.most, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * allowance.perSecond)
    this.#tokensAtMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    this.#options.send(message)
    return true
  }
}

function chunks<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / mostInstances) }, (_, index) =>
    items.slice(index * mostInstances, (index + 1) * mostInstances),
  )
}
