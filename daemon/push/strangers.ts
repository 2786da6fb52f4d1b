/** Connections that have not shown yet whose they are: so many from one address and in all, and not for long. */
import type { Socket } from 'node:net'
import { sourceKey } from '../throttle.ts'
import type { PushOptions } from './options.ts'

interface Stranger {
  readonly socket: Socket
  readonly source: string
  readonly sinceMs: number
}

/**
 * Where there is no room for more in all, whoever is new takes the place of the oldest of the source that has most, if that
 * has so many times as many: hosts behind a few addresses that all come back at once do not end each other's handshakes,
 * and whoever holds connections open from some addresses keeps no other out.
 */
const greedy = 4

/** What a TLS socket and the socket below it agree on. */
type Ends = Pick<Socket, 'remoteAddress' | 'remotePort'>

export class Strangers {
  readonly #options: PushOptions
  /** By remote address and port, in the order they came. */
  readonly #strangers = new Map<string, Stranger>()
  /** Keys of each source, in the order they came. */
  readonly #perSource = new Map<string, Set<string>>()
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
    const { size = 0 } = this.#perSource.get(source) ?? {}
    if (size >= maxStrangersPerAddress) return false
    if (this.#strangers.size >= maxStrangers && !this.#makeRoom(size + 1)) return false
    const key = keyOf(socket)
    this.#strangers.set(key, { socket, source, sinceMs: performance.now() })
    this.#perSource.set(source, (this.#perSource.get(source) ?? new Set()).add(key))
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
    const keys = this.#perSource.get(stranger.source)
    keys?.delete(key)
    if (keys?.size === 0) this.#perSource.delete(stranger.source)
  }

  /** @param size  what the source of the new one would have then */
  #makeRoom(size: number): boolean {
    let largest: ReadonlySet<string> = new Set()
    for (const keys of this.#perSource.values()) if (keys.size > largest.size) largest = keys
    const [oldest] = largest
    if (oldest === undefined || largest.size < greedy * size) return false
    const { socket } = this.#strangers.get(oldest)!
    this.#forget(oldest)
    socket.destroy()
    return true
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
