/**
 * The listener for agents: TLS 1.3, enrolment, and the WebSocket that needs a certificate of ours. Strangers cost
 * little: so many at once, so long, and nothing of theirs is kept.
 */
import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Logger } from '../../common/log.ts'
import { endedReasons, type RenewAnswer } from '../../wire/enrolment.ts'
import { enrolPath, maxToDaemonBytes, pushPath, renewPath } from '../../wire/messages.ts'
import { ApiError } from '../errors.ts'
import { asApiError, problemContentType, problemDocument } from '../http/problem.ts'
import { keyOf } from '../model/documents.ts'
import type { RefusedWrite } from '../model/note.ts'
import type { Authority } from '../pki/authority.ts'
import { type Enrolment, readRenewRequest } from '../pki/enrolment.ts'
import {
  type JudgeParts,
  judgeCertificate,
  judgeForRenewal,
  type Known,
  type Refused,
} from '../pki/judge-certificate.ts'
import type { World } from '../state/world.ts'
import { sourceKey, Throttle } from '../throttle.ts'
import type { PushMetrics } from './metrics.ts'
import type { PushOptions } from './options.ts'
import type { SessionIdentity } from './session.ts'
import { Strangers } from './strangers.ts'

export interface AgentServerParts {
  readonly world: World
  readonly authority: Authority
  readonly enrolment: Enrolment
  readonly options: PushOptions
  /** For how long after its end a certificate may be renewed. */
  readonly renewalGraceMs: number
  readonly metrics: PushMetrics
  readonly logger: Logger
  readonly onAgent: (socket: WebSocket, identity: SessionIdentity) => void
  /** Told of each attempt to enrol, and to renew a certificate that has ended, that was refused. */
  readonly onRefused: (refused: RefusedWrite) => void
}

/** As it is audited. */
const renewEnded = 'ringwall:RenewEndedAgent'
const minuteMs = 60_000
/** Refusals that are logged, of one source: who comes again and again is known by then, and the journal is everybody's. */
const refusalsLogged = { burst: 10, perSecond: 1 / 60 } as const
/** Tickets live as long as the keys they are sealed with: a week, the most that TLS 1.3 allows (RFC 8446, 4.6.1). */
const ticketPeriodMs = 7 * 24 * 3600 * 1000
/** Connections that the kernel keeps until they are accepted: a fleet comes back at once. */
const backlog = 4096
/** A close frame that nobody answers ends the connection after this; an option that ws's types do not know yet. */
const closeTimeout = { closeTimeout: 1000 }

export class AgentServer {
  readonly #parts: AgentServerParts
  readonly #server: Server
  readonly #webSockets: WebSocketServer
  readonly #strangers: Strangers
  /** By agent. */
  readonly #connections: Throttle
  readonly #refusalsLogged = new Throttle(refusalsLogged)
  readonly #renewal: NodeJS.Timeout
  /** Times by the clock as it was when the listener's certificate was made. */
  #madeAtMs: number
  #renewAtMs: number
  #ticketPeriod: number

  /** @throws {Error} with the system's `code` where it cannot listen */
  static async listen(
    parts: AgentServerParts,
    where: { readonly host: string; readonly port: number },
  ): Promise<AgentServer> {
    const agentServer = new AgentServer(parts, await makeCredentials(parts))
    await new Promise<void>((resolve, reject) => {
      const server = agentServer.#server
      server.once('error', reject)
      server.listen({ ...where, backlog }, () => {
        server.off('error', reject)
        // A connection that cannot be accepted (no descriptor left) is that client's trouble, not a reason to end.
        server.on('error', error => parts.logger.warn({ error }, 'listener for agents'))
        resolve()
      })
    })
    return agentServer
  }

