/**
 * The connection to the daemon: docs/push-protocol.md. It connects, says hello, hands on what comes, and comes back
 * when the connection ends. What stands in the kernel depends on none of it.
 */
import { networkInterfaces } from 'node:os'
import { type Clock, realClock } from '../../common/clock.ts'
import type { Logger } from '../../common/log.ts'
import { endedReasons } from '../../wire/enrolment.ts'
import { maxToDaemonBytes, protocolVersion, type ToAgent, type ToDaemon } from '../../wire/messages.ts'
import { backOff } from './back-off.ts'
import { type Connection, type ConnectionEnd, openConnection, printable, unusable, type Way } from './connection.ts'
import { type DaemonAddress, parseDaemonUrl, resolveHost } from './daemon-url.ts'
import type { Identity } from './identity.ts'
import { askLateRenewal } from './late-renewal.ts'
import type { LinkMetrics, ReconnectReason } from './metrics.ts'
import { isKnownGoodbye, readToAgent } from './read-message.ts'
import type { ViewUpdate } from './view.ts'

export interface DaemonLinkOptions {
  readonly identity: Identity
  readonly log: Logger
  readonly metrics: LinkMetrics
  /** What to say first on a new connection. */
  readonly hello: () => Pick<Hello, 'report' | 'view' | 'enforced'>
  /**
   * Told of each update as it comes.
   * @returns null, or why it cannot be applied: then the daemon is asked for all there is
   */
  readonly onUpdate: (update: ViewUpdate, arrivedAtMs: number) => string | null
  /** Before each attempt: where it will go. The attempt waits until the way is free. */
  readonly onAddresses: (addresses: readonly string[]) => Promise<void>
  /** An operator wants what is on trial. */
  readonly onConfirm: (revision: number) => void
  /** Told of what concerns traffic scrubbing; must not throw. */
  readonly ddos?: DdosListener
  /** Addresses of an earlier run, for while the name cannot be resolved. */
  readonly lastAddresses: readonly string[]
  readonly clock?: Clock
}

export interface DdosListener {
  /** Hello has been said: from now on what is sent arrives, as long as the connection lasts. */
  readonly onOpen: () => void
  /** Who watched does so no more. */
  readonly onEnd: () => void
  readonly onEventKept: (eventId: string, version: number) => void
  /** Replaces what was said before. */
  readonly onWatch: (instanceIds: readonly string[]) => void
}

export interface LinkStatus {
  readonly connected: boolean
  /** Since when that is so, milliseconds since 1970. */
  readonly sinceMs: number
  /** Why it is not connected; null while it is, and before the first attempt has ended. */
  readonly reason: string | null
  /** The daemon cut this agent off for good: it does not come back. */
  readonly revoked: boolean
  /** The certificate ended too long ago for the daemon to renew it. */
  readonly tooLate: boolean
}

type Hello = Extract<ToDaemon, { type: 'hello' }>

/** A connection that lived this long had begun well: the next delay is the first again. */
const livedWellMs = 10_000
/** A clock that is stepped, and a renewal that was not answered, are found out within this time. */
const longestSleepMs = 3_600_000
/** Less harms nothing: certificates last for days. */
const clocksApartSeconds = 300
const isoTime = /\d{4}-\d\d-\d\dT[\d:.]+Z/g

export class DaemonLink {
  readonly #options: DaemonLinkOptions
  readonly #clock: Clock
  readonly #daemon: DaemonAddress
  #addresses: readonly string[]
  #provenAtMs = Number.NEGATIVE_INFINITY
  #connection: Connection | null = null
  #openedAtMs = 0
  #status: LinkStatus
  /** When that was last another, on the monotonic clock. */
  #changedAtMs: number
  #failures = 0
  /** So the last attempt has ended, and the next is waited for. */
  #hadNoWay = false
  /** The TLS ticket of the last connection: coming back by it costs the daemon no signature. */
  #session: Buffer | undefined
  /** An update has come on this connection: before that there is nothing to answer, and hello said what stands. */
  #hasUpdate = false
  /** The view that is held does not fit what the daemon sends: it is asked for all of it. */
  #needsSnapshot = false
  #lastTold = ''
  #cancelRetry = () => {}
  #cancelRenewal = () => {}
  /** The certificate has ended, and the daemon renews it. */
  #mayRenew = false
  #toldOfEnd = false
  readonly #closing = new AbortController()
  #closed = false

