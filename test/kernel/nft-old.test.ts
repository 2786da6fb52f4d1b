/** An nft that is too old, that of Debian 11: everything that would use it says so, and changes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNamespace } from '../../lab/netns.ts'
import { otherNft } from '../support/other-nft.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'

const old = otherNft('bullseye')

test('nft 0.9.8 is refused by apply and agent, with what it lacks', { skip: needsKernel || old.skip }, async () => {
  await using namespace = await createNamespace('old')
  const ringwall = (...args: readonly string[]) =>
    namespace.run('env', [`PATH=${old.path}`, ringwallProgram, ...args], {
      input: JSON.stringify(acceptingPorts(22)),
      allowFailure: true,
      timeoutMs: 60_000,
    })
  const lacks = /^ringwall: .*nft 0\.9\.8 or this kernel has no element counters: .*expected nft 1\.0\.2/m
  for (const args of [
    ['apply', '-'],
    ['agent', '--policy', '/dev/null', '--metrics-address', 'none'],
  ]) {
    const { exitCode, stderr } = await ringwall(...args)
    assert.equal(exitCode, 1, args.join(' '))
    assert.match(stderr, lacks)
    assert.ok(!stderr.includes('    at '), stderr)
  }
  assert.equal((await namespace.run('nft', ['list', 'ruleset'])).stdout, '')

  const { exitCode, stdout } = await ringwall('doctor', '--json')
  assert.equal(exitCode, 2)
  const codes = (JSON.parse(stdout).findings as { code: string; found: string }[]).map(({ code }) => code)
  for (const code of ['feature-missing', 'nft-old', 'scrub-feature-missing']) assert.ok(codes.includes(code), stdout)
})
