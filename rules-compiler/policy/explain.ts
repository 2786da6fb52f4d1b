/** A decision of `evaluate` in words for people and in stable fields for machines. */
import type { RuleVerdict } from '../model/policy.ts'
import { type Decision, localAddress, peerAddress, type Reason } from './evaluate.ts'
import type { PolicyIr, RuleIr } from './ir.ts'
import type { Packet } from './packet.ts'
import { packetText, ruleName, ruleText } from './rule-text.ts'

/** Field names are a promise to scripts: they are added to, never renamed. */
export interface Explanation {
  readonly verdict: RuleVerdict
  /** The verdict is a drop, and the packet passes: the ENI is in observe mode. */
  readonly isObserved: boolean
  /** `name` says which exception; null for every other kind. */
  readonly reason: { readonly kind: Reason['kind']; readonly name: string | null }
  /** The deciding rule; null where no rule decided. */
  readonly ruleId: string | null
  /** The deciding rule's group, or the group whose inner access decided. */
  readonly groupId: string | null
  readonly priority: number | null
  /** Every rule that matches, in deciding order. */
  readonly matchingRules: readonly {
    readonly ruleId: string
    readonly groupId: string
    readonly policy: RuleVerdict
    readonly priority: number
  }[]
  readonly packet: Packet
}

export function explainJson(decision: Decision, packet: Packet): Explanation {
  const { verdict, isObserved, reason, matching } = decision
  return {
    verdict,
    isObserved,
    reason: { kind: reason.kind, name: reason.kind === 'exception' ? reason.name : null },
    ruleId: reason.kind === 'rule' ? reason.rule.id : null,
    groupId: reason.kind === 'rule' ? reason.rule.groupId : reason.kind === 'inner-access' ? reason.groupId : null,
    priority: reason.kind === 'rule' ? reason.rule.priority : null,
    matchingRules: matching.map(rule => ({
      ruleId: rule.id,
      groupId: rule.groupId,
      policy: rule.verdict,
      priority: rule.priority,
    })),
    packet,
  }
}

/** Several lines, ending in a newline: verdict, what decided, what else matched and why it lost. */
export function explainText(decision: Decision, packet: Packet, ir: PolicyIr): string {
  const lines = [
    `${decision.verdict}${decision.isObserved ? ', observed only: it passes' : ''}: ${packetText(packet)}`,
    `decided by ${reasonText(decision, packet, ir)}`,
    ...loserLines(decision),
  ]
  if (decision.verdict === 'accept') {
    lines.push('note: this accept is not final, a table of another program may still drop the packet; a drop is final')
  }
  return `${lines.join('\n')}\n`
}

function reasonText({ reason, verdict }: Decision, packet: Packet, ir: PolicyIr): string {
  const eni = ir.enis.find(({ id }) => id === packet.eniId)
  switch (reason.kind) {
    case 'rule':
      return `rule ${ruleName(reason.rule)}: ${ruleText(reason.rule)}`
    case 'inner-access':
      return `inner access: ${peerAddress(packet)} is a member of ${reason.groupId}, whose innerAccessPolicy is accept`
    case 'default':
      return `the default: no rule matches, and ${eni?.securityGroupIds.join(', ')} then ${verdict}s ${packet.direction}`
    case 'exception':
      return `an exception that rules cannot change: ${exceptionTexts[reason.name]}`
    case 'smtp':
      return 'the block on outbound TCP port 25: only private ranges are open until the instance has smtpUnblocked'
    case 'source-guard':
      return `the source guard: ${localAddress(packet)} is not an address of the ENI (${eni?.addresses.join(', ') || 'it has none'})`
    case 'invalid':
      return 'connection tracking: a packet of this kind cannot begin a session'
    case 'no-policy':
      return 'nothing: the ENI has no security group, so its device is left alone'
    default:
      return reason satisfies never
  }
}

const exceptionTexts = {
  dhcp: 'DHCP between client and server',
  dhcpv6: 'DHCPv6 between client and server',
  'neighbor-discovery': 'IPv6 neighbour and router discovery from the link',
  mld: 'IPv6 multicast listener discovery from the link',
  'control-connection': "the agent's own connection to its control daemon",
  rescue: 'an administrator of the host, from a rescue address to its port',
} as const

function loserLines({ reason, matching }: Decision): readonly string[] {
  const losers = reason.kind === 'rule' ? matching.slice(1) : matching
  if (losers.length === 0) return []
  const heading = reason.kind === 'rule' ? 'also match, but do not decide:' : 'match, but are not asked:'
  return [
    heading,
    ...losers.map(rule => {
      const why = reason.kind === 'rule' ? ` (${whyLost(rule, reason.rule)})` : ''
      return `  rule ${ruleName(rule)}: ${ruleText(rule)}${why}`
    }),
  ]
}

function whyLost(loser: RuleIr, winner: RuleIr): string {
  if (loser.priority > winner.priority) return `priority ${loser.priority} is weaker than ${winner.priority}`
  return loser.verdict === winner.verdict ? 'same priority, same verdict' : 'at the same priority a drop is stronger'
}
