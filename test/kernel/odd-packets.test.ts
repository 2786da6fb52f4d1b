/** Packets that are no plain first packet of a session, on the kernel: each row a policy, then packets in order. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { familyOf } from '../../rules-compiler/address/cidr.ts'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import { type Arrival, type Forwarder, makeForwarder, type Side } from '../support/forwarder.ts'
import {
  behindOptions,
  type Content,
  fragment,
  gre,
  type Header,
  icmp,
  icmpQuery,
  makePacket,
  protocol,
  raw,
  sctp,
  tcp,
  udp,
} from '../support/packets/craft.ts'
import { loadProbe, readReceived } from '../support/probe.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy } from '../support/ringwall.ts'

/** The ENI's addresses and a peer's, on the wire at d0. */
const eni = '198.18.0.2'
const eni6 = '2001:db8::2'
const peer = '203.0.113.9'
const peer6 = '2001:db8:1::9'
const linkLocal = 'fe80::9'
/** What a container on the host has, behind NAT. */
const container = '10.88.0.5'

type Rule = Readonly<Record<string, string | number>>

interface Row {
  readonly name: string
  readonly placement?: Placement
  readonly rules: readonly Rule[]
  readonly group?: { readonly innerAccessPolicy?: 'accept'; readonly members?: readonly string[] }
  readonly smtpUnblocked?: boolean
  /** nft text of somebody else's table, named `foreign`. */
  readonly foreign?: string
  readonly steps: readonly Step[]
}

type Step = PacketStep | { readonly newRules: readonly Rule[] }

interface PacketStep {
  readonly from: Side
  readonly packets: readonly Buffer[]
  /**
   * forwarded: came out on the other side. received: passed the ENI's chains, for what a host takes in itself and
   * does not forward. dropped: neither.
   */
  readonly expected: 'forwarded' | 'received' | 'dropped'
  /** What stands in the header of every one that came out. */
  readonly as?: Partial<Arrival>
}

let lastUsedIndex = 0

function packet(header: Omit<Header, 'index'>, content: Content): Buffer {
  lastUsedIndex += 1
  return makePacket({ ...header, index: lastUsedIndex }, content)
}

const inbound = { source: peer, destination: eni }
const outbound = { source: eni, destination: peer }
const inbound6 = { source: peer6, destination: eni6 }
const outbound6 = { source: eni6, destination: peer6 }

const to = (destinationPort: number) => ({ sourcePort: 40_000, destinationPort })
const back = (sourcePort: number) => ({ sourcePort, destinationPort: 40_000 })
const synAck = (sourcePort: number) =>
  tcp(back(sourcePort), { flags: ['syn', 'ack'], sequence: 5000, acknowledgment: 1001 })
const ack = (destinationPort: number) =>
  tcp(to(destinationPort), { flags: ['ack'], sequence: 1001, acknowledgment: 5001 })

const step = (expected: PacketStep['expected'], from: Side, ...packets: readonly Buffer[]): Step => ({
  expected,
  from,
  packets,
})

const accept = (fields: Rule): Rule => ({ direction: 'ingress', policy: 'accept', portRange: '-1/-1', ...fields })
const acceptTcp = (port: number) =>
  accept({ ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceCidrIp: '0.0.0.0/0' })
const acceptTcp6 = (port: number) =>
  accept({ ipProtocol: 'tcp', portRange: `${port}/${port}`, ipv6SourceCidrIp: '::/0' })
const acceptUdp = (port: number) =>
  accept({ ipProtocol: 'udp', portRange: `${port}/${port}`, sourceCidrIp: '0.0.0.0/0' })
const acceptUdp6 = (port: number) =>
  accept({ ipProtocol: 'udp', portRange: `${port}/${port}`, ipv6SourceCidrIp: '::/0' })
const acceptAll = accept({ ipProtocol: 'all', sourceCidrIp: '0.0.0.0/0' })
const acceptAll6 = accept({ ipProtocol: 'all', ipv6SourceCidrIp: '::/0' })
const egress = { direction: 'egress', portRange: '-1/-1', ipProtocol: 'all' }
const sendNothing: readonly Rule[] = [
  { ...egress, policy: 'drop', destCidrIp: '0.0.0.0/0' },
  { ...egress, policy: 'drop', ipv6DestCidrIp: '::/0' },
]
const sendAnything: readonly Rule[] = [
  { ...egress, policy: 'accept', destCidrIp: '0.0.0.0/0' },
  { ...egress, policy: 'accept', ipv6DestCidrIp: '::/0' },
]

