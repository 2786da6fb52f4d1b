/** What the kernel's counters say of the time between two readings. */
import {
  type ScrubStep,
  scrubSteps,
  type TrafficAmount,
  type TrafficRate,
  type TrafficType,
  trafficTypes,
} from '../../rules-compiler/model/traffic.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import { droppedCounter, offeredCounter } from '../../rules-compiler/scrub/names.ts'
import type { DdosSample } from '../../wire/ddos.ts'
import { addAmounts, noAmount, rateOf, roundRate } from './rates.ts'

export interface Reading {
  /** CLOCK_MONOTONIC. */
  readonly takenAtMs: number
  /** By the counters' names (rules-compiler/scrub/names.ts), since each was made. */
  readonly counters: ReadonlyMap<string, TrafficAmount>
}

/** Inbound traffic of one instance between two readings. `offered` is what passed and what was dropped, no more or less. */
export interface Sample extends SampleOf<TrafficRate> {
  readonly instanceId: string
  readonly takenAtMs: number
  readonly intervalMs: number
  /** Of the whole interval. */
  readonly amounts: SampleOf<TrafficAmount>
}

interface SampleOf<Value> {
  /** In scope, before anything was dropped. */
  readonly offered: Value
  /** Of that, what scrubbing let through. */
  readonly passed: Value
  /** In scope or not. */
  readonly all: Value
  /** Offered, by type. */
  readonly byType: Readonly<Record<TrafficType, Value>>
  readonly dropped: Readonly<Record<ScrubStep, Value>>
}

/**
 * Of each instance whose counters tell: by instance id. The rates are those of the true time between the readings,
 * however late the second is. An instance is left out where one of its counters was made anew meanwhile, was not there
 * before or is there no longer, since what it would show is a spike or a fall that never was.
 * @param previous  null for none
 * @returns nothing if `current` was not taken after `previous`
 */
export function sampleInstances(ir: ScrubIr, previous: Reading | null, current: Reading): ReadonlyMap<string, Sample> {
  const samples = new Map<string, Sample>()
  if (previous === null || !(current.takenAtMs > previous.takenAtMs)) return samples
  for (const instance of ir.instances) {
    const sample = sampleInstance(instance, previous, current)
    if (sample !== null) samples.set(instance.id, sample)
  }
  return samples
}

function sampleInstance(instance: ScrubInstance, previous: Reading, current: Reading): Sample | null {
  const offered = offeredAmounts(instance, previous, current)
  const dropped = droppedAmounts(instance.id, previous, current)
  if (offered === null || dropped === null) return null
  const amounts = sumUp(offered, dropped)
  const intervalMs = current.takenAtMs - previous.takenAtMs
  const rate = (amount: TrafficAmount) => rateOf(amount, intervalMs)
  return {
    instanceId: instance.id,
    takenAtMs: current.takenAtMs,
    intervalMs,
    offered: rate(amounts.offered),
    passed: rate(amounts.passed),
    all: rate(amounts.all),
    byType: recordOf(trafficTypes, type => rate(amounts.byType[type])),
    dropped: recordOf(scrubSteps, step => rate(amounts.dropped[step])),
    amounts,
  }
}

const offeredKinds = [...trafficTypes, 'out-of-scope'] as const
type Offered = Readonly<Record<(typeof offeredKinds)[number], TrafficAmount>>

/** @returns null where an ENI's counters do not tell, and where no ENI has any */
function offeredAmounts(instance: ScrubInstance, previous: Reading, current: Reading): Offered | null {
  const enis: Offered[] = []
  for (const eni of instance.enis) {
    const names = offeredKinds.map(kind => offeredCounter(eni.id, kind))
    // Not measured, now or before: its device is not there.
    if (names.every(name => !previous.counters.has(name) && !current.counters.has(name))) continue
    const increases = names.map(name => increase(previous.counters.get(name), current.counters.get(name)))
    if (increases.includes(null)) return null
    enis.push(recordOf(offeredKinds, kind => increases[offeredKinds.indexOf(kind)]!))
  }
  return enis.length === 0 ? null : recordOf(offeredKinds, kind => addAmounts(enis.map(eni => eni[kind])))
}

/** Counters of drops come and go with what drops; one that is new has counted from zero within the interval. */
function droppedAmounts(
  instanceId: string,
  previous: Reading,
  current: Reading,
): Readonly<Record<ScrubStep, TrafficAmount>> | null {
  const dropped = recordOf(scrubSteps, step => {
    const name = droppedCounter(instanceId, step)
    const now = current.counters.get(name)
    return now === undefined ? noAmount : increase(previous.counters.get(name) ?? noAmount, now)
  })
  return Object.values(dropped).includes(null) ? null : (dropped as Record<ScrubStep, TrafficAmount>)
}

function increase(before: TrafficAmount | undefined, now: TrafficAmount | undefined): TrafficAmount | null {
  if (before === undefined || now === undefined) return null
  const grown = { packets: now.packets - before.packets, bytes: now.bytes - before.bytes }
  return grown.packets < 0 || grown.bytes < 0 ? null : grown
}

function sumUp(
  counted: Offered,
  droppedAsCounted: Readonly<Record<ScrubStep, TrafficAmount>>,
): SampleOf<TrafficAmount> {
  const { 'out-of-scope': outOfScope, ...byType } = counted
  const offered = addAmounts(Object.values(byType))
  const dropped = within(offered, droppedAsCounted)
  const lost = addAmounts(Object.values(dropped))
  return {
    offered,
    passed: { packets: offered.packets - lost.packets, bytes: offered.bytes - lost.bytes },
    all: addAmounts([offered, outOfScope]),
    byType,
    dropped,
  }
}

/**
 * A listing reads one counter after the other while packets go on, so drops may be some packets ahead of what was
 * offered. What is too much is taken from the last steps.
 */
function within(offered: TrafficAmount, dropped: Readonly<Record<ScrubStep, TrafficAmount>>) {
  const { packets, bytes } = offered
  const left = { packets, bytes }
  return recordOf(scrubSteps, step => {
    const kept = {
      packets: Math.min(dropped[step].packets, left.packets),
      bytes: Math.min(dropped[step].bytes, left.bytes),
    }
    left.packets -= kept.packets
    left.bytes -= kept.bytes
    return kept
  })
}

/** As others are told of it, in whole packets and bits a second. */
export function wireSample(sample: Sample, time: string): DdosSample {
  return {
    instanceId: sample.instanceId,
    time,
    intervalSeconds: sample.intervalMs / 1000,
    offered: roundRate(sample.offered),
    passed: roundRate(sample.passed),
    all: roundRate(sample.all),
    byType: withoutZeros(sample.byType),
    dropped: withoutZeros(sample.dropped),
  }
}

function withoutZeros<Key extends string>(rates: Readonly<Record<Key, TrafficRate>>) {
  const rounded = Object.entries<TrafficRate>(rates).map(([key, rate]) => [key, roundRate(rate)] as const)
  const seen = rounded.filter(([, rate]) => rate.packetsPerSecond > 0 || rate.bitsPerSecond > 0)
  return Object.fromEntries(seen) as Partial<Record<Key, TrafficRate>>
}

function recordOf<Key extends string, Value>(keys: readonly Key[], value: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map(key => [key, value(key)])) as Record<Key, Value>
}