  private constructor(parts: AgentServerParts, credentials: Credentials) {
    const { options, metrics } = parts
    this.#parts = parts
    this.#strangers = new Strangers(options, () => metrics.connectionsRefused.inc({ reason: 'too-slow' }))
    this.#connections = new Throttle({ burst: options.connectionBurst, perSecond: options.connectionsPerSecond })
    this.#madeAtMs = credentials.madeAtMs
    this.#renewAtMs = credentials.renewAtMs
    this.#ticketPeriod = credentials.ticketPeriod
    this.#webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      maxPayload: maxToDaemonBytes,
      ...closeTimeout,
    })
    // Agents renew their certificates by our clock, whatever theirs says.
    this.#webSockets.on('headers', headers => headers.push(`Date: ${new Date().toUTCString()}`))
    this.#server = createServer({
      ...credentials.tls,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      requestCert: true,
      // Enrolment has no certificate yet; who may do what is decided below.
      rejectUnauthorized: false,
      handshakeTimeout: options.helloTimeoutMs,
      headersTimeout: options.helloTimeoutMs,
      requestTimeout: options.helloTimeoutMs,
      keepAliveTimeout: 1,
      maxHeaderSize: 8192,
    })
    this.#server.on('connection', (socket: Socket) => this.#meet(socket))
    this.#server.on('tlsClientError', error => {
      metrics.connectionsRefused.inc({ reason: 'handshake' })
      parts.logger.debug({ error }, 'TLS handshake failed')
    })
    this.#server.on('request', (request, response) => void this.#answer(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#renewal = setInterval(() => void this.#renewIfDue(), Math.min(minuteMs, options.serverCertificateMs / 10))
    this.#renewal.unref()
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Nobody new is let in. Connections of agents are whose who have them. */
  async close(): Promise<void> {
    clearInterval(this.#renewal)
    this.#strangers.close()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  #meet(socket: Socket): void {
    if (this.#strangers.admit(socket)) return
    this.#parts.metrics.connectionsRefused.inc({ reason: 'too-many' })
    socket.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    try {
      const { method, url } = request
      if (url !== enrolPath && url !== renewPath) {
        throw new ApiError(404, 'NotFound', 'Cannot find the path: this listener is for agents')
      }
      if (method !== 'POST') throw new ApiError(405, 'MethodNotAllowed', `Cannot serve ${method}: expected POST`)
      const answer = await (url === enrolPath ? this.#enrol(request, requestId) : this.#renew(request, requestId))
      send(response, 201, 'application/json; charset=utf-8', answer)
    } catch (error) {
      const refusal = asApiError(error)
      if (refusal.status >= 500) {
        const what = request.url === renewPath ? 'renewal' : 'enrolment'
        this.#parts.logger.error({ error, requestId }, `${what} failed`)
      }
      const { retryAfterSeconds } = refusal.details
      if (retryAfterSeconds !== undefined) response.setHeader('retry-after', String(retryAfterSeconds))
      send(response, refusal.status, problemContentType, problemDocument(refusal, requestId))
    }
  }

  async #enrol(request: IncomingMessage, requestId: string) {
    const { enrolment, metrics, logger, onRefused } = this.#parts
    const source = request.socket.remoteAddress ?? ''
    try {
      const answer = await enrolment.enrol(await readBody(request), source)
      metrics.enrolments.inc({ outcome: 'enrolled' })
      logger.info({ agent: answer.agentId, source }, 'agent enrolled')
      return answer
    } catch (error) {
      const { status, code, message } = asApiError(error)
      const outcome = status >= 500 ? 'failed' : status === 429 ? 'throttled' : 'refused'
      metrics.enrolments.inc({ outcome })
      this.#logRefused(source, { code }, message)
      // Whose it is says a token that was not good, or none at all.
      const principal = { kind: 'enrolment', id: '', name: 'unknown' } as const
      const note = { action: 'ringwall:EnrolAgent', principal, sourceAddress: source, requestId }
      onRefused({ note, method: 'POST', url: enrolPath, status, code, message })
      throw error
    }
  }

  /** What is left to a certificate that has ended. */
  async #renew(request: IncomingMessage, requestId: string): Promise<RenewAnswer> {
    const { metrics, logger, onRefused, world } = this.#parts
    const socket = request.socket as TLSSocket
    const sourceAddress = socket.remoteAddress ?? ''
    const judged = judgeForRenewal(socket.getPeerX509Certificate(), this.#judgeParts())
    if (judged.kind === 'refused') throw this.#turnAway(judged, sourceAddress)
    const { agentId, notAfterMs } = judged
    if (!this.#connections.take(agentId)) throw this.#tooOften(agentId, sourceAddress)
    try {
      const certificate = await this.#renewBy(judged, socket, await readBody(request))
      metrics.lateRenewals.inc({ outcome: 'renewed' })
      const ended = new Date(notAfterMs).toISOString()
      logger.info({ agent: agentId, source: sourceAddress, ended }, 'a certificate that had ended is renewed')
      return { certificate }
    } catch (error) {
      const { status, code, message } = asApiError(error)
      metrics.lateRenewals.inc({ outcome: status >= 500 ? 'failed' : 'refused' })
      this.#logRefused(sourceAddress, { agent: agentId, code }, message)
      const principal = { kind: 'agent', id: agentId, name: world.get('agent', agentId)?.hostName ?? '' } as const
      const note = { action: renewEnded, principal, sourceAddress, requestId }
      onRefused({ note, method: 'POST', url: renewPath, objects: [keyOf('agent', agentId)], status, code, message })
      throw error
    }
  }

  async #renewBy({ isListed, ...known }: Known, socket: TLSSocket, body: string): Promise<string> {
    const { enrolment } = this.#parts
    const { agentId, serialNumber, notAfterMs } = known
    const sourceAddress = socket.remoteAddress ?? ''
    if (notAfterMs > Date.now()) {
      throw new ApiError(
        409,
        'Conflict',
        'Cannot renew: the certificate has not ended; connect by it, and renew it there',
      )
    }
    // A resumed session shows that the agent had the key once; only a whole handshake, that it has.
    if (socket.isSessionReused()) {
      throw new ApiError(401, 'Unauthorized', 'Cannot renew over a resumed TLS session: expected a whole handshake')
    }
    const asked = readRenewRequest(body)
    if (!isListed) await enrolment.adopt(agentId, { serialNumber, notAfterMs }, sourceAddress)
    return enrolment.renew({ agentId, serialNumber, sourceAddress }, asked, renewEnded)
  }

  /** @returns what to answer; it is counted and logged */
  #turnAway({ reason, message }: Refused, sourceAddress: string): ApiError {
    this.#parts.metrics.connectionsRefused.inc({ reason })
    // The agent knows what to do, and does it.
    if (reason !== endedReasons.renewable) this.#logRefused(sourceAddress, { reason }, message)
    return new ApiError(401, reason === 'revoked' ? 'AgentRevoked' : 'Unauthorized', message, { details: { reason } })
  }

  #tooOften(agentId: string, sourceAddress: string): ApiError {
    this.#parts.metrics.connectionsRefused.inc({ reason: 'too-often' })
    const message = `Cannot connect so often: agent "${agentId}" has, again and again; try again later`
    this.#logRefused(sourceAddress, { agent: agentId, reason: 'too-often' }, message)
    return new ApiError(429, 'Throttling', message)
  }

  #logRefused(source: string, fields: object, message: string): void {
    if (this.#refusalsLogged.take(sourceKey(source))) this.#parts.logger.warn({ source, ...fields }, message)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {})
    const sourceAddress = request.socket.remoteAddress ?? ''
    if (request.url !== pushPath) {
      refuse(socket, new ApiError(404, 'NotFound', 'Cannot find the path: this listener is for agents'))
      return
    }
    const judged = judgeCertificate((socket as TLSSocket).getPeerX509Certificate(), this.#judgeParts())
    if (judged.kind === 'refused') {
      refuse(socket, this.#turnAway(judged, sourceAddress))
      return
    }
    const { agentId, serialNumber, notAfterMs, isListed } = judged
    if (!this.#connections.take(agentId)) {
      refuse(socket, this.#tooOften(agentId, sourceAddress))
      return
    }
    if (!isListed) {
      this.#parts.enrolment.adopt(agentId, { serialNumber, notAfterMs }, sourceAddress).then(
        () => this.#upgrade(request, socket, head),
        error => refuse(socket, asApiError(error)),
      )
      return
    }
    this.#webSockets.handleUpgrade(request, socket, head, webSocket => {
      this.#strangers.release(socket as TLSSocket)
      this.#parts.onAgent(webSocket, { agentId, serialNumber, notAfterMs, sourceAddress })
    })
  }

  #judgeParts(): JudgeParts {
    const { authority, world, renewalGraceMs } = this.#parts
    return { authority, world, renewalGraceMs, nowMs: Date.now() }
  }

  /** Connections that stand keep what they were made with. */
  async #renewIfDue(): Promise<void> {
    const nowMs = Date.now()
    // By a clock that was set back, it may not have begun.
    const isDue = nowMs >= this.#renewAtMs || nowMs < this.#madeAtMs
    if (!isDue && ticketPeriodAt(nowMs) === this.#ticketPeriod) return
    try {
      const { tls, madeAtMs, renewAtMs, ticketPeriod } = await makeCredentials(this.#parts)
      this.#server.setSecureContext(tls)
      this.#madeAtMs = madeAtMs
      this.#renewAtMs = renewAtMs
      this.#ticketPeriod = ticketPeriod
      this.#parts.logger.info('certificate of the listener for agents renewed')
    } catch (error) {
      this.#parts.logger.error({ error }, 'certificate of the listener for agents was not renewed')
    }
  }
}

