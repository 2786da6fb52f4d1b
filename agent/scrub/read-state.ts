/** The shape of a state on disk: what another version wrote, or a torn file, must not bring the agent down. */
import { laneTypes, scrubSteps, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import { type DdosSample, ddosPhases } from '../../wire/ddos.ts'
import { count, listOf, number, objectOf, oneOf, orNull, type Reader, refuse, text, truth } from '../link/shape.ts'
import type { Baseline, Sketch, Usual } from './baseline.ts'
import type { CleaningState } from './cleaning.ts'
import type { OngoingEvent, Tally } from './event.ts'
import { measures } from './rates.ts'
import {
  amount,
  change,
  droppedAmounts,
  evidence,
  peak,
  rate,
  readDdosEvent,
  someOf,
  thresholds,
  trigger,
} from './read-event.ts'
import { type Recognition, signs } from './recognise.ts'
import type { WatchedSource, WatchedSources } from './sources.ts'
import type { BlackHole, InstanceState, Now } from './state.ts'

/** Of every key. */
function eachOf<Key extends string, Value>(keys: readonly Key[], reader: Reader<Value>): Reader<Record<Key, Value>> {
  const readers = Object.fromEntries(keys.map(key => [key, reader]))
  return objectOf(readers as never) as Reader<object> as Reader<Record<Key, Value>>
}

const readSample = objectOf<DdosSample>({
  instanceId: text,
  time: text,
  intervalSeconds: number,
  offered: rate,
  passed: rate,
  all: rate,
  byType: someOf(trafficTypes, rate),
  dropped: someOf(scrubSteps, rate),
})

const readTally = objectOf<Tally>({
  startTime: text,
  exceeded: listOf(oneOf(measures)),
  peak,
  offered: amount,
  passed: amount,
  dropped: droppedAmounts,
})

const readAccumulated = objectOf<WatchedSource['heavy']>({ packets: number, bytes: number, last: amount })
const readWatched = objectOf<WatchedSources>({
  offeredPackets: number,
  readAtMs: number,
  heaviest: orNull(rate),
  sources: listOf(objectOf<WatchedSource>({ address: text, heavy: readAccumulated, sampled: readAccumulated })),
})

const readEvent = objectOf<OngoingEvent>({
  id: text,
  version: count,
  trigger,
  thresholds: orNull(thresholds),
  beganAtMs: number,
  tally: readTally,
  evidence: listOf(evidence),
  sources: orNull(readWatched),
  blackHoles: count,
  changes: listOf(change),
  hasNews: truth,
  toldAtMs: number,
  toldPackets: number,
  notedPeak: rate,
})

const readRecognition = objectOf<Recognition>({ signs: listOf(oneOf(signs)), againstMs: someOf(signs, number) })
const readCleaning = objectOf<CleaningState>({
  total: rate,
  lanes: someOf(laneTypes, rate),
  lanesAtMs: number,
  rest: rate,
  halvings: count,
  connectionHalvings: count,
  halvedAtMs: number,
  limitConnections: truth,
  dropSessionless: truth,
})

const readBin: Reader<Sketch[number]> = value => {
  const pair = listOf(number)(value)
  return pair.length === 2 ? (pair as unknown as Sketch[number]) : refuse('a bin and the seconds in it')
}
const readBaseline = objectOf<Baseline>({
  seconds: number,
  usual: eachOf(trafficTypes, rate) as Reader<Usual>,
  sketches: eachOf(measures, listOf(readBin)),
})

export const readState = objectOf<InstanceState>({
  instanceId: text,
  phase: oneOf(ddosPhases),
  since: text,
  overMs: number,
  aboveBlackHoleMs: number,
  underMs: number,
  sampledAtMs: orNull(number),
  sample: orNull(readSample),
  tally: orNull(readTally),
  event: orNull(readEvent),
  ended: orNull(readDdosEvent),
  recognition: readRecognition,
  cleaning: orNull(readCleaning),
  blackHole: orNull(
    objectOf<BlackHole>({
      endsAtMs: number,
      endTime: text,
      holdSeconds: number,
      isManual: truth,
      remainingSeconds: number,
    }),
  ),
  blackHoleEndsMs: listOf(number),
  liftedUntilMs: orNull(number),
  baseline: readBaseline,
  orderId: orNull(text),
  now: orNull(objectOf<Now>({ monotonicMs: number, wallMs: number })),
})