const large = Buffer.alloc(2600, 'ringwall')
const tinyFragments = (header: Omit<Header, 'index'>, content: Content) => fragment(packet(header, content), 8)

const fragments: readonly Row[] = [
  {
    name: 'fragments to an accepted port arrive',
    rules: [acceptUdp(5000), acceptUdp6(5000)],
    steps: [
      step('forwarded', 'left', ...fragment(packet(inbound, udp(to(5000), large)), 1400)),
      step('forwarded', 'left', ...fragment(packet(inbound6, udp(to(5000), large)), 1400)),
    ],
  },
  {
    name: 'fragments arriving last one first are put together',
    rules: [acceptUdp(5000), acceptUdp6(5000)],
    steps: [
      step('forwarded', 'left', ...fragment(packet(inbound, udp(to(5000), large)), 1400).toReversed()),
      step('forwarded', 'left', ...fragment(packet(inbound6, udp(to(5000), large)), 1400).toReversed()),
    ],
  },
  {
    name: 'a port without a rule stays closed to fragments',
    rules: [acceptUdp(5000), acceptUdp6(5000)],
    steps: [
      step('dropped', 'left', ...fragment(packet(inbound, udp(to(5001), large)), 1400)),
      step('dropped', 'left', ...fragment(packet(inbound6, udp(to(5001), large)), 1400)),
    ],
  },
  {
    name: 'the first fragment may be too short for the TCP flags',
    rules: [acceptTcp(443), acceptTcp6(443)],
    steps: [
      step('forwarded', 'left', ...tinyFragments(inbound, tcp(to(443)))),
      step('dropped', 'left', ...tinyFragments(inbound, tcp(to(444)))),
      // In IPv6 the kernel itself refuses such a fragment (RFC 7112).
      step('dropped', 'left', ...tinyFragments(inbound6, tcp(to(444)))),
    ],
  },
  {
    name: 'a later fragment alone goes nowhere, whatever is accepted',
    rules: [acceptAll, acceptAll6],
    steps: [
      step('dropped', 'left', fragment(packet(inbound, udp(to(5000), large)), 1400)[1]!),
      step('dropped', 'left', fragment(packet(inbound6, udp(to(5000), large)), 1400)[1]!),
    ],
  },
  {
    name: 'a dropped egress port stays dropped in fragments',
    rules: [
      { ...egress, policy: 'drop', ipProtocol: 'udp', portRange: '5000/5000', destCidrIp: '0.0.0.0/0' },
      { ...egress, policy: 'drop', ipProtocol: 'udp', portRange: '5000/5000', ipv6DestCidrIp: '::/0' },
    ],
    steps: [
      step('dropped', 'right', ...fragment(packet(outbound, udp(to(5000), large)), 1400)),
      step('dropped', 'right', ...fragment(packet(outbound6, udp(to(5000), large)), 1400)),
      step('forwarded', 'right', ...fragment(packet(outbound, udp(to(5001), large)), 1400)),
      step('forwarded', 'right', ...fragment(packet(outbound6, udp(to(5001), large)), 1400)),
    ],
  },
]

const hidden = (content: Content) => behindOptions('hopByHop', behindOptions('destinationOptions', content))

const extensionHeaders: readonly Row[] = [
  {
    name: 'ports are found behind extension headers',
    rules: [acceptTcp6(443)],
    steps: [
      step('forwarded', 'left', packet(inbound6, behindOptions('destinationOptions', tcp(to(443))))),
      step('dropped', 'left', packet(inbound6, behindOptions('destinationOptions', tcp(to(444))))),
      step('dropped', 'left', packet(inbound6, hidden(tcp(to(444))))),
      step('dropped', 'left', packet(inbound6, hidden(udp(to(443))))),
    ],
  },
  {
    name: 'one fragment that is the whole packet is judged like the packet',
    rules: [acceptTcp6(443)],
    steps: [
      step('forwarded', 'left', ...fragment(packet(inbound6, tcp(to(443))), 1400)),
      step('dropped', 'left', ...fragment(packet(inbound6, tcp(to(444))), 1400)),
    ],
  },
  {
    name: 'a drop rule holds behind extension headers',
    rules: [
      { ...egress, policy: 'drop', ipProtocol: 'tcp', portRange: '443/443', ipv6DestCidrIp: '::/0' },
      { ...egress, policy: 'drop', ipProtocol: 'icmpv6', ipv6DestCidrIp: '::/0' },
    ],
    steps: [
      step('dropped', 'right', packet(outbound6, hidden(tcp(to(443))))),
      step('forwarded', 'right', packet(outbound6, hidden(tcp(to(444))))),
      step('dropped', 'right', packet(outbound6, hidden(icmp(protocol.icmpv6, 128, { rest: icmpQuery(7) })))),
    ],
  },
]

