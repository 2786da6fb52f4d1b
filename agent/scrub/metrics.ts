/**
 * What traffic scrubbing tells Prometheus. Rates are those of the last second; totals are summed up from the samples, so
 * that they never fall when the kernel's counters are made anew. Series are written at a scrape, not every second.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { scrubSteps, type TrafficAmount, type TrafficRate, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import type { ScrubInstance, ScrubThresholds } from '../../rules-compiler/scrub/ir.ts'
import { type DdosPhase, type DdosStatus, ddosPhases } from '../../wire/ddos.ts'
import { addAmounts, thresholdRate } from './rates.ts'
import type { Sample } from './sample.ts'

export type ScrubMetrics = ReturnType<typeof createScrubMetrics>

interface Series {
  /** Null where the last second could not be measured. */
  rates: { readonly offered: TrafficRate; readonly passed: TrafficRate } | null
  thresholds: ScrubThresholds | null
  phase: DdosPhase
  /** By type, `out-of-scope` too. */
  readonly inbound: Map<string, TrafficAmount>
  readonly dropped: Map<string, TrafficAmount>
  events: number
  blackHoles: number
}

type Labels = Readonly<Record<string, string>>
type Read = (series: Series) => readonly (readonly [Labels, number])[]

/** Several ticks wait for one listing that takes this long. */
const secondsBuckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]

export function createScrubMetrics(registry: Registry) {
  const registers = [registry]
  const all = new Map<string, Series>()

  /** @param read  what to write of one instance's series, each value with its further labels */
  function writer(name: string, help: string, read: Read, labels: readonly string[]) {
    return {
      name,
      help,
      labelNames: ['instance_id', ...labels],
      registers,
      collect(this: Pick<Gauge<string>, 'reset' | 'inc'>) {
        this.reset()
        for (const [instance_id, series] of all)
          for (const [more, value] of read(series)) this.inc({ instance_id, ...more }, value)
      },
    }
  }
  const addGauge = (name: string, help: string, read: Read, labels: readonly string[] = []) =>
    new Gauge(writer(name, help, read, labels))
  const addTotal = (name: string, help: string, read: Read, labels: readonly string[] = []) =>
    new Counter(writer(name, help, read, labels))

  for (const [unit, measure] of [
    ['bits', 'bitsPerSecond'],
    ['packets', 'packetsPerSecond'],
  ] as const) {
    addGauge(
      `ringwall_agent_ddos_offered_${unit}_per_second`,
      `Inbound ${unit} a second in scope, before anything is dropped. A rise above the threshold sets off scrubbing.`,
      ({ rates }) => (rates === null ? [] : [[{}, rates.offered[measure]]]),
    )
    addGauge(
      `ringwall_agent_ddos_passed_${unit}_per_second`,
      `Inbound ${unit} a second in scope that scrubbing lets through. A rise above the threshold means that nothing is cleaned, or not yet.`,
      ({ rates }) => (rates === null ? [] : [[{}, rates.passed[measure]]]),
    )
    addGauge(
      `ringwall_agent_ddos_threshold_${unit}_per_second`,
      `Inbound ${unit} a second above which an instance is cleaned; without a series it never is. A rise means that it was set higher.`,
      ({ thresholds }) => (thresholds === null ? [] : [[{}, thresholdRate(thresholds)[measure]]]),
    )
  }
  addGauge(
    'ringwall_agent_ddos_phase',
    'How an instance stands: 1 for its phase, 0 for the others. A rise of any but "normal" is an attack, or traffic that its thresholds have no room for.',
    series => ddosPhases.map(phase => [{ phase }, series.phase === phase ? 1 : 0]),
    ['phase'],
  )
  for (const unit of ['packets', 'bytes'] as const) {
    addTotal(
      `ringwall_agent_ddos_inbound_${unit}_total`,
      `Inbound ${unit} by type, before anything is dropped; type="out-of-scope" is never cleaned. A steep rise of one type is a flood of it, or a busy service.`,
      ({ inbound }) => [...inbound].map(([type, amount]) => [{ type }, amount[unit]]),
      ['type'],
    )
    addTotal(
      `ringwall_agent_ddos_dropped_${unit}_total`,
      `Inbound ${unit} that scrubbing dropped, by step. A rise means that it is at work; one of "packet-rate" or "bit-rate" that the flood cannot be told from the rest.`,
      ({ dropped }) => [...dropped].map(([step, amount]) => [{ step }, amount[unit]]),
      ['step'],
    )
  }
  addTotal(
    'ringwall_agent_ddos_events_total',
    'Attacks on an instance since the agent started. A rise that nobody attacked for means thresholds that are too low.',
    ({ events }) => [[{}, events]],
  )
  addTotal(
    'ringwall_agent_ddos_black_holes_total',
    'Times all inbound traffic in scope of an instance was dropped since the agent started. A rise means attacks above what the host takes, or an operator.',
    ({ blackHoles }) => [[{}, blackHoles]],
  )
  const lateTicks = new Counter({
    name: 'ringwall_agent_ddos_late_ticks_total',
    help: 'Seconds measured late or together with the next. A rise means a busy host: scrubbing begins and ends later.',
    registers,
  })
  const tableRebuilt = new Counter({
    name: 'ringwall_agent_ddos_table_rebuilt_total',
    help: 'Times the table of traffic scrubbing was missing or changed by somebody else and was put back whole. A rise means that something on the host interferes.',
    registers,
  })
  const tickDuration = new Histogram({
    name: 'ringwall_agent_ddos_tick_duration_seconds',
    help: 'Time to read the counters, decide and change the table, once a second. A rise means a slow nft, or many ENIs.',
    buckets: secondsBuckets,
    registers,
  })

  function seriesOf(instanceId: string): Series {
    const known = all.get(instanceId)
    if (known !== undefined) return known
    const made: Series = {
      rates: null,
      thresholds: null,
      phase: 'normal',
      inbound: new Map([...trafficTypes, 'out-of-scope'].map(type => [type, { packets: 0, bytes: 0 }])),
      dropped: new Map(scrubSteps.map(step => [step, { packets: 0, bytes: 0 }])),
      events: 0,
      blackHoles: 0,
    }
    all.set(instanceId, made)
    return made
  }

  return {
    lateTicks,
    tableRebuilt,
    tickDuration,

    /** Each second, whether it could be measured or not. */
    note({ id, thresholds }: ScrubInstance, { phase }: DdosStatus, sample: Sample | null): void {
      const series = seriesOf(id)
      series.rates = sample && { offered: sample.offered, passed: sample.passed }
      series.thresholds = thresholds
      series.phase = phase
      if (sample === null) return
      const { byType, all, offered, dropped } = sample.amounts
      for (const type of trafficTypes) grow(series.inbound, type, byType[type])
      grow(series.inbound, 'out-of-scope', {
        packets: all.packets - offered.packets,
        bytes: all.bytes - offered.bytes,
      })
      for (const step of scrubSteps) grow(series.dropped, step, dropped[step])
    },

    noteEvent(instanceId: string): void {
      seriesOf(instanceId).events += 1
    },

    noteBlackHole(instanceId: string): void {
      seriesOf(instanceId).blackHoles += 1
    },

    /** Their series end. */
    endOthers(instanceIds: ReadonlySet<string>): void {
      for (const id of all.keys()) if (!instanceIds.has(id)) all.delete(id)
    },
  }
}

function grow(totals: Map<string, TrafficAmount>, name: string, by: TrafficAmount): void {
  if (by.packets === 0) return
  totals.set(name, addAmounts([totals.get(name) ?? { packets: 0, bytes: 0 }, by]))
}
