/** Answers to what is no HTTP request, or one that never became whole: the same document as every other refusal. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { ApiError } from '../errors.ts'
import { problemContentType, problemDocument } from './problem.ts'

/** The handler of a server's `clientError`: the connection is of no use after it. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) socket.write(problemText(refusalOf(error.code)))
  socket.destroySoon()
}

function refusalOf(code: string | undefined): ApiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError(408, 'InvalidRequest', 'Cannot read the request: it did not become whole in time')
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError(431, 'RequestTooLarge', 'Cannot read the request: expected at most 16 KiB of headers')
    default:
      return new ApiError(400, 'InvalidRequest', 'Cannot read the request: expected HTTP/1.1')
  }
}

function problemText(error: ApiError): string {
  const problem = problemDocument(error, randomUUID())
  const body = JSON.stringify(problem)
  return [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    `Content-Type: ${problemContentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
