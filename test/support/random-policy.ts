/**
 * Random policy files, made so that rules meet: blocks nest and repeat, ports touch, members stand at the edges of
 * blocks, a few priorities are shared by many rules. The same seed gives the same file.
 */
import {
  addressBits,
  addressText,
  type Cidr,
  type Family,
  familyOf,
  makeCidr,
  parseCidr,
} from '../../rules-compiler/address/cidr.ts'
import { protocolInFamily, type RuleProtocol, ruleProtocols } from '../../rules-compiler/address/protocol.ts'
import type { Direction, EnforcementMode, Placement } from '../../rules-compiler/model/policy.ts'
import type { Random } from './random.ts'

/** A policy file, to be read by `readPolicy`. */
export interface PolicyDocument {
  readonly apiVersion: 'ringwall/v1'
  readonly instances: readonly {
    readonly id: string
    readonly smtpUnblocked: boolean
    /** Of traffic scrubbing. */
    readonly [field: string]: unknown
  }[]
  readonly interfaces: readonly {
    readonly id: string
    readonly device: string
    readonly placement: Placement
    readonly addresses: readonly string[]
    readonly securityGroupIds: readonly string[]
    readonly mode?: EnforcementMode
  }[]
  readonly securityGroups: readonly GroupDocument[]
  readonly prefixLists: readonly { readonly id: string; readonly entries: readonly string[] }[]
  readonly settings: Readonly<Record<string, unknown>>
}

export interface GroupDocument {
  readonly id: string
  readonly type: 'basic' | 'advanced'
  readonly innerAccessPolicy: 'accept' | 'drop'
  readonly mode?: EnforcementMode
  readonly members: readonly string[]
  readonly rules: readonly RuleDocument[]
}

/** Wire fields; which of them are there depends on the rule. */
export type RuleDocument = Readonly<Record<string, string | number>>

/** The ENI's own addresses. Two of a family, so that rules can be narrowed to one. */
const eniAddresses = ['198.18.0.2', '198.18.0.3', '2001:db8::2', '2001:db8::3']

