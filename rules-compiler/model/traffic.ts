/** What traffic scrubbing tells apart: kinds of packets, kinds of floods, and the steps that drop them. */

/**
 * Each inbound IP packet in scope is of one of them, decided in this order: a fragment that is not the first of its
 * packet, or any part of one; TCP with SYN and without ACK; other TCP; UDP from port 53; other UDP; ICMP or ICMPv6.
 */
export const trafficTypes = ['fragments', 'tcp-syn', 'tcp', 'dns-answers', 'udp', 'icmp', 'other'] as const
export type TrafficType = (typeof trafficTypes)[number]

/**
 * `ack`: TCP that belongs to no session. `connections`: sessions opened in numbers by sources that really exist, on
 * ports of web servers or any other.
 */
export const floodTypes = ['syn', 'ack', 'connections', 'udp', 'dns-answers', 'icmp', 'fragments', 'other'] as const
export type FloodType = (typeof floodTypes)[number]

/** What drops a packet, in the order in which packets meet them. */
export const scrubSteps = [
  'black-hole',
  'sources',
  'connections',
  'fragments',
  'syn',
  'dns-answers',
  'udp',
  'icmp',
  'other',
  'sessions',
  'packet-rate',
  'bit-rate',
] as const
export type ScrubStep = (typeof scrubSteps)[number]

/** A flood type that a limit of its own holds down at the device, by the packet alone. */
export const laneTypes = ['fragments', 'syn', 'dns-answers', 'udp', 'icmp', 'other'] as const
export type LaneType = (typeof laneTypes)[number]

/** Bytes from the IP header on. */
export interface TrafficAmount {
  readonly packets: number
  readonly bytes: number
}

export interface TrafficRate {
  readonly packetsPerSecond: number
  readonly bitsPerSecond: number
}
