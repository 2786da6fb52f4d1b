/** Whether anybody is left who wants the answer. */
import type { FastifyReply } from 'fastify'

/**
 * Aborts when the client's connection is gone, and when it has its answer. Fastify's own `request.signal` follows the
 * request, of which nothing is heard any more once its body was read.
 */
export function goneSignal({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController()
  if (raw.destroyed) gone.abort()
  else raw.once('close', () => gone.abort())
  return gone.signal
}
