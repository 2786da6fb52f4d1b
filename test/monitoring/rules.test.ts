/** The alert rules: by promtool, against docs/metrics.md, and each with figures that set it off and some that do not. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { debianProgram } from '../support/debian-programs.ts'
import { tableUnder } from '../support/markdown.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFile(join(root, path), 'utf8')
const rulesPath = join(root, 'monitoring/prometheus/ringwall.rules.yml')
const promtool = debianProgram('prometheus', 'usr/bin/promtool')
const skip = promtool.skip
const folder = await mkdtemp(join(tmpdir(), 'ringwall-rules-'))
after(() => rm(folder, { recursive: true }))

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
const groups = parse(await readFile(rulesPath, 'utf8')).groups as readonly { readonly rules: readonly Rule[] }[]
const rules = groups.flatMap(group => group.rules)

/** @returns what it printed. @throws {Error} with that where it is not content */
async function run(...args: readonly string[]): Promise<string> {
  const [program = '', ...first] = promtool.command
  try {
    return (await promisify(execFile)(program, [...first, ...args])).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`)
  }
}

describe('every alert', () => {
  for (const { alert, labels, annotations } of rules) {
    test(`${alert} says how urgent it is, what is the matter and what to do`, () => {
      assert.match(alert, /^Ringwall[A-Z][A-Za-z]+$/)
      assert.match(labels.severity ?? '', /^(critical|warning|info)$/)
      assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'action'])
      assert.match(annotations.description ?? '', /\.$/)
      assert.match(annotations.action ?? '', /\.$/)
    })
  }

  test('has a name of its own', () => assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length))
})

describe('what the rules ask for', async () => {
  const page = await read('docs/metrics.md')
  const headings = [...page.matchAll(/^## .*$/gm)].map(([heading]) => heading)
  const rows = new Map(headings.flatMap(heading => tableUnder(page, heading)).map(row => [row[0]!.slice(1, -1), row]))

  for (const { alert, expr } of rules) {
    test(`${alert}: metrics, labels and values are on the page`, () => {
      const selectors = [...expr.matchAll(/\b(ringwall_\w+|up)\b(?:\{([^}]*)\})?/g)]
      assert.ok(selectors.length > 0)
      for (const [, name = '', matchers = ''] of selectors) {
        // Prometheus' own.
        if (name === 'up') continue
        const row = rows.get(name.replace(/_(bucket|sum|count)$/, '')) ?? rows.get(name)
        assert.ok(row !== undefined, name)
        for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)(?:=~|!=|=)"([^"]*)"/g)) {
          assert.ok(row[2]!.includes(`\`${label}\``), `${name}{${label}}`)
          for (const value of values.split('|')) {
            if (value === '5..') continue
            assert.match(
              `${row[2]} ${row[3]}`,
              new RegExp(`(^|[^\\w-])${value}($|[^\\w-])`),
              `${name}{${label}="${value}"}`,
            )
          }
        }
      }
    })
  }
})

/** A value each minute, in promtool's notation: `0+3x20` begins with 0 and grows by 3 twenty times. */
type Series = Readonly<Record<string, string>>

interface Row {
  readonly name: string
  readonly series: Series
  /** Minutes from the start at which to look. */
  readonly at: number
  /** Minutes from one look of Prometheus at the rules to the next; one, if left out, which takes long over days. */
  readonly every?: number
  /** Alerts that are firing then, and no others. */
  readonly fires: readonly string[]
  /** Of those that are not, the ones this row is about. */
  readonly quiet?: readonly string[]
}

const agent = 'job="ringwall-agent",instance="web1:9469"'
const daemon = 'job="ringwall-daemon",instance="daemon:9480"'
const ofInstance = `${agent},instance_id="i-1"`
const phase = (name: string) => `ringwall_agent_ddos_phase{${ofInstance},phase="${name}"}`
const ddos = (name: string) => `ringwall_agent_ddos_${name}{${ofInstance}}`
const dropped = (step: string) => `ringwall_agent_ddos_dropped_packets_total{${ofInstance},step="${step}"}`
const thresholds: Series = {
  [ddos('threshold_bits_per_second')]: '500000000x60',
  [ddos('threshold_packets_per_second')]: '200000x60',
}

