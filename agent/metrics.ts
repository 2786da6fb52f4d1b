/**
 * What the agent tells Prometheus. Label values are few and none is an address; each help text says what a rise means.
 * Totals that the kernel counts never fall here, though the kernel's own start again when an object is made anew.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { counterBy } from '../common/counter-by.ts'
import { addProcessMetrics } from '../common/process-metrics.ts'
import { advance, type Total } from './counters/delta.ts'
import type { KernelReading } from './counters/read.ts'
import { nftErrorKinds } from './nft/errors.ts'

export const eniStates = ['enforced', 'device-missing', 'no-group'] as const
export type EniState = (typeof eniStates)[number]

const policyLoadOutcomes = ['accepted', 'refused', 'unreadable'] as const
const resyncCauses = ['drift', 'check', 'retry'] as const

export interface MetricsOptions {
  /** Rules with a series of their own: the first by id, as text. The rest count together as rule="other". */
  readonly maxRules?: number
}

export type AgentMetrics = ReturnType<typeof createMetrics>

const defaultMaxRules = 500
/** The label value for a counter that several ENIs share because their rules are alike. */
const sharedEni = 'shared'
const otherRules = 'other'
/** 2 ms is an element more, 5 s a cold start of the largest hosts. */
const secondsBuckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

export function createMetrics({ maxRules = defaultMaxRules }: MetricsOptions = {}) {
  const registry = new Registry()
  const registers = [registry]
  addProcessMetrics(registry)

  const inForce = new Gauge({
    name: 'ringwall_agent_policy_in_force',
    help: '1 while the kernel holds the policy last accepted; 0 means that an older one is enforced, or none yet.',
    registers,
  })
  const transactions = counterBy({
    name: 'ringwall_agent_transactions_total',
    help: 'Changes of the ruleset by outcome. A rise of any but "applied" means that nft refused one and the ruleset before it stays.',
    label: 'outcome',
    values: ['applied', ...nftErrorKinds],
    registers,
  })
  const transactionDuration = new Histogram({
    name: 'ringwall_agent_transaction_duration_seconds',
    help: 'Time of one run that changed the ruleset, reading it included where that was needed. A rise means larger changes, or interval sets of other tables that nft reads each time.',
    buckets: secondsBuckets,
    registers,
  })
  const reconcileLag = new Histogram({
    name: 'ringwall_agent_reconcile_lag_seconds',
    help: 'Time from the change of a policy to its being in force. A rise means that users wait longer for their rules.',
    buckets: secondsBuckets,
    registers,
  })
  const elementsChanged = counterBy({
    name: 'ringwall_agent_elements_changed_total',
    help: 'Elements added to and deleted from sets and maps. A steep rise means that whole sets are made anew.',
    label: 'operation',
    values: ['add', 'delete'],
    registers,
  })
  const driftHealed = new Counter({
    name: 'ringwall_agent_drift_healed_total',
    help: 'Times the ruleset had been changed by somebody else and was put right. A rise means that something on the host interferes.',
    registers,
  })
  const resyncs = counterBy({
    name: 'ringwall_agent_resyncs_total',
    help: 'Times the whole table was read and compared, by cause. A rise of "drift" means that others change rules often.',
    label: 'cause',
    values: resyncCauses,
    registers,
  })
  const policyLoads = counterBy({
    name: 'ringwall_agent_policy_loads_total',
    help: 'Policies read, from the file or the daemon, by outcome. A rise of "refused" or "unreadable" means that the last good policy stays in force.',
    label: 'outcome',
    values: policyLoadOutcomes,
    registers,
  })
  const policyFaults = new Gauge({
    name: 'ringwall_agent_policy_faults',
    help: 'Faults in the policy as it is now. Above 0 it is not in force, and the log lists the faults.',
    registers,
  })
  const stampsRaised = new Counter({
    name: 'ringwall_agent_stamps_raised_total',
    help: 'Times the live sessions of an ENI and direction were marked to be judged again. A rise means changes that can take access away.',
    registers,
  })
  const enis = new Gauge({
    name: 'ringwall_agent_enis',
    help: 'ENIs of the policy by state. A rise of "device-missing" means devices that are gone, of "no-group" devices that are left alone.',
    labelNames: ['state'],
    registers,
  })
  for (const state of eniStates) enis.set({ state }, 0)

  const judgedLabels = ['eni', 'direction', 'verdict', 'reason'] as const
  const judged = {
    packets: new Counter({
      name: 'ringwall_agent_judged_packets_total',
      help: 'Packets judged, which are those that begin a session or belong to one judged again. A rise of verdict="drop" means refused traffic.',
      labelNames: judgedLabels,
      registers,
    }),
    bytes: new Counter({
      name: 'ringwall_agent_judged_bytes_total',
      help: 'Bytes of the packets judged. A rise much steeper than that of the packets means large packets without a session.',
      labelNames: judgedLabels,
      registers,
    }),
  }
  const perRule = {
    packets: new Counter({
      name: 'ringwall_agent_rule_packets_total',
      help: 'Packets that a rule decided; rule="other" counts the rules beyond those with a series of their own. A rise means that the rule is in use.',
      labelNames: ['rule'],
      registers,
    }),
    bytes: new Counter({
      name: 'ringwall_agent_rule_bytes_total',
      help: 'Bytes of the packets that a rule decided. A rise means that the rule is in use.',
      labelNames: ['rule'],
      registers,
    }),
  }

  let totals: ReadonlyMap<string, Total> = new Map()
  const judgedSeries = new SeriesKeeper(labels => {
    judged.packets.remove(labels)
    judged.bytes.remove(labels)
  })
  const ruleSeries = new SeriesKeeper(labels => {
    perRule.packets.remove(labels)
    perRule.bytes.remove(labels)
  })

  /** Takes in one reading of all the kernel's counters; series of ENIs and rules that are gone end. */
  function recordTraffic(readings: readonly KernelReading[]): void {
    const ruleIds = new Set(readings.flatMap(({ ruleId }) => (ruleId === null ? [] : [ruleId])))
    const named = new Set([...ruleIds].sort().slice(0, maxRules))
    const next = new Map<string, Total>()
    const increaseOf = (key: string, reading: number) => {
      const total = advance(totals.get(key) ?? null, reading)
      next.set(key, total)
      return total.increase
    }
    for (const { source, eniIds, direction, verdict, reason, ruleId, ...hits } of readings) {
      const eni = eniIds.length === 1 ? eniIds[0]! : sharedEni
      const judgedBy = judgedSeries.note({ eni, direction, verdict, reason })
      const rule = ruleId === null ? null : ruleSeries.note({ rule: named.has(ruleId) ? ruleId : otherRules })
      for (const unit of ['packets', 'bytes'] as const) {
        const increase = increaseOf(`${unit} ${source}`, hits[unit])
        judged[unit].inc(judgedBy, increase)
        if (rule !== null) perRule[unit].inc(rule, increase)
      }
    }
    totals = next
    judgedSeries.endOthers()
    ruleSeries.endOthers()
  }

  return {
    registry,
    inForce,
    transactions,
    transactionDuration,
    reconcileLag,
    elementsChanged,
    driftHealed,
    resyncs,
    policyLoads,
    policyFaults,
    stampsRaised,
    enis,
    recordTraffic,
  }
}

type Labels = Readonly<Record<string, string>>

/** Remembers which series were written since the last time, and ends those that were not. */
class SeriesKeeper {
  readonly #end: (labels: Labels) => void
  #live = new Map<string, Labels>()
  #written = new Map<string, Labels>()

  constructor(end: (labels: Labels) => void) {
    this.#end = end
  }

  note(labels: Labels): Labels {
    this.#written.set(Object.values(labels).join(' '), labels)
    return labels
  }

  endOthers(): void {
    for (const [key, labels] of this.#live) if (!this.#written.has(key)) this.#end(labels)
    this.#live = this.#written
    this.#written = new Map()
  }
}
