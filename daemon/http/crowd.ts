/**
 * Room for connections of the API. Who has shown no token or signature yet is a stranger; where there is no room left, a
 * newcomer takes the place of the oldest stranger of the source that has most of them. So nobody who holds connections
 * open, however many, keeps others out.
 */
import type { Socket } from 'node:net'
import { sourceKey } from '../throttle.ts'

/** What a TLS socket and the socket below it agree on. */
type Ends = Pick<Socket, 'remoteAddress' | 'remotePort'>

export class Crowd {
  readonly #most: number
  /** Strangers by source, each source's by remote address and port in the order they came. */
  readonly #strangers = new Map<string, Map<string, Socket>>()
  #count = 0

  /** @param most  connections at once, known ones too */
  constructor(most: number) {
    this.#most = most
  }

  /** A new connection, which is ended where all others are of clients that are known. */
  meet(socket: Socket): void {
    const { remoteAddress } = socket
    // Of a Unix socket, which its file's mode guards; or gone before it was met.
    if (remoteAddress === undefined) return
    if (this.#count >= this.#most && !this.#makeRoom()) {
      socket.destroy()
      return
    }
    const [source, key] = [sourceKey(remoteAddress), keyOf(socket)]
    const strangers = this.#strangers.get(source) ?? new Map<string, Socket>()
    this.#strangers.set(source, strangers.set(key, socket))
    this.#count += 1
    socket.once('close', () => {
      if (strangers.get(key) === socket) this.#forget(source, key)
      this.#count -= 1
    })
  }

  /** Its client has shown who it is. */
  know(ends: Ends): void {
    if (ends.remoteAddress !== undefined) this.#forget(sourceKey(ends.remoteAddress), keyOf(ends))
  }

  #forget(source: string, key: string): void {
    const strangers = this.#strangers.get(source)
    strangers?.delete(key)
    if (strangers?.size === 0) this.#strangers.delete(source)
  }

  #makeRoom(): boolean {
    let [most, largest] = [0, '']
    for (const [source, { size }] of this.#strangers) if (size > most) [most, largest] = [size, source]
    const [oldest] = this.#strangers.get(largest) ?? []
    if (oldest === undefined) return false
    const [key, socket] = oldest
    this.#forget(largest, key)
    socket.destroy()
    return true
  }
}

function keyOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`
}
