/**
 * One spelling for a rule as it was written and as nft lists it. nft 1.0.6 lists a masked comparison of the top bits as
 * a prefix, folds the bits it sets into the mask it clears, names protocols by /etc/protocols, leaves out the family
 * where a protocol is compared, writes some IPv6 addresses with dots, and prints what a rule's own counter has counted.
 */
import { parseAddress } from '../address/cidr.ts'
import { protocolNumbers } from '../address/protocol.ts'
import { isRecord } from '../validate/is-record.ts'
import type { NftRule } from './ruleset.ts'

/** Text that is equal for two rules that do the same. */
export function canonicalRule(rule: NftRule): string {
  const statements = rule.statements.map(canonicalStatement).map(statement => JSON.stringify(statement))
  const familyImplied = statements.some(statement => statement.includes(comparesProtocol))
  const kept = familyImplied ? statements.filter(statement => !statement.includes(comparesFamily)) : statements
  return [...kept, rule.ruleId ?? ''].join(' ')
}

const comparesProtocol = JSON.stringify({ ct: { key: 'protocol' } })
const comparesFamily = JSON.stringify({ meta: { key: 'nfproto' } })

/** Number 0, which no rule names, is what ICMP leaves of all protocols below itself. */
const protocolNames: Readonly<Record<string, number>> = {
  ...protocolNumbers,
  'ipv6-icmp': protocolNumbers.icmpv6,
  ip: 0,
  hopopt: 0,
}

/** A protocol's number from the name nft lists it by; the name itself where it is none of ours. */
export function protocolNumber(name: string): number | string {
  return protocolNames[name] ?? name
}

/** glibc writes the last 32 bits with dots where the 96 before them are zero: `::102:304` is listed as `::1.2.3.4`. */
export function listedAddress(text: string): string {
  const octets = /^::(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)?.slice(1).map(Number)
  if (octets === undefined) return text
  const [a = 0, b = 0, c = 0, d = 0] = octets
  const plain = `::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  return parseAddress(plain) ?? text
}

function canonicalStatement(statement: unknown): unknown {
  if (!isRecord(statement)) return statement
  if ('counter' in statement) return { counter: typeof statement.counter === 'string' ? statement.counter : null }
  if ('match' in statement && isRecord(statement.match)) return canonicalMatch(statement.match)
  if ('mangle' in statement && isRecord(statement.mangle)) return canonicalMangle(statement.mangle)
  return sortKeys(statement)
}

function canonicalMatch(match: Readonly<Record<string, unknown>>): unknown {
  const { op, left, right } = match
  if (isCt(left, 'mark') && isRecord(right) && isRecord(right.prefix)) {
    const { addr, len } = right.prefix as { addr: number; len: number }
    const mask = (0xffffffff << (32 - len)) >>> 0
    return sortKeys({ match: { op, left: { '&': [left, mask] }, right: addr } })
  }
  if (isCt(left, 'protocol') && typeof right === 'string') {
    return sortKeys({ match: { op, left, right: protocolNumber(right) } })
  }
  if (isRecord(right) && Array.isArray(right.set)) {
    const elements = right.set.map(element => JSON.stringify(sortKeys(element))).sort()
    return sortKeys({ match: { op, left, right: { set: elements } } })
  }
  return sortKeys({ match: { op, left, right } })
}

/** `(mark & mask) | bits` does the same whether or not the mask keeps the bits that are set; a full mask is left out. */
function canonicalMangle(mangle: Readonly<Record<string, unknown>>): unknown {
  const { key, value } = mangle
  if (!isRecord(value) || !Array.isArray(value['|'])) return sortKeys({ mangle })
  const [left, bits] = value['|'] as [unknown, number]
  const masked = isRecord(left) && Array.isArray(left['&']) ? (left['&'] as [unknown, number]) : null
  const [operand, mask] = masked ?? [left, 0xffffffff]
  return sortKeys({ mangle: { key, value: { '|': [{ '&': [operand, (mask & ~bits) >>> 0] }, bits] } } })
}

function isCt(expression: unknown, key: string): boolean {
  return isRecord(expression) && isRecord(expression.ct) && expression.ct.key === key
}

/** Keys in order, addresses in one spelling. */
function sortKeys(value: unknown): unknown {
  if (typeof value === 'string') return listedAddress(value)
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sortKeys(value[key])]),
  )
}
