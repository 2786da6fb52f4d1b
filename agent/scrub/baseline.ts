/** What is usual of an instance's traffic: learned in seconds under the thresholds, kept over restarts. */
import type { InstanceTypeThresholds } from '../../rules-compiler/model/instance-types.ts'
import { type TrafficRate, type TrafficType, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import type { DdosThresholds } from '../../wire/ddos.ts'
import { eachMeasure, type Measure, noRate } from './rates.ts'
import type { Sample } from './sample.ts'

export interface Baseline {
  /** How many it was learned from. */
  readonly seconds: number
  readonly usual: Usual
  readonly sketches: Readonly<Record<Measure, Sketch>>
}

/** Arrivals a second, averaged over some minutes; all zero before the first. */
export type Usual = Readonly<Record<TrafficType, TrafficRate>>

/**
 * How many seconds were at which rate: pairs of a bin and the seconds in it, by rising bin. A bin is an eighth of an
 * octave wide, so there are a few hundred at most, and what is read from it is 9 % too high at most. Old seconds fade.
 */
export type Sketch = readonly (readonly [bin: number, seconds: number])[]

const averagedSeconds = 600
const binsPerOctave = 8
/** After a day without their like, seconds count for a third. */
const fadeSeconds = 24 * 3600
const faded = 1e-4

export const noBaseline: Baseline = {
  seconds: 0,
  usual: Object.fromEntries(trafficTypes.map(type => [type, noRate])) as Record<TrafficType, TrafficRate>,
  sketches: { packetsPerSecond: [], bitsPerSecond: [] },
}

export function learn(baseline: Baseline, sample: Sample): Baseline {
  const seconds = sample.intervalMs / 1000
  const known = baseline.seconds + seconds
  // The plain average of what there is, as long as there is little.
  const weight = Math.min(1, seconds / Math.min(known, averagedSeconds))
  const average = (type: TrafficType) =>
    eachMeasure(measure => {
      const usual = baseline.usual[type][measure]
      return usual + (sample.byType[type][measure] - usual) * weight
    })
  const sketch = (measure: Measure) => addTo(baseline.sketches[measure], sample.offered[measure], seconds)
  return {
    seconds: known,
    usual: Object.fromEntries(trafficTypes.map(type => [type, average(type)])) as Record<TrafficType, TrafficRate>,
    sketches: { packetsPerSecond: sketch('packetsPerSecond'), bitsPerSecond: sketch('bitsPerSecond') },
  }
}

function addTo(sketch: Sketch, rate: number, seconds: number): Sketch {
  const kept = Math.exp(-seconds / fadeSeconds)
  const bins = new Map(sketch.map(([bin, weight]) => [bin, weight * kept]))
  const bin = rate < 1 ? 0 : 1 + Math.floor(Math.log2(rate) * binsPerOctave)
  bins.set(bin, (bins.get(bin) ?? 0) + seconds)
  return [...bins].filter(([, weight]) => weight > faded).sort(([a], [b]) => a - b)
}

/** The rate that all but `share` of the seconds stayed under or at, up to the width of a bin too high; 0 for none. */
export function quantile(sketch: Sketch, share: number): number {
  const most = sketch.reduce((sum, [, weight]) => sum + weight, 0) * share
  let sum = 0
  for (const [bin, weight] of sketch) {
    sum += weight
    if (sum >= most) return bin === 0 ? 0 : 2 ** (bin / binsPerOctave)
  }
  return 0
}

/** Before that a quiet hour would be taken for the whole day. */
export const proposalAfterSeconds = 3600
/** A threshold below would be exceeded by one download or one health check. */
const leastProposed: DdosThresholds = { bpsMbit: 10, pps: 2000 }

/**
 * Twice what all but one second in a thousand stayed under; never above the maximum.
 * @returns null where less than `afterSeconds` were seen
 */
export function propose(
  { seconds, sketches }: Baseline,
  maximum: InstanceTypeThresholds | null,
  afterSeconds = proposalAfterSeconds,
): DdosThresholds | null {
  if (seconds === 0 || seconds < afterSeconds) return null
  const twice = (measure: Measure) => 2 * quantile(sketches[measure], 0.999)
  const bpsMbit = Math.max(leastProposed.bpsMbit, Math.ceil(twice('bitsPerSecond') / 1e6))
  const pps = Math.max(leastProposed.pps, Math.ceil(twice('packetsPerSecond')))
  return {
    bpsMbit: Math.min(bpsMbit, maximum?.maxBpsMbit ?? bpsMbit),
    pps: Math.min(pps, maximum?.maxPps ?? pps),
  }
}
