/** Ports for who must name one before he listens there, or listens there again. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const lowest = 10_000

/**
 * A port of 127.0.0.1 where nobody listens, below those that the kernel gives to who asks for any: one of these may be
 * another process's, by a connection of its own too, as soon as nobody listens there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (firstGiven() - lowest))
    if (await isFree(port)) return port
  }
}

function firstGiven(): number {
  const [first = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number)
  if (first < 2 * lowest) throw new Error(`Ports are given from ${first} on: expected some below for tests`)
  return first
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
