/**
 * Rates as nft limits.
 *
 * nft's limit is a token bucket. Of packets it holds the burst. Of bytes it holds one full second and the burst, and no
 * less can be had, so the first second of a flood passes twice the rate. Over any ten seconds that is 11/10 of it, so at
 * 0.952 of the threshold what passes stays within 5 % of it whichever ten seconds are looked at, the first ones included,
 * and below twice the threshold in any one second.
 */
import type { TrafficRate } from '../model/traffic.ts'
import type { InlineLimit } from './statements.ts'

const ofPackets = 0.98
const ofBytes = 0.952

/** What a device that joins segments (GRO) may hand over as one packet; a bucket that is smaller would never pass it. */
const largestPacketBytes = 65_536

export interface RateLimits {
  readonly packets: InlineLimit
  readonly bytes: InlineLimit
}

/** What passes stays just below the rate, as said above. */
export function closeLimits({ packetsPerSecond, bitsPerSecond }: TrafficRate): RateLimits {
  return { packets: closePacketLimit(packetsPerSecond), bytes: byteLimit((bitsPerSecond / 8) * ofBytes) }
}

/** For one source: it may have a whole second's worth at once. */
export function shareLimits({ packetsPerSecond, bitsPerSecond }: TrafficRate): RateLimits {
  return {
    packets: packetLimit(packetsPerSecond, Math.max(packetsPerSecond, 64)),
    bytes: byteLimit(bitsPerSecond / 8),
  }
}

export function connectionLimit(perSecond: number): InlineLimit {
  return packetLimit(perSecond, Math.max(perSecond, 10))
}

/** A name for the rate: two limits of one name are the same. */
export function limitText({ rate, per, burst, rate_unit }: InlineLimit): string {
  return `${rate}-${rate_unit ?? 'packets'}-a-${per}-${burst}`
}

/**
 * The burst, a tenth of a second, lets through what a device hands over at once. A small rate has ten packets, and a very
 * small one less, so that ten seconds and a burst are still within 5 %.
 */
function closePacketLimit(packetsPerSecond: number): InlineLimit {
  const tenth = Math.max(packetsPerSecond / 10, 10)
  return packetLimit(packetsPerSecond * ofPackets, Math.min(tenth, packetsPerSecond * 0.7))
}

/** By the minute where the second is too coarse: a rate is a whole number. */
function packetLimit(perSecond: number, burst: number): InlineLimit {
  const [rate, per] = perSecond < 1000 ? ([perSecond * 60, 'minute'] as const) : ([perSecond, 'second'] as const)
  return { rate: Math.max(1, Math.round(rate)), per, burst: Math.max(1, Math.round(burst)), inv: true }
}

function byteLimit(bytesPerSecond: number): InlineLimit {
  const rate = Math.max(1, Math.round(bytesPerSecond))
  return {
    rate,
    per: 'second',
    burst: Math.max(0, largestPacketBytes - rate),
    inv: true,
    rate_unit: 'bytes',
    burst_unit: 'bytes',
  }
}
