/**
 * What the store holds: one document a key, `<kind>/<id>`. Everything here was checked before it was written, is in
 * canonical form (addresses as the kernel prints them, host bits masked off, defaults filled in) and is only ever
 * replaced whole. Times are milliseconds since 1970.
 */
import type {
  DdosThreshold,
  Limits,
  Logging,
  NicType,
  Placement,
  RuleVerdict,
} from '../../rules-compiler/model/policy.ts'
import type { ScrubOrder } from '../../rules-compiler/scrub/ir.ts'
import type { FileRule } from '../../rules-compiler/validate/schema.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import type { HostReport } from '../../wire/messages.ts'
import type { ViewScrubbing } from '../../wire/view.ts'
import type { AccessKeyDoc, RamGroupDoc, RamPolicyDoc, RamRoleDoc, RamUserDoc } from './ram.ts'

export type Tags = Readonly<Record<string, string>>

export interface AccountDoc {
  /** 16 digits. */
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly createdAtMs: number
}

export interface GroupDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string | null
  readonly description: string | null
  readonly tags: Tags
  readonly type: 'basic' | 'advanced'
  readonly networkType: 'vpc' | 'classic'
  /** null on classic networks, and in the one VPC that needs no name. */
  readonly vpcId: string | null
  /** `drop` in every advanced group. */
  readonly innerAccessPolicy: RuleVerdict
  /** Nothing is dropped at ENIs that are in it. Left out: it is enforced. */
  readonly mode?: 'observe'
  /** Made by Ringwall for ENIs that name no group: one for each account and network. */
  readonly isDefault: boolean
  /** In the order they were added. No two of them are the same rule. */
  readonly rules: readonly RuleDoc[]
  readonly createdAtMs: number
}

/** A rule in the words of a policy file, canonical: `checkPolicy` takes it as it is, but for `createdAtMs`. */
export interface RuleDoc extends RuleFields {
  readonly id: string
  readonly createdAtMs: number
}

/** Every field of a rule but its id, each as text or number. */
export type RuleFields = { readonly [Field in Exclude<keyof FileRule, 'id'>]?: string | number } & {
  readonly direction: 'ingress' | 'egress'
  readonly policy: RuleVerdict
  readonly priority: number
  readonly ipProtocol: string
  /** Empty where it names a list of ports. */
  readonly portRange: string
  /** Of the group's own account. Its ranges are told to agents as rules of the same id. */
  readonly portRangeListId?: string
  readonly nicType: NicType
}

export interface PrefixListDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string | null
  readonly description: string | null
  readonly tags: Tags
  readonly addressFamily: 'IPv4' | 'IPv6'
  /** What a rule that names it weighs against the limit of rules. */
  readonly maxEntries: number
  readonly entries: readonly { readonly cidr: string; readonly description: string | null }[]
  readonly createdAtMs: number
}

export interface PortRangeListDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string | null
  readonly description: string | null
  readonly tags: Tags
  /** What a rule that names it weighs against the limit of rules. */
  readonly maxEntries: number
  /** `80/80`, each once. */
  readonly entries: readonly { readonly portRange: string; readonly description: string | null }[]
  readonly createdAtMs: number
}

export interface InstanceDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string | null
  readonly description: string | null
  readonly tags: Tags
  readonly instanceType: string | null
  /** The agent that serves it; null: nothing enforces there, but its addresses are members all the same. */
  readonly agentId: string | null
  readonly smtpUnblocked: boolean
  /** Left out: the maxima of the instance type. Never above them when it is written. */
  readonly ddosThreshold?: DdosThreshold
  /** An operator cancelled traffic scrubbing. */
  readonly scrubbingCancelled?: true
  /** The last one for the agent that serves it: another agent must not carry it out again. */
  readonly ddosOrder?: ScrubOrder
  readonly createdAtMs: number
}

export interface EniDoc {
  readonly id: string
  /** That of its instance. */
  readonly accountId: string
  /** null: it is kept for an instance to come. It has its groups and addresses all the same, but is in no agent's view. */
  readonly instanceId: string | null
  /** `Secondary` without instance. */
  readonly type: 'Primary' | 'Secondary'
  /** Left out: it has none. */
  readonly name?: string
  /** Nothing but told again: Ringwall knows no vSwitches. Left out: none was given. */
  readonly vSwitchId?: string
  readonly description: string | null
  readonly tags: Tags
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId: string | null
  /** Lower case with colons. The agent binds the ENI to the device that has it. */
  readonly macAddress: string | null
  /** Name of the device: what it is bound by where there is no MAC address, and told apart by where several have it. */
  readonly device: string | null
  readonly placement: Placement
  /** Private addresses, both families, canonical; the first IPv4 one is the primary. */
  readonly addresses: readonly string[]
  /** Empty: no policy yet, the agent leaves the device alone. */
  readonly securityGroupIds: readonly string[]
  readonly nicType: NicType
  /** Nothing is dropped at it. Left out: it is enforced, unless one of its groups is observed. */
  readonly mode?: 'observe'
  readonly createdAtMs: number
}

export interface AgentDoc {
  readonly id: string
  readonly hostName: string
  readonly status: 'active' | 'revoked'
  /** The client certificates it may use: the current one, and the one before while that is being replaced. */
  readonly certificates: readonly { readonly serialNumber: string; readonly notAfterMs: number }[]
  /** What it said of itself last; null before its first connection. */
  readonly report: HostReport | null
  readonly createdAtMs: number
  readonly revokedAtMs: number | null
}

