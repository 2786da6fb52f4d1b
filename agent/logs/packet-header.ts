/**
 * Addresses, protocol and ports of a packet that may be cut short, be a fragment, or be anything else. Pure, and nothing
 * is thrown whatever the bytes are.
 */
import { addressText } from '../../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'

export interface PacketHeader {
  /** Canonical text, both of one family. */
  readonly source: string
  readonly destination: string
  /** IP protocol number, behind the extension headers of IPv6. */
  readonly protocol: number
  /** Left out for protocols without, for fragments but the first, and where the packet is cut off before them. */
  readonly ports?: { readonly source: number; readonly destination: number }
  readonly icmp?: { readonly type: number; readonly code: number }
  /** IPv6 hop limit or IPv4 TTL. */
  readonly hopLimit: number
  /** Bytes from the IP header on, as the header says. */
  readonly length: number
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite: two ports stand first. */
const withPorts: ReadonlySet<number> = new Set([protocolNumbers.tcp, protocolNumbers.udp, 33, 132, 136])
/** Extension headers that have a length in eight bytes: hop-by-hop, routing, destination options, mobility. */
const extensions: ReadonlySet<number> = new Set([0, 43, 60, 135])
const fragmentHeader = 44
const authenticationHeader = 51
/** More than any packet has that is no attack on whoever reads it. */
const mostExtensions = 16

/** @returns null for what is no IPv4 or IPv6 packet, or not so much as its header */
export function readHeader(packet: Buffer): PacketHeader | null {
  const version = packet.length === 0 ? 0 : packet.readUInt8(0) >> 4
  if (version === 4) return readIpv4(packet)
  return version === 6 ? readIpv6(packet) : null
}

function readIpv4(packet: Buffer): PacketHeader | null {
  const headerBytes = packet.length === 0 ? 0 : (packet.readUInt8(0) & 0xf) * 4
  if (packet.length < 20 || headerBytes < 20) return null
  const protocol = packet.readUInt8(9)
  const isFirstFragment = (packet.readUInt16BE(6) & 0x1fff) === 0
  return {
    source: ipv4Text(packet, 12),
    destination: ipv4Text(packet, 16),
    protocol,
    ...(isFirstFragment && readTransport(packet, headerBytes, protocol)),
    hopLimit: packet.readUInt8(8),
    length: packet.readUInt16BE(2),
  }
}

function readIpv6(packet: Buffer): PacketHeader | null {
  if (packet.length < 40) return null
  const { protocol, at, isFirstFragment } = skipExtensions(packet)
  return {
    source: ipv6Text(packet, 8),
    destination: ipv6Text(packet, 24),
    protocol,
    ...(isFirstFragment && readTransport(packet, at, protocol)),
    hopLimit: packet.readUInt8(7),
    length: 40 + packet.readUInt16BE(4),
  }
}

function skipExtensions(packet: Buffer) {
  let protocol = packet.readUInt8(6)
  let at = 40
  let isFirstFragment = true
  for (let count = 0; count < mostExtensions && packet.length - at >= 8; count += 1) {
    const length = packet.readUInt8(at + 1)
    if (extensions.has(protocol)) {
      protocol = packet.readUInt8(at)
      at += (length + 1) * 8
    } else if (protocol === authenticationHeader) {
      protocol = packet.readUInt8(at)
      at += (length + 2) * 4
    } else if (protocol === fragmentHeader) {
      if ((packet.readUInt16BE(at + 2) & 0xfff8) !== 0) isFirstFragment = false
      protocol = packet.readUInt8(at)
      at += 8
    } else break
    // What stands behind is not the header of the protocol.
    if (!isFirstFragment) break
  }
  return { protocol, at, isFirstFragment }
}

function readTransport(packet: Buffer, at: number, protocol: number): Pick<PacketHeader, 'ports' | 'icmp'> {
  if (withPorts.has(protocol) && packet.length - at >= 4) {
    return { ports: { source: packet.readUInt16BE(at), destination: packet.readUInt16BE(at + 2) } }
  }
  const isIcmp = protocol === protocolNumbers.icmp || protocol === protocolNumbers.icmpv6
  if (isIcmp && packet.length - at >= 2) return { icmp: { type: packet.readUInt8(at), code: packet.readUInt8(at + 1) } }
  return {}
}

function ipv4Text(packet: Buffer, at: number): string {
  return addressText('ip', BigInt(packet.readUInt32BE(at)))
}

function ipv6Text(packet: Buffer, at: number): string {
  return addressText('ip6', (packet.readBigUInt64BE(at) << 64n) | packet.readBigUInt64BE(at + 8))
}
