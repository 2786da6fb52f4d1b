/**
 * A checked policy: what an operator says, after reading. Everything here is valid by the rules of validate/, in
 * canonical form (addresses as the kernel prints them, host bits masked off, defaults filled in) and never changes.
 */
import type { Cidr } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import type { RuleProtocol } from '../address/protocol.ts'

export type Direction = 'ingress' | 'egress'
export type RuleVerdict = 'accept' | 'drop'
export type Placement = 'host' | 'guest'
export type NicType = 'internet' | 'intranet'

export interface Policy {
  readonly instances: readonly Instance[]
  readonly interfaces: readonly Eni[]
  readonly securityGroups: readonly SecurityGroup[]
  readonly prefixLists: readonly PrefixList[]
  readonly settings: Settings
}

export interface Instance {
  readonly id: string
  readonly instanceType: string | null
  /** Port 25 outbound is open: an administrator unblocked the instance. */
  readonly smtpUnblocked: boolean
}

export interface Eni {
  readonly id: string
  readonly instanceId: string
  /** The kernel's name of the network device the ENI is. */
  readonly device: string
  readonly placement: Placement
  /** Private addresses, both families, canonical text. */
  readonly addresses: readonly string[]
  /** In the order given; empty means the ENI has no policy yet and its device is left alone. */
  readonly securityGroupIds: readonly string[]
  /** Which rules of classic groups apply; VPC rules cover both. */
  readonly nicType: NicType
}

export interface SecurityGroup {
  readonly id: string
  readonly name: string | null
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly type: 'basic' | 'advanced'
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId: string | null
  readonly ownerAccount: string | null
  readonly innerAccessPolicy: RuleVerdict
  /** Private addresses of every ENI in the group, fleet-wide: canonical text, both families, without duplicates. */
  readonly members: readonly string[]
  readonly rules: readonly GroupRule[]
}

export interface GroupRule {
  /** As given, or made from the rule's content, so that it does not depend on the order of rules. */
  readonly id: string
  readonly direction: Direction
  readonly policy: RuleVerdict
  /** 1 is strongest, 100 weakest. */
  readonly priority: number
  readonly protocol: RuleProtocol
  /** Destination ports; all of 0-65535 for protocols without ports. */
  readonly ports: PortRange
  readonly sourcePorts: PortRange
  /** The authorization object: the source on ingress, the destination on egress. */
  readonly peer: Peer
  /** Narrows the ENI's own side (destination on ingress, source on egress); null for any address. */
  readonly local: Cidr | null
  readonly nicType: NicType
  readonly description: string | null
}

export type Peer =
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'group'; readonly groupId: string }
  | { readonly kind: 'prefixList'; readonly prefixListId: string }

export interface PrefixList {
  readonly id: string
  readonly name: string | null
  readonly entries: readonly Cidr[]
}

export interface Settings {
  /** Idle TCP sessions are forgotten after this long; 910 at most. */
  readonly sessionTimeoutSeconds: number
  readonly revocation: 'immediate' | 'drain'
  /** The bits of the conntrack mark that are Ringwall's, split into two fields of equal width. */
  readonly ctMarkMask: number
  /** Where the agent's control daemon listens: outbound TCP there is never judged. */
  readonly controlConnections: readonly ControlConnection[]
  readonly limits: Limits
}

export interface ControlConnection {
  readonly address: string
  readonly port: number
}

export interface Limits {
  readonly rulesPerGroup: number
  readonly groupsPerEni: number
  readonly basicGroupPrivateIps: number
  readonly advancedGroupEnis: number
  readonly authorizationObjectsPerRequest: number
  readonly keyPairsPerAccount: number
}

export const defaultLimits: Limits = {
  rulesPerGroup: 200,
  groupsPerEni: 5,
  basicGroupPrivateIps: 2000,
  advancedGroupEnis: 50_000,
  authorizationObjectsPerRequest: 10,
  keyPairsPerAccount: 500,
}
