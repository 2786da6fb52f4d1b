/** Captured Ethernet frames read back: which packet is this, and what stands in its header. */
import { addressText } from '../../../rules-compiler/address/cidr.ts'
import { protocol } from './craft.ts'

export interface Dissected {
  /** What the sender gave it; 0 for packets of the kernel's own. */
  readonly index: number
  readonly source: string
  readonly destination: string
  /** Behind any IPv6 extension headers. */
  readonly protocol: number
  /** 0 for protocols without ports, and for all but the first fragment. */
  readonly sourcePort: number
  readonly destinationPort: number
  /** What follows the IP headers, cut where the capture was. */
  readonly payload: Buffer
}

const ethernetHeaderLength = 14
const withPorts: readonly number[] = [protocol.tcp, protocol.udp, protocol.sctp]
const extensionHeaders: readonly number[] = [protocol.hopByHop, protocol.destinationOptions, protocol.fragment]

/** @returns null for what is not IP */
export function dissect(frame: Buffer): Dissected | null {
  const etherType = frame.readUInt16BE(12)
  const packet = frame.subarray(ethernetHeaderLength)
  if (etherType === 0x0800) return dissectIpv4(packet)
  if (etherType === 0x86dd) return dissectIpv6(packet)
  return null
}

function dissectIpv4(packet: Buffer): Dissected {
  const payload = packet.subarray((packet[0]! & 0xf) * 4)
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0
  return {
    index: packet.readUInt16BE(4),
    source: readAddress(packet.subarray(12, 16)),
    destination: readAddress(packet.subarray(16, 20)),
    protocol: packet[9]!,
    ...ports(packet[9]!, payload, isFirst),
    payload,
  }
}

function dissectIpv6(packet: Buffer): Dissected {
  let next = packet[6]!
  let at = 40
  let isFirst = true
  while (extensionHeaders.includes(next) && packet.length >= at + 8) {
    if (next === protocol.fragment) isFirst = packet.readUInt16BE(at + 2) >> 3 === 0
    const length = next === protocol.fragment ? 8 : (packet[at + 1]! + 1) * 8
    next = packet[at]!
    at += length
  }
  const payload = packet.subarray(at)
  return {
    index: packet.readUInt32BE(0) & 0xf_ffff,
    source: readAddress(packet.subarray(8, 24)),
    destination: readAddress(packet.subarray(24, 40)),
    protocol: next,
    ...ports(next, payload, isFirst),
    payload,
  }
}

function ports(number: number, payload: Buffer, isFirst: boolean): Pick<Dissected, 'sourcePort' | 'destinationPort'> {
  if (!withPorts.includes(number) || !isFirst || payload.length < 4) return { sourcePort: 0, destinationPort: 0 }
  return { sourcePort: payload.readUInt16BE(0), destinationPort: payload.readUInt16BE(2) }
}

function readAddress(bytes: Buffer): string {
  return addressText(bytes.length === 4 ? 'ip' : 'ip6', BigInt(`0x${bytes.toString('hex')}`))
}
