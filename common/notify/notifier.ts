/**
 * Tells operators and their programs what happened, by a command of this host and by a webhook: each by itself, in order
 * for each instance, at least once, also over a kill. Nobody who notifies ever waits for a receiver.
 */
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { type Clock, realClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { commandTimeoutMs, runCommand } from './command.ts'
import { DeadLetters, maxDeadLetterBytes } from './dead-letters.ts'
import { DeliveryQueue, type QueueLimits, queueLimits } from './delivery-queue.ts'
import { createNotifierMetrics, type NotifyWay } from './metrics.ts'
import { type Notification, printableId } from './notification.ts'
import { Spool } from './spool.ts'
import { post, type Webhook, webhookTimeoutMs } from './webhook.ts'

/** What is configured on a host, and never sent to it. */
export interface NotifySettings {
  /** A program and its arguments; null runs none. */
  readonly command: readonly string[] | null
  readonly webhook: Webhook | null
  /** Those that are told of. */
  readonly kinds: readonly string[]
}

export const toldNobody: NotifySettings = { command: null, webhook: null, kinds: [] }

export interface NotifierOptions extends NotifySettings {
  /** Of its own, made where it is missing; null keeps nothing on disk. */
  readonly folder: string | null
  readonly log: Logger
  readonly registry: Registry
  readonly clock?: Clock
  readonly limits?: Partial<NotifierLimits>
}

export const notifierLimits = { ...queueLimits, commandTimeoutMs, webhookTimeoutMs, maxDeadLetterBytes }
export type NotifierLimits = QueueLimits & typeof notifierLimits

export interface Notifier {
  /**
   * Resolves when it is on disk, within a second or so whatever the disk and the receivers do, and never fails. One of a
   * kind that is not asked for is nothing, and so is one that is on its way already.
   */
  notify(notification: Notification): Promise<void>
  /** What is not delivered stays on disk for the next start. */
  close(): Promise<void>
}

/** What the last process left on disk is delivered first. */
export function createNotifier(options: NotifierOptions): Notifier {
  const { folder, command, webhook, kinds, log, clock = realClock } = options
  const limits = { ...notifierLimits, ...options.limits }
  const metrics = createNotifierMetrics(options.registry)
  const deadLetters = folder === null ? null : new DeadLetters(folder, limits.maxDeadLetterBytes)
  const queues: DeliveryQueue[] = []
  if (command !== null) {
    queues.push(
      queue('command', (notification, signal) => runCommand(command, notification, signal, limits.commandTimeoutMs)),
    )
  }
  if (webhook !== null) {
    queues.push(
      queue('webhook', async (notification, signal) => {
        await post(webhook, notification, signal, clock.now(), limits.webhookTimeoutMs)
        return ''
      }),
    )
  }

  function queue(way: NotifyWay, deliver: (notification: Notification, signal: AbortSignal) => Promise<string>) {
    const spool = folder === null ? null : new Spool(join(folder, way))
    return new DeliveryQueue({ way, deliver, spool, deadLetters, metrics, log, clock, limits })
  }

  return {
    async notify(notification) {
      if (!kinds.includes(notification.kind)) return
      const named = { ...notification, id: printableId(notification.id) }
      await Promise.all(queues.map(each => each.add(named)))
    },
    async close() {
      await Promise.all(queues.map(each => each.close()))
    },
  }
}
