/**
 * What the rules of observed ENIs would have dropped since each was first observed: all packets by reason, from the
 * kernel's counters, and flows, from the records of its log. Pure but for its state; memory is bounded.
 */
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import {
  type ObservedCause,
  type ObservedCount,
  type ObservedEni,
  type ObservedFlow,
  type ObservedReason,
  observedCauses,
  observedLimits,
} from '../../wire/observed.ts'
import type { KernelReading } from '../counters/read.ts'
import type { LogRecord } from '../logs/record.ts'

/** An ENI's part of it, as it is on disk. */
export interface KeptEni {
  readonly eniId: string
  readonly since: string
  readonly counts: readonly ObservedCount[]
  /** The last reading of each counter, so that what the kernel counts while no agent runs is not missing. */
  readonly readings: readonly (readonly [source: string, packets: number])[]
  readonly flows: readonly ObservedFlow[]
  readonly flowsLeftOut: number
}

interface EniBook {
  readonly since: string
  readonly counts: Map<string, ObservedCount>
  /** Null until the counters have been read: what they show then was counted before. */
  readings: Map<string, number> | null
  flows: Map<string, ObservedFlow>
  flowsLeftOut: number
}

/** Kept for all ENIs together; each has a thousand at most. */
const mostFlows = 20_000
const leastFlowsOfEni = 50
const mostEarlyRecords = 1000

export class ObservedBook {
  #enis = new Map<string, EniBook>()
  #observed: ReadonlySet<string> = new Set()
  #sessions: ReadonlyMap<string, number> | null = null
  /** The kernel has a policy a moment before we hear that it has: until then nothing is known of an ENI it observes. */
  #early: LogRecord[] = []

  /** Whether any ENI is observed now. */
  get isEmpty(): boolean {
    return this.#observed.size === 0
  }

