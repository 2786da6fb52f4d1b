/** What a change costs: which commands it takes, and above all which it does not. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { type CompileOptions, compile, numberStamps } from '../../../rules-compiler/nft/compile.ts'
import { diff, replaceAll } from '../../../rules-compiler/nft/diff.ts'
import { type ActualRuleset, readRuleset } from '../../../rules-compiler/nft/read-ruleset.ts'
import type { IntervalSet, Ruleset } from '../../../rules-compiler/nft/ruleset.ts'
import type { EniIr, GroupMembers, PolicyIr, RuleIr } from '../../../rules-compiler/policy/ir.ts'
import { arbitraryIr } from '../../support/arbitrary-ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { asActual, showCommands } from '../../support/transactions.ts'

const web = makeRule({ id: 'web', protocol: 'tcp', ports: 443 })
const apps = makeRule({ id: 'apps', protocol: 'tcp', ports: 3306, peer: 'sg-2' })
const out = makeRule({ id: 'out', direction: 'egress', verdict: 'drop', protocol: 'tcp', ports: 23 })

const addresses = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `198.18.${index >> 8}.${index & 255}`).sort()
const groups = { 'sg-1': { ip: ['198.18.0.2'], ip6: [] }, 'sg-2': { ip: addresses(3), ip6: ['2001:db8::9'] } }

const eni = (id: string, device: string, rules: readonly RuleIr[], facts: Partial<EniIr> = {}): EniIr =>
  makeEni(rules, { id, device, innerGroupIds: ['sg-1'], ...facts })
const policy = (enis: readonly EniIr[], members: Readonly<Record<string, GroupMembers>> = groups): PolicyIr => ({
  ...makeIr(enis[0]!, members),
  enis,
})
const first = eni('eni-1', 'eth0', [web, apps, out])
const second = eni('eni-2', 'eth1', [web, apps, out])
const standing = policy([first, second])
const withSecondGroup = (ip: readonly string[], ip6: readonly string[] = ['2001:db8::9']) =>
  policy([first, second], { ...groups, 'sg-2': { ip, ip6 } })

/** Stamps do not change by themselves: the agent gives new ones, to ENIs that come and where something is taken away. */
const stamps = new Map([...numberStamps(standing), ['eni-3/ingress', 5], ['eni-3/egress', 6]])
const at = (ir: PolicyIr, options: CompileOptions = {}): Ruleset => compile(ir, { stamps, ...options })

