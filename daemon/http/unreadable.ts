/**
 * Answers to what is no HTTP request, or one that never becomes whole. Which API it was meant for cannot be known, so the
 * document is that of every other refusal with the fields of the RPC API beside: some of its clients look at nothing else.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ApiError } from '../errors.ts'
import { errorOf } from '../rpc/envelope.ts'
import { problemContentType, problemDocument } from './problem.ts'

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/**
 * Refuses in its turn: a request before it on the same connection may be under way, and a refusal in the place of its
 * answer would tell the client that what is being stored was not.
 */
export class UnreadableRequests {
  readonly #underWay = new WeakMap<Socket, Set<Exchange>>()

  constructor(server: Server) {
    server.on('request', (request, response) => this.#note({ request, response }))
  }

  /** The handler of the server's `clientError`: the connection is of no use after it. */
  refuse(error: Error & { readonly code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    const end = () => {
      if (socket.writable) socket.write(problemText(refusalOf(error.code)))
      socket.destroySoon()
    }
    const whole = [...(this.#underWay.get(socket) ?? [])].findLast(({ request }) => request.complete)
    if (whole === undefined) end()
    else whole.response.once('close', end)
  }

  #note(exchange: Exchange): void {
    const { socket } = exchange.request
    const exchanges = this.#underWay.get(socket) ?? new Set()
    this.#underWay.set(socket, exchanges.add(exchange))
    exchange.response.once('close', () => exchanges.delete(exchange))
  }
}

function refusalOf(code: string | undefined): ApiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError(408, 'InvalidRequest', 'Cannot read the request: it did not become whole in time')
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError(
        431,
        'RequestTooLarge',
        'Cannot read the request: expected at most 128 KiB, and hundreds, of headers',
      )
    default:
      return new ApiError(400, 'InvalidRequest', 'Cannot read the request: expected HTTP/1.1')
  }
}

function problemText(error: ApiError): string {
  const requestId = randomUUID()
  const problem = problemDocument(error, requestId)
  const body = JSON.stringify({ ...problem, ...errorOf(error, { requestId, host: '' }).body })
  return [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    `Content-Type: ${problemContentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
