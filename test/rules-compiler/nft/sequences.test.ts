/** The table depends on the last policy only: thousands of ways to it, on nftables in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createFakeNft } from '../../../agent/nft/fake.ts'
import { commit } from '../../../agent/reconcile/commit.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { diff } from '../../../rules-compiler/nft/diff.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from '../../support/arbitrary-ir.ts'
import { pathsOf, tableState, walk } from '../../support/policy-paths.ts'

/** Of one mark mask: a mask is a setting of the host, and changes with nothing else. */
const policies = fc
  .array(arbitraryIr, { minLength: 1, maxLength: 4, size: 'max' })
  .map(irs => irs.map((ir): PolicyIr => ({ ...ir, ctMarkMask: irs[0]!.ctMarkMask })))

/** A quarter of a minute of processor time, which a busy machine makes minutes. */
const timeout = 600_000

test('whatever came before, the table is that of the last policy', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(policies, async irs => {
      const straight = createFakeNft()
      await commit(straight, diff(null, compile(irs.at(-1)!)), false)
      const expected = await tableState(straight)
      for (const [name, path] of Object.entries(pathsOf(irs))) {
        const nft = createFakeNft()
        await walk(nft, path)
        assert.deepEqual(await tableState(nft), expected, name)
      }
    }),
    { numRuns: 200 },
  )
})
