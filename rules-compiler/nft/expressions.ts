/** The few nft expressions and statements rulesets are made of. */
import type { Cidr, Family } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import { protocolNumbers } from '../address/protocol.ts'
import { bareText, type Expression, type Jump, type Operand, type Statement, type Verdict } from './ruleset.ts'
import type { Side } from './stamps.ts'

export const nfproto = { ip: 'ipv4', ip6: 'ipv6' } as const satisfies Record<Family, string>
export const addressType = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const satisfies Record<Family, string>

/**
 * The addresses and ports with which a session stands on the wire at an ENI, read from its conntrack entry. On the
 * side it entered that is the original tuple, before destination NAT; on the side it left the reply tuple turned
 * round, after source NAT. Because the tuple is the same for every packet of the session, replies and ICMP errors are
 * judged by the same chain as the first packet.
 */
export interface SessionKeys {
  readonly source: (family: Family) => Expression
  readonly destination: (family: Family) => Expression
  readonly sourcePort: Expression
  readonly destinationPort: Expression
}

export function sessionKeys(side: Side): SessionKeys {
  if (side === 'entered') {
    return {
      source: family => ({ ct: { key: `${family} saddr`, dir: 'original' } }),
      destination: family => ({ ct: { key: `${family} daddr`, dir: 'original' } }),
      sourcePort: { ct: { key: 'proto-src', dir: 'original' } },
      destinationPort: { ct: { key: 'proto-dst', dir: 'original' } },
    }
  }
  return {
    source: family => ({ ct: { key: `${family} daddr`, dir: 'reply' } }),
    destination: family => ({ ct: { key: `${family} saddr`, dir: 'reply' } }),
    sourcePort: { ct: { key: 'proto-dst', dir: 'reply' } },
    destinationPort: { ct: { key: 'proto-src', dir: 'reply' } },
  }
}

export const ctMark: Expression = { ct: { key: 'mark' } }
export const ctDirection: Expression = { ct: { key: 'direction' } }
export const ctStatus: Expression = { ct: { key: 'status' } }
const ctProtocol: Expression = { ct: { key: 'protocol' } }

export const equals = (left: Expression, right: Operand): Statement => ({ match: { op: '==', left, right } })
export const differs = (left: Expression, right: Operand): Statement => ({ match: { op: '!=', left, right } })
/** Whether a bit, by its name, is set. */
export const isSet = (left: Expression, bit: string): Statement => ({ match: { op: 'in', left, right: bit } })
export const isNotSet = (left: Expression, bit: string): Statement => ({ match: { op: '!', left, right: bit } })
export const isIn = (left: Expression, setName: string): Statement => equals(left, `@${setName}`)
export const field = (protocol: string, name: string): Expression => ({ payload: { protocol, field: name } })
export const familyIs = (family: Family): Statement => equals({ meta: { key: 'nfproto' } }, nfproto[family])

/**
 * The session's family and protocol. nft 1.0.6 knows the type of `ct proto-dst` only after both have been compared in
 * the same rule ("can not use variable sized data types" otherwise), so every rule that reads a port begins with this.
 * The family is compared twice because nft leaves one such comparison out of its listing, taking it for implied, and
 * what it lists then does not load again.
 */
export const sessionIs = (family: Family, protocol: keyof typeof protocolNumbers): readonly Statement[] => [
  familyIs(family),
  familyIs(family),
  protocolIs(protocol),
]

/** By number: names would need /etc/protocols, which minimal installations lack. */
export const protocolIs = (protocol: keyof typeof protocolNumbers): Statement =>
  equals(ctProtocol, protocolNumbers[protocol])

/** A single address is written without its length: nft lists it so. */
export function cidrOperand(cidr: Cidr): Operand {
  const [address = '', length] = bareText(cidr).split('/')
  return length === undefined ? address : prefix(address, cidr.prefixLength)
}

const prefix = (addr: string, len: number): Operand => ({ prefix: { addr, len } })

export function rangeOperand(range: PortRange): Operand {
  return range.first === range.last ? range.first : { range: [range.first, range.last] }
}

export const count = (counter: string | null): Extract<Statement, { counter: unknown }> => ({ counter })
export const goto = (target: string): Jump => ({ goto: { target } })
export const jump = (target: string): Jump => ({ jump: { target } })
export const accept: Verdict = { accept: null }
export const drop: Verdict = { drop: null }
