/** A packet that begins a session, as it stands on the wire at one ENI. */
import type { Direction } from '../model/policy.ts'

export interface Packet {
  readonly eniId: string
  readonly direction: Direction
  /** IP protocol number. */
  readonly protocol: number
  /** Canonical text, both of one family. */
  readonly source: string
  readonly destination: string
  /** 0 for protocols without ports. */
  readonly sourcePort: number
  readonly destinationPort: number
  /** ICMP or ICMPv6 type where the protocol has one; decides whether conntrack tracks the packet. */
  readonly icmpType?: number
  /** IPv6 hop limit or IPv4 TTL; 64 where left out. */
  readonly hopLimit?: number
}
