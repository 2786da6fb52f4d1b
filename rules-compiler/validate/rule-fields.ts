/**
 * Which fields of a rule say what. Egress has the fields of ingress with source and destination changed over, so what
 * a field means depends on the rule's direction; everything that asks goes through here.
 */
import type { Cidr } from '../address/cidr.ts'
import type { Peer } from '../model/policy.ts'
import { isGiven, type Sound } from './read-shape.ts'
import type { FileRule } from './schema.ts'

const sourceFields = {
  cidrs: ['sourceCidrIp', 'ipv6SourceCidrIp'],
  group: 'sourceGroupId',
  owners: ['sourceGroupOwnerAccount', 'sourceGroupOwnerId'],
  prefixList: 'sourcePrefixListId',
} as const

const destinationFields = {
  cidrs: ['destCidrIp', 'ipv6DestCidrIp'],
  group: 'destGroupId',
  owners: ['destGroupOwnerAccount', 'destGroupOwnerId'],
  prefixList: 'destPrefixListId',
} as const

/** `peer` is the side of the authorization object, `local` the ENI's own, of which CIDR blocks alone can be said. */
export const sidesOf = {
  ingress: { peer: sourceFields, local: destinationFields },
  egress: { peer: destinationFields, local: sourceFields },
} as const

/** The fields of one side that name a peer; a rule has exactly one of its peer side's. */
export function objectFields(side: typeof sourceFields | typeof destinationFields) {
  return [...side.cidrs, side.group, side.prefixList] as const
}

/** The authorization object and the field that says it; null where the rule is faulty there. */
export function peerOf(rule: Sound<FileRule>): { readonly field: keyof FileRule; readonly peer: Peer } | null {
  if (rule.direction === undefined) return null
  const side = sidesOf[rule.direction].peer
  const [field, ...others] = objectFields(side).filter(name => isGiven(rule, name))
  if (field === undefined || others.length > 0) return null
  if (field === side.group) return groupPeer(field, rule[field])
  if (field === side.prefixList) return prefixListPeer(field, rule[field])
  const cidr = rule[field] as Cidr | undefined
  return cidr === undefined ? null : { field, peer: { kind: 'cidr', cidr } }
}

function groupPeer(field: keyof FileRule, groupId: string | undefined) {
  return groupId === undefined ? null : { field, peer: { kind: 'group', groupId } as const }
}

function prefixListPeer(field: keyof FileRule, prefixListId: string | undefined) {
  return prefixListId === undefined ? null : { field, peer: { kind: 'prefixList', prefixListId } as const }
}

/** What narrows the ENI's own side and the field that says it; null where nothing does or the rule is faulty there. */
export function localOf(rule: Sound<FileRule>): { readonly field: keyof FileRule; readonly cidr: Cidr } | null {
  if (rule.direction === undefined) return null
  for (const field of sidesOf[rule.direction].local.cidrs) {
    const cidr = rule[field]
    if (cidr !== undefined) return { field, cidr }
  }
  return null
}
