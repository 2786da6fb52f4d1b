/** Arithmetic of traffic. Packets and bits never mix: each is compared with its own limit. */
import type { TrafficAmount, TrafficRate } from '../../rules-compiler/model/traffic.ts'

export const measures = ['bitsPerSecond', 'packetsPerSecond'] as const
export type Measure = (typeof measures)[number]

export const noAmount: TrafficAmount = { packets: 0, bytes: 0 }
export const noRate: TrafficRate = { packetsPerSecond: 0, bitsPerSecond: 0 }

export function addAmounts(amounts: Iterable<TrafficAmount>): TrafficAmount {
  let packets = 0
  let bytes = 0
  for (const amount of amounts) {
    packets += amount.packets
    bytes += amount.bytes
  }
  return { packets, bytes }
}

/** @param intervalMs  above 0 */
export function rateOf({ packets, bytes }: TrafficAmount, intervalMs: number): TrafficRate {
  return { packetsPerSecond: (packets * 1000) / intervalMs, bitsPerSecond: (bytes * 8 * 1000) / intervalMs }
}

export function eachMeasure(of: (measure: Measure) => number): TrafficRate {
  return { packetsPerSecond: of('packetsPerSecond'), bitsPerSecond: of('bitsPerSecond') }
}

export function addRates(rates: Iterable<TrafficRate>): TrafficRate {
  let packetsPerSecond = 0
  let bitsPerSecond = 0
  for (const rate of rates) {
    packetsPerSecond += rate.packetsPerSecond
    bitsPerSecond += rate.bitsPerSecond
  }
  return { packetsPerSecond, bitsPerSecond }
}

export function roundRate(rate: TrafficRate): TrafficRate {
  return eachMeasure(measure => Math.round(rate[measure]))
}

export function higherRate(a: TrafficRate, b: TrafficRate): TrafficRate {
  return eachMeasure(measure => Math.max(a[measure], b[measure]))
}

export function thresholdRate(thresholds: { readonly bpsMbit: number; readonly pps: number }): TrafficRate {
  return { packetsPerSecond: thresholds.pps, bitsPerSecond: thresholds.bpsMbit * 1e6 }
}

/** 0 to 1. */
export function shareOf(part: number, all: number): number {
  return all > 0 ? Math.min(1, part / all) : 0
}

/** Strictly above; in no, one or both measures. */
export function exceededMeasures(rate: TrafficRate, limit: TrafficRate): readonly Measure[] {
  return measures.filter(measure => rate[measure] > limit[measure])
}

/** For people: `1,240 Mbit/s and 310,000 packets/s`. */
export function describeRate({ bitsPerSecond, packetsPerSecond }: TrafficRate): string {
  const bits = (bitsPerSecond / 1e6).toLocaleString('en', { maximumFractionDigits: bitsPerSecond < 10e6 ? 3 : 0 })
  return `${bits} Mbit/s and ${Math.round(packetsPerSecond).toLocaleString('en')} packets/s`
}
