/** Requests to one daemon over connections that are kept: plain HTTP, or TLS with a CA or a certificate we were told of. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TLSSocket } from 'node:tls'
import { UnreachableError } from './errors.ts'

export interface Endpoint {
  readonly url: URL
  readonly token: string | null
  /** PEM of the CA that signed the daemon's certificate; null for those the system knows. */
  readonly ca: string | null
  /** SHA-256 of the daemon's own certificate, in hex without colons: the only one that is accepted then. */
  readonly fingerprint: string | null
}

export interface Exchange {
  readonly method: string
  /** With query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Readable
  /** Of silence, after which the daemon is given up. */
  readonly timeoutMs: number
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly stream: IncomingMessage
}

/** Larger than any answer that is not a file. */
const maxTextBytes = 256 * 1024 * 1024

export class Connection {
  readonly #endpoint: Endpoint
  readonly #agent: HttpAgent | HttpsAgent

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint
    this.#agent = isTls(endpoint)
      ? new HttpsAgent({ keepAlive: true, ...tlsOptions(endpoint) })
      : new HttpAgent({ keepAlive: true })
  }

  get url(): URL {
    return this.#endpoint.url
  }

  /**
   * Sends a request; resolves with the head of the answer, whatever its status.
   * @throws {UnreachableError} where there is no answer
   */
  async send(exchange: Exchange): Promise<Reply> {
    const { url, token, fingerprint } = this.#endpoint
    const { method, path, headers = {}, body, timeoutMs } = exchange
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    let connected = false
    const outgoing = (isTls(this.#endpoint) ? httpsRequest : httpRequest)({
      ...placeOf(url, path),
      method,
      agent: this.#agent,
      headers: {
        accept: 'application/json',
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(typeof body === 'string' && { 'content-length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
    })
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new SilenceError(timeoutMs)))
    outgoing.on('socket', socket => {
      const begin = () => {
        connected = true
        // Before a byte of the request is written: the token is for the daemon that was named, for nobody else.
        if (fingerprint !== null && socket instanceof TLSSocket && fingerprintOf(socket) !== fingerprint) {
          connected = false
          outgoing.destroy(new OtherCertificateError(fingerprintOf(socket)))
        } else {
          send()
        }
      }
      if (socket.connecting) socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', begin)
      else begin()
    })
    const send = () => {
      if (body === undefined || typeof body === 'string') outgoing.end(body)
      else pipeline(body, outgoing).catch(error => outgoing.destroy(error))
    }
    outgoing.on('response', stream => {
      resolve({ status: stream.statusCode ?? 0, headers: stream.headers, stream })
    })
    outgoing.on('error', error => reject(this.#unreachable(error, connected)))
    return promise
  }

  /** The whole answer as text. @throws {UnreachableError} where it breaks off */
  async text({ stream }: Reply): Promise<string> {
    try {
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > maxTextBytes) throw new RangeError(`expected an answer of at most ${maxTextBytes} bytes`)
        chunks.push(chunk)
      }
      return Buffer.concat(chunks).toString('utf8')
    } catch (error) {
      throw this.#unreachable(error as Error, true)
    }
  }

  /** The answer as it comes; ends with it, and without an error when the signal aborts. @throws {UnreachableError} where it breaks off */
  async *chunks({ stream }: Reply, signal: AbortSignal): AsyncGenerator<Buffer> {
    const end = () => stream.destroy()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk
    } catch (error) {
      if (!signal.aborted) throw this.#unreachable(error as Error, true)
    } finally {
      signal.removeEventListener('abort', end)
      stream.destroy()
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #unreachable(error: Error, connected: boolean): UnreachableError {
    const { code = '' } = error as NodeJS.ErrnoException
    const place = placeText(this.#endpoint.url)
    const known = faults.find(({ codes }) => codes.test(code))
    const why = known?.why ?? error.message
    const advice = known?.advice ?? adviceOnOthers(error)
    const isTlsMeant = /^(ECONNRESET|EPIPE)$/.test(code) && this.#endpoint.url.protocol === 'http:'
    const lines = [`Cannot reach the daemon at ${place}: ${why}`, ...(advice === null ? [] : [advice])]
    if (isTlsMeant) lines.push('Where it has a certificate, the URL is https://.')
    return new UnreachableError(connected ? 'broken' : 'not-sent', lines, error)
  }
}

/** Of a request: a path of the API, behind the path of the URL where a proxy gives the daemon one. */
function placeOf(url: URL, path: string) {
  if (url.protocol === 'unix:') return { socketPath: url.pathname, path }
  const { hostname, port } = url
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port !== '' && { port }),
    path: url.pathname.replace(/\/$/, '') + path,
  }
}

