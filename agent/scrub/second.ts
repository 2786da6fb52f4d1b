/** What the steps of one second share, and an event's beginning, changes and end in it. */
import type { FloodType, TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import type { DdosChange, DdosEndReason, DdosStatus, DdosThresholds } from '../../wire/ddos.ts'
import { beginEvent, type Tally, wireEvent, withChange } from './event.ts'
import { describeRate, type Measure, thresholdRate } from './rates.ts'
import { nothingRecognised, recognisedTypes } from './recognise.ts'
import type { Sample } from './sample.ts'
import type { SourceReading } from './sources.ts'
import type { InstanceState, Now } from './state.ts'

export interface Input {
  readonly ir: ScrubIr
  readonly instance: ScrubInstance
  /** Null where none could be taken: no time passes then, for what goes by traffic. */
  readonly sample: Sample | null
  /** Null where nothing was read. */
  readonly sources: SourceReading | null
  readonly now: Now
  /** What makes the id of an event one of its own. */
  readonly newId: () => string
  /** Of an hour, if left out. */
  readonly proposalAfterSeconds?: number
}

/** A change of an event, for log, metrics and notifications: once, when it happens. */
export interface Notice extends DdosChange {
  readonly instanceId: string
  readonly eventId: string
  /** That stands after it. */
  readonly blackHole: DdosStatus['blackHole']
  readonly attackTypes: readonly FloodType[]
}

/** What is the same for all steps of one second. */
export interface Second extends Omit<Input, 'now'>, Moment {
  /** Null: measured, never scrubbed. */
  readonly limit: TrafficRate | null
  /** Measures in which the sample is above the thresholds; none without a sample. */
  readonly exceeded: readonly Measure[]
}

export interface Moment {
  readonly now: Now
  readonly time: string
  /** Those of this second so far. */
  readonly notices: Notice[]
}

/** A second is one sample, give or take half a second; a late one counts for as many as it is long. */
export function isLongEnough(rowMs: number, { ir }: Input): boolean {
  return Math.round(rowMs / 1000) >= ir.secondsOver
}

export function start(state: InstanceState, second: Second, tally: Tally): InstanceState {
  const { thresholds } = second.instance
  const id = `ddos-${second.newId()}`
  const event = beginEvent({
    id,
    tally,
    thresholds: thresholds && { bpsMbit: thresholds.bpsMbit, pps: thresholds.pps },
    nowMs: second.now.monotonicMs,
  })
  const started = { ...state, event, tally: null, underMs: 0, recognition: nothingRecognised, cleaning: null }
  const limits = thresholds === null ? '' : `; the thresholds are ${describeThresholds(thresholds)}`
  const message =
    event.trigger === 'manual' ? 'An operator ordered a black hole' : `${describeRate(tally.peak)} are offered${limits}`
  return note(started, second, 'start', message)
}

/** The last version; it is told by whoever asks next. */
export function endEvent(state: InstanceState, moment: Moment, reason: DdosEndReason, message: string): InstanceState {
  if (state.event === null) return state
  const noted = note(state, moment, 'end', message)
  const last = noted.event && { ...noted.event, version: noted.event.version + 1 }
  const end = { time: moment.time, reason }
  return {
    ...noted,
    event: null,
    ended: last && wireEvent(last, { instanceId: state.instanceId, phase: 'ended', end }),
    overMs: 0,
    underMs: 0,
    tally: null,
    recognition: nothingRecognised,
    cleaning: null,
  }
}

/** Adds a change to the event, which must be there. */
export function note(state: InstanceState, moment: Moment, kind: DdosChange['kind'], message: string): InstanceState {
  if (state.event === null) return state
  const change = { time: moment.time, kind, message }
  moment.notices.push({
    ...change,
    instanceId: state.instanceId,
    eventId: state.event.id,
    blackHole: wireBlackHole(state),
    attackTypes: recognisedTypes(state.recognition),
  })
  return { ...state, event: withChange(state.event, change) }
}

export function wireBlackHole({ blackHole }: InstanceState): DdosStatus['blackHole'] {
  if (blackHole === null) return null
  const { endTime, holdSeconds, isManual } = blackHole
  return { endTime, holdSeconds, isManual }
}

export function describeThresholds(thresholds: DdosThresholds): string {
  return describeRate(thresholdRate(thresholds))
}
