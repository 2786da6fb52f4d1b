/**
 * Policies to measure by, as an operator would write them (policy file, wire field names). The traffic of the packet
 * benchmarks goes from 198.18.0.0/16 to port 2000; in every policy the last and weakest rule is the one it matches.
 */
import type { Policy } from '../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'

export type WireRule = Readonly<Record<string, string | number>>
export type PortProtocol = 'tcp' | 'udp'

const trafficRule = (ipProtocol: PortProtocol, priority = 100): WireRule => ({
  ...ingress(ipProtocol, 'accept', '198.18.0.0/16', [2000, 2000]),
  priority,
})

function ingress(ipProtocol: string, policy: string, peer: string, [first, last]: readonly [number, number]): WireRule {
  return { direction: 'ingress', policy, priority: 1, ipProtocol, portRange: `${first}/${last}`, sourceCidrIp: peer }
}

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

const ordinaryBlock = (index: number) => `10.${index >> 8}.${index & 255}.0/24`

/**
 * The mixture other firewalls were measured by: 70 % a /24 source and ports 1000-4008, 30 % any source and ports
 * 20000-29989, a fifth of them drop; a few share the traffic's port.
 */
export function mixedRules(count: number, protocol: PortProtocol): readonly WireRule[] {
  const others = times(count - 1, index => {
    const policy = index % 5 === 0 ? 'drop' : 'accept'
    if (index % 10 < 7) {
      const first = 1000 + ((index * 3) % 3000)
      return ingress(protocol, policy, ordinaryBlock(index), [first, first + 8])
    }
    const first = 20_000 + ((index * 10) % 9980)
    return ingress(protocol, policy, '0.0.0.0/0', [first, first + 9])
  })
  return [...others, trafficRule(protocol)]
}

/** The mixture with `extra` further rules, none of which is like another. */
export function mixedRulesAnd(extra: number, count: number, protocol: PortProtocol): readonly WireRule[] {
  const added = times(extra, index => ingress(protocol, 'accept', ordinaryBlock(index), [5000 + index, 5000 + index]))
  return [...added, ...mixedRules(count, protocol)]
}

/** Shapes that a tenant could choose to make set lookups slow; each of `count` rules. */
export const shapes = {
  'one port, distinct blocks': (count, protocol) => [
    ...times(count - 1, index => ingress(protocol, 'accept', ordinaryBlock(index), [2000, 2000])),
    trafficRule(protocol),
  ],
  'port ranges from anywhere': (count, protocol) => [
    ...times(count - 1, index => ingress(protocol, 'accept', '0.0.0.0/0', [3000 + index * 60, 3049 + index * 60])),
    trafficRule(protocol),
  ],
  'half of each': (count, protocol) => [
    ...times(count / 2 - 1, index => ingress(protocol, 'accept', ordinaryBlock(index), [2000, 2000])),
    ...times(count / 2, index => ingress(protocol, 'accept', '0.0.0.0/0', [3000 + index * 60, 3049 + index * 60])),
    trafficRule(protocol),
  ],
  'nested blocks around the source': (count, protocol) => [
    ...times(count - 1, index => {
      const first = 3000 + index * 60
      return ingress(protocol, 'accept', `198.18.1.1/${index % 33}`, [first, first + 70])
    }),
    trafficRule(protocol),
  ],
  'alternating verdicts at 100 priorities': (count, protocol) => [
    ...times(count - 1, index => {
      const priority = Math.floor((index * 100) / count) + 1
      const policy = priority % 2 === 0 ? 'accept' : 'drop'
      return { ...ingress(protocol, policy, '0.0.0.0/0', [31_000 - index * 28, 31_000 + index * 28]), priority }
    }),
    // Overlaps with all the others, so that it can only be asked after them.
    { ...ingress(protocol, 'accept', '198.18.0.0/16', [2000, 60_000]), priority: 100 },
  ],
  'quintuple rules that all overlap': (count, protocol) => [
    ...times(count - 1, index => ({
      ...ingress(protocol, 'accept', '0.0.0.0/0', [3000 + index, 50_000 + index]),
      sourcePortRange: `${1 + index}/${60_000 + index}`,
    })),
    { ...ingress(protocol, 'accept', '198.18.0.0/16', [2000, 60_000]), sourcePortRange: '1/65534', priority: 100 },
  ],
} as const satisfies Record<string, (count: number, protocol: PortProtocol) => readonly WireRule[]>

