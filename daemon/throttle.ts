/** So many a time for each key, in bounded memory. */
export interface ThrottleOptions {
  /** At once. */
  readonly burst: number
  readonly perSecond: number
  /** Seconds from any beginning; never goes back. */
  readonly now?: () => number
  /** Keys remembered; the ones used longest ago are forgotten, and have all again. */
  readonly maxKeys?: number
}

interface Bucket {
  left: number
  at: number
}

export class Throttle {
  readonly #options: Required<ThrottleOptions>
  /** In the order they were used last. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: ThrottleOptions) {
    this.#options = { now: () => performance.now() / 1000, maxKeys: 10_000, ...options }
  }

  /** Seconds until there is one again; 0 where there is one now. */
  wait(key: string): number {
    const { left } = this.#bucket(key)
    return left >= 1 ? 0 : (1 - left) / this.#options.perSecond
  }

  /** @returns whether there was one */
  take(key: string): boolean {
    const bucket = this.#use(key)
    if (bucket.left < 1) return false
    bucket.left -= 1
    return true
  }

  /** For what was done already, also where there was not so much. @returns seconds until none is owed */
  spend(key: string, amount: number): number {
    const bucket = this.#use(key)
    bucket.left -= amount
    return Math.max(0, -bucket.left / this.#options.perSecond)
  }

  #use(key: string): Bucket {
    const bucket = this.#bucket(key)
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#options.maxKeys) break
      this.#buckets.delete(oldest)
    }
    return bucket
  }

  #bucket(key: string): Bucket {
    const { burst, perSecond, now } = this.#options
    const at = now()
    const known = this.#buckets.get(key)
    if (known === undefined) return { left: burst, at }
    known.left = Math.min(burst, known.left + (at - known.at) * perSecond)
    known.at = at
    return known
  }
}

/** One customer has a /64 of IPv6 addresses to choose from, and one of IPv4. */
export function sourceKey(address: string): string {
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (ipv4 !== undefined || !address.includes(':')) return ipv4 ?? address
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  return [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':')
}
