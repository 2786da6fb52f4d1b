/** IPv4 and IPv6 addresses and CIDR blocks. The family is data: nothing here or above is written once per family. */
import ipaddr from 'ipaddr.js'

/** Named as nft names the two network protocols. */
export type Family = 'ip' | 'ip6'

export const families: readonly Family[] = ['ip', 'ip6']

export const addressBits = { ip: 32, ip6: 128 } as const satisfies Record<Family, number>

/** A block of addresses with host bits zero; `first` and `last` are the ends as unsigned integers. */
export interface Cidr {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
  readonly prefixLength: number
  /** Canonical text with prefix length, also for a single address: `198.18.0.2/32`. */
  readonly text: string
}

/** Family of an address in canonical text. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 'ip6' : 'ip'
}

/**
 * Canonical text of one address: dotted quads without leading zeros, RFC 5952 for IPv6.
 * @returns null where the text is no address; IPv4-mapped IPv6 and scoped addresses (`fe80::1%eth0`) are none
 */
export function parseAddress(text: string): string | null {
  if (isCanonicalIpv4(text) || isPlainIpv6(text)) return text
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return null
  const address = ipaddr.IPv6.parse(text)
  return address.isIPv4MappedAddress() ? null : address.toRFC5952String()
}

/**
 * A CIDR block from `address/length` or a bare address (then /32 or /128). Host bits are masked off, as the
 * security-group model asks; the stored text shows it.
 * @returns null where the text is no such block
 */
export function parseCidr(text: string): Cidr | null {
  const [addressText = '', lengthText, ...rest] = text.split('/')
  const address = parseAddress(addressText)
  if (address === null || rest.length > 0) return null
  const family = familyOf(address)
  const bits = addressBits[family]
  if (lengthText !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return null
  const prefixLength = lengthText === undefined ? bits : Number(lengthText)
  return prefixLength > bits ? null : makeCidr(family, addressValue(address), prefixLength)
}

/** The block of the given length around an address value; host bits are masked off. */
export function makeCidr(family: Family, value: bigint, prefixLength: number): Cidr {
  const hostMask = (1n << BigInt(addressBits[family] - prefixLength)) - 1n
  const first = value & ~hostMask
  return { family, first, last: first | hostMask, prefixLength, text: `${addressText(family, first)}/${prefixLength}` }
}

/** An address in canonical text as an unsigned integer. */
export function addressValue(address: string): bigint {
  if (familyOf(address) === 'ip') {
    return BigInt(address.split('.').reduce((value, octet) => value * 256 + Number(octet), 0))
  }
  return ipaddr.IPv6.parse(address).parts.reduce((value, part) => (value << 16n) | BigInt(part), 0n)
}

/** Canonical text of an address given as an unsigned integer. */
export function addressText(family: Family, value: bigint): string {
  const bytes = Array.from({ length: addressBits[family] / 8 }, (_, index, length = addressBits[family] / 8) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 0xffn),
  )
  return family === 'ip' ? bytes.join('.') : new ipaddr.IPv6(bytes).toRFC5952String()
}

/** The block of one address, given in canonical text; to ask many blocks about it, for reading the text is what costs. */
export function hostCidr(address: string): Cidr {
  const family = familyOf(address)
  return makeCidr(family, addressValue(address), addressBits[family])
}

export function containsAddress(cidr: Cidr, address: string): boolean {
  if (familyOf(address) !== cidr.family) return false
  const value = addressValue(address)
  return cidr.first <= value && value <= cidr.last
}

/** CIDR blocks nest or are disjoint, so overlap is one block holding the other's first address. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last
}

export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last
}

/** The same addresses in disjoint blocks: those that lie in another are left out. Ordered by family and address. */
export function coverBlocks(blocks: readonly Cidr[]): readonly Cidr[] {
  // A block sorts before all that lie in it, and they stand together: the last one kept is the only one to ask.
  const ordered = blocks.toSorted(
    (a, b) => compare(a.family, b.family) || compare(a.first, b.first) || a.prefixLength - b.prefixLength,
  )
  const covering: Cidr[] = []
  for (const block of ordered) {
    const last = covering.at(-1)
    if (last === undefined || !cidrContains(last, block)) covering.push(block)
  }
  return covering
}

function compare<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Whether the text is a dotted quad without leading zeros. Written out because groups hold up to 50,000 addresses
 * and a file change is read whole: ipaddr.js takes thirty times as long for the same answer (bench/README.md).
 */
function isCanonicalIpv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$/.test(text) && !text.endsWith('.')
}

const hexGroup = '(?:0|[1-9a-f][0-9a-f]{0,3})'
const hexGroups = `(?:${hexGroup}(?::${hexGroup})*)?`
/** Neighbouring zeros, a zero beside `::` and IPv4-mapped addresses are left to ipaddr.js. */
const notPlain = '(?!::ffff:|0:[0:]|.*:(?:0:[0:]|:0))'
const plainIpv6 = new RegExp(
  `^${notPlain}(?:${hexGroup}(?::${hexGroup}){7}|(?=(?::*[^:]+){0,6}:*$)${hexGroups}::${hexGroups})$`,
)

/**
 * Whether the text is an IPv6 address that RFC 5952 would write just so, as far as one can see without working out its
 * value: then `::` stands for the only run of zeros. For the same reason as above; the rest takes the slow way.
 */
function isPlainIpv6(text: string): boolean {
  return plainIpv6.test(text)
}
