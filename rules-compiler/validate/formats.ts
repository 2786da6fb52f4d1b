/**
 * The values of a policy file that are more than their JSON type says: how each is read, and what is expected where it
 * cannot be. Reading gives the exact type of the model at once, so nothing is parsed twice.
 */
import { type Cidr, type Family, parseAddress, parseCidr } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import { type RuleProtocol, ruleProtocols } from '../address/protocol.ts'

export interface Format<T> {
  /** What is being read, for `Cannot read … "value"`. */
  readonly name: string
  readonly expected: string
  /** The same as far as a regular expression can say it, for editors that know the schema and not this file. */
  readonly pattern?: string
  /** @returns null where the value is none */
  parse(value: unknown): T | null
}

/** `-1/-1`, the range of protocols without ports, is told apart from any range of ports. */
export type FilePortRange = PortRange | 'all'

export const formats = {
  // Ids become parts of nft names, which allow no more than this.
  id: patternFormat(
    'id',
    'a letter, then up to 63 of letters, digits, "-", "_" and "."',
    '^[A-Za-z][A-Za-z0-9_.-]{0,63}$',
  ),
  account: patternFormat('account', '16 digits as text (in quotes)', '^[0-9]{16}$'),
  // The kernel takes any bytes but "/", ":" and space (dev_valid_name, net/core/dev.c). nft has no way to write a
  // quote or backslash, and takes a trailing "*" for any name that begins so: these are left out as well.
  device: patternFormat(
    'device',
    '1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
    '^(?!(lo|\\.|\\.\\.)$)[!#-)+-.0-9;-\\[\\]-~]{1,15}$',
  ),
  address: textFormat('address', 'one IPv4 or IPv6 address, without prefix length', parseAddress),
  cidr: textFormat('CIDR block', 'an IPv4 or IPv6 address or CIDR block', parseCidr),
  'ipv4-cidr': textFormat('CIDR block', 'an IPv4 address or CIDR block', text => cidrOf('ip', text)),
  'ipv6-cidr': textFormat('CIDR block', 'an IPv6 address or CIDR block', text => cidrOf('ip6', text)),
  protocol: textFormat(
    'protocol',
    `one of ${ruleProtocols.join(', ')}`,
    parseProtocol,
    `^(${ruleProtocols.map(inAnyCase).join('|')})$`,
  ),
  'port-range': textFormat(
    'port range',
    '"start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
    parsePortRange,
    '^(-1/-1|[1-9][0-9]{0,4}/[1-9][0-9]{0,4})$',
  ),
  'mark-mask': {
    name: 'mark mask',
    expected: 'a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
    parse: parseMarkMask,
  },
} as const satisfies Record<string, Format<unknown>>

export type FormatName = keyof typeof formats

function textFormat<T>(name: string, expected: string, parse: (text: string) => T | null, pattern?: string): Format<T> {
  const read = (value: unknown) => (typeof value === 'string' ? parse(value) : null)
  return { name, expected, parse: read, ...(pattern === undefined ? {} : { pattern }) }
}

function patternFormat(name: string, expected: string, pattern: string): Format<string> {
  const expression = new RegExp(pattern, 'u')
  return textFormat(name, expected, text => (expression.test(text) ? text : null), pattern)
}

/** A pattern for a word in any case: JSON Schema has no flag for it. */
function inAnyCase(word: string): string {
  return word.replace(/[a-z]/g, letter => `[${letter.toUpperCase()}${letter}]`)
}

function cidrOf(family: Family, text: string): Cidr | null {
  const cidr = parseCidr(text)
  return cidr?.family === family ? cidr : null
}

function parseProtocol(text: string): RuleProtocol | null {
  const name = text.toLowerCase()
  return ruleProtocols.find(protocol => protocol === name) ?? null
}

/** Port 0 is no port a rule can name; leading zeros and signs are none of the format's either. */
function parsePortRange(text: string): FilePortRange | null {
  if (text === '-1/-1') return 'all'
  const ends = /^([1-9]\d{0,4})\/([1-9]\d{0,4})$/.exec(text)
  if (ends === null) return null
  const [first, last] = [Number(ends[1]), Number(ends[2])]
  return first <= last && last <= 65_535 ? { first, last } : null
}

/** Two stamps of equal width share the mask, four bits each at least: hence one run of ones, even, 8 or more. */
function parseMarkMask(value: unknown): number | null {
  const mask = typeof value === 'string' && /^0x[0-9a-f]{1,8}$/i.test(value) ? Number(value) : value
  if (typeof mask !== 'number' || !Number.isInteger(mask) || mask <= 0 || mask > 0xffff_ffff) return null
  const ones = mask.toString(2).replace(/0+$/, '')
  return !ones.includes('0') && ones.length % 2 === 0 && ones.length >= 8 ? mask : null
}
