/**
 * A daemon that does what a test says: it speaks the protocol of docs/push-protocol.md over real mutual TLS 1.3, and
 * knows nothing of groups. What an agent says is queued until the test asks for it.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { type EnrolAnswer, type EnrolRequest, formatEnrolmentToken, type RenewRequest } from '../../wire/enrolment.ts'
import { enrolPath, pushPath, renewPath, type ToAgent, type ToDaemon } from '../../wire/messages.ts'
import { certify, fingerprint, type IssueOptions, issue, makeAuthority, type TestAuthority } from './certificates.ts'

export interface ScriptedDaemonOptions {
  readonly authority?: TestAuthority
  readonly address?: string
  readonly port?: number
  /** The certificate the listener shows; a right one where left out. */
  readonly server?: Partial<IssueOptions>
  /** How long the certificates of agents are good. */
  readonly agentLifeMs?: number
  readonly maxVersion?: 'TLSv1.2'
  /** What its clock says when an agent connects, milliseconds since 1970; left out, it does not say. */
  readonly clockMs?: number
}

export type Said<Type extends ToDaemon['type']> = Extract<ToDaemon, { type: Type }>

/** One agent's connection, from this side. */
export interface AgentConnection {
  readonly serialNumber: string
  /** It came back by a TLS ticket. */
  readonly resumed: boolean
  /** The next message of a type; those of other types stay in the queue. @throws {Error} if none comes in time */
  next<Type extends ToDaemon['type']>(type: Type): Promise<Said<Type>>
  /** The next message, whatever it is. @throws {Error} if none comes in time */
  any(options?: WaitOptions): Promise<ToDaemon>
  /** Everything said and not asked for yet. */
  readonly queue: readonly ToDaemon[]
  /** Text is sent as it is. */
  send(message: ToAgent | string | Buffer): void
  ping(): void
  /** Takes nothing in any more, as if the way were cut. */
  freeze(): void
  drop(): void
  /** When it is over: the close code. */
  readonly closed: Promise<number>
}

export interface WaitOptions {
  /** Null waits for ever; 90 s where left out. */
  readonly waitMs?: number | null
}

/** An agent has taken more than 40 s to come, on a busy machine. */
const defaultWaitMs = 90_000

/** What was asked by a certificate that has ended. */
export interface LateAsked extends RenewRequest {
  readonly serialNumber: string
  readonly resumed: boolean
}

export type ScriptedDaemon = Awaited<ReturnType<typeof startScriptedDaemon>>

