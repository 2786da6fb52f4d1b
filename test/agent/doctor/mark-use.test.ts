/** Bits of the conntrack mark, from the text of rules. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMarkUse } from '../../../agent/doctor/mark-use.ts'

const all = 0xffff_ffff

for (const [rule, written, read] of [
  ['tcp dport 80 accept', 0, 0],
  ['meta mark set 0x00000001', 0, 0],
  ['ct mark set 0x00000001', all, 0],
  ['ct mark set meta mark', all, 0],
  ['ct mark set meta mark & 0x000000ff', all, 0],
  ['ct mark set ct mark & 0xffffff00 | 0x00000001', 0xff, 0],
  ['ct mark set (ct mark & 0xffffff00) | 0x00000100', 0x1ff, 0],
  ['ct mark set ct mark | 0x00000010', 0x10, 0],
  ['ct mark set ct mark & 0xffffff00 | meta mark', all, 0],
  ['ct mark 0x00000001 accept', 0, all],
  ['ct mark & 0x000000ff == 0x00000001 accept', 0, 0xff],
  ['ct mark & 0x000000ff != 0x00000000 meta mark set ct mark & 0x0000f000', 0, 0xf0ff],
  ['ct mark 0x00100000/12 accept', 0, 0xfff0_0000],
  ['ct mark != 0x01000000/8 drop', 0, 0xff00_0000],
  ['meta mark set ct mark', 0, all],
  ['counter ct mark set mark', all, 0],
  ['counter ct mark set ct mark xor 0x1 and 0xffffff00', 0xff, 0],
  ['ct mark and 0xff == 0x1 counter accept', 0, 0xff],
  ['accept comment "ct mark set 0x1"', 0, 0],
  ['counter packets 0 bytes 0 xt target "CONNMARK"', all, all],
] as const) {
  test(rule, () => assert.deepEqual(readMarkUse(rule), { written, read }))
}
