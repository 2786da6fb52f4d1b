/** The packet of a verdict as a real one: what `evaluate` is asked about, on the wire. */
import { familyOf } from '../../../rules-compiler/address/cidr.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { type Content, gre, icmp, icmpQuery, makePacket, protocol, raw, sctp, tcp, udp } from './craft.ts'

/**
 * @param index  names the packet when it arrives; also the identifier of an ICMP question, which makes its session its own
 * @param hopLimit  as it leaves the sender; the packet's own where left out
 */
export function makeWirePacket(packet: Packet, index: number, hopLimit = packet.hopLimit ?? 64): Buffer {
  const { source, destination } = packet
  return makePacket({ index, source, destination, hopLimit }, contentOf(packet, index))
}

function contentOf(packet: Packet, index: number): Content {
  switch (packet.protocol) {
    case protocol.tcp:
      return tcp(packet, { sequence: index })
    case protocol.udp:
      return udp(packet)
    case protocol.sctp:
      return sctp(packet)
    case protocol.gre:
      return gre()
    case protocol.icmp:
    case protocol.icmpv6:
      return icmpContent(packet, index)
    default:
      return raw(packet.protocol)
  }
}

function icmpContent(packet: Packet, index: number): Content {
  const echoRequest = familyOf(packet.source) === 'ip' ? 8 : 128
  return icmp(packet.protocol, packet.icmpType ?? echoRequest, {
    rest: icmpQuery(index),
    // A target address or a timestamp: long enough for every type to be well formed.
    body: Buffer.alloc(20),
  })
}

/** Types of the questions conntrack follows, with their answers' (nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c). */
const icmpAnswers: Readonly<Record<number, number>> = { 8: 0, 13: 14, 15: 16, 17: 18, 128: 129, 139: 140 }

/**
 * What the other side sends back to the packet made with the same index: of its session, from port to port.
 * @returns null where the protocol's answer depends on more than the question
 */
export function makeWireAnswer(packet: Packet, index: number): Buffer | null {
  const content = answerTo(packet, index)
  return content && makePacket({ index, source: packet.destination, destination: packet.source }, content)
}

function answerTo(packet: Packet, index: number): Content | null {
  const { sourcePort: destinationPort, destinationPort: sourcePort } = packet
  switch (packet.protocol) {
    case protocol.tcp:
      return tcp({ sourcePort, destinationPort }, { flags: ['syn', 'ack'], acknowledgment: index + 1 })
    case protocol.sctp:
      return null
    case protocol.icmp:
    case protocol.icmpv6: {
      const type = icmpAnswers[packet.icmpType ?? -1]
      return type === undefined ? null : icmp(packet.protocol, type, { rest: icmpQuery(index), body: Buffer.alloc(20) })
    }
    default:
      return contentOf({ ...packet, sourcePort, destinationPort }, index)
  }
}
