/**
 * Records of packets, from the kernel's log to whoever asks: who follows, the file for shipping, the book of what observed
 * ENIs would have dropped. The kernel is listened to while one of them does.
 */
import type { Logger } from '../../common/log.ts'
import type { Logging } from '../../rules-compiler/model/policy.ts'
import { parseLogPrefix } from '../../rules-compiler/nft/log-prefix.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { type LineStream, mostSilentMs } from '../http.ts'
import type { Link } from '../watch/links.ts'
import { LogFile } from './log-file.ts'
import type { LogMetrics, LossPlace } from './metrics.ts'
import type { NflogPacket } from './netlink.ts'
import { readHeader } from './packet-header.ts'
import { LogReader, type ReaderState } from './reader.ts'
import { type LogRecord, makeRecord } from './record.ts'

export interface TrafficLogOptions {
  readonly log: Logger
  readonly metrics: LogMetrics
  /** The file for shipping; null for none. */
  readonly file: string | null
  /** Told of every record while ENIs are observed. */
  readonly onRecord: (record: LogRecord) => void
}

/** What `GET /logs` says. */
export interface RecentRecords {
  readonly reader: ReaderState
  /** Since when records have been kept without a break in between; null where nobody has been reading. */
  readonly readingSince: string | null
  readonly file: { readonly path: string; readonly problem: string | null } | null
  /** What the policy in force has logged; null where there is none. */
  readonly logging: Logging | null
  /** Oldest first: the last thousand. */
  readonly records: readonly LogRecord[]
}

/**
 * Lines of a stream that are no records. `lost`: so many were lost before the next; `reader`: how reading stands, first,
 * whenever that changes, and every other second, so that silence means that the agent is gone.
 */
export type LogNotice = { readonly lost: number; readonly where: LossPlace } | { readonly reader: ReaderState }

const mostKept = 1000
/** What waits for one who follows. A record is 300 bytes or so. */
const mostWaitingBytes = 1024 * 1024
/** Beyond these the host has other work: records are lost, or do without a rule. */
const mostPerSecond = 5_000
const mostRuleMsPerSecond = 200
const stateIntervalMs = 1_000

type Listener = (line: string, isNotice: boolean) => void

export class TrafficLog {
  readonly #options: TrafficLogOptions
  readonly #reader: LogReader
  readonly #file: LogFile | null
  readonly #listeners = new Set<Listener>()
  #policy: PolicyIr | null = null
  #expected: PolicyIr | null = null
  #devices: ReadonlyMap<number, string> = new Map()
  #ring: LogRecord[] = []
  #readingSince: string | null = null
  #second = { beganAtMs: Number.NEGATIVE_INFINITY, records: 0, ruleMs: 0 }

