/** Counting what is inbound on an ENI. */
import { families } from '../address/cidr.ts'
import { loopbackRanges, privateRanges } from '../address/ranges.ts'
import { trafficTypes } from '../model/traffic.ts'
import { accept, count } from '../nft/expressions.ts'
import type { Verdict } from '../nft/ruleset.ts'
import type { ScrubEni, ScrubIr } from './ir.ts'
import { offeredCounter } from './names.ts'
import {
  isFragment,
  isFrom,
  isFromDnsPort,
  isProtocol,
  opensConnection,
  type ScrubRule,
  type ScrubStatement,
} from './statements.ts'

export function offeredCounters(eni: ScrubEni): readonly string[] {
  return [...trafficTypes, 'out-of-scope' as const].map(type => offeredCounter(eni.id, type))
}

/** Each packet is counted once; what is in scope goes on to the defence, where there is one. */
export function measuringRules(eni: ScrubEni, scope: ScrubIr['trafficScope'], next: Verdict): readonly ScrubRule[] {
  const counted = (type: Parameters<typeof offeredCounter>[1], verdict: Verdict): readonly ScrubStatement[] => [
    count(offeredCounter(eni.id, type)),
    verdict,
  ]
  return [
    ...outOfScope(scope).map(statements => [...statements, ...counted('out-of-scope', accept)]),
    ...families.map(family => [isFragment[family], ...counted('fragments', next)]),
    // TCP too short to have flags matches no comparison of them: the rule ends there.
    [isProtocol('tcp'), opensConnection, ...counted('tcp-syn', next)],
    [isProtocol('tcp'), ...counted('tcp', next)],
    [isProtocol('udp'), isFromDnsPort, ...counted('dns-answers', next)],
    [isProtocol('udp'), ...counted('udp', next)],
    [isProtocol('icmp', 'icmpv6'), ...counted('icmp', next)],
    counted('other', next),
  ]
}

/** A list of conditions, each of which is out of scope. */
export function outOfScope(scope: ScrubIr['trafficScope']): readonly (readonly ScrubStatement[])[] {
  if (scope === 'all') return []
  const blocks = [...privateRanges, ...loopbackRanges]
  return families.map(family =>
    isFrom(
      family,
      blocks.filter(block => block.family === family),
    ),
  )
}
