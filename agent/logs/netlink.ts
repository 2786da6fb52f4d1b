/**
 * What the kernel sends of an NFLOG group: netlink messages (linux/netlink.h), each a packet in attributes
 * (linux/netfilter/nfnetlink_log.h). Pure. Whatever the bytes are, nothing is thrown: what has not the form is passed over.
 */

export interface NflogPacket {
  readonly prefix: string
  /** Of the hook it was at: 0 prerouting, 4 postrouting. */
  readonly hook: number
  /** Index of the device it came from or goes to; null where there is none at this hook. */
  readonly inIndex: number | null
  readonly outIndex: number | null
  /** When the host received it, in milliseconds since 1970; null at hooks on the way out. */
  readonly receivedAtMs: number | null
  /** Counts the packets of the group since it has been listened to; null where the kernel was not asked to. */
  readonly sequence: number | null
  /** From the IP header on, cut short. */
  readonly payload: Buffer
}

const headerBytes = 16
/** nfgenmsg, behind the header. */
const familyBytes = 4
/** NFNL_SUBSYS_ULOG and NFULNL_MSG_PACKET */
const packetType = 0x0400
/** The kernel gathers up to a few kilobytes; what says to be longer is none of its messages. */
const mostMessageBytes = 256 * 1024

const attributes = { packetHeader: 1, timestamp: 3, inIndex: 4, outIndex: 5, payload: 9, prefix: 10, sequence: 12 }

/** Finds the messages in bytes as they come from a pipe. */
export class NflogDecoder {
  #rest: Buffer = Buffer.alloc(0)

  /** @returns the packets that `chunk` completes */
  push(chunk: Buffer): readonly NflogPacket[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const packets: NflogPacket[] = []
    let at = 0
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUInt32LE(at)
      if (length < headerBytes || length > mostMessageBytes) {
        // There is no way to find the beginning of the next one.
        at = bytes.length
        break
      }
      if (bytes.length - at < length) break
      if (bytes.readUInt16LE(at + 4) === packetType) packets.push(readPacket(bytes.subarray(at, at + length)))
      at = Math.min(at + aligned(length), bytes.length)
    }
    // A copy: the pipe's chunks are larger than what is left of them.
    this.#rest = Buffer.from(bytes.subarray(at))
    return packets
  }
}

function readPacket(message: Buffer): NflogPacket {
  let prefix = ''
  let hook = -1
  let inIndex: number | null = null
  let outIndex: number | null = null
  let receivedAtMs: number | null = null
  let sequence: number | null = null
  let payload: Buffer = Buffer.alloc(0)
  for (const { type, value } of readAttributes(message, headerBytes + familyBytes)) {
    if (type === attributes.payload) payload = value
    else if (type === attributes.prefix) prefix = value.toString('latin1').replace(/\0.*$/s, '')
    else if (type === attributes.packetHeader && value.length >= 3) hook = value.readUInt8(2)
    else if (type === attributes.timestamp && value.length >= 16) receivedAtMs = readTime(value)
    else if (value.length < 4) continue
    else if (type === attributes.inIndex) inIndex = value.readUInt32BE(0)
    else if (type === attributes.outIndex) outIndex = value.readUInt32BE(0)
    else if (type === attributes.sequence) sequence = value.readUInt32BE(0)
  }
  return { prefix, hook, inIndex, outIndex, receivedAtMs, sequence, payload }
}

function* readAttributes(message: Buffer, from: number): Generator<{ readonly type: number; readonly value: Buffer }> {
  for (let at = from; message.length - at >= 4; ) {
    const length = message.readUInt16LE(at)
    if (length < 4 || length > message.length - at) return
    // The two upper bits are marks (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
    yield { type: message.readUInt16LE(at + 2) & 0x3fff, value: message.subarray(at + 4, at + length) }
    at += aligned(length)
  }
}

/** Seconds and microseconds. Null for what no clock shows: it goes into dates. */
function readTime(value: Buffer): number | null {
  const milliseconds = Number(value.readBigUInt64BE(0)) * 1000 + Math.floor(Number(value.readBigUInt64BE(8)) / 1000)
  return milliseconds > 0 && milliseconds <= 8.64e15 ? milliseconds : null
}

function aligned(length: number): number {
  return (length + 3) & ~3
}
