/** Samples, readings and settings of traffic scrubbing, for tests. */
import { addAmounts, rateOf } from '../../agent/scrub/rates.ts'
import type { Sample } from '../../agent/scrub/sample.ts'
import {
  type ScrubStep,
  scrubSteps,
  type TrafficAmount,
  type TrafficType,
  trafficTypes,
} from '../../rules-compiler/model/traffic.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'

export function makeScrubInstance(given: Partial<ScrubInstance> = {}): ScrubInstance {
  return {
    id: 'i-1',
    instanceType: 'ecs.g5.large',
    enis: [{ id: 'eni-1', device: 'eth0', placement: 'host' }],
    maximum: { maxBpsMbit: 1000, maxPps: 300_000 },
    thresholds: { bpsMbit: 1000, pps: 300_000, source: 'type' },
    scrubbing: 'on',
    order: null,
    ...given,
  }
}

export function makeScrubIr(given: Partial<ScrubIr> = {}): ScrubIr {
  return {
    instances: [makeScrubInstance()],
    trafficScope: 'internet',
    allowList: [],
    controlConnections: [],
    secondsOver: 1,
    holdSeconds: 60,
    blackHoleMbit: 5000,
    blackHoleHoldSeconds: 1800,
    mostBlackHoleHoldSeconds: 86_400,
    ...given,
  }
}

/** Packets a second, of 100 bytes; or packets and bits a second. */
export type Load = number | readonly [packetsPerSecond: number, bitsPerSecond: number]

export interface SampleOptions {
  readonly dropped?: Partial<Record<ScrubStep, Load>>
  readonly takenAtMs?: number
  readonly intervalMs?: number
}

/** Of `i-1`. */
export function makeSample(loads: Partial<Record<TrafficType, Load>>, options: SampleOptions = {}): Sample {
  const { takenAtMs = 1000, intervalMs = 1000 } = options
  const amount = (load: Load = 0): TrafficAmount => {
    const [packets, bits] = typeof load === 'number' ? [load, load * 800] : load
    return { packets: (packets * intervalMs) / 1000, bytes: (bits * intervalMs) / 8000 }
  }
  const byType = Object.fromEntries(trafficTypes.map(type => [type, amount(loads[type])]))
  const dropped = Object.fromEntries(scrubSteps.map(step => [step, amount(options.dropped?.[step])]))
  const offered = addAmounts(Object.values(byType))
  const lost = addAmounts(Object.values(dropped))
  const passed = { packets: offered.packets - lost.packets, bytes: offered.bytes - lost.bytes }
  const amounts = { offered, passed, all: offered, byType, dropped } as Sample['amounts']
  const rates = <Key extends string>(of: Readonly<Record<Key, TrafficAmount>>) =>
    Object.fromEntries(Object.entries<TrafficAmount>(of).map(([key, each]) => [key, rateOf(each, intervalMs)]))
  return {
    instanceId: 'i-1',
    takenAtMs,
    intervalMs,
    offered: rateOf(offered, intervalMs),
    passed: rateOf(passed, intervalMs),
    all: rateOf(offered, intervalMs),
    byType: rates(byType) as Sample['byType'],
    dropped: rates(dropped) as Sample['dropped'],
    amounts,
  }
}
