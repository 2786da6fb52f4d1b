/** What the health report says about a policy. */
import type { Packet } from '../policy/packet.ts'

/** Strongest first. */
export const severities = ['high', 'medium', 'low'] as const
export type Severity = (typeof severities)[number]

export const findingKinds = [
  /** Accepts a port attackers look for from the whole Internet. */
  'open-to-world',
  /** Accepts every protocol from the whole Internet. */
  'all-from-anywhere',
  /** Accepts a wide range of ports from addresses. */
  'wide-port-range',
  /** Can never decide: stronger rules match first, whatever the packet. */
  'shadowed',
  /** Decides, but without it the verdict would be the same. */
  'redundant',
  /** Matches no packet at all, or none while a group has no member. */
  'never-matches',
  /** Nothing is dropped: the group, or an ENI that has it, is in observe mode. */
  'observed',
  /** A group without member addresses that something names. */
  'empty-group',
  /** An attached group without rules. */
  'no-rules',
  /** A group that no ENI has and no rule names. */
  'unused-group',
] as const
export type FindingKind = (typeof findingKinds)[number]

export interface Finding {
  readonly kind: FindingKind
  readonly severity: Severity
  readonly groupId: string
  /** The rules of `groupId` it is about; empty for a finding about the group itself. */
  readonly ruleIds: readonly string[]
  /** Rules, of any group of the ENI, that take the place of a shadowed or redundant rule. */
  readonly coveredBy: readonly { readonly groupId: string; readonly ruleId: string }[]
  /** Where it holds; empty where it holds wherever the group is attached. */
  readonly eniIds: readonly string[]
  readonly message: string
  /**
   * A packet that shows it: a shadowed rule matches it but another decides; a redundant rule matches it and the verdict
   * is the same without; a rule that opens much matches it and it is accepted. Its `eniId` is empty where no ENI has
   * the group. Null where no packet can show it.
   */
  readonly witness: Packet | null
}
