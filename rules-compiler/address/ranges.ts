/** Address ranges with a meaning of their own, from the IANA special-purpose registries (RFC 6890). */
import { type Cidr, parseCidr } from './cidr.ts'

const blocks = (...texts: readonly string[]): readonly Cidr[] => texts.map(text => parseCidr(text)!)

/**
 * Private, shared, unique-local and link-local ranges: what is not the Internet. Mail may go there without being
 * unblocked, and traffic from there is not scrubbed.
 */
export const privateRanges = blocks(
  '10.0.0.0/8',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
  'fe80::/10',
)

export const loopbackRanges = blocks('127.0.0.0/8', '::1/128')

/** Where no packet from the Internet can come from besides: this network, loopback, multicast, reserved. */
export const unroutedRanges = blocks('0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/3', '4000::/2', '8000::/1')

export const linkLocal6 = parseCidr('fe80::/10')!

/** Sources of neighbour discovery and MLD besides a host's own addresses: `::` while it has none (RFC 3590). */
export const discoverySources = blocks('fe80::/10', '::/128')

/** Sources of a DHCP client besides its own addresses: `0.0.0.0` while it has none, link-local for DHCPv6. */
export const dhcpSources = blocks('0.0.0.0/32', 'fe80::/10')
