/** Protocols a rule can name, and the IP protocol numbers packets carry (IANA protocol-numbers registry). */
import type { Family } from './cidr.ts'

export const ruleProtocols = ['all', 'tcp', 'udp', 'icmp', 'icmpv6', 'gre'] as const
export type RuleProtocol = (typeof ruleProtocols)[number]

export const protocolNumbers = { icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58 } as const

export function hasPorts(protocol: RuleProtocol): protocol is 'tcp' | 'udp' {
  return protocol === 'tcp' || protocol === 'udp'
}

/**
 * Whether a rule's protocol can match packets of a family: `icmp` is ICMPv4 only and `icmpv6` ICMPv6 only, whatever
 * the address object says.
 */
export function protocolInFamily(protocol: RuleProtocol, family: Family): boolean {
  return !(protocol === 'icmp' && family === 'ip6') && !(protocol === 'icmpv6' && family === 'ip')
}

/** Whether a rule's protocol matches a packet's IP protocol number, family apart. */
export function protocolMatches(protocol: RuleProtocol, number: number): boolean {
  return protocol === 'all' || protocolNumbers[protocol] === number
}
