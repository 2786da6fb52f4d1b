/**
 * Each signed request counts once: its nonce is remembered for as long as its time would still be taken.
 *
 * Kept in memory, so a restart forgets them; what was signed before the start is therefore refused.
 */
import { ApiError } from '../errors.ts'

/** Either way, as the published API has it. */
const clockWindowMs = 15 * 60_000
/** Of one key; beyond it the key's own requests are refused, and nobody else's. */
export const usualNonces = 100_000

export class Nonces {
  /** By key; each nonce with when it may be forgotten, in the order they came. */
  readonly #seen = new Map<string, Map<string, number>>()
  readonly #startedAtMs: number
  readonly #most: number
  #forgetAgainAtMs = 0

  /**
   * @param startedAtMs  of this process; signatures tell whole seconds
   * @param most  of one key, each some hundred bytes
   */
  constructor(startedAtMs: number, most = usualNonces) {
    this.#startedAtMs = Math.floor(startedAtMs / 1000) * 1000
    this.#most = most
  }

  /**
   * To be called for good signatures alone, or others could fill it.
   * @param nowMs  milliseconds since 1970
   * @throws {ApiError} 400 for a request that is too old, too new, or was here before
   */
  take(key: string, nonce: string, signedAtMs: number, nowMs: number): void {
    if (Math.abs(nowMs - signedAtMs) > clockWindowMs) {
      const [signed, now] = [signedAtMs, nowMs].map(ms => new Date(ms).toISOString())
      const message = `Cannot take a request signed at ${signed}: expected at most 15 minutes from ${now}`
      throw new ApiError(400, 'InvalidTimeStamp.Expired', message)
    }
    if (signedAtMs < this.#startedAtMs) {
      const started = new Date(this.#startedAtMs).toISOString()
      const message = `Cannot tell whether this was answered before the start at ${started}: expected a newer request`
      throw new ApiError(400, 'InvalidTimeStamp.Expired', message)
    }
    const seen = this.#seen.get(key) ?? new Map<string, number>()
    this.#seen.set(key, seen)
    forgetOld(seen, nowMs)
    if (seen.has(nonce)) {
      throw new ApiError(400, 'SignatureNonceUsed', 'Cannot take the same request twice: expected another nonce')
    }
    if (seen.size >= this.#most) {
      throw new ApiError(400, 'Throttling.User', 'Cannot answer so many requests of one key: try again later')
    }
    seen.set(nonce, Math.max(nowMs, signedAtMs) + clockWindowMs)
  }

  /** Keys that have said nothing for a while cost nothing. Looks at all of them once a minute, however often it is called. */
  forget(nowMs: number): void {
    if (nowMs < this.#forgetAgainAtMs) return
    this.#forgetAgainAtMs = nowMs + 60_000
    for (const [key, seen] of this.#seen) {
      forgetOld(seen, nowMs)
      if (seen.size === 0) this.#seen.delete(key)
    }
  }
}

function forgetOld(seen: Map<string, number>, nowMs: number): void {
  for (const [nonce, untilMs] of seen) {
    if (untilMs > nowMs) return
    seen.delete(nonce)
  }
}
