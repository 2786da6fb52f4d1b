/**
 * Ringwall with newer versions of nft: loads rulesets, reads back what it loaded, and packets are judged right. A part of
 * the tests that `npm run test:nft` runs whole: random policies of one seed, and each ninth ruleset of the round trip.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run } from '../../common/exec.ts'
import { otherNft } from '../support/other-nft.ts'
import { needsKernel } from '../support/requirements.ts'

/** A whole file of tests, each of which has its own limit. */
const timeoutMs = 400_000
const runner = `${import.meta.dirname}/../run.ts`

for (const [suite, version] of [
  ['trixie', '1.1.3'],
  ['forky', '1.1.7'],
] as const) {
  const { path, skip } = otherNft(suite)
  // Forky is a release to come: its nft changes.
  const optional = suite === 'forky' && skip !== false ? `${skip} (only npm run test:nft fetches it)` : skip
  for (const file of ['kernel/differential', 'kernel/roundtrip']) {
    test(`nft ${version} of Debian ${suite}: ${file}`, {
      skip: needsKernel || optional,
      timeout: timeoutMs + 10_000,
    }, async () => {
      // With NODE_TEST_CONTEXT the tests would report to this runner instead of printing.
      const settings = [`PATH=${path}`, 'RINGWALL_DIFF_ROUNDS=1', 'RINGWALL_ROUNDTRIP_EVERY=9']
      const command = ['env', '--unset=NODE_TEST_CONTEXT', ...settings, process.execPath, runner, file]
      const { stdout, exitCode } = await run(command, { timeoutMs })
      assert.equal(exitCode, 0, stdout)
      assert.match(stdout, /^[1-9]\d* passed, 0 failed$/m)
    })
  }
}
