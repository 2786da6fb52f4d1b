/** Packets of a verdict, sent through the forwarder's ENI. */
import { addressValue, familyOf } from '../../rules-compiler/address/cidr.ts'
import type { Direction, Placement } from '../../rules-compiler/model/policy.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import type { Injection, Side } from './forwarder.ts'
import { makeWirePacket } from './packets/frames.ts'

/** Where to send from so that a packet passes the ENI on d0 in the direction. */
export function sideOf(direction: Direction, placement: Placement): Side {
  return (direction === 'ingress') === (placement === 'host') ? 'left' : 'right'
}

/** @param index  names the packet when it arrives */
export function injectionOf(packet: Packet, placement: Placement, index: number): Injection {
  const side = sideOf(packet.direction, placement)
  // From the right it is forwarded before it reaches the ENI, and has one hop less left.
  const hopLimit = (packet.hopLimit ?? 64) + (side === 'right' ? 1 : 0)
  return { side, packet: makeWirePacket(packet, index, hopLimit) }
}

/** Whether a router forwards between such addresses: what it never does proves nothing about a ruleset. */
export function isForwarded({ source, destination }: Packet): boolean {
  return [source, destination].every(address => {
    if (familyOf(address) === 'ip') {
      const first = Number(address.split('.')[0])
      return first !== 0 && first !== 127 && first < 224
    }
    // Below 0100::/8 unspecified, loopback, IPv4 in IPv6; from fe80:: on link-local, site-local, multicast.
    const first = Number(addressValue(address) >> 112n)
    return first >= 0x0100 && first < 0xfe80
  })
}