  /** The books of a former process; those that have been begun already stay. */
  resume(kept: readonly KeptEni[]): void {
    for (const { eniId, since, counts, readings, flows, flowsLeftOut } of kept.slice(0, observedLimits.enis)) {
      if (this.#enis.has(eniId)) continue
      this.#enis.set(eniId, {
        since,
        counts: new Map(counts.map(count => [reasonKey(count), count])),
        readings: new Map(readings),
        flows: new Map(flows.slice(0, observedLimits.flows).map(flow => [flowKey(flow), flow])),
        flowsLeftOut,
      })
    }
  }

  /**
   * ENIs that are enforced are forgotten. One that the policy does not have now, because its device is missing, is kept.
   * @returns whether one is observed that was not before
   */
  setPolicy(policy: PolicyIr, nowMs: number): boolean {
    const isForgotten = [...policy.enis.filter(({ isObserved }) => !isObserved), ...policy.unattachedEnis]
    for (const { id } of isForgotten) this.#enis.delete(id)
    const before = this.#observed
    this.#observed = new Set(policy.enis.flatMap(({ id, isObserved }) => (isObserved ? [id] : [])))
    const since = new Date(nowMs).toISOString()
    for (const id of this.#observed) {
      if (this.#enis.has(id)) continue
      this.#enis.set(id, { since, counts: new Map(), readings: null, flows: new Map(), flowsLeftOut: 0 })
    }
    for (const id of this.#enis.keys()) {
      if (this.#enis.size <= observedLimits.enis) break
      if (!this.#observed.has(id)) this.#enis.delete(id)
    }
    const early = this.#early
    this.#early = []
    for (const record of early) if (this.#observed.has(record.eniId)) this.noteRecord(record)
    return [...this.#observed].some(id => !before.has(id))
  }

  /**
   * @param readings  every counter of the policy
   * @param policy    the policy they are of
   */
  noteReadings(readings: readonly KernelReading[], policy: PolicyIr): void {
    const groups = groupsOfRules(policy)
    const drops = readings.filter(({ verdict, reason }) => verdict === 'drop' && isObservedCause(reason))
    for (const eniId of this.#observed) {
      const book = this.#enis.get(eniId)!
      const own = drops.filter(({ eniIds }) => eniIds.includes(eniId))
      const before = book.readings
      book.readings = new Map(own.map(({ source, packets }) => [source, packets]))
      if (before === null) continue
      for (const { source, direction, reason, ruleId, packets } of own) {
        const last = before.get(source) ?? 0
        // A reading lower than the one before: the object was made anew, and all of it is new.
        const increase = packets < last ? packets : packets - last
        if (increase > 0) addCount(book, reasonOf(direction, reason as ObservedCause, ruleId, groups), increase)
      }
    }
  }

  /** @param sessions  that are only let through, by ENI; null where that is not known */
  noteSessions(sessions: ReadonlyMap<string, number> | null): void {
    this.#sessions = sessions
  }

  noteRecord(record: LogRecord): void {
    const { action, eniId, cause } = record
    if (action !== 'observe' || !isObservedCause(cause)) return
    const book = this.#enis.get(eniId)
    if (book === undefined) {
      if (this.#early.length < mostEarlyRecords) this.#early.push(record)
      return
    }
    const flow = flowOf(record, cause)
    const key = flowKey(flow)
    const known = book.flows.get(key)
    book.flows.set(
      key,
      known === undefined
        ? flow
        : { ...known, packets: known.packets + 1, lastTime: later(known.lastTime, flow.lastTime) },
    )
    // Now and then, for that costs as much as there are flows.
    const most = this.#mostFlowsOfEni()
    if (book.flows.size < 2 * most) return
    const kept = byPackets(book.flows.values()).slice(0, most)
    book.flowsLeftOut += book.flows.size - kept.length
    book.flows = new Map(kept.map(each => [flowKey(each), each]))
  }

  /** Ordered by id; ENIs that are observed now. */
  report(): readonly ObservedEni[] {
    return [...this.#observed].sort().map(eniId => {
      const { since, counts, flows, flowsLeftOut } = this.#enis.get(eniId)!
      const told = byPackets(flows.values())
      const most = this.#mostFlowsOfEni()
      return {
        eniId,
        since,
        counts: byPackets(counts.values()),
        flows: told.slice(0, most),
        flowsLeftOut: flowsLeftOut + Math.max(0, told.length - most),
        liveSessions: this.#sessions?.get(eniId) ?? null,
      }
    })
  }

  /** What `resume` takes; books whose counters have not been read yet are begun anew. */
  keep(): readonly KeptEni[] {
    const most = this.#mostFlowsOfEni()
    return [...this.#enis].flatMap(([eniId, { since, counts, readings, flows, flowsLeftOut }]) => {
      if (readings === null) return []
      const kept = byPackets(flows.values()).slice(0, most)
      return [{ eniId, since, counts: byPackets(counts.values()), readings: [...readings], flows: kept, flowsLeftOut }]
    })
  }

  #mostFlowsOfEni(): number {
    const share = Math.floor(mostFlows / Math.max(1, this.#observed.size))
    return Math.min(observedLimits.flows, Math.max(leastFlowsOfEni, share))
  }
}

function addCount(book: EniBook, reason: ObservedReason, packets: number): void {
  const key = reasonKey(reason)
  book.counts.set(key, { ...reason, packets: packets + (book.counts.get(key)?.packets ?? 0) })
  if (book.counts.size <= 2 * observedLimits.countsOfEni) return
  // Rules come and go: of those that are gone the least are forgotten.
  for (const each of byPackets(book.counts.values()).slice(observedLimits.countsOfEni)) {
    book.counts.delete(reasonKey(each))
  }
}

function groupsOfRules(policy: PolicyIr): ReadonlyMap<string, string> {
  return new Map(
    policy.enis.flatMap(({ ingress, egress }) =>
      [...ingress.rules, ...egress.rules].map(rule => [rule.id, rule.groupId]),
    ),
  )
}

function reasonOf(
  direction: Direction,
  cause: ObservedCause,
  ruleId: string | null,
  groups: ReadonlyMap<string, string>,
): ObservedReason {
  const securityGroupId = groups.get(ruleId ?? '')
  return {
    direction,
    cause,
    ...(ruleId !== null && { ruleId }),
    ...(securityGroupId !== undefined && { securityGroupId }),
  }
}

function flowOf(record: LogRecord, cause: ObservedCause): ObservedFlow {
  const { direction, ruleId, securityGroupId, protocol, port, icmpType, icmpCode, time } = record
  return {
    direction,
    cause,
    ...(ruleId !== undefined && { ruleId }),
    ...(securityGroupId !== undefined && { securityGroupId }),
    peer: direction === 'ingress' ? record.source : record.destination,
    protocol,
    ...(port !== undefined && { port }),
    ...(icmpType !== undefined && { icmpType }),
    ...(icmpCode !== undefined && { icmpCode }),
    packets: 1,
    firstTime: time,
    lastTime: time,
  }
}

function reasonKey({ direction, cause, ruleId = '' }: ObservedReason): string {
  return `${direction} ${cause} ${ruleId}`
}

function flowKey(flow: ObservedFlow): string {
  const { peer, protocol, port = '', icmpType = '', icmpCode = '' } = flow
  return `${reasonKey(flow)} ${peer} ${protocol} ${port} ${icmpType} ${icmpCode}`
}

function byPackets<T extends { readonly packets: number }>(items: Iterable<T>): readonly T[] {
  return [...items].sort((one, other) => other.packets - one.packets)
}

function later(one: string, other: string): string {
  return one > other ? one : other
}

function isObservedCause(cause: string): cause is ObservedCause {
  return (observedCauses as readonly string[]).includes(cause)
}