/** Where blocks grow from: private and public, wide and narrow, and everything. */
const roots = {
  ip: ['0.0.0.0/0', '10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '198.18.0.0/15', '203.0.113.0/24', '128.0.0.0/2'],
  ip6: ['::/0', '2001:db8::/32', '2001:db8:ffff::/48', 'fc00::/7', '2400::/12', '2001:db8::/126'],
} as const satisfies Record<Family, readonly string[]>

/** What one policy's rules choose from; small, so that they meet. */
interface Pool {
  readonly blocks: Readonly<Record<Family, readonly Cidr[]>>
  readonly portEdges: readonly number[]
  readonly priorities: readonly number[]
  readonly peerGroupIds: readonly string[]
  readonly prefixLists: PolicyDocument['prefixLists']
  readonly advanced: boolean
}

export function makePolicyDocument(random: Random, placement: Placement): PolicyDocument {
  const blocks = { ip: growBlocks(random, 'ip'), ip6: growBlocks(random, 'ip6') }
  const advanced = random.chance(0.15)
  const peerGroups = Array.from({ length: random.pick([0, 2, 5, 12]) }, (_, number) => ({
    ...emptyGroup(`sg-peer${number}`),
    members: makeMembers(random, blocks, random.pick([0, 1, 5, 40])),
  }))
  const prefixLists = Array.from({ length: random.integer(0, 4) }, (_, number) => ({
    id: `pl-${number}`,
    entries: random.sample([...blocks.ip, ...blocks.ip6], random.pick([0, 1, 4, 15])).map(({ text }) => text),
  }))
  const pool: Pool = {
    blocks,
    portEdges: Array.from({ length: random.pick([2, 5, 12]) }, () =>
      random.pick([22, 25, 80, 443, 3306, random.integer(1, 65_534)]),
    ),
    priorities: random.sample([1, 2, 3, 10, 50, 99, 100], random.integer(1, 5)),
    peerGroupIds: peerGroups.map(({ id }) => id),
    prefixLists,
    advanced,
  }
  const ownGroups = Array.from({ length: random.integer(1, 5) }, (_, number) => ({
    ...emptyGroup(`sg-own${number}`),
    type: advanced ? ('advanced' as const) : ('basic' as const),
    innerAccessPolicy: random.chance(0.3) ? ('accept' as const) : ('drop' as const),
    members: makeMembers(random, blocks, random.integer(0, 6)),
    rules: Array.from({ length: random.pick([0, 1, 8, 30, 150]) }, () => makeRule(random, pool)),
  }))
  return {
    apiVersion: 'ringwall/v1',
    instances: [{ id: 'i-1', smtpUnblocked: random.chance(0.3), ...makeScrubbedInstance(random) }],
    interfaces: [
      {
        id: 'eni-1',
        device: 'd0',
        placement,
        addresses: eniAddresses,
        securityGroupIds: ownGroups.map(({ id }) => id),
      },
    ],
    securityGroups: [...ownGroups, ...peerGroups],
    prefixLists,
    settings: {
      controlConnections: [{ address: '203.0.113.99', port: 8443 }],
      rescue: makeRescues(random, pool),
      ctMarkMask: random.pick(['0xffffff00', '0x0000ffff', '0x00000ff0']),
      ...makeScrubSettings(random, pool),
      logging: {
        drops: random.chance(0.7),
        sessions: random.chance(0.3),
        perSecond: random.pick([1, 100, 10_000]),
        nflogGroup: random.integer(1, 65_535),
      },
    },
  }
}

/** The same policy on trial, by the word of its ENIs or that of one of their groups. */
export function observed(random: Random, document: PolicyDocument): PolicyDocument {
  const mode = 'observe'
  if (random.chance(0.5)) {
    return { ...document, interfaces: document.interfaces.map(eni => ({ ...eni, mode })) }
  }
  const names = document.interfaces.map(({ securityGroupIds }) => random.pick(securityGroupIds))
  const securityGroups = document.securityGroups.map(group => (names.includes(group.id) ? { ...group, mode } : group))
  return { ...document, securityGroups } as PolicyDocument
}

function makeRescues(random: Random, { blocks, portEdges }: Pool): readonly Readonly<Record<string, unknown>>[] {
  return random
    .sample([...blocks.ip, ...blocks.ip6], random.pick([0, 0, 1, 3]))
    .map(({ text }) => ({ source: text, port: random.pick(portEdges) }))
}

/** What the ruleset has nothing to do with. */
function makeScrubbedInstance(random: Random): Readonly<Record<string, unknown>> {
  const holdSeconds = random.pick([{}, { holdSeconds: random.integer(1, 604_800) }])
  const order = random.pick([{ action: 'lift' }, { action: 'black-hole', ...holdSeconds }])
  const known = random.chance(0.5)
  const threshold = { bps: random.integer(1, known ? 1000 : 10_000_000), pps: random.integer(1, 300_000) }
  return {
    instanceType: known ? 'ecs.g5.large' : 'not.published',
    ...(random.chance(0.5) && { ddosThreshold: { ...threshold, source: random.pick(['manual', 'auto']) } }),
    ...(random.chance(0.3) && { scrubbingCancelled: random.chance(0.5) }),
    ...(random.chance(0.3) && { ddosOrder: { id: `order-${random.integer(1, 3)}`, ...order } }),
  }
}

function makeScrubSettings(random: Random, { blocks }: Pool): Readonly<Record<string, unknown>> {
  const first = random.integer(1, 604_800)
  const allowed = random.sample([...blocks.ip, ...blocks.ip6], random.pick([0, 1, 10]))
  return {
    trafficScope: random.pick(['internet', 'all']),
    scrubbing: {
      secondsOver: random.integer(1, 60),
      holdTime: random.integer(1, 86_400),
      blackHoleThreshold: random.pick([0, 1, 5000]),
      blackHoleHoldTime: first,
      mostBlackHoleHoldTime: random.integer(first, 604_800),
      allowList: allowed.map(({ text }) => text),
    },
  }
}

/** The same policy after some changes, few or many: rules gone or turned round, members gone, port 25 opened or closed. */
export function varyPolicyDocument(random: Random, document: PolicyDocument): PolicyDocument {
  const rate = random.pick([0.02, 0.2])
  const turned = (policy: unknown) => (policy === 'accept' ? 'drop' : 'accept')
  return {
    ...document,
    instances: document.instances.map(instance => ({
      ...instance,
      smtpUnblocked: instance.smtpUnblocked !== random.chance(rate),
    })),
    securityGroups: document.securityGroups.map(group => ({
      ...group,
      innerAccessPolicy: random.chance(rate) ? turned(group.innerAccessPolicy) : group.innerAccessPolicy,
      members: group.members.filter(() => !random.chance(rate)),
      rules: group.rules
        .filter(() => !random.chance(rate))
        .map(rule => (group.type === 'basic' && random.chance(rate) ? { ...rule, policy: turned(rule.policy) } : rule)),
    })),
  }
}

function emptyGroup(id: string): GroupDocument {
  return { id, type: 'basic', innerAccessPolicy: 'drop', members: [], rules: [] }
}

/** Roots, and blocks inside blocks, down to single addresses, some at the very first or last address of their parent. */
function growBlocks(random: Random, family: Family): readonly Cidr[] {
  const blocks = random.sample(roots[family], random.integer(2, roots[family].length)).map(text => parseCidr(text)!)
  const count = random.pick([4, 15, 40])
  while (blocks.length < count) {
    const parent = random.pick(blocks)
    const room = addressBits[family] - parent.prefixLength
    if (room === 0) continue
    const length = parent.prefixLength + random.pick([1, 2, Math.min(8, room), room, random.integer(1, room)])
    blocks.push(makeCidr(family, edgeOf(random, parent), Math.min(length, addressBits[family])))
  }
  return blocks
}

function edgeOf(random: Random, { first, last }: Cidr): bigint {
  return random.pick([first, last, first + ((last - first) * BigInt(random.integer(0, 1000))) / 1000n])
}

function makeMembers(random: Random, blocks: Pool['blocks'], count: number): readonly string[] {
  const addresses = Array.from({ length: count }, () => {
    const block = random.pick([...blocks.ip, ...blocks.ip6])
    return addressText(block.family, edgeOf(random, block))
  })
  // Text that is no address of its own (IPv4 in IPv6) would be refused on reading.
  return [...new Set(addresses)].filter(address => parseCidr(address) !== null)
}

function makeRule(random: Random, pool: Pool): RuleDocument {
  const direction: Direction = random.pick(['ingress', 'egress'])
  const peer = pickPeer(random, pool)
  const protocol: RuleProtocol = random.pick(
    ruleProtocols.filter(name => peer.families.some(family => protocolInFamily(name, family))),
  )
  const [peerSide, ownSide] = direction === 'ingress' ? (['source', 'dest'] as const) : (['dest', 'source'] as const)
  const rule: Record<string, string | number> = {
    direction,
    policy: pool.advanced || random.chance(0.5) ? 'accept' : 'drop',
    priority: pool.advanced ? 1 : random.pick(pool.priorities),
    ipProtocol: random.chance(0.1) ? protocol.toUpperCase() : protocol,
    portRange: protocol === 'tcp' || protocol === 'udp' ? makePortRange(random, pool) : '-1/-1',
    [peer.field(peerSide)]: peer.value,
  }
  if ((protocol === 'tcp' || protocol === 'udp') && random.chance(0.15))
    rule.sourcePortRange = makePortRange(random, pool)
  if (random.chance(0.15)) {
    const family = random.pick(peer.families.filter(candidate => protocolInFamily(protocol, candidate)))
    const addresses = eniAddresses.filter(address => familyOf(address) === family)
    rule[cidrField(ownSide, family)] = random.pick([...addresses, `${addresses[0]}/${addressBits[family] - 1}`])
  }
  return rule
}

type RuleSide = 'source' | 'dest'

interface RulePeer {
  readonly field: (side: RuleSide) => string
  readonly value: string
  /** Families it has addresses in, one at least: a rule's protocol and its own side must be of one of them. */
  readonly families: readonly Family[]
}

function pickPeer(random: Random, { blocks, peerGroupIds, prefixLists, advanced }: Pool): RulePeer {
  if (!advanced && peerGroupIds.length > 0 && random.chance(0.3)) {
    return { field: side => `${side}GroupId`, value: random.pick(peerGroupIds), families: ['ip', 'ip6'] }
  }
  if (prefixLists.length > 0 && random.chance(0.1)) {
    const { id, entries } = random.pick(prefixLists)
    const families = [...new Set(entries.map(entry => familyOf(entry)))]
    if (families.length > 0) return { field: side => `${side}PrefixListId`, value: id, families }
  }
  const family = random.pick(['ip', 'ip6'] as const)
  return { field: side => cidrField(side, family), value: random.pick(blocks[family]).text, families: [family] }
}

/** Single ports, everything, ranges that touch and ranges that cross. */
function makePortRange(random: Random, { portEdges }: Pool): string {
  const edge = random.pick(portEdges)
  const other = random.pick(portEdges)
  const [low, high] = [Math.min(edge, other), Math.max(edge, other)]
  return random.pick([
    `${edge}/${edge}`,
    `${low}/${high}`,
    `${edge + 1}/65535`,
    `1/${edge}`,
    '1/65535',
    `${edge + 1}/${edge + 1}`,
  ])
}

function cidrField(side: RuleSide, family: Family): string {
  const field = side === 'source' ? 'SourceCidrIp' : 'DestCidrIp'
  return family === 'ip6' ? `ipv6${field}` : `${field[0]!.toLowerCase()}${field.slice(1)}`
}
