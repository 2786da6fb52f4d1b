/**
 * The executable specification: one packet judged by the policy IR in memory. The compiled ruleset must give every
 * packet the verdict given here; where the two differ, one of them is wrong.
 */
import { type Cidr, cidrContains, containsAddress, familyOf, hostCidr } from '../address/cidr.ts'
import { firstIndex } from '../address/first-index.ts'
import { containsPort } from '../address/port-range.ts'
import { hasPorts, protocolInFamily, protocolMatches, protocolNumbers } from '../address/protocol.ts'
import { dhcpSources, discoverySources, linkLocal6, privateRanges } from '../address/ranges.ts'
import type { RuleVerdict } from '../model/policy.ts'
import type { EniIr, GroupMembers, PolicyIr, RuleIr } from './ir.ts'
import type { Packet } from './packet.ts'

export interface Decision {
  /** Of the rules, whatever the mode of the ENI. */
  readonly verdict: RuleVerdict
  /** The verdict is a drop, and the packet passes all the same: the ENI is only observed. */
  readonly isObserved: boolean
  readonly reason: Reason
  /**
   * Every rule of the packet's direction that matches it, in deciding order, also where no rule was asked: what is
   * printed as "would have matched".
   */
  readonly matching: readonly RuleIr[]
}

export type Reason =
  /** The first matching rule in deciding order: smallest priority, drop before accept. */
  | { readonly kind: 'rule'; readonly rule: RuleIr }
  /** The peer is a member of this group of the ENI, whose inner access policy is accept. */
  | { readonly kind: 'inner-access'; readonly groupId: string }
  /** No rule matches. */
  | { readonly kind: 'default' }
  /** Traffic a host cannot live without, never judged by rules. */
  | { readonly kind: 'exception'; readonly name: ExceptionName }
  /** Outbound TCP port 25 beyond private ranges, and the instance is not unblocked. */
  | { readonly kind: 'smtp' }
  /** A guest sent from an address that is not its own. */
  | { readonly kind: 'source-guard' }
  /** Conntrack begins no session with such a packet. */
  | { readonly kind: 'invalid' }
  /** The ENI has no group yet, so its device is left alone. */
  | { readonly kind: 'no-policy' }

export type ExceptionName = 'dhcp' | 'dhcpv6' | 'neighbor-discovery' | 'mld' | 'control-connection' | 'rescue'

/**
 * The verdict on a packet that begins a session, and what decided it: the steps of the front page’s drawing.
 * An ICMP packet without `icmpType` is taken for an echo request.
 * @throws {RangeError} if the policy has no ENI with the packet's `eniId`
 */
export function evaluate(ir: PolicyIr, packet: Packet): Decision {
  const eni = ir.enis.find(({ id }) => id === packet.eniId)
  if (eni === undefined) {
    if (ir.unattachedEnis.some(({ id }) => id === packet.eniId)) {
      return { ...accept({ kind: 'no-policy' }, []), isObserved: false }
    }
    throw new RangeError(`Cannot judge a packet at ENI "${packet.eniId}": expected an ENI of the policy`)
  }
  const judged = judge(ir, eni, packet)
  return { ...judged, isObserved: eni.isObserved && judged.verdict === 'drop' }
}

type Judgement = Omit<Decision, 'isObserved'>

function judge(ir: PolicyIr, eni: EniIr, packet: Packet): Judgement {
  const { rules, defaultVerdict } = eni[packet.direction]
  const ends: Ends = { peer: hostCidr(peerAddress(packet)), local: hostCidr(localAddress(packet)) }
  const matching = rules.filter(rule => ruleMatches(rule, packet, ends, ir.groups))

  const discovery = discoveryKind(packet)
  if (discovery !== null) {
    if (!isOnLink(discovery, packet)) return drop({ kind: 'invalid' }, matching)
    if (!guestMaySendFrom(eni, packet, discoverySources)) return drop({ kind: 'source-guard' }, matching)
    return accept({ kind: 'exception', name: discovery }, matching)
  }
  if (!canBeginSession(packet)) return drop({ kind: 'invalid' }, matching)

  const dhcp = dhcpKind(packet)
  if (dhcp !== null && guestMaySendFrom(eni, packet, dhcpSources)) {
    return accept({ kind: 'exception', name: dhcp }, matching)
  }
  if (!guestMaySendFrom(eni, packet, [])) return drop({ kind: 'source-guard' }, matching)
  if (isControlConnection(eni, packet)) return accept({ kind: 'exception', name: 'control-connection' }, matching)
  if (isRescue(eni, packet)) return accept({ kind: 'exception', name: 'rescue' }, matching)
  if (eni.smtpBlocked && isOutboundSmtp(packet)) return drop({ kind: 'smtp' }, matching)

  const peer = peerAddress(packet)
  const innerGroupId = eni.innerGroupIds.find(groupId => isMember(ir.groups.get(groupId), peer))
  if (innerGroupId !== undefined) return accept({ kind: 'inner-access', groupId: innerGroupId }, matching)

  // Rules stand in deciding order, so the first that matches has the smallest priority and is a drop if any is.
  const deciding = matching[0]
  if (deciding !== undefined) return { verdict: deciding.verdict, reason: { kind: 'rule', rule: deciding }, matching }
  return { verdict: defaultVerdict, reason: { kind: 'default' }, matching }
}

/** The addresses of a packet, as blocks. */
interface Ends {
  readonly peer: Cidr
  readonly local: Cidr
}

