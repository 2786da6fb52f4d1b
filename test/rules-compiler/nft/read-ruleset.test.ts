import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRuleset } from '../../../rules-compiler/nft/read-ruleset.ts'

test('a set of more elements than a function takes arguments, with what each has counted', () => {
  const count = 200_000
  const elem = Array.from({ length: count }, (_, index) => ({
    elem: {
      val: { concat: [`10.0.0.${index % 250}`, Math.floor(index / 250) + 1] },
      comment: 'sgr-1',
      counter: { packets: index, bytes: 0 },
    },
  }))
  const set = {
    name: 'tcp/ip/1',
    type: ['ipv4_addr', 'inet_service'],
    flags: ['interval'],
    stmt: [{ counter: null }],
    elem,
  }
  const { intervalSets, ruleHits } = readRuleset([{ set }])
  assert.equal(intervalSets.get('tcp/ip/1')?.elements.length, count)
  assert.equal(ruleHits.length, count)
  assert.deepEqual(ruleHits.at(-1), { place: 'tcp/ip/1', ruleId: 'sgr-1', packets: count - 1, bytes: 0 })
})
