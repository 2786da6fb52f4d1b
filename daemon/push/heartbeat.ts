/**
 * Pings every agent in turn, a fraction of them at a time, and lets go of those that are silent, owe an answer or have
 * outlived their certificate. No timer of its own for each: there are ten thousand.
 */
import type { AgentRecord } from './agent-record.ts'
import type { PushOptions } from './options.ts'
import type { AgentSession } from './session.ts'

const turns = 15
/** An agent that is not heard for this many pings is gone. */
const silentPings = 3
/** While a large update is on its way on a slow line, the agent can neither answer nor hear a ping behind it. */
const slowestBytesPerSecond = 16 * 1024

export class Heartbeat {
  readonly #sessions: readonly Map<AgentSession, AgentRecord>[] = Array.from({ length: turns }, () => new Map())
  readonly #options: PushOptions
  readonly #timer: NodeJS.Timeout
  #turn = 0
  #added = 0

  constructor(options: PushOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#beat(), options.heartbeatMs / turns)
    this.#timer.unref()
  }

  add(session: AgentSession, record: AgentRecord): void {
    this.#added += 1
    this.#sessions[this.#added % turns]!.set(session, record)
  }

  delete(session: AgentSession): void {
    for (const some of this.#sessions) if (some.delete(session)) return
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #beat(): void {
    this.#turn = (this.#turn + 1) % turns
    for (const [session, record] of [...this.#sessions[this.#turn]!]) this.#check(session, record)
  }

  #check(session: AgentSession, { outstanding }: AgentRecord): void {
    const { heartbeatMs, answerTimeoutMs } = this.#options
    const nowMs = performance.now()
    const onItsWayMs = outstanding === null ? 0 : (1000 * outstanding.bytes) / slowestBytesPerSecond
    if (nowMs - session.lastHeardMs > silentPings * heartbeatMs + onItsWayMs) session.abort()
    else if (outstanding !== null && nowMs - outstanding.sentAtMs > answerTimeoutMs + onItsWayMs) {
      session.end('unanswered', `expected an answer to revision ${outstanding.revision}`)
    } else if (session.notAfterMs <= Date.now()) {
      session.end('protocol', 'the certificate of this connection has ended: come back with a newer one')
    } else session.ping()
  }
}
