/** Bodies as text, as they were sent or not at all. */
import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'

/**
 * @throws {ApiError} 415 for a body that is packed; 400 for one that is not UTF-8, as what spreadsheets write often is:
 *   other characters would be stored than were meant
 */
export function readBodyText({ headers }: FastifyRequest, bytes: Buffer): string {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    const message = `Cannot read the request: expected a body without Content-Encoding, and this is ${JSON.stringify(encoding)}`
    throw new ApiError(415, 'UnsupportedMediaType', message)
  }
  const text = bytes.toString('utf8')
  if (isUtf8(bytes)) return text
  const field = `line ${lineOfFault(bytes, text)}`
  const message = 'Cannot read the characters: expected UTF-8'
  throw new ApiError(400, 'InvalidParameter', `${field}: ${message}`, { errors: [{ code: 'syntax', field, message }] })
}

/** Where the bytes begin to be others than those of the text that was made of them. */
function lineOfFault(bytes: Buffer, text: string): number {
  const again = Buffer.from(text)
  let line = 1
  for (let offset = 0; offset < bytes.length && bytes[offset] === again[offset]; offset += 1) {
    if (bytes[offset] === lineFeed) line += 1
  }
  return line
}

const lineFeed = 0x0a
