/** What the scrubber remembers of an instance from one second to the next, and over restarts. */
import type { DdosEvent, DdosPhase, DdosSample } from '../../wire/ddos.ts'
import { readWith } from '../link/shape.ts'
import { type Baseline, noBaseline } from './baseline.ts'
import type { CleaningState } from './cleaning.ts'
import { type OngoingEvent, type Tally, wireEvent, withChange } from './event.ts'
import { readState } from './read-state.ts'
import { nothingRecognised, type Recognition } from './recognise.ts'

/** JSON; times in milliseconds are CLOCK_MONOTONIC, those that are text are for people and decide nothing. */
export interface InstanceState {
  readonly instanceId: string
  readonly phase: DdosPhase
  readonly since: string
  /** Sampled time above a threshold, without a break. */
  readonly overMs: number
  /** Above the threshold of the black hole. */
  readonly aboveBlackHoleMs: number
  /** Under both thresholds. */
  readonly underMs: number
  /** When the last sample was taken; null before the first. */
  readonly sampledAtMs: number | null
  readonly sample: DdosSample | null
  /** Of the seconds over before there is an event. */
  readonly tally: Tally | null
  readonly event: OngoingEvent | null
  /** An event that ended without having been told so. */
  readonly ended: DdosEvent | null
  readonly recognition: Recognition
  readonly cleaning: CleaningState | null
  readonly blackHole: BlackHole | null
  /** When automatic black holes ended. */
  readonly blackHoleEndsMs: readonly number[]
  /** No automatic black hole before that. */
  readonly liftedUntilMs: number | null
  readonly baseline: Baseline
  /** The last one carried out. */
  readonly orderId: string | null
  /** The last time it was asked. */
  readonly now: Now | null
}

export interface Now {
  readonly monotonicMs: number
  readonly wallMs: number
}

export interface BlackHole {
  readonly endsAtMs: number
  readonly endTime: string
  readonly holdSeconds: number
  readonly isManual: boolean
  /** As the defence says it: what was left when it was ordered, so that it stays the same. */
  readonly remainingSeconds: number
}

export function newState(instanceId: string): InstanceState {
  return {
    instanceId,
    phase: 'normal',
    since: '',
    overMs: 0,
    aboveBlackHoleMs: 0,
    underMs: 0,
    sampledAtMs: null,
    sample: null,
    tally: null,
    event: null,
    ended: null,
    recognition: nothingRecognised,
    cleaning: null,
    blackHole: null,
    blackHoleEndsMs: [],
    liftedUntilMs: null,
    baseline: noBaseline,
    orderId: null,
    now: null,
  }
}

/** A text of ISO 8601, also for a wall clock that makes no sense. */
export function timeText(wallMs: number): string {
  const mostMs = 253_402_300_799_999
  return new Date(Math.min(mostMs, Math.max(0, Math.round(wallMs) || 0))).toISOString()
}

/** What was told may be newer than what was kept, and nothing may be told under a version that is taken. */
const versionsAfterRestart = 1000

/**
 * The state that was written as JSON, to be gone on with. In the same boot all goes on: the kernel has kept what it
 * was told. Another boot has lost the cleaning and the monotonic clock: an event ends, and what follows from the times of
 * earlier black holes goes by the wall clock, from which a step backwards takes nothing and one forwards forgives.
 * @param state  whatever was read from the disk
 * @returns null where it has not the shape of a state
 */
export function resume(
  state: unknown,
  { sameBoot, now }: { readonly sameBoot: boolean; readonly now: Now },
): InstanceState | null {
  const read = readWith(readState, state)
  if ('fault' in read) return null
  const kept = read.value
  const event = kept.event && { ...kept.event, version: kept.event.version + versionsAfterRestart, hasNews: true }
  if (sameBoot && kept.now !== null && kept.now.monotonicMs <= now.monotonicMs) {
    const { blackHole } = kept
    const leftMs = (blackHole?.endsAtMs ?? 0) - now.monotonicMs
    const remainingSeconds = Math.max(1, Math.ceil(leftMs / 1000))
    return {
      ...kept,
      event: event && { ...event, toldAtMs: Math.min(event.toldAtMs, now.monotonicMs) },
      blackHole: blackHole && { ...blackHole, remainingSeconds },
    }
  }
  const time = timeText(now.wallMs)
  return {
    ...newState(kept.instanceId),
    since: time,
    ended: event === null ? kept.ended : endedByRestart(kept.instanceId, event, time),
    baseline: kept.baseline,
    orderId: kept.orderId,
    blackHoleEndsMs: inThisBoot(kept, now),
  }
}

function endedByRestart(instanceId: string, event: OngoingEvent, time: string): DdosEvent {
  const message = 'The host was started anew; whether the attack goes on is not known'
  const last = withChange(event, { time, kind: 'end', message })
  return wireEvent(last, { instanceId, phase: 'ended', end: { time, reason: 'host-restarted' } })
}

/** A black hole that the restart ended has ended when the state was kept. */
function inThisBoot({ blackHoleEndsMs, blackHole, now: then }: InstanceState, now: Now): readonly number[] {
  if (then === null) return []
  const awayMs = Math.max(0, now.wallMs - then.wallMs)
  const all = blackHole === null || blackHole.isManual ? blackHoleEndsMs : [...blackHoleEndsMs, then.monotonicMs]
  return all.map(endMs => now.monotonicMs - awayMs - Math.max(0, then.monotonicMs - endMs))
}