/** Whether a rule's protocol, ports, peer and own side all match; its direction is taken to be the packet's. */
function ruleMatches(rule: RuleIr, packet: Packet, { peer, local }: Ends, groups: PolicyIr['groups']): boolean {
  return (
    protocolInFamily(rule.protocol, peer.family) &&
    protocolMatches(rule.protocol, packet.protocol) &&
    (!hasPorts(rule.protocol) ||
      (containsPort(rule.ports, packet.destinationPort) && containsPort(rule.sourcePorts, packet.sourcePort))) &&
    (rule.peer.kind === 'group'
      ? isMember(groups.get(rule.peer.groupId), peerAddress(packet))
      : rule.peer.cidrs.some(cidr => cidrContains(cidr, peer))) &&
    (rule.local === null || cidrContains(rule.local, local))
  )
}

/** The far side of a packet: what a rule's authorization object is compared with. */
export function peerAddress(packet: Packet): string {
  return packet.direction === 'ingress' ? packet.source : packet.destination
}

/** The ENI's own side of a packet. */
export function localAddress(packet: Packet): string {
  return packet.direction === 'ingress' ? packet.destination : packet.source
}

function isMember(members: GroupMembers | undefined, address: string): boolean {
  const addresses = members?.[familyOf(address)] ?? []
  return addresses[firstIndex(addresses.length, index => addresses[index]! >= address)] === address
}

/**
 * Neighbour and router discovery (RFC 4861) and multicast listener discovery (RFC 2710, RFC 3810), which conntrack
 * does not track (nf_conntrack_proto_icmpv6.c, `noct_valid_new`).
 */
function discoveryKind(packet: Packet): 'neighbor-discovery' | 'mld' | null {
  if (familyOf(packet.source) !== 'ip6' || packet.protocol !== protocolNumbers.icmpv6) return null
  switch (packet.icmpType) {
    case 133: // router solicitation
    case 134: // router advertisement
    case 135: // neighbour solicitation
    case 136: // neighbour advertisement
      return 'neighbor-discovery'
    case 130: // listener query
    case 131: // listener report
    case 132: // listener done
    case 143: // listener report, version 2
      return 'mld'
    default:
      return null
  }
}

/** Discovery must come from the link itself: a router lowers the hop limit and forwards no link-local source. */
function isOnLink(discovery: 'neighbor-discovery' | 'mld', packet: Packet): boolean {
  return discovery === 'neighbor-discovery' ? packet.hopLimit === 255 : inAny(discoverySources, packet.source)
}

/**
 * Whether conntrack makes an entry for a first packet of this kind: of ICMP only the questions do (`valid_new` in
 * nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c), and ICMP in the other family never does.
 */
function canBeginSession(packet: Packet): boolean {
  const family = familyOf(packet.source)
  if (packet.protocol === protocolNumbers.icmp) {
    // echo request, timestamp, information request, address mask request
    return family === 'ip' && [8, 13, 15, 17].includes(packet.icmpType ?? 8)
  }
  if (packet.protocol === protocolNumbers.icmpv6) {
    // echo request, node information query
    return family === 'ip6' && [128, 139].includes(packet.icmpType ?? 128)
  }
  return true
}

/** A DHCP or DHCPv6 exchange between the ENI's client and a server, by its ports (RFC 2131 4.1, RFC 8415 7.2). */
function dhcpKind(packet: Packet): 'dhcp' | 'dhcpv6' | null {
  if (packet.protocol !== protocolNumbers.udp) return null
  const egress = packet.direction === 'egress'
  const clientPort = egress ? packet.sourcePort : packet.destinationPort
  const serverPort = egress ? packet.destinationPort : packet.sourcePort
  if (familyOf(packet.source) === 'ip') return clientPort === 68 && serverPort === 67 ? 'dhcp' : null
  const fromLink = containsAddress(linkLocal6, localAddress(packet))
  return clientPort === 546 && serverPort === 547 && fromLink ? 'dhcpv6' : null
}

/** The source guard: a guest sends from the ENI's addresses, or from those the exchange allows besides. */
function guestMaySendFrom(eni: EniIr, packet: Packet, alsoFrom: readonly Cidr[]): boolean {
  if (eni.placement === 'host' || packet.direction === 'ingress') return true
  return eni.addresses.includes(packet.source) || inAny(alsoFrom, packet.source)
}

function isControlConnection(eni: EniIr, packet: Packet): boolean {
  return (
    packet.direction === 'egress' &&
    packet.protocol === protocolNumbers.tcp &&
    eni.controlConnections.some(
      ({ address, port }) => address === packet.destination && port === packet.destinationPort,
    )
  )
}

function isRescue(eni: EniIr, packet: Packet): boolean {
  return (
    packet.direction === 'ingress' &&
    packet.protocol === protocolNumbers.tcp &&
    eni.rescue.some(({ source, port }) => port === packet.destinationPort && containsAddress(source, packet.source))
  )
}

function isOutboundSmtp(packet: Packet): boolean {
  return (
    packet.direction === 'egress' &&
    packet.protocol === protocolNumbers.tcp &&
    packet.destinationPort === 25 &&
    !inAny(privateRanges, packet.destination)
  )
}

function inAny(cidrs: readonly Cidr[], address: string): boolean {
  return cidrs.some(cidr => containsAddress(cidr, address))
}

function accept(reason: Reason, matching: readonly RuleIr[]): Judgement {
  return { verdict: 'accept', reason, matching }
}

function drop(reason: Reason, matching: readonly RuleIr[]): Judgement {
  return { verdict: 'drop', reason, matching }
}
