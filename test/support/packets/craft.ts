/**
 * IP packets made by hand, as a host would send them, checksums included.
 *
 * Every packet carries an index that names it when it arrives: the identification of IPv4, the flow label of IPv6.
 * Both pass forwarding, NAT and defragmentation unchanged, and leave ports, ids and payload free to be what a test needs.
 */
import { addressBits, addressValue, familyOf } from '../../../rules-compiler/address/cidr.ts'
import { crc32c, internetChecksum } from './checksum.ts'

export const protocol = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  fragment: 44,
  gre: 47,
  icmpv6: 58,
  noNextHeader: 59,
  destinationOptions: 60,
  sctp: 132,
  experimental: 253,
} as const

/** Indexes a packet can carry: 16 bits, and 0 is what the kernel's own packets have. */
export const lastIndex = 65_535

/** What stands in the IP header; both addresses of one family, canonical text. */
export interface Header {
  /** 1 to `lastIndex`. */
  readonly index: number
  readonly source: string
  readonly destination: string
  /** IPv4 TTL or IPv6 hop limit; 64 where left out. */
  readonly hopLimit?: number
  /** IPv4 only. */
  readonly dontFragment?: boolean
}

/** What an IP header carries, made for the header it will stand behind: the checksum covers the addresses. */
export interface Content {
  readonly protocol: number
  readonly bytes: (header: Header) => Buffer
}

/** An IP packet; the family is that of the source. */
export function makePacket(header: Header, content: Content): Buffer {
  const payload = content.bytes(header)
  const { index, source, destination, hopLimit = 64, dontFragment = false } = header
  if (familyOf(source) === 'ip6') {
    const fixed = Buffer.alloc(8)
    fixed.writeUInt32BE((6 << 28) | index, 0)
    fixed.writeUInt16BE(payload.length, 4)
    fixed[6] = content.protocol
    fixed[7] = hopLimit
    return Buffer.concat([fixed, addressBytes(source), addressBytes(destination), payload])
  }
  const fixed = Buffer.alloc(20)
  fixed[0] = 0x45
  fixed.writeUInt16BE(fixed.length + payload.length, 2)
  fixed.writeUInt16BE(index, 4)
  fixed.writeUInt16BE(dontFragment ? 0x4000 : 0, 6)
  fixed[8] = hopLimit
  fixed[9] = content.protocol
  addressBytes(source).copy(fixed, 12)
  addressBytes(destination).copy(fixed, 16)
  fixed.writeUInt16BE(internetChecksum(fixed), 10)
  return Buffer.concat([fixed, payload])
}

export interface Ports {
  readonly sourcePort: number
  readonly destinationPort: number
}

const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const

/** A TCP segment without options; a SYN where no flags are named. */
export function tcp(
  { sourcePort, destinationPort }: Ports,
  options: {
    readonly flags?: readonly (keyof typeof tcpFlags)[]
    readonly sequence?: number
    readonly acknowledgment?: number
    readonly payload?: Buffer
  } = {},
): Content {
  const { flags = ['syn'], sequence = 1000, acknowledgment = 0, payload = Buffer.alloc(0) } = options
  const segment = Buffer.concat([Buffer.alloc(20), payload])
  segment.writeUInt16BE(sourcePort, 0)
  segment.writeUInt16BE(destinationPort, 2)
  segment.writeUInt32BE(sequence, 4)
  segment.writeUInt32BE(acknowledgment, 8)
  segment[12] = 5 << 4
  segment[13] = flags.reduce((bits, flag) => bits | tcpFlags[flag], 0)
  segment.writeUInt16BE(64_240, 14)
  return withPseudoHeader(protocol.tcp, segment, 16)
}

export function udp({ sourcePort, destinationPort }: Ports, payload = Buffer.from('ringwall')): Content {
  const datagram = Buffer.concat([Buffer.alloc(8), payload])
  datagram.writeUInt16BE(sourcePort, 0)
  datagram.writeUInt16BE(destinationPort, 2)
  datagram.writeUInt16BE(datagram.length, 4)
  return withPseudoHeader(protocol.udp, datagram, 6)
}

/**
 * An ICMP message of either family: type, code, the four bytes that follow the checksum, the rest.
 * @param protocolNumber  icmp or icmpv6, also in the family it does not belong to
 */
export function icmp(
  protocolNumber: number,
  type: number,
  options: { readonly code?: number; readonly rest?: Buffer; readonly body?: Buffer } = {},
): Content {
  const message = Buffer.concat([
    Buffer.from([type, options.code ?? 0, 0, 0]),
    options.rest ?? Buffer.alloc(4),
    options.body ?? Buffer.alloc(0),
  ])
  if (protocolNumber === protocol.icmpv6) return withPseudoHeader(protocolNumber, message, 2)
  message.writeUInt16BE(internetChecksum(message), 2)
  return { protocol: protocolNumber, bytes: () => message }
}