/** For people. */
export function placeText(url: URL): string {
  return url.protocol === 'unix:' ? url.href : `${url.origin}${url.pathname.replace(/\/$/, '')}`
}

class SilenceError extends Error {
  constructor(timeoutMs: number) {
    super(`it has said nothing for ${Math.round(timeoutMs / 1000)} s`)
  }
}

class OtherCertificateError extends Error {
  constructor(seen: string) {
    super(`its certificate has the fingerprint ${seen}, not the expected one`)
  }
}

const checkContext = '"ringwall context show" shows the address.'

const faults: readonly { readonly codes: RegExp; readonly why: string; readonly advice: string | null }[] = [
  {
    codes: /^ECONNREFUSED$/,
    why: 'nothing listens there',
    advice: `Start the daemon there with "ringwall daemon". ${checkContext}`,
  },
  {
    codes: /^(ENOENT|EACCES)$/,
    why: 'there is no such socket, or it is not for you',
    advice: 'Is the daemon running, with --listen unix:PATH? Only its owner may use the socket.',
  },
  { codes: /^(ENOTFOUND|EAI_AGAIN)$/, why: 'there is no address for this name', advice: checkContext },
  { codes: /^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, why: 'no way leads there', advice: checkContext },
  { codes: /^(ECONNRESET|EPIPE)$/, why: 'the connection broke', advice: 'The daemon’s log may say why.' },
  { codes: /^CERT_HAS_EXPIRED$/, why: 'its certificate is over', advice: 'Give the daemon a new one.' },
  {
    codes: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    why: 'its certificate is for another name',
    advice: `Use a name that the certificate has. ${checkContext}`,
  },
  {
    codes: /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_\w+|CERT_UNTRUSTED)$/,
    why: 'its certificate is of no CA that is known here',
    advice:
      'Name the CA, or the certificate itself: ringwall context add NAME --url URL --ca FILE, or --fingerprint SHA256',
  },
  {
    codes: /^(ERR_SSL_\w+|EPROTO)$/,
    why: 'it does not speak TLS, or none that is accepted here',
    advice: 'Is the URL http:// rather than https://?',
  },
  {
    codes: /^HPE_\w+$/,
    why: 'it does not answer in HTTP',
    advice: 'Is the URL https:// rather than http://? The address of the agents is another one.',
  },
]

function adviceOnOthers(error: Error): string | null {
  if (error instanceof OtherCertificateError) {
    return 'If the daemon has a new certificate, tell the context: ringwall context add NAME --url URL --fingerprint SHA256; on its own host: systemctl reload ringwalld'
  }
  return error instanceof SilenceError ? 'Is the daemon overloaded, or is there a firewall on the way?' : null
}

function isTls({ url }: Endpoint): boolean {
  return url.protocol === 'https:'
}

/** A certificate that is known by its fingerprint needs no CA and no name. */
function tlsOptions({ ca, fingerprint }: Endpoint) {
  return {
    minVersion: 'TLSv1.2' as const,
    ...(ca !== null && { ca }),
    // A resumed session might come without a certificate to compare.
    ...(fingerprint !== null && { rejectUnauthorized: false, maxCachedSessions: 0 }),
  }
}

function fingerprintOf(socket: TLSSocket): string {
  const { fingerprint256 = '' } = socket.getPeerCertificate()
  return fingerprint256.replaceAll(':', '').toLowerCase()
}
