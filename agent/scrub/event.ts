/** What is kept of an attack while it goes on, and how it is told. */
import {
  type FloodType,
  type ScrubStep,
  scrubSteps,
  type TrafficAmount,
  type TrafficRate,
} from '../../rules-compiler/model/traffic.ts'
import type { DdosChange, DdosEndReason, DdosEvent, DdosEvidence, DdosThresholds } from '../../wire/ddos.ts'
import { addAmounts, type Measure, measures, noAmount, noRate, roundRate } from './rates.ts'
import type { Sample } from './sample.ts'
import { topSources, type WatchedSources } from './sources.ts'

/** What was counted since the first second over. */
export interface Tally {
  readonly startTime: string
  /** Measures that were exceeded. */
  readonly exceeded: readonly Measure[]
  readonly peak: DdosEvent['peak']
  readonly offered: TrafficAmount
  readonly passed: TrafficAmount
  readonly dropped: Readonly<Partial<Record<ScrubStep, TrafficAmount>>>
}

/** JSON; times in milliseconds are monotonic. */
export interface OngoingEvent {
  readonly id: string
  /** Of what was told last; 0 before that. */
  readonly version: number
  readonly trigger: DdosEvent['trigger']
  readonly thresholds: DdosThresholds | null
  readonly beganAtMs: number
  readonly tally: Tally
  readonly evidence: readonly DdosEvidence[]
  readonly sources: WatchedSources | null
  readonly blackHoles: number
  readonly changes: readonly DdosChange[]
  /** Changes that were not told yet. */
  readonly hasNews: boolean
  readonly toldAtMs: number
  /** Packets offered, as told last. */
  readonly toldPackets: number
  /** The last one that was worth a change of its own. */
  readonly notedPeak: TrafficRate
}

const mostChanges = 100
/** Mere totals are told no more often; of a long event so that they lag behind by a twentieth of it, or a minute. */
const tellAfterMs = { least: 5000, most: 60_000, partOfEvent: 1 / 20 } as const
/** A peak that is so many times the one noted before is a change. */
const worthNoting = 2

export function newTally(startTime: string): Tally {
  return {
    startTime,
    exceeded: [],
    peak: { ...noRate, time: startTime },
    offered: noAmount,
    passed: noAmount,
    dropped: {},
  }
}

/** @param exceeded  measures in which the sample is above the thresholds */
export function addToTally(tally: Tally, sample: Sample, exceeded: readonly Measure[], time: string): Tally {
  const { amounts } = sample
  const offered = roundRate(sample.offered)
  const { packetsPerSecond, bitsPerSecond } = tally.peak
  const isHigher = offered.packetsPerSecond > packetsPerSecond || offered.bitsPerSecond > bitsPerSecond
  const steps = scrubSteps.filter(step => tally.dropped[step] !== undefined || amounts.dropped[step].packets > 0)
  return {
    startTime: tally.startTime,
    exceeded: [...tally.exceeded, ...exceeded.filter(measure => !tally.exceeded.includes(measure))],
    peak: {
      packetsPerSecond: Math.max(packetsPerSecond, offered.packetsPerSecond),
      bitsPerSecond: Math.max(bitsPerSecond, offered.bitsPerSecond),
      time: isHigher ? time : tally.peak.time,
    },
    offered: addAmounts([tally.offered, amounts.offered]),
    passed: addAmounts([tally.passed, amounts.passed]),
    dropped: Object.fromEntries(
      steps.map(step => [step, addAmounts([tally.dropped[step] ?? noAmount, amounts.dropped[step]])]),
    ),
  }
}

function triggerOf({ exceeded }: Tally): DdosEvent['trigger'] {
  if (exceeded.length === 0) return 'manual'
  return exceeded.length === 2 ? 'both' : exceeded[0] === 'bitsPerSecond' ? 'bps' : 'pps'
}

export interface BeginEvent {
  readonly id: string
  readonly tally: Tally
  readonly thresholds: DdosThresholds | null
  readonly nowMs: number
}

export function beginEvent({ id, tally, thresholds, nowMs }: BeginEvent): OngoingEvent {
  return {
    id,
    version: 0,
    trigger: triggerOf(tally),
    thresholds,
    beganAtMs: nowMs,
    tally,
    evidence: [],
    sources: null,
    blackHoles: 0,
    changes: [],
    hasNews: true,
    toldAtMs: nowMs,
    toldPackets: 0,
    notedPeak: rateOnly(tally.peak),
  }
}

/** Of many the first and the last are kept, half of each. */
export function withChange(event: OngoingEvent, change: DdosChange): OngoingEvent {
  const all = [...event.changes, change]
  const changes = all.length > mostChanges ? [...all.slice(0, mostChanges / 2), ...all.slice(-mostChanges / 2)] : all
  return { ...event, changes, hasNews: true }
}

/** @returns null where the peak is not much above the one noted before */
export function peakWorthNoting({ notedPeak, tally: { peak } }: OngoingEvent): TrafficRate | null {
  return measures.some(measure => peak[measure] > worthNoting * notedPeak[measure]) ? rateOnly(peak) : null
}

function rateOnly({ packetsPerSecond, bitsPerSecond }: TrafficRate): TrafficRate {
  return { packetsPerSecond, bitsPerSecond }
}

export function isWorthTelling(event: OngoingEvent, nowMs: number): boolean {
  if (event.hasNews) return true
  const { least, most, partOfEvent } = tellAfterMs
  const waitMs = Math.min(most, Math.max(least, (nowMs - event.beganAtMs) * partOfEvent))
  return event.tally.offered.packets !== event.toldPackets && nowMs - event.toldAtMs >= waitMs
}

/** The next version. */
export function asTold(event: OngoingEvent, nowMs: number): OngoingEvent {
  const { version, tally } = event
  return { ...event, version: version + 1, hasNews: false, toldAtMs: nowMs, toldPackets: tally.offered.packets }
}

export interface Standing {
  readonly instanceId: string
  readonly phase: DdosEvent['phase']
  readonly end: { readonly time: string; readonly reason: DdosEndReason } | null
}

/** In the version it has. */
export function wireEvent(event: OngoingEvent, { instanceId, phase, end }: Standing): DdosEvent {
  const { tally } = event
  return {
    id: event.id,
    version: event.version,
    instanceId,
    phase,
    trigger: event.trigger,
    startTime: tally.startTime,
    endTime: end?.time ?? null,
    endReason: end?.reason ?? null,
    thresholds: event.thresholds,
    peak: tally.peak,
    offered: tally.offered,
    passed: tally.passed,
    dropped: tally.dropped,
    attackTypes: event.evidence,
    topSources: topSources(event.sources),
    blackHoles: event.blackHoles,
    changes: event.changes,
  }
}

export function describeTypes(before: readonly FloodType[], now: readonly FloodType[]): string {
  const added = now.filter(type => !before.includes(type))
  const gone = before.filter(type => !now.includes(type))
  return [
    ...(added.length > 0 ? [`Recognised: ${added.join(', ')}`] : []),
    ...(gone.length > 0 ? [`No longer stands out: ${gone.join(', ')}`] : []),
  ].join('. ')
}
