import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Cidr, cidrsOverlap, makeCidr } from '../../../rules-compiler/address/cidr.ts'
import { makeLayers, rulesOverlap } from '../../../rules-compiler/nft/layers.ts'
import type { PeerIr, RuleIr } from '../../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from '../../support/arbitrary-ir.ts'
import { makeRule, type RuleSketch, sortRules } from '../../support/ir.ts'

const rule = (id: string, verdict: 'accept' | 'drop', priority: number, sketch: RuleSketch = {}) =>
  makeRule({ id, verdict, priority, ...sketch })
const show = (rules: readonly RuleIr[]) =>
  makeLayers(sortRules(rules)).map(layer => `${layer.verdict}: ${layer.rules.map(({ id }) => id).join(' ')}`)

const cases: { name: string; rules: RuleIr[]; expected: string[] }[] = [
  { name: 'no rules, no layers', rules: [], expected: [] },
  {
    name: 'one verdict is one layer, whatever the priorities',
    rules: [rule('a', 'accept', 1), rule('b', 'accept', 50), rule('c', 'accept', 100)],
    expected: ['accept: a b c'],
  },
  {
    name: 'a drop of the same priority goes before an accept that it meets',
    rules: [rule('a', 'accept', 1), rule('b', 'drop', 1)],
    expected: ['drop: b', 'accept: a'],
  },
  {
    name: 'rules that meet nowhere need no order, so that weak accepts stand beside strong ones',
    rules: [
      rule('a', 'accept', 1, { peer: '10.0.0.0/8' }),
      rule('b', 'drop', 2, { peer: '192.168.0.0/16' }),
      rule('c', 'accept', 3, { peer: '172.16.0.0/12' }),
    ],
    expected: ['accept: a c', 'drop: b'],
  },
  {
    name: 'each turn of verdict among rules that meet is a layer',
    rules: [
      rule('a', 'accept', 1, { peer: '10.1.1.0/24' }),
      rule('b', 'drop', 2, { peer: '10.1.0.0/16' }),
      rule('c', 'accept', 3, { peer: '10.0.0.0/8' }),
      rule('d', 'drop', 4),
    ],
    expected: ['accept: a', 'drop: b', 'accept: c', 'drop: d'],
  },
  {
    name: 'ports, protocols, own side and families keep rules apart',
    rules: [
      rule('a', 'drop', 1, { protocol: 'tcp', ports: 22 }),
      rule('b', 'accept', 2, { protocol: 'tcp', ports: 80 }),
      rule('c', 'accept', 2, { protocol: 'udp', ports: 22 }),
      rule('d', 'accept', 2, { peer: '::/0' }),
      rule('e', 'accept', 2, { protocol: 'tcp', ports: 22, sourcePorts: 1 }),
      rule('f', 'drop', 3, { protocol: 'tcp', ports: 22, sourcePorts: 1, local: '198.18.0.2' }),
    ],
    expected: ['drop: a', 'accept: b c d e', 'drop: f'],
  },
  {
    name: 'a group may hold any address, so it meets every peer',
    rules: [rule('a', 'drop', 1, { peer: '10.0.0.0/8' }), rule('b', 'accept', 2, { peer: 'sg-2' })],
    expected: ['drop: a', 'accept: b'],
  },
  {
    name: 'the verdict that needs fewer layers comes first',
    rules: [
      rule('a', 'drop', 1, { peer: '10.0.0.0/24' }),
      rule('b', 'accept', 2, { peer: '10.0.0.0/16' }),
      rule('c', 'accept', 1, { peer: '192.168.0.0/16' }),
    ],
    expected: ['drop: a', 'accept: c b'],
  },
]

describe('makeLayers', () => {
  for (const { name, rules, expected } of cases) {
    test(name, () => assert.deepEqual(show(rules), expected))
  }

  test('every rule stands in one layer of its verdict, above every weaker rule it meets of the other', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        for (const { rules } of ir.enis.flatMap(eni => [eni.ingress, eni.egress])) {
          const layers = makeLayers(rules)
          assert.deepEqual(new Set(layers.flatMap(layer => layer.rules)), new Set(rules))
          assert.ok(layers.every(layer => layer.rules.every(each => each.verdict === layer.verdict)))
          const levels = new Map(layers.flatMap((layer, level) => layer.rules.map(each => [each, level] as const)))
          rules.forEach((stronger, index) => {
            for (const weaker of rules.slice(index + 1)) {
              if (weaker.verdict === stronger.verdict || !rulesOverlap(stronger, weaker)) continue
              assert.ok(levels.get(stronger)! < levels.get(weaker)!, `${stronger.id} must stand above ${weaker.id}`)
            }
          })
        }
      }),
      { numRuns: 200 },
    )
  })

  test('no fewer layers would do: each holds a rule that meets one of the layer above', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        for (const { rules } of ir.enis.flatMap(eni => [eni.ingress, eni.egress])) {
          const layers = makeLayers(rules)
          layers.slice(1).forEach((layer, index) => {
            const above = layers[index]!.rules
            const bound = layer.rules.some(each => above.some(other => rulesOverlap(other, each)))
            assert.ok(bound || index === 0, `layer ${index + 2} could stand with layer ${index}`)
          })
        }
      }),
      { numRuns: 200 },
    )
  })

  const listOf = (cidrs: readonly Cidr[]): PeerIr => ({ kind: 'cidrs', cidrs, prefixListId: 'pl-1' })
  const withPeer = (peer: PeerIr, facts: Partial<RuleIr> = {}): RuleIr => ({
    ...rule('a', 'accept', 1),
    peer,
    ...facts,
  })

  test('prefix lists meet where a block of one meets a block of the other', () => {
    const block = fc
      .record({
        family: fc.constantFrom('ip' as const, 'ip6' as const),
        value: fc.nat(0xff),
        shorter: fc.nat(6),
      })
      .map(({ family, value, shorter }) => makeCidr(family, BigInt(value), (family === 'ip' ? 32 : 128) - shorter))
    const list = fc.array(block, { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(list, list, (a, b) => {
        const expected = a.some(one => b.some(other => cidrsOverlap(one, other)))
        assert.equal(rulesOverlap(withPeer(listOf(a)), withPeer(listOf(b))), expected)
      }),
    )
  })

  test('a thousand rules that name long prefix lists, each to be compared with every other', () => {
    const longList = (family: 'ip' | 'ip6', offset: number) =>
      listOf(Array.from({ length: 5_000 }, (_, index) => makeCidr(family, BigInt(2 * index + offset), 32)))
    const peers = [longList('ip', 0), longList('ip', 1_000_000)]
    const rules = Array.from({ length: 1_000 }, (_, index) =>
      withPeer(peers[index % 2]!, {
        id: `sgr-${index}`,
        verdict: index % 2 === 0 ? 'accept' : 'drop',
        priority: index,
      }),
    )
    assert.equal(makeLayers(rules).length, 2)
  })
})
