/** Joining a daemon: docs/push-protocol.md, "Enrolment". Nothing secret leaves before the daemon has proved itself. */
import { X509Certificate } from 'node:crypto'
import { connect, type TLSSocket } from 'node:tls'
import { type EnrolAnswer, type EnrolmentToken, type EnrolRequest, parseEnrolmentToken } from '../../wire/enrolment.ts'
import { enrolPath, type HostReport } from '../../wire/messages.ts'
import type { Credentials } from './credentials.ts'
import { type DaemonAddress, parseDaemonUrl } from './daemon-url.ts'
import { checkIssued, faultOf, fingerprintOf, makeKey, parseCertificate, proveKey } from './keys.ts'
import { postJson, postTimeoutMs } from './post.ts'
import { objectOf, readJsonWith, text } from './shape.ts'

export interface EnrolOptions {
  /** `https://HOST:PORT` of the daemon's listener for agents. */
  readonly url: string
  /** As `ringwall agent invite` printed it. */
  readonly token: string
  readonly report: HostReport
}

const readAnswer = objectOf<EnrolAnswer>({ agentId: text, certificate: text, caCertificate: text })
const readProblem = objectOf<{ detail?: string; title?: string; code?: string }>(
  {},
  { detail: text, title: text, code: text },
)

/**
 * Makes a key and has the daemon sign a certificate for it. The token is spent by this.
 * @throws {Error} that says why not and what to do
 */
export async function enrol({ url, token: tokenText, report }: EnrolOptions): Promise<Credentials> {
  const daemon = parseDaemonUrl(url)
  const token = parseEnrolmentToken(tokenText)
  // The text itself is not repeated: it may be a real secret with a letter missing.
  if (token === null) throw new Error('Cannot read the token: expected "rwe1." and three parts, as it was given out')
  const socket = await connectTo(daemon)
  try {
    const ca = findPinned(socket, daemon, token)
    const key = makeKey()
    const question: EnrolRequest = {
      tokenId: token.id,
      secret: token.secret,
      publicKey: key.publicKey,
      proof: proveKey(key, token.id),
      report,
      timeMs: Date.now(),
    }
    const answer = await ask(socket, daemon, question)
    const caCertificate = ca.toString()
    if (fingerprintOf(parseCertificate(answer.caCertificate) ?? ca) !== token.caFingerprint) {
      throw new Error(`Cannot join "${daemon.url}": it answered with a CA certificate that is not the token's`)
    }
    checkIssued(answer.certificate, key, caCertificate)
    return {
      daemonUrl: daemon.url,
      agentId: answer.agentId,
      privateKey: key.privateKey,
      certificate: answer.certificate,
      caCertificate,
    }
  } finally {
    socket.destroy()
  }
}

/** Whoever it is: the pin is checked on the connection that stands, before anything is sent over it. */
function connectTo(daemon: DaemonAddress): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const socket = connect({
    host: daemon.host,
    port: daemon.port,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  const fail = (reason: string, cause?: unknown) => {
    socket.destroy()
    reject(new Error(`Cannot join "${daemon.url}": ${reason}`, { cause }))
  }
  socket.setTimeout(postTimeoutMs, () => fail(`no answer within ${postTimeoutMs / 1000} s`))
  socket.once('error', (error: NodeJS.ErrnoException) => fail(reasonOf(error), error))
  socket.once('secureConnect', () => {
    socket.removeAllListeners('error')
    socket.on('error', () => {})
    resolve(socket)
  })
  return promise
}

function reasonOf(error: NodeJS.ErrnoException): string {
  const errors = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error]
  const codes = errors.map(({ code = '' }) => code)
  if (codes.includes('ECONNREFUSED'))
    return 'nobody listens there; is the daemon running, and is this its port for agents?'
  if (codes.includes('ENOTFOUND') || codes.includes('EAI_AGAIN')) return 'the name cannot be resolved'
  if (codes.includes('EHOSTUNREACH') || codes.includes('ENETUNREACH')) return 'there is no way there'
  if (codes.some(code => code.startsWith('ERR_SSL') || code === 'EPROTO' || code === 'ECONNRESET')) {
    return `whoever listens there does not speak TLS 1.3 (${error.message.trim()})`
  }
  return error.message
}

/**
 * The CA certificate that the token names, which signed the certificate of whoever is at the other end.
 * Host names are not looked at: the pin says more, and addresses change.
 * @throws {Error} if the other end is not the token's daemon
 */
function findPinned(socket: TLSSocket, daemon: DaemonAddress, token: EnrolmentToken): X509Certificate {
  const chain = presentedChain(socket)
  const [presented] = chain
  const ca = chain.find(certificate => fingerprintOf(certificate) === token.caFingerprint)
  if (presented === undefined || ca === undefined) {
    throw new Error(
      `Cannot join "${daemon.url}": whoever listens there is not the daemon that this token is for (its CA certificate is another); nothing was sent`,
    )
  }
  const fault = faultOf(presented, 'server', ca)
  if (fault !== null) {
    throw new Error(
      `Cannot join "${daemon.url}": whoever listens there is not the daemon that this token is for (its certificate is ${fault}); nothing was sent`,
    )
  }
  return ca
}

/** The certificate of the other end, then what it gave with it; the last one is its own issuer where the chain is whole. */
function presentedChain(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let next = socket.getPeerCertificate(true)
  while (next?.raw !== undefined && !chain.some(({ raw }) => raw.equals(next.raw))) {
    chain.push(new X509Certificate(next.raw))
    next = next.issuerCertificate
  }
  return chain
}

async function ask(socket: TLSSocket, daemon: DaemonAddress, question: EnrolRequest): Promise<EnrolAnswer> {
  const { status, json } = await postJson(socket, { daemon, path: enrolPath, body: question }).catch((cause: Error) => {
    throw new Error(`Cannot join "${daemon.url}": ${cause.message}`, { cause })
  })
  if (status === 201) {
    const answer = readJsonWith(readAnswer, json)
    if ('value' in answer) return answer.value
    throw new Error(`Cannot join "${daemon.url}": its answer is not what a daemon gives (${answer.fault})`)
  }
  const problem = readJsonWith(readProblem, json)
  const { detail, title, code } = 'value' in problem ? problem.value : {}
  const said = printable(detail ?? title ?? `HTTP status ${status}`)
  throw new Error(
    `Cannot join "${daemon.url}": the daemon says: ${said}${code === undefined ? '' : ` (${printable(code)})`}`,
  )
}

/** It goes to an operator's terminal. */
function printable(words: string): string {
  return words.replace(/\p{C}+/gu, ' ').slice(0, 500)
}
