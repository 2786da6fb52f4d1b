/** Packets and decisions as one line of text, read and written: the language of test/cases. */
import { parseAddress } from '../../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { Decision, Reason } from '../../rules-compiler/policy/evaluate.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'

const packetLine =
  /^(?<protocol>[a-z]\w*|protocol \d+)(?: type (?<type>\d+))? (?<source>\S+) -> (?<destination>\S+)(?: hop limit (?<hops>\d+))?$/

/**
 * A packet from `tcp 203.0.113.9:40000 -> 198.18.0.2:22` and the like, as `packetText` writes it without the place.
 * @throws {Error} naming what cannot be read
 */
export function parsePacket(text: string, place: { readonly eniId: string; readonly direction: Direction }): Packet {
  const parts = packetLine.exec(text)?.groups
  if (parts === undefined) throw new Error(`Cannot read packet "${text}": expected "PROTOCOL SOURCE -> DESTINATION"`)
  const protocol = readProtocol(parts.protocol!)
  const hasPorts = protocol === protocolNumbers.tcp || protocol === protocolNumbers.udp
  const source = readEnd(parts.source!, hasPorts)
  const destination = readEnd(parts.destination!, hasPorts)
  return {
    eniId: place.eniId,
    direction: place.direction,
    protocol,
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: destination.port,
    ...(parts.type === undefined ? {} : { icmpType: Number(parts.type) }),
    ...(parts.hops === undefined ? {} : { hopLimit: Number(parts.hops) }),
  }
}

function readProtocol(text: string): number {
  if (text.startsWith('protocol ')) return Number(text.slice('protocol '.length))
  if (Object.hasOwn(protocolNumbers, text)) return protocolNumbers[text as keyof typeof protocolNumbers]
  throw new Error(`Cannot read protocol "${text}": expected ${Object.keys(protocolNumbers).join(', ')} or "protocol N"`)
}

function readEnd(text: string, hasPort: boolean): { readonly address: string; readonly port: number } {
  const parts = hasPort ? /^(?:\[(?<six>[^\]]+)\]|(?<four>[^:]+)):(?<port>\d+)$/.exec(text)?.groups : { four: text }
  const address = parseAddress(parts?.six ?? parts?.four ?? '')
  if (address === null) throw new Error(`Cannot read "${text}": expected an address${hasPort ? ' and a port' : ''}`)
  return { address, port: Number(parts?.port ?? 0) }
}

/** `accept rule sgr-1`, `drop default`, `accept exception dhcp`: the verdict and what decided. */
export function decisionText({ verdict, reason }: Pick<Decision, 'verdict' | 'reason'>): string {
  return `${verdict} ${reasonText(reason)}`
}

export function reasonText(reason: Reason): string {
  switch (reason.kind) {
    case 'rule':
      return `rule ${reason.rule.id}`
    case 'inner-access':
      return `inner-access ${reason.groupId}`
    case 'exception':
      return `exception ${reason.name}`
    default:
      return reason.kind
  }
}
