import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Untracked } from '../../agent/conntrack/open-sessions.ts'
import { createMetrics } from '../../agent/metrics.ts'
import { NftError } from '../../agent/nft/errors.ts'
import type { Cause } from '../../agent/reconcile/loop.ts'
import { createReporter, type Reporter } from '../../agent/report.ts'
import { createLogger } from '../../common/log.ts'
import { compile } from '../../rules-compiler/nft/compile.ts'
import { diff } from '../../rules-compiler/nft/diff.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr } from '../support/ir.ts'

const policy = makeIr(makeEni([]))
const bound = new Map([['eni-1', { index: 2, device: 'eth0' }]])
const busy = new NftError('busy', 'add rule', 'Error: Device or resource busy\n')

type Step = (reporter: Reporter) => void
const accept: Step = reporter => reporter.policyAccepted(policy, performance.now())
const refuse: Step = reporter =>
  reporter.policyRefused(['securityGroups[0].type: expected basic', 'instances: missing'])
const lose: Step = reporter => reporter.policyUnreadable('Policy file "policy.yaml" is missing')
const fallBack: Step = reporter => reporter.fallenBack(policy)
const run =
  (
    kind: 'applied' | 'unchanged',
    cause: Cause,
    facts: { bindings?: typeof bound; drifted?: boolean; of?: PolicyIr; untracked?: Untracked } = {},
  ): Step =>
  reporter => {
    const ruleset = compile(policy)
    const where = { policy: facts.of ?? policy, ruleset, bindings: facts.bindings ?? bound }
    const reached = { cause, ...where, lacking: null, seconds: 0.01, nftSeconds: 0.005 }
    const plan = { ruleset, stamps: new Map(), transactions: diff(null, ruleset), raised: ['eni-1/ingress'] }
    const done = {
      plan,
      summary: 'add table ringwall',
      drifted: facts.drifted ?? false,
      untracked: facts.untracked ?? null,
    }
    reporter.report(
      kind === 'applied' ? { kind, ...reached, ...done } : { kind, ...reached },
      'iptables-nft-re (pid 7)',
    )
  }
const fail: Step = reporter => reporter.report({ kind: 'refused', cause: 'policy', error: busy, retryInMs: 250 }, '')
const apply = run('applied', 'policy')

interface Row {
  readonly name: string
  readonly steps: readonly Step[]
  readonly healthy: boolean
  readonly inForce: boolean
  readonly problems?: readonly string[]
  /** `id state` of each ENI. */
  readonly enis?: readonly string[]
  readonly changedBy?: string
  readonly untracked?: Untracked
  /** Samples without their prefix. */
  readonly metrics?: readonly string[]
  /** The last log line: its level and message. */
  readonly log?: string
}

const faults = ['securityGroups[0].type: expected basic', 'instances: missing']
const enforced = ['eni-1 enforced', 'eni-bare no-group']
const inForceLog = 'info in force'

