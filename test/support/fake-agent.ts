/**
 * An agent without a kernel: real TLS, real WebSocket, the protocol as docs/push-protocol.md says it, and an answer to
 * every update unless told otherwise. Written without a look at the agent's own link, so that the daemon is not judged
 * by the same misunderstanding.
 */
import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { type EnrolAnswer, parseEnrolmentToken, proofText } from '../../wire/enrolment.ts'
import {
  enrolPath,
  type HostReport,
  type Position,
  protocolVersion,
  pushPath,
  renewPath,
  type ToAgent,
  type ToDaemon,
} from '../../wire/messages.ts'
import { hostReport } from './documents.ts'
import { ViewCopy } from './view-copy.ts'

export interface FakeCredentials {
  readonly agentId: string
  readonly privateKey: KeyObject
  /** PEM. */
  readonly certificate: string
  readonly caCertificate: string
}

export interface KeyPair {
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo in DER, base64url. */
  readonly publicKey: string
}

export function makeKeyPair(namedCurve = 'P-256'): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  return { privateKey, publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64url') }
}

export function prove(purpose: string, { privateKey, publicKey }: KeyPair): string {
  const text = Buffer.from(proofText(purpose, publicKey))
  return sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readonly<Record<string, unknown>>
}

/** POST of a body to the listener for agents, without a certificate unless there is one in `tls`. */
export function post(
  port: number,
  body: string,
  path: string = enrolPath,
  tls: ConnectionOptions = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port, path, method: 'POST', agent: false as const }
    const options = { ...where, rejectUnauthorized: false, ...tls }
    const sent = request(options, async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** The body of an enrolment, with whatever is to be wrong about it. */
export function enrolBody(token: string, keys: KeyPair, wrong: Readonly<Record<string, unknown>> = {}): string {
  const { id, secret } = parseEnrolmentToken(token)!
  const body = { tokenId: id, secret, publicKey: keys.publicKey, proof: prove(id, keys), report: hostReport, ...wrong }
  return JSON.stringify(body)
}

/** @throws {Error} if it is refused, or the CA that answers is not the token's */
export async function enrolFake(port: number, token: string): Promise<FakeCredentials> {
  const keys = makeKeyPair()
  const { status, body } = await post(port, enrolBody(token, keys))
  if (status !== 201) throw new Error(`enrolment was refused: ${JSON.stringify(body)}`)
  const { agentId, certificate, caCertificate } = body as unknown as EnrolAnswer
  const pinned = new X509Certificate(caCertificate).fingerprint256.replaceAll(':', '')
  if (Buffer.from(pinned, 'hex').toString('base64url') !== parseEnrolmentToken(token)?.caFingerprint) {
    throw new Error('the CA is not the one that the token pins')
  }
  return { agentId, privateKey: keys.privateKey, certificate, caCertificate }
}

/** A new certificate, asked for by one that has ended; with whatever is to be wrong about it. */
export async function renewFake(
  port: number,
  credentials: FakeCredentials,
  { keys = makeKeyPair(), body, tls }: { keys?: KeyPair; body?: string; tls?: ConnectionOptions } = {},
): Promise<HttpAnswer & { readonly renewed: FakeCredentials }> {
  const asked = { publicKey: keys.publicKey, proof: prove(credentials.agentId, keys) }
  const answer = await post(port, body ?? JSON.stringify(asked), renewPath, {
    key: credentials.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: credentials.certificate,
    ...tls,
  })
  const certificate = String(answer.body.certificate)
  return { ...answer, renewed: { ...credentials, privateKey: keys.privateKey, certificate } }
}

export interface FakeUpdate {
  readonly type: 'snapshot' | 'delta'
  readonly revision: number
  readonly bytes: number
}

export interface FakeOptions {
  /** Default: it answers each update at once. */
  readonly answers?: boolean
  readonly tls?: ConnectionOptions
  readonly report?: HostReport
  /** What it holds already; goes on with it. */
  readonly view?: ViewCopy | undefined
  readonly enforced?: Position | null
  /** Says hello when it is connected. Default: true. */
  readonly hello?: boolean
  /** The ticket of a connection before. */
  readonly session?: Buffer | undefined
  /** Told of every update once it is answered. */
  readonly onUpdate?: (update: FakeUpdate) => void
  /** Keeps all messages for `next`. Default: true. */
  readonly remembers?: boolean
}

export class FakeAgent {
  readonly view: ViewCopy
  /** Updates that came, oldest first: kinds and revisions. */
  readonly updates: FakeUpdate[] = []
  /** The TLS session was resumed. */
  resumed = false
  /** The newest ticket. */
  session: Buffer | undefined
  goodbye: Extract<ToAgent, { type: 'goodbye' }> | null = null
  closed = false
  /** That the daemon sent. */
  pings = 0
  readonly #socket: WebSocket
  readonly #options: FakeOptions
  readonly #said: ToAgent[] = []
  #wake: (() => void)[] = []

  /**
   * Resolves when the WebSocket is open.
   * @throws {Error} with the status and body of an answer that is not 101, or the error of TLS
   */
  static connect(port: number, credentials: FakeCredentials | null, options: FakeOptions = {}): Promise<FakeAgent> {
    return new Promise((resolve, reject) => {
      const tls: ConnectionOptions = {
        host: '127.0.0.1',
        port,
        minVersion: 'TLSv1.3',
        ...(credentials !== null &&
          options.tls?.secureContext === undefined && {
            key: credentials.privateKey.export({ type: 'pkcs8', format: 'pem' }),
            cert: credentials.certificate,
            ca: credentials.caCertificate,
          }),
        ...(credentials === null && { rejectUnauthorized: false }),
        ...(options.session !== undefined && { session: options.session }),
        checkServerIdentity: () => undefined,
        ...options.tls,
      }
      const below = connect(tls)
      below.once('error', reject)
      const socket = new WebSocket(`wss://127.0.0.1:${port}${pushPath}`, {
        createConnection: () => below,
        perMessageDeflate: false,
      } as ConstructorParameters<typeof WebSocket>[2])
      const agent = new FakeAgent(socket, below, options)
      socket.once('unexpected-response', async (_, response) => {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        reject(new Error(`${response.statusCode} ${Buffer.concat(chunks)}`))
      })
      socket.on('error', reject)
      socket.once('open', () => {
        if (options.hello !== false) agent.hello()
        resolve(agent)
      })
    })
  }

  private constructor(socket: WebSocket, below: TLSSocket, options: FakeOptions) {
    this.view = options.view ?? new ViewCopy()
    this.#socket = socket
    this.#options = options
    below.on('session', session => {
      this.session = session
      this.#notify()
    })
    below.once('secureConnect', () => {
      this.resumed = below.isSessionReused()
    })
    socket.on('message', data => this.#hear((data as Buffer).toString(), (data as Buffer).length))
    socket.on('ping', () => {
      this.pings += 1
      this.#notify()
    })
    socket.on('close', () => {
      this.closed = true
      this.#notify()
    })
  }

  hello(changes: Readonly<Record<string, unknown>> = {}): void {
    const { report = hostReport, enforced = null } = this.#options
    this.sayAny({ type: 'hello', protocolVersion, report, view: this.view.held, enforced, ...changes })
  }

  say(message: ToDaemon): void {
    this.sayAny(message)
  }

  /** Right or wrong. */
  sayAny(message: unknown): void {
    this.sayText(JSON.stringify(message))
  }

  sayText(text: string | Buffer): void {
    this.#socket.send(text)
  }

  enforce(revision: number): void {
    this.say({ type: 'enforced', revision, seconds: 0.002, nftSeconds: 0.001, enis: [] })
  }

  /** Resolves when the condition holds; it is looked at whenever something comes. */
  async until(condition: (agent: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>(resolve => this.#wake.push(resolve))
  }

  /** Messages that came and that nobody took by `next`, oldest first. */
  get said(): readonly ToAgent[] {
    return this.#said
  }

  /** Resolves with the next message of this type that has not been taken, of those that came already too. */
  async next<Type extends ToAgent['type']>(type: Type): Promise<Extract<ToAgent, { type: Type }>> {
    const find = () => this.#said.findIndex(message => message.type === type)
    await this.until(() => find() !== -1)
    return this.#said.splice(find(), 1)[0] as Extract<ToAgent, { type: Type }>
  }

  /** Hears nothing more, and answers no ping. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** As a host does that loses power. */
  break(): void {
    this.#socket.terminate()
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.until(agent => agent.closed)
  }

  #hear(text: string, bytes: number): void {
    const { answers = true, remembers = true, onUpdate } = this.#options
    const message = JSON.parse(text) as ToAgent
    if (message.type === 'goodbye') this.goodbye = message
    if (message.type === 'snapshot' || message.type === 'delta') {
      const { type, revision } = message
      this.view.apply(message)
      if (remembers) this.updates.push({ type, revision, bytes })
      if (answers) this.enforce(revision)
      onUpdate?.({ type, revision, bytes })
    }
    if (remembers) this.#said.push(message)
    this.#notify()
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }
}
