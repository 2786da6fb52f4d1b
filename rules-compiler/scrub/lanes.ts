/** A limit of its own for each flood type that stands out, by the packet alone; known sources do not come here. */
import { type Family, families } from '../address/cidr.ts'
import { type LaneType, laneTypes, type TrafficRate } from '../model/traffic.ts'
import { addressType, goto } from '../nft/expressions.ts'
import type { Cleaning } from './defence.ts'
import { closeLimits, limitText, measures } from './limits.ts'
import { defencePart, laneLimit, recentSynSet, seenSynSet } from './names.ts'
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
 * Clients send a SYN again after 1, 3 and 7 seconds (RFC 6298, section 2), so the first and the second gap are bridged:
 * what is seen again is remembered anew. 100,000 forged ones a second fill the set; of more, as large a part is remembered
 * as fits, and a client's the later ones with the same luck.
 */
const seen = { size: 262_144, timeoutSeconds: 3 } as const
/** Whoever is back sooner is no client: floods that go round a stock of packets are. Each time lengthens the wait. */
const recent = { size: 131_072, timeoutSeconds: 1 } as const

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

/** The first SYN of a connection is dropped and remembered; it passes within the limit when it comes again in good time. */
function addSynLane(scaffold: Scaffold, within: readonly ScrubRule[]): void {
  const { instanceId } = scaffold
  const connection = (family: Family): ScrubExpression => ({ concat: [source(family), tcpSourcePort] })
  const seenSet = (family: Family) => seenSynSet(instanceId, family)
  const recentSet = (family: Family) => recentSynSet(instanceId, family)
  const early = defencePart(instanceId, 'lane/syn/early')
  const again = defencePart(instanceId, 'lane/syn/again')
  for (const family of families) {
    const key = [addressType[family], 'inet_service'] as const
    scaffold.addSet(seenSet(family), { key, ...seen })
    scaffold.addSet(recentSet(family), { key, ...recent })
  }
  const remembered = (op: 'add' | 'update', set: (family: Family) => string) =>
    families.map((family): ScrubRule => [remember(op, set(family), connection(family))])
  scaffold.addChain(defencePart(instanceId, 'lane/syn'), [
    ...families.map(family => [isElement(connection(family), recentSet(family)), goto(early)]),
    ...families.map(family => [isElement(connection(family), seenSet(family)), goto(again)]),
    ...remembered('add', seenSet),
    [goto(early)],
  ])
  scaffold.addChain(early, [
    ...remembered('update', recentSet),
    // A rule of its own, so that it also drops where the set is full.
    scaffold.dropAs('syn'),
  ])
  scaffold.addChain(again, [...remembered('update', seenSet), ...remembered('update', recentSet), ...within])
}
