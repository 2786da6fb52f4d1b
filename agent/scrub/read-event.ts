/** Events as they were kept on disk, in full shape: one that is damaged must not go to a daemon, again and again. */
import {
  floodTypes,
  type ScrubStep,
  scrubSteps,
  type TrafficAmount,
  type TrafficRate,
} from '../../rules-compiler/model/traffic.ts'
import {
  type DdosChange,
  type DdosEvent,
  type DdosEvidence,
  type DdosSource,
  type DdosThresholds,
  ddosChanges,
} from '../../wire/ddos.ts'
import { count, listOf, number, objectOf, oneOf, orNull, type Reader, refuse, text } from '../link/shape.ts'

const idForm = /^ddos-[A-Za-z0-9-]{1,100}$/

/** It becomes part of a file's name. */
export const eventId: Reader<string> = value =>
  typeof value === 'string' && idForm.test(value) ? value : refuse('an id such as "ddos-…"')

const time: Reader<string> = value =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : refuse('a time')

const rate = { packetsPerSecond: number, bitsPerSecond: number }
const amount = objectOf<TrafficAmount>({ packets: number, bytes: number })
const thresholds = objectOf<DdosThresholds>({ bpsMbit: number, pps: number })

const evidence = objectOf<DdosEvidence>({
  type: oneOf(floodTypes),
  share: number,
  peak: objectOf<TrafficRate>(rate),
  usual: objectOf<TrafficRate>(rate),
  synRatio: orNull(number),
  sourceConcentration: orNull(number),
})

export const readDdosEvent: Reader<DdosEvent> = objectOf<DdosEvent>({
  id: eventId,
  version: count,
  instanceId: text,
  phase: oneOf(['cleaning', 'uncleaned', 'black-hole', 'ended']),
  trigger: oneOf(['bps', 'pps', 'both', 'manual']),
  startTime: time,
  endTime: orNull(time),
  endReason: orNull(oneOf(['subsided', 'withdrawn', 'host-restarted'])),
  thresholds: orNull(thresholds),
  peak: objectOf<DdosEvent['peak']>({ ...rate, time }),
  offered: amount,
  passed: amount,
  dropped: objectOf<Partial<Record<ScrubStep, TrafficAmount>>>(
    {},
    Object.fromEntries(scrubSteps.map(step => [step, amount])) as Record<ScrubStep, Reader<TrafficAmount>>,
  ),
  attackTypes: listOf(evidence),
  topSources: listOf(objectOf<DdosSource>({ address: text, packets: number, bytes: number, share: number })),
  blackHoles: count,
  changes: listOf(objectOf<DdosChange>({ time, kind: oneOf(ddosChanges), message: text })),
})
