/**
 * Room for connections of the API. Who has shown no token or signature yet is a stranger; where there is no room left, a
 * newcomer takes the place of the oldest stranger of the source that has most of them. So nobody who holds connections
 * open, however many, keeps others out.
 */
import type { Socket } from 'node:net'
import { type Ends, SocketsBySource } from '../sockets-by-source.ts'

export class Crowd {
  readonly #most: number
  readonly #strangers = new SocketsBySource()
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
    if (this.#count >= this.#most && !this.#strangers.makeRoom(1)) {
      socket.destroy()
      return
    }
    this.#strangers.add(socket, remoteAddress)
    this.#count += 1
    socket.once('close', () => {
      this.#count -= 1
    })
  }

  /** Its client has shown who it is. */
  know(ends: Ends): void {
    this.#strangers.forget(ends)
  }
}
