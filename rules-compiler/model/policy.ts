/**
 * A checked policy: what an operator says, after reading. Everything here is valid by the rules of validate/, in
 * canonical form (addresses as the kernel prints them, host bits masked off, defaults filled in) and never changes.
 */
import type { Cidr } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import type { RuleProtocol } from '../address/protocol.ts'
import type { ScrubOrder } from '../scrub/ir.ts'

export type Direction = 'ingress' | 'egress'
export type RuleVerdict = 'accept' | 'drop'
export type Placement = 'host' | 'guest'
export type NicType = 'internet' | 'intranet'
/** `observe`: what would be dropped is counted and logged, and let through. */
export type EnforcementMode = 'enforce' | 'observe'

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
  /** Null: the maxima of the instance type, where that is known. */
  readonly ddosThreshold: DdosThreshold | null
  /** An operator cancelled traffic scrubbing. */
  readonly scrubbingCancelled: boolean
  readonly ddosOrder: ScrubOrder | null
}

export interface DdosThreshold {
  /** In 10^6 bits a second. */
  readonly bps: number
  /** Packets a second. */
  readonly pps: number
  /** `auto`: taken over from what the agent proposed. */
  readonly source: 'manual' | 'auto'
}

/** An instance of which nothing is said. */
export const defaultInstance: Omit<Instance, 'id'> = {
  instanceType: null,
  smtpUnblocked: false,
  ddosThreshold: null,
  scrubbingCancelled: false,
  ddosOrder: null,
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
  /** Of the ENI itself; one of its groups in `observe` makes it observed too. */
  readonly mode: EnforcementMode
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
  /** `observe`: nothing is dropped at any ENI that is in the group. */
  readonly mode: EnforcementMode
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
  /** Idle TCP sessions are forgotten after this long; `mostSessionTimeoutSeconds` at most. */
  readonly sessionTimeoutSeconds: number
  readonly revocation: 'immediate' | 'drain'
  /** The bits of the conntrack mark that are Ringwall's, split into two fields of equal width. */
  readonly ctMarkMask: number
  /** Where the agent's control daemon listens: outbound TCP there is never judged. */
  readonly controlConnections: readonly ControlConnection[]
  /** By whom and where the host is administered: inbound TCP from there is accepted whatever the rules say. */
  readonly rescue: readonly Rescue[]
  /** Whose traffic counts and is cleaned: `internet`, sources beyond private ranges; `all`, every one. */
  readonly trafficScope: 'internet' | 'all'
  readonly scrubbing: Scrubbing
  readonly logging: Logging
  readonly limits: Limits
}

export interface ControlConnection {
  readonly address: string
  readonly port: number
}

export interface Rescue {
  readonly source: Cidr
  /** Of the host. */
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

/** What goes to the kernel's log groups (NFLOG); in the words of a policy file. */
export interface Logging {
  /** What is dropped, or would be where it is only observed. */
  readonly drops: boolean
  /** What is accepted: each session once, at its first packet. */
  readonly sessions: boolean
  /** Packets logged at most, for each ENI and direction. */
  readonly perSecond: number
  readonly nflogGroup: number
}

export const defaultLogging: Logging = { drops: true, sessions: false, perSecond: 100, nflogGroup: 21_079 }

/** What may be set, both ends included. Group 0 is where the kernel's own `LOG` goes once nfnetlink_log is its logger. */
export const loggingBounds = {
  perSecond: { minimum: 1, maximum: 10_000 },
  nflogGroup: { minimum: 1, maximum: 65_535 },
} as const satisfies Partial<Record<keyof Logging, Bounds>>

/** In the words of a policy file. */
export interface Scrubbing {
  /** Scrubbing begins after so many seconds over a threshold, one after the other. */
  readonly secondsOver: number
  /** Seconds that traffic must stay under both thresholds for scrubbing to end. */
  readonly holdTime: number
  /** In 10^6 bits a second; 0 for never. */
  readonly blackHoleThreshold: number
  /** Seconds of the first black hole of a day; each further one is twice as long, up to the most. */
  readonly blackHoleHoldTime: number
  /** At least `blackHoleHoldTime`. */
  readonly mostBlackHoleHoldTime: number
  /** Sources that are never cleaned nor black-holed: disjoint, ordered by family and address. */
  readonly allowList: readonly Cidr[]
}

export const defaultScrubbing: Scrubbing = {
  secondsOver: 1,
  holdTime: 60,
  blackHoleThreshold: 5000,
  blackHoleHoldTime: 1800,
  mostBlackHoleHoldTime: 86_400,
  allowList: [],
}

const weekSeconds = 7 * 86_400
/** In 10^6 bits a second: 10 Tbit/s, more than any device takes. */
const mostMbit = 10_000_000

/** What may be set, both ends included. */
export const scrubbingBounds = {
  secondsOver: { minimum: 1, maximum: 60 },
  holdTime: { minimum: 1, maximum: 86_400 },
  blackHoleThreshold: { minimum: 0, maximum: mostMbit },
  blackHoleHoldTime: { minimum: 1, maximum: weekSeconds },
  mostBlackHoleHoldTime: { minimum: 1, maximum: weekSeconds },
} as const satisfies Record<keyof Omit<Scrubbing, 'allowList'>, Bounds>

export const mostAllowListBlocks = 500

/** Each is a rule of its own, and asked before all others. */
export const mostRescues = 64

/** Of a threshold that is set, where the instance type does not say less. */
export const ddosThresholdBounds = {
  bps: { minimum: 1, maximum: mostMbit },
  pps: { minimum: 1, maximum: 1_000_000_000 },
} as const satisfies Record<'bps' | 'pps', Bounds>

/** Seconds of a black hole that is ordered. */
export const orderedHoldBounds: Bounds = { minimum: 1, maximum: weekSeconds }

export interface Bounds {
  readonly minimum: number
  readonly maximum: number
}

/** As long as a session may be idle; what the settings say where they say nothing. */
export const mostSessionTimeoutSeconds = 910

export const defaultSettings: Settings = {
  sessionTimeoutSeconds: mostSessionTimeoutSeconds,
  revocation: 'immediate',
  ctMarkMask: 0xffff_ff00,
  controlConnections: [],
  rescue: [],
  trafficScope: 'internet',
  scrubbing: defaultScrubbing,
  logging: defaultLogging,
  limits: defaultLimits,
}
