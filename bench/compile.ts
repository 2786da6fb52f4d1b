/** What compiling costs, and what comes out: no kernel and no privilege needed. */
import { analyze } from '../rules-compiler/analyze/analyze.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { makeLayers } from '../rules-compiler/nft/layers.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { mostLookups } from './lookups.ts'
import {
  cutApart,
  groupReferences,
  makePolicy,
  memberAddresses,
  mixedRules,
  nestedBlocks,
  type PolicyParts,
  quintuples,
  readSound,
  shapes,
  type WireRule,
} from './policies.ts'
import { median } from './statistics.ts'
import { type Depth, figure, type Section } from './table.ts'

interface Case {
  readonly name: string
  readonly rules: readonly WireRule[]
  readonly parts?: PolicyParts
}

const cases: readonly Case[] = [
  { name: 'mixed rules', rules: mixedRules(1000, 'tcp') },
  { name: 'mixed rules, 50,000 members', rules: mixedRules(1000, 'tcp'), parts: { members: memberAddresses(50_000) } },
  ...Object.entries(shapes).map(([name, makeRules]) => ({ name, rules: makeRules(1000, 'tcp') })),
  { name: 'nested blocks, IPv4', rules: nestedBlocks(1000, '10.1.2.3', 33) },
  { name: 'nested blocks, IPv6', rules: nestedBlocks(1000, '2001:db8::1', 129) },
  { name: 'a group in every rule', ...groupReferences(1000) },
  { name: '500 single ports from anywhere × 500 blocks with wide ranges', rules: cutApart(1000) },
  { name: 'quintuple rules', rules: quintuples(1000) },
]

export async function measureCompile(depth: Depth): Promise<readonly Section[]> {
  const runs = depth === 'quick' ? 3 : 15
  const rows = cases.map(({ name, rules, parts }) => {
    const text = JSON.stringify(makePolicy(rules, parts))
    const policy = readSound(text)
    const ir = resolvePolicy(policy)
    const ruleset = compile(ir)
    const elements = [...ruleset.intervalSets.values()].reduce((sum, set) => sum + set.elements.length, 0)
    return [
      name,
      figure(timed(runs, () => resolvePolicy(readSound(text)))),
      figure(timedWith(runs, () => resolvePolicy(policy), compile)),
      figure(timed(runs, () => compile(ir))),
      figure(timed(runs > 3 ? 3 : 1, () => analyze(policy))),
      String(makeLayers(ir.enis[0]!.ingress.rules).length),
      String(ruleset.intervalSets.size),
      elements.toLocaleString('en'),
      (elements / rules.length).toFixed(2),
      String(mostLookups(ruleset)),
    ]
  })
  const columns = [
    '1,000 rules',
    'read, check, resolve, ms',
    'compile, ms',
    'again, rules as before, ms',
    'analyze, ms',
    'layers',
    'interval sets',
    'elements',
    'elements a rule',
    'most lookups a packet',
  ]
  const growth = [250, 500, 1000, 2000, 4000].map(count => {
    const policy = readSound(JSON.stringify(makePolicy(cutApart(count))))
    const ruleset = compile(resolvePolicy(policy))
    const elements = [...ruleset.intervalSets.values()].reduce((sum, set) => sum + set.elements.length, 0)
    const milliseconds = timedWith(runs, () => resolvePolicy(policy), compile)
    return [
      count.toLocaleString('en'),
      elements.toLocaleString('en'),
      (elements / count).toFixed(2),
      figure(milliseconds),
    ]
  })
  return [
    { heading: 'Compile', columns, rows, notes: ['Medians of a warm process, one ENI, all rules ingress.'] },
    {
      heading: 'Compile: growth of the worst mixture (single ports from anywhere × blocks with wide ranges)',
      columns: ['rules', 'elements', 'elements a rule', 'compile, ms'],
      rows: growth,
      notes: [],
    },
  ]
}

function timed(runs: number, task: () => unknown): number {
  return timedWith(runs, () => {}, task)
}

/** Median milliseconds of the task alone; the first run, which compiles code, is not counted. */
function timedWith<T>(runs: number, prepare: () => T, task: (prepared: T) => unknown): number {
  task(prepare())
  return median(
    Array.from({ length: runs }, () => {
      const prepared = prepare()
      const begun = performance.now()
      task(prepared)
      return performance.now() - begun
    }),
  )
}
