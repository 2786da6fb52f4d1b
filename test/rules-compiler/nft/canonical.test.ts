/** Rules as Ringwall writes them beside what nft 1.0.6 lists for them. The kernel's own word is in test/kernel. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canonicalRule } from '../../../rules-compiler/nft/canonical.ts'
import type { NftRule } from '../../../rules-compiler/nft/ruleset.ts'

const mark = { ct: { key: 'mark' } }
const rule = (statements: readonly unknown[], ruleId?: string) =>
  ({ statements, ...(ruleId !== undefined && { ruleId }) }) as NftRule
const match = (left: unknown, right: unknown, op = '==') => ({ match: { op, left, right } })
const port = { ct: { key: 'proto-dst', dir: 'original' } }

const same: { name: string; written: NftRule; listed: NftRule }[] = [
  {
    name: 'a comparison of the top bits is listed as a prefix',
    written: rule([match({ '&': [mark, 0xfff00000] }, 0x00100000)]),
    listed: rule([match(mark, { prefix: { addr: 0x00100000, len: 12 } })]),
  },
  {
    name: 'bits that are set are folded into the mask that clears',
    written: rule([{ mangle: { key: mark, value: { '|': [{ '&': [mark, 0x000fffff] }, 0x00100000] } } }]),
    listed: rule([{ mangle: { key: mark, value: { '|': [{ '&': [mark, 0x000fffff] }, 0x00100000] } } }]),
  },
  {
    name: 'the same where the mask keeps a bit that is set',
    written: rule([{ mangle: { key: mark, value: { '|': [{ '&': [mark, 0xffffffff] }, 0x1] } } }]),
    listed: rule([{ mangle: { key: mark, value: { '|': [{ '&': [mark, 0xfffffffe] }, 0x1] } } }]),
  },
  {
    name: 'no mask is listed where all the bits it clears are set, as for the last stamp of a field',
    written: rule([{ mangle: { key: mark, value: { '|': [{ '&': [mark, 0x000fffff] }, 0xfff00000] } } }]),
    listed: rule([{ mangle: { key: mark, value: { '|': [mark, 0xfff00000] } } }]),
  },
  {
    name: 'protocols are listed by name, and the family beside one is left out',
    written: rule([
      match({ meta: { key: 'nfproto' } }, 'ipv4'),
      match({ ct: { key: 'protocol' } }, 6),
      match(port, 22),
    ]),
    listed: rule([match({ ct: { key: 'protocol' } }, 'tcp'), match(port, 22)]),
  },
  {
    name: '/etc/protocols calls ICMPv6 ipv6-icmp',
    written: rule([match({ ct: { key: 'protocol' } }, 58)]),
    listed: rule([match({ ct: { key: 'protocol' } }, 'ipv6-icmp')]),
  },
  {
    name: 'elements of an anonymous set come back in another order',
    written: rule([match(port, { set: [80, 443] })]),
    listed: rule([match(port, { set: [443, 80] })]),
  },
  {
    name: 'a counter has counted',
    written: rule([{ counter: null }, { drop: null }], 'sgr-1'),
    listed: rule([{ counter: { packets: 7, bytes: 420 } } as never, { drop: null }], 'sgr-1'),
  },
  {
    name: 'keys of objects have no order',
    written: rule([match(port, { range: [1, 2] })]),
    listed: rule([
      { match: { right: { range: [1, 2] }, left: { ct: { dir: 'original', key: 'proto-dst' } }, op: '==' } },
    ]),
  },
]

const different: { name: string; a: NftRule; b: NftRule }[] = [
  { name: 'verdicts', a: rule([{ accept: null }]), b: rule([{ drop: null }]) },
  { name: 'rule ids', a: rule([{ drop: null }], 'sgr-1'), b: rule([{ drop: null }], 'sgr-2') },
  { name: 'counters', a: rule([{ counter: 'a' }]), b: rule([{ counter: 'b' }]) },
  { name: 'a counter and none', a: rule([{ counter: null }, { drop: null }]), b: rule([{ drop: null }]) },
  { name: 'operators', a: rule([match(port, 1)]), b: rule([match(port, 1, '!=')]) },
  {
    name: 'stamps',
    a: rule([match({ '&': [mark, 0xfff00000] }, 0x00100000)]),
    b: rule([match(mark, { prefix: { addr: 0x00200000, len: 12 } })]),
  },
  {
    name: 'the order of statements',
    a: rule([{ counter: 'a' }, match(port, 1)]),
    b: rule([match(port, 1), { counter: 'a' }]),
  },
  {
    name: 'families where no protocol is compared',
    a: rule([match({ meta: { key: 'nfproto' } }, 'ipv4'), { drop: null }]),
    b: rule([match({ meta: { key: 'nfproto' } }, 'ipv6'), { drop: null }]),
  },
]

describe('canonicalRule', () => {
  for (const { name, written, listed } of same) {
    test(`equal: ${name}`, () => assert.equal(canonicalRule(written), canonicalRule(listed)))
  }
  for (const { name, a, b } of different) {
    test(`different: ${name}`, () => assert.notEqual(canonicalRule(a), canonicalRule(b)))
  }
})
