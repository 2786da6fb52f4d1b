/** Traffic in words: rates beside thresholds, and which part of it is what. */
import type { TrafficAmount, TrafficRate } from '../../rules-compiler/model/traffic.ts'
import { bitRateText, bytesText, countText, packetRateText } from '../output/units.ts'
import { count } from '../output/values.ts'

/** As the API has them. */
export interface Thresholds {
  /** In 10^6 bits a second. */
  readonly bps: number
  readonly pps: number
}

const bitsInMbit = 1_000_000

/** `812 Mbit/s, 94.1 kpps` */
export function rateText({ bitsPerSecond, packetsPerSecond }: TrafficRate): string {
  return `${bitRateText(bitsPerSecond)}, ${packetRateText(packetsPerSecond)}`
}

/** `1,234,567 packets, 812 MB` */
export function amountText({ packets, bytes }: TrafficAmount): string {
  return `${packets === 1 ? count(packets, 'packet') : `${countText(packets)} packets`}, ${bytesText(bytes)}`
}

export function thresholdsText({ bps, pps }: Thresholds): string {
  return rateText({ bitsPerSecond: bps * bitsInMbit, packetsPerSecond: pps })
}

/** How much of each threshold is used; above 1 it is exceeded. */
export function sharesOf({ bitsPerSecond, packetsPerSecond }: TrafficRate, { bps, pps }: Thresholds) {
  return { bits: bitsPerSecond / (bps * bitsInMbit), packets: packetsPerSecond / pps }
}

/** The most packets first: `syn 240 kpps, sources 21 kpps`. */
export function ratesText(rates: Readonly<Partial<Record<string, TrafficRate>>>): string {
  return largestFirst(rates, rate => rate.packetsPerSecond)
    .map(([name, rate]) => `${name} ${packetRateText(rate.packetsPerSecond)}`)
    .join(', ')
}

export function largestFirst<Value>(
  values: Readonly<Partial<Record<string, Value>>>,
  size: (value: Value) => number,
): readonly (readonly [string, Value])[] {
  const entries = Object.entries(values).filter((entry): entry is [string, Value] => entry[1] !== undefined)
  return entries.sort(([, one], [, other]) => size(other) - size(one))
}
