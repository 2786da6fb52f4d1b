/** Messages of an NFLOG group as the kernel sends them, and the packets in them. */
import { addressValue, familyOf } from '../../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'

export interface PacketSketch {
  readonly source: string
  readonly destination: string
  readonly protocol: keyof typeof protocolNumbers
  /** Of the source and the destination, or ICMP type and code. */
  readonly numbers?: readonly [number, number]
}

/** From the IP header on, without content. */
export function packetBytes({ source, destination, protocol, numbers }: PacketSketch): Buffer {
  const number = protocolNumbers[protocol]
  const isIcmp = protocol.startsWith('icmp')
  const transport = Buffer.alloc(numbers === undefined ? 0 : 20)
  if (numbers !== undefined) {
    if (isIcmp) transport.set(numbers)
    else for (const [index, port] of numbers.entries()) transport.writeUInt16BE(port, index * 2)
  }
  if (familyOf(source) === 'ip') {
    const header = Buffer.alloc(20)
    header.writeUInt8(0x45, 0)
    header.writeUInt16BE(20 + transport.length, 2)
    header.writeUInt8(64, 8)
    header.writeUInt8(number, 9)
    header.writeUInt32BE(Number(addressValue(source)), 12)
    header.writeUInt32BE(Number(addressValue(destination)), 16)
    return Buffer.concat([header, transport])
  }
  const header = Buffer.alloc(40)
  header.writeUInt8(0x60, 0)
  header.writeUInt16BE(transport.length, 4)
  header.writeUInt8(number, 6)
  header.writeUInt8(64, 7)
  for (const [at, address] of [[8, source] as const, [24, destination] as const]) {
    const value = addressValue(address)
    header.writeBigUInt64BE(value >> 64n, at)
    header.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, at + 8)
  }
  return Buffer.concat([header, transport])
}

export interface MessageSketch {
  readonly prefix: string
  readonly payload: Buffer
  readonly hook?: number
  readonly inIndex?: number
  readonly outIndex?: number
  readonly receivedAtMs?: number
  readonly sequence?: number
}

/** NFULNL_MSG_PACKET with the attributes that are given. */
export function nflogMessage(sketch: MessageSketch): Buffer {
  const { prefix, payload, hook = 0, inIndex, outIndex, receivedAtMs, sequence } = sketch
  const attributes = [
    attribute(1, Buffer.from([0x08, 0, hook, 0])),
    attribute(10, Buffer.from(`${prefix}\0`)),
    ...(inIndex === undefined ? [] : [attribute(4, number(inIndex))]),
    ...(outIndex === undefined ? [] : [attribute(5, number(outIndex))]),
    ...(receivedAtMs === undefined ? [] : [attribute(3, time(receivedAtMs))]),
    ...(sequence === undefined ? [] : [attribute(12, number(sequence))]),
    attribute(9, payload),
  ]
  const body = Buffer.concat([Buffer.alloc(4), ...attributes])
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + body.length, 0)
  header.writeUInt16LE(0x0400, 4)
  return Buffer.concat([header, body])
}

function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16LE(4 + value.length, 0)
  header.writeUInt16LE(type, 2)
  return Buffer.concat([header, value, Buffer.alloc(-value.length & 3)])
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function time(milliseconds: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(BigInt(Math.floor(milliseconds / 1000)), 0)
  bytes.writeBigUInt64BE(BigInt((milliseconds % 1000) * 1000), 8)
  return bytes
}
