/**
 * What was compiled is what the kernel lists: an agent that reads its own ruleset back must see no drift.
 *
 * RINGWALL_ROUNDTRIP_EVERY=n  takes each nth ruleset only
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { commit } from '../../agent/reconcile/commit.ts'
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { type CompileOptions, compile } from '../../rules-compiler/nft/compile.ts'
import { diff, replaceAll } from '../../rules-compiler/nft/diff.ts'
import { printRuleset } from '../../rules-compiler/nft/print.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import type { Ruleset } from '../../rules-compiler/nft/ruleset.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from '../support/arbitrary-ir.ts'
import { loadCases } from '../support/cases.ts'
import { makeEni, makeIr, makeRule } from '../support/ir.ts'
import { createKernelTable, type KernelTable } from '../support/kernel-table.ts'
import { needsKernel } from '../support/requirements.ts'
import { asActual, showCommands } from '../support/transactions.ts'

/** IPv6 addresses that programs print in more than one way: RFC 5952 and inet_ntop(3) do not agree on all of them. */
const twoSpellings = ['::102:304', '::1:0']
const oddAddresses = ['::5', '::', '1:0:2:3:4:5:6:7', '1:2::5:0:0:8', '64:ff9b::c000:201', 'ff02::1']

const oddRules = [
  ...['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '255.255.255.255/32', '::/0', '8000::/1', '::/127'].map((peer, index) =>
    makeRule({ id: `cidr-${index}`, peer, protocol: (['tcp', 'udp', 'all', 'gre'] as const)[index % 4]! }),
  ),
  makeRule({
    id: 'x'.repeat(64),
    protocol: 'tcp',
    ports: { first: 1, last: 65_535 },
    peer: '10.0.0.0/8',
    sourcePorts: 1,
  }),
  makeRule({ id: 'icmp', protocol: 'icmp', peer: 'sg-1' }),
  makeRule({ id: 'icmpv6', protocol: 'icmpv6', peer: 'sg-1' }),
  makeRule({ id: 'gre', protocol: 'gre', peer: 'sg-1' }),
  makeRule({ id: 'local', peer: 'sg-1', local: '::5' }),
  ...[1, 3, 5, 7, 9].map(port => makeRule({ id: `port-${port}`, protocol: 'udp', ports: port, peer: 'sg-1' })),
  makeRule({ id: 'range', protocol: 'tcp', ports: { first: 10, last: 20 }, peer: 'sg-1' }),
]
const members = { 'sg-1': { ip: ['0.0.0.0', '255.255.255.255'], ip6: oddAddresses } }

const manyGroupIds = Array.from({ length: 9 }, (_, index) => `sg-${index}`)

const guestOf = (addresses: readonly string[]) => makeIr(makeEni(oddRules, { placement: 'guest', addresses }), members)
const hostWith = (facts: Parameters<typeof makeEni>[1]) => makeIr(makeEni(oddRules, facts), members)

