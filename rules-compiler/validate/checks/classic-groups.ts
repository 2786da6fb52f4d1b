/** What is for classic networks only, and what classic networks ask of it. */
import type { Cidr } from '../../address/cidr.ts'
import type { Peer } from '../../model/policy.ts'
import { type Check, type CheckContext, networkType, type PlacedRule } from '../check-context.ts'
import { peerOf } from '../rule-fields.ts'

export const classicGroups: Check = context => {
  for (const { item, path, rules } of context.groups) {
    const network = networkType(item)
    if (network === undefined) continue
    if (network === 'classic' && item.vpcId !== undefined) {
      const expected = 'no vpcId in a classic group'
      context.report.add('conflict', `${path}.vpcId`, { action: 'use', value: item.vpcId, expected })
    }
    for (const rule of rules) {
      checkNicType(rule, network, context)
      if (network === 'classic') checkIntranetIngress(rule, context)
    }
  }
}

/** Rules between groups are intranet rules on either network; otherwise the word means something on classic only. */
function checkNicType({ item, path }: PlacedRule, network: 'vpc' | 'classic', { report }: CheckContext): void {
  const { nicType } = item
  const named = peerOf(item)
  if (nicType === undefined || named === null) return
  const isBetweenGroups = named.peer.kind === 'group'
  const isAllowed = isBetweenGroups ? nicType === 'intranet' : network === 'classic'
  if (isAllowed) return
  const expected = isBetweenGroups
    ? '"intranet", which rules with a group object are'
    : 'no nicType: a rule of a VPC group is for every ENI'
  report.add('conflict', `${path}.nicType`, { action: 'use', value: nicType, expected })
}

/** The intranet of a classic network is shared by all its tenants: a block would let strangers in. */
function checkIntranetIngress({ item, path }: PlacedRule, context: CheckContext): void {
  const named = peerOf(item)
  if (item.direction !== 'ingress' || item.nicType !== 'intranet' || named === null) return
  const block = cidrsOf(named.peer, context).find(cidr => cidr.family !== 'ip' || cidr.prefixLength !== 32)
  if (block === undefined) return
  const expected = 'a single IPv4 address (/32) for intranet ingress on a classic network'
  context.report.add('conflict', `${path}.${named.field}`, { action: 'use', value: block.text, expected })
}

function cidrsOf(peer: Peer, { prefixListById }: CheckContext): readonly Cidr[] {
  switch (peer.kind) {
    case 'cidr':
      return [peer.cidr]
    case 'group':
      return []
    case 'prefixList': {
      const entries = prefixListById.get(peer.prefixListId)?.item.entries ?? []
      return entries.filter(entry => entry !== undefined)
    }
    default:
      return peer satisfies never
  }
}