/** An error about a packet, as a router on the way or the receiver sends it: the packet's beginning in the body. */
function errorAbout(quoted: Buffer, kind: 'too-big' | 'unreachable' | 'time-exceeded'): Content {
  const body = quoted.subarray(0, 64)
  const rest = Buffer.from([0, 0, 0x05, 0x14])
  if (quoted[0]! >> 4 === 6) {
    const [type, code] = { 'too-big': [2, 0], unreachable: [1, 4], 'time-exceeded': [3, 0] }[kind] as [number, number]
    return icmp(protocol.icmpv6, type, { code, rest, body })
  }
  const [type, code] = { 'too-big': [3, 4], unreachable: [3, 3], 'time-exceeded': [11, 0] }[kind] as [number, number]
  return icmp(protocol.icmp, type, { code, rest, body })
}

const router = { source: '192.0.2.1', destination: eni }
const router6 = { source: '2001:db8:ff::1', destination: eni6 }
const opened: readonly Step[] = [
  step('forwarded', 'left', packet(inbound, tcp(to(443)))),
  step('forwarded', 'right', packet(outbound, synAck(443))),
  step('forwarded', 'left', packet(inbound, ack(443))),
]
const opened6: readonly Step[] = [
  step('forwarded', 'left', packet(inbound6, tcp(to(443)))),
  step('forwarded', 'right', packet(outbound6, synAck(443))),
  step('forwarded', 'left', packet(inbound6, ack(443))),
]

const icmpErrors: readonly Row[] = [
  {
    name: 'path MTU errors of an accepted session arrive from any router, others do not',
    rules: [acceptTcp(443)],
    steps: [
      ...opened,
      step('forwarded', 'left', packet(router, errorAbout(packet(outbound, synAck(443)), 'too-big'))),
      step('forwarded', 'left', packet(router, errorAbout(packet(outbound, synAck(443)), 'time-exceeded'))),
      step('dropped', 'left', packet(router, errorAbout(packet(outbound, synAck(444)), 'too-big'))),
      step('dropped', 'left', packet(router, errorAbout(packet(outbound, udp(back(443))), 'unreachable'))),
    ],
  },
  {
    name: 'the same for IPv6',
    rules: [acceptTcp6(443)],
    steps: [
      ...opened6,
      step('forwarded', 'left', packet(router6, errorAbout(packet(outbound6, synAck(443)), 'too-big'))),
      step('dropped', 'left', packet(router6, errorAbout(packet(outbound6, synAck(444)), 'too-big'))),
    ],
  },
  {
    name: 'an error about an accepted inbound packet goes out, though nothing else may',
    rules: [acceptUdp(5000), acceptUdp6(5000), ...sendNothing],
    steps: [
      step('forwarded', 'left', packet(inbound, udp(to(5000)))),
      step('forwarded', 'right', packet(outbound, errorAbout(packet(inbound, udp(to(5000))), 'unreachable'))),
      step('dropped', 'right', packet(outbound, errorAbout(packet(inbound, udp(to(5001))), 'unreachable'))),
      step('forwarded', 'left', packet(inbound6, udp(to(5000)))),
      step('forwarded', 'right', packet(outbound6, errorAbout(packet(inbound6, udp(to(5000))), 'unreachable'))),
    ],
  },
  {
    name: 'errors come back to a session the ENI began',
    rules: [],
    steps: [
      step('forwarded', 'right', packet(outbound, udp(to(33_434)))),
      step('forwarded', 'left', packet(router, errorAbout(packet(outbound, udp(to(33_434))), 'time-exceeded'))),
    ],
  },
  {
    name: 'errors of a session that was cut are cut with it',
    rules: [acceptTcp(443)],
    steps: [
      ...opened,
      { newRules: [acceptTcp(444)] },
      step('dropped', 'left', packet(router, errorAbout(packet(outbound, synAck(443)), 'too-big'))),
      step(
        'dropped',
        'right',
        packet(outbound, tcp(back(443), { flags: ['ack'], sequence: 5001, acknowledgment: 1001 })),
      ),
      step('dropped', 'left', packet(inbound, ack(443))),
    ],
  },
]