const odd: { name: string; ir: PolicyIr; options?: CompileOptions }[] = [
  { name: 'no ENI at all', ir: { ...guestOf([]), enis: [] } },
  { name: 'a guest without addresses', ir: guestOf([]) },
  { name: 'a guest with odd addresses', ir: guestOf(['0.0.0.0', '198.18.0.2', ...oddAddresses]) },
  ...twoSpellings.flatMap(address => [
    { name: `a guest with the address ${address}`, ir: guestOf([address]) },
    { name: `a guest with the address ${address} among others`, ir: guestOf([address, '2001:db8::2']) },
    { name: `a control connection to ${address}`, ir: hostWith({ controlConnections: [{ address, port: 1 }] }) },
    { name: `rescue from ${address}`, ir: hostWith({ rescue: [{ source: parseCidr(address)!, port: 22 }] }) },
    { name: `rules for ${address}`, ir: makeIr(makeEni([makeRule({ peer: `${address}/112`, local: address })])) },
    {
      name: `a group with the member ${address}`,
      ir: makeIr(makeEni([makeRule({ peer: 'sg-1' })]), { 'sg-1': { ip: [], ip6: [address] } }),
    },
    {
      name: `one of many groups with the member ${address}`,
      ir: makeIr(
        makeEni(manyGroupIds.map(peer => makeRule({ id: peer, peer }))),
        Object.fromEntries(manyGroupIds.map(groupId => [groupId, { ip: [], ip6: [address] }])),
      ),
    },
  ]),
  {
    name: 'control connections to odd addresses',
    ir: hostWith({ controlConnections: oddAddresses.map(address => ({ address, port: 65_535 })) }),
  },
  {
    name: 'rescue from blocks of every kind',
    ir: hostWith({
      rescue: ['0.0.0.0/0', '128.0.0.0/1', '198.18.0.2/32', '::/0', '8000::/1', '::1/128'].map(text => ({
        source: parseCidr(text)!,
        port: 65_535,
      })),
    }),
  },
  {
    name: 'all protocols of an address, and ICMP by a stronger rule',
    ir: makeIr(
      makeEni([
        makeRule({ id: 'ping', protocol: 'icmp', peer: '203.0.113.9' }),
        makeRule({ id: 'all', priority: 2, peer: '203.0.113.9' }),
      ]),
    ),
  },
  { name: 'a device that is called like a keyword', ir: hostWith({ device: 'drop' }) },
  { name: 'a device that is called like a number', ir: hostWith({ device: '12' }) },
  { name: 'a device with every character there may be', ir: hostWith({ device: '!#$%&+,-.;<=>?@' }) },
  { name: 'the longest device name', ir: hostWith({ device: 'abcdefghijklmno' }) },
  { name: 'devices by index, there and gone', ir: hostWith({}), options: { deviceIndexes: new Map([['eni-1', 1]]) } },
  { name: 'a device that is gone', ir: hostWith({}), options: { deviceIndexes: new Map([['eni-1', 77_777]]) } },
  ...['.x', '_x', 'drop', 'host', 'x'.repeat(64)].map(id => ({
    name: `the ENI "${id}"`,
    ir: hostWith({ id }),
  })),
  ...['.x', '_x', 'tcp', 'x'.repeat(64)].map(groupId => ({
    name: `the group "${groupId}"`,
    ir: makeIr(makeEni([makeRule({ peer: groupId, protocol: 'tcp', ports: 22 })], { innerGroupIds: [groupId] }), {
      [groupId]: { ip: ['198.18.0.2'], ip6: [] },
    }),
  })),
  ...[0xffffff00, 0xffffffff, 0x0000ffff, 0x000000ff, 0x00ffff00, 0xff000000, 0x7fffffe0, 0x0ff00000].flatMap(
    ctMarkMask => {
      const highest = 2 ** (ctMarkMask.toString(2).replaceAll('0', '').length / 2) - 1
      return [1, highest - 1].map(lowest => ({
        name: `the mask ${ctMarkMask.toString(16)} with stamps from ${lowest}`,
        ir: { ...hostWith({}), ctMarkMask },
        options: {
          stamps: new Map([
            ['eni-1/ingress', lowest],
            ['eni-1/egress', lowest + 1],
          ]),
        },
      }))
    },
  ),
]

const inputs: readonly { readonly name: string; readonly ir: PolicyIr; readonly options?: CompileOptions }[] = [
  ...loadCases().map(({ name, ir }) => ({ name: `case ${name}`, ir })),
  ...odd,
  ...fc.sample(arbitraryIr, { numRuns: 25, seed: 1 }).map((ir, index) => ({ name: `random policy ${index}`, ir })),
]

const every = Number(process.env.RINGWALL_ROUNDTRIP_EVERY ?? 1)

const nothing = { prepare: [], change: [], complete: true }

/** The agent would change nothing, and what it read is whole: with it as the desired state, neither. */
function assertSame(actual: ActualRuleset | null, compiled: Ruleset): void {
  assert.ok(actual !== null)
  const { prepare, change, complete } = diff(actual, compiled)
  assert.deepEqual({ prepare: showCommands(prepare), change: showCommands(change), complete }, nothing)
  const back = diff(asActual(compiled), actual)
  assert.deepEqual(
    { prepare: showCommands(back.prepare), change: showCommands(back.change) },
    { prepare: [], change: [] },
  )
}

describe('round trip', { skip: needsKernel }, () => {
  let table: KernelTable
  before(async () => {
    table = await createKernelTable('roundtrip')
  })
  after(() => table[Symbol.asyncDispose]())

  for (const { name, ir, options } of inputs.filter((_, index) => index % every === 0)) {
    describe(name, () => {
      const compiled = compile(ir, options)

      test('as text, twice', async () => {
        await table.loadText(printRuleset(compiled))
        await table.loadText(printRuleset(compiled))
        const actual = await table.read()
        assertSame(actual, compiled)
        assert.deepEqual(actual?.ctTimeouts, compiled.ctTimeouts)
      })

      test('as JSON, over what is there', async () => {
        await table.loadJson(replaceAll(compiled))
        const actual = await table.read()
        // nft 1.0.6 loses the policy of a timeout object that is given as JSON.
        assertSame(actual && { ...actual, ctTimeouts: compiled.ctTimeouts }, compiled)
      })

      test('as the agent does it, and as nft lists it then', async () => {
        await table.remove()
        await commit(table.nft, diff(null, compiled), false)
        const actual = await table.read()
        assertSame(actual, compiled)
        assert.deepEqual(actual?.ctTimeouts, compiled.ctTimeouts)
        const { stdout } = await table.namespace.run('nft', ['list', 'table', 'inet', 'ringwall'])
        await table.loadText(`delete table inet ringwall\n${stdout}`)
        assertSame(await table.read(), compiled)
      })
    })
  }
})
