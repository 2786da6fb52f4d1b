/** Whatever a stranger does to the table, one more turn of the agent brings it back, and its own things are gone. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { compile } from '../../rules-compiler/nft/compile.ts'
import { diff } from '../../rules-compiler/nft/diff.ts'
import { makeEni, makeIr, makeRule } from '../support/ir.ts'
import { createKernelTable, type KernelTable } from '../support/kernel-table.ts'
import { enforce, tableState } from '../support/policy-paths.ts'
import { needsKernel } from '../support/requirements.ts'

const rules = [
  makeRule({ id: 'web', protocol: 'tcp', ports: 443 }),
  makeRule({ id: 'apps', protocol: 'udp', ports: 53, peer: 'sg-2' }),
]
const members = { 'sg-2': { ip: ['198.18.0.9'], ip6: ['2001:db8::9'] } }
const ours = compile(makeIr(makeEni(rules), members))
const later = compile(
  makeIr(makeEni([...rules, makeRule({ id: 'more', peer: 'sg-3' })]), { ...members, 'sg-3': members['sg-2'] }),
)
const [set = ''] = [...ours.intervalSets.keys()].filter(name => name.startsWith('tcp/ip/'))

/** nft text, run in one transaction while our table stands. */
const deeds: { name: string; text: string }[] = [
  { name: 'the table goes', text: 'delete table inet ringwall' },
  { name: 'the table is flushed', text: 'flush table inet ringwall' },
  { name: 'a chain is flushed', text: 'flush chain inet ringwall _host/drop' },
  { name: 'a rule stands first', text: 'insert rule inet ringwall _host/prerouting accept' },
  { name: 'a rule stands last', text: 'add rule inet ringwall eni-1/ingress counter accept comment "mine"' },
  { name: 'a base chain drops', text: 'add chain inet ringwall _host/prerouting { policy drop; }' },
  {
    name: 'a base chain of its own',
    text: 'add chain inet ringwall x { type filter hook input priority 0; policy drop; }',
  },
  { name: 'a member too many', text: 'add element inet ringwall sg-2/ip { 203.0.113.66 }' },
  { name: 'a member too few', text: 'delete element inet ringwall sg-2/ip6 { 2001:db8::9 }' },
  { name: 'a set is emptied', text: `flush set inet ringwall ${set}` },
  { name: 'a block too many', text: `add element inet ringwall ${set} { 10.0.0.0/8 . 22 }` },
  { name: 'a range of addresses too many', text: `add element inet ringwall ${set} { 10.0.0.1-10.0.0.5 . 80 }` },
  { name: 'a range across blocks', text: `add element inet ringwall ${set} { 9.255.255.255-10.0.0.0 . 80-90 }` },
  { name: 'a device goes elsewhere', text: 'delete element inet ringwall _host/prerouting/name { "eth0" }' },
  { name: 'a device too many', text: 'add element inet ringwall _host/prerouting/name { "eth7" : accept }' },
  { name: 'an index too many', text: 'add element inet ringwall _host/prerouting/index { 77 : drop }' },
  {
    name: 'objects of every kind',
    text: `add counter inet ringwall c
      add quota inet ringwall q { 5 mbytes }
      add limit inet ringwall l { rate 5/second }
      add ct timeout inet ringwall session/5 { protocol tcp; l3proto ip; policy = { established: 5 }; }
      add ct helper inet ringwall h { type "ftp" protocol tcp; }`,
  },
  {
    name: 'sets and maps of every kind, used by its own chain',
    text: `add set inet ringwall s { type inet_service; flags interval; }
      add set inet ringwall d { type ipv4_addr; size 10; flags dynamic,timeout; timeout 1m; }
      add map inet ringwall m { type inet_service : mark; }
      add chain inet ringwall x
      add rule inet ringwall x tcp dport @s meta mark set tcp dport map @m
      add rule inet ringwall x update @d { ip saddr limit rate over 10/second } drop`,
  },
  {
    name: 'a verdict map of its own that leads to its own chain',
    text: `add chain inet ringwall x
      add map inet ringwall m { type inet_service : verdict; }
      add element inet ringwall m { 22 : jump x }
      add rule inet ringwall eni-1/ingress meta l4proto tcp th dport vmap @m`,
  },
  {
    name: 'a map of its own quotas',
    text: `add quota inet ringwall q { 5 mbytes }
      add map inet ringwall m { type ipv4_addr : quota; }
      add element inet ringwall m { 198.18.0.9 : "q" }`,
  },
  {
    name: 'chains that lead to one another',
    text: `add chain inet ringwall x
      add chain inet ringwall y
      add rule inet ringwall y jump _host/drop
      add rule inet ringwall x jump y`,
  },
  {
    name: 'names that come later, as another kind',
    text: 'add map inet ringwall sg-3/ip { type ipv4_addr : verdict; }',
  },
  {
    name: 'names that come later, as another type',
    text: 'add set inet ringwall sg-3/ip { type inet_service; flags interval; }',
  },
  {
    name: 'a chain name that comes later, as a base chain',
    text: 'add chain inet ringwall eni-1/ingress/1/sg-3 { type filter hook input priority 0; }',
  },
]

describe('strangers', { skip: needsKernel }, () => {
  let table: KernelTable
  before(async () => {
    table = await createKernelTable('strangers')
  })
  after(() => table[Symbol.asyncDispose]())

  for (const { name, text } of deeds) {
    test(name, async () => {
      await table.remove()
      await enforce(table.nft, later)
      const laterState = await tableState(table.nft)
      await table.remove()
      await enforce(table.nft, ours)
      const state = await tableState(table.nft)
      await table.loadText(text)
      const found = await table.read()
      const { prepare, change } = diff(found, ours)
      // A timeout object alone is no difference: sessions may have begun under it.
      assert.ok(prepare.length + change.length > 0, 'the difference is seen')

      await enforce(table.nft, ours)
      assert.deepEqual(await tableState(table.nft), state)
      assert.deepEqual((await table.read())?.foreign, [])

      await table.loadText(text)
      await enforce(table.nft, later)
      assert.deepEqual(await tableState(table.nft), laterState, 'on the way to another policy')
    })
  }
})