const otherProtocols: readonly Row[] = [
  {
    name: 'all means every protocol',
    rules: [acceptAll, acceptAll6],
    steps: [
      step('forwarded', 'left', packet(inbound, sctp(to(5000)))),
      step('forwarded', 'left', packet(inbound, raw(protocol.experimental))),
      step('forwarded', 'left', packet(inbound, gre())),
      step('forwarded', 'left', packet(inbound6, sctp(to(5000)))),
      step('forwarded', 'left', packet(inbound6, raw(protocol.experimental))),
      step('forwarded', 'left', packet(inbound6, gre())),
    ],
  },
  {
    name: 'rules for tcp and udp ports say nothing of other protocols at the same place',
    rules: [
      accept({ ipProtocol: 'tcp', portRange: '1/65535', sourceCidrIp: '0.0.0.0/0' }),
      accept({ ipProtocol: 'udp', portRange: '1/65535', sourceCidrIp: '0.0.0.0/0' }),
    ],
    steps: [
      step('forwarded', 'left', packet(inbound, tcp(to(5000)))),
      step('dropped', 'left', packet(inbound, sctp(to(5000)))),
      step('dropped', 'left', packet(inbound, raw(protocol.experimental))),
      step('dropped', 'left', packet(inbound, gre())),
      step('dropped', 'left', packet(inbound, icmp(protocol.icmp, 8, { rest: icmpQuery(3) }))),
    ],
  },
  {
    name: 'a drop rule for all holds for packets without payload',
    rules: sendNothing,
    steps: [
      step('dropped', 'right', packet(outbound, raw(protocol.experimental, Buffer.alloc(0)))),
      step('dropped', 'right', packet(outbound, raw(protocol.experimental, Buffer.alloc(1)))),
      step('dropped', 'right', packet(outbound, raw(protocol.tcp, Buffer.alloc(0)))),
      step('dropped', 'right', packet(outbound, raw(protocol.udp, Buffer.alloc(2)))),
      step('dropped', 'right', packet(outbound, raw(protocol.icmp, Buffer.alloc(0)))),
      step('dropped', 'right', packet(outbound6, raw(protocol.noNextHeader, Buffer.alloc(0)))),
      step('dropped', 'right', packet(outbound6, raw(protocol.noNextHeader))),
      step('dropped', 'right', packet(outbound6, raw(protocol.experimental, Buffer.alloc(0)))),
      step('dropped', 'right', packet(outbound6, raw(protocol.icmpv6, Buffer.alloc(0)))),
    ],
  },
  {
    name: 'what conntrack calls invalid is dropped both ways, whatever is accepted',
    rules: [acceptAll, ...sendAnything],
    steps: [
      step('dropped', 'left', packet(inbound, tcp(to(5000), { flags: ['rst'] }))),
      step('dropped', 'left', packet(inbound, tcp(to(5000), { flags: ['syn', 'fin'] }))),
      step('dropped', 'left', packet(inbound, icmp(protocol.icmp, 0, { rest: icmpQuery(9) }))),
      step('dropped', 'left', packet(inbound, raw(protocol.udp, Buffer.alloc(4)))),
      step('dropped', 'right', packet(outbound, tcp(to(5000), { flags: ['rst'] }))),
    ],
  },
]

const discovery = (type: number) => icmp(protocol.icmpv6, type, { body: Buffer.alloc(20) })
const allNodes = 'ff02::1'

