/** One agent's connection: its messages read, checked and handed on, until either side has enough. */
import type { WebSocket } from 'ws'
import type { Logger } from '../../common/log.ts'
import { type GoodbyeCode, protocolVersion, type ToAgent, type ToDaemon } from '../../wire/messages.ts'
import { observedReportMs } from '../../wire/observed.ts'
import type { DdosMessage } from '../ddos/ddos.ts'
import type { AgentRecord, Link } from './agent-record.ts'
import { Allowance } from './allowance.ts'
import { readProtocolVersion, readToDaemon } from './messages.ts'
import type { PushMetrics } from './metrics.ts'
import type { PushOptions } from './options.ts'

type Of<Type extends ToDaemon['type']> = Extract<ToDaemon, { readonly type: Type }>

/** Who hears what an agent says. Those that give text refuse the message: it is the fault. */
export interface SessionListener {
  /** @returns null where the agent was revoked or replaced since it connected */
  hello(session: AgentSession, message: Of<'hello'>): AgentRecord | null
  report(record: AgentRecord, message: Of<'report'>): void
  enforced(record: AgentRecord, message: Of<'enforced'>): string | null
  refused(record: AgentRecord, message: Of<'refused'>): string | null
  renew(record: AgentRecord, message: Of<'renew'>): void
  scrubbing(record: AgentRecord, message: DdosMessage): string | null
  observing(record: AgentRecord, message: Of<'observed'>): void
  closed(session: AgentSession): void
}

export interface SessionParts {
  readonly listener: SessionListener
  readonly options: PushOptions
  readonly metrics: PushMetrics
  readonly logger: Logger
}

/** Whose connection it is: from its certificate. */
export interface SessionIdentity {
  readonly agentId: string
  readonly serialNumber: string
  readonly notAfterMs: number
  readonly sourceAddress: string
}

/** A close frame's text; the code is of the range for applications (RFC 6455, 7.4.2). */
const goodbyeClose = 4000

export class AgentSession implements Link {
  readonly agentId: string
  readonly serialNumber: string
  readonly sourceAddress: string
  /** When its certificate ends, milliseconds since 1970. */
  readonly notAfterMs: number
  /** By `performance.now`. */
  lastHeardMs: number = performance.now()
  readonly #socket: WebSocket
  readonly #parts: SessionParts
  #record: AgentRecord | null = null
  #helloTimer: NodeJS.Timeout | undefined
  readonly #messages: Allowance
  readonly #ddosMessages: Allowance
  readonly #observedMessages: Allowance
  #ended = false

