import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KernelReading } from '../../agent/counters/read.ts'
import { type AgentMetrics, createMetrics } from '../../agent/metrics.ts'

const reading = (source: string, more: Partial<KernelReading>): KernelReading => ({
  source,
  eniIds: ['eni-1'],
  direction: 'ingress',
  verdict: 'accept',
  reason: 'rule',
  ruleId: null,
  packets: 0,
  bytes: 0,
  ...more,
})

interface Row {
  readonly name: string
  readonly maxRules?: number
  readonly readings: readonly (readonly KernelReading[])[]
  /** Samples of the packet counters after the last reading. */
  readonly expected: readonly string[]
}

const judged = (eni: string, direction: string, verdict: string, reason: string, value: number) =>
  `ringwall_agent_judged_packets_total{eni="${eni}",direction="${direction}",verdict="${verdict}",reason="${reason}"} ${value}`
const perRule = (rule: string, value: number) => `ringwall_agent_rule_packets_total{rule="${rule}"} ${value}`

const rows: readonly Row[] = [
  { name: 'nothing read', readings: [[]], expected: [] },
  {
    name: 'a rule and a reason',
    readings: [
      [reading('a', { ruleId: 'sgr-1', packets: 5 }), reading('b', { reason: 'default', verdict: 'drop', packets: 2 })],
    ],
    expected: [
      judged('eni-1', 'ingress', 'accept', 'rule', 5),
      judged('eni-1', 'ingress', 'drop', 'default', 2),
      perRule('sgr-1', 5),
    ],
  },
  {
    name: 'one rule in two places',
    readings: [[reading('a', { ruleId: 'sgr-1', packets: 5 }), reading('b', { ruleId: 'sgr-1', packets: 3 })]],
    expected: [judged('eni-1', 'ingress', 'accept', 'rule', 8), perRule('sgr-1', 8)],
  },
  {
    name: 'one of two places made anew',
    readings: [
      [reading('a', { ruleId: 'sgr-1', packets: 1000 }), reading('b', { ruleId: 'sgr-1', packets: 3 })],
      [reading('a', { ruleId: 'sgr-1', packets: 1001 }), reading('c', { ruleId: 'sgr-1', packets: 2 })],
    ],
    expected: [judged('eni-1', 'ingress', 'accept', 'rule', 1006), perRule('sgr-1', 1006)],
  },
  {
    name: 'an object made anew under its name',
    readings: [[reading('a', { reason: 'default', packets: 9 })], [reading('a', { reason: 'default', packets: 1 })]],
    expected: [judged('eni-1', 'ingress', 'accept', 'default', 10)],
  },
  {
    name: 'rules that share what counts for several ENIs',
    readings: [[reading('a', { eniIds: ['eni-1', 'eni-2'], ruleId: 'sgr-1', packets: 4 })]],
    expected: [judged('shared', 'ingress', 'accept', 'rule', 4), perRule('sgr-1', 4)],
  },
  {
    name: 'more rules than have a series of their own',
    maxRules: 2,
    readings: [
      ['sgr-4', 'sgr-2', 'sgr-1', 'sgr-3'].map((ruleId, index) => reading(ruleId, { ruleId, packets: 10 ** index })),
    ],
    expected: [
      judged('eni-1', 'ingress', 'accept', 'rule', 1111),
      perRule('other', 1001),
      perRule('sgr-1', 100),
      perRule('sgr-2', 10),
    ],
  },
  {
    name: 'an ENI and a rule that are gone',
    readings: [
      [reading('a', { ruleId: 'sgr-1', packets: 5 }), reading('b', { eniIds: ['eni-2'], ruleId: 'sgr-2', packets: 6 })],
      [reading('a', { ruleId: 'sgr-1', packets: 7 })],
    ],
    expected: [judged('eni-1', 'ingress', 'accept', 'rule', 7), perRule('sgr-1', 7)],
  },
]

describe('traffic', () => {
  for (const { name, maxRules, readings, expected } of rows) {
    test(name, async () => {
      const metrics = createMetrics(maxRules === undefined ? {} : { maxRules })
      for (const each of readings) metrics.recordTraffic(each)
      assert.deepEqual(await packetSamples(metrics), expected.toSorted())
    })
  }

  test('bytes go the same way', async () => {
    const metrics = createMetrics()
    metrics.recordTraffic([reading('a', { ruleId: 'sgr-1', packets: 1, bytes: 60 })])
    const text = await metrics.registry.metrics()
    assert.match(text, /ringwall_agent_judged_bytes_total\{[^}]*reason="rule"\} 60/)
    assert.match(text, /ringwall_agent_rule_bytes_total\{rule="sgr-1"\} 60/)
  })
})

test('label values known beforehand are there from the start, at 0', async () => {
  const text = await createMetrics().registry.metrics()
  for (const sample of [
    'ringwall_agent_transactions_total{outcome="applied"} 0',
    'ringwall_agent_transactions_total{outcome="busy"} 0',
    'ringwall_agent_policy_loads_total{outcome="refused"} 0',
    'ringwall_agent_enis{state="device-missing"} 0',
    'ringwall_agent_resyncs_total{cause="drift"} 0',
    'ringwall_agent_policy_in_force 0',
    'ringwall_agent_drift_healed_total 0',
  ]) {
    assert.ok(text.split('\n').includes(sample), sample)
  }
})

async function packetSamples(metrics: AgentMetrics): Promise<readonly string[]> {
  const lines = (await metrics.registry.metrics()).split('\n')
  return lines.filter(line => /^ringwall_agent_(judged|rule)_packets_total\{/.test(line)).toSorted()
}
