/**
 * Stores what agents say of their hosts, each at most every few seconds, and so many bytes in a time: devices may come and
 * go by the hundred, and each report stands in the history and twice in the audit log, where it pushes out what is older.
 */
import type { Logger } from '../../common/log.ts'
import type { HostReport } from '../../wire/messages.ts'
import type { Enrolment } from '../pki/enrolment.ts'
import { Throttle } from '../throttle.ts'

interface Pause {
  readonly timer: NodeJS.Timeout
  /** The last one that came meanwhile. */
  next: { readonly report: HostReport; readonly sourceAddress: string } | null
}

export interface ReportsParts {
  readonly enrolment: Enrolment
  readonly intervalMs: number
  readonly logger: Logger
}

/** Of one agent: 20 devices are some 4 KB. */
const bytes = { burst: 256 * 1024, perSecond: 2048, maxKeys: 100_000 } as const

export class Reports {
  readonly #parts: ReportsParts
  readonly #bytes = new Throttle(bytes)
  readonly #pauses = new Map<string, Pause>()

  constructor(parts: ReportsParts) {
    this.#parts = parts
  }

  /** @param known  what is stored, if anything */
  offer(
    agentId: string,
    report: HostReport,
    { known, sourceAddress }: { readonly known: HostReport | null; readonly sourceAddress: string },
  ): void {
    const pause = this.#pauses.get(agentId)
    if (pause !== undefined) {
      pause.next = { report, sourceAddress }
      return
    }
    if (JSON.stringify(known) === JSON.stringify(report)) return
    this.#store(agentId, report, sourceAddress)
  }

  close(): void {
    for (const { timer } of this.#pauses.values()) clearTimeout(timer)
    this.#pauses.clear()
  }

  #store(agentId: string, report: HostReport, sourceAddress: string): void {
    const owedMs = 1000 * this.#bytes.spend(agentId, JSON.stringify(report).length)
    const timer = setTimeout(() => this.#goOn(agentId), Math.max(this.#parts.intervalMs, owedMs))
    timer.unref()
    this.#pauses.set(agentId, { timer, next: null })
    this.#parts.enrolment.report(agentId, report, sourceAddress).catch(error => {
      this.#parts.logger.warn({ agent: agentId, error }, 'report of an agent was not stored')
    })
  }

  #goOn(agentId: string): void {
    const next = this.#pauses.get(agentId)?.next ?? null
    this.#pauses.delete(agentId)
    if (next !== null) this.#store(agentId, next.report, next.sourceAddress)
  }
}
