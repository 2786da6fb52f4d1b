/**
 * Sends updates: to each agent one at a time, the next when the last is answered, always from the state there is then.
 * Nothing is queued for an agent but the mark that it lacks something.
 */
import type { Logger } from '../../common/log.ts'
import { maxToAgentBytes } from '../../wire/messages.ts'
import type { World } from '../state/world.ts'
import type { AgentRecord } from './agent-record.ts'
import { deltaSince, type Held } from './delta.ts'
import type { Encoder } from './encoder.ts'
import type { MemberLog } from './member-log.ts'
import type { PushMetrics } from './metrics.ts'
import type { AgentRegistry } from './registry.ts'

export interface SenderParts {
  readonly world: World
  readonly log: MemberLog
  readonly encoder: Encoder
  readonly registry: AgentRegistry
  readonly metrics: PushMetrics
  readonly logger: Logger
}

/** Between two of these the daemon serves everyone else: 500 updates are some 20 ms. */
const sendsAtOnce = 500

export class Sender {
  readonly #parts: SenderParts
  #queue: AgentRecord[] = []
  #scheduled: NodeJS.Immediate | undefined

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** The agent says what it holds and is answered, even where it lacks nothing. */
  greet(record: AgentRecord, held: Held | null): void {
    record.held = held
    record.outstanding = null
    record.dirtySinceMs = null
    record.greeted = true
    record.answersFrom = held === null ? null : 0
    this.#enqueue(record)
  }

  /** Something of its view has changed. */
  touch(record: AgentRecord): void {
    if (record.link === null) return
    record.dirtySinceMs ??= performance.now()
    if (record.outstanding === null) this.#enqueue(record)
  }

  /** @returns how long ago the first commit of the update was heard of, in seconds; null where that says nothing */
  answered(record: AgentRecord, revision: number): number | null {
    const { outstanding } = record
    if (outstanding === null || revision < outstanding.revision) return null
    record.outstanding = null
    if (record.dirtySinceMs !== null) this.#enqueue(record)
    return outstanding.committedAtMs === null ? null : (performance.now() - outstanding.committedAtMs) / 1000
  }

  /** The connection is gone, and with it what was on its way. */
  forget(record: AgentRecord): void {
    record.held = null
    record.outstanding = null
    record.dirtySinceMs = null
    record.greeted = false
    record.answersFrom = null
  }

  close(): void {
    clearImmediate(this.#scheduled)
    this.#queue = []
  }

  #enqueue(record: AgentRecord): void {
    if (!record.queued) this.#queue.push(record)
    record.queued = true
    this.#scheduled ??= setImmediate(() => this.#sendSome())
  }

  #sendSome(): void {
    this.#scheduled = undefined
    const some = this.#queue.splice(0, sendsAtOnce)
    if (this.#queue.length > 0) this.#scheduled = setImmediate(() => this.#sendSome())
    for (const record of some) {
      record.queued = false
      this.#send(record)
    }
  }

  #send(record: AgentRecord): void {
    const { world, log, encoder, registry, metrics, logger } = this.#parts
    const { link, outstanding, greeted, dirtySinceMs } = record
    if (link === null || outstanding !== null || (!greeted && dirtySinceMs === null)) return
    const update = deltaSince(world, log, record.id, record.held)
    const message = encoder.encode(update)
    record.greeted = false
    record.dirtySinceMs = null
    if (message.length > maxToAgentBytes) {
      const error = `its view is ${message.length} bytes, and an agent takes ${maxToAgentBytes}`
      record.lastError = { revision: world.revision, kind: 'view-too-large', message: error, atMs: Date.now() }
      record.refusing = true
      registry.look(record)
      logger.error({ agent: record.id, bytes: message.length }, 'view is too large for the agent')
      return
    }
    record.held = { keys: update.keys, revision: world.revision }
    record.answersFrom ??= world.revision
    record.outstanding = {
      revision: world.revision,
      bytes: message.length,
      sentAtMs: performance.now(),
      committedAtMs: greeted ? null : dirtySinceMs,
    }
    link.send(message)
    metrics.updatesSent.inc({ kind: update.kind })
    metrics.bytesSent.inc(message.length)
  }
}
