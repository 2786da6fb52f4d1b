/**
 * Random packets aimed where a ruleset can be wrong: at the first and last address and port of every rule and one
 * beyond, at members and their neighbours, at every protocol a rule can and cannot name, at the exceptions.
 */
import { addressBits, addressText, addressValue, type Family, familyOf } from '../../rules-compiler/address/cidr.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { EniIr, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { isForwarded } from './injections.ts'
import { protocol } from './packets/craft.ts'
import type { Random } from './random.ts'

/** Echo, other questions, answers without a question, errors of no session, neighbour discovery. */
const icmpTypes = { ip: [8, 8, 8, 13, 17, 0, 3, 5], ip6: [128, 128, 128, 139, 129, 1, 2, 135, 137] } as const

const withPorts: readonly number[] = [protocol.tcp, protocol.udp, protocol.sctp]

/**
 * Packets for one ENI, both directions, no two of one session: the verdict on one says nothing about another.
 * @returns `count` packets at most; less where the policy's edges give no more
 */
export function makePackets(random: Random, ir: PolicyIr, eni: EniIr, count: number): readonly Packet[] {
  const packets: Packet[] = []
  const sessions = new Set<string>()
  for (let attempt = 0; attempt < count * 4 && packets.length < count; attempt += 1) {
    const packet = makePacket(random, ir, eni)
    if (packet === null || !isForwarded(packet)) continue
    const ends = [`${packet.source} ${packet.sourcePort}`, `${packet.destination} ${packet.destinationPort}`].sort()
    // Identifiers make sessions of ICMP questions different, but not of what conntrack does not track.
    const session = `${packet.protocol} ${packet.icmpType ?? ''} ${ends.join(' ')}`
    if (sessions.has(session) || packet.source === packet.destination) continue
    sessions.add(session)
    packets.push(packet)
  }
  return packets
}

function makePacket(random: Random, ir: PolicyIr, eni: EniIr): Packet | null {
  const direction: Direction = random.pick(['ingress', 'egress'])
  const { rules } = eni[direction]
  const rule = rules.length === 0 || random.chance(0.1) ? null : random.pick(rules)
  const peer = pickPeer(random, ir, rule, eni)
  if (peer === null) return null
  const family = familyOf(peer)
  const number = pickProtocol(random, rule, family)
  const local = pickLocal(random, rule, eni, family)
  const [source, destination] = direction === 'ingress' ? [peer, local] : [local, peer]
  const packet = { eniId: eni.id, direction, protocol: number, source, destination, sourcePort: 0, destinationPort: 0 }
  if (number === protocol.icmp || number === protocol.icmpv6) {
    const hopLimit = random.chance(0.5) && canArriveUnrouted(eni, direction) ? 255 : 64
    return { ...packet, icmpType: random.pick(icmpTypes[family]), hopLimit }
  }
  if (!withPorts.includes(number)) return packet
  if (random.chance(0.02)) return { ...packet, ...dhcpPorts(random, family, direction) }
  if (random.chance(0.01) && direction === 'egress' && family === 'ip') {
    return { ...packet, destination: '203.0.113.99', destinationPort: random.pick([8443, 8442]), sourcePort: 1 }
  }
  const rescue = direction === 'ingress' ? eni.rescue.find(({ source }) => source.family === family) : undefined
  if (rescue !== undefined && random.chance(0.1)) {
    const { source, port } = rescue
    const end = addressText(family, random.pick([source.first, source.last]))
    return { ...packet, source: near(random, end), destinationPort: random.pick([port, port + 1]), sourcePort: 40_000 }
  }
  return {
    ...packet,
    destinationPort: random.chance(0.05) ? 25 : pickPort(random, rule?.ports ?? null),
    sourcePort: pickPort(random, rule !== null && random.chance(0.5) ? rule.sourcePorts : null),
  }
}

/** What comes in from d0 stands there as it was sent; what goes out of it was forwarded, and its hop limit lowered. */
function canArriveUnrouted(eni: EniIr, direction: Direction): boolean {
  return (eni.placement === 'host') === (direction === 'ingress')
}

function pickPeer(random: Random, ir: PolicyIr, rule: RuleIr | null, eni: EniIr): string | null {
  const named = rule === null ? random.pick([...ir.groups.keys(), ...eni.innerGroupIds, null]) : null
  const groupId = rule?.peer.kind === 'group' ? rule.peer.groupId : named
  if (groupId !== null) {
    const members = ir.groups.get(groupId)
    const addresses = [...(members?.ip ?? []), ...(members?.ip6 ?? [])]
    return addresses.length === 0 ? null : near(random, random.pick(addresses))
  }
  if (rule?.peer.kind !== 'cidrs' || rule.peer.cidrs.length === 0) {
    return random.pick(['203.0.113.77', '10.1.2.3', '8.8.8.8', '2001:db8:1::1', '2400::1', 'fd00::1'])
  }
  const { family, first, last } = random.pick(rule.peer.cidrs)
  const inside = first + ((last - first) * BigInt(random.integer(0, 1000))) / 1000n
  const value = random.pick([first, first, last, last, inside, first - 1n, last + 1n])
  return value < 0n || value >= 1n << BigInt(addressBits[family]) ? null : addressText(family, value)
}

function pickLocal(random: Random, rule: RuleIr | null, eni: EniIr, family: Family): string {
  const own = eni.addresses.filter(address => familyOf(address) === family)
  if (rule?.local?.family === family && random.chance(0.4)) {
    return addressText(family, random.pick([rule.local.first, rule.local.last, rule.local.last + 1n]))
  }
  return random.chance(0.1) ? near(random, random.pick(own)) : random.pick(own)
}

function near(random: Random, address: string): string {
  const family = familyOf(address)
  const value = addressValue(address) + random.pick([0n, 0n, 0n, 1n, -1n])
  return value < 0n || value >= 1n << BigInt(addressBits[family]) ? address : addressText(family, value)
}

function pickProtocol(random: Random, rule: RuleIr | null, family: Family): number {
  const icmp = family === 'ip' ? protocol.icmp : protocol.icmpv6
  if (rule !== null && random.chance(0.6)) {
    if (rule.protocol === 'icmp' || rule.protocol === 'icmpv6') return protocol[rule.protocol]
    if (rule.protocol !== 'all') return protocol[rule.protocol]
  }
  const rare = [protocol.gre, protocol.sctp, protocol.experimental, 50, protocol.icmp, protocol.icmpv6]
  return random.pick([protocol.tcp, protocol.tcp, protocol.udp, icmp, random.pick(rare)])
}

function dhcpPorts(
  random: Random,
  family: Family,
  direction: Direction,
): Pick<Packet, 'sourcePort' | 'destinationPort'> {
  const [client, server] = family === 'ip' ? [68, 67] : [546, 547]
  const asked = random.chance(0.8) === (direction === 'egress')
  return asked ? { sourcePort: client, destinationPort: server } : { sourcePort: server, destinationPort: client }
}

/** Port 0 is no port a rule names, but one a packet can carry. */
function pickPort(random: Random, range: { readonly first: number; readonly last: number } | null): number {
  if (range === null || random.chance(0.2)) return random.pick([0, 1, 22, 80, 65_535, random.integer(1, 65_535)])
  const inside = random.integer(range.first, range.last)
  return Math.min(65_535, Math.max(0, random.pick([range.first, range.last, inside, range.first - 1, range.last + 1])))
}
