/**
 * What is done about one instance's traffic, second by second. Pure: the clocks are passed in, and the state is all that
 * is remembered. Only the monotonic clock and samples decide; the wall clock labels.
 *
 *   normal ── over a threshold ──► over ── for long enough ──► cleaning, or uncleaned where cancelled ◄──► black-hole
 *      ▲                            │                              │
 *      └──────── one second under ──┘◄── under for the hold time ──┘
 */
import type { Defence } from '../../rules-compiler/scrub/defence.ts'
import type { DdosEvent, DdosPhase, DdosStatus } from '../../wire/ddos.ts'
import { learn, propose } from './baseline.ts'
import { carryOutOrder, endBlackHole, isAboveBlackHole, turnBlackHole } from './black-hole.ts'
import { adaptCleaning, cleaningOf } from './cleaning.ts'
import { addToTally, asTold, describeTypes, isWorthTelling, newTally, peakWorthNoting, wireEvent } from './event.ts'
import { describeRate, exceededMeasures, thresholdRate } from './rates.ts'
import { gatherEvidence, recognise, recognisedTypes } from './recognise.ts'
import { wireSample } from './sample.ts'
import {
  describeThresholds,
  endEvent,
  type Input,
  isLongEnough,
  type Moment,
  type Notice,
  note,
  type Second,
  start,
  wireBlackHole,
} from './second.ts'
import { sourceConcentration, topSources, watchSources } from './sources.ts'
import { type InstanceState, type Now, timeText } from './state.ts'

export type { Input, Notice } from './second.ts'
export { type InstanceState, type Now, newState, resume } from './state.ts'

export interface Decided {
  readonly state: InstanceState
  /** What should stand now; equal to the last one as long as nothing is to change. */
  readonly defence: Defence
  /** In a new version, to be told; null where nothing worth telling has changed. */
  readonly event: DdosEvent | null
  readonly status: DdosStatus
  readonly notices: readonly Notice[]
}

/** A break between two samples that is longer ends seconds in a row, and counts for no more of the hold time. */
const mostGapMs = 5000
/** So many seconds of samples may be a little less by the clock, and another second is not waited for because of that. */
const jitterMs = 50

type Step = (state: InstanceState, second: Second) => InstanceState

const steps: readonly Step[] = [
  followThresholds,
  takeSample,
  startEvent,
  carryOutOrder,
  turnBlackHole,
  recogniseTypes,
  notePeak,
  finishEvent,
  turnPhase,
  clean,
]

export function decide(state: InstanceState, input: Input): Decided {
  const { sample, instance, now } = input
  const limit = instance.thresholds && thresholdRate(instance.thresholds)
  const exceeded = sample && limit ? exceededMeasures(sample.offered, limit) : []
  const second: Second = { ...input, time: timeText(now.wallMs), notices: [], limit, exceeded }
  const stepped = steps.reduce((so, step) => step(so, second), state)
  const { state: told, event } = tell(stepped, now)
  const next = { ...told, now }
  return { state: next, defence: defenceOf(next), event, status: statusOf(next, input), notices: second.notices }
}

/**
 * Ends what is under way of an instance that the host has no more; its state is of no use afterwards.
 * @returns event  null where there is nothing to be told
 */
export function withdraw(state: InstanceState, now: Now): Pick<Decided, 'event' | 'notices'> {
  const moment: Moment = { now, time: timeText(now.wallMs), notices: [] }
  const lifted = endBlackHole(state, moment, 'The black hole ended: the instance is no longer on this host')
  const { ended } = endEvent(lifted, moment, 'withdrawn', 'The instance is no longer on this host')
  return { event: ended, notices: moment.notices }
}

/** Limits follow at once; the time under the old thresholds says nothing about the new ones. */
function followThresholds(state: InstanceState, second: Second): InstanceState {
  const { event, blackHole } = state
  const { thresholds } = second.instance
  if (event === null) return state
  if (thresholds === null) {
    const goesOn = blackHole === null || blackHole.isManual
    return goesOn ? state : endBlackHole(state, second, 'The black hole ended: the thresholds were withdrawn')
  }
  const { bpsMbit, pps } = thresholds
  if (bpsMbit === event.thresholds?.bpsMbit && pps === event.thresholds.pps) return state
  const followed = { ...state, underMs: 0, event: { ...event, thresholds: { bpsMbit, pps } } }
  return note(followed, second, 'thresholds', `The thresholds are now ${describeThresholds(thresholds)}`)
}

/** Counts time over and under, which passes with samples alone. */
function takeSample(state: InstanceState, second: Second): InstanceState {
  const { sample, now, limit, exceeded, sources } = second
  const event = state.event && {
    ...state.event,
    sources: watchSources(state.event.sources, sources, sample?.amounts.offered.packets ?? 0),
  }
  if (sample === null) {
    const isBroken = state.sampledAtMs !== null && now.monotonicMs - state.sampledAtMs > mostGapMs
    return { ...state, event, ...(isBroken ? { overMs: 0, aboveBlackHoleMs: 0, tally: null } : {}) }
  }
  const takenWallMs = now.wallMs - (now.monotonicMs - sample.takenAtMs)
  const time = timeText(takenWallMs)
  const beganMs = sample.takenAtMs - sample.intervalMs
  const goesOn = state.sampledAtMs !== null && beganMs - state.sampledAtMs <= mostGapMs
  const isOver = exceeded.length > 0
  const inRow = (holds: boolean, rowMs: number) => (holds ? (goesOn ? rowMs : 0) + sample.intervalMs : 0)
  const isUnder = limit !== null && !isOver
  const tallied = state.tally !== null && goesOn ? state.tally : newTally(timeText(takenWallMs - sample.intervalMs))
  return {
    ...state,
    overMs: inRow(isOver, state.overMs),
    aboveBlackHoleMs: inRow(isAboveBlackHole(sample, second), state.aboveBlackHoleMs),
    underMs: isUnder ? state.underMs + Math.min(sample.intervalMs, mostGapMs) : 0,
    sampledAtMs: sample.takenAtMs,
    sample: wireSample(sample, time),
    event: event && { ...event, tally: addToTally(event.tally, sample, exceeded, time) },
    tally: event === null && isOver ? addToTally(tallied, sample, exceeded, time) : null,
    baseline: event === null && !isOver ? learn(state.baseline, sample) : state.baseline,
  }
}