const linkTraffic: readonly Row[] = [
  {
    name: 'broadcast and multicast are judged by rules',
    rules: [acceptUdp(5000), acceptUdp6(5000)],
    steps: [
      step('received', 'left', packet({ source: peer, destination: '255.255.255.255' }, udp(to(5000)))),
      step('dropped', 'left', packet({ source: peer, destination: '255.255.255.255' }, udp(to(5001)))),
      step('received', 'left', packet({ source: peer, destination: '224.0.0.251' }, udp(to(5000)))),
      step('dropped', 'left', packet({ source: peer, destination: '224.0.0.251' }, udp(to(5353)))),
      step('received', 'left', packet({ source: linkLocal, destination: allNodes }, udp(to(5000)))),
      step('dropped', 'left', packet({ source: linkLocal, destination: allNodes }, udp(to(5353)))),
    ],
  },
  ...([133, 134, 135, 136] as const).map(
    (type): Row => ({
      name: `discovery of type ${type} needs no rule, but must come from the link`,
      rules: sendNothing,
      steps: [
        step('received', 'left', packet({ source: linkLocal, destination: allNodes, hopLimit: 255 }, discovery(type))),
        step('dropped', 'left', packet({ source: linkLocal, destination: allNodes, hopLimit: 254 }, discovery(type))),
        step('dropped', 'left', packet({ ...inbound6, hopLimit: 64 }, discovery(type))),
        step('dropped', 'right', packet({ ...outbound6, hopLimit: 255 }, discovery(type))),
      ],
    }),
  ),
  ...([130, 131, 132, 143] as const).map(
    (type): Row => ({
      name: `multicast listeners of type ${type} need no rule, but a source on the link`,
      rules: sendNothing,
      steps: [
        step('received', 'left', packet({ source: linkLocal, destination: allNodes, hopLimit: 1 }, discovery(type))),
        step('received', 'left', packet({ source: '::', destination: allNodes, hopLimit: 1 }, discovery(type))),
        step('dropped', 'left', packet({ source: peer6, destination: allNodes, hopLimit: 1 }, discovery(type))),
        // As hosts send them: behind a router alert (RFC 3810, section 5).
        step(
          'received',
          'left',
          packet({ source: linkLocal, destination: allNodes, hopLimit: 1 }, behindOptions('hopByHop', discovery(type))),
        ),
      ],
    }),
  ),
  {
    name: 'a redirect is no discovery a host needs',
    rules: [],
    steps: [step('dropped', 'left', packet({ source: linkLocal, destination: eni6, hopLimit: 255 }, discovery(137)))],
  },
  {
    name: 'DHCP exchanges of a host need no rule',
    rules: sendNothing,
    steps: [
      step(
        'received',
        'left',
        packet({ source: peer, destination: '255.255.255.255' }, udp({ sourcePort: 67, destinationPort: 68 })),
      ),
      step('forwarded', 'left', packet(inbound, udp({ sourcePort: 67, destinationPort: 68 }))),
      step('dropped', 'left', packet(inbound, udp({ sourcePort: 68, destinationPort: 67 }))),
      step('dropped', 'left', packet(inbound, udp({ sourcePort: 67, destinationPort: 69 }))),
      step(
        'forwarded',
        'right',
        packet({ source: '198.18.0.3', destination: peer }, udp({ sourcePort: 68, destinationPort: 67 })),
      ),
      step('dropped', 'right', packet(outbound, udp({ sourcePort: 67, destinationPort: 67 }))),
      step(
        'received',
        'left',
        packet({ source: linkLocal, destination: 'fe80::2' }, udp({ sourcePort: 547, destinationPort: 546 })),
      ),
      step('dropped', 'left', packet(inbound6, udp({ sourcePort: 547, destinationPort: 546 }))),
    ],
  },
]

const guests: readonly Row[] = [
  {
    name: 'a guest sends from its own addresses only',
    placement: 'guest',
    rules: [...sendAnything],
    steps: [
      step('forwarded', 'left', packet(outbound, tcp(to(443)))),
      step('dropped', 'left', packet({ source: '198.18.0.3', destination: peer }, tcp(to(443)))),
      step('forwarded', 'left', packet(outbound6, tcp(to(443)))),
      step('dropped', 'left', packet({ source: '2001:db8::3', destination: peer6 }, tcp(to(443)))),
      step('received', 'left', packet({ source: eni6, destination: allNodes, hopLimit: 255 }, discovery(135))),
      step('received', 'left', packet({ source: '::', destination: allNodes, hopLimit: 255 }, discovery(135))),
      step('received', 'left', packet({ source: linkLocal, destination: allNodes, hopLimit: 255 }, discovery(136))),
      step('dropped', 'left', packet({ source: '2001:db8::3', destination: allNodes, hopLimit: 255 }, discovery(136))),
      step('dropped', 'left', packet({ source: linkLocal, destination: allNodes }, udp(to(5000)))),
    ],
  },
  {
    name: 'a spoofed source does not become right by belonging to a session',
    placement: 'guest',
    rules: [acceptUdp(5000)],
    steps: [
      step('forwarded', 'right', packet(inbound, udp(to(5000)))),
      step('forwarded', 'left', packet(outbound, errorAbout(packet(inbound, udp(to(5000))), 'unreachable'))),
      step(
        'dropped',
        'left',
        packet({ source: '198.18.0.3', destination: peer }, errorAbout(packet(inbound, udp(to(5000))), 'unreachable')),
      ),
    ],
  },
  {
    name: 'DHCP exchanges of a guest need no rule',
    placement: 'guest',
    rules: sendNothing,
    steps: [
      step(
        'received',
        'left',
        packet({ source: '0.0.0.0', destination: '255.255.255.255' }, udp({ sourcePort: 68, destinationPort: 67 })),
      ),
      step(
        'dropped',
        'left',
        packet({ source: '0.0.0.0', destination: '255.255.255.255' }, udp({ sourcePort: 68, destinationPort: 69 })),
      ),
      step(
        'dropped',
        'left',
        packet({ source: '198.18.0.3', destination: peer }, udp({ sourcePort: 68, destinationPort: 67 })),
      ),
      step('forwarded', 'left', packet(outbound, udp({ sourcePort: 68, destinationPort: 67 }))),
      step(
        'received',
        'left',
        packet({ source: linkLocal, destination: 'ff02::1:2' }, udp({ sourcePort: 546, destinationPort: 547 })),
      ),
      step(
        'forwarded',
        'right',
        packet({ source: '203.0.113.1', destination: eni }, udp({ sourcePort: 67, destinationPort: 68 })),
      ),
    ],
  },
]

