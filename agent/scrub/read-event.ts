/** Events as they were kept on disk, in full shape: one that is damaged must not go to a daemon, again and again. */
import { floodTypes, scrubSteps, type TrafficAmount, type TrafficRate } from '../../rules-compiler/model/traffic.ts'
import {
  type DdosChange,
  type DdosEvent,
  type DdosEvidence,
  type DdosSource,
  type DdosThresholds,
  ddosChanges,
  ddosEndReasons,
  ddosEventPhases,
  ddosTriggers,
} from '../../wire/ddos.ts'
import { count, listOf, number, objectOf, oneOf, orNull, type Reader, refuse, text } from '../link/shape.ts'

const idForm = /^ddos-[A-Za-z0-9-]{1,100}$/

/** It becomes part of a file's name. */
export const eventId: Reader<string> = value =>
  typeof value === 'string' && idForm.test(value) ? value : refuse('an id such as "ddos-…"')

const time: Reader<string> = value =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : refuse('a time')

const rateFields = { packetsPerSecond: number, bitsPerSecond: number }
export const rate = objectOf<TrafficRate>(rateFields)
export const peak = objectOf<DdosEvent['peak']>({ ...rateFields, time })
export const amount = objectOf<TrafficAmount>({ packets: number, bytes: number })
export const thresholds = objectOf<DdosThresholds>({ bpsMbit: number, pps: number })

export const evidence = objectOf<DdosEvidence>({
  type: oneOf(floodTypes),
  share: number,
  peak: rate,
  usual: rate,
  synRatio: orNull(number),
  sourceConcentration: orNull(number),
})

/** Of the keys that are there. */
export function someOf<Key extends string, Value>(
  keys: readonly Key[],
  reader: Reader<Value>,
): Reader<Partial<Record<Key, Value>>> {
  const readers = Object.fromEntries(keys.map(key => [key, reader]))
  return objectOf({}, readers as never) as Reader<object> as Reader<Partial<Record<Key, Value>>>
}

export const droppedAmounts = someOf(scrubSteps, amount)
export const change = objectOf<DdosChange>({ time, kind: oneOf(ddosChanges), message: text })
export const trigger = oneOf(ddosTriggers)

export const readDdosEvent: Reader<DdosEvent> = objectOf<DdosEvent>({
  id: eventId,
  version: count,
  instanceId: text,
  phase: oneOf(ddosEventPhases),
  trigger,
  startTime: time,
  endTime: orNull(time),
  endReason: orNull(oneOf(ddosEndReasons)),
  thresholds: orNull(thresholds),
  peak,
  offered: amount,
  passed: amount,
  dropped: droppedAmounts,
  attackTypes: listOf(evidence),
  topSources: listOf(objectOf<DdosSource>({ address: text, packets: number, bytes: number, share: number })),
  blackHoles: count,
  changes: listOf(change),
})
