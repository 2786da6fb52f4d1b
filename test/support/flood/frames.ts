/** Frames of floods: what attacks look like on the wire, from as many forged sources as wanted. */
import type { Family } from '../../../rules-compiler/address/cidr.ts'
import {
  type Content,
  fragment,
  type Header,
  icmp,
  lastIndex,
  makePacket,
  protocol,
  tcp,
  udp,
} from '../packets/craft.ts'

const pureFloodKinds = ['syn', 'ack', 'udp', 'icmp', 'dns-answers', 'fragments'] as const
export type PureFloodKind = (typeof pureFloodKinds)[number]
/** `mixed`: the others in turn. */
export type FloodKind = PureFloodKind | 'mixed'

export interface Flood {
  readonly kind: FloodKind
  readonly family: Family
  /** How many addresses it comes from, each as often as any other; 65,000 at most. */
  readonly sources: number
  /** Of each packet, from the IP header on; the least its headers need where that is more. */
  readonly packetBytes: number
  /** How many packets differ, in their ports at least, before the first comes again; 1,000 where left out. */
  readonly distinct?: number
}

export interface Target {
  readonly addresses: Readonly<Record<Family, string>>
  /** Open, for TCP. */
  readonly port: number
  readonly macs: { readonly source: string; readonly destination: string }
}

const usuallyDistinct = 1000
const etherTypes: Readonly<Record<Family, number>> = { ip: 0x0800, ip6: 0x86dd }
const headerBytes: Readonly<Record<Family, number>> = { ip: 20, ip6: 40 }

/** To be sent over and over, in order; the same for the same flood. */
export function floodFrames(flood: Flood, target: Target): readonly Buffer[] {
  const { family, kind, sources, distinct = usuallyDistinct } = flood
  const count = Math.ceil(distinct / sources) * sources
  const ethernet = Buffer.concat([macBytes(target.macs.destination), macBytes(target.macs.source), Buffer.alloc(2)])
  ethernet.writeUInt16BE(etherTypes[family], 12)
  return Array.from({ length: count }, (_, number) => {
    const header = {
      index: 1 + (number % lastIndex),
      source: forgedSource(family, number % sources),
      destination: target.addresses[family],
    }
    const kindOfThis = kind === 'mixed' ? pureFloodKinds[number % pureFloodKinds.length]! : kind
    return Buffer.concat([ethernet, makers[kindOfThis](header, { flood, target, number })])
  })
}

/** In scope, and none of anybody's on the way. */
export function forgedSource(family: Family, number: number): string {
  return family === 'ip'
    ? `198.19.${(number >> 8) & 0xff}.${number & 0xff}`
    : `2001:db8:f::${(number + 1).toString(16)}`
}

interface Making {
  readonly flood: Flood
  readonly target: Target
  readonly number: number
}

const makers: Readonly<Record<PureFloodKind, (header: Header, making: Making) => Buffer>> = {
  syn: (header, making) => makePacket(header, tcp(portsOf(making), { payload: padding(making.flood, 20) })),
  ack: (header, making) =>
    makePacket(
      header,
      tcp(portsOf(making), {
        flags: ['ack'],
        sequence: (making.number * 7919) >>> 0,
        acknowledgment: (1 + making.number * 104_729) >>> 0,
        payload: padding(making.flood, 20),
      }),
    ),
  udp: (header, making) => makePacket(header, udp(portsOf(making), padding(making.flood, 8))),
  icmp: (header, { flood }) => makePacket(header, echoRequest(flood)),
  'dns-answers': (header, making) =>
    makePacket(header, udp({ sourcePort: 53, destinationPort: portsOf(making).sourcePort }, padding(making.flood, 8))),
  // The middle of three: never enough to be put together again.
  fragments: (header, making) => {
    const room = making.flood.packetBytes - headerBytes[making.flood.family]
    const size = Math.max(8, Math.floor((room - (making.flood.family === 'ip6' ? 8 : 0)) / 8) * 8)
    return fragment(makePacket(header, udp(portsOf(making), Buffer.alloc(size * 3 - 8))), size)[1]!
  },
}

function echoRequest({ family, packetBytes }: Flood): Content {
  const body = Buffer.alloc(Math.max(0, packetBytes - headerBytes[family] - 8))
  return family === 'ip' ? icmp(protocol.icmp, 8, { body }) : icmp(protocol.icmpv6, 128, { body })
}

function portsOf({ target, number }: Making) {
  return { sourcePort: 1024 + ((number * 7919) % 64_000), destinationPort: target.port }
}

function padding({ family, packetBytes }: Flood, transportBytes: number) {
  return Buffer.alloc(Math.max(0, packetBytes - headerBytes[family] - transportBytes))
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}
