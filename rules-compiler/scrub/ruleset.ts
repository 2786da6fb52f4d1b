/** The table of traffic scrubbing as data; compile.ts makes it, transaction.ts compares two of them. */
import type { Limit, ScrubRule } from './statements.ts'

export interface ScrubRuleset {
  /** Names of counter objects. */
  readonly counters: ReadonlySet<string>
  /** Limit objects by name. */
  readonly limits: ReadonlyMap<string, Limit>
  readonly sets: ReadonlyMap<string, ScrubSet>
  readonly chains: ReadonlyMap<string, ScrubChain>
}

/** A bounded set that rules fill; its elements are forgotten when their time is over. */
export interface ScrubSet {
  readonly key: readonly ('ipv4_addr' | 'ipv6_addr' | 'inet_service' | 'ifname' | 'mark')[]
  readonly size: number
  /** Of elements that rules add; null where only elements with a time of their own are in it. */
  readonly timeoutSeconds: number | null
  /** Whether each element counts the packets that met it. */
  readonly counts: boolean
  /** Elements put in from here, with their seconds. */
  readonly elements: ReadonlyMap<string, number>
}

export interface ScrubChain {
  readonly base: ScrubHook | null
  readonly rules: readonly ScrubRule[]
}

export type ScrubHook =
  | { readonly hook: 'ingress'; readonly device: string; readonly priority: number }
  | { readonly hook: 'prerouting' | 'postrouting'; readonly priority: number }
