/** What an agent tells its daemon of traffic scrubbing. Times are ISO 8601, rates a second, bytes from the IP header on. */
import type { FloodType, ScrubStep, TrafficAmount, TrafficRate, TrafficType } from '../rules-compiler/model/traffic.ts'

/**
 * `over`: above a threshold, not yet for long enough. `uncleaned`: above, and scrubbing is cancelled. A phase from
 * `cleaning` on belongs to an event.
 */
export const ddosPhases = ['normal', 'over', 'cleaning', 'uncleaned', 'black-hole'] as const
export type DdosPhase = (typeof ddosPhases)[number]

/** Inbound traffic of one instance over one interval, some one second long. */
export interface DdosSample {
  readonly instanceId: string
  /** When the interval ended. */
  readonly time: string
  readonly intervalSeconds: number
  /** In scope, before anything was dropped. */
  readonly offered: TrafficRate
  /** Of that, what scrubbing let through. */
  readonly passed: TrafficRate
  /** In scope or not. */
  readonly all: TrafficRate
  /** In scope, before anything was dropped. Types without traffic are left out. */
  readonly byType: Readonly<Partial<Record<TrafficType, TrafficRate>>>
  /** Steps that dropped nothing are left out. */
  readonly dropped: Readonly<Partial<Record<ScrubStep, TrafficRate>>>
}

export interface DdosThresholds {
  /** In 10^6 bits a second. */
  readonly bpsMbit: number
  readonly pps: number
}

/** How an instance stands. */
export interface DdosStatus {
  readonly instanceId: string
  readonly phase: DdosPhase
  /** Since when. */
  readonly since: string
  /** Of the event under way; null where there is none. */
  readonly eventId: string | null
  readonly attackTypes: readonly FloodType[]
  /** Null before the first. */
  readonly sample: DdosSample | null
  /** Heaviest first, 10 at most; empty while nothing is cleaned. */
  readonly topSources: readonly DdosSource[]
  /** What the agent would lower the thresholds to, from what it has seen; null before it has seen enough. */
  readonly proposal: DdosThresholds | null
  readonly blackHole: { readonly endTime: string; readonly holdSeconds: number; readonly isManual: boolean } | null
  /** The last order carried out; null for none. */
  readonly orderId: string | null
}

export interface DdosSource {
  readonly address: string
  /** Estimated from a sample of packets, but for sources that were dropped for their share. */
  readonly packets: number
  readonly bytes: number
  /** Of the packets in scope while it was watched, 0 to 1. */
  readonly share: number
}

/** Why a flood type was named. */
export interface DdosEvidence {
  readonly type: FloodType
  /** Of the traffic in scope in the measure that was exceeded, 0 to 1, at its highest. */
  readonly share: number
  readonly peak: TrafficRate
  /** Arrivals a second before the event, of the same kind. */
  readonly usual: TrafficRate
  /** SYNs for each other TCP packet in the second in which it was named; null where TCP plays no part. */
  readonly synRatio: number | null
  /** What the ten heaviest sources had of the packets, 0 to 1; null before sources were watched. */
  readonly sourceConcentration: number | null
}

export const ddosChanges = [
  'start',
  'types',
  'peak',
  'cleaning',
  'uncleaned',
  'black-hole',
  'lift',
  'thresholds',
  'end',
] as const

export interface DdosChange {
  readonly time: string
  readonly kind: (typeof ddosChanges)[number]
  /** One sentence, for people. */
  readonly message: string
}

/** What sets an event off. */
export const ddosTriggers = ['bps', 'pps', 'both', 'manual'] as const
export type DdosTrigger = (typeof ddosTriggers)[number]

/** `ended` for good. */
export const ddosEventPhases = ['cleaning', 'uncleaned', 'black-hole', 'ended'] as const

/**
 * Why an event ended: traffic went down; its thresholds or the instance are gone; the host was started anew meanwhile;
 * nobody tells of it any more, which only the daemon can know.
 */
export const ddosEndReasons = ['subsided', 'withdrawn', 'host-restarted', 'lost'] as const
export type DdosEndReason = (typeof ddosEndReasons)[number]

/** One attack on one instance, from the second it exceeded to the end of the hold time; whole in each message. */
export interface DdosEvent {
  /** Made by the agent, `ddos-…`; the same for the whole event, also over restarts. */
  readonly id: string
  /** Rises with each change of what is below; a lower one is old news. */
  readonly version: number
  readonly instanceId: string
  readonly phase: (typeof ddosEventPhases)[number]
  readonly trigger: DdosTrigger
  readonly startTime: string
  /** When the traffic went under the thresholds to stay there is `endTime` less the hold time; null while it goes on. */
  readonly endTime: string | null
  /** Null while it goes on. */
  readonly endReason: DdosEndReason | null
  readonly thresholds: DdosThresholds | null
  /** Highest one-second rates offered; each measure by itself. */
  readonly peak: TrafficRate & { readonly time: string }
  /** In scope, from start to end. */
  readonly offered: TrafficAmount
  readonly passed: TrafficAmount
  readonly dropped: Readonly<Partial<Record<ScrubStep, TrafficAmount>>>
  /** In the order they were recognised. */
  readonly attackTypes: readonly DdosEvidence[]
  /** Heaviest first, 10 at most. */
  readonly topSources: readonly DdosSource[]
  readonly blackHoles: number
  /** Oldest first; of many the first and the last 50. */
  readonly changes: readonly DdosChange[]
}
