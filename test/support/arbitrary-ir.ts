/**
 * Arbitrary policies and packets for fast-check, made so that they meet: a few addresses and blocks that nest, ports
 * that touch, few priorities, members in several groups. Everything shrinks towards fewer rules, ENIs and members.
 */
import fc from 'fast-check'
import { addressValue, type Cidr, type Family, families, makeCidr } from '../../rules-compiler/address/cidr.ts'
import { allPorts, type PortRange } from '../../rules-compiler/address/port-range.ts'
import { hasPorts, ruleProtocols } from '../../rules-compiler/address/protocol.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { EniIr, GroupMembers, PeerIr, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { arbitraryScrub } from './arbitrary-scrub-ir.ts'
import { sortRules } from './ir.ts'

/** Peers: neighbours in one block, private ones, and what DHCP and discovery come from. */
const peerAddresses = {
  ip: ['203.0.113.0', '203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.7', '10.0.0.1', '10.0.0.2', '198.18.0.3'],
  ip6: [
    '2001:db8:1::',
    '2001:db8:1::1',
    '2001:db8:1::2',
    '2001:db8:1::7',
    'fc00::1',
    'fe80::1',
    '2001:db8::3',
    'ff02::1',
  ],
} as const satisfies Record<Family, readonly string[]>

/** What an ENI may have, and what a guest may pretend. */
const localAddresses = {
  ip: ['198.18.0.2', '198.18.0.3', '0.0.0.0'],
  ip6: ['2001:db8::2', '2001:db8::3', 'fe80::2', '::'],
} as const satisfies Record<Family, readonly string[]>

const prefixLengths = { ip: [0, 5, 24, 29, 30, 31, 32], ip6: [0, 3, 48, 125, 126, 127, 128] } as const

/** Ends of ranges and ports of packets: those with a meaning of their own, and their neighbours. */
const portEdges = [1, 2, 22, 25, 26, 53, 67, 68, 80, 81, 443, 546, 547, 8000, 65_534, 65_535] as const

/** More than fit one lookup each (judge.ts, `manyGroups`). */
const groupIds = Array.from({ length: 11 }, (_, index) => `sg-${String(index).padStart(2, '0')}`)

const addressIn = (pool: Readonly<Record<Family, readonly string[]>>) =>
  fc.constantFrom(...families).chain(family => fc.constantFrom(...pool[family]))

function blockAround(
  pool: Readonly<Record<Family, readonly string[]>>,
  lengths: typeof prefixLengths,
): fc.Arbitrary<Cidr> {
  return fc
    .constantFrom(...families)
    .chain(family =>
      fc
        .tuple(fc.constantFrom(...pool[family]), fc.constantFrom(...lengths[family]))
        .map(([address, length]) => makeCidr(family, addressValue(address), length)),
    )
}

const portRange: fc.Arbitrary<PortRange> = fc
  .tuple(fc.constantFrom(...portEdges), fc.constantFrom(...portEdges))
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))

const block = blockAround(peerAddresses, prefixLengths)
const ownAddress = blockAround(localAddresses, { ip: [31, 32], ip6: [127, 128] } as unknown as typeof prefixLengths)

const blocksPeer: fc.Arbitrary<PeerIr> = fc.oneof(
  { weight: 4, arbitrary: block.map((cidr): PeerIr => ({ kind: 'cidrs', cidrs: [cidr], prefixListId: null })) },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(block, { maxLength: 4, selector: cidr => cidr.text })
      .map((cidrs): PeerIr => ({ kind: 'cidrs', cidrs: cidrs.toSorted(byText), prefixListId: 'pl-1' })),
  },
)

const groupPeer: fc.Arbitrary<PeerIr> = fc.constantFrom(...groupIds).map(groupId => ({ kind: 'group', groupId }))

type RuleSketch = Omit<RuleIr, 'id' | 'groupId'>

/** Anything a basic group may hold; an advanced one holds `accept` at priority 1 without group peers. */
function ruleSketch(type: 'basic' | 'advanced'): fc.Arbitrary<RuleSketch> {
  const basic = type === 'basic'
  return fc
    .record({
      direction: fc.constantFrom<Direction>('ingress', 'egress'),
      verdict: basic ? fc.constantFrom('accept' as const, 'drop' as const) : fc.constant('accept' as const),
      priority: basic ? fc.constantFrom(1, 2, 3, 100) : fc.constant(1),
      protocol: fc.constantFrom(...ruleProtocols),
      ports: portRange,
      sourcePorts: fc.oneof({ weight: 3, arbitrary: fc.constant(allPorts) }, { weight: 1, arbitrary: portRange }),
      peer: basic ? fc.oneof(blocksPeer, groupPeer) : blocksPeer,
      local: fc.option(ownAddress, { nil: null, freq: 3 }),
    })
    .map(rule => (hasPorts(rule.protocol) ? rule : { ...rule, ports: allPorts, sourcePorts: allPorts }))
}

