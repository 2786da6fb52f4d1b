/**
 * The nft expressions and statements of this table, in the shapes of libnftables-json(5): those of the policy's table and
 * a few more. Apart from them, because this table is never printed as text.
 */
import type { Cidr, Family } from '../address/cidr.ts'
import { protocolNumbers as protocolNumber, type protocolNumbers } from '../address/protocol.ts'
import { cidrOperand, nfproto } from '../nft/expressions.ts'
import type { Expression, Operand, Statement, Verdict } from '../nft/ruleset.ts'

export type ScrubExpression =
  | Expression
  | { readonly meta: { readonly key: 'l4proto' | 'mark' } }
  | { readonly payload: { readonly base: 'nh' | 'th'; readonly offset: number; readonly len: number } }
  | { readonly exthdr: { readonly name: 'frag' } }
  | { readonly numgen: { readonly mode: 'random'; readonly mod: number; readonly offset: 0 } }
  | { readonly concat: readonly ScrubExpression[] }
  | { readonly '&': readonly [ScrubExpression, number] }

export type ScrubOperand = Operand | boolean

export type ScrubStatement =
  | Exclude<Statement, { readonly match: unknown } | { readonly vmap: unknown }>
  | {
      readonly match: { readonly op: '==' | '!=' | 'in'; readonly left: ScrubExpression; readonly right: ScrubOperand }
    }
  | {
      readonly vmap: {
        readonly key: ScrubExpression
        readonly data: { readonly set: readonly (readonly [Operand, Verdict])[] }
      }
    }
  | {
      readonly set: {
        readonly op: 'add' | 'update'
        readonly elem: ScrubExpression
        readonly set: string
        readonly stmt?: readonly [{ readonly limit: Limit }]
      }
    }
  | { readonly return: null }

export interface Limit {
  readonly rate: number
  readonly per: 'second' | 'minute'
  readonly burst: number
  /** Whether it matches what is above it, or what has room in it. */
  readonly inv: boolean
  readonly rate_unit?: 'bytes'
  readonly burst_unit?: 'bytes'
}

export type ScrubRule = readonly ScrubStatement[]

export const returns: ScrubStatement = { return: null }

export const is = (left: ScrubExpression, right: ScrubOperand): ScrubStatement => ({ match: { op: '==', left, right } })
export const isNot = (left: ScrubExpression, right: ScrubOperand): ScrubStatement => ({
  match: { op: '!=', left, right },
})
/** One of the flags, as `ct state new,invalid` says it. */
export const hasFlag = (left: ScrubExpression, right: Operand): ScrubStatement => ({ match: { op: 'in', left, right } })
export const isElement = (left: ScrubExpression, setName: string): ScrubStatement => is(left, `@${setName}`)

export const source = (family: Family): ScrubExpression => ({ payload: { protocol: family, field: 'saddr' } })
export const tcpSourcePort: ScrubExpression = { payload: { protocol: 'tcp', field: 'sport' } }

export const isFamily = (family: Family): ScrubStatement => is({ meta: { key: 'nfproto' } }, nfproto[family])
export const isProtocol = (...protocols: readonly (keyof typeof protocolNumbers)[]): ScrubStatement => {
  const numbers = protocols.map(name => protocolNumber[name])
  return is({ meta: { key: 'l4proto' } }, numbers.length === 1 ? numbers[0]! : { set: numbers })
}

/** Chosen by chance. */
export const isOneIn = (count: number): ScrubStatement => is({ numgen: { mode: 'random', mod: count, offset: 0 } }, 0)

/** More fragments to come, or an offset: bits 2 to 15 of the field (RFC 791, section 3.1). */
const isIpv4Fragment = isNot({ '&': [{ payload: { protocol: 'ip', field: 'frag-off' } }, 0x3fff] }, 0)
export const isFragment: Readonly<Record<Family, ScrubStatement>> = {
  ip: isIpv4Fragment,
  ip6: is({ exthdr: { name: 'frag' } }, true),
}

/** SYN (2) and ACK (16) of the flags byte; by its place, because nft would ask for the protocol once more. */
const synAndAck: ScrubExpression = { '&': [{ payload: { base: 'th', offset: 104, len: 8 } }, 0x12] }
/** Only where the protocol is known to be TCP: it opens a connection. */
export const opensConnection = is(synAndAck, 0x02)
export const opensNoConnection = isNot(synAndAck, 0x02)
/** Only where the protocol is known to be UDP. */
export const isFromDnsPort = is({ payload: { base: 'th', offset: 0, len: 16 } }, 53)

/**
 * Of routers and neighbours. Hop limit 255 says that no router passed it on (RFC 4861, section 11.2), so it cannot be
 * forged from afar.
 */
export const isNeighbourDiscovery: readonly ScrubStatement[] = [
  isProtocol('icmpv6'),
  is({ payload: { protocol: 'ip6', field: 'hoplimit' } }, 255),
  is(
    { payload: { protocol: 'icmpv6', field: 'type' } },
    { set: ['nd-router-solicit', 'nd-router-advert', 'nd-neighbor-solicit', 'nd-neighbor-advert'] },
  ),
]

const sourceOffset = { ip: 96, ip6: 64 } as const satisfies Record<Family, number>
const addressBitsAfterFirstByte = { ip: 24n, ip6: 120n } as const satisfies Record<Family, bigint>

/**
 * Whether the source is in one of the blocks. Asked of its first byte before: that is enough for most addresses of the
 * Internet, and costs a third of looking into the intervals.
 * @param blocks  of that family; not empty
 */
export function isFrom(family: Family, blocks: readonly Cidr[]): readonly ScrubStatement[] {
  if (blocks.some(({ prefixLength }) => prefixLength === 0)) return [isFamily(family)]
  const firstBytes = new Set(blocks.flatMap(block => firstBytesOf(block, addressBitsAfterFirstByte[family])))
  const firstByte: ScrubExpression = { payload: { base: 'nh', offset: sourceOffset[family], len: 8 } }
  const inBlocks = is(source(family), { set: blocks.map(cidrOperand) })
  const precheck = firstBytes.size > 16 ? [] : [is(firstByte, { set: [...firstBytes].sort((a, b) => a - b) })]
  return [isFamily(family), ...precheck, inBlocks]
}

function firstBytesOf({ first, last }: Cidr, shift: bigint): readonly number[] {
  const from = Number(first >> shift)
  return Array.from({ length: Number(last >> shift) - from + 1 }, (_, index) => from + index)
}

/** Remembers the source, or what else the element is made of; where the set is full the rule ends here. */
export const remember = (op: 'add' | 'update', setName: string, elem: ScrubExpression): ScrubStatement => ({
  set: { op, elem, set: `@${setName}` },
})
/** Goes on only while the source is above the limit; each source has its own in the set. Not where the set is full. */
export const isAbove = (setName: string, elem: ScrubExpression, limit: Limit): ScrubStatement => ({
  set: { op: 'update', elem, set: `@${setName}`, stmt: [{ limit }] },
})
