import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { countElements, describeTransactions } from '../../../agent/reconcile/describe.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { diff, type Transactions } from '../../../rules-compiler/nft/diff.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const app = makeRule({ id: 'app', protocol: 'tcp', ports: 3306, peer: 'sg-app' })
const withMembers = (...ip: string[]) => makeIr(makeEni([app]), { 'sg-app': { ip, ip6: [] } })
const change = (from: PolicyIr, to: PolicyIr): Transactions => diff(asActual(compile(from)), compile(to))

const rows: { name: string; transactions: Transactions; text: string; added: number; deleted: number }[] = [
  {
    name: 'nothing',
    transactions: change(withMembers('198.18.0.9'), withMembers('198.18.0.9')),
    text: '',
    added: 0,
    deleted: 0,
  },
  {
    name: 'a member more',
    transactions: change(withMembers('198.18.0.9'), withMembers('198.18.0.8', '198.18.0.9')),
    text: 'add element sg-app/ip (1)',
    added: 1,
    deleted: 0,
  },
  {
    name: 'two members for one',
    transactions: change(withMembers('198.18.0.9'), withMembers('198.18.0.7', '198.18.0.8')),
    text: 'delete element sg-app/ip (1), add element sg-app/ip (2)',
    added: 2,
    deleted: 1,
  },
  {
    name: 'more than is worth reading',
    transactions: {
      prepare: [],
      change: Array.from({ length: 8 }, (_, index) => ({
        delete: { chain: { family: 'inet', table: 't', name: `c${index}` } },
      })),
      complete: true,
    },
    text: 'delete chain c0, delete chain c1, delete chain c2, delete chain c3, delete chain c4, delete chain c5, and 2 more',
    added: 0,
    deleted: 0,
  },
]

describe('a transaction in words:', () => {
  for (const { name, transactions, text, added, deleted } of rows) {
    test(name, () => {
      assert.equal(describeTransactions(transactions), text)
      assert.deepEqual(countElements(transactions), { added, deleted })
    })
  }

  test('rules of one chain are counted together', () => {
    const text = describeTransactions(change(withMembers(), makeIr(makeEni([]), {})))
    assert.match(text, /flush chain eni-1\/ingress, add rule eni-1\/ingress \(\d+\)/)
  })
})