/** A rule for each of many groups, alike but for group and port. */
const manyGroupRules: fc.Arbitrary<readonly RuleSketch[]> = fc
  .tuple(
    ruleSketch('basic'),
    fc.subarray(groupIds, { minLength: 8 }),
    fc.array(portRange, { minLength: 1, maxLength: 3 }),
  )
  .map(([rule, groups, ports]) =>
    groups.map((groupId, index): RuleSketch => {
      const peer: PeerIr = { kind: 'group', groupId }
      return hasPorts(rule.protocol) ? { ...rule, peer, ports: ports[index % ports.length]! } : { ...rule, peer }
    }),
  )

/** Many ports and many blocks in one layer, so that sets are split and ranges cut. */
const manyBlockRules: fc.Arbitrary<readonly RuleSketch[]> = fc.array(
  fc.tuple(block, portRange, fc.constantFrom('tcp' as const, 'udp' as const, 'all' as const)).map(
    ([cidr, ports, protocol]): RuleSketch => ({
      direction: 'ingress',
      verdict: 'accept',
      priority: 2,
      protocol,
      ports: protocol === 'all' ? allPorts : ports,
      sourcePorts: allPorts,
      peer: { kind: 'cidrs', cidrs: [cidr], prefixListId: null },
      local: null,
    }),
  ),
  { minLength: 10, maxLength: 40 },
)

const basicRules: fc.Arbitrary<readonly RuleSketch[]> = fc.oneof(
  { weight: 6, arbitrary: fc.array(ruleSketch('basic'), { maxLength: 14 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(ruleSketch('basic'), { maxLength: 6 }), manyGroupRules).map(lists => lists.flat()),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.array(ruleSketch('basic'), { maxLength: 6 }), manyBlockRules).map(lists => lists.flat()),
  },
)

const controlConnection = fc.record({ address: addressIn(peerAddresses), port: fc.constantFrom(443, 8000) })

/** Disordered and repeated as an IR is not: what judges must not depend on that. */
const rescue = fc.record({ source: blockAround(peerAddresses, prefixLengths), port: fc.constantFrom(22, 80, 443) })

const eniSketch = fc.boolean().chain(advanced =>
  fc.record({
    placement: fc.constantFrom('host' as const, 'guest' as const),
    addresses: fc.subarray(['198.18.0.2', '198.18.0.3', '2001:db8::2', '2001:db8::3', 'fe80::2']),
    smtpBlocked: fc.boolean(),
    isObserved: fc.boolean(),
    innerGroupIds: advanced ? fc.constant([]) : fc.subarray(groupIds, { maxLength: 3 }),
    controlConnections: fc.array(controlConnection, { maxLength: 2 }),
    rescue: fc.array(rescue, { maxLength: 2 }),
    rules: advanced ? fc.array(ruleSketch('advanced'), { maxLength: 10 }) : basicRules,
    advanced: fc.constant(advanced),
  }),
)

type EniSketch = typeof eniSketch extends fc.Arbitrary<infer T> ? T : never

function makeEniIr({ rules: sketches, advanced, ...facts }: EniSketch, index: number): EniIr {
  const rules = sortRules(
    sketches.map((sketch, number) => ({ id: `sgr-${index}-${number}`, groupId: `sg-own-${number % 3}`, ...sketch })),
  )
  return {
    id: `eni-${index}`,
    instanceId: 'i-1',
    device: `eth${index}`,
    securityGroupIds: ['sg-own-0', 'sg-own-1', 'sg-own-2'],
    ...facts,
    controlConnections: facts.placement === 'host' ? facts.controlConnections : [],
    rescue: facts.placement === 'host' ? facts.rescue : [],
    ingress: { rules: rules.filter(rule => rule.direction === 'ingress'), defaultVerdict: 'drop' },
    egress: { rules: rules.filter(rule => rule.direction === 'egress'), defaultVerdict: advanced ? 'drop' : 'accept' },
  }
}

/** Sorted as the IR promises; an address is often in several groups. */
const members: fc.Arbitrary<GroupMembers> = fc.record({
  ip: fc.subarray([...peerAddresses.ip].sort()),
  ip6: fc.subarray([...peerAddresses.ip6].sort()),
})

const logging = fc.record({
  drops: fc.boolean(),
  sessions: fc.boolean(),
  perSecond: fc.constantFrom(1, 100, 10_000),
  nflogGroup: fc.constantFrom(1, 21_079, 65_535),
})

/** Up to three ENIs; every group exists, though some have no member. */
export const arbitraryIr: fc.Arbitrary<PolicyIr> = makeArbitraryIr(0)

