/** A limit of its own for each flood type that stands out, by the packet alone; known sources do not come here. */
import { type Family, families } from '../address/cidr.ts'
import { type LaneType, laneTypes, type TrafficRate } from '../model/traffic.ts'
import { addressType, goto } from '../nft/expressions.ts'
import type { Cleaning } from './defence.ts'
import { closeLimits, limitText, measures } from './limits.ts'
import { defencePart, laneLimit, seenSynSet } from './names.ts'
import type { Scaffold } from './scaffold.ts'
import {
  isElement,
  isFragment,
  isFromDnsPort,
  isProtocol,
  opensConnection,
  remember,
  returns,
  type ScrubExpression,
  type ScrubRule,
  type ScrubStatement,
  source,
  tcpSourcePort,
} from './statements.ts'

/**
 * SYNs seen once. Clients send theirs again after 1, 3 and 7 seconds (RFC 6298, section 2), so the first and the second
 * gap are bridged: what is seen again is remembered anew. 100,000 forged ones a second fill the set; of more, as large a
 * part is remembered as fits, and a client's the later ones with the same luck.
 */
const seenSyn = { size: 262_144, timeoutSeconds: 3 } as const

/** Returns for what no lane holds down. */
export function addLanes(scaffold: Scaffold, { lanes, total }: Cleaning): void {
  const part = (name: Parameters<typeof defencePart>[1]) => defencePart(scaffold.instanceId, name)
  // Fragments never get as far as the total: conntrack holds them back until their packet is whole.
  const all = new Map<LaneType, TrafficRate>([['fragments', total], ...lanes])
  const toLane = (lane: LaneType): ScrubStatement => (all.has(lane) ? goto(part(`lane/${lane}`)) : returns)
  scaffold.addChain(part('lanes'), [
    ...families.map(family => [isFragment[family], toLane('fragments')]),
    [isProtocol('tcp'), opensConnection, toLane('syn')],
    [isProtocol('tcp'), returns],
    [isProtocol('udp'), isFromDnsPort, toLane('dns-answers')],
    [isProtocol('udp'), toLane('udp')],
    [isProtocol('icmp', 'icmpv6'), toLane('icmp')],
    [toLane('other')],
  ])
  for (const lane of laneTypes) {
    const rate = all.get(lane)
    if (rate === undefined) continue
    if (lane === 'syn') addSynLane(scaffold, limited(scaffold, lane, rate))
    else scaffold.addChain(part(`lane/${lane}`), limited(scaffold, lane, rate))
  }
}

function limited(scaffold: Scaffold, lane: LaneType, rate: TrafficRate): readonly ScrubRule[] {
  const limits = closeLimits(rate)
  return measures.map(measure => [
    scaffold.limited(laneLimit(scaffold.instanceId, lane, limitText(limits[measure])), limits[measure]),
    ...scaffold.dropAs(lane),
  ])
}

/** The first SYN of a connection is dropped and remembered, and passes within the limit when it comes again. */
function addSynLane(scaffold: Scaffold, within: readonly ScrubRule[]): void {
  const connection = (family: Family): ScrubExpression => ({ concat: [source(family), tcpSourcePort] })
  const seen = (family: Family) => seenSynSet(scaffold.instanceId, family)
  const again = defencePart(scaffold.instanceId, 'lane/syn/again')
  for (const family of families) {
    scaffold.addSet(seen(family), { key: [addressType[family], 'inet_service'], ...seenSyn })
  }
  scaffold.addChain(defencePart(scaffold.instanceId, 'lane/syn'), [
    ...families.map(family => [isElement(connection(family), seen(family)), goto(again)]),
    ...families.map(family => [remember('add', seen(family), connection(family))]),
    // A rule of its own, so that it also drops where the set is full.
    scaffold.dropAs('syn'),
  ])
  scaffold.addChain(again, [
    ...families.map(family => [remember('update', seen(family), connection(family))]),
    ...within,
  ])
}
