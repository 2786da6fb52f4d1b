/** docs/doctor.md against the checks: every code with what it means, flags, exit codes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Outcome } from '../../agent/doctor/check.ts'
import { checks } from '../../agent/doctor/checks.ts'
import { notAsked } from '../../agent/doctor/not-asked.ts'
import { command } from '../../cli/commands/doctor.ts'
import { tableUnder } from '../support/markdown.ts'

const page = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8')

const rows = (outcomes: Readonly<Record<string, Outcome>>) =>
  Object.entries(outcomes).map(([code, { severity, means, advice }]) => [code, severity, means, advice])

for (const { name, question, outcomes } of checks) {
  test(`${name}: the page has its question and its codes`, () => {
    assert.ok(page.includes(`\n### ${name}\n\n${question}\n`))
    assert.deepEqual(tableUnder(page, `### ${name}`), rows(outcomes))
  })
}

test('what could not be asked is on the page, and no other check', () => {
  assert.deepEqual(tableUnder(page, '### What could not be asked'), rows(notAsked))
  const headings = [...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
  assert.deepEqual(headings, [...checks.map(({ name }) => name), 'What could not be asked'])
})

test('flags are those of the command', () => {
  const flags = [...command.usage.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag]) => `\`--${flag}\``)
  const listed = [...page.matchAll(/^\| (`--[a-z-]+`) \|/gm)].map(([, flag]) => flag)
  assert.deepEqual(listed, flags)
})