  constructor(options: TrafficLogOptions) {
    this.#options = options
    const { log, metrics, file } = options
    this.#reader = new LogReader({
      log,
      metrics,
      onPacket: packet => this.#notePacket(packet),
      onLost: packets => this.#lost('kernel', packets),
    })
    const onLost = (lines: number) => metrics.lost.inc({ where: 'file' }, lines)
    this.#file = file === null ? null : new LogFile({ path: file, log, onLost })
  }

  /** A reader takes a moment to start: one for what `policy` lets through begins before the kernel has it. */
  expectPolicy(policy: PolicyIr): void {
    this.#expected = policy
    this.#decide()
  }

  /** @param policy  that is in force now; null for none */
  setPolicy(policy: PolicyIr | null): void {
    this.#policy = policy
    this.#expected = null
    this.#decide()
  }

  noteLinks(links: readonly Link[]): void {
    this.#devices = new Map(links.map(({ index, name }) => [index, name]))
  }

  recent(): RecentRecords {
    const file = this.#file === null ? null : { path: this.#file.path, problem: this.#file.problem }
    const logging = this.#policy?.logging ?? null
    return {
      logging,
      reader: this.#reader.state,
      readingSince: this.#readingSince,
      file,
      records: this.#ring.slice(-mostKept),
    }
  }

  reopenFile(): void {
    this.#file?.reopen()
  }

  /**
   * Every record from now on, and notices, one JSON value a line. Who is too slow loses records and is told how many.
   * @param hasRecent  whether those that are kept come first
   */
  follow(hasRecent = false): LineStream {
    return {
      contentType: 'application/x-ndjson; charset=utf-8',
      mostWaitingBytes,
      start: write => {
        if (hasRecent) for (const record of this.recent().records) write(JSON.stringify(record))
        let lost = 0
        const listener: Listener = (line, isNotice) => {
          if (lost > 0 && write(noticeText({ lost, where: 'reader' }))) lost = 0
          if ((lost > 0 || !write(line)) && !isNotice) {
            lost += 1
            this.#options.metrics.lost.inc({ where: 'reader' })
          }
        }
        this.#listeners.add(listener)
        this.#decide()
        let told = ''
        let toldAtMs = Number.NEGATIVE_INFINITY
        const tell = () => {
          const state = noticeText({ reader: this.#reader.state })
          const nowMs = performance.now()
          if ((state !== told || nowMs - toldAtMs >= mostSilentMs) && write(state)) {
            told = state
            toldAtMs = nowMs
          }
          if (lost > 0 && write(noticeText({ lost, where: 'reader' }))) lost = 0
        }
        const timer = setInterval(tell, stateIntervalMs)
        tell()
        return () => {
          clearInterval(timer)
          this.#listeners.delete(listener)
          this.#decide()
        }
      },
    }
  }

  async close(): Promise<void> {
    this.#listeners.clear()
    this.#policy = null
    this.#expected = null
    await this.#reader.close()
    await this.#file?.close()
  }

  #decide(): void {
    const isAsked = this.#listeners.size > 0 || this.#file !== null || observes(this.#policy)
    const policy = isAsked && this.#policy !== null ? this.#policy : observes(this.#expected) ? this.#expected : null
    this.#reader.want(policy?.logging.nflogGroup ?? null)
    if (this.#reader.state.kind === 'off') this.#readingSince = null
    else this.#readingSince ??= new Date().toISOString()
  }

  #notePacket(packet: NflogPacket): void {
    const { metrics, onRecord } = this.#options
    const origin = parseLogPrefix(packet.prefix)
    metrics.records.inc({ action: origin?.action ?? 'foreign' })
    if (origin === null) return
    const header = readHeader(packet.payload)
    if (header === null) return
    const startedAtMs = performance.now()
    if (startedAtMs - this.#second.beganAtMs >= 1000) this.#second = { beganAtMs: startedAtMs, records: 0, ruleMs: 0 }
    const second = this.#second
    if (second.records >= mostPerSecond) {
      this.#lost('agent', 1)
      return
    }
    const record = makeRecord(origin, packet, header, {
      policy: this.#policy,
      devices: this.#devices,
      nowMs: Date.now(),
      findsRule: second.ruleMs < mostRuleMsPerSecond,
    })
    second.records += 1
    second.ruleMs += performance.now() - startedAtMs
    this.#keep(record)
    const line = JSON.stringify(record)
    for (const listener of this.#listeners) listener(line, false)
    this.#file?.append(line)
    onRecord(record)
  }

  #keep(record: LogRecord): void {
    this.#ring.push(record)
    // Now and then, for cutting costs as much as what is kept.
    if (this.#ring.length >= 2 * mostKept) this.#ring = this.#ring.slice(-mostKept)
  }

  #lost(where: LossPlace, packets: number): void {
    this.#options.metrics.lost.inc({ where }, packets)
    const line = noticeText({ lost: packets, where })
    for (const listener of this.#listeners) listener(line, true)
  }
}

function observes(policy: PolicyIr | null): boolean {
  return policy?.enis.some(({ isObserved }) => isObserved) ?? false
}

function noticeText(notice: LogNotice): string {
  return JSON.stringify(notice)
}
