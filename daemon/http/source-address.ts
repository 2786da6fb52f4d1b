/** Where a request came from, as the audit log and policies name it. */
import type { FastifyRequest } from 'fastify'

/** What stands for the address of a client that came by a Unix socket. */
export const localSocket = 'local socket'

export function sourceAddressOf({ ip }: FastifyRequest): string {
  return ip ?? localSocket
}
