/** Which ENIs and directions get a new stamp, so that their sessions are judged again. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makePlan, stampsNeeded } from '../../../agent/reconcile/plan.ts'
import { StampPool } from '../../../agent/reconcile/stamp-pool.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const open = makeIr(makeEni([makeRule({})]))
const closed = makeIr(makeEni([]))
const empty: PolicyIr = { ...open, enis: [] }
const other = makeIr(makeEni([makeRule({})], { id: 'eni-2', device: 'eth1' }))

const cases: { name: string; policies: PolicyIr[]; expected: string[] }[] = [
  { name: 'a first load', policies: [open], expected: ['eni-1/ingress', 'eni-1/egress'] },
  { name: 'the same again', policies: [open, open], expected: [] },
  { name: 'something is taken away', policies: [open, closed], expected: ['eni-1/ingress'] },
  { name: 'something is added', policies: [closed, open], expected: [] },
  {
    name: 'an ENI comes',
    policies: [open, { ...open, enis: [...open.enis, ...other.enis] }],
    expected: ['eni-2/ingress', 'eni-2/egress'],
  },
  { name: 'an ENI goes', policies: [open, empty], expected: [] },
  {
    // What it let in before it went must not live on when it comes back with less.
    name: 'an ENI goes and comes back',
    policies: [open, empty, closed],
    expected: ['eni-1/ingress', 'eni-1/egress'],
  },
]

describe('stampsNeeded', () => {
  for (const { name, policies, expected } of cases) {
    test(`after ${name}`, async () => {
      const pool = new StampPool(open.ctMarkMask, async () => new Set())
      let stamps: ReadonlyMap<string, number> = new Map()
      let enforced: PolicyIr | null = null
      let renewed: readonly string[] = []
      for (const desired of policies) {
        const actual = enforced === null ? null : asActual(compile(enforced, { stamps }))
        const standing = { actual, enforced, stamps }
        const { fresh, raised } = stampsNeeded(standing, desired, new Map())
        renewed = [...fresh, ...raised]
        const next = await pool.renew(stamps, renewed)
        stamps = makePlan(standing, desired, new Map(), next.stamps).stamps
        enforced = desired
      }
      assert.deepEqual(renewed, expected)
    })
  }
})
