/** The view and its text, from a policy and what the kernel has counted. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { printView } from '../../../agent/show/print.ts'
import { makeView } from '../../../agent/show/view.ts'
import type { SourceStatus } from '../../../agent/source.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const web = makeRule({ id: 'web', protocol: 'tcp', ports: 443, priority: 2 })
const app = makeRule({ id: 'app', protocol: 'tcp', ports: 3306, peer: 'sg-app' })
const blocked = makeRule({ id: 'blocked', verdict: 'drop', protocol: 'tcp', ports: 443, peer: '203.0.113.0/24' })
const ranges = Array.from({ length: 10 }, (_, index) =>
  makeRule({ id: 'ports', protocol: 'tcp', ports: 1001 + 2 * index }),
)
const policy = makeIr(makeEni([web, app, blocked]), { 'sg-app': { ip: ['198.18.0.9'], ip6: [] } })

/** The kernel's table with this many packets, of 100 bytes each, for each rule and counter. */
function counted(ir: PolicyIr, packetsOf: Readonly<Record<string, number>>) {
  const ruleset = compile(ir)
  const hits = (name: string) => ({ packets: packetsOf[name] ?? 0, bytes: (packetsOf[name] ?? 0) * 100 })
  const inSets = [...ruleset.intervalSets.values()].flatMap(({ name, elements }) =>
    elements.map(({ ruleId }) => ({ place: name, ruleId })),
  )
  const inChains = [...ruleset.chains.values()].flatMap(({ name, rules }) =>
    rules.flatMap(({ ruleId }) => (ruleId === undefined ? [] : [{ place: name, ruleId }])),
  )
  return asActual(ruleset, {
    counterHits: new Map([...ruleset.counters].map(name => [name, hits(name)])),
    ruleHits: [...inSets, ...inChains].map(place => ({ ...place, ...hits(place.ruleId) })),
  })
}

const footer =
  'Idle TCP sessions are forgotten after 910 s. Packets count when they are judged: the first of a session.\n'

const rows: { name: string; ir: PolicyIr; packets: Record<string, number> | null; expected: string }[] = [
  {
    name: 'rules in their layers, with what each has decided',
    ir: policy,
    packets: {
      web: 12,
      blocked: 50_000,
      'eni-1/ingress/default': 7,
      'eni-1/egress/smtp': 1,
      'eni-1/ingress/invalid': 3,
    },
    expected: `ENI eni-1 on eth0, host, groups sg-1
  addresses 198.18.0.2, 2001:db8::2
  ingress
            3 packets     300 B  drop: conntrack knows no such session
    layer 1: drop
          50000 packets    5.0 MB  drop tcp 443 from 203.0.113.0/24, priority 1  [blocked of sg-1]
    layer 2: accept
              0 packets       0 B  accept tcp 3306 from sg-app, priority 1  [app of sg-1]
             12 packets    1.2 kB  accept tcp 443 from 0.0.0.0/0, priority 2  [web of sg-1]
            7 packets     700 B  default: drop
  egress
            1 packets     100 B  drop: port 25 outside private ranges
            0 packets       0 B  default: accept

ENI eni-bare on eth9: no security group, left alone
Groups that rules look into
  sg-app: 1 IPv4 and 0 IPv6 members
${footer}`,
  },
  {
    name: 'a rule of several port ranges is one line, with what all of them have decided',
    ir: makeIr(makeEni([...ranges, web]), {}),
    packets: { ports: 2 },
    expected: `ENI eni-1 on eth0, host, groups sg-1
  addresses 198.18.0.2, 2001:db8::2
  ingress
    layer 1: accept
             20 packets    2.0 kB  accept tcp 1001,1003,1005,1007,1009,1011,1013,1015 and 2 more from 0.0.0.0/0, priority 1  [ports of sg-1]
              0 packets       0 B  accept tcp 443 from 0.0.0.0/0, priority 2  [web of sg-1]
            0 packets       0 B  default: drop
  egress
            0 packets       0 B  default: accept

ENI eni-bare on eth9: no security group, left alone
${footer}`,
  },
  {
    name: 'no table',
    ir: { ...policy, enis: [makeEni([web])], unattachedEnis: [], groups: new Map() },
    packets: null,
    expected: `ENI eni-1 on eth0, host, groups sg-1 (NOT IN FORCE)
  addresses 198.18.0.2, 2001:db8::2
  ingress
    layer 1: accept
              0 packets       0 B  accept tcp 443 from 0.0.0.0/0, priority 2  [web of sg-1]
            0 packets       0 B  default: drop
  egress
            0 packets       0 B  default: accept

${footer}`,
  },
  {
    name: 'a guest without addresses and rules',
    ir: {
      ...policy,
      enis: [makeEni([], { device: 'tap0', placement: 'guest', addresses: [] })],
      unattachedEnis: [],
      groups: new Map(),
    },
    packets: { 'eni-1/egress/source-guard': 1_234_567 },
    expected: `ENI eni-1 on tap0, guest, groups sg-1
  addresses none
  ingress
            0 packets       0 B  default: drop
  egress
      1234567 packets  123.5 MB  drop: source address is not the guest's
            0 packets       0 B  default: accept

${footer}`,
  },
  {
    name: 'an ENI that is only observed',
    ir: { ...policy, enis: [makeEni([], { isObserved: true })], unattachedEnis: [], groups: new Map() },
    packets: { 'eni-1/ingress/default': 9 },
    expected: `ENI eni-1 on eth0, host, groups sg-1
  addresses 198.18.0.2, 2001:db8::2
  OBSERVED ONLY: what says drop is let through, and counts at every packet
  ingress
            9 packets     900 B  default: drop
  egress
            0 packets       0 B  default: accept

${footer}`,
  },
  {
    name: 'no ENI',
    ir: { ...policy, enis: [], unattachedEnis: [], groups: new Map() },
    packets: null,
    expected: footer,
  },
]

describe('the text of', () => {
  for (const { name, ir, packets, expected } of rows) {
    test(name, () => {
      assert.equal(printView(makeView(ir, packets === null ? null : counted(ir, packets))), expected)
    })
  }
})

describe('where the policy comes from is said first', () => {
  const daemon = {
    kind: 'daemon',
    url: 'https://198.18.0.9:8444',
    agentId: 'agent-1',
    connected: true,
    since: '2026-01-01T00:00:00.000Z',
    reason: null,
    revision: 7,
    enforcedRevision: 7,
    certificateExpires: '2026-01-08T00:00:00.000Z',
  } as const
  const from = 'Policy from the daemon https://198.18.0.9:8444'
  const sources: readonly { readonly source: SourceStatus; readonly expected: string }[] = [
    { source: { kind: 'file', path: '/etc/policy.yaml' }, expected: 'Policy from the file /etc/policy.yaml' },
    { source: daemon, expected: `${from}, connected since 2026-01-01T00:00:00.000Z, revision 7 in force` },
    {
      source: { ...daemon, enforcedRevision: 5 },
      expected: `${from}, connected since 2026-01-01T00:00:00.000Z, revision 5 in force (of 7)`,
    },
    {
      source: { ...daemon, connected: false, reason: 'ECONNREFUSED', revision: null, enforcedRevision: null },
      expected: `${from}, NOT CONNECTED since 2026-01-01T00:00:00.000Z: ECONNREFUSED`,
    },
  ]
  for (const { source, expected } of sources) {
    test(expected, () => {
      const view = makeView({ ...policy, enis: [], unattachedEnis: [], groups: new Map() }, null)
      assert.equal(printView({ ...view, source }), `${expected}\n\n${footer}`)
    })
  }
})
