/**
 * A ruleset as data: what Ringwall's table holds, in the shapes of libnftables-json(5) where nft has one. compile.ts
 * makes such a value, read-ruleset.ts reads one back from the kernel, diff.ts compares the two.
 */
import type { Cidr, Family } from '../address/cidr.ts'
import { type PortRange, portRangeText } from '../address/port-range.ts'

export const tableFamily = 'inet'
export const tableName = 'ringwall'

export interface Ruleset {
  /** Names of counter objects. */
  readonly counters: ReadonlySet<string>
  /** Idle seconds of the `ct timeout` objects, keyed by name. */
  readonly ctTimeouts: ReadonlyMap<string, number>
  /** Limit objects, in packets a second, keyed by name; bursts may be as many. */
  readonly limits: ReadonlyMap<string, number>
  /** Sets that change element by element; keyed by name. */
  readonly memberSets: ReadonlyMap<string, MemberSet>
  /** Sets that never change: the name is made from the content; keyed by name. */
  readonly intervalSets: ReadonlyMap<string, IntervalSet>
  readonly verdictMaps: ReadonlyMap<string, VerdictMap>
  /** In an order in which every jump goes to a chain further down. */
  readonly chains: ReadonlyMap<string, Chain>
}

/** A plain hash set of addresses: one element more or less costs the same whatever the size. */
export interface MemberSet {
  readonly name: string
  readonly family: Family
  readonly addresses: ReadonlySet<string>
}

/** A concatenated interval set with a counter in each element. */
export interface IntervalSet {
  readonly name: string
  readonly fields: readonly FieldType[]
  readonly elements: readonly IntervalElement[]
}

export type FieldType = 'ipv4_addr' | 'ipv6_addr' | 'inet_service' | 'inet_proto'

export interface IntervalElement {
  readonly key: readonly FieldValue[]
  /** The rule whose hits the element counts. */
  readonly ruleId: string
}

export type FieldValue = Cidr | PortRange

/** An element's key as nft writes it, a single address without its length: what two elements are compared by. */
export function elementText(element: IntervalElement): string {
  return element.key.map(value => ('text' in value ? bareText(value) : portRangeText(value))).join(' . ')
}

/** A block as nft lists it: a single address without its length. */
export function bareText(cidr: Cidr): string {
  return cidr.first === cidr.last ? cidr.text.slice(0, cidr.text.indexOf('/')) : cidr.text
}

export type MapKeyType = 'ifname' | 'iface_index' | 'ipv4_addr' | 'ipv6_addr'

export interface VerdictMap {
  readonly name: string
  readonly keyType: MapKeyType
  readonly elements: ReadonlyMap<string, Verdict>
}

export type Verdict = { readonly accept: null } | { readonly drop: null } | Jump
export type Jump = { readonly jump: { readonly target: string } } | { readonly goto: { readonly target: string } }

export interface Chain {
  readonly name: string
  readonly base?: BaseHook
  readonly rules: readonly NftRule[]
}

/** `type` and `chainPolicy` are `filter` and `accept` for ours; what is read back may be anything. */
export interface BaseHook {
  readonly type: string
  readonly hook: 'prerouting' | 'postrouting'
  readonly priority: number
  readonly chainPolicy: string
}

export interface NftRule {
  readonly statements: readonly Statement[]
  /** Only for rules with a counter of their own: the group rule whose hits it counts, kept as the nft comment. */
  readonly ruleId?: string
}

export type Expression =
  | { readonly meta: { readonly key: 'iifname' | 'oifname' | 'iif' | 'oif' | 'nfproto' } }
  | { readonly ct: { readonly key: CtKey; readonly dir?: 'original' | 'reply' } }
  | { readonly rt: { readonly key: 'nexthop'; readonly family: Family } }
  | { readonly payload: { readonly protocol: string; readonly field: string } }
  | { readonly concat: readonly Expression[] }
  | { readonly '&': readonly [Expression, number] }
  | { readonly '|': readonly [Expression, number] }

export type CtKey =
  | 'state'
  | 'status'
  | 'direction'
  | 'mark'
  | 'protocol'
  | 'proto-src'
  | 'proto-dst'
  | `${Family} saddr`
  | `${Family} daddr`

export type Operand =
  | string
  | number
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly range: readonly [number, number] }
  | { readonly set: readonly Operand[] }

export interface LogTarget {
  readonly prefix: string
  /** NFLOG group. */
  readonly group: number
  /** Bytes of the packet that are copied. */
  readonly snaplen: number
  /** After how many packets a listener is told. */
  readonly 'queue-threshold': number
}

/** `in` asks whether a bit is set, `!` whether it is not. */
export type Statement =
  | { readonly match: { readonly op: '==' | '!=' | 'in' | '!'; readonly left: Expression; readonly right: Operand } }
  | { readonly vmap: { readonly key: Expression; readonly data: string } }
  | { readonly mangle: { readonly key: Expression; readonly value: Expression } }
  | { readonly 'ct timeout': string }
  /** A limit object by name: the rule goes on within its rate. */
  | { readonly limit: string }
  | { readonly log: LogTarget }
  /** A counter object by name, or the rule's own. */
  | { readonly counter: string | null }
  | Verdict
