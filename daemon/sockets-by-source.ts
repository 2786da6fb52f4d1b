/** Sockets whose clients are not known yet, and which source has most of them: the one that is to make room. */
import type { Socket } from 'node:net'
import { sourceKey } from './throttle.ts'

/** What a TLS socket and the socket below it agree on. */
export type Ends = Pick<Socket, 'remoteAddress' | 'remotePort'>

export interface Met {
  /** Remote address and port as they were: a socket that closes has none any more. */
  readonly key: string
  readonly source: string
  readonly socket: Socket
  /** On performance.now()'s clock. */
  readonly sinceMs: number
}

export class SocketsBySource {
  /** By remote address and port, in the order they came. */
  readonly #met = new Map<string, Met>()
  /** Keys of each source, in the order they came. */
  readonly #bySource = new Map<string, Set<string>>()

  get size(): number {
    return this.#met.size
  }

  /** In the order they came. */
  values(): Iterable<Met> {
    return this.#met.values()
  }

  countOf(remoteAddress: string): number {
    return this.#bySource.get(sourceKey(remoteAddress))?.size ?? 0
  }

  /** Until it is forgotten or closes. @param remoteAddress  the socket's */
  add(socket: Socket, remoteAddress: string): void {
    const [source, key] = [sourceKey(remoteAddress), keyOf(socket)]
    this.#met.set(key, { key, source, socket, sinceMs: performance.now() })
    this.#bySource.set(source, (this.#bySource.get(source) ?? new Set()).add(key))
    socket.once('close', () => {
      if (this.#met.get(key)?.socket === socket) this.#forget(key)
    })
  }

  forget(ends: Ends): void {
    this.#forget(keyOf(ends))
  }

  /** Forgets and ends it. */
  end({ key, socket }: Met): void {
    this.#forget(key)
    socket.destroy()
  }

  /** Ends the oldest of the source that has most, if that has so many. @returns whether it has */
  makeRoom(atLeast: number): boolean {
    let largest: ReadonlySet<string> = new Set()
    for (const keys of this.#bySource.values()) if (keys.size > largest.size) largest = keys
    const [oldest] = largest
    if (oldest === undefined || largest.size < atLeast) return false
    this.end(this.#met.get(oldest)!)
    return true
  }

  #forget(key: string): void {
    const met = this.#met.get(key)
    if (met === undefined) return
    this.#met.delete(key)
    const keys = this.#bySource.get(met.source)
    keys?.delete(key)
    if (keys?.size === 0) this.#bySource.delete(met.source)
  }
}

function keyOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`
}
