/** Samples, readings and settings of traffic scrubbing, for tests. */
import assert from 'node:assert/strict'
import { type Decided, decide, type InstanceState, newState, resume } from '../../agent/scrub/decide.ts'
import { addAmounts, rateOf } from '../../agent/scrub/rates.ts'
import type { Sample } from '../../agent/scrub/sample.ts'
import type { SourceReading } from '../../agent/scrub/sources.ts'
import {
  type ScrubStep,
  scrubSteps,
  type TrafficAmount,
  type TrafficType,
  trafficTypes,
} from '../../rules-compiler/model/traffic.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { makeScrubIr } from './ir.ts'

/** Of a type with thresholds. */
export function makeScrubInstance(given: Partial<ScrubInstance> = {}): ScrubInstance {
  const maximum = { maxBpsMbit: 1000, maxPps: 300_000 }
  const thresholds = { bpsMbit: 1000, pps: 300_000, source: 'type' } as const
  return makeScrubIr([{ instanceType: 'ecs.g5.large', maximum, thresholds, ...given }]).instances[0]!
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
    return { packets: Math.round((packets * intervalMs) / 1000), bytes: Math.round((bits * intervalMs) / 8000) }
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

export interface TrialOptions {
  readonly ir?: Partial<ScrubIr>
  readonly instance?: Partial<ScrubInstance>
  /** What a clock on the wall says at a monotonic time. */
  readonly wallMs?: (monotonicMs: number) => number
  readonly proposalAfterSeconds?: number
}

export type Loads = Partial<Record<TrafficType, Load>>

/** An instance and the seconds it goes through, one after the other; what always holds is checked in each. */
export class Trial {
  ir: ScrubIr
  instance: ScrubInstance
  state: InstanceState = newState('i-1')
  monotonicMs = 1_000_000
  readonly wallMs: (monotonicMs: number) => number
  /** In the order they were told. */
  readonly events: DdosEvent[] = []
  readonly samples: Sample[] = []
  readonly #options: TrialOptions
  #ids = 0
  #open: string | null = null
  readonly #versions = new Map<string, number>()

  constructor(options: TrialOptions = {}) {
    this.#options = options
    this.ir = makeScrubIr([makeScrubInstance()], options.ir)
    this.instance = makeScrubInstance(options.instance)
    this.wallMs = options.wallMs ?? (monotonicMs => Date.UTC(2026, 0, 1) + monotonicMs)
  }

  /** @param loads  null for a second without a sample */
  second(loads: Loads | null, options: SampleOptions & { readonly sources?: SourceReading | null } = {}): Decided {
    const intervalMs = options.intervalMs ?? 1000
    this.monotonicMs += intervalMs
    const sample = loads && makeSample(loads, { ...options, takenAtMs: this.monotonicMs - 5, intervalMs })
    if (sample !== null) this.samples.push(sample)
    return this.decide(sample, options.sources ?? null)
  }

  seconds(count: number, loads: Loads | null, options: SampleOptions = {}): Decided {
    let decided = this.second(loads, options)
    for (let index = 1; index < count; index++) decided = this.second(loads, options)
    return decided
  }

  decide(sample: Sample | null, sources: SourceReading | null = null): Decided {
    const decided = decide(frozen(this.state), {
      ir: this.ir,
      instance: this.instance,
      sample,
      sources,
      now: this.now(),
      newId: () => `${++this.#ids}`,
      ...(this.#options.proposalAfterSeconds === undefined
        ? {}
        : { proposalAfterSeconds: this.#options.proposalAfterSeconds }),
    })
    this.#check(decided)
    this.state = decided.state
    return decided
  }

  now() {
    return { monotonicMs: this.monotonicMs, wallMs: this.wallMs(this.monotonicMs) }
  }

  /** As if the agent had been started anew. */
  restart({ sameBoot = true, awayMs = 0 } = {}): void {
    this.monotonicMs = sameBoot ? this.monotonicMs + awayMs : 5000
    const resumed = resume(JSON.parse(JSON.stringify(this.state)), { sameBoot, now: this.now() })
    assert.ok(resumed !== null, 'the state can be read again')
    this.state = resumed
  }

  #check({ state, event, defence, status }: Decided): void {
    const json = JSON.stringify(state)
    assert.deepEqual(JSON.parse(json), state, 'the state is JSON')
    assert.deepEqual(
      resume(JSON.parse(json), { sameBoot: true, now: this.now() })?.baseline,
      state.baseline,
      'the state can be read again',
    )
    assert.ok(!/null,"bitsPerSecond"|"packetsPerSecond":null/.test(json), 'no rate is NaN')
    assert.ok(json.length < 150_000, `the state is bounded, not ${json.length}`)
    assert.equal(defence.kind === 'none', ['normal', 'over', 'uncleaned'].includes(status.phase), status.phase)
    if (event === null) return
    this.events.push(event)
    assert.ok(event.version > (this.#versions.get(event.id) ?? 0), 'versions rise')
    this.#versions.set(event.id, event.version)
    assert.ok(this.#open === null || this.#open === event.id, 'one event at a time')
    this.#open = event.phase === 'ended' ? null : event.id
    assert.equal(event.endTime === null, event.phase !== 'ended')
    const dropped = addAmounts(Object.values(event.dropped))
    assert.deepEqual(addAmounts([event.passed, dropped]), event.offered, 'offered is passed and dropped')
    assert.ok(event.changes.length <= 100)
  }
}

/** So that whoever changes it fails. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const each of Object.values(value)) frozen(each)
  return Object.freeze(value)
}
