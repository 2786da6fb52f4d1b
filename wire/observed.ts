/**
 * What an agent tells its daemon of observed ENIs: what their rules would have dropped. Times are ISO 8601 as
 * `Date.toISOString` writes them, by the agent's clock.
 */
import type { Direction } from '../rules-compiler/model/policy.ts'

/** At most this often; each report is whole and replaces the one before. */
export const observedReportMs = 10_000

/** Why a packet would have been dropped. */
export const observedCauses = ['rule', 'default', 'smtp', 'source-guard', 'invalid'] as const
export type ObservedCause = (typeof observedCauses)[number]

/** What would have decided. */
export interface ObservedReason {
  readonly direction: Direction
  readonly cause: ObservedCause
  /** Of the cause `rule`; left out otherwise, and where the rule is not known any more. */
  readonly ruleId?: string
  /** The group the rule stands in. */
  readonly securityGroupId?: string
}

/** From the kernel's counters, so that no packet is missing. A reason that would have dropped nothing is left out. */
export interface ObservedCount extends ObservedReason {
  readonly packets: number
}

/** From a sample of packets (`settings.logging.perSecond`), so that `packets` is what was seen of it, not all there was. */
export interface ObservedFlow extends ObservedReason {
  /** The far side, canonical. */
  readonly peer: string
  /** As in logs: `tcp`, `udp`, `icmp`, `icmpv6`, or a number. */
  readonly protocol: string
  /** The destination's; left out for protocols without. */
  readonly port?: number
  readonly icmpType?: number
  readonly icmpCode?: number
  readonly packets: number
  readonly firstTime: string
  readonly lastTime: string
}

export interface ObservedEni {
  readonly eniId: string
  /** Since when it is observed, and everything here counted. */
  readonly since: string
  /** The most packets first. */
  readonly counts: readonly ObservedCount[]
  /** The most packets first. */
  readonly flows: readonly ObservedFlow[]
  /** How many more there were, as far as the agent knows. */
  readonly flowsLeftOut: number
  /** Sessions there are now that are only let through, and end when the ENI is enforced; null where that is not known. */
  readonly liveSessions: number | null
}

/** What one report holds at most. A host of all that, with ids as long as they get, stays within `maxToDaemonBytes`. */
export const observedLimits = { enis: 512, counts: 2000, flows: 1000, countsOfEni: 1000, flowsOfEni: 100 } as const

/**
 * A report cut down to the limits: of each ENI what is most, and every ENI gets its share before one gets more.
 * @param enis  those beyond the limit are left out
 */
export function withinObservedLimits(enis: readonly ObservedEni[]): ObservedEni[] {
  const told = enis.slice(0, observedLimits.enis)
  const counts = shares(
    told.map(eni => Math.min(eni.counts.length, observedLimits.countsOfEni)),
    observedLimits.counts,
  )
  const flows = shares(
    told.map(eni => Math.min(eni.flows.length, observedLimits.flowsOfEni)),
    observedLimits.flows,
  )
  return told.map((eni, index) => ({
    ...eni,
    counts: eni.counts.slice(0, counts[index]),
    flows: eni.flows.slice(0, flows[index]),
    flowsLeftOut: eni.flowsLeftOut + eni.flows.length - flows[index]!,
  }))
}

/** What each gets of so many: all that it wants where that is less than an even share, and otherwise an even share of the rest. */
function shares(wanted: readonly number[], all: number): number[] {
  const given = wanted.map(() => 0)
  let left = all
  const byWant = wanted.map((want, index) => ({ want, index })).sort((a, b) => a.want - b.want)
  for (const [place, { want, index }] of byWant.entries()) {
    given[index] = Math.min(want, Math.floor(left / (byWant.length - place)))
    left -= given[index]
  }
  return given
}
