/** Addresses, MAC addresses and devices of ENIs: read into canonical form, and refused where no ENI can have them. */
import {
  type Cidr,
  containsAddress,
  type Family,
  familyOf,
  parseAddress,
  parseCidr,
} from '../../rules-compiler/address/cidr.ts'
import { formats } from '../../rules-compiler/validate/formats.ts'
import { quoteValue } from '../../rules-compiler/validate/problem.ts'
import { type Faults, invalidRequest } from './faults.ts'

/**
 * What is no address of one interface in a network (RFC 6890, RFC 4291). Link-local addresses are unique on a link
 * only: as members of a group they would mean a stranger's interface on another link.
 */
const unusable: readonly { readonly block: Cidr; readonly name: string }[] = (
  [
    ['0.0.0.0/8', '"this network"'],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['224.0.0.0/4', 'multicast'],
    ['240.0.0.0/4', 'reserved'],
    ['::/128', 'no address'],
    ['::1/128', 'loopback'],
    ['fe80::/10', 'link-local'],
    ['ff00::/8', 'multicast'],
  ] as const
).map(([text, name]) => ({ block: parseCidr(text)!, name }))

/** Why no ENI can have this address; null where one can. @param address  canonical */
function reasonAgainst(address: string): string | null {
  return unusable.find(({ block }) => containsAddress(block, address))?.name ?? null
}

const familyNames: Readonly<Record<Family, string>> = { ip: 'IPv4', ip6: 'IPv6' }

/** @returns canonical, in the order given; without those that were refused */
export function readAddresses(texts: readonly string[], family: Family, field: string, faults: Faults): string[] {
  const addresses = new Set<string>()
  for (const [index, text] of texts.entries()) {
    const address = parseAddress(text)
    const expected = expectationOf(address, family, addresses)
    if (address !== null && expected === null) addresses.add(address)
    else refuse(faults, `${field}[${index}]`, { what: 'address', value: text, expected: expected ?? 'an address' })
  }
  return [...addresses]
}

function expectationOf(address: string | null, family: Family, known: ReadonlySet<string>): string | null {
  if (address === null || familyOf(address) !== family)
    return `one ${familyNames[family]} address, without prefix length`
  const reason = reasonAgainst(address)
  if (reason !== null) return `one that an interface can have, but this one is ${reason}`
  return known.has(address) ? 'each address once' : null
}

/** Those that an agent reported of a device and an ENI can have; link-local ones are on every device. */
export function usableAddresses(reported: readonly string[]): string[] {
  const addresses = reported.map(text => parseAddress(text)).filter(address => address !== null)
  return [...new Set(addresses)].filter(address => reasonAgainst(address) === null)
}

/** @returns lower case with colons; null where it is none of a device, which is noted */
export function readMacAddress(text: string, field: string, faults: Faults): string | null {
  const macAddress = text.toLowerCase().replaceAll('-', ':')
  const isGroup = (Number.parseInt(macAddress.slice(0, 2), 16) & 1) === 1
  if (!isGroup && macAddress !== '00:00:00:00:00:00') return macAddress
  const expected = `one that a device can have, but this one is ${isGroup ? 'a group address' : 'all zero'}`
  refuse(faults, field, { what: 'MAC address', value: text, expected })
  return null
}

export function readDevice(text: string, field: string, faults: Faults): string | null {
  const { name, expected } = formats.device
  const device = formats.device.parse(text)
  if (device === null) refuse(faults, field, { what: name, value: text, expected })
  return device
}

function refuse(
  faults: Faults,
  field: string,
  { what, value, expected }: { readonly what: string; readonly value: string; readonly expected: string },
): void {
  const message = `Cannot use ${what} ${quoteValue(value)}: expected ${expected}`
  faults.add(invalidRequest, { code: 'invalid-value', field, message, value })
}
