/**
 * What both implementations of `Nft` do: the fake in memory, and the host's nft in a namespace of its own.
 *
 * Differences left open, and why:
 * - handles: the kernel also uses up those of refused transactions; only their being unlike one another is tested;
 * - listings: nft names protocols and services, sorts elements of hash sets by hash and writes `a-a` as `a`; the rows
 *   use values that both write alike, and compare elements sorted;
 * - messages: the fake gives the kind and the kernel's words, not nft's whole text.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NftError, type NftErrorKind } from '../../../agent/nft/errors.ts'
import type { Nft, NftCommand, NftObject } from '../../../agent/nft/nft.ts'

export interface NftUnderTest extends AsyncDisposable {
  readonly nft: Nft
}

const table = 'shared'
const here = { family: 'inet', table } as const

const addTable: NftCommand = { add: { table: { family: 'inet', name: table } } }
const deleteTable: NftCommand = { delete: { table: { family: 'inet', name: table } } }
const chain = (name: string, verb = 'add'): NftCommand => ({ [verb]: { chain: { ...here, name } } })
const rule = (inChain: string, ...expr: readonly unknown[]): NftCommand => ({
  add: { rule: { ...here, chain: inChain, expr } },
})
const set = (name: string, type: unknown, more: object = {}, verb = 'add'): NftCommand => ({
  [verb]: { set: { ...here, name, type, ...more } },
})
const map = (name: string, type: string, to: string): NftCommand => ({
  add: { map: { ...here, name, type, map: to } },
})
const elements = (verb: string, name: string, ...elem: readonly unknown[]): NftCommand => ({
  [verb]: { element: { ...here, name, elem } },
})
const sourceIn = (name: string) => ({
  match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: `@${name}` },
})
const jump = (target: string) => ({ jump: { target } })
const block = (addr: string, len: number) => ({ prefix: { addr, len } })
const range = (first: number, last: number) => ({ range: [first, last] })
const concat = (...parts: readonly unknown[]) => ({ concat: parts })
const accept = { accept: null }
const drop = { drop: null }
const ports: readonly ['ipv4_addr', 'inet_service'] = ['ipv4_addr', 'inet_service']
const interval = { flags: ['interval'] }

interface Row {
  readonly name: string
  /** Applied one after the other; all but the last must be accepted. */
  readonly transactions: readonly (readonly NftCommand[])[]
  /** How the last one ends with nft 1.0.6, and with the fake. */
  readonly expected: 'accepted' | NftErrorKind
  /** How it may end with other versions too. */
  readonly otherwise?: 'accepted' | NftErrorKind
}