const rows: readonly Row[] = [
  {
    name: 'all is well',
    at: 60,
    series: {
      ...thresholds,
      [phase('normal')]: '1x60',
      [phase('over')]: '0x60',
      [phase('cleaning')]: '0x60',
      [phase('uncleaned')]: '0x60',
      [phase('black-hole')]: '0x60',
      [ddos('offered_bits_per_second')]: '390000000x60',
      [ddos('offered_packets_per_second')]: '150000x60',
      [ddos('passed_bits_per_second')]: '390000000x60',
      [ddos('passed_packets_per_second')]: '150000x60',
      [ddos('events_total')]: '0+0.05x60',
      [ddos('black_holes_total')]: '0x60',
      [`ringwall_agent_ddos_late_ticks_total{${agent}}`]: '0+2x60',
      [`ringwall_agent_ddos_table_rebuilt_total{${agent}}`]: '0 1x60',
      [`ringwall_agent_policy_in_force{${agent}}`]: '1x60',
      [`ringwall_agent_policy_faults{${agent}}`]: '0x60',
      [`ringwall_agent_transactions_total{${agent},outcome="applied"}`]: '0+10x60',
      [`ringwall_agent_transactions_total{${agent},outcome="busy"}`]: '0+0.1x60',
      [`ringwall_agent_drift_healed_total{${agent}}`]: '0 1x60',
      [`ringwall_agent_enis{${agent},state="enforced"}`]: '3x60',
      [`ringwall_agent_enis{${agent},state="device-missing"}`]: '0x60',
      [`ringwall_agent_reconcile_lag_seconds_bucket{${agent},le="5"}`]: '0+10x60',
      [`ringwall_agent_reconcile_lag_seconds_bucket{${agent},le="+Inf"}`]: '0+10x60',
      [`ringwall_agent_link_connected{${agent}}`]: '1x60',
      [`ringwall_agent_link_kept{${agent}}`]: '1x60',
      [`ringwall_agent_link_certificate_expiry_seconds{${agent}}`]: '302400-60x60',
      [`ringwall_agent_link_certificate_life_seconds{${agent}}`]: '608400x60',
      [`up{${agent}}`]: '1x60',
      [`up{${daemon}}`]: '1x60',
      [`ringwall_daemon_agents{${daemon},state="in-sync"}`]: '20x60',
      [`ringwall_daemon_agents{${daemon},state="away"}`]: '0x60',
      [`ringwall_daemon_agents{${daemon},state="refusing"}`]: '0x60',
      [`ringwall_daemon_agents{${daemon},state="behind"}`]: '0x60',
      [`ringwall_daemon_connections_refused_total{${daemon},reason="expired"}`]: '0x60',
      [`ringwall_daemon_connections_refused_total{${daemon},reason="handshake"}`]: '0+5x60',
      [`ringwall_daemon_requests_total{${daemon},code="200"}`]: '0+600x60',
      [`ringwall_daemon_requests_total{${daemon},code="500"}`]: '0 1x60',
      [`ringwall_daemon_store_commits_total{${daemon},outcome="failed"}`]: '0x60',
      [`ringwall_daemon_audit_failures_total{${daemon}}`]: '0x60',
      [`ringwall_daemon_ddos_instances{${daemon},phase="cleaning"}`]: '2x60',
      [`ringwall_daemon_ddos_instances{${daemon},phase="normal"}`]: '90x60',
      [`ringwall_daemon_ddos_event_writes_total{${daemon},outcome="stored"}`]: '0+3x60',
      [`ringwall_daemon_ddos_event_writes_total{${daemon},outcome="failed"}`]: '0x60',
      [`ringwall_notifications_pending{${agent},way="webhook"}`]: '0x60',
      [`ringwall_notifications_total{${agent},way="webhook",outcome="failed"}`]: '0+1x60',
      [`ringwall_notifications_total{${agent},way="webhook",outcome="given-up"}`]: '0x60',
    },
    fires: [],
    quiet: rules.map(({ alert }) => alert),
  },
  { name: 'an attack that is cleaned', at: 3, series: { [phase('cleaning')]: '0 0 1x10' }, fires: ['RingwallAttack'] },
  {
    name: 'an attack that is over',
    at: 8,
    series: { [phase('cleaning')]: '0 1 1 1 0x10' },
    fires: [],
    quiet: ['RingwallAttack'],
  },
  {
    name: 'traffic over the threshold, not yet for long enough',
    at: 3,
    series: { [phase('over')]: '0 0 1x10' },
    fires: [],
    quiet: ['RingwallAttack'],
  },
  {
    name: 'scrubbing cancelled',
    at: 3,
    series: { [phase('uncleaned')]: '0 0 1x10' },
    fires: ['RingwallAttackUncleaned'],
  },
  { name: 'a black hole', at: 3, series: { [phase('black-hole')]: '0 0 1x10' }, fires: ['RingwallBlackHole'] },
  {
    name: 'cleaning that does not hold the packet rate',
    at: 10,
    series: { ...thresholds, [phase('cleaning')]: '1x20', [ddos('passed_packets_per_second')]: '230000x20' },
    fires: ['RingwallAttack', 'RingwallThresholdsNotKept'],
  },
  {
    name: 'cleaning that does not hold the bit rate',
    at: 10,
    series: { ...thresholds, [phase('cleaning')]: '1x20', [ddos('passed_bits_per_second')]: '560000000x20' },
    fires: ['RingwallAttack', 'RingwallThresholdsNotKept'],
  },
  {
    name: 'cleaning within its thresholds',
    at: 10,
    series: { ...thresholds, [phase('cleaning')]: '1x20', [ddos('passed_packets_per_second')]: '205000x20' },
    fires: ['RingwallAttack'],
    quiet: ['RingwallThresholdsNotKept'],
  },
  {
    name: 'an attack that only the last limits drop',
    at: 10,
    series: {
      [ddos('offered_packets_per_second')]: '1000000x20',
      [dropped('packet-rate')]: '0+18000000x20',
      [dropped('udp')]: '0+1000000x20',
    },
    fires: ['RingwallAttackHardToTell'],
  },
  {
    name: 'an attack that is dropped by its type',
    at: 10,
    series: {
      [ddos('offered_packets_per_second')]: '1000000x20',
      [dropped('packet-rate')]: '0+600000x20',
      [dropped('udp')]: '0+50000000x20',
    },
    fires: [],
    quiet: ['RingwallAttackHardToTell'],
  },
  {
    name: 'packets near the threshold',
    at: 30,
    series: {
      ...thresholds,
      [ddos('offered_packets_per_second')]: '170000x60',
      [ddos('offered_bits_per_second')]: '1000x60',
    },
    fires: ['RingwallNearThreshold'],
  },
  {
    name: 'bits near the threshold',
    at: 30,
    series: {
      ...thresholds,
      [ddos('offered_packets_per_second')]: '1000x60',
      [ddos('offered_bits_per_second')]: '410000000x60',
    },
    fires: ['RingwallNearThreshold'],
  },
  {
    name: 'one peak near the threshold',
    at: 30,
    series: { ...thresholds, [ddos('offered_packets_per_second')]: '1000x25 190000x3 1000x60' },
    fires: [],
    quiet: ['RingwallNearThreshold'],
  },
  {
    name: 'an instance without thresholds',
    at: 30,
    series: { [ddos('offered_packets_per_second')]: '9000000x60' },
    fires: [],
    quiet: ['RingwallNearThreshold'],
  },
  {
    name: 'attacks again and again',
    at: 60,
    series: { [ddos('events_total')]: '0+0.2x60' },
    fires: ['RingwallAttacksRepeated'],
  },
  {
    name: 'black holes again and again',
    at: 360,
    series: { [ddos('black_holes_total')]: '0x30 1x100 2x100 3x200' },
    fires: ['RingwallBlackHolesRepeated'],
  },
  {
    name: 'an agent that starts anew has not black-holed again',
    at: 360,
    series: { [ddos('black_holes_total')]: '2x200 0x200' },
    fires: [],
    quiet: ['RingwallBlackHolesRepeated'],
  },
  {
    name: 'many instances at once',
    at: 3,
    series: {
      [`ringwall_daemon_ddos_instances{${daemon},phase="cleaning"}`]: '4x10',
      [`ringwall_daemon_ddos_instances{${daemon},phase="black-hole"}`]: '1x10',
    },
    fires: ['RingwallManyAttacked'],
  },
  {
    name: 'a busy host',
    at: 25,
    series: { [`ringwall_agent_ddos_late_ticks_total{${agent}}`]: '0+6x30' },
    fires: ['RingwallLateTicks'],
  },
  {
    name: 'a table that is removed again and again',
    at: 20,
    series: { [`ringwall_agent_ddos_table_rebuilt_total{${agent}}`]: '0+0.5x30' },
    fires: ['RingwallScrubTableRebuilt'],
  },
  { name: 'an agent that is down', at: 5, series: { [`up{${agent}}`]: '1 0x10' }, fires: ['RingwallAgentDown'] },
  { name: 'a daemon that is down', at: 5, series: { [`up{${daemon}}`]: '1 0x10' }, fires: ['RingwallDaemonDown'] },
  {
    name: 'an agent that is started anew',
    at: 5,
    series: { [`up{${agent}}`]: '1x3 0 1x10' },
    fires: [],
    quiet: ['RingwallAgentDown'],
  },
  {
    name: 'a policy not in force',
    at: 5,
    series: { [`ringwall_agent_policy_in_force{${agent}}`]: '1 0x10' },
    fires: ['RingwallPolicyNotInForce'],
  },
  {
    name: 'a policy with faults',
    at: 10,
    series: { [`ringwall_agent_policy_faults{${agent}}`]: '2x20' },
    fires: ['RingwallPolicyFaults'],
  },
  {
    name: 'refusals of nft, of several kinds',
    at: 10,
    series: {
      [`ringwall_agent_transactions_total{${agent},outcome="busy"}`]: '0+0.3x20',
      [`ringwall_agent_transactions_total{${agent},outcome="exists"}`]: '0+0.3x20',
    },
    fires: ['RingwallChangesRefused'],
  },
  {
    name: 'somebody who changes our table',
    at: 60,
    series: { [`ringwall_agent_drift_healed_total{${agent}}`]: '0+0.1x60' },
    fires: ['RingwallDriftHealed'],
  },
  {
    name: 'a missing device',
    at: 45,
    series: { [`ringwall_agent_enis{${agent},state="device-missing"}`]: '1x60' },
    fires: ['RingwallDeviceMissing'],
  },
  {
    name: 'changes that take long',
    at: 40,
    series: {
      [`ringwall_agent_reconcile_lag_seconds_bucket{${agent},le="5"}`]: '0+9x60',
      [`ringwall_agent_reconcile_lag_seconds_bucket{${agent},le="10"}`]: '0+10x60',
      [`ringwall_agent_reconcile_lag_seconds_bucket{${agent},le="+Inf"}`]: '0+10x60',
    },
    fires: ['RingwallReconcileSlow'],
  },
  {
    name: 'an agent without its daemon',
    at: 10,
    series: { [`ringwall_agent_link_connected{${agent}}`]: '1 0x20' },
    fires: ['RingwallAgentDisconnected'],
  },
  {
    name: 'an agent with a full disk',
    at: 5,
    series: { [`ringwall_agent_link_kept{${agent}}`]: '1 0x20' },
    fires: ['RingwallStateNotKept'],
  },
  {
    name: 'a certificate that was not renewed',
    at: 30,
    series: {
      [`ringwall_agent_link_certificate_expiry_seconds{${agent}}`]: '151200-60x60',
      [`ringwall_agent_link_certificate_life_seconds{${agent}}`]: '608400x60',
    },
    fires: ['RingwallCertificateExpires'],
  },
  {
    name: 'a certificate that has run out',
    at: 30,
    series: { [`ringwall_agent_link_certificate_expiry_seconds{${agent}}`]: '0x60' },
    fires: ['RingwallCertificateExpired'],
  },
  {
    name: 'agents that are away',
    at: 15,
    series: { [`ringwall_daemon_agents{${daemon},state="away"}`]: '2x20' },
    fires: ['RingwallAgentsAway'],
  },
  {
    name: 'agents that refuse',
    at: 5,
    series: { [`ringwall_daemon_agents{${daemon},state="refusing"}`]: '1x20' },
    fires: ['RingwallAgentsRefusing'],
  },
  {
    name: 'agents that are behind',
    at: 15,
    series: { [`ringwall_daemon_agents{${daemon},state="behind"}`]: '1x20' },
    fires: ['RingwallAgentsBehind'],
  },
  {
    name: 'hosts that are open',
    at: 5,
    series: { [`ringwall_daemon_open_hosts{${daemon}}`]: '0x2 1x20' },
    fires: ['RingwallHostsOpen'],
  },
  {
    name: 'interfaces that are observed for days',
    at: 4330,
    every: 10,
    series: { [`ringwall_daemon_observed_network_interfaces{${daemon}}`]: '0x2 5x4400' },
    fires: ['RingwallObservedForLong'],
  },
  {
    name: 'interfaces that are tried for a day',
    at: 4330,
    every: 10,
    series: { [`ringwall_daemon_observed_network_interfaces{${daemon}}`]: '5x1440 0x4400' },
    fires: [],
  },
  {
    name: 'an agent that was away for too long',
    at: 30,
    series: { [`ringwall_daemon_connections_refused_total{${daemon},reason="expired"}`]: '0x5 0+1x40' },
    fires: ['RingwallAgentsTurnedAway'],
  },
  {
    name: 'errors of the API',
    at: 10,
    series: { [`ringwall_daemon_requests_total{${daemon},code="503"}`]: '0+1x20' },
    fires: ['RingwallApiErrors'],
  },
  {
    name: 'a disk that refuses commits',
    at: 10,
    series: { [`ringwall_daemon_store_commits_total{${daemon},outcome="failed"}`]: '0x5 1x20' },
    fires: ['RingwallStoreFailing'],
  },
  {
    name: 'a disk that refuses the audit file',
    at: 10,
    series: { [`ringwall_daemon_audit_failures_total{${daemon}}`]: '0x5 1x20' },
    fires: ['RingwallAuditFailing'],
  },
  {
    name: 'events that are not stored',
    at: 10,
    series: { [`ringwall_daemon_ddos_event_writes_total{${daemon},outcome="refused"}`]: '0x5 1x20' },
    fires: ['RingwallEventsNotStored'],
  },
  {
    name: 'notifications that wait',
    at: 10,
    series: { [`ringwall_notifications_pending{${agent},way="command"}`]: '0 1x20' },
    fires: ['RingwallNotificationsStuck'],
  },
  {
    name: 'notifications that waited for a moment',
    at: 10,
    series: { [`ringwall_notifications_pending{${agent},way="command"}`]: '0 3x3 0x20' },
    fires: [],
    quiet: ['RingwallNotificationsStuck'],
  },
  {
    name: 'notifications that were given up',
    at: 30,
    series: { [`ringwall_notifications_total{${agent},way="webhook",outcome="given-up"}`]: '0x10 1x40' },
    fires: ['RingwallNotificationsGivenUp'],
  },
]

