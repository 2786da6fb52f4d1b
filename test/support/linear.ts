/**
 * The policy as an administrator would write it by hand: one chain per direction, one line per rule and block, in
 * deciding order, matched against the packet itself. Slow and plain, and without a line of the compiler in it: where
 * the two rulesets differ on a packet, one of them is wrong. It knows nothing of revocation.
 */
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { EniIr, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'

type Family = 'ip' | 'ip6'

const families: readonly Family[] = ['ip', 'ip6']
const nfproto = { ip: 'meta nfproto ipv4', ip6: 'meta nfproto ipv6' } as const
const privateRanges = {
  ip: '10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16',
  ip6: 'fc00::/7, fe80::/10',
} as const

/** nft text of the table `inet linear`, to be loaded where there is none. */
export function linearRuleset(ir: PolicyIr): string {
  const hooks = ir.enis.map(({ device, placement }, number) => {
    const [incoming, outgoing] = placement === 'host' ? ['ingress', 'egress'] : ['egress', 'ingress']
    return { in: `iifname "${device}" goto ${incoming}${number}`, out: `oifname "${device}" goto ${outgoing}${number}` }
  })
  const lines = [
    'table inet linear {',
    ...[...ir.groups].flatMap(([groupId, members]) =>
      families.flatMap(family => memberSet(setName(groupId, family), family, members[family])),
    ),
    'chain prerouting { type filter hook prerouting priority -150; policy accept;',
    ...hooks.map(hook => hook.in),
    '}',
    'chain postrouting { type filter hook postrouting priority 150; policy accept;',
    ...hooks.map(hook => hook.out),
    '}',
    ...ir.enis.flatMap((eni, number) => [
      ...chain(`ingress${number}`, eni, 'ingress'),
      ...chain(`egress${number}`, eni, 'egress'),
    ]),
    '}',
  ]
  return `${lines.join('\n')}\n`
}

function chain(name: string, eni: EniIr, direction: Direction): readonly string[] {
  const { rules, defaultVerdict } = eni[direction]
  const guarded = eni.placement === 'guest' && direction === 'egress'
  const inner = eni.innerGroupIds.flatMap(groupId =>
    families.map(family => `${family} ${peerField(direction)} @${setName(groupId, family)} accept`),
  )
  return [
    `chain ${name} {`,
    ...discovery(guarded ? own(eni, 'ip6', ['fe80::/10', '::']) : ''),
    'ct state { invalid, untracked } drop',
    'ct state { established, related } accept',
    ...(direction === 'ingress' ? dhcpAnswers : dhcpQuestions(guarded ? own(eni, 'ip', ['0.0.0.0']) : nfproto.ip)),
    ...(guarded ? sourceGuard(eni) : []),
    ...(direction === 'egress' ? outbound(eni) : rescueLines(eni)),
    ...inner,
    ...rules.flatMap(ruleLines),
    defaultVerdict,
    '}',
  ]
}

/** Never tracked. Neighbours are on the link if no router lowered the hop limit, listeners if their address says so. */
function discovery(from: string): readonly string[] {
  return [
    `${from} icmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 accept`,
    'icmpv6 type { 130, 131, 132, 143 } ip6 saddr { fe80::/10, :: } accept',
  ]
}

const dhcpAnswers: readonly string[] = [
  `${nfproto.ip} udp sport 67 udp dport 68 accept`,
  'ip6 daddr fe80::/10 udp sport 547 udp dport 546 accept',
]

function dhcpQuestions(from: string): readonly string[] {
  return [`${from} udp sport 68 udp dport 67 accept`, 'ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept']
}

/** Matches the ENI's own addresses of a family and others it may use. */
function own(eni: EniIr, family: Family, others: readonly string[]): string {
  return `${family} saddr { ${[...others, ...addressesOf(eni, family)].join(', ')} }`
}

function sourceGuard(eni: EniIr): readonly string[] {
  return families.map(family => {
    const addresses = addressesOf(eni, family)
    const foreign = addresses.length === 0 ? nfproto[family] : `${family} saddr != { ${addresses.join(', ')} }`
    return `${foreign} drop`
  })
}

function outbound(eni: EniIr): readonly string[] {
  const control = eni.controlConnections.map(
    ({ address, port }) => `${familyOf(address)} daddr ${address} tcp dport ${port} accept`,
  )
  const mail = families.map(family => `tcp dport 25 ${family} daddr != { ${privateRanges[family]} } drop`)
  return [...control, ...(eni.smtpBlocked ? mail : [])]
}

function rescueLines({ rescue }: EniIr): readonly string[] {
  return rescue.map(({ source, port }) => `${blockMatch(source.family, 'saddr', source.text)} tcp dport ${port} accept`)
}

/** A line for each family and block the rule can match; none where its parts contradict each other. */
function ruleLines(rule: RuleIr): readonly string[] {
  const { peer, direction } = rule
  const field = peerField(direction)
  const peers =
    peer.kind === 'group'
      ? families.map(family => ({ family, match: `${family} ${field} @${setName(peer.groupId, family)}` }))
      : peer.cidrs.map(cidr => ({ family: cidr.family, match: blockMatch(cidr.family, field, cidr.text) }))
  return peers.flatMap(({ family, match }) => {
    if (rule.protocol === 'icmp' && family === 'ip6') return []
    if (rule.protocol === 'icmpv6' && family === 'ip') return []
    if (rule.local !== null && rule.local.family !== family) return []
    const local = rule.local === null ? '' : blockMatch(family, localField(direction), rule.local.text)
    return [[match, local, protocolMatch(rule), rule.verdict].filter(part => part !== '').join(' ')]
  })
}

/** nft takes a block of length 0 for an error in some places and for nothing in others. */
function blockMatch(family: Family, field: string, block: string): string {
  return block.endsWith('/0') ? nfproto[family] : `${family} ${field} ${block}`
}

function protocolMatch({ protocol, ports, sourcePorts }: RuleIr): string {
  switch (protocol) {
    case 'all':
      return ''
    case 'tcp':
    case 'udp':
      return `${protocol} dport ${ports.first}-${ports.last} ${protocol} sport ${sourcePorts.first}-${sourcePorts.last}`
    case 'icmp':
      return 'meta l4proto 1'
    case 'icmpv6':
      return 'meta l4proto 58'
    case 'gre':
      return 'meta l4proto 47'
    default:
      throw new Error(`No line is known for protocol "${protocol satisfies never}"`)
  }
}

function memberSet(name: string, family: Family, members: readonly string[]): readonly string[] {
  const type = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const elements = members.length === 0 ? '' : `elements = { ${members.join(', ')} }`
  return [`set ${name} {`, `type ${type}`, elements, '}']
}

const setName = (groupId: string, family: Family) => `members-${groupId}-${family}`
const peerField = (direction: Direction) => (direction === 'ingress' ? 'saddr' : 'daddr')
const localField = (direction: Direction) => (direction === 'ingress' ? 'daddr' : 'saddr')
const familyOf = (address: string): Family => (address.includes(':') ? 'ip6' : 'ip')
const addressesOf = (eni: EniIr, family: Family) => eni.addresses.filter(address => familyOf(address) === family)
