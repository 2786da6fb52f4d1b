/** One way of telling, with everything still to be told that way: in order for each instance, again until it succeeds. */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { NotifierMetrics, NotifyWay } from './metrics.ts'
import type { Notification } from './notification.ts'
import type { Spool, SpoolContents } from './spool.ts'

/** docs/notifications.md has these figures. */
export const queueLimits = {
  /** Waits between two attempts: the first, doubling to the most; each is between half of that and the whole. */
  firstDelayMs: 1_000,
  mostDelayMs: 60_000,
  /** Some five hours. */
  attempts: 400,
  /** What an agent finds in its spool that is older is history. */
  oldestMs: 6 * 3_600_000,
  /** More drop the oldest. */
  pending: 1_000,
  /** Of different instances. */
  atOnce: 4,
  /** What the disk has not taken by then is delivered all the same. */
  diskWaitMs: 1_000,
  /** A delivery under way is waited for so long when the process ends; it is made again at the next start. */
  closeWaitMs: 3_000,
}
export type QueueLimits = typeof queueLimits

export interface DeliveryQueueOptions {
  readonly way: NotifyWay
  /** @returns what there is to log of it. @throws {Error} where it was not delivered */
  readonly deliver: (notification: Notification, signal: AbortSignal) => Promise<string>
  /** Null keeps everything in memory alone. */
  readonly spool: Spool | null
  /** Null: the log has them. */
  readonly deadLetters: DeadLetters | null
  readonly metrics: NotifierMetrics
  readonly log: Logger
  readonly clock: Clock
  readonly limits: QueueLimits
}

interface Entry {
  readonly notification: Notification
  readonly name: string | null
  /** Whether it is on disk; never fails. */
  stored: Promise<boolean>
  attempts: number
  lastReason: string
  state: 'new' | 'waiting' | 'ready' | 'under-way'
  cancelWait: () => void
}

