/** One connection to the daemon: TLS that trusts our CA alone, a WebSocket, and the silence after which it is dead. */
import { isIP, type LookupFunction } from 'node:net'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import type { Clock } from '../../common/clock.ts'
import { heartbeatMs, maxToAgentBytes, pushPath } from '../../wire/messages.ts'
import type { DaemonAddress } from './daemon-url.ts'
import type { Identity } from './identity.ts'
import { serverUsage } from './keys.ts'
import type { ReconnectReason } from './metrics.ts'
import { objectOf, readJsonWith, text } from './shape.ts'

/** Three heartbeats. */
const silenceMs = 3 * heartbeatMs
const handshakeTimeoutMs = 10_000
const closeTimeoutMs = 1_000
const maxRefusalBytes = 64 * 1024

/** A certificate for an agent must not pass for the daemon's, though the same CA signed it. */
function checkServerIdentity(_host: string, certificate: PeerCertificate): Error | undefined {
  if (certificate.ext_key_usage?.includes(serverUsage)) return undefined
  return new Error("whoever listens there is not the daemon: its certificate is not a server's")
}

/** To whom, and as whom. */
export interface Way {
  readonly daemon: DaemonAddress
  readonly addresses: readonly string[]
  readonly credentials: Identity['credentials']
}

export interface ConnectionOptions extends Way {
  readonly session: Buffer | undefined
  readonly clock: Clock
  readonly onSession: (session: Buffer) => void
  /** Given what the daemon's clock says, milliseconds since 1970; null where it does not say. */
  readonly onOpen: (daemonMs: number | null) => void
  readonly onText: (json: string) => void
  /** The daemon has answered a question that was asked at this time, on performance.now()'s clock. */
  readonly onProof: (askedAtMs: number) => void
  /** Once, unless `close` ended it; nothing is called afterwards. */
  readonly onEnd: (end: ConnectionEnd) => void
}

export interface ConnectionEnd {
  readonly reason: ReconnectReason
  readonly message: string
  /** Of the daemon's answer, where it turned us away. */
  readonly code?: string
  /** Why it did, in its word for that; one of `endedReasons` where it is about our certificate's time. */
  readonly why?: string
  /** Nothing has left this host: it has no way there. */
  readonly noWay?: boolean
}

export interface Connection {
  /** Of this host; null before it has one. */
  readonly localAddress: string | null
  send(json: string): void
  /** Asks for an answer, to know that there is one. */
  ping(): void
  close(): Promise<void>
}

/** One connection, from the first attempt to its end. */
export function openConnection(options: ConnectionOptions): Connection {
  const { daemon, clock } = options
  let isOver = false
  let isOpen = false
  const begunAtMs = performance.now()
  let heardAtMs = clock.monotonicMs()
  let daemonMs: number | null = null
  let cancelSilence = () => {}
  let tlsSocket: TLSSocket | null = null
  const { promise: gone, resolve: go } = Promise.withResolvers<void>()

  const socketOptions: WebSocket.ClientOptions & { readonly closeTimeout: number } = {
    createConnection: () => {
      tlsSocket = connectTls(options, options.session)
      tlsSocket.on('session', options.onSession)
      return tlsSocket
    },
    handshakeTimeout: handshakeTimeoutMs,
    closeTimeout: closeTimeoutMs,
    maxPayload: maxToAgentBytes,
    perMessageDeflate: false,
    followRedirects: false,
  }
  const socket = new WebSocket(`wss://${new URL(daemon.url).host}${pushPath}`, socketOptions)

  const end = (how: ConnectionEnd) => {
    if (isOver) return
    isOver = true
    cancelSilence()
    socket.terminate()
    options.onEnd(how)
  }
  const hear = () => {
    heardAtMs = clock.monotonicMs()
  }
  const listen = (milliseconds: number) => {
    cancelSilence = clock.after(milliseconds, () => {
      const restMs = heardAtMs + silenceMs - clock.monotonicMs()
      if (restMs > 0) listen(Math.min(restMs, silenceMs))
      else end({ reason: 'silent', message: `nothing was heard for ${silenceMs / 1000} s` })
    })
  }

  socket.on('upgrade', ({ headers }) => {
    const saidMs = Date.parse(headers.date ?? '')
    if (!Number.isNaN(saidMs)) daemonMs = saidMs
  })
  socket.on('open', () => {
    if (isOver) return
    isOpen = true
    hear()
    // Any byte counts: a large snapshot on a slow line is many seconds without a ping.
    tlsSocket?.on('data', hear)
    listen(silenceMs)
    options.onProof(begunAtMs)
    options.onOpen(daemonMs)
  })
  socket.on('message', (data, isBinary) => {
    if (isOver) return
    if (isBinary) end({ reason: 'malformed', message: `${unusable}: a binary message` })
    else options.onText(data.toString())
  })
  socket.on('pong', data => {
    const askedAtMs = Number(data.toString())
    if (!isOver && askedAtMs > begunAtMs && askedAtMs <= performance.now()) options.onProof(askedAtMs)
  })
  socket.on('unexpected-response', (request, response) => {
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      body += chunk
      if (body.length > maxRefusalBytes) request.destroy()
    })
    response.on('close', () => {
      request.destroy()
      end(readTurningAway(response.statusCode ?? 0, body))
    })
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end(isOpen ? sortBreak(error) : sortFailure(error))
  })
  socket.on('close', (code, reason) => {
    go()
    const said = printable(`${code} ${reason.toString()}`)
    end({ reason: 'closed', message: `the connection was closed (${said})` })
  })

  return {
    get localAddress() {
      return tlsSocket?.localAddress ?? null
    },
    send: json => socket.send(json, () => {}),
    ping() {
      if (isOpen && !isOver) socket.ping(String(performance.now()), undefined, () => {})
    },
    async close() {
      isOver = true
      cancelSilence()
      if (isOpen) socket.close(1000)
      else socket.terminate()
      await gone
    },
  }
}

