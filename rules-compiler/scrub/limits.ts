/**
 * Rates as nft limits.
 *
 * nft's limit is a token bucket. Of packets it holds the burst. Of bytes it holds one full second and the burst, and no
 * less can be had, so the first second of a flood passes twice the rate. What is limited stays just below its rate, so
 * that no second passes twice the threshold, and ten seconds with such a first one not more than 5 % above it.
 */
import type { TrafficRate } from '../model/traffic.ts'
import type { Limit } from './statements.ts'

/** Just below, as a part of the rate. */
export const belowRate: Readonly<Record<Measure, number>> = { packets: 0.995, bytes: 0.98 }
/** What a device that joins segments (GRO) may hand over as one packet; a bucket that is smaller would never pass it. */
const largestPacketBytes = 65_536

/** Which of the two measures of a rate is meant. */
export type Measure = 'packets' | 'bytes'
export const measures: readonly Measure[] = ['packets', 'bytes']

export type LimitPair = Readonly<Record<Measure, Limit>>

/** For what is sent by many: bursts are short. */
export function closeLimits({ packetsPerSecond, bitsPerSecond }: TrafficRate, parts = belowRate): LimitPair {
  return {
    packets: packetLimit(packetsPerSecond * parts.packets, closeBurst(packetsPerSecond)),
    bytes: byteLimit((bitsPerSecond / 8) * parts.bytes, largestPacketBytes),
  }
}

export interface Share {
  /** Of the packets that are measured, of which the limits speak. */
  readonly oneIn: number
  readonly limits: LimitPair
}

/**
 * For one source: it may have a whole second's worth at once. Of a large share one packet in eight tells as much, and
 * spares the others what measuring costs, which is most where each packet is of a source not seen before. Small ones are
 * measured by every packet, because chance would say too much.
 */
export function shareOf({ packetsPerSecond, bitsPerSecond }: TrafficRate): Share {
  const oneIn = packetsPerSecond >= 2000 && bitsPerSecond >= 20_000_000 ? 8 : 1
  const packets = packetsPerSecond / oneIn
  return {
    oneIn,
    limits: {
      packets: packetLimit(packets, Math.max(packets, 64)),
      bytes: byteLimit(bitsPerSecond / 8 / oneIn, largestPacketBytes),
    },
  }
}

export function connectionLimit(perSecond: number): Limit {
  return packetLimit(perSecond, Math.max(perSecond, 10))
}

/** Part of a rate, for rules that go on while there is room; a second's worth at once, or a tenth. */
export function roomLimit(measure: Measure, rate: TrafficRate, part: number, burst: 'second' | 'tenth'): Limit {
  if (measure === 'bytes') return { ...byteLimit((rate.bitsPerSecond / 8) * part, 0), inv: false }
  const perSecond = rate.packetsPerSecond * part
  return { ...packetLimit(perSecond, burst === 'second' ? perSecond : perSecond / 10), inv: false }
}

/** A name for the rate: two limits of one name are the same. */
export function limitText({ rate, per, burst, rate_unit }: Limit): string {
  return `${rate}-${rate_unit ?? 'packets'}-a-${per}-${burst}`
}

/**
 * A tenth of a second lets through what a device hands over at once. A small rate has ten packets, and a very small one
 * less, so that ten seconds and a burst are still within 5 %.
 */
function closeBurst(packetsPerSecond: number): number {
  return Math.min(Math.max(packetsPerSecond / 10, 10), packetsPerSecond * 0.7)
}

/** By the minute where the second is too coarse: a rate is a whole number. */
function packetLimit(perSecond: number, burst: number): Limit {
  const [rate, per] = perSecond < 1000 ? ([perSecond * 60, 'minute'] as const) : ([perSecond, 'second'] as const)
  return { rate: Math.max(1, Math.round(rate)), per, burst: Math.max(1, Math.round(burst)), inv: true }
}

/** @param leastBytes  that the bucket holds; it has a second's worth anyway */
function byteLimit(bytesPerSecond: number, leastBytes: number): Limit {
  const rate = Math.max(1, Math.round(bytesPerSecond))
  const burst = Math.max(0, leastBytes - rate)
  return { rate, per: 'second', burst, inv: true, rate_unit: 'bytes', burst_unit: 'bytes' }
}
