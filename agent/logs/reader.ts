/**
 * The program that reads the kernel's log (nflog.pl) as a child process: there while it is wanted, started again with
 * growing delay where it ends. Nothing here can hold up a packet: what is not read is lost, and counted.
 */
import { join } from 'node:path'
import { spawnBytes } from '../../common/exec.ts'
import type { Logger } from '../../common/log.ts'
import type { LogMetrics } from './metrics.ts'
import { NflogDecoder, type NflogPacket } from './netlink.ts'

export interface LogReaderOptions {
  readonly log: Logger
  readonly metrics: LogMetrics
  /** Called without a pause between them for all packets that came together. */
  readonly onPacket: (packet: NflogPacket) => void
  /** So many packets never came, because the kernel had no room for them. While no program listens it counts none. */
  readonly onLost: (packets: number) => void
}

/** For people who ask for records. */
export type ReaderState =
  /** Nobody asks. */
  | { readonly kind: 'off' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'reading'; readonly since: string }
  /** Tried again by itself. */
  | { readonly kind: 'failed'; readonly reason: string }

const program = join(import.meta.dirname, 'nflog.pl')
/** The longest headers that anybody sends in earnest, and no content to speak of. */
const packetBytes = 128
const restartDelayMs = { first: 500, most: 30_000 } as const
/** One that lived this long had started well. */
const livedWellMs = 10_000
/** Numbers that go back are those of a group that is listened to anew. */
const sequenceRange = 2 ** 32
const mostLostAtOnce = 2 ** 31

type Child = ReturnType<typeof spawnBytes>

export class LogReader {
  readonly #options: LogReaderOptions
  #group: number | null = null
  #child: Child | null = null
  #ending: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #delayMs: number = restartDelayMs.first
  #state: ReaderState = { kind: 'off' }
  #saidReason = ''

  constructor(options: LogReaderOptions) {
    this.#options = options
  }

  get state(): ReaderState {
    return this.#state
  }

  /** @param group  to be read from now on; null for none. Nothing happens where it is read already. */
  want(group: number | null): void {
    if (group === this.#group) return
    this.#group = group
    this.#delayMs = restartDelayMs.first
    this.#saidReason = ''
    this.#end()
    if (group === null) this.#state = { kind: 'off' }
    else this.#startSoon(0)
  }

  async close(): Promise<void> {
    this.want(null)
    await this.#ending
  }

  #end(): void {
    clearTimeout(this.#timer)
    const child = this.#child
    this.#child = null
    this.#options.metrics.reading.set(0)
    // The group is free for the next one when the last has ended.
    if (child !== null) this.#ending = Promise.all([this.#ending, child.close()]).then(() => {})
  }

  #startSoon(delayMs: number): void {
    this.#state = this.#state.kind === 'failed' ? this.#state : { kind: 'starting' }
    this.#timer = setTimeout(() => {
      const group = this.#group
      void this.#ending.then(() => {
        if (group !== null && group === this.#group && this.#child === null) this.#start(group)
      })
    }, delayMs)
  }

  #start(group: number): void {
    const { log, metrics, onPacket, onLost } = this.#options
    const startedAtMs = performance.now()
    const decoder = new NflogDecoder()
    let nextSequence = 0
    metrics.starts.inc()
    const child = spawnBytes(['perl', program, String(group), String(packetBytes)], {
      onBytes: chunk => {
        if (this.#state.kind !== 'reading') this.#noteListening(group)
        for (const packet of decoder.push(chunk)) {
          const { sequence } = packet
          if (sequence !== null) {
            const lost = (sequence - nextSequence + sequenceRange) % sequenceRange
            if (lost > 0 && lost < mostLostAtOnce) onLost(lost)
            nextSequence = (sequence + 1) % sequenceRange
          }
          onPacket(packet)
        }
      },
      onEnd: reason => {
        if (this.#child !== child) return
        this.#child = null
        metrics.reading.set(0)
        if (performance.now() - startedAtMs >= livedWellMs) this.#delayMs = restartDelayMs.first
        const why = explain(reason, group)
        this.#state = { kind: 'failed', reason: why }
        if (why !== this.#saidReason) {
          this.#saidReason = why
          log.warn(
            { group, reason: why, retryInMs: this.#delayMs },
            'the kernel’s log of packets cannot be read now; what is enforced does not depend on it',
          )
        }
        this.#startSoon(this.#delayMs)
        this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.most)
      },
    })
    this.#child = child
  }

  /** The program says so by its first bytes. */
  #noteListening(group: number): void {
    const { log, metrics } = this.#options
    this.#state = { kind: 'reading', since: new Date().toISOString() }
    this.#saidReason = ''
    metrics.reading.set(1)
    log.info({ group, pid: this.#child?.pid }, 'the kernel’s log of packets is read')
  }
}

function explain(reason: string, group: number): string {
  if (/Operation not permitted/.test(reason)) {
    return `another program listens to NFLOG group ${group} (/proc/net/netfilter/nfnetlink_log names it), or CAP_NET_ADMIN is missing; settings.logging.nflogGroup takes another group`
  }
  return /^perl not found/.test(reason) ? 'perl is not installed (Debian package perl-base)' : reason
}