  constructor(
    socket: WebSocket,
    { agentId, serialNumber, notAfterMs, sourceAddress }: SessionIdentity,
    parts: SessionParts,
  ) {
    this.agentId = agentId
    this.serialNumber = serialNumber
    this.notAfterMs = notAfterMs
    this.sourceAddress = sourceAddress
    this.#socket = socket
    this.#parts = parts
    const { options } = parts
    this.#messages = new Allowance({ burst: options.messageBurst, perSecond: options.messagesPerSecond })
    this.#ddosMessages = new Allowance({ burst: options.ddosMessageBurst, perSecond: options.ddosMessagesPerSecond })
    this.#observedMessages = new Allowance({
      burst: options.observedMessageBurst,
      perSecond: options.observedMessagesPerSecond,
    })
    this.#helloTimer = setTimeout(() => {
      parts.metrics.connectionsRefused.inc({ reason: 'too-slow' })
      this.end('protocol', 'expected hello')
    }, parts.options.helloTimeoutMs)
    socket.on('message', (data, isBinary) => this.#hear(data as Buffer, isBinary))
    socket.on('ping', () => {
      this.#heard()
      this.#allow()
    })
    socket.on('pong', () => this.#heard())
    socket.on('error', error => parts.logger.debug({ agent: agentId, error }, 'connection of an agent failed'))
    socket.on('close', () => this.#close())
  }

  send(message: Buffer): void {
    // As text: a Buffer would go as a binary frame.
    if (!this.#ended) this.#socket.send(message, { binary: false })
  }

  /** To this agent alone. */
  say(message: ToAgent): void {
    this.send(Buffer.from(JSON.stringify(message)))
  }

  ping(): void {
    if (!this.#ended) this.#socket.ping()
  }

  end(code: GoodbyeCode, message: string): void {
    if (this.#ended) return
    this.say({ type: 'goodbye', code, message })
    this.#parts.metrics.goodbyes.inc({ code })
    this.#parts.logger.info({ agent: this.agentId, code, source: this.sourceAddress }, `agent let go: ${message}`)
    this.#stop()
    this.#socket.close(goodbyeClose, code)
  }

  /** Without a word: nobody is there. */
  abort(): void {
    this.#stop()
    this.#socket.terminate()
  }

  #stop(): void {
    this.#ended = true
    clearTimeout(this.#helloTimer)
    this.#parts.listener.closed(this)
  }

  #close(): void {
    if (!this.#ended) this.#stop()
  }

  #heard(): void {
    this.lastHeardMs = performance.now()
  }

  #hear(data: Buffer, isBinary: boolean): void {
    if (this.#ended) return
    this.#heard()
    const json = data.toString('utf8')
    const message = isBinary ? { fault: 'expected text' } : readToDaemon(json)
    if ('value' in message) {
      this.#take(message.value)
      return
    }
    const version = this.#record === null && !isBinary ? readProtocolVersion(json) : null
    if (version !== null && version !== protocolVersion) this.#endForVersion(version)
    else this.#bad(message.fault)
  }

  #take(message: ToDaemon): void {
    const { listener } = this.#parts
    if (message.type === 'hello') {
      if (this.#record !== null) this.#bad('hello: expected it once')
      else if (message.protocolVersion !== protocolVersion) this.#endForVersion(message.protocolVersion)
      else this.#greet(message)
      return
    }
    const record = this.#record
    if (record === null) {
      this.#bad(`${message.type}: expected hello first`)
      return
    }
    const { outstanding } = record
    // Not what names an earlier revision: the update still waits for its answer then, and there would be no end of it.
    const answersUpdate = outstanding !== null && 'revision' in message && message.revision >= outstanding.revision
    if (!answersUpdate && !this.#allowMessage(message)) return
    switch (message.type) {
      case 'enforced':
        this.#refuseIf(listener.enforced(record, message))
        break
      case 'refused':
        this.#refuseIf(listener.refused(record, message))
        break
      case 'report':
        listener.report(record, message)
        break
      case 'renew':
        listener.renew(record, message)
        break
      case 'ddos-status':
      case 'ddos-event':
      case 'ddos-samples':
        this.#refuseIf(listener.scrubbing(record, message))
        break
      case 'observed':
        listener.observing(record, message)
        break
      default:
        message satisfies never
    }
  }

  #greet(message: Of<'hello'>): void {
    clearTimeout(this.#helloTimer)
    this.#record = this.#parts.listener.hello(this, message)
  }

  #refuseIf(fault: string | null): void {
    if (fault !== null) this.#bad(fault)
  }

  #bad(fault: string): void {
    this.end('bad-message', `Cannot read a message: ${fault}`)
  }

  #endForVersion(version: number): void {
    this.end('protocol', `Cannot speak version ${version} of the protocol: expected ${protocolVersion}`)
  }

  #allowMessage({ type }: ToDaemon): boolean {
    if (type === 'observed') return this.#allowObserved()
    return type.startsWith('ddos-') ? this.#allowDdos() : this.#allow()
  }

  /** What answers no update costs something of what an agent may say in a time. */
  #allow(): boolean {
    const isAllowed = this.#messages.take()
    if (!isAllowed) this.#bad(`expected at most ${this.#parts.options.messagesPerSecond} a second`)
    return isAllowed
  }

  /** A fleet under attack has more to say, and that must not stand in the way of the rest. */
  #allowDdos(): boolean {
    const isAllowed = this.#ddosMessages.take()
    if (!isAllowed) this.#bad(`expected at most ${this.#parts.options.ddosMessagesPerSecond} of scrubbing a second`)
    return isAllowed
  }

  #allowObserved(): boolean {
    const isAllowed = this.#observedMessages.take()
    const seconds = observedReportMs / 1000
    if (!isAllowed) this.#bad(`expected a report of observed network interfaces at most every ${seconds} s`)
    return isAllowed
  }
}
