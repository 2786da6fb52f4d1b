/** A packet out of a box, made of values that people recognise where the box leaves a choice. */
import { containsPort, type PortRange } from '../address/port-range.ts'
import { protocolNumbers } from '../address/protocol.ts'
import type { Direction, SecurityGroup } from '../model/policy.ts'
import type { Packet } from '../policy/packet.ts'
import type { Context } from './contexts.ts'
import { type AddressSpan, addressesIn, addressesOf, portsOf, protocolsOf, spanContains } from './space.ts'
import type { Region } from './standing.ts'

/** Addresses of the documentation and benchmarking ranges (RFC 5737, RFC 2544, RFC 3849). */
export const knownPeers = ['203.0.113.9', '198.51.100.9', '2001:db8::9']
const knownLocals = ['198.18.0.2', '2001:db8::2']
const knownPorts = [443, 80, 8080]
const clientPort = 40_000

/**
 * A packet of the region.
 * @param groupId  the group its peer is a member of, if any; otherwise a peer that is in no group is preferred
 * @returns null where the group has no member there
 */
export function makeWitness(
  groups: readonly SecurityGroup[],
  context: Context,
  direction: Direction,
  { space, box }: Region,
  groupId: string | null,
): Packet | null {
  const peer = pickPeer(groups, addressesOf(space, box, 'peer'), groupId)
  if (peer === null) return null
  const localSpan = addressesOf(space, box, 'local')
  const local =
    [...context.eni.addresses, ...knownLocals].find(address => spanContains(localSpan, address)) ?? firstOf(localSpan)
  const protocol = protocolsOf(space, box)[0]!
  const hasPorts = protocol === protocolNumbers.tcp || protocol === protocolNumbers.udp
  const icmpType = protocol === protocolNumbers.icmp ? 8 : protocol === protocolNumbers.icmpv6 ? 128 : null
  return {
    eniId: context.eniIds[0] ?? '',
    direction,
    protocol,
    source: direction === 'ingress' ? peer : local,
    destination: direction === 'ingress' ? local : peer,
    sourcePort: hasPorts ? pickPort(portsOf(box, 'sourcePort'), [clientPort]) : 0,
    destinationPort: hasPorts ? pickPort(portsOf(box, 'port'), knownPorts) : 0,
    ...(icmpType === null ? {} : { icmpType }),
  }
}

function pickPeer(groups: readonly SecurityGroup[], span: AddressSpan, groupId: string | null): string | null {
  if (groupId !== null) {
    const members = groups.find(group => group.id === groupId)?.members ?? []
    return members.find(address => spanContains(span, address)) ?? null
  }
  const members = membersOfAll(groups)
  const isNobody = (address: string) => !members.has(address)
  const known = knownPeers.find(address => spanContains(span, address) && isNobody(address))
  return known ?? addressesIn(span, members.size + 1).find(isNobody) ?? firstOf(span)
}

/** Asked for every finding of a policy, whose groups are the same list each time. */
const membersByGroups = new WeakMap<readonly SecurityGroup[], ReadonlySet<string>>()

function membersOfAll(groups: readonly SecurityGroup[]): ReadonlySet<string> {
  const known = membersByGroups.get(groups)
  if (known !== undefined) return known
  const members = new Set(groups.flatMap(group => group.members))
  membersByGroups.set(groups, members)
  return members
}

function firstOf(span: AddressSpan): string {
  return addressesIn(span, 1).next().value!
}

/** Port 0 only where there is no other: no program listens there. */
function pickPort(range: PortRange, known: readonly number[]): number {
  return known.find(port => containsPort(range, port)) ?? Math.min(Math.max(range.first, 1), range.last)
}
