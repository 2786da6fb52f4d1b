/** Connections that have not shown yet whose they are: so many from one address and in all, and not for long. */
import type { Socket } from 'node:net'
import { sourceKey } from '../throttle.ts'
import type { PushOptions } from './options.ts'

interface Stranger {
  readonly socket: Socket
  readonly source: string
  readonly sinceMs: number
}

/** What a TLS socket and the socket below it agree on. */
type Ends = Pick<Socket, 'remoteAddress' | 'remotePort'>

export class Strangers {
  readonly #options: PushOptions
  /** By remote address and port, in the order they came. */
  readonly #strangers = new Map<string, Stranger>()
  readonly #perSource = new Map<string, number>()
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
    // Gone before it was met.
    if (socket.remoteAddress === undefined) return false
    const source = sourceKey(socket.remoteAddress)
    const { maxStrangers, maxStrangersPerAddress } = this.#options
    const count = this.#perSource.get(source) ?? 0
    if (this.#strangers.size >= maxStrangers || count >= maxStrangersPerAddress) return false
    const key = keyOf(socket)
    this.#strangers.set(key, { socket, source, sinceMs: performance.now() })
    this.#perSource.set(source, count + 1)
    socket.once('close', () => this.#forget(key))
    return true
  }

  /** It has shown whose it is. */
  release(ends: Ends): void {
    this.#forget(keyOf(ends))
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { socket } of this.#strangers.values()) socket.destroy()
  }

  #forget(key: string): void {
    const stranger = this.#strangers.get(key)
    if (stranger === undefined) return
    this.#strangers.delete(key)
    const count = (this.#perSource.get(stranger.source) ?? 1) - 1
    if (count === 0) this.#perSource.delete(stranger.source)
    else this.#perSource.set(stranger.source, count)
  }

  #sweep(): void {
    const before = performance.now() - this.#options.helloTimeoutMs
    for (const [key, { socket, sinceMs }] of this.#strangers) {
      if (sinceMs > before) break
      this.#forget(key)
      this.#onTooSlow()
      socket.destroy()
    }
  }
}

function keyOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`
}
