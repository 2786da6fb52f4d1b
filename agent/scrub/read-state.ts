/** The shape of a state on disk: what another version wrote, or a torn file, must not bring the agent down. */
import {
  floodTypes,
  laneTypes,
  scrubSteps,
  type TrafficAmount,
  type TrafficRate,
  trafficTypes,
} from '../../rules-compiler/model/traffic.ts'
import {
  type DdosChange,
  type DdosEvent,
  type DdosEvidence,
  type DdosSample,
  type DdosSource,
  type DdosThresholds,
  ddosChanges,
  ddosPhases,
} from '../../wire/ddos.ts'
import { count, listOf, objectOf, oneOf, orNull, type Reader, refuse, text, truth } from '../link/shape.ts'
import type { Baseline, Sketch, Usual } from './baseline.ts'
import type { CleaningState } from './cleaning.ts'
import type { OngoingEvent, Tally } from './event.ts'
import { measures } from './rates.ts'
import { type Recognition, signs } from './recognise.ts'
import type { WatchedSource, WatchedSources } from './sources.ts'
import type { BlackHole, InstanceState, Now } from './state.ts'

const finite: Reader<number> = value => (Number.isFinite(value) ? (value as number) : refuse('a number'))
const positive: Reader<number> = value => {
  const number = finite(value)
  return number >= 0 ? number : refuse('a number, 0 or more')
}

const rateFields = { packetsPerSecond: positive, bitsPerSecond: positive }
const readRate = objectOf<TrafficRate>(rateFields)
const readAmount = objectOf<TrafficAmount>({ packets: positive, bytes: positive })
const readSource = objectOf<DdosSource>({ address: text, packets: positive, bytes: positive, share: positive })
const readThresholds = objectOf<DdosThresholds>({ bpsMbit: positive, pps: positive })
const readPeak = objectOf<DdosEvent['peak']>({ ...rateFields, time: text })

/** Of every key. */
function eachOf<Key extends string, Value>(keys: readonly Key[], reader: Reader<Value>) {
  const fields = Object.fromEntries(keys.map(key => [key, reader])) as { [each in Key]: Reader<Value> }
  return objectOf<Record<Key, Value>>(fields as Parameters<typeof objectOf<Record<Key, Value>>>[0])
}

/** Of the keys that are there. */
function someOf<Key extends string, Value>(keys: readonly Key[], reader: Reader<Value>) {
  const fields = Object.fromEntries(keys.map(key => [key, reader]))
  return objectOf({}, fields as never) as unknown as Reader<Partial<Record<Key, Value>>>
}

const readDropped = someOf(scrubSteps, readAmount)
const readChange = objectOf<DdosChange>({ time: text, kind: oneOf(ddosChanges), message: text })
const readEvidence = objectOf<DdosEvidence>({
  type: oneOf(floodTypes),
  share: positive,
  peak: readRate,
  usual: readRate,
  synRatio: orNull(positive),
  sourceConcentration: orNull(positive),
})

const readSample = objectOf<DdosSample>({
  instanceId: text,
  time: text,
  intervalSeconds: positive,
  offered: readRate,
  passed: readRate,
  all: readRate,
  byType: someOf(trafficTypes, readRate),
  dropped: someOf(scrubSteps, readRate),
})

const readTally = objectOf<Tally>({
  startTime: text,
  exceeded: listOf(oneOf(measures)),
  peak: readPeak,
  offered: readAmount,
  passed: readAmount,
  dropped: readDropped,
})

const readAccumulated = objectOf<WatchedSource['heavy']>({ packets: positive, bytes: positive, last: readAmount })
const readWatched = objectOf<WatchedSources>({
  offeredPackets: positive,
  readAtMs: finite,
  heaviest: orNull(readRate),
  sources: listOf(objectOf<WatchedSource>({ address: text, heavy: readAccumulated, sampled: readAccumulated })),
})

const trigger = oneOf(['bps', 'pps', 'both', 'manual'])
const readEvent = objectOf<OngoingEvent>({
  id: text,
  version: count,
  trigger,
  thresholds: orNull(readThresholds),
  tally: readTally,
  evidence: listOf(readEvidence),
  sources: orNull(readWatched),
  blackHoles: count,
  changes: listOf(readChange),
  hasNews: truth,
  toldAtMs: finite,
  toldPackets: positive,
  notedPeak: readRate,
})

const readEnded = objectOf<DdosEvent>({
  id: text,
  version: count,
  instanceId: text,
  phase: oneOf(['cleaning', 'uncleaned', 'black-hole', 'ended']),
  trigger,
  startTime: text,
  endTime: orNull(text),
  endReason: orNull(oneOf(['subsided', 'withdrawn', 'host-restarted'])),
  thresholds: orNull(readThresholds),
  peak: readPeak,
  offered: readAmount,
  passed: readAmount,
  dropped: readDropped,
  attackTypes: listOf(readEvidence),
  topSources: listOf(readSource),
  blackHoles: count,
  changes: listOf(readChange),
})

const readRecognition = objectOf<Recognition>({ signs: listOf(oneOf(signs)), againstMs: someOf(signs, positive) })
const readCleaning = objectOf<CleaningState>({
  total: readRate,
  lanes: someOf(laneTypes, readRate),
  lanesAtMs: finite,
  rest: readRate,
  halvings: count,
  connectionHalvings: count,
  halvedAtMs: finite,
  limitConnections: truth,
  dropSessionless: truth,
})

const readBin: Reader<Sketch[number]> = value => {
  const pair = listOf(positive)(value)
  return pair.length === 2 ? (pair as unknown as Sketch[number]) : refuse('a bin and the seconds in it')
}
const readBaseline = objectOf<Baseline>({
  seconds: positive,
  usual: eachOf(trafficTypes, readRate) as Reader<Usual>,
  sketches: eachOf(measures, listOf(readBin)),
})

export const readState = objectOf<InstanceState>({
  instanceId: text,
  phase: oneOf(ddosPhases),
  since: text,
  overMs: positive,
  aboveBlackHoleMs: positive,
  underMs: positive,
  sampledAtMs: orNull(finite),
  sample: orNull(readSample),
  tally: orNull(readTally),
  event: orNull(readEvent),
  ended: orNull(readEnded),
  recognition: readRecognition,
  cleaning: orNull(readCleaning),
  blackHole: orNull(
    objectOf<BlackHole>({
      endsAtMs: finite,
      endTime: text,
      holdSeconds: positive,
      isManual: truth,
      remainingSeconds: positive,
    }),
  ),
  blackHoleEndsMs: listOf(finite),
  liftedUntilMs: orNull(finite),
  baseline: readBaseline,
  orderId: orNull(text),
  now: orNull(objectOf<Now>({ monotonicMs: finite, wallMs: finite })),
})
