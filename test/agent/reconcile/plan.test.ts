import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  afterPlan,
  makePlan,
  readCtMarkMask,
  readStamps,
  type Standing,
  stampsNeeded,
} from '../../../agent/reconcile/plan.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const web = makeRule({ id: 'web', protocol: 'tcp', ports: 443 })
const ssh = makeRule({ id: 'ssh', protocol: 'tcp', ports: 22 })
const out = makeRule({ id: 'out', direction: 'egress', verdict: 'drop', peer: '203.0.113.0/24' })
const second = makeEni([web, ssh], { id: 'eni-2', device: 'eth1' })
const policy: PolicyIr = { ...makeIr(makeEni([web, ssh])), enis: [makeEni([web, ssh]), second] }
const withFirst = (...rules: Parameters<typeof makeEni>[0]): PolicyIr => ({ ...policy, enis: [makeEni(rules), second] })

const stamps = new Map([
  ['eni-1/ingress', 11],
  ['eni-1/egress', 12],
  ['eni-2/ingress', 13],
  ['eni-2/egress', 14],
])
const allKeys = [...stamps.keys()]
const none = new Map<string, number>()

/** What stands after this policy was put in force by this process. */
const known: Standing = { actual: asActual(compile(policy, { stamps })), enforced: policy, stamps }
/** The same after a restart. */
const unknown: Standing = { ...known, enforced: null }

interface Row {
  readonly name: string
  readonly standing?: Standing
  readonly to: PolicyIr
  readonly fresh?: readonly string[]
  readonly raised?: readonly string[]
}

const rows: readonly Row[] = [
  { name: 'the same policy', to: structuredClone(policy) },
  { name: 'the same policy after a restart', standing: unknown, to: structuredClone(policy) },
  { name: 'an accept rule more', to: withFirst(web, ssh, { ...web, id: 'more', ports: { first: 80, last: 80 } }) },
  { name: 'an accept rule less', to: withFirst(web), raised: ['eni-1/ingress'] },
  { name: 'a drop rule more on the way out', to: withFirst(web, ssh, out), raised: ['eni-1/egress'] },
  {
    name: 'an accept rule more after a restart',
    standing: unknown,
    to: withFirst(web, ssh, { ...web, id: 'more' }),
    raised: allKeys,
  },
  {
    name: 'another name on a device after a restart',
    standing: unknown,
    to: { ...policy, enis: [{ ...policy.enis[0]!, device: 'eth7' }, second] },
    raised: allKeys,
  },
  { name: 'an accept rule less, drained', to: { ...withFirst(web), revocation: 'drain' } },
  {
    name: 'an accept rule less, drained, after a restart',
    standing: unknown,
    to: { ...withFirst(web), revocation: 'drain' },
  },
  { name: 'an ENI less', to: { ...policy, enis: [second] } },
  {
    name: 'no table',
    standing: { actual: null, enforced: null, stamps: none },
    to: policy,
    fresh: allKeys,
  },
  {
    name: 'an ENI more',
    standing: {
      actual: asActual(compile({ ...policy, enis: [second] })),
      enforced: { ...policy, enis: [second] },
      stamps: new Map([...stamps].slice(2)),
    },
    to: policy,
    fresh: ['eni-1/ingress', 'eni-1/egress'],
  },
  { name: 'another mark mask', to: { ...policy, ctMarkMask: 0x0000ffff }, fresh: allKeys },
  {
    name: 'another mark mask, drained',
    to: { ...policy, ctMarkMask: 0x0000ffff, revocation: 'drain' },
    fresh: allKeys,
  },
]

describe('stamps needed for', () => {
  for (const { name, standing = known, to, fresh = [], raised = [] } of rows) {
    test(name, () => assert.deepEqual(stampsNeeded(standing, to, none), { fresh, raised }))
  }
})

describe('a plan', () => {
  test('for what stands already does nothing', () => {
    const plan = makePlan(known, policy, none, stamps)
    assert.deepEqual(plan.transactions, { prepare: [], change: [], complete: true })
    assert.deepEqual(plan.raised, [])
  })

  test('names the ENIs and directions that are judged again', () => {
    const next = new Map(stamps).set('eni-2/egress', 20)
    assert.deepEqual(makePlan(known, policy, none, next).raised, ['eni-2/egress'])
  })

  test('calls nothing judged again that was never judged', () => {
    const nothing: Standing = { actual: null, enforced: null, stamps: none }
    assert.deepEqual(makePlan(nothing, policy, none, stamps).raised, [])
  })

  test('ends the stamps of an ENI that goes, so that it gets new ones when it comes again', () => {
    const without = { ...policy, enis: [second] }
    const left = afterPlan(known, makePlan(known, without, none, stamps), without)
    assert.deepEqual([...left.stamps.keys()], ['eni-2/ingress', 'eni-2/egress'])
    assert.deepEqual(stampsNeeded(left, policy, none), { fresh: ['eni-1/ingress', 'eni-1/egress'], raised: [] })
  })

  test('leaves old timeout objects, which sessions were begun under', () => {
    const shorter = { ...policy, sessionTimeoutSeconds: 300 }
    const { actual } = afterPlan(known, makePlan(known, shorter, none, stamps), shorter)
    assert.deepEqual([...actual!.ctTimeouts.values()], [910, 300])
  })

  test('once carried out leaves nothing to do', () => {
    const narrower = withFirst(web)
    const left = afterPlan(known, makePlan(known, narrower, none, stamps), narrower)
    assert.deepEqual(makePlan(left, narrower, none, left.stamps).transactions.change, [])
  })
})

describe('of a ruleset', () => {
  for (const mask of [0xffffff00, 0xffffffff, 0x0000ffff, 0x00000ff0]) {
    const ruleset = asActual(compile({ ...policy, ctMarkMask: mask }, { stamps }))
    const text = `0x${mask.toString(16)}`
    test(`the mask ${text} is read back`, () => assert.equal(readCtMarkMask(ruleset), mask))
    test(`the stamps under ${text} are read back`, () => assert.deepEqual(readStamps(ruleset, mask), stamps))
  }

  test('for guests the stamps are read from the other field', () => {
    const guest: PolicyIr = { ...policy, enis: [{ ...policy.enis[0]!, placement: 'guest' }] }
    const own = new Map([...stamps].slice(0, 2))
    assert.deepEqual(readStamps(asActual(compile(guest, { stamps: own })), guest.ctMarkMask), own)
  })

  test('without a drop chain there is no mask', () => {
    assert.equal(readCtMarkMask(asActual({ ...compile(policy), chains: new Map() })), 0)
  })
})