export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions
  readonly #abort = new AbortController()
  /** In the order they came. */
  readonly #entries = new Set<Entry>()
  /** The same for each instance; the first of each is the one that is tried. */
  readonly #chains = new Map<string, Entry[]>()
  readonly #ready: Entry[] = []
  readonly #underWay = new Set<Promise<void>>()
  readonly #loaded: Promise<void>
  #isOpen = true

  constructor(options: DeliveryQueueOptions) {
    this.#options = options
    this.#loaded = this.#load()
  }

  /**
   * Resolves when it is on disk, or in memory where the disk refuses or takes too long; never fails. One that is here
   * already is not taken twice.
   */
  async add(notification: Notification): Promise<void> {
    await this.#loaded
    if (!this.#isOpen) return
    const same = [...this.#entries].find(entry => entry.notification.id === notification.id)
    if (same !== undefined) {
      await same.stored
      return
    }
    this.#makeRoom()
    const entry = this.#enqueue(notification, this.#options.spool?.nextName() ?? null)
    entry.stored = this.#store(entry)
    await this.#atMost(entry.stored, this.#options.limits.diskWaitMs)
    entry.state = 'waiting'
    this.#tryNext(notification.instanceId)
  }

  /** Nothing is delivered afterwards; what is left stays on disk. */
  async close(): Promise<void> {
    await this.#loaded
    this.#isOpen = false
    for (const entry of this.#entries) entry.cancelWait()
    this.#ready.length = 0
    const rest = Promise.all([...this.#underWay])
    await this.#atMost(rest, this.#options.limits.closeWaitMs)
    this.#abort.abort()
    await this.#atMost(
      Promise.all([rest, ...[...this.#entries].map(({ stored }) => stored)]),
      this.#options.limits.closeWaitMs,
    )
  }

  async #load(): Promise<void> {
    const { spool, log, way, limits, clock } = this.#options
    if (spool === null) return
    let contents: SpoolContents
    try {
      contents = await spool.load()
    } catch (error) {
      log.error({ error, way }, 'cannot read the notifications that are kept; new ones are delivered all the same')
      return
    }
    if (contents.damaged.length > 0) {
      log.error({ way, files: contents.damaged }, 'kept notifications are damaged and set aside')
    }
    for (const { name, notification } of contents.spooled) {
      const entry = this.#enqueue(notification, name)
      entry.stored = Promise.resolve(true)
      const ageMs = clock.now() - Date.parse(notification.time)
      if (ageMs > limits.oldestMs) void this.#giveUp(entry, 'older than what is still delivered after a start')
      else entry.state = 'waiting'
    }
    for (const instanceId of [...this.#chains.keys()]) this.#tryNext(instanceId)
  }

  #enqueue(notification: Notification, name: string | null): Entry {
    const entry: Entry = {
      notification,
      name,
      stored: Promise.resolve(false),
      attempts: 0,
      lastReason: '',
      state: 'new',
      cancelWait: () => {},
    }
    this.#entries.add(entry)
    const chain = this.#chains.get(notification.instanceId)
    if (chain === undefined) this.#chains.set(notification.instanceId, [entry])
    else chain.push(entry)
    this.#showPending()
    return entry
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#options.limits.pending) return
    const oldest = [...this.#entries].find(({ state }) => state !== 'under-way')
    if (oldest !== undefined) void this.#giveUp(oldest, `more than ${this.#options.limits.pending} wait`)
  }

  async #store({ notification, name }: Entry): Promise<boolean> {
    const { spool, log, way } = this.#options
    if (spool === null || name === null) return false
    try {
      await spool.write(name, notification)
      return true
    } catch (error) {
      log.error(
        { error, way, id: notification.id },
        'cannot keep a notification on disk; it is delivered all the same, unless this process ends before',
      )
      return false
    }
  }

  /** The first of the instance, if it is not on its way already. */
  #tryNext(instanceId: string): void {
    const first = this.#chains.get(instanceId)?.[0]
    if (first === undefined || first.state !== 'waiting' || !this.#isOpen) return
    first.cancelWait()
    first.state = 'ready'
    this.#ready.push(first)
    this.#startReady()
  }

  #startReady(): void {
    while (this.#underWay.size < this.#options.limits.atOnce) {
      const entry = this.#ready.shift()
      if (entry === undefined) return
      const attempt: Promise<void> = this.#attempt(entry).finally(() => {
        this.#underWay.delete(attempt)
        this.#startReady()
      })
      this.#underWay.add(attempt)
    }
  }

  async #attempt(entry: Entry): Promise<void> {
    const { deliver, metrics, log, way, limits } = this.#options
    const { notification } = entry
    entry.state = 'under-way'
    entry.attempts += 1
    const about = { way, id: notification.id, kind: notification.kind, instance: notification.instanceId }
    try {
      const output = await deliver(notification, this.#abort.signal)
      metrics.notifications.inc({ way, outcome: 'delivered' })
      log.info({ ...about, attempts: entry.attempts, ...(output !== '' && { output }) }, 'notification delivered')
      await this.#remove(entry)
      return
    } catch (error) {
      // Ended by our own end: it stays on disk and counts for nothing.
      if (this.#abort.signal.aborted) return
      const reason = (error as Error).message
      if (entry.attempts >= limits.attempts) {
        await this.#giveUp(entry, reason)
        return
      }
      metrics.notifications.inc({ way, outcome: 'failed' })
      if (reason !== entry.lastReason) log.warn({ ...about, reason }, 'notification not delivered; it is tried again')
      entry.lastReason = reason
    }
    entry.state = 'waiting'
    this.#tryLater(entry)
  }

  #tryLater(entry: Entry): void {
    const { clock, limits } = this.#options
    if (!this.#isOpen) return
    const delayMs = Math.min(limits.firstDelayMs * 2 ** (entry.attempts - 1), limits.mostDelayMs)
    const cancel = clock.after(delayMs * (0.5 + clock.random() / 2), () => {
      entry.cancelWait = () => {}
      this.#tryNext(entry.notification.instanceId)
    })
    entry.cancelWait = cancel
  }

  async #giveUp(entry: Entry, reason: string): Promise<void> {
    const { deadLetters, metrics, log, way, clock } = this.#options
    const { attempts, notification } = entry
    const { id, kind, instanceId } = notification
    const removed = this.#remove(entry)
    metrics.notifications.inc({ way, outcome: 'given-up' })
    log.error({ way, id, kind, instance: instanceId, attempts, reason }, 'notification given up')
    const time = new Date(clock.now()).toISOString()
    try {
      await deadLetters?.add({ time, way, reason, attempts, notification })
    } catch (error) {
      log.error({ error, way, id }, 'cannot write the dead letters; the log has what was given up')
    }
    await removed
  }

  async #remove(entry: Entry): Promise<void> {
    const { instanceId } = entry.notification
    entry.cancelWait()
    entry.state = 'new'
    this.#entries.delete(entry)
    const chain = this.#chains.get(instanceId)!
    chain.splice(chain.indexOf(entry), 1)
    if (chain.length === 0) this.#chains.delete(instanceId)
    const waits = this.#ready.indexOf(entry)
    if (waits >= 0) this.#ready.splice(waits, 1)
    this.#showPending()
    await this.#atMost(this.#unstore(entry), this.#options.limits.diskWaitMs)
    // Not before: what a kill leaves of an instance must be told again in its order.
    this.#tryNext(instanceId)
  }

  async #unstore(entry: Entry): Promise<void> {
    const { spool, log, way } = this.#options
    try {
      if ((await entry.stored) && entry.name !== null) await spool?.remove(entry.name)
    } catch (error) {
      const { id } = entry.notification
      log.error(
        { error, way, id },
        'cannot remove a delivered notification from disk; the next start delivers it again',
      )
    }
  }

  #showPending(): void {
    this.#options.metrics.pending.set({ way: this.#options.way }, this.#entries.size)
  }

  async #atMost(promise: Promise<unknown>, milliseconds: number): Promise<void> {
    let cancel = () => {}
    const timeout = new Promise<void>(resolve => {
      cancel = this.#options.clock.after(milliseconds, resolve)
    })
    await Promise.race([promise, timeout])
    cancel()
  }
}
