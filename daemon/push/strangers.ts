/** Connections that have not shown yet whose they are: so many from one address and in all, and not for long. */
import type { Socket } from 'node:net'
import { type Ends, SocketsBySource } from '../sockets-by-source.ts'
import type { PushOptions } from './options.ts'

/**
 * Where there is no room for more in all, whoever is new takes the place of the oldest of the source that has most, if that
 * has so many times as many: hosts behind a few addresses that all come back at once do not end each other's handshakes,
 * and whoever holds connections open from some addresses keeps no other out.
 */
const greedy = 4

export class Strangers {
  readonly #options: PushOptions
  readonly #sockets = new SocketsBySource()
  readonly #onTooSlow: () => void
  readonly #timer: NodeJS.Timeout

  constructor(options: PushOptions, onTooSlow: () => void) {
    this.#options = options
    this.#onTooSlow = onTooSlow
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, options.helloTimeoutMs / 10))
    this.#timer.unref()
  }

  /** @returns false where there are too many already */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket
    // Gone before it was met.
    if (remoteAddress === undefined) return false
    const { maxStrangers, maxStrangersPerAddress } = this.#options
    const count = this.#sockets.countOf(remoteAddress)
    if (count >= maxStrangersPerAddress) return false
    if (this.#sockets.size >= maxStrangers && !this.#sockets.makeRoom(greedy * (count + 1))) return false
    this.#sockets.add(socket, remoteAddress)
    return true
  }

  /** It has shown whose it is. */
  release(ends: Ends): void {
    this.#sockets.forget(ends)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { socket } of this.#sockets.values()) socket.destroy()
  }

  #sweep(): void {
    const before = performance.now() - this.#options.helloTimeoutMs
    for (const met of this.#sockets.values()) {
      if (met.sinceMs > before) break
      this.#onTooSlow()
      this.#sockets.end(met)
    }
  }
}
