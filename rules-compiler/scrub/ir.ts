/** What traffic scrubbing needs to know of a host, with every reference resolved: a part of the policy IR. */
import type { Cidr } from '../address/cidr.ts'
import type { InstanceTypeThresholds } from '../model/instance-types.ts'
import type { ControlConnection, Placement } from '../model/policy.ts'

export interface ScrubIr {
  /** Every instance of the host, ordered by id. */
  readonly instances: readonly ScrubInstance[]
  /** `internet`: sources outside the private, shared, unique-local and link-local ranges count and are cleaned. */
  readonly trafficScope: 'internet' | 'all'
  /** Sources that are never cleaned nor black-holed: disjoint blocks, ordered by family and address. */
  readonly allowList: readonly Cidr[]
  /** What comes from there over TCP is never cleaned nor black-holed. */
  readonly controlConnections: readonly ControlConnection[]
  /** Scrubbing begins after so many seconds over a threshold, one after the other; 1 at least. */
  readonly secondsOver: number
  /** Scrubbing ends when the traffic offered has stayed under both thresholds for so long. */
  readonly holdSeconds: number
  /** In 10^6 bits a second; 0 never black-holes. An instance whose own threshold is higher is black-holed above that. */
  readonly blackHoleMbit: number
  /** Of the first black hole of a day; each further one is twice as long, up to the most. */
  readonly blackHoleHoldSeconds: number
  readonly mostBlackHoleHoldSeconds: number
}

export interface ScrubInstance {
  readonly id: string
  readonly instanceType: string | null
  /** All of them, with a group or without, ordered by id. */
  readonly enis: readonly ScrubEni[]
  /** Of its ENIs, for whoever is told of attacks; without a part in what is measured and cleaned. */
  readonly addresses: readonly string[]
  /** By instance type; null where the type is not known, or there is none. */
  readonly maximum: InstanceTypeThresholds | null
  /** Null: measured, never scrubbed. */
  readonly thresholds: ScrubThresholds | null
  /** Cancelled: never cleaned. A black hole comes all the same. */
  readonly scrubbing: 'on' | 'cancelled'
  /** What an operator wants done once; null where nothing was ever asked for. */
  readonly order: ScrubOrder | null
}

export interface ScrubEni {
  readonly id: string
  readonly device: string
  readonly placement: Placement
}

export interface ScrubThresholds {
  /** In 10^6 bits a second. */
  readonly bpsMbit: number
  readonly pps: number
  /** `type`: the maximum of the instance type. `auto`: taken over from what the agent proposed. */
  readonly source: 'type' | 'manual' | 'auto'
}

/** Each id is carried out once, by an agent that has not seen it; a restart does not repeat it. */
export interface ScrubOrder {
  readonly id: string
  readonly action: 'black-hole' | 'lift'
  /** For a black hole; null for the usual time. */
  readonly holdSeconds: number | null
}
