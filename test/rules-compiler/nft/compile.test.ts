import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCidr } from '../../../rules-compiler/address/cidr.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PeerIr, PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { findNarrowed } from '../../../rules-compiler/policy/narrowing.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'

test('hundreds of guests in the same groups, of as many rules and blocks as groups may have', () => {
  const lists = [0, 1, 2, 3, 4].map((number): PeerIr => {
    const cidrs = Array.from({ length: 200 }, (_, index) => makeCidr('ip', BigInt((number * 200 + index) * 256), 24))
    return { kind: 'cidrs', cidrs, prefixListId: `pl-${number}` }
  })
  const makePolicy = (count: number): PolicyIr => {
    const rules = Array.from({ length: count }, (_, index) => ({
      ...makeRule({ id: `sgr-${index}`, protocol: 'tcp', ports: { first: index + 1, last: index + 200 } }),
      peer: lists[index % lists.length]!,
    }))
    const eni = makeEni(rules, { placement: 'guest' })
    const enis = Array.from({ length: 300 }, (_, index) => ({ ...eni, id: `eni-${index}`, device: `tap${index}` }))
    return { ...makeIr(eni), enis }
  }
  const [before, after] = [makePolicy(1_000), makePolicy(999)]
  const { chains, intervalSets } = compile(before)
  assert.ok(chains.has('eni-299/ingress'))
  assert.ok(intervalSets.size < 10, 'they share their sets')
  assert.equal(findNarrowed(before, after).length, 300)
})