const cases: {
  name: string
  from?: PolicyIr
  to: PolicyIr
  options?: CompileOptions
  prepare?: string[]
  change: string[]
}[] = [
  { name: 'nothing changes', to: structuredClone(standing), change: [] },
  { name: 'a member comes', to: withSecondGroup(addresses(4)), change: ['add element sg-2/ip ×1'] },
  { name: 'a member goes', to: withSecondGroup(addresses(2)), change: ['delete element sg-2/ip ×1'] },
  {
    name: 'a member changes its address',
    to: withSecondGroup(['198.18.0.0', '198.18.0.1', '198.18.9.9']),
    change: ['delete element sg-2/ip ×1', 'add element sg-2/ip ×1'],
  },
  {
    name: 'an IPv6 member goes, the last one',
    to: withSecondGroup(addresses(3), []),
    change: ['delete element sg-2/ip6 ×1'],
  },
  {
    name: 'a member comes to a group of fifty thousand',
    from: withSecondGroup(addresses(50_000)),
    to: withSecondGroup(addresses(50_001)),
    change: ['add element sg-2/ip ×1'],
  },
  {
    name: 'one goes from a group of fifty thousand, where sessions are judged again',
    from: withSecondGroup(addresses(50_000)),
    to: withSecondGroup(addresses(49_999)),
    options: { stamps: new Map([...stamps, ['eni-1/ingress', 7]]) },
    change: [
      'flush chain eni-1/prerouting',
      ...Array.from({ length: 7 }, () => 'add rule eni-1/prerouting'),
      'flush chain eni-1/postrouting',
      ...Array.from({ length: 6 }, () => 'add rule eni-1/postrouting'),
      'flush chain eni-1/ingress/accept',
      'add rule eni-1/ingress/accept',
      'add rule eni-1/ingress/accept',
      'delete element sg-2/ip ×1',
    ],
  },
  {
    name: 'the device is renamed in the policy',
    to: policy([{ ...first, device: 'lan0' }, second]),
    change: [
      'delete element _host/prerouting/name ×1',
      'add element _host/prerouting/name ×1',
      'delete element _host/postrouting/name ×1',
      'add element _host/postrouting/name ×1',
    ],
  },
  {
    name: 'a device gets an index',
    to: standing,
    options: { deviceIndexes: new Map([['eni-1', 7]]) },
    change: [
      ...['_host/prerouting', '_host/postrouting'].flatMap(chain => [
        `flush chain ${chain}`,
        ...Array.from({ length: 3 }, () => `add rule ${chain}`),
      ]),
      'add element _host/prerouting/index ×1',
      'add element _host/postrouting/index ×1',
    ],
  },
  {
    name: 'two ENIs change devices',
    to: policy([
      { ...first, device: 'eth1' },
      { ...second, device: 'eth0' },
    ]),
    change: [
      'delete element _host/prerouting/name ×2',
      'add element _host/prerouting/name ×2',
      'delete element _host/postrouting/name ×2',
      'add element _host/postrouting/name ×2',
    ],
  },
  {
    name: 'the session timeout changes: sessions begun under the old one keep its object',
    to: { ...standing, sessionTimeoutSeconds: 300 },
    prepare: ['add ct timeout session/300'],
    change: ['eni-1/ingress', 'eni-1/egress', 'eni-2/ingress', 'eni-2/egress'].flatMap(chain => [
      `flush chain ${chain}/accept`,
      `add rule ${chain}/accept`,
      `add rule ${chain}/accept`,
    ]),
  },
]