/** The four bytes of an echo or another question: identifier and sequence number. */
export function icmpQuery(identifier: number, sequence = 1): Buffer {
  const rest = Buffer.alloc(4)
  rest.writeUInt16BE(identifier, 0)
  rest.writeUInt16BE(sequence, 2)
  return rest
}

/** GRE version 0 without options (RFC 2784), carrying an empty IPv4 packet. */
export function gre(): Content {
  return { protocol: protocol.gre, bytes: () => Buffer.from([0, 0, 0x08, 0x00, 0, 0, 0, 0]) }
}

/** An SCTP INIT (RFC 9260, section 3.3.2). */
export function sctp({ sourcePort, destinationPort }: Ports): Content {
  const packet = Buffer.alloc(32)
  packet.writeUInt16BE(sourcePort, 0)
  packet.writeUInt16BE(destinationPort, 2)
  packet[12] = 1
  packet.writeUInt16BE(20, 14)
  packet.writeUInt32BE(0x52_57_00_01, 16)
  packet.writeUInt32BE(65_536, 20)
  packet.writeUInt16BE(1, 24)
  packet.writeUInt16BE(1, 26)
  packet.writeUInt32LE(crc32c(packet), 8)
  return { protocol: protocol.sctp, bytes: () => packet }
}

/** Any IP protocol, its payload as given. */
export function raw(protocolNumber: number, payload = Buffer.from('ringwall')): Content {
  return { protocol: protocolNumber, bytes: () => payload }
}

/** Content behind an IPv6 extension header with nothing but padding (RFC 8200, section 4.2). */
export function behindOptions(kind: 'hopByHop' | 'destinationOptions', content: Content): Content {
  const options = Buffer.from([content.protocol, 0, 1, 4, 0, 0, 0, 0])
  return { protocol: protocol[kind], bytes: header => Buffer.concat([options, content.bytes(header)]) }
}

/**
 * The packet in fragments as RFC 791 and RFC 8200 section 4.5 make them, in order.
 * @param size  payload bytes of each but the last, a multiple of 8
 */
export function fragment(packet: Buffer, size: number): readonly Buffer[] {
  const isIpv6 = packet[0]! >> 4 === 6
  const headerLength = isIpv6 ? 40 : 20
  const header = packet.subarray(0, headerLength)
  const payload = packet.subarray(headerLength)
  const count = Math.ceil(payload.length / size)
  return Array.from({ length: count }, (_, number) => {
    const piece = payload.subarray(number * size, (number + 1) * size)
    const place = { offset: (number * size) / 8, more: number < count - 1 }
    return isIpv6 ? ipv6Fragment(header, piece, place) : ipv4Fragment(header, piece, place)
  })
}

interface FragmentPlace {
  /** In units of 8 bytes. */
  readonly offset: number
  readonly more: boolean
}

function ipv4Fragment(header: Buffer, piece: Buffer, { offset, more }: FragmentPlace): Buffer {
  const own = Buffer.from(header)
  own.writeUInt16BE(own.length + piece.length, 2)
  own.writeUInt16BE((more ? 0x2000 : 0) | offset, 6)
  own.writeUInt16BE(0, 10)
  own.writeUInt16BE(internetChecksum(own), 10)
  return Buffer.concat([own, piece])
}

function ipv6Fragment(header: Buffer, piece: Buffer, { offset, more }: FragmentPlace): Buffer {
  const own = Buffer.from(header)
  const extension = Buffer.alloc(8)
  extension[0] = own[6]!
  extension.writeUInt16BE((offset << 3) | (more ? 1 : 0), 2)
  extension.writeUInt32BE(header.readUInt32BE(0), 4)
  own[6] = protocol.fragment
  own.writeUInt16BE(extension.length + piece.length, 4)
  return Buffer.concat([own, extension, piece])
}

/** Content whose checksum, at the given place, covers the pseudo header of its family (RFC 9293 3.1, RFC 8200 8.1). */
function withPseudoHeader(protocolNumber: number, message: Buffer, checksumAt: number): Content {
  return {
    protocol: protocolNumber,
    bytes: ({ source, destination }) => {
      const bytes = Buffer.from(message)
      const tail = Buffer.alloc(8)
      tail.writeUInt32BE(bytes.length, 0)
      tail[7] = protocolNumber
      const checksum = internetChecksum(addressBytes(source), addressBytes(destination), tail, bytes)
      // 0 stands for "no checksum" in UDP, and the two zeros of one's complement are the same number.
      bytes.writeUInt16BE(checksum === 0 ? 0xffff : checksum, checksumAt)
      return bytes
    },
  }
}

/** An address as it stands in a header: 4 or 16 bytes. */
function addressBytes(address: string): Buffer {
  const digits = addressBits[familyOf(address)] / 4
  return Buffer.from(addressValue(address).toString(16).padStart(digits, '0'), 'hex')
}
