/** Each case's ruleset in nft text, as it was last looked at: UPDATE_GOLDEN=1 writes it anew, for a reader to compare. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { printRuleset } from '../../../rules-compiler/nft/print.ts'
import { loadCases } from '../../support/cases.ts'

for (const { name, ir, goldenFile } of loadCases()) {
  test(`ruleset of ${name}`, () => {
    const printed = printRuleset(compile(ir))
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(goldenFile, printed)
    assert.ok(
      existsSync(goldenFile),
      `no golden file for "${name}": run this test with UPDATE_GOLDEN=1 and read what it writes`,
    )
    assert.equal(printed, readFileSync(goldenFile, 'utf8'))
  })
}