describe('diff', () => {
  for (const { name, from = standing, to, options, prepare = [], change } of cases) {
    test(name, () => {
      const transactions = diff(asActual(at(from)), at(to, options))
      assert.deepEqual(showCommands(transactions.prepare), prepare)
      assert.deepEqual(showCommands(transactions.change), change)
      assert.equal(transactions.complete, true)
    })
  }

  test('one rule more: a set is filled first, then one chain of one direction of one ENI is written anew', () => {
    const to = policy([
      eni('eni-1', 'eth0', [web, makeRule({ id: 'ssh', protocol: 'tcp', ports: 22 }), apps, out]),
      second,
    ])
    const { prepare, change } = diff(asActual(at(standing)), at(to))
    const [added = ''] = [...at(to).intervalSets.keys()].filter(name => !at(standing).intervalSets.has(name))
    assert.deepEqual(showCommands(prepare), [`add set ${added}`, `add element ${added} ×2`])
    // The old set stays: the other ENI still looks into it.
    assert.deepEqual([...new Set(showCommands(change))], ['flush chain eni-1/ingress', 'add rule eni-1/ingress'])
  })

  describe('observe mode and logs', () => {
    const observed = policy([{ ...first, isObserved: true }, second])
    const rewritten = (commands: readonly string[]) => [
      ...new Set(commands.map(line => line.replace(/^add rule/, 'write').replace(/^(flush|add) chain/, 'write'))),
    ]
    const ends = ['eni-1/ingress/drop', 'eni-1/egress/drop']
    const logs = [
      'ingress/drop/default',
      'ingress/drop/invalid',
      'egress/drop/invalid',
      'egress/drop/rule',
      'egress/drop/smtp',
    ]

    test('an ENI is observed, and enforced again: what writes its log and what is done with what is refused changes', () => {
      const trial = diff(asActual(at(standing)), at(observed))
      const limits = ['eni-1/ingress/going-on/100', 'eni-1/egress/going-on/100']
      assert.deepEqual(
        showCommands(trial.prepare),
        limits.map(name => `add limit ${name}`),
      )
      const passes = ['_host/pass/entered', '_host/pass/left']
      const chains = [...logs.map(name => `eni-1/${name}`), ...ends, ...passes]
      assert.deepEqual(rewritten(showCommands(trial.change)).sort(), chains.map(name => `write ${name}`).sort())
      const back = diff(asActual(at(observed)), at(standing))
      assert.deepEqual(showCommands(back.prepare), [])
      const gone = [...passes.map(name => `delete chain ${name}`), ...limits.map(name => `delete limit ${name}`)]
      assert.deepEqual(
        rewritten(showCommands(back.change)).sort(),
        [...chains.map(name => `write ${name}`), ...gone].sort(),
      )
    })

    test('without logs the mode is one line of each direction, and what lets through', () => {
      const silent = (ir: PolicyIr): PolicyIr => ({ ...ir, logging: { ...ir.logging, drops: false } })
      const { change } = diff(asActual(at(silent(standing))), at(silent(observed)))
      const lines = showCommands(change).filter(line => !line.includes('_host/pass'))
      assert.deepEqual(lines.sort(), ends.flatMap(name => [`add rule ${name}`, `flush chain ${name}`]).sort())
    })

    test('another rate is other limits: made first, the old ones taken away last', () => {
      const faster = (ir: PolicyIr): PolicyIr => ({ ...ir, logging: { ...ir.logging, perSecond: 500 } })
      const one = policy([first])
      const { prepare, change } = diff(asActual(at(one)), at(faster(one)))
      assert.deepEqual(
        showCommands(prepare),
        ends.map(name => `add limit ${name}/500`),
      )
      assert.deepEqual(
        showCommands(change).slice(-2),
        ends.map(name => `delete limit ${name}/100`),
      )
    })

    test('a stranger’s limit of the same name and another rate takes a new table', () => {
      const { limits } = at(standing)
      const [name = ''] = [...limits.keys()]
      const actual = asActual(at(standing), { limits: new Map([...limits, [name, 7]]) })
      assert.equal(diff(actual, at(standing)).complete, false)
    })
  })

  test('a rule of a group is one chain with the ports of that group', () => {
    const to = policy([eni('eni-1', 'eth0', [web, { ...apps, ports: { first: 3307, last: 3307 } }, out]), second])
    const { prepare, change } = diff(asActual(at(standing)), at(to))
    assert.deepEqual(showCommands(prepare), [])
    assert.deepEqual(showCommands(change), [
      'flush chain eni-1/ingress/1/sg-2',
      'add rule eni-1/ingress/1/sg-2',
      'add rule eni-1/ingress/1/sg-2',
    ])
  })

  test('an ENI that comes touches no other, nor one that goes', () => {
    const three = policy([first, second, eni('eni-3', 'eth2', [apps])])
    const coming = diff(asActual(at(standing)), at(three))
    const going = diff(asActual(at(three)), at(standing))
    const others = (commands: readonly string[]) => commands.filter(line => !line.includes('eni-3'))
    const maps = (verb: string) => [
      `${verb} element _host/prerouting/name ×1`,
      `${verb} element _host/postrouting/name ×1`,
    ]
    assert.deepEqual(others(showCommands(coming.prepare)), [])
    assert.deepEqual(others(showCommands(coming.change)), maps('add'))
    assert.deepEqual(others(showCommands(going.prepare)), [])
    assert.deepEqual(others(showCommands(going.change)), maps('delete'))
    assert.ok(showCommands(going.change).includes('delete counter eni-3/ingress/default'))
  })

  test('with many groups in a layer a member that comes is one element in the map of each layer that asks for it', () => {
    const ids = Array.from({ length: 9 }, (_, index) => `sg-m${index}`)
    const rules = ids.map((peer, index) => makeRule({ id: `r${index}`, protocol: 'tcp', ports: 100 + index, peer }))
    const members = (more: readonly string[]) =>
      Object.fromEntries(
        ids.map((id, index) => [id, { ip: [`198.18.7.${index}`, ...(index === 3 ? more : [])], ip6: [] }]),
      )
    const host = makeEni(rules)
    const options = { stamps: numberStamps(makeIr(host)) }
    const from = compile(makeIr(host, members([])), options)
    const { prepare, change } = diff(asActual(from), compile(makeIr(host, members(['198.18.7.200'])), options))
    assert.deepEqual(showCommands(prepare), [])
    assert.deepEqual(showCommands(change), ['add element eni-1/ingress/1/peers/ip ×1'])
  })

  test('from nothing: objects and sets first, then chains, maps and rules', () => {
    const { prepare, change, complete } = diff(null, at(standing))
    const kinds = (commands: readonly string[]) => [
      ...new Set(commands.map(line => line.split(' ').slice(0, 2).join(' '))),
    ]
    const objects = ['add table', 'add counter', 'add ct', 'add limit', 'add set', 'add element']
    assert.deepEqual(kinds(showCommands(prepare)), objects)
    assert.deepEqual(kinds(showCommands(change)), ['add chain', 'add map', 'add element', 'add rule'])
    assert.equal(complete, true)
  })

  test('the same policy is no change, whatever it is', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        assert.deepEqual(diff(asActual(compile(ir)), compile(ir)), { prepare: [], change: [], complete: true })
      }),
      { numRuns: 100 },
    )
  })
})