function makeArbitraryIr(fewestEnis: number): fc.Arbitrary<PolicyIr> {
  return fc
    .record({
      sketches: fc.array(eniSketch, { minLength: fewestEnis, maxLength: 3 }),
      membersOfGroups: fc.tuple(...groupIds.map(() => members)),
      sessionTimeoutSeconds: fc.constantFrom(910, 300),
      ctMarkMask: fc.constantFrom(0xffffff00, 0xffffffff, 0x0000ffff, 0x00ffff00, 0xff000000, 0x00000ff0),
      logging,
      makeScrub: arbitraryScrub('i-1'),
    })
    .map(({ sketches, membersOfGroups, makeScrub, ...settings }) => {
      const enis = sketches.map(makeEniIr)
      return {
        enis,
        unattachedEnis: [],
        groups: new Map(groupIds.map((groupId, index) => [groupId, membersOfGroups[index]!])),
        revocation: 'immediate',
        ...settings,
        scrub: makeScrub(enis.map(({ id, device, placement }) => ({ id, device, placement }))),
      }
    })
}

const protocols = [6, 6, 6, 17, 17, 1, 58, 47, 132] as const
const icmpTypes = [8, 128, 0, 3, 13, 130, 133, 134, 135, 136, 137, 139, 143] as const

const packetSketch = fc.constantFrom(...families).chain(family =>
  fc.record({
    eni: fc.nat(2),
    direction: fc.constantFrom<Direction>('ingress', 'egress'),
    protocol: fc.constantFrom(...protocols),
    peer: fc.constantFrom(...peerAddresses[family]),
    local: fc.constantFrom(...localAddresses[family]),
    sourcePort: fc.constantFrom(...portEdges),
    destinationPort: fc.constantFrom(...portEdges),
    icmpType: fc.constantFrom(...icmpTypes),
    hopLimit: fc.constantFrom(64, 255),
  }),
)

type PacketSketch = typeof packetSketch extends fc.Arbitrary<infer T> ? T : never

function makePacketAt(ir: PolicyIr, { eni, peer, local, direction, icmpType, ...facts }: PacketSketch): Packet {
  const ported = facts.protocol === 6 || facts.protocol === 17
  return {
    eniId: ir.enis[eni % ir.enis.length]!.id,
    direction,
    ...facts,
    source: direction === 'ingress' ? peer : local,
    destination: direction === 'ingress' ? local : peer,
    ...(ported ? {} : { sourcePort: 0, destinationPort: 0 }),
    ...(facts.protocol === 1 || facts.protocol === 58 ? { icmpType } : {}),
  }
}

/** A policy of at least one ENI, and packets at its ENIs. */
export const arbitraryIrWithPackets: fc.Arbitrary<{ readonly ir: PolicyIr; readonly packets: readonly Packet[] }> = fc
  .tuple(makeArbitraryIr(1), fc.array(packetSketch, { minLength: 1, maxLength: 30, size: 'max' }))
  .map(([ir, sketches]) => ({ ir, packets: sketches.map(sketch => makePacketAt(ir, sketch)) }))

/** Two policies of the same host, and packets at ENIs of both: the second is often the first with something changed. */
export const arbitraryChange: fc.Arbitrary<{
  readonly previous: PolicyIr
  readonly next: PolicyIr
  readonly packets: readonly Packet[]
}> = fc
  .record({
    previous: makeArbitraryIr(1),
    other: makeArbitraryIr(1),
    takeRules: fc.constantFrom('previous' as const, 'other' as const, 'fewer' as const),
    takeMembers: fc.constantFrom('previous' as const, 'other' as const),
    takeFacts: fc.constantFrom('previous' as const, 'other' as const),
    packets: fc.array(packetSketch, { minLength: 1, maxLength: 30, size: 'max' }),
  })
  .map(({ previous, other, takeRules, takeMembers, takeFacts, packets }) => {
    const enis = previous.enis.slice(0, other.enis.length).map((eni, index): EniIr => {
      const theirs = other.enis[index]!
      const facts = takeFacts === 'other' ? theirs : eni
      if (takeRules === 'previous') return { ...facts, ingress: eni.ingress, egress: eni.egress }
      if (takeRules === 'other') return { ...facts, ingress: theirs.ingress, egress: theirs.egress }
      const ingress = { ...eni.ingress, rules: eni.ingress.rules.filter((_, number) => number !== index) }
      return { ...facts, ingress, egress: eni.egress }
    })
    const next = { ...previous, enis, groups: takeMembers === 'other' ? other.groups : previous.groups }
    return { previous, next, packets: packets.map(sketch => makePacketAt(next, sketch)) }
  })

function byText(a: Cidr, b: Cidr): number {
  return a.text < b.text ? -1 : 1
}
