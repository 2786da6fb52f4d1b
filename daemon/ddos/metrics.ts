/** What the daemon tells Prometheus of attacks. No label value is an instance's. */
import { Gauge, type Registry } from 'prom-client'
import { counterBy } from '../../common/counter-by.ts'
import { type DdosPhase, ddosPhases, ddosTriggers } from '../../wire/ddos.ts'

export type DdosMetrics = ReturnType<typeof createDdosMetrics>

const eventWriteOutcomes = ['stored', 'old', 'refused', 'failed'] as const

export interface DdosFigures {
  readonly phases: () => ReadonlyMap<DdosPhase, number>
  readonly readers: () => number
}

/** @param figures  asked at each scrape */
export function createDdosMetrics(registry: Registry, figures: DdosFigures) {
  const registers = [registry]
  new Gauge({
    name: 'ringwall_daemon_ddos_instances',
    help: 'Instances by phase, as their agents told last. A rise of "cleaning" or "black-hole" means attacks, of "uncleaned" attacks on instances whose scrubbing is cancelled.',
    labelNames: ['phase'],
    registers,
    collect() {
      const counts = figures.phases()
      for (const phase of ddosPhases) this.set({ phase }, counts.get(phase) ?? 0)
    },
  })
  const events = counterBy({
    name: 'ringwall_daemon_ddos_events_total',
    help: 'Attacks that agents told of, by what set them off. A rise means attacks; many small ones, thresholds that are too low.',
    label: 'trigger',
    values: ddosTriggers,
    registers,
  })
  const eventWrites = counterBy({
    name: 'ringwall_daemon_ddos_event_writes_total',
    help: 'Versions of events that agents told, by outcome. A rise of "refused" means agents that tell of instances they do not serve, of "failed" that the disk refuses; they are told again.',
    label: 'outcome',
    values: eventWriteOutcomes,
    registers,
  })
  new Gauge({
    name: 'ringwall_daemon_ddos_readers',
    help: 'Clients that follow samples of traffic. A rise means that somebody watches.',
    registers,
    collect() {
      this.set(figures.readers())
    },
  })
  return { events, eventWrites }
}