  /** @throws {Error} if the credentials name no URL */
  constructor(options: DaemonLinkOptions) {
    this.#options = options
    this.#clock = options.clock ?? realClock
    this.#daemon = parseDaemonUrl(options.identity.credentials.daemonUrl)
    this.#addresses = options.lastAddresses
    this.#changedAtMs = this.#clock.monotonicMs()
    this.#status = { connected: false, sinceMs: this.#clock.now(), reason: null, revoked: false, tooLate: false }
  }

  get status(): LinkStatus {
    return this.#status
  }

  /** When the last question was asked that the daemon has answered, on performance.now()'s clock. */
  get provenAtMs(): number {
    return this.#provenAtMs
  }

  /** Asks the daemon for an answer; nothing where there is no connection. */
  probe(): void {
    this.#connection?.ping()
  }

  /**
   * Addresses or devices of this host have changed: where it had no way to the daemon, it may have one; and what is sent
   * from an address that it has no longer gets no answer.
   */
  noteNetwork(): void {
    if (this.#closed) return
    const address = this.#connection?.localAddress ?? null
    if (address !== null && !hasAddress(address)) {
      this.#leave('readdressed', `this host has its address ${address} no longer`)
    }
    if (!this.#hadNoWay) return
    this.#hadNoWay = false
    this.#failures = 0
    this.#connectIn(backOff(1, this.#clock.random()))
  }

  start(): void {
    this.#scheduleRenewal()
    void this.#connect()
  }

  /** Lost where there is no connection: the next hello says what there is to say. */
  send(message: ToDaemon): void {
    const isAnswer = message.type === 'enforced' || message.type === 'refused'
    if (!this.#status.connected || (isAnswer && !this.#hasUpdate)) return
    this.#options.metrics.messages.inc({ type: message.type })
    this.#connection?.send(JSON.stringify(message))
  }

  /** Ends the connection; nothing is called afterwards. */
  async close(): Promise<void> {
    this.#closed = true
    this.#closing.abort()
    this.#cancelRetry()
    this.#cancelRenewal()
    const connection = this.#connection
    this.#connection = null
    this.#setStatus({ connected: false, reason: 'the agent stops' })
    await connection?.close()
  }

  async #connect(): Promise<void> {
    const { onAddresses } = this.#options
    try {
      this.#addresses = await resolveHost(this.#daemon.host)
    } catch (error) {
      if (this.#addresses.length === 0) {
        this.#ended({ reason: 'unresolvable', message: messageOf(error) })
        return
      }
    }
    if (this.#closed) return
    try {
      await onAddresses(this.#addresses)
      if (this.#mayRenew && !(await this.#renewLate())) return
      if (this.#closed) return
      this.#openedAtMs = this.#clock.monotonicMs()
      this.#connection = openConnection({
        ...this.#way(),
        session: this.#session,
        clock: this.#clock,
        onSession: session => {
          this.#session = session
        },
        onOpen: daemonMs => this.#greet(daemonMs),
        onText: json => this.#take(json),
        onProof: askedAtMs => {
          this.#provenAtMs = Math.max(this.#provenAtMs, askedAtMs)
        },
        onEnd: end => this.#ended(end),
      })
    } catch (error) {
      // Credentials that TLS cannot use, say.
      this.#ended({ reason: 'untrusted', message: messageOf(error) })
    }
  }

  #way(): Way {
    return { daemon: this.#daemon, addresses: this.#addresses, credentials: this.#options.identity.credentials }
  }

  #greet(daemonMs: number | null): void {
    this.#setStatus({ connected: true, reason: null, tooLate: false })
    this.#toldOfEnd = false
    this.#hasUpdate = false
    this.#lastTold = ''
    this.#options.log.info({ daemon: this.#daemon.url }, 'connected to the daemon')
    if (daemonMs !== null) this.#noteClock(daemonMs)
    const { report, view, enforced } = this.#options.hello()
    const hello: Hello = { type: 'hello', protocolVersion, report, view: this.#needsSnapshot ? null : view, enforced }
    if (hello.view !== null && Buffer.byteLength(JSON.stringify(hello)) > maxToDaemonBytes) {
      this.#needsSnapshot = true
      this.send({ ...hello, view: null })
    } else {
      this.#needsSnapshot = hello.view === null
      this.send(hello)
    }
    this.#options.ddos?.onOpen()
    this.#scheduleRenewal()
  }

  #noteClock(daemonMs: number): void {
    const { identity, log } = this.#options
    const nowMs = this.#clock.now()
    identity.noteClock(daemonMs, nowMs)
    const aheadSeconds = Math.round((daemonMs - nowMs) / 1000)
    if (Math.abs(aheadSeconds) < clocksApartSeconds) return
    log.warn(
      { aheadSeconds },
      'the clocks of this host and of its daemon differ; that of the daemon decides until when certificates are good',
    )
  }

  #take(json: string): void {
    const arrivedAtMs = performance.now()
    const read = readToAgent(json)
    if ('fault' in read) this.#refuse(read.fault)
    else this.#act(read.value, arrivedAtMs)
  }

  #act(message: ToAgent, arrivedAtMs: number): void {
    this.#options.metrics.messages.inc({ type: message.type })
    switch (message.type) {
      case 'snapshot':
      case 'delta': {
        this.#hasUpdate = true
        const unexpected = this.#needsSnapshot && message.type === 'delta'
        const fault = unexpected
          ? 'Cannot apply a delta: no view was said to be held'
          : this.#update(message, arrivedAtMs)
        if (fault === null) this.#needsSnapshot = false
        else this.#refuse(fault)
        break
      }
      case 'ddos-event-kept':
        this.#options.ddos?.onEventKept(message.eventId, message.version)
        break
      case 'ddos-watch':
        this.#options.ddos?.onWatch(message.instanceIds)
        break
      case 'confirm':
        this.#options.onConfirm(message.revision)
        break
      case 'renewed':
        void this.#takeRenewed(message.certificate)
        break
      case 'goodbye':
        this.#takeGoodbye(message.code, message.message)
        break
      default:
        message satisfies never
    }
  }

  #update(update: ViewUpdate, arrivedAtMs: number): string | null {
    try {
      return this.#options.onUpdate(update, arrivedAtMs)
    } catch (error) {
      return `Cannot apply it, by a fault of Ringwall's own: ${messageOf(error)}`
    }
  }

