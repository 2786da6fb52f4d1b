/** What is made from the settings is up to date, complete, and true. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Check } from 'typebox/value'
import { parse } from 'yaml'
import { agentConfig } from '../../../agent/config.ts'
import { exampleFileOf, jsonSchemaOf, usageOf, withTables } from '../../../common/config/describe.ts'
import { readConfig } from '../../../common/config/read.ts'
import { type ConfigOutline, flagOf, variableOf } from '../../../common/config/setting.ts'
import { daemonConfig } from '../../../daemon/config.ts'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFile(join(root, path), 'utf8')
const folder = await mkdtemp(join(tmpdir(), 'ringwall-config-'))
after(() => rm(folder, { recursive: true }))
const outlines: readonly ConfigOutline[] = [agentConfig, daemonConfig]

test('the names of a setting', () => {
  assert.equal(flagOf('metricsAddress'), '--metrics-address')
  assert.equal(variableOf('agent', 'metricsAddress'), 'RINGWALL_AGENT_METRICS_ADDRESS')
  assert.equal(variableOf('daemon', 'listen'), 'RINGWALL_DAEMON_LISTEN')
})

test('docs/configuration.md is up to date: npm run generate', async () => {
  const page = await read('docs/configuration.md')
  assert.equal(page, withTables(page, outlines))
  for (const { program, settings } of outlines) {
    for (const key of Object.keys(settings)) assert.ok(page.includes(`| \`${variableOf(program, key)}\` |`), key)
  }
})

for (const outline of outlines) {
  const { program, settings } = outline

  describe(`settings of the ${program}`, () => {
    test('files made from them are up to date: npm run generate', async () => {
      assert.equal(await read(`docs/${program}-config.schema.json`), jsonSchemaOf(outline))
      assert.equal(await read(`systemd/${program}.yaml`), exampleFileOf(outline))
    })

    test('each has a default or says what holds without it, and is described', () => {
      for (const [key, { schema, leftOut }] of Object.entries(settings)) {
        assert.match(schema.description, /^[A-Z].*\.$/, key)
        assert.ok(schema.default !== undefined || leftOut !== null, key)
        assert.match(key, /^[a-z]+([A-Z][a-z]+)*$/)
      }
    })

    test('a secret is never a value: only files that are named, and URLs of which the host alone is shown', () => {
      for (const [key, { secret, schema }] of Object.entries(settings)) {
        if (/secret|password|token|key$/i.test(key)) assert.equal(secret, 'names-file', key)
        if (secret === 'names-file') assert.equal(schema.format, 'path', key)
      }
    })

    test('the example sets nothing, and is sound with every setting set', async () => {
      const text = exampleFileOf(outline)
      assert.equal(parse(text), null)
      const all = text.replace(/^#(?=\w)/gm, '')
      const values = parse(all) as Record<string, unknown>
      assert.deepEqual(Object.keys(values), Object.keys(settings))
      for (const [key, { schema }] of Object.entries(settings)) {
        if (schema.default !== undefined) assert.deepEqual(values[key], schema.default)
      }
      const path = join(folder, `${program}.yaml`)
      await writeFile(path, all)
      const sources = { flags: new Map(), environment: {}, folder }
      const { faults } = await readConfig({ ...outline, file: path, check: () => [] }, sources)
      assert.deepEqual(faults, [])
      assert.ok(Check(JSON.parse(jsonSchemaOf(outline)), values), 'the JSON Schema for editors says the same')
    })

    test('the usage has every flag', () => {
      const flags = [...usageOf(outline).matchAll(/^ {2}(--[a-z-]+) \S/gm)].map(([, flag]) => flag)
      assert.deepEqual(flags, [...Object.keys(settings).map(flagOf), '--config'])
    })
  })
}