/** Nothing is sent over it to whoever is not the daemon. @param session  a ticket of one before */
export function connectTls({ daemon, addresses, credentials }: Way, session?: Buffer): TLSSocket {
  const { caCertificate, certificate, privateKey } = credentials
  return connect({
    host: daemon.host,
    port: daemon.port,
    ...(isIP(daemon.host) === 0 && { servername: daemon.host }),
    lookup: toKnown(addresses),
    minVersion: 'TLSv1.3',
    ca: caCertificate,
    cert: certificate,
    key: privateKey,
    checkServerIdentity,
    ALPNProtocols: ['http/1.1'],
    ...(session !== undefined && { session }),
  })
}

/** Goes to the addresses that the policy lets through, and to no other that the name may have got meanwhile. */
function toKnown(addresses: readonly string[]): LookupFunction {
  const all = addresses.map(address => ({ address, family: isIP(address) }))
  return (_host, { all: wantsAll }, callback) => {
    if (wantsAll) callback(null, all)
    else callback(null, all[0]!.address, all[0]!.family)
  }
}

/** What OpenSSL says of a chain that does not end in our CA (X509_verify_cert_error_string(3)). */
const otherAuthority =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)\w*)$/

/** A boot whose network is not up yet, say. */
const noWayCodes: ReadonlySet<string> = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL'])

/** Before it was open. */
function sortFailure(error: NodeJS.ErrnoException): ConnectionEnd {
  const { code = '', message } = error
  const errors = error instanceof AggregateError ? (error.errors as Error[]) : []
  const isTrust = /^(ERR_(SSL|TLS|OSSL)|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|INVALID_PURPOSE)/.test(code)
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') {
    const now = new Date().toISOString()
    return { reason: 'untrusted', message: `the daemon's ${message} by this host's clock, which says ${now}` }
  }
  if (otherAuthority.test(code)) {
    const said =
      'whoever listens there is not the daemon that this host joined: its certificate is of another CA; where the daemon was made anew, join again with a new token'
    return { reason: 'untrusted', message: said }
  }
  return {
    reason: isTrust || /certificate/i.test(message) ? 'untrusted' : 'unreachable',
    message: printable(errors[0]?.message ?? message),
    noWay: (errors.length === 0 ? [error] : errors).every(each => noWayCodes.has((each as typeof error).code ?? '')),
  }
}

function sortBreak(error: NodeJS.ErrnoException): ConnectionEnd {
  const { code = '' } = error
  const message = printable(error.message)
  // What the daemon thinks of our certificate may come after our side of the handshake, as an alert (RFC 8446, 4.4.2.4).
  if (code.startsWith('ERR_SSL')) return { reason: 'untrusted', message }
  return code.startsWith('WS_ERR')
    ? { reason: 'malformed', message: `${unusable}: ${message}` }
    : { reason: 'closed', message }
}

interface TurningAway {
  readonly code?: string
  readonly reason?: string
  readonly detail?: string
  readonly title?: string
}

const readTurningAwayBody = objectOf<TurningAway>({}, { code: text, reason: text, detail: text, title: text })

export function readTurningAway(status: number, body: string): ConnectionEnd {
  const read = readJsonWith(readTurningAwayBody, body)
  const { code = `HTTP status ${status}`, reason: why = '', detail, title } = 'value' in read ? read.value : {}
  const said = printable(detail ?? title ?? 'no reason given')
  return { reason: 'turned-away', message: `the daemon says: ${said} (${printable(code)})`, code, why }
}

export const unusable = 'the daemon sent what cannot be used'

/** It goes to logs and to an operator's terminal. */
export function printable(words: string): string {
  return words
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 500)
}
