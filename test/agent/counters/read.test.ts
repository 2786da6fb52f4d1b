import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readTraffic } from '../../../agent/counters/read.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { ActualRuleset } from '../../../rules-compiler/nft/read-ruleset.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual } from '../../support/transactions.ts'

const web = makeRule({ id: 'sgr-web', protocol: 'tcp', ports: 443 })
const ssh = makeRule({ id: 'sgr-ssh', protocol: 'tcp', ports: 22, verdict: 'drop', priority: 2 })

describe('readings', () => {
  test('of what is decided without a rule', () => {
    const ir = makeIr(makeEni([web], { id: 'eni-1' }))
    const hits = { packets: 3, bytes: 180 }
    const counterHits = new Map([
      ['eni-1/ingress/default', hits],
      ['eni-1/egress/default', hits],
      ['eni-1/ingress/invalid', hits],
      ['eni-1/egress/exception', hits],
      ['eni-gone/ingress/default', hits],
      ['eni-1/sideways/default', hits],
      ['eni-1/ingress/toString', hits],
    ])
    const readings = readTraffic(asActual(compile(ir), { counterHits }), ir)
    assert.deepEqual(
      readings.map(({ source, eniIds, direction, verdict, reason }) => [
        source,
        eniIds.join(),
        direction,
        verdict,
        reason,
      ]),
      [
        ['counter eni-1/ingress/default', 'eni-1', 'ingress', 'drop', 'default'],
        ['counter eni-1/egress/default', 'eni-1', 'egress', 'accept', 'default'],
        ['counter eni-1/ingress/invalid', 'eni-1', 'ingress', 'drop', 'invalid'],
        ['counter eni-1/egress/exception', 'eni-1', 'egress', 'accept', 'exception'],
      ],
    )
  })

  test('of rules, with their verdicts', () => {
    const ir = makeIr(makeEni([web, ssh], { id: 'eni-1' }))
    const readings = readTraffic(withHits(ir), ir)
    assert.deepEqual(
      readings.map(({ eniIds, direction, verdict, reason, ruleId }) => [
        eniIds.join(),
        direction,
        verdict,
        reason,
        ruleId,
      ]),
      [
        ['eni-1', 'ingress', 'accept', 'rule', 'sgr-web'],
        ['eni-1', 'ingress', 'drop', 'rule', 'sgr-ssh'],
      ],
    )
  })

  test('of rules that ENIs share name them all', () => {
    const enis = ['eni-2', 'eni-1'].map(id => makeEni([web], { id, device: id }))
    const ir = { ...makeIr(enis[0]!), enis }
    const owners = readTraffic(withHits(ir), ir).map(({ eniIds, ruleId }) => [eniIds, ruleId])
    assert.deepEqual(owners, [[['eni-1', 'eni-2'], 'sgr-web']])
  })

  test('of one object each have a source of their own', () => {
    const ir = makeIr(makeEni([web, ssh], { id: 'eni-1' }))
    const actual = withHits(ir)
    const sources = readTraffic({ ...actual, ruleHits: [...actual.ruleHits, ...actual.ruleHits] }, ir).map(
      ({ source }) => source,
    )
    assert.equal(new Set(sources).size, 4)
  })

  test('of rules that are no longer in the policy are left out', () => {
    const ir = makeIr(makeEni([web, ssh], { id: 'eni-1' }))
    const readings = readTraffic(withHits(ir), makeIr(makeEni([web], { id: 'eni-1' })))
    assert.deepEqual(
      readings.map(({ ruleId }) => ruleId),
      ['sgr-web'],
    )
  })
})

/** A ruleset in which every element of an interval set has counted. */
function withHits(ir: Parameters<typeof compile>[0]): ActualRuleset {
  const ruleset = compile(ir)
  const ruleHits = [...ruleset.intervalSets.values()].flatMap(({ name, elements }) =>
    elements.map(({ ruleId }) => ({ place: name, ruleId, packets: 1, bytes: 60 })),
  )
  return asActual(ruleset, { ruleHits })
}