const rows: readonly Row[] = [
  { name: 'a table twice', transactions: [[addTable], [addTable]], expected: 'accepted' },
  { name: 'a missing table deleted', transactions: [[deleteTable]], expected: 'not-found' },
  { name: 'a missing table added and deleted in one', transactions: [[addTable, deleteTable]], expected: 'accepted' },
  { name: 'a chain in a missing table', transactions: [[chain('c')]], expected: 'not-found' },
  { name: 'a rule in a missing chain', transactions: [[addTable], [rule('c', accept)]], expected: 'not-found' },
  { name: 'a missing chain flushed', transactions: [[addTable], [chain('c', 'flush')]], expected: 'not-found' },
  {
    name: 'a rule that jumps to a missing chain',
    transactions: [[addTable, chain('c')], [rule('c', jump('d'))]],
    expected: 'not-found',
  },
  {
    name: 'a jump to a chain made before it in the same transaction',
    transactions: [[addTable, chain('d'), chain('c'), rule('c', jump('d'))]],
    expected: 'accepted',
  },
  {
    name: 'a jump to a chain made after it in the same transaction',
    transactions: [[addTable, chain('c'), rule('c', jump('d')), chain('d')]],
    expected: 'not-found',
  },
  {
    name: 'a rule that looks into a missing set',
    transactions: [[addTable, chain('c')], [rule('c', sourceIn('s'), accept)]],
    expected: 'not-found',
  },
  {
    name: 'a rule that counts in a missing counter',
    transactions: [[addTable, chain('c')], [rule('c', { counter: 'k' }, accept)]],
    expected: 'not-found',
  },
  {
    name: 'a chain that a rule jumps to deleted',
    transactions: [[addTable, chain('d'), chain('c'), rule('c', jump('d'))], [chain('d', 'delete')]],
    expected: 'busy',
  },
  {
    name: 'a chain with rules deleted, which go with it',
    transactions: [[addTable, chain('c'), rule('c', accept)], [chain('c', 'delete')]],
    expected: 'accepted',
  },
  {
    name: 'a chain that a map value jumps to deleted',
    transactions: [
      [addTable, chain('d'), map('m', 'ifname', 'verdict'), elements('add', 'm', ['eth0', jump('d')])],
      [chain('d', 'delete')],
    ],
    expected: 'busy',
  },
  {
    name: 'a map value that jumps to a missing chain',
    transactions: [[addTable, map('m', 'ifname', 'verdict')], [elements('add', 'm', ['eth0', jump('d')])]],
    expected: 'not-found',
  },
  {
    name: 'a set in use deleted',
    transactions: [
      [addTable, chain('c'), set('s', 'ipv4_addr'), rule('c', sourceIn('s'), accept)],
      [set('s', 'ipv4_addr', {}, 'delete')],
    ],
    expected: 'busy',
  },
  {
    name: 'a set in use deleted after its rule in the same transaction',
    transactions: [
      [addTable, chain('c'), set('s', 'ipv4_addr'), rule('c', sourceIn('s'), accept)],
      [chain('c', 'flush'), set('s', 'ipv4_addr', {}, 'delete')],
    ],
    expected: 'accepted',
  },
  {
    name: 'a set in use deleted before its rule in the same transaction',
    transactions: [
      [addTable, chain('c'), set('s', 'ipv4_addr'), rule('c', sourceIn('s'), accept)],
      [set('s', 'ipv4_addr', {}, 'delete'), chain('c', 'flush')],
    ],
    expected: 'busy',
  },
  {
    name: 'a counter in use deleted',
    transactions: [
      [addTable, chain('c'), { add: { counter: { ...here, name: 'k' } } }, rule('c', { counter: 'k' }, accept)],
      [{ delete: { counter: { ...here, name: 'k' } } }],
    ],
    expected: 'busy',
  },
  {
    name: 'a set of another type under the same name',
    transactions: [[addTable, set('s', 'ipv4_addr')], [set('s', 'ipv6_addr')]],
    expected: 'exists',
  },
  {
    name: 'the same element twice',
    transactions: [
      [addTable, set('s', 'ipv4_addr'), elements('add', 's', '198.18.0.1')],
      [elements('add', 's', '198.18.0.1')],
    ],
    expected: 'accepted',
  },
  {
    name: 'a missing element deleted',
    transactions: [[addTable, set('s', 'ipv4_addr')], [elements('delete', 's', '198.18.0.1')]],
    expected: 'not-found',
  },
  {
    name: 'a missing element added and deleted in one',
    transactions: [
      [addTable, set('s', 'ipv4_addr')],
      [elements('add', 's', '198.18.0.1'), elements('delete', 's', '198.18.0.1')],
    ],
    expected: 'accepted',
  },
  {
    name: 'an element of a missing set',
    transactions: [[addTable], [elements('add', 's', '198.18.0.1')]],
    expected: 'not-found',
  },
  {
    name: 'the same map key with the same value',
    transactions: [
      [addTable, map('m', 'ifname', 'verdict'), elements('add', 'm', ['eth0', drop])],
      [elements('add', 'm', ['eth0', drop])],
    ],
    expected: 'accepted',
  },
  {
    name: 'the same map key with another value',
    transactions: [
      [addTable, map('m', 'ifname', 'verdict'), elements('add', 'm', ['eth0', drop])],
      [elements('add', 'm', ['eth0', accept])],
    ],
    expected: 'exists',
  },
  {
    name: 'a map value replaced by deleting and adding in one',
    transactions: [
      [addTable, map('m', 'ifname', 'verdict'), elements('add', 'm', ['eth0', drop])],
      [elements('delete', 'm', ['eth0', drop]), elements('add', 'm', ['eth0', accept])],
    ],
    expected: 'accepted',
  },
  {
    name: 'an interval inside another',
    transactions: [
      [addTable, set('s', 'ipv4_addr', interval), elements('add', 's', block('198.18.0.0', 24))],
      [elements('add', 's', '198.18.0.7')],
    ],
    expected: 'exists',
  },
  {
    name: 'an interval around another',
    transactions: [
      [addTable, set('s', 'ipv4_addr', interval), elements('add', 's', block('198.18.0.0', 24))],
      [elements('add', 's', block('198.18.0.0', 16))],
    ],
    expected: 'exists',
  },
  {
    name: 'part of an interval deleted',
    transactions: [
      [addTable, set('s', 'ipv4_addr', interval), elements('add', 's', block('198.18.0.0', 24))],
      [elements('delete', 's', '198.18.0.0')],
    ],
    expected: 'not-found',
  },
  {
    name: 'concatenated: inside another',
    transactions: [
      [addTable, set('s', ports, interval), elements('add', 's', concat(block('198.18.0.0', 24), range(80, 90)))],
      [elements('add', 's', concat('198.18.0.7', 85))],
    ],
    expected: 'exists',
  },
  {
    name: 'concatenated: the end inside another',
    transactions: [
      [addTable, set('s', ports, interval), elements('add', 's', concat(block('198.18.0.0', 24), range(80, 90)))],
      [elements('add', 's', concat('198.18.0.7', range(1, 85)))],
    ],
    expected: 'exists',
  },
  {
    name: 'concatenated: crossing another with neither start nor end inside, which the kernel takes',
    transactions: [
      [addTable, set('s', ports, interval), elements('add', 's', concat(block('198.18.0.0', 24), range(80, 90)))],
      [elements('add', 's', concat('198.18.0.7', range(70, 100)))],
    ],
    expected: 'accepted',
  },
  {
    name: 'concatenated: deleting what was never added takes what holds its start',
    transactions: [
      [addTable, set('s', ports, interval), elements('add', 's', concat(block('198.18.0.0', 24), range(80, 90)))],
      [elements('delete', 's', concat('198.18.0.7', 85))],
    ],
    expected: 'accepted',
  },
  {
    name: 'concatenated: deleting what nothing holds',
    transactions: [
      [addTable, set('s', ports, interval), elements('add', 's', concat(block('198.18.0.0', 24), range(80, 90)))],
      [elements('delete', 's', concat('198.18.9.7', 85))],
    ],
    expected: 'not-found',
  },
  {
    name: 'an unknown handle deleted',
    transactions: [[addTable, chain('c')], [{ delete: { rule: { ...here, chain: 'c', handle: 999 } } }]],
    expected: 'not-found',
  },
  {
    name: 'a base chain under another priority',
    transactions: [
      [addTable, { add: { chain: { ...here, name: 'b', type: 'filter', hook: 'prerouting', prio: -150 } } }],
      [{ add: { chain: { ...here, name: 'b', type: 'filter', hook: 'prerouting', prio: -140 } } }],
    ],
    expected: 'unsupported',
    otherwise: 'exists',
  },
  {
    name: 'a jump to a base chain',
    transactions: [
      [
        addTable,
        chain('c'),
        { add: { chain: { ...here, name: 'b', type: 'filter', hook: 'prerouting', prio: -150 } } },
      ],
      [rule('c', jump('b'))],
    ],
    expected: 'unsupported',
  },
  {
    name: 'the flag dynamic, which nft 1.0.6 refuses in JSON',
    transactions: [[addTable], [set('s', 'ipv4_addr', { flags: ['dynamic'] })]],
    expected: 'unsupported',
    otherwise: 'accepted',
  },
  {
    name: 'an object nobody knows',
    transactions: [[addTable], [{ add: { frobnicator: { ...here, name: 'f' } } }]],
    expected: 'unsupported',
  },
]