const mail = (destination: string): Buffer =>
  packet({ source: familyOf(destination) === 'ip' ? eni : eni6, destination }, tcp(to(25)))

const port25: readonly Row[] = [
  {
    name: 'port 25 is closed beyond private ranges, whatever the rules say',
    rules: [...sendAnything],
    steps: [
      step('dropped', 'right', mail(peer)),
      step('dropped', 'right', mail(peer6)),
      step('dropped', 'right', ...fragment(mail('203.0.113.10'), 8)),
      step('dropped', 'right', packet(outbound6, behindOptions('destinationOptions', tcp(to(25))))),
      step('forwarded', 'right', mail('10.1.2.3')),
      step('forwarded', 'right', mail('100.64.0.1')),
      step('dropped', 'right', mail('100.128.0.1')),
      step('forwarded', 'right', mail('fd00::1')),
      step('forwarded', 'right', packet(outbound, udp(to(25)))),
    ],
  },
  {
    name: 'nor does inner access open it',
    rules: [],
    group: { innerAccessPolicy: 'accept', members: [peer] },
    steps: [step('dropped', 'right', mail(peer)), step('forwarded', 'right', packet(outbound, tcp(to(26))))],
  },
  {
    name: 'an unblocked instance may',
    rules: [],
    smtpUnblocked: true,
    steps: [step('forwarded', 'right', mail(peer))],
  },
]

const publishedPort = `
table inet foreign {
  chain prerouting {
    type nat hook prerouting priority -100
    iifname "d0" tcp dport 8080 dnat ip to ${container}:80
  }
  chain postrouting {
    type nat hook postrouting priority 100
    oifname "d0" ip saddr ${container} snat ip to ${eni}
  }
}`
const fromContainer = { source: container, destination: peer }