/** Lets one host enrol once. */
export interface EnrolmentDoc {
  readonly id: string
  /** Hex SHA-256 of the secret part of the token. */
  readonly secretSha256: string
  /** The agent that enrols again under its old id; null for a new one. */
  readonly agentId: string | null
  /** Instances that the agent will serve. */
  readonly instanceIds: readonly string[]
  /** Where given, an instance is made for the host and named after it. */
  readonly newInstance: { readonly accountId: string; readonly instanceType: string | null } | null
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** null until it has been used. */
  readonly usedByAgentId: string | null
}

export interface TokenDoc {
  readonly id: string
  readonly name: string
  readonly secretSha256: string
  /** Of an operator's token; of a user's they say no more than which account he is of. */
  readonly scopes: readonly TokenScope[]
  /** The user of RAM whose credential it is: it may what his policies say. Left out: an operator's. */
  readonly user?: { readonly accountId: string; readonly name: string }
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
}

/** `*` is every account, and with it what belongs to none: accounts, agents, tokens, audit, settings, backup. */
export interface TokenScope {
  readonly accountId: string
  readonly access: 'read' | 'write'
}

/** `settings/fleet`: what every agent is told, and how long the daemon keeps what they tell. */
export interface SettingsDoc {
  readonly sessionTimeout: number
  readonly revocation: 'immediate' | 'drain'
  readonly limits: Limits
  readonly trafficScope?: 'internet' | 'all'
  /** What is left out has its default. */
  readonly scrubbing?: ViewScrubbing
  /** The same. */
  readonly logging?: Partial<Logging>
  readonly ddosEvents?: Partial<EventRetention>
}

export interface EventRetention {
  /** Events of one instance; the one that began first goes first, those under way last. */
  readonly keptPerInstance: number
  readonly keptDays: number
}

/** Never more, whoever makes up events: one is 3 KB as a rule, and 60 KB at most. */
export const mostDdosEvents = { ofOneAgent: 2000, inAll: 100_000 } as const

export const defaultEventRetention: EventRetention = { keptPerInstance: 200, keptDays: 90 }

/** An attack, as its agent told it last. */
export interface DdosEventDoc {
  readonly event: DdosEvent
  readonly agentId: string
  /** That owned the instance when the event was first heard of. */
  readonly accountId: string
  /** When the daemon heard of it first and last, by its own clock. */
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** `authority/agents`: the CA of agents and of the listener they connect to. In the store, so that a backup has it. */
export interface AuthorityDoc {
  readonly id: string
  /** PEM. */
  readonly certificate: string
  /** PKCS#8, PEM. Never shown, nor written to the audit log. */
  readonly privateKey: string
  readonly createdAtMs: number
  /** Id of the store that it was used with last; left out where that is to be written by the next start. */
  readonly storeId?: string
  /**
   * Times of which the state knows nothing, as often as it was restored: certificates signed in them are good, though no
   * agent's document lists them.
   */
  readonly lostTimes?: readonly TimeSpan[]
  /** The last of them, as it was written before there could be several. */
  readonly lost?: TimeSpan
}

/** Milliseconds since 1970, both inclusive. */
export interface TimeSpan {
  readonly fromMs: number
  readonly untilMs: number
}

/** What was answered to a write with an Idempotency-Key, stored in the same commit as the write. */
export interface IdempotencyDoc {
  readonly fingerprint: string
  readonly status: number
  readonly body: unknown
  readonly revision: number
  readonly expiresAtMs: number
}

/** Which document stands under the keys of each kind. */
export interface Documents {
  readonly account: AccountDoc
  readonly group: GroupDoc
  readonly prefixList: PrefixListDoc
  readonly portRangeList: PortRangeListDoc
  readonly instance: InstanceDoc
  readonly eni: EniDoc
  readonly agent: AgentDoc
  readonly enrolment: EnrolmentDoc
  readonly token: TokenDoc
  readonly settings: SettingsDoc
  readonly authority: AuthorityDoc
  readonly idempotency: IdempotencyDoc
  readonly ddosEvent: DdosEventDoc
  readonly ramUser: RamUserDoc
  readonly ramGroup: RamGroupDoc
  readonly ramPolicy: RamPolicyDoc
  readonly ramRole: RamRoleDoc
  readonly accessKey: AccessKeyDoc
}

export type Kind = keyof Documents

export const kinds = [
  'account',
  'group',
  'prefixList',
  'portRangeList',
  'instance',
  'eni',
  'agent',
  'enrolment',
  'token',
  'settings',
  'authority',
  'idempotency',
  'ddosEvent',
  'ramUser',
  'ramGroup',
  'ramPolicy',
  'ramRole',
  'accessKey',
] as const satisfies readonly Kind[]

export const settingsId = 'fleet'
export const authorityId = 'agents'

export function keyOf(kind: Kind, id: string): string {
  return `${kind}/${id}`
}

/** @throws {RangeError} for a key of no kind */
export function parseKey(key: string): { readonly kind: Kind; readonly id: string } {
  const slash = key.indexOf('/')
  const word = key.slice(0, Math.max(slash, 0))
  const kind = kinds.find(known => known === word)
  if (kind === undefined)
    throw new RangeError(`Cannot read key "${key}": expected one of ${kinds.join(', ')}, then "/"`)
  return { kind, id: key.slice(slash + 1) }
}