/** `depth` prefix lengths around one address, each with port ranges that overlap those of its neighbours. */
export function nestedBlocks(count: number, address: string, depth: number): readonly WireRule[] {
  return times(count, index => {
    const first = 1 + ((index * 61) % 60_000)
    const { sourceCidrIp, ...rule } = ingress('tcp', 'accept', `${address}/${index % depth}`, [first, first + 200])
    return address.includes(':')
      ? { ...rule, ipv6SourceCidrIp: sourceCidrIp! }
      : { ...rule, sourceCidrIp: sourceCidrIp! }
  })
}

/** Half single ports from anywhere, half blocks with a range that holds them all: n²/4 pieces if cut naively. */
export function cutApart(count: number): readonly WireRule[] {
  const half = Math.floor(count / 2)
  return [
    ...times(half, index => ingress('tcp', 'accept', '0.0.0.0/0', [2 + index * 8, 2 + index * 8])),
    ...times(count - half, index => ingress('tcp', 'accept', ordinaryBlock(index), [1, 60_000 + (index % 5000)])),
  ]
}

/** Rules that ask for a source port and one of the ENI's addresses too, and do not overlap. */
export function quintuples(count: number): readonly WireRule[] {
  return times(count, index => {
    const rule = ingress('tcp', 'accept', ordinaryBlock(index), [1000 + index, 1040 + index])
    return { ...rule, sourcePortRange: `${1 + index * 30}/${30_000 + index * 30}`, destCidrIp: '198.18.0.2/32' }
  })
}

/** Each rule names a group of its own, of ten members, some of them in two groups. */
export function groupReferences(count: number): { readonly rules: readonly WireRule[]; readonly parts: PolicyParts } {
  const groups = times(count, index => ({
    id: `sg-peer${index}`,
    members: times(10, member => memberAddress(index * 9 + member)),
  }))
  const rules = groups.map(({ id }, index) => {
    const { sourceCidrIp: _, ...rule } = ingress('tcp', 'accept', '', [1 + index, 1 + index])
    return { ...rule, sourceGroupId: id }
  })
  return { rules, parts: { otherGroups: groups } }
}

/** Private addresses apart from those of the blocks in the rules. */
const memberAddress = (index: number) => `172.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`
export const memberAddresses = (count: number): readonly string[] => times(count, memberAddress)

export interface PolicyParts {
  readonly members?: readonly string[]
  readonly otherGroups?: readonly { readonly id: string; readonly members: readonly string[] }[]
}

/** A policy file's content with one host ENI, `eth0`, in one group that has the rules. */
export function makePolicy(rules: readonly WireRule[], { members = [], otherGroups = [] }: PolicyParts = {}): object {
  return {
    apiVersion: 'ringwall/v1',
    instances: [{ id: 'i-1' }],
    interfaces: [
      { id: 'eni-1', device: 'eth0', placement: 'host', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] },
    ],
    securityGroups: [
      { id: 'sg-1', members: ['198.18.0.2', ...members], rules },
      ...otherGroups.map(group => ({ ...group, rules: [] })),
    ],
    settings: { limits: { rulesPerGroup: 100_000, basicGroupPrivateIps: 1_000_000 } },
  }
}

/** The same, read, checked and resolved. @throws {Error} if it is no valid policy */
export function makeIr(rules: readonly WireRule[], parts: PolicyParts = {}): PolicyIr {
  return resolvePolicy(readSound(JSON.stringify(makePolicy(rules, parts))))
}

/** @throws {Error} with the first fault of the policy */
export function readSound(text: string): Policy {
  const { policy, problems } = readPolicy(text)
  if (policy === null) throw new Error(`Cannot measure by this policy: ${JSON.stringify(problems[0])}`)
  return policy
}