const neighbours: readonly Row[] = [
  {
    name: 'a published port is judged as it stood on the wire',
    rules: [acceptTcp(8080), ...sendNothing],
    foreign: publishedPort,
    steps: [
      {
        ...step('forwarded', 'left', packet(inbound, tcp(to(8080)))),
        as: { destination: container, destinationPort: 80 },
      },
      { ...step('forwarded', 'right', packet(fromContainer, synAck(80))), as: { source: eni, sourcePort: 8080 } },
      { ...step('forwarded', 'left', packet(inbound, ack(8080))), as: { destination: container } },
    ],
  },
  {
    name: 'a published port is no way round: the port behind it opens nothing',
    rules: [acceptTcp(80)],
    foreign: publishedPort,
    steps: [step('dropped', 'left', packet(inbound, tcp(to(8080))))],
  },
  {
    name: 'a session through a published port is cut when its port is closed, whichever side speaks first',
    rules: [acceptTcp(8080)],
    foreign: publishedPort,
    steps: [
      step('forwarded', 'left', packet(inbound, tcp(to(8080)))),
      step('forwarded', 'right', packet(fromContainer, synAck(80))),
      { newRules: [acceptTcp(80), ...sendAnything] },
      step('dropped', 'right', packet(fromContainer, synAck(80))),
      step('dropped', 'left', packet(inbound, ack(8080))),
      { newRules: [acceptTcp(8080), ...sendNothing] },
      step('forwarded', 'left', packet(inbound, ack(8080))),
      step('forwarded', 'right', packet(fromContainer, synAck(80))),
    ],
  },
  {
    name: 'translated egress is judged as it stands on the wire',
    rules: [
      { ...egress, policy: 'accept', ipProtocol: 'tcp', portRange: '443/443', destCidrIp: peer, sourceCidrIp: eni },
      {
        ...egress,
        policy: 'accept',
        ipProtocol: 'tcp',
        portRange: '444/444',
        destCidrIp: peer,
        sourceCidrIp: container,
      },
      ...sendNothing.map(rule => ({ ...rule, priority: 100 })),
    ],
    foreign: publishedPort,
    steps: [
      { ...step('forwarded', 'right', packet(fromContainer, tcp(to(443)))), as: { source: eni } },
      step('dropped', 'right', packet(fromContainer, tcp(to(444)))),
      { ...step('forwarded', 'left', packet(inbound, synAck(443))), as: { destination: container } },
      { newRules: [{ ...egress, policy: 'drop', destCidrIp: peer }, acceptAll] },
      step('dropped', 'left', packet(inbound, synAck(443))),
      step('dropped', 'right', packet(fromContainer, ack(443))),
    ],
  },
  {
    name: 'errors from routers on the way find whoever is behind translation, and others do not',
    rules: [acceptTcp(8080)],
    foreign: publishedPort,
    steps: [
      step('forwarded', 'left', packet(inbound, tcp(to(8080)))),
      step('forwarded', 'right', packet(fromContainer, synAck(80))),
      {
        ...step('forwarded', 'left', packet(router, errorAbout(packet(outbound, synAck(8080)), 'too-big'))),
        as: { destination: container },
      },
      step('dropped', 'left', packet(router, errorAbout(packet(outbound, synAck(80)), 'too-big'))),
      { ...step('forwarded', 'right', packet(fromContainer, udp(to(33_434)))), as: { source: eni } },
      {
        ...step('forwarded', 'left', packet(router, errorAbout(packet(outbound, udp(to(33_434))), 'time-exceeded'))),
        as: { destination: container },
      },
    ],
  },
  {
    name: 'sessions in a conntrack zone of somebody else are judged, answered and cut like others',
    rules: [acceptTcp(443), ...sendNothing],
    foreign:
      'table inet foreign { chain raw { type filter hook prerouting priority -300; iifname { "d0", "d1" } ct zone set 7; }\n}',
    steps: [
      step('dropped', 'left', packet(inbound, tcp(to(444)))),
      ...opened,
      { newRules: [acceptTcp(444), ...sendAnything] },
      step('dropped', 'left', packet(inbound, ack(443))),
      step('dropped', 'right', packet(outbound, synAck(443))),
    ],
  },
  {
    name: 'what somebody else excludes from tracking is dropped, not let through unjudged',
    rules: [acceptAll, acceptAll6, ...sendAnything],
    foreign: 'table inet foreign { chain raw { type filter hook prerouting priority -300; udp dport 5000 notrack; }\n}',
    steps: [
      step('dropped', 'left', packet(inbound, udp(to(5000)))),
      step('dropped', 'right', packet(outbound, udp(to(5000)))),
      step('forwarded', 'left', packet(inbound, udp(to(5001)))),
    ],
  },
]

/** Somebody who has conntrack follow FTP, by its helper. */
const followsFtp = `
table inet foreign {
  ct helper ftp { type "ftp" protocol tcp; }
  chain prerouting {
    type filter hook prerouting priority -190
    tcp dport 21 ct helper set "ftp"
  }
}`
const ftpGreeting = '220 ready\r\n'
const ftpUser = 'USER anonymous\r\n'
const ftpLine = (sequence: number, acknowledgment: number, line: string) => ({
  flags: ['psh', 'ack'] as const,
  sequence,
  acknowledgment,
  payload: Buffer.from(line),
})
/** The helper reads from the second line of either side on: only there it knows that a line begins. */
const ftpOpened: readonly Step[] = [
  step('forwarded', 'left', packet(inbound, tcp(to(21)))),
  step('forwarded', 'right', packet(outbound, synAck(21))),
  step('forwarded', 'left', packet(inbound, ack(21))),
  step('forwarded', 'right', packet(outbound, tcp(back(21), ftpLine(5001, 1001, ftpGreeting)))),
  step('forwarded', 'left', packet(inbound, tcp(to(21), ftpLine(1001, 5001 + ftpGreeting.length, ftpUser)))),
]
const ftpAsks = (line: string) => tcp(to(21), ftpLine(1001 + ftpUser.length, 5001 + ftpGreeting.length, line))
const ftpSays = (line: string) => tcp(back(21), ftpLine(5001 + ftpGreeting.length, 1001 + ftpUser.length, line))
/** 200 times 256 and 10. */
const dataPort = 51_210