interface Credentials {
  readonly tls: {
    readonly key: string
    readonly cert: string
    readonly ca: string
    readonly ticketKeys: Buffer
    readonly sessionTimeout: number
    readonly sessionIdContext: string
  }
  /** Milliseconds since 1970, as the next. */
  readonly madeAtMs: number
  readonly renewAtMs: number
  readonly ticketPeriod: number
}

/** Tickets are good in every daemon of this CA, and after a restart. */
async function makeCredentials({ authority, options }: AgentServerParts): Promise<Credentials> {
  const nowMs = Date.now()
  const ticketPeriod = ticketPeriodAt(nowMs)
  const { certificate, privateKey } = await authority.issueServerCertificate(options.serverCertificateMs, nowMs)
  return {
    tls: {
      key: privateKey,
      // With the CA's: an agent that enrols finds there what its token pins.
      cert: `${certificate}${authority.certificate}`,
      ca: authority.certificate,
      ticketKeys: authority.ticketKeys(ticketPeriod),
      sessionTimeout: ticketPeriodMs / 1000,
      // Else it is made from the command line, and no ticket is good in another process.
      sessionIdContext: 'ringwall',
    },
    madeAtMs: nowMs,
    renewAtMs: nowMs + options.serverCertificateMs / 2,
    ticketPeriod,
  }
}

function ticketPeriodAt(nowMs: number): number {
  return Math.floor(nowMs / ticketPeriodMs)
}

/** @throws {ApiError} 413 */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxToDaemonBytes) {
      throw new ApiError(413, 'RequestTooLarge', `Cannot read the request: expected at most ${maxToDaemonBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, status: number, contentType: string, body: unknown): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', connection: 'close' })
  response.end(`${JSON.stringify(body)}\n`)
}

function refuse(socket: Duplex, error: ApiError): void {
  const body = `${JSON.stringify(problemDocument(error, randomUUID()))}\n`
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `Content-Type: ${problemContentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
