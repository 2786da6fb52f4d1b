import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMetrics } from '../../agent/metrics.ts'
import { createPolicyKeeper, type PolicyKeeper } from '../../agent/policy-keeper.ts'
import { createReporter } from '../../agent/report.ts'
import { createLogger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'

/** A policy that drops idle sessions after this long: a number to tell one from another. */
const policyOf = (sessionTimeout: number) => `apiVersion: ringwall/v1
instances: [{ id: i-1 }]
interfaces: [{ id: eni-1, device: eth0, placement: host, addresses: [198.18.0.2], securityGroupIds: [sg-1] }]
securityGroups: [{ id: sg-1, type: basic, members: [198.18.0.2], rules: [] }]
settings: { sessionTimeout: ${sessionTimeout} }
`
const bad = 'apiVersion: ringwall/v2'
const file = (text: string) => ({ text, noticedAtMs: 0 })
const missing = { kind: 'missing', message: 'Policy file "policy.yaml" is missing' } as const

/** A keeper with what it handed on (session timeouts) and what it wrote (policy texts). */
function keeperOver(lastGood: string | null, write: (policyText: string) => Promise<void> = async () => {}) {
  const set: PolicyIr[] = []
  const written: string[] = []
  const rulesets: string[] = []
  const lines: string[] = []
  const log = createLogger('test', 'info', { write: line => lines.push(JSON.parse(line).msg) })
  const reporter = createReporter(log, createMetrics())
  const keeper: PolicyKeeper = createPolicyKeeper({
    log,
    reporter,
    rescue: [],
    stateDir: {
      readPolicyText: async () => lastGood,
      async write(policyText, rulesetText) {
        await write(policyText)
        written.push(policyText)
        rulesets.push(rulesetText)
      },
    },
    setPolicy: ir => set.push(ir),
  })
  const timeouts = () => set.map(ir => ir.sessionTimeoutSeconds)
  return { keeper, reporter, set, timeouts, written, rulesets, lines }
}

describe('a policy file that is', () => {
  const rows = [
    { name: 'good', act: (keeper: PolicyKeeper) => keeper.take(file(policyOf(100))), expected: [100] },
    { name: 'bad at start: the last good one', act: (keeper: PolicyKeeper) => keeper.take(file(bad)), expected: [900] },
    {
      name: 'missing at start: the last good one',
      act: (keeper: PolicyKeeper) => keeper.noteProblem(missing),
      expected: [900],
    },
    {
      name: 'bad later: nothing changes',
      act: (keeper: PolicyKeeper) => [policyOf(100), bad].forEach(text => void keeper.take(file(text))),
      expected: [100],
    },
    {
      name: 'bad at start and good at once: the good one',
      act: (keeper: PolicyKeeper) => [bad, policyOf(100)].forEach(text => void keeper.take(file(text))),
      expected: [100],
    },
    {
      name: 'not watched: nothing changes',
      act: (keeper: PolicyKeeper) => keeper.noteProblem({ kind: 'unwatched', message: 'Cannot watch' }),
      expected: [],
    },
  ]
  for (const { name, act, expected } of rows) {
    test(name, async () => {
      const { keeper, timeouts } = keeperOver(policyOf(900))
      act(keeper)
      await keeper.settled()
      assert.deepEqual(timeouts(), expected)
    })
  }

  for (const lastGood of [null, bad, '{{{{']) {
    test(`bad at start, where the last good one is ${JSON.stringify(lastGood)}: nothing to enforce`, async () => {
      const { keeper, timeouts, reporter } = keeperOver(lastGood)
      keeper.take(file(bad))
      await keeper.settled()
      assert.deepEqual(timeouts(), [])
      assert.equal(reporter.health().healthy, false)
    })
  }

  test('one that trips up the reader is refused like any other', async () => {
    const { keeper, reporter } = keeperOver(null)
    keeper.take({ text: Symbol('no text') as unknown as string, noticedAtMs: 0 })
    await keeper.settled()
    assert.match(reporter.health().problems.join(), /^Cannot read the policy, by a fault of Ringwall's own: /)
  })
})

describe('what is in force', () => {
  test('is kept once, with a ruleset that holds no device index and no stamp of this boot', async () => {
    const { keeper, set, written, rulesets } = keeperOver(null)
    keeper.take(file(policyOf(100)))
    for (let times = 0; times < 3; times += 1) keeper.noteInForce(set[0]!)
    await keeper.settled()
    assert.deepEqual(written, [policyOf(100)])
    assert.match(rulesets[0]!, /table inet ringwall/)
  })

  test('is kept with its own text, though a newer one has been read', async () => {
    const { keeper, set, written } = keeperOver(null)
    keeper.take(file(policyOf(100)))
    keeper.take(file(policyOf(200)))
    keeper.noteInForce(set[0]!)
    await keeper.settled()
    assert.deepEqual(written, [policyOf(100)])
  })

  test('of the last good policy is on disk already', async () => {
    const { keeper, set, written } = keeperOver(policyOf(900))
    keeper.take(file(bad))
    await keeper.settled()
    keeper.noteInForce(set[0]!)
    await keeper.settled()
    assert.deepEqual(written, [])
  })

  test('that cannot be kept is logged, and tried again the next time', async () => {
    let isFull = true
    const { keeper, set, written, lines } = keeperOver(null, async () => {
      if (isFull) throw new Error('ENOSPC: no space left on device')
    })
    keeper.take(file(policyOf(100)))
    keeper.noteInForce(set[0]!)
    await keeper.settled()
    assert.deepEqual(lines, ['cannot keep the last good state; what is in force stays'])
    isFull = false
    keeper.noteInForce(set[0]!)
    await keeper.settled()
    assert.deepEqual(written, [policyOf(100)])
  })
})