const helpers: readonly Row[] = [
  {
    name: 'a session that a helper expects is judged like any other, in the direction of the one that announced it',
    rules: [acceptTcp(21)],
    foreign: followsFtp,
    steps: [
      ...ftpOpened,
      step('forwarded', 'right', packet(outbound, ftpSays('227 Entering Passive Mode (198,18,0,2,200,10)\r\n'))),
      step('dropped', 'left', packet(inbound, tcp(to(dataPort)))),
      { newRules: [acceptTcp(21), acceptTcp(dataPort)] },
      step('forwarded', 'left', packet(inbound, tcp(to(dataPort)))),
    ],
  },
  {
    name: 'a session that a helper expects is judged against that direction too',
    rules: [acceptTcp(21), ...sendNothing],
    foreign: followsFtp,
    steps: [
      ...ftpOpened,
      step('forwarded', 'left', packet(inbound, ftpAsks('PORT 203,0,113,9,200,10\r\n'))),
      step('dropped', 'right', packet(outbound, tcp({ sourcePort: 20, destinationPort: dataPort }))),
    ],
  },
]

let forwarder: Forwarder

before(async () => {
  if (needsKernel !== false) return
  forwarder = await makeForwarder()
  await loadProbe(forwarder.host)
})

after(async () => {
  if (needsKernel === false) await forwarder[Symbol.asyncDispose]()
})

const rows = [
  ...fragments,
  ...extensionHeaders,
  ...icmpErrors,
  ...otherProtocols,
  ...linkTraffic,
  ...guests,
  ...port25,
  ...neighbours,
  ...helpers,
]

for (const row of rows) {
  test(row.name, { skip: needsKernel }, async () => {
    const { host } = forwarder
    await forwarder.flushSessions()
    await using cleanup = new AsyncDisposableStack()
    if (row.foreign !== undefined) {
      await host.run('nft', ['-f', '-'], { input: row.foreign })
      cleanup.defer(async () => {
        await host.run('nft', ['delete table inet foreign'])
      })
    }
    // Over the policy of the row before: what was in force once must leave no trace.
    await applyPolicy(host, documentOf(row, row.rules))
    for (const [number, current] of row.steps.entries()) {
      if ('newRules' in current) await applyPolicy(host, documentOf(row, current.newRules))
      else await takeStep(current, number + 1)
    }
  })
}

async function takeStep({ from, packets, expected, as }: PacketStep, number: number): Promise<void> {
  const index = indexOf(packets[0]!)
  const arrivals = await forwarder.exchange(packets.map(bytes => ({ side: from, packet: bytes })))
  const forwarded = arrivals.filter(arrival => arrival.index === index)
  const outcome =
    forwarded.length > 0
      ? 'forwarded'
      : from === 'left' && (await readReceived(forwarder.host)).has(index)
        ? 'received'
        : 'dropped'
  assert.equal(outcome, expected, `step ${number}`)
  for (const arrival of forwarded) assert.partialDeepStrictEqual(arrival, as ?? {}, `step ${number}`)
}

function indexOf(bytes: Buffer): number {
  return bytes[0]! >> 4 === 6 ? bytes.readUInt32BE(0) & 0xf_ffff : bytes.readUInt16BE(4)
}

function documentOf(row: Row, rules: readonly Rule[]): unknown {
  return {
    apiVersion: 'ringwall/v1',
    instances: [{ id: 'i-1', smtpUnblocked: row.smtpUnblocked ?? false }],
    interfaces: [
      {
        id: 'eni-1',
        device: 'd0',
        placement: row.placement ?? 'host',
        addresses: [eni, eni6],
        securityGroupIds: ['sg-1'],
      },
    ],
    securityGroups: [{ id: 'sg-1', type: 'basic', innerAccessPolicy: 'drop', ...row.group, rules }],
  }
}
