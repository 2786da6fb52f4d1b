import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { makeCidr } from '../../../rules-compiler/address/cidr.ts'
import { evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import type { PeerIr, PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { makeEni, makeIr, makePacket, makeRule } from '../../support/ir.ts'
import { decisionText } from '../../support/packets.ts'

const tcp = 6
const udp = 17
const icmp = 1
const icmpv6 = 58
const everything = [
  makeRule({ id: 'in4' }),
  makeRule({ id: 'in6', peer: '::/0' }),
  makeRule({ id: 'out4', direction: 'egress' }),
  makeRule({ id: 'out6', direction: 'egress', peer: '::/0' }),
]
const nothing = everything.map(rule => ({ ...rule, verdict: 'drop' as const }))
const host = (verdicts = everything) => makeIr(makeEni(verdicts))
const guest = (verdicts = everything) => makeIr(makeEni(verdicts, { placement: 'guest' }))

const decide = (ir: PolicyIr, packet: Packet): string => decisionText(evaluate(ir, packet))

interface Row {
  readonly name: string
  readonly ir: PolicyIr
  readonly packet: Packet
  readonly expected: string
}

function check(rows: readonly Row[]): void {
  for (const { name, ir, packet, expected } of rows) test(name, () => assert.equal(decide(ir, packet), expected))
}

suite('rules', () => {
  const rules = (...sketches: Parameters<typeof makeRule>[0][]) =>
    makeIr(makeEni(sketches.map((sketch, index) => makeRule({ id: `sgr-${index}`, ...sketch }))), {
      'sg-a': { ip: ['203.0.113.9'], ip6: ['2001:db8::9'] },
    })
  const packet = makePacket()
  const packet6 = makePacket({ source: '2001:db8::9', destination: '2001:db8::2' })
  const ping = makePacket({ protocol: icmp, sourcePort: 0, destinationPort: 0, icmpType: 8 })
  const ping6 = { ...packet6, protocol: icmpv6, sourcePort: 0, destinationPort: 0, icmpType: 128 }
  check([
    { name: 'no rule, ingress', ir: rules(), packet, expected: 'drop default' },
    {
      name: 'no rule, egress',
      ir: rules(),
      packet: makePacket({ direction: 'egress', source: '198.18.0.2', destination: '203.0.113.9' }),
      expected: 'accept default',
    },
    {
      name: 'a smaller number is stronger',
      ir: rules({ priority: 2, verdict: 'drop' }, { priority: 1 }),
      packet,
      expected: 'accept rule sgr-1',
    },
    {
      name: 'at equal priority drop beats accept',
      ir: rules({}, { verdict: 'drop' }),
      packet,
      expected: 'drop rule sgr-1',
    },
    {
      name: 'a stronger rule that does not match leaves the weaker to decide',
      ir: rules({ verdict: 'drop', peer: '198.51.100.0/24' }, { priority: 9 }),
      packet,
      expected: 'accept rule sgr-1',
    },
    {
      name: 'a rule of the other direction says nothing',
      ir: rules({ direction: 'egress' }),
      packet,
      expected: 'drop default',
    },
    {
      name: 'first port of a range',
      ir: rules({ protocol: 'tcp', ports: { first: 22, last: 30 } }),
      packet,
      expected: 'accept rule sgr-0',
    },
    {
      name: 'one port below a range',
      ir: rules({ protocol: 'tcp', ports: { first: 23, last: 30 } }),
      packet,
      expected: 'drop default',
    },
    {
      name: 'one port above a range',
      ir: rules({ protocol: 'tcp', ports: { first: 20, last: 21 } }),
      packet,
      expected: 'drop default',
    },
    { name: 'source port', ir: rules({ protocol: 'tcp', sourcePorts: 40_000 }), packet, expected: 'accept rule sgr-0' },
    {
      name: 'other source port',
      ir: rules({ protocol: 'tcp', sourcePorts: 40_001 }),
      packet,
      expected: 'drop default',
    },
    { name: 'other protocol', ir: rules({ protocol: 'udp' }), packet, expected: 'drop default' },
    {
      name: 'all is any protocol',
      ir: rules({}),
      packet: makePacket({ protocol: 50, sourcePort: 0, destinationPort: 0 }),
      expected: 'accept rule sgr-0',
    },
    {
      name: 'gre',
      ir: rules({ protocol: 'gre' }),
      packet: makePacket({ protocol: 47, sourcePort: 0, destinationPort: 0 }),
      expected: 'accept rule sgr-0',
    },
    { name: 'own side inside', ir: rules({ local: '198.18.0.2' }), packet, expected: 'accept rule sgr-0' },
    { name: 'own side outside', ir: rules({ local: '198.18.0.3' }), packet, expected: 'drop default' },
    { name: 'an IPv4 block says nothing of IPv6', ir: rules({}), packet: packet6, expected: 'drop default' },
    { name: 'an IPv6 block says nothing of IPv4', ir: rules({ peer: '::/0' }), packet, expected: 'drop default' },
    { name: 'a group covers IPv4', ir: rules({ peer: 'sg-a' }), packet, expected: 'accept rule sgr-0' },
    { name: 'a group covers IPv6', ir: rules({ peer: 'sg-a' }), packet: packet6, expected: 'accept rule sgr-0' },
    {
      name: 'a peer outside the group',
      ir: rules({ peer: 'sg-a' }),
      packet: makePacket({ source: '203.0.113.8' }),
      expected: 'drop default',
    },
    {
      name: 'icmp by group is IPv4',
      ir: rules({ protocol: 'icmp', peer: 'sg-a' }),
      packet: ping,
      expected: 'accept rule sgr-0',
    },
    {
      name: 'icmp by group is not IPv6',
      ir: rules({ protocol: 'icmp', peer: 'sg-a' }),
      packet: ping6,
      expected: 'drop default',
    },
    {
      name: 'icmpv6 by group is IPv6',
      ir: rules({ protocol: 'icmpv6', peer: 'sg-a' }),
      packet: ping6,
      expected: 'accept rule sgr-0',
    },
    {
      name: 'icmp from an IPv6 block matches nothing',
      ir: rules({ protocol: 'icmp', peer: '::/0' }),
      packet: ping6,
      expected: 'drop default',
    },
  ])

  test('all matching rules are told in deciding order', () => {
    const ir = rules({ priority: 7 }, { priority: 3, verdict: 'drop' }, { priority: 3 }, { protocol: 'udp' })
    assert.deepEqual(
      evaluate(ir, packet).matching.map(({ id }) => id),
      ['sgr-1', 'sgr-2', 'sgr-0'],
    )
  })
})

suite('ENIs', () => {
  test('an ENI without groups is left alone', () => {
    assert.equal(decide(host(nothing), makePacket({ eniId: 'eni-bare' })), 'accept no-policy')
  })
  test('an unknown ENI is an error of the caller', () => {
    assert.throws(() => evaluate(host(), makePacket({ eniId: 'eni-9' })), /ENI "eni-9": expected an ENI of the policy/)
  })
})

suite('packets that begin no session', () => {
  const four = (icmpType: number) => makePacket({ protocol: icmp, sourcePort: 0, destinationPort: 0, icmpType })
  const six = (icmpType: number, facts: Partial<Packet> = {}) =>
    makePacket({
      protocol: icmpv6,
      source: 'fe80::1',
      destination: 'ff02::1',
      sourcePort: 0,
      destinationPort: 0,
      icmpType,
      ...facts,
    })
  check([
    ...[8, 13, 15, 17].map(type => ({
      name: `ICMP question ${type}`,
      ir: host(),
      packet: four(type),
      expected: 'accept rule in4',
    })),
    ...[0, 3, 5, 9, 11, 14].map(type => ({
      name: `ICMP ${type}`,
      ir: host(),
      packet: four(type),
      expected: 'drop invalid',
    })),
    ...[128, 139].map(type => ({
      name: `ICMPv6 question ${type}`,
      ir: host(),
      packet: six(type),
      expected: 'accept rule in6',
    })),
    ...[1, 2, 129, 137, 140].map(type => ({
      name: `ICMPv6 ${type}`,
      ir: host(),
      packet: six(type),
      expected: 'drop invalid',
    })),
    ...[133, 134, 135, 136].flatMap(type => [
      {
        name: `discovery ${type} with hop limit 255`,
        ir: host(nothing),
        packet: six(type, { hopLimit: 255 }),
        expected: 'accept exception neighbor-discovery',
      },
      {
        name: `discovery ${type} with hop limit 254`,
        ir: host(),
        packet: six(type, { hopLimit: 254 }),
        expected: 'drop invalid',
      },
    ]),
    ...[130, 131, 132, 143].flatMap(type => [
      {
        name: `MLD ${type} from a link-local address`,
        ir: host(nothing),
        packet: six(type),
        expected: 'accept exception mld',
      },
      {
        name: `MLD ${type} from the unspecified address`,
        ir: host(nothing),
        packet: six(type, { source: '::' }),
        expected: 'accept exception mld',
      },
      {
        name: `MLD ${type} from a global address`,
        ir: host(),
        packet: six(type, { source: '2001:db8::9' }),
        expected: 'drop invalid',
      },
    ]),
    { name: 'ICMP in IPv6', ir: host(), packet: six(8, { protocol: icmp }), expected: 'drop invalid' },
    { name: 'ICMPv6 in IPv4', ir: host(), packet: { ...four(128), protocol: icmpv6 }, expected: 'drop invalid' },
  ])
})

suite('exceptions', () => {
  const controlled = makeIr(makeEni(nothing, { controlConnections: [{ address: '203.0.113.1', port: 7443 }] }))
  const toDaemon = makePacket({
    direction: 'egress',
    source: '198.18.0.2',
    destination: '203.0.113.1',
    destinationPort: 7443,
  })
  const dhcpOut = makePacket({
    direction: 'egress',
    protocol: udp,
    source: '0.0.0.0',
    destination: '255.255.255.255',
    sourcePort: 68,
    destinationPort: 67,
  })
  const dhcpIn = makePacket({ protocol: udp, sourcePort: 67, destinationPort: 68 })
  const dhcp6Out = makePacket({
    direction: 'egress',
    protocol: udp,
    source: 'fe80::2',
    destination: 'ff02::1:2',
    sourcePort: 546,
    destinationPort: 547,
  })
  const dhcp6In = makePacket({
    protocol: udp,
    source: 'fe80::1',
    destination: 'fe80::2',
    sourcePort: 547,
    destinationPort: 546,
  })
  check([
    { name: 'DHCP request', ir: host(nothing), packet: dhcpOut, expected: 'accept exception dhcp' },
    {
      name: 'DHCP renewal',
      ir: host(nothing),
      packet: { ...dhcpOut, source: '198.18.0.2' },
      expected: 'accept exception dhcp',
    },
    { name: 'DHCP answer', ir: host(nothing), packet: dhcpIn, expected: 'accept exception dhcp' },
    {
      name: 'DHCP server on the instance',
      ir: host(nothing),
      packet: { ...dhcpIn, sourcePort: 68, destinationPort: 67 },
      expected: 'drop rule in4',
    },
    { name: 'DHCP ports over TCP', ir: host(nothing), packet: { ...dhcpIn, protocol: tcp }, expected: 'drop rule in4' },
    { name: 'DHCPv6 request', ir: host(nothing), packet: dhcp6Out, expected: 'accept exception dhcpv6' },
    {
      name: 'DHCPv6 request from a global address',
      ir: host(nothing),
      packet: { ...dhcp6Out, source: '2001:db8::2' },
      expected: 'drop rule out6',
    },
    { name: 'DHCPv6 answer', ir: host(nothing), packet: dhcp6In, expected: 'accept exception dhcpv6' },
    {
      name: 'DHCPv6 answer to a global address',
      ir: host(nothing),
      packet: { ...dhcp6In, destination: '2001:db8::2' },
      expected: 'drop rule in6',
    },
    { name: 'control connection', ir: controlled, packet: toDaemon, expected: 'accept exception control-connection' },
    {
      name: 'other port of the daemon',
      ir: controlled,
      packet: { ...toDaemon, destinationPort: 22 },
      expected: 'drop rule out4',
    },
    {
      name: 'from the daemon',
      ir: controlled,
      packet: makePacket({ source: '203.0.113.1', destinationPort: 7443 }),
      expected: 'drop rule in4',
    },
  ])
})

suite('source guard', () => {
  const out = (facts: Partial<Packet>) =>
    makePacket({ direction: 'egress', source: '198.18.0.2', destination: '203.0.113.9', ...facts })
  const out6 = (facts: Partial<Packet>) => out({ source: 'fe80::2', destination: 'ff02::1', ...facts })
  const discovery = { protocol: icmpv6, sourcePort: 0, destinationPort: 0, icmpType: 135, hopLimit: 255 }
  check([
    { name: 'own address', ir: guest(), packet: out({}), expected: 'accept rule out4' },
    { name: 'foreign address', ir: guest(), packet: out({ source: '198.18.0.3' }), expected: 'drop source-guard' },
    {
      name: 'foreign address on a host',
      ir: host(),
      packet: out({ source: '198.18.0.3' }),
      expected: 'accept rule out4',
    },
    {
      name: 'towards the guest any source may be',
      ir: guest(),
      packet: makePacket({ source: '198.18.0.3' }),
      expected: 'accept rule in4',
    },
    {
      name: 'DHCP without an address yet',
      ir: guest(nothing),
      packet: out({ protocol: udp, source: '0.0.0.0', sourcePort: 68, destinationPort: 67 }),
      expected: 'accept exception dhcp',
    },
    {
      name: 'DHCP from a foreign address',
      ir: guest(),
      packet: out({ protocol: udp, source: '198.18.0.3', sourcePort: 68, destinationPort: 67 }),
      expected: 'drop source-guard',
    },
    {
      name: 'unspecified source without DHCP',
      ir: guest(),
      packet: out({ source: '0.0.0.0' }),
      expected: 'drop source-guard',
    },
    {
      name: 'DHCPv6 from link-local',
      ir: guest(nothing),
      packet: out6({ protocol: udp, sourcePort: 546, destinationPort: 547 }),
      expected: 'accept exception dhcpv6',
    },
    { name: 'anything else from link-local', ir: guest(), packet: out6({}), expected: 'drop source-guard' },
    {
      name: 'discovery from link-local',
      ir: guest(nothing),
      packet: out6(discovery),
      expected: 'accept exception neighbor-discovery',
    },
    {
      name: 'discovery from the unspecified address',
      ir: guest(nothing),
      packet: out6({ ...discovery, source: '::' }),
      expected: 'accept exception neighbor-discovery',
    },
    {
      name: 'discovery from the own address',
      ir: guest(nothing),
      packet: out6({ ...discovery, source: '2001:db8::2' }),
      expected: 'accept exception neighbor-discovery',
    },
    {
      name: 'discovery from a foreign address',
      ir: guest(),
      packet: out6({ ...discovery, source: '2001:db8::3' }),
      expected: 'drop source-guard',
    },
    {
      name: 'the guard comes before port 25',
      ir: guest(),
      packet: out({ source: '198.18.0.3', destinationPort: 25 }),
      expected: 'drop source-guard',
    },
  ])
})

suite('port 25', () => {
  const mail = (destination: string, facts: Partial<Packet> = {}) =>
    makePacket({
      direction: 'egress',
      source: destination.includes(':') ? '2001:db8::2' : '198.18.0.2',
      destination,
      destinationPort: 25,
      ...facts,
    })
  const inner = makeIr(makeEni(everything, { innerGroupIds: ['sg-1'] }), { 'sg-1': { ip: ['203.0.113.9'], ip6: [] } })
  const unblocked = makeIr(makeEni(everything, { smtpBlocked: false }))
  const open = [
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '169.254.0.1',
  ]
  const closed = [
    '9.255.255.255',
    '11.0.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.169.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '203.0.113.9',
  ]
  check([
    ...open.map(address => ({
      name: `to ${address}`,
      ir: host(),
      packet: mail(address),
      expected: 'accept rule out4',
    })),
    ...closed.map(address => ({ name: `to ${address}`, ir: host(), packet: mail(address), expected: 'drop smtp' })),
    ...['fc00::1', 'fdff::1', 'fe80::1'].map(address => ({
      name: `to ${address}`,
      ir: host(),
      packet: mail(address),
      expected: 'accept rule out6',
    })),
    ...['fbff::1', 'fec0::1', '2001:db8::9'].map(address => ({
      name: `to ${address}`,
      ir: host(),
      packet: mail(address),
      expected: 'drop smtp',
    })),
    { name: 'unblocked instance', ir: unblocked, packet: mail('203.0.113.9'), expected: 'accept rule out4' },
    { name: 'stronger than inner access', ir: inner, packet: mail('203.0.113.9'), expected: 'drop smtp' },
    {
      name: 'UDP is not mail',
      ir: host(),
      packet: mail('203.0.113.9', { protocol: udp }),
      expected: 'accept rule out4',
    },
    {
      name: 'submission is not port 25',
      ir: host(),
      packet: mail('203.0.113.9', { destinationPort: 587 }),
      expected: 'accept rule out4',
    },
    { name: 'inbound mail', ir: host(), packet: makePacket({ destinationPort: 25 }), expected: 'accept rule in4' },
  ])
})

suite('inner access', () => {
  const inner = makeIr(makeEni(nothing, { innerGroupIds: ['sg-1', 'sg-2'] }), {
    'sg-1': { ip: ['198.18.0.2'], ip6: [] },
    'sg-2': { ip: ['198.18.0.7'], ip6: ['2001:db8::7'] },
  })
  check([
    {
      name: 'a member comes in, rules or not',
      ir: inner,
      packet: makePacket({ source: '198.18.0.7' }),
      expected: 'accept inner-access sg-2',
    },
    {
      name: 'and may be gone to',
      ir: inner,
      packet: makePacket({ direction: 'egress', source: '198.18.0.2', destination: '198.18.0.7' }),
      expected: 'accept inner-access sg-2',
    },
    {
      name: 'in IPv6 as well',
      ir: inner,
      packet: makePacket({ source: '2001:db8::7', destination: '2001:db8::2' }),
      expected: 'accept inner-access sg-2',
    },
    {
      name: 'others are judged by rules',
      ir: inner,
      packet: makePacket({ source: '198.18.0.8' }),
      expected: 'drop rule in4',
    },
  ])
})

test('a thousand rules that name a long prefix list and a large group, asked about hundreds of packets', () => {
  const cidrs = Array.from({ length: 200 }, (_, index) => makeCidr('ip6', BigInt(index) << 64n, 64))
  const list: PeerIr = { kind: 'cidrs', cidrs, prefixListId: 'pl-1' }
  const rules = Array.from({ length: 1_000 }, (_, index) =>
    index % 2 === 0
      ? { ...makeRule({ id: `sgr-${index}` }), peer: list }
      : makeRule({ id: `sgr-${index}`, peer: 'sg-2' }),
  )
  const members = Array.from({ length: 50_000 }, (_, index) => `2001:db8:2::${(index + 1).toString(16)}`).sort()
  const ir = makeIr(makeEni(rules), { 'sg-2': { ip: [], ip6: members } })
  const packet6 = makePacket({ source: '2001:db8:ffff::9', destination: '2001:db8::2' })
  for (let count = 0; count < 500; count += 1) assert.equal(decide(ir, packet6), 'drop default')
  const member = { ...packet6, source: members[12_345]! }
  assert.equal(decide(ir, member), 'accept rule sgr-1')
})