describe('diff after a stranger changed the table', () => {
  const ours = at(standing)
  const withSet = (set: IntervalSet): ActualRuleset =>
    asActual(ours, { intervalSets: new Map([...ours.intervalSets, [set.name, set]]) })
  const [setName = ''] = [...ours.intervalSets.keys()].filter(name => name.startsWith('tcp/ip/'))
  const set = ours.intervalSets.get(setName)!

  const rows: { name: string; actual: ActualRuleset; change: string[] }[] = [
    {
      name: 'a member too many and one too few',
      actual: asActual(ours, {
        memberSets: new Map([
          ...ours.memberSets,
          ['sg-1/ip', { name: 'sg-1/ip', family: 'ip', addresses: new Set(['203.0.113.66']) }],
        ]),
      }),
      change: ['delete element sg-1/ip ×1', 'add element sg-1/ip ×1'],
    },
    {
      name: 'an element too many',
      actual: withSet({
        ...set,
        elements: [...set.elements, { key: [parseCidr('10.0.0.0/8')!, { first: 1, last: 9 }], ruleId: '' }],
      }),
      change: [`delete element ${setName} ×1`],
    },
    { name: 'no elements any more', actual: withSet({ ...set, elements: [] }), change: [`add element ${setName} ×1`] },
    {
      name: 'a rule too many',
      actual: asActual(ours, {
        chains: new Map([
          ...ours.chains,
          ['_host/drop', { name: '_host/drop', rules: [{ statements: [{ accept: null }] }] }],
        ]),
      }),
      change: ['flush chain _host/drop', 'add rule _host/drop', 'add rule _host/drop'],
    },
    {
      name: 'the hook priority of a base chain',
      actual: asActual(ours, {
        chains: new Map([
          ...ours.chains,
          [
            '_host/prerouting',
            {
              ...ours.chains.get('_host/prerouting')!,
              base: { ...ours.chains.get('_host/prerouting')!.base!, priority: 0 },
            },
          ],
        ]),
      }),
      change: [
        'flush chain _host/prerouting',
        'delete chain _host/prerouting',
        'add chain _host/prerouting',
        'flush chain _host/prerouting',
        'add rule _host/prerouting',
      ],
    },
    {
      name: 'things of its own',
      actual: asActual(ours, {
        foreign: [{ kind: 'quota', name: 'q' }],
        counters: new Set([...ours.counters, 'c']),
        chains: new Map([...ours.chains, ['x', { name: 'x', rules: [] }]]),
      }),
      change: ['flush chain x', 'delete chain x', 'delete quota q', 'delete counter c'],
    },
  ]
  for (const { name, actual, change } of rows) {
    test(name, () => {
      const transactions = diff(actual, ours)
      assert.deepEqual(showCommands(transactions.prepare), [])
      assert.deepEqual(showCommands(transactions.change), change)
    })
  }

  /** Nothing but a new table helps: a name cannot be given another type. */
  const misfits: { name: string; object: Readonly<Record<string, unknown>> }[] = [
    { name: 'a set of the same name for the other family', object: { set: { name: 'sg-1/ip', type: 'ipv6_addr' } } },
    { name: 'a set of ports', object: { set: { name: 'sg-1/ip', type: 'inet_service' } } },
    { name: 'a set with timeouts', object: { set: { name: 'sg-1/ip', type: 'ipv4_addr', flags: ['timeout'] } } },
    {
      name: 'a concatenated set',
      object: { set: { name: 'sg-1/ip', type: ['ipv4_addr', 'inet_service'], flags: ['interval'] } },
    },
    { name: 'a map of verdicts', object: { map: { name: 'sg-1/ip', type: 'ipv4_addr', map: 'verdict' } } },
    { name: 'a map of marks', object: { map: { name: 'sg-1/ip', type: 'ipv4_addr', map: 'mark' } } },
    { name: 'a plain set in place of a map', object: { set: { name: '_host/prerouting/name', type: 'ipv4_addr' } } },
    {
      name: 'a map with other keys',
      object: { map: { name: '_host/prerouting/name', type: 'iface_index', map: 'verdict' } },
    },
    { name: 'a plain set in place of a concatenated one', object: { set: { name: setName, type: 'ipv4_addr' } } },
    {
      name: 'a concatenated set without ranges',
      object: { set: { name: setName, type: ['ipv4_addr', 'inet_service'] } },
    },
    {
      name: 'an element that is no CIDR block',
      object: {
        set: {
          name: setName,
          type: ['ipv4_addr', 'inet_service'],
          flags: ['interval'],
          stmt: [{ counter: null }],
          elem: [{ elem: { val: { concat: [{ range: ['10.0.0.1', '10.0.0.5'] }, 80] } } }],
        },
      },
    },
  ]
  for (const { name, object } of misfits) {
    test(`${name} leads to a whole new table`, () => {
      const read = readRuleset([object])
      const keep = <T>(map: ReadonlyMap<string, T>, theirs: ReadonlyMap<string, T>) => {
        const named = new Set(Object.values(object).map(body => (body as { name: string }).name))
        return new Map([...[...map].filter(([key]) => !named.has(key)), ...theirs])
      }
      const actual = asActual(ours, {
        memberSets: keep(ours.memberSets, read.memberSets),
        intervalSets: keep(ours.intervalSets, read.intervalSets),
        verdictMaps: keep(ours.verdictMaps, read.verdictMaps),
        foreign: read.foreign,
      })
      const { prepare, change, complete } = diff(actual, ours)
      assert.deepEqual(prepare, [])
      assert.deepEqual(showCommands(change).slice(0, 2), ['add table inet ringwall', 'delete table inet ringwall'])
      // nft 1.0.6 cannot make the timeout objects in the same JSON transaction: they follow.
      assert.equal(complete, false)
      assert.ok(!showCommands(change).includes('add ct timeout session/910'))
    })
  }

  test('a base chain of another policy or type is made anew', () => {
    for (const difference of [{ policy: 'drop' }, { type: 'route' }]) {
      const listed = { family: 'inet', table: 'ringwall', name: '_host/prerouting', hook: 'prerouting', prio: -150 }
      const read = readRuleset([{ chain: { ...listed, type: 'filter', policy: 'accept', ...difference } }])
      const rules = ours.chains.get('_host/prerouting')!.rules
      const theirs = { ...read.chains.get('_host/prerouting')!, rules }
      const { change } = diff(asActual(ours, { chains: new Map([...ours.chains, ['_host/prerouting', theirs]]) }), ours)
      assert.ok(change.length > 0, JSON.stringify(difference))
    }
  })

  test('a timeout object of our name with other seconds is seen', () => {
    const { prepare, change } = diff(asActual(ours, { ctTimeouts: new Map([['session/910', 5]]) }), ours)
    assert.ok(prepare.length + change.length > 0)
  })
})

test('replaceAll loads over whatever is there', () => {
  const commands = showCommands(replaceAll(at(standing)))
  assert.deepEqual(commands.slice(0, 3), [
    'add table inet ringwall',
    'delete table inet ringwall',
    'add table inet ringwall',
  ])
})