describe('promtool', { skip }, () => {
  test('finds no fault with the rules', async () => {
    assert.match(
      await run('check', 'rules', '--lint=all', '--lint-fatal', rulesPath),
      new RegExp(`${rules.length} rules found`),
    )
  })

  for (const { name, series, at, every = 1, fires } of rows) {
    test(`${name}: ${fires.join(', ') || 'no alert'}`, async () => {
      const file = join(folder, 'test.yml')
      const tests = {
        rule_files: [rulesPath],
        evaluation_interval: `${every}m`,
        tests: [
          {
            interval: '1m',
            input_series: Object.entries(series).map(([of, values]) => ({ series: of, values })),
            promql_expr_test: [
              {
                expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
                eval_time: `${at}m`,
                exp_samples: fires.map(alert => ({ labels: `{alertname="${alert}"}`, value: 1 })),
              },
            ],
          },
        ],
      }
      await writeFile(file, JSON.stringify(tests))
      await run('test', 'rules', file)
    })
  }

  test('fills in what an alert says', async () => {
    const file = join(folder, 'text.yml')
    const tests = {
      rule_files: [rulesPath],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: [{ series: phase('black-hole'), values: '1x10' }],
          alert_rule_test: [
            {
              eval_time: '5m',
              alertname: 'RingwallBlackHole',
              exp_alerts: [
                {
                  exp_labels: {
                    severity: 'critical',
                    job: 'ringwall-agent',
                    instance: 'web1:9469',
                    instance_id: 'i-1',
                    phase: 'black-hole',
                  },
                  exp_annotations: {
                    summary: 'i-1 is black-holed',
                    description:
                      'All inbound traffic in scope of i-1 on web1:9469 is dropped, and its customers with it, until the hold time is over.',
                    action:
                      '"ringwall ddos status" says until when; "ringwall ddos lift" ends it. Have the attack dropped upstream before you do.',
                  },
                },
              ],
            },
          ],
        },
      ],
    }
    await writeFile(file, JSON.stringify(tests))
    await run('test', 'rules', file)
  })

  test('takes the configuration on the page', async () => {
    const page = await read('monitoring/README.md')
    const [, yaml = ''] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? []
    assert.notEqual(yaml, '')
    const file = join(folder, 'prometheus.yml')
    await writeFile(join(folder, 'token'), '')
    await writeFile(
      file,
      yaml.replace('/etc/prometheus/ringwall.rules.yml', rulesPath).replaceAll('/etc/prometheus', folder),
    )
    assert.match(await run('check', 'config', file), /SUCCESS: .*prometheus.yml is valid/)
  })
})

test('every alert is set off by some figures, and not by others', () => {
  const sorted = (names: Iterable<string>) => [...new Set(names)].sort()
  const all = sorted(rules.map(({ alert }) => alert))
  assert.deepEqual(sorted(rows.flatMap(({ fires }) => fires)), all)
  assert.deepEqual(sorted(rows.flatMap(({ quiet = [] }) => quiet)), all)
})
