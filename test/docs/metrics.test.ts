/** docs/metrics.md against agent and daemon, and the names of metrics against Prometheus' rules. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Registry } from 'prom-client'
import { createGuardMetrics } from '../../agent/guard/metrics.ts'
import { createLinkMetrics } from '../../agent/link/metrics.ts'
import { createLogMetrics } from '../../agent/logs/metrics.ts'
import { createMetrics as createAgentMetrics } from '../../agent/metrics.ts'
import { createScrubMetrics } from '../../agent/scrub/metrics.ts'
import { createNotifierMetrics } from '../../common/notify/metrics.ts'
import { createDdosMetrics } from '../../daemon/ddos/metrics.ts'
import { createMetrics as createDaemonMetrics } from '../../daemon/metrics.ts'
import { createPushMetrics } from '../../daemon/push/metrics.ts'
import { tableUnder } from '../support/markdown.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')

function agentRegistry(): Registry {
  const { registry } = createAgentMetrics()
  createLinkMetrics(registry, { lifeLeftMs: () => Date.now(), lifeMs: () => Date.now() })
  createScrubMetrics(registry)
  createGuardMetrics(registry)
  createLogMetrics(registry)
  createNotifierMetrics(registry)
  return registry
}

function daemonRegistry(): Registry {
  const { registry } = createDaemonMetrics(() => null)
  createPushMetrics(registry, () => null)
  createDdosMetrics(registry, { phases: () => new Map(), readers: () => 0 })
  createNotifierMetrics(registry)
  return registry
}

interface Metric {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly constructor: { readonly name: string }
}

for (const { process, registry, headings } of [
  {
    process: 'agent',
    registry: agentRegistry(),
    headings: ['## The agent', '## Logs of packets', '## Traffic scrubbing', '## Led by a daemon', '## Notifications'],
  },
  { process: 'daemon', registry: daemonRegistry(), headings: ['## The daemon', '## Notifications'] },
]) {
  const metrics = registry.getMetricsAsArray() as unknown as readonly Metric[]
  const isOurs = ({ name }: Metric) => new RegExp(`^ringwall_(${process}|notifications)_`).test(name)

  /** What `promtool check metrics` refuses, and what Prometheus' naming page asks for. */
  describe(`every metric of the ${process}`, () => {
    for (const metric of metrics) {
      const { name, help } = metric
      const type = metric.constructor.name.toLowerCase()
      test(name, () => {
        assert.match(name, /^[a-z][a-z0-9_]*$/)
        assert.notEqual(help.trim(), '')
        assert.equal(name.endsWith('_total'), type === 'counter', 'counters end in _total, and nothing else does')
        assert.doesNotMatch(name, /_(bucket|count|sum)$/, 'reserved for histograms')
        assert.doesNotMatch(name, /_(counter|gauge|histogram|summary)(_|$)/)
        assert.doesNotMatch(name, /_(ms|milliseconds|us|minutes|kb|kilobytes|mb|megabytes|percent)(_|$)/, 'base units')
        if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/)
        if (isOurs(metric)) assert.match(help, /rise|Above 0|0 means/i, 'the help says what a rise means')
        if (isOurs(metric)) assert.match(help, /\.$/)
      })
    }

    test('has its name', () => {
      const others = metrics.filter(metric => !isOurs(metric) && !/^(process|nodejs)_/.test(metric.name))
      assert.deepEqual(
        others.map(({ name }) => name),
        [],
      )
    })
  })

  describe(`the metrics page, of the ${process}`, () => {
    const rows = headings.flatMap(heading => tableUnder(page, heading))

    test('has every metric with its type and labels, and no other', () => {
      assert.deepEqual(
        rows
          .map(([name, type, labels = '']) => [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)])
          .toSorted(),
        metrics
          .filter(isOurs)
          .map(metric => [`\`${metric.name}\``, metric.constructor.name.toLowerCase(), metric.labelNames])
          .toSorted(),
      )
    })

    test('has the values of each label that are known beforehand', async () => {
      const text = await registry.metrics()
      assert.ok(rows.length > 0)
      for (const [name = '', , labels = ''] of rows) {
        if (!labels.includes(':') || labels.includes('kind of error')) continue
        const samples = text.matchAll(new RegExp(`^${name.slice(1, -1)}\\{\\w+="([^"]+)"\\}`, 'gm'))
        assert.equal(labels.split(': ')[1], [...samples].map(([, value]) => value).join(', '), name)
      }
    })
  })
}
