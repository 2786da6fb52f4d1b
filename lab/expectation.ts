/** What the policies say about an attempt: `evaluate` asked at every ENI on its way. */
import type { Family } from '../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../rules-compiler/address/protocol.ts'
import type { Direction, RuleVerdict } from '../rules-compiler/model/policy.ts'
import { evaluate, type Reason } from '../rules-compiler/policy/evaluate.ts'
import type { Packet } from '../rules-compiler/policy/packet.ts'
import { type Attempt, addresses, addressesOf, type Fleet, type HostName } from './fleet.ts'
import type { HostPolicies } from './policies.ts'

export interface Expectation {
  readonly verdict: RuleVerdict
  /** What decided: a rule's id or another reason. */
  readonly decidedBy: string
  /** Where it decided; null where no ENI is on the way. */
  readonly eniId: string | null
}

/** The ENIs between a host and the router, nearest to the host first. */
function enisOutwards(host: HostName): readonly string[] {
  switch (host) {
    case 'outside':
      return []
    case 'guest':
      return ['eni-guest', 'eni-guesthost']
    case 'container':
      return ['eni-conthost']
    default:
      return [`eni-${host}`]
  }
}

/** An ephemeral port as any client could have; no rule of the lab asks for source ports. */
const clientPort = 40_000

/**
 * The first drop on the way decides; where there is none, what accepted last.
 */
export function expectationOf(
  attempt: Attempt,
  family: Family,
  { enis, policies }: { readonly enis: Fleet['enis']; readonly policies: HostPolicies },
): Expectation {
  const way: readonly (readonly [string, Direction])[] = [
    ...enisOutwards(attempt.from).map(id => [id, 'egress'] as const),
    ...enisOutwards(attempt.to)
      .toReversed()
      .map(id => [id, 'ingress'] as const),
  ]
  let expectation: Expectation = { verdict: 'accept', decidedBy: 'no ENI on the way', eniId: null }
  for (const [eniId, direction] of way) {
    const ir = policies.get(enis.find(({ id }) => id === eniId)!.host)!
    const { verdict, reason } = evaluate(ir, packetOf(attempt, family, eniId, direction))
    expectation = { verdict, decidedBy: reasonText(reason, direction), eniId }
    if (verdict === 'drop') break
  }
  return expectation
}

/** As it stands on the wire: a container's source is the host's, by source NAT; a published port is not yet changed. */
function packetOf(attempt: Attempt, family: Family, eniId: string, direction: Direction): Packet {
  const { from, as, to, service } = attempt
  const sender = from === 'container' ? addresses.conthost : (as?.addresses ?? addressesOf(from))
  const ends = { eniId, direction, source: sender[family], destination: addressesOf(to)[family] }
  if (service.protocol !== 'ping') {
    const protocol = protocolNumbers[service.protocol]
    return { ...ends, protocol, sourcePort: clientPort, destinationPort: service.port }
  }
  const protocol = family === 'ip' ? protocolNumbers.icmp : protocolNumbers.icmpv6
  return { ...ends, protocol, sourcePort: 0, destinationPort: 0 }
}

function reasonText(reason: Reason, direction: Direction): string {
  switch (reason.kind) {
    case 'rule':
      return reason.rule.id
    case 'inner-access':
      return `inner access of ${reason.groupId}`
    case 'default':
      return `${direction} default`
    case 'exception':
      return reason.name
    case 'smtp':
      return 'port 25 block'
    case 'source-guard':
      return 'source guard'
    case 'invalid':
      return 'invalid packet'
    case 'no-policy':
      return 'no group'
    default:
      return reason satisfies never
  }
}
