import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectationOf } from '../../lab/expectation.ts'
import { groups, httpsRuleNames, makeFleet, mostFurtherHosts } from '../../lab/fleet.ts'
import { hostPolicies } from '../../lab/policies.ts'
import { families } from '../../rules-compiler/address/cidr.ts'

const fleet = makeFleet(3)
const { attempts, enis } = fleet
const way = { enis, policies: hostPolicies(fleet) }

test('evaluate says of every attempt of the lab what its author wrote down', () => {
  for (const attempt of attempts) {
    for (const family of families) {
      const { verdict, decidedBy } = expectationOf(attempt, family, way)
      assert.equal(verdict, attempt.must, `${JSON.stringify(attempt)} in ${family}: ${decidedBy}`)
    }
  }
})

test('attempts are answered and dropped in both families, by every kind of reason the lab is for', () => {
  const reasons = attempts.map(attempt => expectationOf(attempt, 'ip6', way).decidedBy)
  for (const reason of [
    'ingress default',
    'egress default',
    'inner access of sg-ops',
    'port 25 block',
    'source guard',
  ]) {
    assert.ok(reasons.includes(reason), reason)
  }
  assert.ok(reasons.includes('web-https-v6'))
})

test('the rules that are revoked while sessions are open are rules of the lab', () => {
  const names = groups.flatMap(({ rules }) => rules.map(({ name }) => name))
  for (const name of httpsRuleNames) assert.ok(names.includes(name), name)
})

test('further hosts have subnets of their own, as many as may be asked for', () => {
  const all = makeFleet(mostFurtherHosts).links.map(({ downstream }) => downstream.addresses[0]!.ip)
  assert.equal(new Set(all).size, all.length)
  for (const address of all) assert.match(address, /^198\.1[89]\.(\d|\d\d|1\d\d|2[0-4]\d|25[0-5])\.\d+$/)
})
