/** docs/scrubbing.md names what there is: types, floods, steps and phases, and pages that exist. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { floodTypes, scrubSteps, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import { ddosPhases } from '../../wire/ddos.ts'

const folder = join(import.meta.dirname, '..', '..', 'docs')
const page = readFileSync(join(folder, 'scrubbing.md'), 'utf8')

/** The names in the first column of the table with that heading. */
function firstColumn(heading: string): readonly string[] {
  const table = new RegExp(`^\\| ${heading} \\|.*\\n\\|[-|]+\\n(?<rows>(?:\\|.*\\n)+)`, 'm').exec(page)?.groups?.rows
  assert.ok(table !== undefined, `a table of ${heading}`)
  return [...table.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell = '']) => cell.match(/[\w-]+/g) ?? [])
}

const tables = [
  ['type', trafficTypes],
  ['flood', floodTypes],
  ['phase', ddosPhases],
  ['step', scrubSteps.filter(step => step !== 'black-hole')],
] as const

describe('docs/scrubbing.md', () => {
  for (const [heading, names] of tables) {
    test(`has each ${heading}, and no other`, () => {
      assert.deepEqual([...firstColumn(heading)].sort(), [...names].sort())
    })
  }

  test('has the steps in the order in which packets meet them', () => {
    assert.deepEqual(
      firstColumn('step'),
      scrubSteps.filter(step => step !== 'black-hole'),
    )
  })

  test('points to pages that exist', () => {
    const targets = [...page.matchAll(/\]\((?!https:|#)([^)#]+)/g)].map(([, target]) => target!)
    assert.ok(targets.length > 5)
    for (const target of targets) assert.ok(existsSync(join(folder, target)), target)
  })
})
