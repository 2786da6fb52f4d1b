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

test('protocols of elements by the names that /etc/protocols has for them, 0 by either of its two', () => {
  const names = ['ip', 'hopopt', 'icmp', 'gre', 'tcp', 'udp', 'ipv6-icmp', 132, { range: [2, 46] }]
  const set = {
    name: 'any/ip/1',
    type: ['ipv4_addr', 'inet_proto'],
    flags: ['interval'],
    stmt: [{ counter: null }],
    elem: names.map(name => ({ elem: { val: { concat: ['10.0.0.1', name] }, comment: 'sgr-1' } })),
  }
  const { intervalSets, foreign } = readRuleset([{ set }])
  assert.deepEqual(foreign, [])
  const one = (number: number) => ({ first: number, last: number })
  assert.deepEqual(
    intervalSets.get('any/ip/1')?.elements.map(({ key }) => key[1]),
    [one(0), one(0), one(1), one(47), one(6), one(17), one(58), one(132), { first: 2, last: 46 }],
  )
})
