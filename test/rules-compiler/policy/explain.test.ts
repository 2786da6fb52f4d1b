import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import { explainJson, explainText } from '../../../rules-compiler/policy/explain.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { makeEni, makeIr, makePacket, makeRule } from '../../support/ir.ts'

const rules = [
  makeRule({ id: 'sgr-block', verdict: 'drop', priority: 5, peer: '203.0.113.0/24' }),
  makeRule({ id: 'sgr-ssh', priority: 5, protocol: 'tcp', ports: 22 }),
  makeRule({ id: 'sgr-wide', priority: 9, protocol: 'tcp', ports: { first: 20, last: 30 }, local: '198.18.0.2' }),
  makeRule({ id: 'sgr-late', priority: 9, verdict: 'drop', protocol: 'tcp', sourcePorts: 40_000 }),
]
const ir = makeIr(makeEni(rules))
const inner = makeIr(makeEni(rules, { innerGroupIds: ['sg-1'] }), { 'sg-1': { ip: ['203.0.113.9'], ip6: [] } })
const guest = makeIr(makeEni([], { placement: 'guest' }))
const out = makePacket({ direction: 'egress', source: '198.18.0.2', destination: '203.0.113.9', destinationPort: 25 })
const note = 'note: this accept is not final, a table of another program may still drop the packet; a drop is final'

interface Row {
  readonly name: string
  readonly ir: PolicyIr
  readonly packet: Packet
  readonly expected: readonly string[]
}

const rows: readonly Row[] = [
  {
    name: 'a rule, and why the others lost',
    ir,
    packet: makePacket(),
    expected: [
      'drop: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)',
      'decided by rule sgr-block of sg-1: drop all from 203.0.113.0/24, priority 5',
      'also match, but do not decide:',
      '  rule sgr-ssh of sg-1: accept tcp 22 from 0.0.0.0/0, priority 5 (at the same priority a drop is stronger)',
      '  rule sgr-late of sg-1: drop tcp 0-65535 source port 40000 from 0.0.0.0/0, priority 9 (priority 9 is weaker than 5)',
      '  rule sgr-wide of sg-1: accept tcp 20-30 from 0.0.0.0/0 to 198.18.0.2/32, priority 9 (priority 9 is weaker than 5)',
    ],
  },
  {
    name: 'inner access, with the rules that are not asked',
    ir: inner,
    packet: makePacket({ protocol: 50, sourcePort: 0, destinationPort: 0 }),
    expected: [
      'accept: protocol 50 203.0.113.9 -> 198.18.0.2 (ingress at eni-1)',
      'decided by inner access: 203.0.113.9 is a member of sg-1, whose innerAccessPolicy is accept',
      'match, but are not asked:',
      '  rule sgr-block of sg-1: drop all from 203.0.113.0/24, priority 5',
      note,
    ],
  },
  {
    name: 'the default',
    ir,
    packet: makePacket({ source: '2001:db8::9', destination: '2001:db8::2' }),
    expected: [
      'drop: tcp [2001:db8::9]:40000 -> [2001:db8::2]:22 (ingress at eni-1)',
      'decided by the default: no rule matches, and sg-1 then drops ingress',
    ],
  },
  {
    name: 'an accepting default',
    ir,
    packet: { ...out, destinationPort: 443 },
    expected: [
      'accept: tcp 198.18.0.2:40000 -> 203.0.113.9:443 (egress at eni-1)',
      'decided by the default: no rule matches, and sg-1 then accepts egress',
      note,
    ],
  },
  {
    name: 'port 25',
    ir,
    packet: out,
    expected: [
      'drop: tcp 198.18.0.2:40000 -> 203.0.113.9:25 (egress at eni-1)',
      'decided by the block on outbound TCP port 25: only private ranges are open until the instance has smtpUnblocked',
    ],
  },
  {
    name: 'source guard',
    ir: guest,
    packet: { ...out, source: '198.18.0.7' },
    expected: [
      'drop: tcp 198.18.0.7:40000 -> 203.0.113.9:25 (egress at eni-1)',
      'decided by the source guard: 198.18.0.7 is not an address of the ENI (198.18.0.2, 2001:db8::2)',
    ],
  },
  {
    name: 'an exception',
    ir,
    packet: { ...out, protocol: 17, sourcePort: 68, destinationPort: 67 },
    expected: [
      'accept: udp 198.18.0.2:68 -> 203.0.113.9:67 (egress at eni-1)',
      'decided by an exception that rules cannot change: DHCP between client and server',
      note,
    ],
  },
  {
    name: 'a packet that begins no session',
    ir,
    packet: { ...out, protocol: 1, sourcePort: 0, destinationPort: 0, icmpType: 0 },
    expected: [
      'drop: icmp type 0 198.18.0.2 -> 203.0.113.9 (egress at eni-1)',
      'decided by connection tracking: a packet of this kind cannot begin a session',
    ],
  },
  {
    name: 'an ENI without groups',
    ir,
    packet: makePacket({ eniId: 'eni-bare' }),
    expected: [
      'accept: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-bare)',
      'decided by nothing: the ENI has no security group, so its device is left alone',
      note,
    ],
  },
]

for (const { name, ir, packet, expected } of rows) {
  test(name, () => assert.deepEqual(explainText(evaluate(ir, packet), packet, ir).split('\n'), [...expected, '']))
}

test('fields for machines: a rule', () => {
  const packet = makePacket()
  assert.deepEqual(explainJson(evaluate(ir, packet), packet), {
    verdict: 'drop',
    isObserved: false,
    reason: { kind: 'rule', name: null },
    ruleId: 'sgr-block',
    groupId: 'sg-1',
    priority: 5,
    matchingRules: [
      { ruleId: 'sgr-block', groupId: 'sg-1', policy: 'drop', priority: 5 },
      { ruleId: 'sgr-ssh', groupId: 'sg-1', policy: 'accept', priority: 5 },
      { ruleId: 'sgr-late', groupId: 'sg-1', policy: 'drop', priority: 9 },
      { ruleId: 'sgr-wide', groupId: 'sg-1', policy: 'accept', priority: 9 },
    ],
    packet,
  })
})

test('an ENI in observe mode: the verdict of the rules, and that the packet passes', () => {
  const observed = makeIr(makeEni(rules, { isObserved: true }))
  const refused = evaluate(observed, makePacket())
  const [first] = explainText(refused, makePacket(), observed).split('\n')
  assert.equal(first, 'drop, observed only: it passes: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)')
  const { verdict, isObserved } = explainJson(refused, makePacket())
  assert.deepEqual({ verdict, isObserved }, { verdict: 'drop', isObserved: true })
  const packet = makePacket({ source: '198.51.100.9' })
  const accepted = evaluate(observed, packet)
  assert.equal(explainJson(accepted, packet).isObserved, false)
  assert.match(explainText(accepted, packet, observed), /^accept: /)
})

test('fields for machines: an exception has no rule', () => {
  const packet = { ...out, protocol: 17, sourcePort: 68, destinationPort: 67 }
  const { verdict, reason, ruleId, groupId, priority, matchingRules } = explainJson(evaluate(ir, packet), packet)
  assert.deepEqual(
    { verdict, reason, ruleId, groupId, priority, matchingRules },
    {
      verdict: 'accept',
      reason: { kind: 'exception', name: 'dhcp' },
      ruleId: null,
      groupId: null,
      priority: null,
      matchingRules: [],
    },
  )
})
