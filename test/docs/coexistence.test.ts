/** docs/coexistence.md against the tests that it names. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tableUnder } from '../support/markdown.ts'

const project = join(import.meta.dirname, '../..')
const page = readFileSync(join(project, 'docs/coexistence.md'), 'utf8')

test('each row names a test that there is', () => {
  const sources = globSync('test/coexistence/*.test.ts', { cwd: project }).map(file =>
    readFileSync(join(project, file), 'utf8'),
  )
  const rows = tableUnder(page, '# Beside other firewalls')
  assert.ok(rows.length > 10, `${rows.length} rows`)
  for (const row of rows) {
    const name = row.at(-1)!
    // Those of the container engines are told with the engine in front.
    const own = name.replace(/^(docker|podman): /, '')
    assert.ok(
      sources.some(source => source.includes(`'${own}'`)),
      `no test is called "${name}"`,
    )
  }
})