  #refuse(fault: string): void {
    this.#leave('malformed', `${unusable}: ${fault}`)
  }

  #takeGoodbye(code: string, said: string): void {
    const message = `the daemon says: ${printable(said)} (${isKnownGoodbye(code) ? code : printable(code)})`
    if (code === 'revoked') this.#revoked(message)
    else this.#leave('goodbye', message)
  }

  /** For good: a host whose agent was revoked joins again with a new token. */
  #revoked(message: string): void {
    this.#cancelRenewal()
    this.#setStatus({ connected: false, reason: message, revoked: true })
    void this.#connection?.close()
    this.#connection = null
    this.#options.log.error(
      { daemon: this.#daemon.url, reason: message },
      'the daemon has revoked this agent; what is in force stays, and no change comes any more',
    )
  }

  async #takeRenewed(certificate: string): Promise<void> {
    if (await this.#keepRenewed(certificate)) this.#leave('renewed', 'the new certificate is to be used')
  }

  /** @returns false where the one before stays in use, which is logged */
  async #keepRenewed(certificate: string): Promise<boolean> {
    const { identity, log } = this.#options
    try {
      await identity.takeRenewed(certificate)
    } catch (error) {
      log.error({ error }, 'cannot renew the certificate; the one in use stays, and it is tried again')
      return false
    }
    log.info({ expires: new Date(identity.expiresAtMs).toISOString() }, 'the certificate is renewed')
    // A session begun with the old certificate would go on with it.
    this.#session = undefined
    this.#scheduleRenewal()
    return true
  }

  /**
   * The certificate has ended, and is good for this alone.
   * @returns false where there is no new one: then it is tried again later, as any connection that failed
   */
  async #renewLate(): Promise<boolean> {
    this.#mayRenew = false
    const { identity, log } = this.#options
    const ended = new Date(identity.expiresAtMs).toISOString()
    // Once, however often the daemon cannot be reached meanwhile.
    if (!this.#toldOfEnd) log.warn({ ended }, 'the certificate has ended; the daemon is asked for a new one')
    this.#toldOfEnd = true
    const answer = await askLateRenewal(this.#way(), identity.askRenewal(), this.#closing.signal)
    if (this.#closed) return false
    if ('failed' in answer) {
      this.#ended(answer.failed)
      return false
    }
    const isKept = await this.#keepRenewed(answer.certificate)
    if (!isKept) this.#ended({ reason: 'renewed', message: 'the new certificate cannot be used' })
    return isKept
  }

  /** Ends the connection from this side, and comes back. */
  #leave(reason: ReconnectReason, message: string): void {
    const connection = this.#connection
    if (connection === null) return
    void connection.close()
    this.#ended({ reason, message })
  }

  #ended({ reason, message, code = '', why, noWay = reason === 'unresolvable' }: ConnectionEnd): void {
    if (this.#closed || this.#status.revoked) return
    const hadBegunWell = this.#status.connected && this.#clock.monotonicMs() - this.#openedAtMs >= livedWellMs
    this.#connection = null
    if (reason === 'turned-away' && /revoked/i.test(code)) {
      this.#revoked(message)
      return
    }
    const { metrics, log } = this.#options
    // Whatever was to follow from it is missing: the daemon is asked for all there is.
    if (reason === 'malformed') this.#needsSnapshot = true
    this.#failures = hadBegunWell ? 1 : this.#failures + 1
    this.#hadNoWay = noWay
    metrics.reconnects.inc({ reason })
    this.#mayRenew = why === endedReasons.renewable
    const isTooLate = why === endedReasons.tooLate
    this.#setStatus({
      connected: false,
      reason: message,
      tooLate: isTooLate || (this.#status.tooLate && !this.#mayRenew),
    })
    const retryInMs = backOff(this.#failures, this.#clock.random())
    // The same again and again for hours is one line, at whatever time.
    const told = `${reason} ${message.replace(isoTime, '')}`
    if (reason !== 'renewed' && !this.#mayRenew && told !== this.#lastTold) {
      this.#lastTold = told
      const said = { daemon: this.#daemon.url, cause: reason, reason: message, retryInMs }
      if (isTooLate) {
        log.error(
          { ...said, agent: this.#options.identity.credentials.agentId },
          'the certificate ended too long ago to be renewed; what is in force stays, no change comes any more, and this host must join again',
        )
      } else log.warn(said, 'not connected to the daemon; what is in force stays, and it is tried again')
    }
    this.#connectIn(retryInMs)
  }

  #connectIn(milliseconds: number): void {
    this.#cancelRetry()
    this.#cancelRetry = this.#clock.after(milliseconds, () => {
      this.#hadNoWay = false
      void this.#connect()
    })
  }

  #setStatus(change: Partial<LinkStatus> & Pick<LinkStatus, 'connected'>): void {
    const wasConnected = this.#status.connected
    const atMs = this.#clock.monotonicMs()
    if (change.connected !== wasConnected) this.#changedAtMs = atMs
    // By the clock as it is now: at a boot it may be of 1970.
    const sinceMs = this.#clock.now() - (atMs - this.#changedAtMs)
    this.#status = { ...this.#status, ...change, sinceMs }
    this.#options.metrics.connected.set(change.connected ? 1 : 0)
    if (wasConnected && !change.connected) this.#options.ddos?.onEnd()
  }

  /** Looks at the clock now and then: it may be stepped, and what was asked for may never come. */
  #scheduleRenewal(): void {
    this.#cancelRenewal()
    const { identity } = this.#options
    const waitMs = identity.renewInMs(this.#clock.now())
    // Without a connection it asks for nothing: what is asked for elsewhere would be forgotten for it.
    if (waitMs <= 0 && this.#status.connected) this.send(identity.askRenewal())
    const sleepMs = waitMs <= 0 ? longestSleepMs : Math.min(waitMs, longestSleepMs)
    this.#cancelRenewal = this.#clock.after(sleepMs, () => this.#scheduleRenewal())
  }
}

function hasAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some(those => those?.some(own => own.address === address))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
