import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCidr } from '../../../rules-compiler/address/cidr.ts'
import { makeIntervalSets } from '../../../rules-compiler/nft/interval-sets.ts'
import { elementText } from '../../../rules-compiler/nft/ruleset.ts'
import type { PeerIr } from '../../../rules-compiler/policy/ir.ts'
import { makeRule, type RuleSketch } from '../../support/ir.ts'

/** A quintuple rule. */
const narrow = (id: string, sketch: RuleSketch) =>
  makeRule({ id, verdict: 'accept', protocol: 'tcp', sourcePorts: 1024, ...sketch })

const shown = (...rules: Parameters<typeof makeIntervalSets>[0]) =>
  makeIntervalSets(rules).map(({ set }) => set.elements.map(element => `${element.ruleId}: ${elementText(element)}`))

test('quintuple rules that cross stand in different sets, and one that lies in another in none', () => {
  assert.deepEqual(
    shown(
      narrow('wide', { peer: '10.0.0.0/8', ports: 80 }),
      narrow('in-it', { peer: '10.1.0.0/16', ports: 80 }),
      narrow('crossing', { peer: '10.2.0.0/16', ports: { first: 70, last: 90 }, local: '198.18.0.2' }),
      narrow('beside', { peer: '192.168.0.0/16', ports: 80 }),
    ),
    [
      ['wide: 10.0.0.0/8 . 80 . 0.0.0.0/0 . 1024', 'beside: 192.168.0.0/16 . 80 . 0.0.0.0/0 . 1024'],
      ['crossing: 10.2.0.0/16 . 70-90 . 198.18.0.2 . 1024'],
    ],
  )
})

test('quintuple rules that name a long prefix list', () => {
  const cidrs = Array.from({ length: 5_000 }, (_, index) => makeCidr('ip', BigInt(index * 256), 24))
  const peer: PeerIr = { kind: 'cidrs', cidrs, prefixListId: 'pl-1' }
  const rules = Array.from({ length: 20 }, (_, index) => ({
    ...narrow(`sgr-${index}`, { ports: 1_000 + index }),
    peer,
  }))
  assert.deepEqual(
    makeIntervalSets(rules).map(({ set }) => set.elements.length),
    [100_000],
  )
})