export async function startScriptedDaemon(options: ScriptedDaemonOptions = {}) {
  const authority = options.authority ?? (await makeAuthority())
  const own = await issue(authority, { usage: 'server', subject: 'CN=daemon', ...options.server })
  const enrolments: EnrolRequest[] = []
  const secrets = new Map<string, string>()
  const connections = new Inbox<AgentConnection>('connection')
  const sockets = new Set<Socket>()
  let turnsAwayWith: { readonly status: number; readonly body: unknown } | null = null
  let renewsWith: ((asked: LateAsked) => Promise<{ readonly status: number; readonly body: unknown }>) | null = null
  let enrolsWith: (request: EnrolRequest) => Promise<{ readonly status: number; readonly body: unknown }> = enrol

  const server = createServer(
    {
      cert: own.certificate + authority.certificate,
      key: own.privateKey,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      ...(options.maxVersion === undefined ? { minVersion: 'TLSv1.3' } : { maxVersion: options.maxVersion }),
    },
    (request, response) => void answer(request, response),
  )
  const webSockets = new WebSocketServer({ noServer: true })
  const { clockMs } = options
  if (clockMs !== undefined) {
    webSockets.on('headers', headers => headers.push(`Date: ${new Date(clockMs).toUTCString()}`))
  }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => {})
  server.on('upgrade', (request: IncomingMessage, socket: TLSSocket, head: Buffer) => {
    const serialNumber = socket.getPeerX509Certificate()?.serialNumber
    if (turnsAwayWith !== null || request.url !== pushPath || serialNumber === undefined) {
      const { status, body } = turnsAwayWith ?? { status: 401, body: { code: 'no-certificate' } }
      const text = JSON.stringify(body)
      socket.end(
        `HTTP/1.1 ${status} No\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
      )
      return
    }
    webSockets.handleUpgrade(request, socket, head, webSocket =>
      connections.put(makeConnection(webSocket, socket, serialNumber)),
    )
  })
  server.listen({ host: options.address ?? '127.0.0.1', port: options.port ?? 0 })
  await once(server, 'listening')
  const { port, address } = server.address() as AddressInfo

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === renewPath && request.method === 'POST' && renewsWith !== null) {
      const socket = request.socket as TLSSocket
      const { serialNumber = '' } = socket.getPeerX509Certificate() ?? {}
      const asked = { ...((await json(request)) as RenewRequest), serialNumber, resumed: socket.isSessionReused() }
      const { status, body } = await renewsWith(asked)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      return
    }
    if (request.url !== enrolPath || request.method !== 'POST') {
      response.writeHead(404).end()
      return
    }
    const question = (await json(request)) as EnrolRequest
    enrolments.push(question)
    const { status, body } = await enrolsWith(question)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  async function enrol({ tokenId, secret, publicKey }: EnrolRequest) {
    if (secrets.get(tokenId) !== secret) {
      const body = { title: 'Refused', detail: 'the token was used already', code: 'InvalidToken' }
      return { status: 403, body }
    }
    secrets.delete(tokenId)
    const body: EnrolAnswer = {
      agentId: 'agent-1',
      certificate: await certifyAgent(publicKey),
      caCertificate: authority.certificate,
    }
    return { status: 201, body }
  }

  function certifyAgent(publicKey: string): Promise<string> {
    const { agentLifeMs } = options
    const life = agentLifeMs === undefined ? {} : { fromMs: Date.now() - 1000, untilMs: Date.now() + agentLifeMs }
    return certify(authority, publicKey, { usage: 'client', subject: 'CN=agent-1', ...life })
  }

  return {
    authority,
    enrolments,
    port,
    url: `https://${address}:${port}`,
    /** The next connection. @throws {Error} if none comes in time */
    connection: (options: WaitOptions = {}) => connections.take(() => true, options),
    /** @param ofAuthority  whose fingerprint it names */
    token(ofAuthority = authority): string {
      const id = `tok-${secrets.size + 1}`
      const secret = randomBytes(32).toString('base64url')
      secrets.set(id, secret)
      return formatEnrolmentToken({ id, secret, caFingerprint: fingerprint(ofAuthority) })
    },
    certifyAgent,
    /** What connections get instead of being let in; null lets them in. */
    turnAway(answerWith: typeof turnsAwayWith): void {
      turnsAwayWith = answerWith
    },
    /** How a certificate that has ended is renewed; null knows nothing of that. */
    renewBy(how: typeof renewsWith): void {
      renewsWith = how
    },
    enrolBy(how: typeof enrolsWith): void {
      enrolsWith = how
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of sockets) socket.destroy()
      server.close()
      server.closeAllConnections()
    },
  }
}

function makeConnection(webSocket: WebSocket, socket: TLSSocket, serialNumber: string): AgentConnection {
  const inbox = new Inbox<ToDaemon>('message')
  webSocket.on('message', data => inbox.put(JSON.parse(data.toString())))
  webSocket.on('error', () => {})
  return {
    serialNumber,
    resumed: socket.isSessionReused(),
    next: async type => (await inbox.take(message => message.type === type)) as never,
    any: (options = {}) => inbox.take(() => true, options),
    queue: inbox.items,
    send: message =>
      webSocket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message)),
    ping: () => webSocket.ping(),
    freeze: () => void socket.pause(),
    drop: () => void socket.destroy(),
    // An agent that ends with something unread resets its connection: that is an end too, and no error of the test.
    closed: new Promise(resolve => webSocket.once('close', resolve)),
  }
}

/** What came and was not asked for yet; whoever asks waits for what has not come. */
export class Inbox<T> {
  readonly items: T[] = []
  readonly #what: string
  #look: (() => void) | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(what: string) {
    this.#what = what
  }

  put(item: T): void {
    this.items.push(item)
    this.#look?.()
  }

  take(matches: (item: T) => boolean, { waitMs = defaultWaitMs }: WaitOptions = {}): Promise<T> {
    // Made here, so that its stack tells who asked.
    const error = new Error()
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#look = null
        error.message = `No such ${this.#what} within ${waitMs} ms; there are ${JSON.stringify(this.items)}`
        reject(error)
      }
      this.#timer = waitMs === null ? undefined : setTimeout(giveUp, waitMs)
      this.#look = () => {
        const index = this.items.findIndex(matches)
        if (index === -1) return
        clearTimeout(this.#timer)
        this.#look = null
        resolve(this.items.splice(index, 1)[0]!)
      }
      this.#look()
    })
  }

  /** Nothing comes any more, and who still waits is not to hold up the process. */
  close(): void {
    this.#look = null
    clearTimeout(this.#timer)
  }
}
