/** Bytes on a connection, and what comes back: for what no HTTP client would send. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { type FuzzAnswer, longestMs } from './oracle.ts'

export interface RawAnswers {
  /** In their order; bytes that are no answer are not among them. */
  readonly answers: readonly FuzzAnswer[]
  readonly elapsedMs: number
  /** What came that is no answer, or not all of one. */
  readonly rest: string
}

export interface RawOptions {
  /** Where the server must go on on its own account; otherwise the client's end of the connection is closed after the bytes. */
  readonly staysOpen?: boolean
  /** Bytes at a time; all at once where left out. */
  readonly pieces?: number
}

/** Less than the server gives a request to become whole: what it ends by itself then was a hang. */
const silentMs = 1.2 * longestMs

/** Sends, and collects answers until the server ends the connection, or all that could come has come. */
export async function sendRaw(port: number, bytes: Buffer | string, options: RawOptions = {}): Promise<RawAnswers> {
  const { staysOpen = false, pieces } = options
  const startedMs = performance.now()
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  socket.setTimeout(silentMs, () => socket.destroy())
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  // A server that refuses in the middle of a long request may reset.
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  const all = Buffer.from(bytes)
  const step = pieces ?? all.length
  for (let offset = 0; offset < all.length && !socket.destroyed; offset += step)
    socket.write(all.subarray(offset, offset + step))
  socket.once('end', () => socket.end())
  if (!staysOpen) socket.end()
  await closed
  const elapsedMs = performance.now() - startedMs
  return { ...parseAnswers(Buffer.concat(chunks), elapsedMs), elapsedMs }
}

function parseAnswers(received: Buffer, elapsedMs: number): { readonly answers: FuzzAnswer[]; readonly rest: string } {
  const answers: FuzzAnswer[] = []
  let left = received
  for (;;) {
    const end = left.indexOf('\r\n\r\n')
    const [head = ''] = left.subarray(0, Math.max(end, 0)).toString('latin1').split('\r\n\r\n')
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? []
    const [, length] = /^content-length: (\d+)$/im.exec(head) ?? []
    if (status === undefined || length === undefined || left.length < end + 4 + Number(length)) break
    const [, contentType = ''] = /^content-type: (.*)$/im.exec(head) ?? []
    const text = left.subarray(end + 4, end + 4 + Number(length)).toString()
    answers.push({ status: Number(status), contentType, text, elapsedMs })
    left = left.subarray(end + 4 + Number(length))
  }
  return { answers, rest: left.toString('latin1') }
}