export interface NftTestOptions {
  readonly skip?: string | false
  /** Of the nft that is tested; left out for the fake, which does as 1.0.6 does. */
  readonly version?: string
}

/** @param create  a new, empty nft for each test */
export function testNft(
  title: string,
  create: () => Promise<NftUnderTest>,
  { skip = false, version = '1.0.6' }: NftTestOptions = {},
): void {
  const isOther = version !== '1.0.6'
  describe(title, { skip }, () => {
    for (const { name, transactions, expected, otherwise = expected } of rows) {
      test(name, async () => {
        await using subject = await create()
        const { nft } = subject
        for (const transaction of transactions.slice(0, -1)) await nft.apply(transaction)
        const before = await nft.list('inet', table)
        const outcome = await outcomeOf(nft.apply(transactions.at(-1)!))
        if (!isOther || outcome !== otherwise) assert.equal(outcome, expected)
        if (outcome !== 'accepted')
          assert.deepEqual(await nft.list('inet', table), before, 'a refusal changed something')
      })
    }

    test('a transaction refused at its end leaves nothing of its beginning', async () => {
      await using subject = await create()
      const { nft } = subject
      await nft.apply([addTable, chain('c'), rule('c', accept)])
      const before = await nft.list('inet', table)
      const refused = [chain('new'), chain('c', 'flush'), rule('c', drop), elements('add', 'missing', '198.18.0.1')]
      assert.equal(await outcomeOf(nft.apply(refused)), 'not-found')
      assert.deepEqual(await nft.list('inet', table), before)
    })

    test('no commands are no transaction', async () => {
      await using subject = await create()
      await subject.nft.apply([])
      assert.equal(subject.nft.lastPid, 0)
    })

    test('lists a table whole, and none where there is none', async () => {
      await using subject = await create()
      const { nft } = subject
      assert.equal(await nft.list('inet', table), null)
      await nft.apply([
        addTable,
        { add: { counter: { ...here, name: 'k' } } },
        set('s', 'ipv4_addr'),
        elements('add', 's', '198.18.0.1', '198.18.0.2'),
        set('counted', ports, { flags: ['interval'], stmt: [{ counter: null }] }),
        elements('add', 'counted', { elem: { val: concat(block('198.18.0.0', 24), range(80, 90)), comment: 'sgr-1' } }),
        map('m', 'ifname', 'verdict'),
        chain('d'),
        elements('add', 'm', ['eth0', { goto: { target: 'd' } }]),
        { add: { chain: { ...here, name: 'b', type: 'filter', hook: 'prerouting', prio: -150, policy: 'accept' } } },
        { add: { rule: { ...here, chain: 'd', comment: 'sgr-2', expr: [sourceIn('s'), { counter: null }, accept] } } },
        rule('b', { vmap: { key: { meta: { key: 'iifname' } }, data: '@m' } }),
      ])
      const counted = { elem: { val: concat(block('198.18.0.0', 24), range(80, 90)), comment: 'sgr-1', ...zero } }
      // Chains come before or after sets, by the version; rules always come last.
      const listed = withoutHandles(await nft.list('inet', table))
      const kinds = ['table', 'counter', 'set', 'map', 'chain', 'rule']
      const kindOf = (object: object) => kinds.indexOf(Object.keys(object)[0]!)
      assert.ok(listed.slice(-2).every(object => 'rule' in object))
      assert.deepEqual(
        listed.toSorted((a, b) => kindOf(a) - kindOf(b)),
        [
          { table: { family: 'inet', name: table } },
          { counter: { ...here, name: 'k', packets: 0, bytes: 0 } },
          { set: { ...here, name: 's', type: 'ipv4_addr', elem: ['198.18.0.1', '198.18.0.2'] } },
          { set: { ...here, name: 'counted', type: ports, ...interval, stmt: [{ counter: null }], elem: [counted] } },
          { map: { ...here, name: 'm', type: 'ifname', map: 'verdict', elem: [['eth0', { goto: { target: 'd' } }]] } },
          { chain: { ...here, name: 'd' } },
          { chain: { ...here, name: 'b', type: 'filter', hook: 'prerouting', prio: -150, policy: 'accept' } },
          { rule: { ...here, chain: 'd', comment: 'sgr-2', expr: [sourceIn('s'), zero, accept] } },
          { rule: { ...here, chain: 'b', expr: [{ vmap: { key: { meta: { key: 'iifname' } }, data: '@m' } }] } },
        ],
      )
      const terse = (await nft.list('inet', table, { terse: true })) ?? []
      assert.deepEqual(
        terse.filter(object => JSON.stringify(object).includes('"elem"')),
        [],
      )
    })

    test('rules are added, inserted, replaced and deleted by handle', async () => {
      await using subject = await create()
      const { nft } = subject
      await nft.apply([addTable, chain('c'), rule('c', accept), rule('c', drop)])
      const [first, second] = await handlesIn(nft, 'c')
      assert.notEqual(first, second)
      await nft.apply([
        { insert: { rule: { ...here, chain: 'c', comment: 'inserted', expr: [accept] } } },
        { replace: { rule: { ...here, chain: 'c', handle: first, comment: 'replaced', expr: [drop] } } },
        { delete: { rule: { ...here, chain: 'c', handle: second } } },
      ])
      const comments = rulesOf(await nft.list('inet', table)).map(each => each.comment)
      assert.deepEqual(comments, ['inserted', 'replaced'])
    })

    test('a statement in text is a transaction', async () => {
      await using subject = await create()
      const { nft } = subject
      await nft.applyText(`add table inet ${table}`)
      await nft.applyText(
        `add ct timeout inet ${table} session/910 { protocol tcp; l3proto ip; policy = { established: 910 }; }`,
      )
      const timeouts = ((await nft.list('inet', table)) ?? []).flatMap(object => object['ct timeout'] ?? [])
      assert.deepEqual(
        timeouts.map(timeout => (timeout as { policy: unknown }).policy),
        [{ established: 910 }],
      )
      assert.equal(await outcomeOf(nft.applyText('frobnicate table')), 'syntax')
    })

    test('nft 1.0.6 loses the policy of a timeout object given as JSON, and says nothing', async () => {
      await using subject = await create()
      const timeout = { ...here, name: 'session/910', protocol: 'tcp', l3proto: 'ip', policy: { established: 910 } }
      await subject.nft.apply([addTable, { add: { 'ct timeout': timeout } }])
      const listed = JSON.stringify(await subject.nft.list('inet', table))
      assert.match(listed, isOther ? /"policy":(null|{"established":910})/ : /"policy":null/)
    })

    test('counters of a table, and the elements of a set, without anything else', async () => {
      await using subject = await create()
      const { nft } = subject
      const named = (name: string) => ({ ...here, name })
      assert.equal(await nft.listCounters('inet', table), null)
      assert.equal(await nft.listElements('inet', table, 's/1'), null)
      await nft.apply([
        addTable,
        { add: { counter: { ...named('eni-1/offered/tcp-syn'), packets: 3, bytes: 120 } } },
        { add: { counter: named('eni-1/offered/udp') } },
        { add: { set: { ...named('s/1'), type: 'ipv4_addr', stmt: [{ counter: null }] } } },
        { add: { set: { ...named('s/2'), type: 'ipv6_addr' } } },
        { add: { element: { ...named('s/1'), elem: ['192.0.2.1'] } } },
      ])
      const expected = [
        ['eni-1/offered/tcp-syn', { packets: 3, bytes: 120 }],
        ['eni-1/offered/udp', { packets: 0, bytes: 0 }],
      ]
      assert.deepEqual([...((await nft.listCounters('inet', table)) ?? [])], expected)
      assert.deepEqual([...((await nft.resetCounters('inet', table)) ?? [])], expected)
      assert.deepEqual((await nft.listCounters('inet', table))?.get('eni-1/offered/tcp-syn'), noHits)
      assert.equal(await nft.resetCounters('inet', 'other'), null)
      assert.deepEqual(await nft.listElements('inet', table, 's/1'), [{ elem: { val: '192.0.2.1', ...zero } }])
      assert.deepEqual(await nft.listElements('inet', table, 's/2'), [])
      assert.equal(await nft.listElements('inet', table, 's/3'), null)
    })

    test('base chains of all tables, and the tables that hold a chain', async () => {
      await using subject = await create()
      const { nft } = subject
      const other = { family: 'inet', table: 'other' }
      await nft.apply([
        addTable,
        chain('c'),
        { add: { table: { family: 'inet', name: 'other' } } },
        { add: { chain: { ...other, name: 'in', type: 'filter', hook: 'input', prio: 5, policy: 'drop' } } },
      ])
      assert.deepEqual(await nft.listBaseChains(), [
        { ...other, chain: 'in', type: 'filter', hook: 'input', hookPriority: 5, chainPolicy: 'drop' },
      ])
      assert.deepEqual(await nft.listTablesWithChains(), [
        { family: 'inet', name: table },
        { family: 'inet', name: 'other' },
      ])
    })

    test('knows its version, and its own pids', async () => {
      await using subject = await create()
      const { nft } = subject
      assert.match(await nft.version(), /^1\.\d+/)
      await nft.apply([addTable])
      assert.ok(nft.isOwnPid(nft.lastPid))
      assert.ok(!nft.isOwnPid(1))
    })
  })
}