const rows: readonly Row[] = [
  {
    name: 'nothing yet',
    steps: [],
    healthy: false,
    inForce: false,
    problems: ['no policy has been read yet'],
    metrics: ['policy_in_force 0'],
  },
  {
    name: 'a policy on its way to the kernel',
    steps: [accept],
    healthy: false,
    inForce: false,
    problems: ['the policy is being put in force'],
    metrics: ['policy_in_force 0', 'policy_loads_total{outcome="accepted"} 1'],
    log: 'warn ENI has no security group: its device is left alone',
  },
  {
    name: 'a policy in force',
    steps: [accept, apply],
    healthy: true,
    inForce: true,
    enis: enforced,
    metrics: [
      'policy_in_force 1',
      'transactions_total{outcome="applied"} 1',
      'reconcile_lag_seconds_count 1',
      'enis{state="enforced"} 1',
      'enis{state="no-group"} 1',
      'stamps_raised_total 1',
    ],
    log: inForceLog,
  },
  {
    name: 'a policy in force over sessions that connection tracking does not know, and one more',
    steps: [accept, run('applied', 'policy', { untracked: { sessions: 3, reason: 'conntrack not found' } }), apply],
    healthy: true,
    inForce: true,
    enis: enforced,
    untracked: { sessions: 3, reason: 'conntrack not found' },
    log: inForceLog,
  },
  {
    name: 'sessions that connection tracking does not know',
    steps: [accept, run('applied', 'policy', { untracked: { sessions: null, reason: 'ss not found' } })],
    healthy: true,
    inForce: true,
    enis: enforced,
    untracked: { sessions: null, reason: 'ss not found' },
    log: 'warn cannot enter open sessions into connection tracking; one whose far end speaks first may be cut',
  },
  {
    name: 'a policy that stood in the kernel already',
    steps: [accept, run('unchanged', 'policy')],
    healthy: true,
    inForce: true,
    enis: enforced,
    metrics: ['policy_in_force 1', 'transactions_total{outcome="applied"} 0'],
  },
  {
    name: 'a file with faults while one is in force',
    steps: [accept, apply, refuse],
    healthy: false,
    inForce: true,
    problems: faults,
    enis: enforced,
    metrics: ['policy_in_force 1', 'policy_faults 2', 'policy_loads_total{outcome="refused"} 1'],
    log: 'error the policy file has faults; what was in force stays in force',
  },
  {
    name: 'the faults mended',
    steps: [accept, apply, refuse, accept, apply],
    healthy: true,
    inForce: true,
    enis: enforced,
    metrics: ['policy_faults 0'],
  },
  {
    name: 'a file that is gone',
    steps: [accept, apply, lose],
    healthy: false,
    inForce: true,
    problems: ['Policy file "policy.yaml" is missing'],
    enis: enforced,
    metrics: ['policy_faults 1', 'policy_loads_total{outcome="unreadable"} 1'],
    log: 'error the policy file cannot be read; what was in force stays in force',
  },
  {
    name: 'the last policy taken instead of a bad file',
    steps: [refuse, fallBack, apply],
    healthy: false,
    inForce: true,
    problems: faults,
    enis: enforced,
    metrics: ['policy_in_force 1'],
  },
  {
    name: 'a refused change',
    steps: [accept, apply, accept, fail],
    healthy: false,
    inForce: false,
    problems: [busy.message],
    enis: enforced,
    metrics: ['policy_in_force 0', 'transactions_total{outcome="busy"} 1'],
    log: 'error the change was refused; the ruleset before it stays in force',
  },
  {
    name: 'the refused change taken later',
    steps: [accept, fail, run('applied', 'retry')],
    healthy: true,
    inForce: true,
    enis: enforced,
    metrics: ['policy_in_force 1', 'resyncs_total{cause="retry"} 1', 'reconcile_lag_seconds_count 1'],
  },
  {
    name: 'a run for an older policy than the last accepted',
    steps: [accept, run('applied', 'policy', { of: makeIr(makeEni([])) })],
    healthy: false,
    inForce: false,
    problems: ['the policy is being put in force'],
    enis: enforced,
    metrics: ['policy_in_force 0', 'reconcile_lag_seconds_count 0'],
  },
  {
    name: "a stranger's change put right",
    steps: [accept, apply, run('applied', 'drift', { drifted: true })],
    healthy: true,
    inForce: true,
    enis: enforced,
    changedBy: 'iptables-nft-re (pid 7)',
    metrics: ['drift_healed_total 1', 'resyncs_total{cause="drift"} 1'],
    log: 'warn somebody changed our table; it is as it should be again',
  },
  {
    name: "a stranger's change of another table",
    steps: [accept, apply, run('unchanged', 'drift')],
    healthy: true,
    inForce: true,
    enis: enforced,
    metrics: ['drift_healed_total 0', 'resyncs_total{cause="drift"} 1'],
  },
  {
    name: 'a device that is gone',
    steps: [accept, apply, run('unchanged', 'device', { bindings: new Map() })],
    healthy: true,
    inForce: true,
    enis: ['eni-1 device-missing', 'eni-bare no-group'],
    metrics: ['enis{state="device-missing"} 1', 'enis{state="enforced"} 0'],
    log: 'warn device is not there; its rules stand and take hold when it comes',
  },
]

describe('the agent says after', () => {
  for (const row of rows) {
    const {
      name,
      steps,
      healthy,
      inForce,
      problems = [],
      enis = [],
      changedBy,
      untracked = null,
      metrics = [],
      log,
    } = row
    test(name, async () => {
      const lines: { level: string; msg: string }[] = []
      const registry = createMetrics()
      const reporter = createReporter(
        createLogger('test', 'info', { write: line => lines.push(JSON.parse(line)) }),
        registry,
      )
      for (const step of steps) step(reporter)
      const { lastDrift, ...health } = reporter.health()
      assert.equal(lastDrift?.changedBy, changedBy)
      assert.deepEqual(
        { ...health, enis: health.enis.map(({ id, state }) => `${id} ${state}`) },
        { healthy, inForce, problems, enis, untracked },
      )
      const samples = (await registry.registry.metrics()).split('\n')
      for (const sample of metrics) assert.ok(samples.includes(`ringwall_agent_${sample}`), sample)
      const last = lines.at(-1)
      if (log !== undefined) assert.equal(`${last?.level} ${last?.msg}`, log)
    })
  }

  test('a missing device twice: one warning', () => {
    const lines: string[] = []
    const reporter = createReporter(createLogger('test', 'warn', { write: line => lines.push(line) }), createMetrics())
    for (const step of [accept, apply]) step(reporter)
    lines.length = 0
    for (let times = 0; times < 3; times += 1) run('unchanged', 'device', { bindings: new Map() })(reporter)
    assert.equal(lines.length, 1)
  })

  test('an ENI that no device is known for: it is missing, and told of once', async () => {
    const lines: string[] = []
    const metrics = createMetrics()
    const reporter = createReporter(createLogger('test', 'warn', { write: line => lines.push(line) }), metrics)
    for (let times = 0; times < 3; times += 1) {
      reporter.policyAccepted(policy, performance.now(), { leftOut: ['eni-lost'] })
      apply(reporter)
    }
    assert.deepEqual(
      lines.map(line => JSON.parse(line).eni),
      ['eni-bare', 'eni-lost'],
    )
    assert.deepEqual(reporter.eniStates().at(-1), { id: 'eni-lost', device: null, state: 'device-missing' })
    assert.match(await metrics.registry.metrics(), /ringwall_agent_enis\{state="device-missing"\} 1/)
    reporter.policyAccepted(policy, performance.now())
    assert.equal(reporter.eniStates().length, 2)
  })
})
