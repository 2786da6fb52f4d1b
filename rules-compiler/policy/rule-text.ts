/** Rules and packets as people read them, in one line. */
import { familyOf } from '../address/cidr.ts'
import { isAllPorts, portRangeText } from '../address/port-range.ts'
import { hasPorts, protocolNumbers } from '../address/protocol.ts'
import type { RuleIr } from './ir.ts'
import type { Packet } from './packet.ts'

/** What identifies a rule: `sgr-1 of sg-web`. */
export function ruleName(rule: RuleIr): string {
  return `${rule.id} of ${rule.groupId}`
}

/**
 * What a rule says: `accept tcp 22 from 203.0.113.0/24, priority 1`.
 * @param ports  of all ranges, where the rule has several
 */
export function ruleText(rule: RuleIr, ports = portRangeText(rule.ports)): string {
  const [peerWord, localWord] = rule.direction === 'ingress' ? ['from', 'to'] : ['to', 'from']
  const words: string[] = [rule.verdict, rule.protocol]
  if (hasPorts(rule.protocol)) {
    words.push(ports)
    if (!isAllPorts(rule.sourcePorts)) words.push(`source port ${portRangeText(rule.sourcePorts)}`)
  }
  words.push(peerWord, peerText(rule))
  if (rule.local !== null) words.push(localWord, rule.local.text)
  return `${words.join(' ')}, priority ${rule.priority}`
}

function peerText({ peer }: RuleIr): string {
  if (peer.kind === 'group') return peer.groupId
  return peer.prefixListId ?? peer.cidrs.map(cidr => cidr.text).join(', ')
}

/** `tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)`; without ENI where the packet names none. */
export function packetText(packet: Packet): string {
  const place = packet.eniId === '' ? packet.direction : `${packet.direction} at ${packet.eniId}`
  const source = endText(packet.protocol, packet.source, packet.sourcePort)
  const destination = endText(packet.protocol, packet.destination, packet.destinationPort)
  const type = packet.icmpType === undefined ? '' : ` type ${packet.icmpType}`
  const hops = packet.hopLimit === undefined ? '' : ` hop limit ${packet.hopLimit}`
  return `${protocolText(packet.protocol)}${type} ${source} -> ${destination}${hops} (${place})`
}

/** The name of a protocol that rules can name, and the number of any other. */
export function protocolText(protocol: number): string {
  const named = Object.entries(protocolNumbers).find(([, number]) => number === protocol)
  return named === undefined ? `protocol ${protocol}` : named[0]
}

function endText(protocol: number, address: string, port: number): string {
  if (protocol !== protocolNumbers.tcp && protocol !== protocolNumbers.udp) return address
  return familyOf(address) === 'ip' ? `${address}:${port}` : `[${address}]:${port}`
}