const noHits = { packets: 0, bytes: 0 }
const zero = { counter: noHits }

async function outcomeOf(change: Promise<void>): Promise<string> {
  try {
    await change
    return 'accepted'
  } catch (error) {
    assert.ok(error instanceof NftError, String(error))
    return error.kind
  }
}

/** Handles differ, and hash sets list their elements in any order. */
function withoutHandles(objects: readonly NftObject[] | null): readonly object[] {
  return (objects ?? []).map(object =>
    Object.fromEntries(
      Object.entries(object).map(([kind, body]) => {
        const { handle: _, elem, ...rest } = body as Record<string, unknown>
        const sorted = Array.isArray(elem) ? { elem: elem.toSorted() } : {}
        return [kind, { ...rest, ...sorted }]
      }),
    ),
  )
}

interface ListedRule {
  readonly chain: string
  readonly handle: number
  readonly comment?: string
}

function rulesOf(objects: readonly NftObject[] | null): readonly ListedRule[] {
  return (objects ?? []).flatMap(object => (object.rule as ListedRule | undefined) ?? [])
}

async function handlesIn(nft: Nft, inChain: string): Promise<readonly number[]> {
  return rulesOf(await nft.list('inet', table))
    .filter(each => each.chain === inChain)
    .map(each => each.handle)
}
