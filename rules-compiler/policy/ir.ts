/**
 * Policy IR: the policy of one host with every reference resolved. `evaluate` judges packets by it and `compile` turns
 * it into nftables objects, so the two can only differ in how they read the same lists.
 */
import type { Cidr } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import type { RuleProtocol } from '../address/protocol.ts'
import type { ControlConnection, Direction, Logging, Placement, Rescue, RuleVerdict } from '../model/policy.ts'
import type { ScrubIr } from '../scrub/ir.ts'

export interface PolicyIr {
  /** ENIs with at least one group, ordered by id. */
  readonly enis: readonly EniIr[]
  /** ENIs without any group, ordered by id: their devices are left alone. */
  readonly unattachedEnis: readonly { readonly id: string; readonly device: string }[]
  /** Members of every group that some ENI's rules or inner access name, keyed by group id. */
  readonly groups: ReadonlyMap<string, GroupMembers>
  readonly sessionTimeoutSeconds: number
  readonly revocation: 'immediate' | 'drain'
  readonly ctMarkMask: number
  /** Without a part in any verdict. */
  readonly logging: Logging
  /** Without a part in any verdict, and in what is compiled. */
  readonly scrub: ScrubIr
}

/** Member addresses in canonical text, sorted as text, without duplicates. */
export interface GroupMembers {
  readonly ip: readonly string[]
  readonly ip6: readonly string[]
}

export interface EniIr {
  readonly id: string
  readonly instanceId: string
  readonly device: string
  readonly placement: Placement
  readonly addresses: readonly string[]
  readonly securityGroupIds: readonly string[]
  /** What is refused is counted and logged, and let through: the ENI or one of its groups is in observe mode. */
  readonly isObserved: boolean
  /** Outbound TCP to port 25 beyond private ranges is dropped before anything else is asked. */
  readonly smtpBlocked: boolean
  /** Basic groups with inner access, ordered by id: their members are accepted before any rule is asked. */
  readonly innerGroupIds: readonly string[]
  /** Host placement only. */
  readonly controlConnections: readonly ControlConnection[]
  /** Host placement only; each once, ordered by block and port. */
  readonly rescue: readonly Rescue[]
  readonly ingress: DirectionIr
  readonly egress: DirectionIr
}

export interface DirectionIr {
  /** Rules of all groups of the ENI in deciding order: priority, then drop before accept, then id. */
  readonly rules: readonly RuleIr[]
  /** What happens where no rule matches. */
  readonly defaultVerdict: RuleVerdict
}

export interface RuleIr {
  readonly id: string
  readonly groupId: string
  readonly direction: Direction
  readonly verdict: RuleVerdict
  readonly priority: number
  readonly protocol: RuleProtocol
  readonly ports: PortRange
  readonly sourcePorts: PortRange
  readonly peer: PeerIr
  readonly local: Cidr | null
}

/** A prefix list has become its blocks; a group stays a name, so that rules do not change when members do. */
export type PeerIr =
  | { readonly kind: 'cidrs'; readonly cidrs: readonly Cidr[]; readonly prefixListId: string | null }
  | { readonly kind: 'group'; readonly groupId: string }
