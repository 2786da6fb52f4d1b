/** Between rules and packets and their boxes (coverage.ts), for one direction and family of one set of groups. */
import { addressText, addressValue, type Cidr, type Family, familyOf, makeCidr } from '../address/cidr.ts'
import { allPorts, type PortRange } from '../address/port-range.ts'
import { hasPorts, protocolInFamily, protocolNumbers, type RuleProtocol } from '../address/protocol.ts'
import type { RuleIr } from '../policy/ir.ts'
import { axes, type Box } from './coverage.ts'

/**
 * The protocol axis. Rules tell these apart and no others, so one number stands for all the rest: ESP, for a witness.
 * ICMP in the other family is no class, because conntrack drops it before rules are asked.
 */
const protocolClasses = {
  ip: [protocolNumbers.icmp, protocolNumbers.tcp, protocolNumbers.udp, protocolNumbers.gre, 50],
  ip6: [protocolNumbers.icmpv6, protocolNumbers.tcp, protocolNumbers.udp, protocolNumbers.gre, 50],
} as const satisfies Record<Family, readonly number[]>

export interface Space {
  readonly family: Family
  /** First address of each stretch between the ends of blocks, ascending; the coordinate is the index. */
  readonly starts: readonly bigint[]
  readonly indexOf: ReadonlyMap<bigint, number>
}

/** A space in which all the given blocks of the family begin and end between coordinates. */
export function makeSpace(family: Family, blocks: readonly Cidr[]): Space {
  const everywhere = makeCidr(family, 0n, 0)
  const own = blocks.filter(block => block.family === family)
  const ends = new Set([everywhere, ...own].flatMap(block => [block.first, block.last + 1n]))
  const starts = [...ends].sort((a, b) => (a < b ? -1 : 1))
  return { family, starts, indexOf: new Map(starts.map((start, index) => [start, index])) }
}

/** Every packet of the family. */
export function everything(space: Space): Box {
  const [first, last] = blockSpan(space, null)
  return [
    0,
    protocolClasses[space.family].length - 1,
    first,
    last,
    ...portSpan(allPorts),
    ...portSpan(allPorts),
    first,
    last,
  ]
}

/** What a rule matches in the family, one box for each of its blocks; none where it cannot match there. */
export function ruleBoxes(space: Space, rule: RuleIr): readonly Box[] {
  if (!protocolInFamily(rule.protocol, space.family)) return []
  if (rule.local !== null && rule.local.family !== space.family) return []
  const ports = hasPorts(rule.protocol) ? [...portSpan(rule.ports), ...portSpan(rule.sourcePorts)] : null
  const blocks = rule.peer.kind === 'group' ? [null] : rule.peer.cidrs.filter(cidr => cidr.family === space.family)
  return blocks.map(block => [
    ...protocolSpan(space.family, rule.protocol),
    ...blockSpan(space, block),
    ...(ports ?? [...portSpan(allPorts), ...portSpan(allPorts)]),
    ...blockSpan(space, rule.local),
  ])
}

/** Packets from or to the blocks of the space's family, whatever else they are. */
export function peerBoxes(space: Space, blocks: readonly Cidr[]): readonly Box[] {
  const whole = everything(space)
  return blocks
    .filter(block => block.family === space.family)
    .map(block => {
      const [first, last] = blockSpan(space, block)
      return whole.with(axes.peer, first).with(axes.peer + 1, last)
    })
}

/** TCP or UDP to one port, from anywhere. */
export function portBox(space: Space, protocol: 'tcp' | 'udp', ports: PortRange): Box {
  const whole = everything(space)
  const [first, last] = protocolSpan(space.family, protocol)
  return whole
    .with(axes.protocol, first)
    .with(axes.protocol + 1, last)
    .with(axes.port, ports.first)
    .with(axes.port + 1, ports.last)
}

function protocolSpan(family: Family, protocol: RuleProtocol): readonly [number, number] {
  const classes: readonly number[] = protocolClasses[family]
  if (protocol === 'all') return [0, classes.length - 1]
  const index = classes.indexOf(protocolNumbers[protocol])
  return [index, index]
}

function portSpan(ports: PortRange): readonly [number, number] {
  return [ports.first, ports.last]
}

function blockSpan(space: Space, block: Cidr | null): readonly [number, number] {
  const { first, last } = block ?? makeCidr(space.family, 0n, 0)
  return [space.indexOf.get(first)!, space.indexOf.get(last + 1n)! - 1]
}

/** Protocol numbers of a box, the ones people know best first. */
export function protocolsOf(space: Space, box: Box): readonly number[] {
  const classes: readonly number[] = protocolClasses[space.family].slice(
    box[axes.protocol]!,
    box[axes.protocol + 1]! + 1,
  )
  const known: readonly number[] = [protocolNumbers.tcp, protocolNumbers.udp]
  return [...classes.filter(number => known.includes(number)), ...classes.filter(number => !known.includes(number))]
}

/** First and last address of a box on an address axis. */
export function addressesOf(space: Space, box: Box, axis: 'peer' | 'local'): AddressSpan {
  const first = space.starts[box[axes[axis]]!]!
  const last = space.starts[box[axes[axis] + 1]! + 1]! - 1n
  return { family: space.family, first, last }
}

export interface AddressSpan {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

export function spanContains(span: AddressSpan, address: string): boolean {
  if (familyOf(address) !== span.family) return false
  const value = addressValue(address)
  return span.first <= value && value <= span.last
}

/** At most `count` addresses of a span, ascending; not the first where there are others, which no host has. */
export function* addressesIn(span: AddressSpan, count: number): Generator<string> {
  const begin = span.last > span.first ? span.first + 1n : span.first
  for (let value = begin; value <= span.last && value < begin + BigInt(count); value += 1n) {
    yield addressText(span.family, value)
  }
}

export function portsOf(box: Box, axis: 'port' | 'sourcePort'): PortRange {
  return { first: box[axes[axis]]!, last: box[axes[axis] + 1]! }
}
