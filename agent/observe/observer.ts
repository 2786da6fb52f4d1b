/**
 * Keeps the book of observed ENIs: has the counters read now and then, writes it to disk, and tells the daemon. While no
 * ENI is observed it does nothing, and tells a daemon so once, where that has heard of one.
 */
import type { Logger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { ToDaemon } from '../../wire/messages.ts'
import { type ObservedEni, observedReportMs, withinObservedLimits } from '../../wire/observed.ts'
import type { KernelReading } from '../counters/read.ts'
import type { LogRecord } from '../logs/record.ts'
import { ObservedBook } from './book.ts'
import type { KeptBook } from './kept-book.ts'

export interface ObserverOptions {
  readonly log: Logger
  /** Null keeps nothing over a restart. */
  readonly kept: KeptBook | null
  /** Every counter of the policy; null where the kernel has none of ours. */
  readonly readCounters: (policy: PolicyIr) => Promise<readonly KernelReading[] | null>
  /** Sessions that are only let through, by ENI. Throws where they cannot be counted. */
  readonly countSessions: (policy: PolicyIr) => Promise<ReadonlyMap<string, number>>
  readonly send: (message: ToDaemon) => void
  /** What tells connections to the daemon apart; null while there is none. */
  readonly connection: () => string | null
}

/** Counters are in a listing of the table, sessions in one of all there are, which takes time: a small part of all. */
const readingShare = 20
const keepIntervalMs = 30_000

export class Observer {
  readonly #options: ObserverOptions
  readonly #book = new ObservedBook()
  readonly #timer: NodeJS.Timeout
  #policy: PolicyIr | null = null
  #reading: Promise<void> | null = null
  #readAgainAtMs = Number.NEGATIVE_INFINITY
  #keptAtMs = performance.now()
  /** Which connection was told of an observed ENI, and not yet that there is none any more. */
  #told: string | null = null

  private constructor(options: ObserverOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#turn(), observedReportMs)
  }

  static async open(options: ObserverOptions): Promise<Observer> {
    const observer = new Observer(options)
    observer.#book.resume((await options.kept?.read()) ?? [])
    return observer
  }

  /** @param policy  that is in force now; null for none, which forgets nothing */
  setPolicy(policy: PolicyIr | null): void {
    this.#policy = policy
    if (policy === null) return
    const wasEmpty = this.#book.isEmpty
    // What the counters show before the first packet is let through must be known.
    if (this.#book.setPolicy(policy, Date.now())) void this.#read()
    if (!wasEmpty && this.#book.isEmpty) void this.#turn()
  }

  noteRecord(record: LogRecord): void {
    this.#book.noteRecord(record)
  }

  /** What it is now. */
  async report(): Promise<readonly ObservedEni[]> {
    if (!this.#book.isEmpty) await this.#read()
    return this.#book.report()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    if (!this.#book.isEmpty) await this.#read()
    await this.#options.kept?.write(this.#book.keep())
  }

  async #turn(): Promise<void> {
    const { send, connection, kept } = this.#options
    if (!this.#book.isEmpty && performance.now() >= this.#readAgainAtMs) await this.#read()
    if (performance.now() - this.#keptAtMs >= keepIntervalMs || this.#book.isEmpty) {
      this.#keptAtMs = performance.now()
      void kept?.write(this.#book.keep())
    }
    const to = connection()
    if (to === null || this.#policy === null) return
    // A daemon from before there was something to observe takes no such message: only one that has ENIs observed gets it.
    if (this.#book.isEmpty && this.#told !== to) return
    this.#told = this.#book.isEmpty ? null : to
    send({ type: 'observed', enis: withinObservedLimits(this.#book.report()) })
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  async #readOnce(): Promise<void> {
    const policy = this.#policy
    if (policy === null) return
    const startedAtMs = performance.now()
    try {
      const readings = await this.#options.readCounters(policy)
      if (readings !== null) this.#book.noteReadings(readings, policy)
    } catch (error) {
      this.#options.log.warn({ error }, 'cannot read the counters of the kernel')
    }
    // A host without conntrack(8) is one where that is not known.
    this.#book.noteSessions(await this.#options.countSessions(policy).catch(() => null))
    this.#readAgainAtMs = startedAtMs + (performance.now() - startedAtMs) * readingShare
  }
}
