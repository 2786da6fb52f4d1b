/** One question over a TLS connection of our own, and its answer: what is asked outside of the WebSocket. */
import { request } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { DaemonAddress } from './daemon-url.ts'

export interface PostAnswer {
  readonly status: number
  /** The body, as it came. */
  readonly json: string
}

export interface PostOptions {
  readonly daemon: DaemonAddress
  readonly path: string
  readonly body: object
  readonly signal?: AbortSignal
}

export const postTimeoutMs = 15_000
/** Two certificates and an id, or an error in words. */
const maxAnswerBytes = 64 * 1024

/** @throws {Error} that says why there is no answer */
export function postJson(socket: TLSSocket, { daemon, path, body, signal }: PostOptions): Promise<PostAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>()
  const fail = (reason: string) => reject(new Error(reason))
  const text = JSON.stringify(body)
  const sent = request({
    createConnection: () => socket,
    method: 'POST',
    host: daemon.host,
    port: daemon.port,
    path,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), connection: 'close' },
    signal: AbortSignal.any([AbortSignal.timeout(postTimeoutMs), ...(signal === undefined ? [] : [signal])]),
  })
  sent.on('error', error => fail(`the connection broke before the answer came (${error.message})`))
  sent.on('response', response => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxAnswerBytes) {
        fail('its answer is too large for a daemon’s')
        sent.destroy()
      } else chunks.push(chunk)
    })
    response.on('error', error => fail(`the connection broke within the answer (${error.message})`))
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, json: Buffer.concat(chunks).toString('utf8') }),
    )
  })
  sent.end(text)
  return promise
}