function startEvent(state: InstanceState, second: Second): InstanceState {
  const { tally } = state
  if (state.event !== null || tally === null || !isLongEnough(state.overMs, second)) return state
  return start(state, second, tally)
}

function recogniseTypes(state: InstanceState, second: Second): InstanceState {
  const { event, baseline } = state
  const { sample, limit, exceeded } = second
  if (event === null || sample === null || limit === null || exceeded.length === 0) return state
  const { usual } = baseline
  const recognition = recognise(state.recognition, sample, {
    limit,
    usual,
    isFirst: event.version === 0,
    isChecked: state.phase === 'cleaning' && state.cleaning?.dropSessionless === true,
  })
  const types = recognisedTypes(recognition)
  const concentration = sourceConcentration(event.sources)
  const evidence = gatherEvidence(event.evidence, types, sample, { limit, usual, concentration })
  const recognised = { ...state, recognition, event: { ...event, evidence } }
  const message = describeTypes(recognisedTypes(state.recognition), types)
  return message === '' ? recognised : note(recognised, second, 'types', message)
}

function notePeak(state: InstanceState, second: Second): InstanceState {
  const peak = state.event && peakWorthNoting(state.event)
  if (state.event === null || peak === null) return state
  const noted = { ...state, event: { ...state.event, notedPeak: peak } }
  return note(noted, second, 'peak', `The peak is now ${describeRate(peak)}`)
}

function finishEvent(state: InstanceState, second: Second): InstanceState {
  const { event, blackHole, underMs } = state
  const { holdSeconds } = second.ir
  if (event === null || blackHole !== null) return state
  if (second.limit === null) {
    return event.thresholds === null
      ? endEvent(state, second, 'subsided', 'The black hole is over')
      : endEvent(state, second, 'withdrawn', 'The thresholds were withdrawn')
  }
  if (underMs < holdSeconds * 1000 - jitterMs) return state
  return endEvent(state, second, 'subsided', `The traffic has stayed under both thresholds for ${holdSeconds} s`)
}

function turnPhase(state: InstanceState, second: Second): InstanceState {
  const phase = phaseOf(state, second)
  if (phase === state.phase && state.since !== '') return state
  const turned = { ...state, phase, since: second.time }
  if (phase === 'uncleaned') return note(turned, second, phase, 'Scrubbing is cancelled: nothing is cleaned')
  if (phase === 'cleaning') return note(turned, second, phase, cleaningAfter[state.phase] ?? 'Cleaning began')
  return turned
}

const cleaningAfter: Readonly<Partial<Record<DdosPhase, string>>> = {
  uncleaned: 'Scrubbing was resumed',
  'black-hole': 'Cleaning goes on after the black hole',
}

function phaseOf({ event, blackHole, overMs }: InstanceState, { instance }: Second): DdosPhase {
  if (event === null) return overMs > 0 ? 'over' : 'normal'
  if (blackHole !== null) return 'black-hole'
  return instance.scrubbing === 'cancelled' ? 'uncleaned' : 'cleaning'
}

function clean(state: InstanceState, { limit, sample, now }: Second): InstanceState {
  if (state.phase !== 'cleaning' || limit === null) return state
  const { recognition, baseline, event } = state
  const heaviest = event?.sources?.heaviest ?? null
  const input = { limit, usual: baseline.usual, recognition, sample, heaviest, nowMs: now.monotonicMs }
  return { ...state, cleaning: adaptCleaning(state.cleaning, input) }
}

/** One version at a time: an end goes first. */
function tell(state: InstanceState, { monotonicMs }: Now): { state: InstanceState; event: DdosEvent | null } {
  if (state.ended !== null) return { state: { ...state, ended: null }, event: state.ended }
  const { event, instanceId, phase } = state
  if (event === null || !isWorthTelling(event, monotonicMs)) return { state, event: null }
  const told = asTold(event, monotonicMs)
  return {
    state: { ...state, event: told },
    event: wireEvent(told, { instanceId, phase: phase as DdosEvent['phase'], end: null }),
  }
}

function defenceOf({ phase, cleaning, blackHole }: InstanceState): Defence {
  if (phase === 'black-hole' && blackHole !== null) {
    return { kind: 'black-hole', remainingSeconds: blackHole.remainingSeconds }
  }
  return phase === 'cleaning' && cleaning !== null ? { kind: 'clean', ...cleaningOf(cleaning) } : { kind: 'none' }
}

function statusOf(state: InstanceState, { instance, proposalAfterSeconds }: Input): DdosStatus {
  const { event, phase } = state
  return {
    instanceId: state.instanceId,
    phase,
    since: state.since,
    eventId: event?.id ?? null,
    attackTypes: recognisedTypes(state.recognition),
    sample: state.sample,
    topSources: phase === 'cleaning' || phase === 'black-hole' ? topSources(event?.sources ?? null) : [],
    proposal: propose(state.baseline, instance.maximum, proposalAfterSeconds),
    blackHole: wireBlackHole(state),
    orderId: state.orderId,
  }
}
