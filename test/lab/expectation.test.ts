import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectationOf } from '../../lab/expectation.ts'
import { agentHosts, attempts, httpsRuleIds } from '../../lab/fleet.ts'
import { policyText, readLabPolicy } from '../../lab/policies.ts'
import { families } from '../../rules-compiler/address/cidr.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'

const irs = new Map(agentHosts.map(host => [host, resolvePolicy(readLabPolicy(policyText(host)))]))

test('evaluate says of every attempt of the lab what its author wrote down', () => {
  for (const attempt of attempts) {
    for (const family of families) {
      const { verdict, decidedBy } = expectationOf(attempt, family, irs)
      assert.equal(verdict, attempt.must, `${JSON.stringify(attempt)} in ${family}: ${decidedBy}`)
    }
  }
})

test('attempts are answered and dropped in both families, by every kind of reason the lab is for', () => {
  const reasons = attempts.map(attempt => expectationOf(attempt, 'ip6', irs).decidedBy)
  for (const reason of [
    'ingress default',
    'egress default',
    'inner access of sg-ops',
    'port 25 block',
    'source guard',
  ]) {
    assert.ok(reasons.includes(reason), reason)
  }
  assert.ok(reasons.some(reason => reason.startsWith('sgr-')))
})

test('the revoked rules are the only difference of the changed policy file', () => {
  const before = readLabPolicy(policyText('web')).securityGroups.flatMap(({ rules }) => rules.map(({ id }) => id))
  const changed = readLabPolicy(policyText('web', { withoutRules: httpsRuleIds }))
  const after = changed.securityGroups.flatMap(({ rules }) => rules.map(({ id }) => id))
  assert.deepEqual(before.filter(id => !after.includes(id)).sort(), [...httpsRuleIds].sort())
  assert.equal(after.length, before.length - httpsRuleIds.length)
})
