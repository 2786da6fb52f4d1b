/** docs/agent.md and docs/metrics.md against the agent: flags, log messages, metrics. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createLinkMetrics } from '../../agent/link/metrics.ts'
import { createMetrics } from '../../agent/metrics.ts'
import { nftErrorKinds } from '../../agent/nft/errors.ts'
import { command } from '../../cli/commands/agent.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const page = read('docs/agent.md')

/** The cells of every row of the table under a heading. */
function tableUnder(text: string, heading: string): readonly (readonly string[])[] {
  const [, section = ''] = `\n${text}`.split(`\n${heading}\n`)
  const rows = /(?:^\|.*\n)+/m.exec(section)?.[0].trim().split('\n') ?? []
  return rows.slice(2).map(row =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

test('every flag of the agent is on the page, and no other', () => {
  const flags = [...command.usage.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag]) => `\`--${flag}\``)
  assert.deepEqual(
    tableUnder(page, '## Flags').map(([flag]) => flag),
    flags,
  )
})

test('every message the agent logs is on the page with its level, and no other', () => {
  const logged = new Set<string>()
  for (const file of globSync('{agent/**/*.ts,cli/commands/agent.ts}', { cwd: root })) {
    for (const [, level, call = ''] of read(file).matchAll(
      /\blog\.(debug|info|warn|error|fatal)\(([\s\S]*?)\n? *\)\n/g,
    )) {
      for (const [, message] of call.matchAll(/(?:^|, |\? |: |,\s+)'([^']{2,})'/g)) logged.add(`${message} (${level})`)
    }
  }
  const described = tableUnder(page, '## Log messages').map(([message, level]) => `${message} (${level})`)
  assert.deepEqual(described.toSorted(), [...logged].sort())
})

describe('the metrics page', () => {
  const metricsPage = read('docs/metrics.md')
  const rows = [...tableUnder(metricsPage, '# Metrics'), ...tableUnder(metricsPage, '## Led by a daemon')]
  const { registry } = createMetrics()
  createLinkMetrics(registry, () => Date.now())
  const ours = registry
    .getMetricsAsArray()
    .map(metric => metric as unknown as { name: string; labelNames: string[]; constructor: { name: string } })
    .filter(({ name }) => name.startsWith('ringwall_'))

  test('has every metric with its type and labels, and no other', () => {
    assert.deepEqual(
      rows
        .map(([name, type, labels = '']) => [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)])
        .toSorted(),
      ours.map(metric => [`\`${metric.name}\``, metric.constructor.name.toLowerCase(), metric.labelNames]).toSorted(),
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

test('the page on troubleshooting has every kind of refusal', () => {
  const kinds = tableUnder(read('docs/troubleshooting.md'), '## Changes are refused').flatMap(([kind = '']) =>
    kind.split(', '),
  )
  assert.deepEqual(kinds.toSorted(), [...nftErrorKinds].sort())
})
