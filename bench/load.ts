/** What nft takes to bring a ruleset, or a change of one, into the kernel. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace, type Namespace } from '../lab/netns.ts'
import type { NftCommand } from '../rules-compiler/nft/commands.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { diff, replaceAll, type Transactions } from '../rules-compiler/nft/diff.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import type { Ruleset } from '../rules-compiler/nft/ruleset.ts'
import { makeIr, memberAddresses, mixedRules, mixedRulesAnd, type WireRule } from './policies.ts'
import { median, medianRatio } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'

const groupSizes = [100, 10_000, 50_000]

export async function measureLoad(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 3 : 15
  await using host = await createNamespace('load')
  await using peer = await createNamespace('load-peer')
  await connect({ namespace: host, device: 'eth0' }, { namespace: peer, device: 'c0' })
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  try {
    const nft = new TimedNft(host, folder)
    return [await measureFullLoad(nft, rounds), await measureChanges(nft, rounds)]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs nft on files and says how many milliseconds it took, from start to end of the process. */
class TimedNft {
  readonly #namespace: Namespace
  readonly #file: string

  constructor(namespace: Namespace, folder: string) {
    this.#namespace = namespace
    this.#file = join(folder, 'transaction')
  }

  async text(content: string): Promise<number> {
    await writeFile(this.#file, content)
    return this.#timed(['-f', this.#file])
  }

  async json(commands: readonly NftCommand[]): Promise<number> {
    if (commands.length === 0) return 0
    await writeFile(this.#file, JSON.stringify({ nftables: commands }))
    return this.#timed(['-j', '-f', this.#file])
  }

  async both({ prepare, change }: Transactions): Promise<number> {
    return (await this.json(prepare)) + (await this.json(change))
  }

  empty(): Promise<number> {
    return this.text('flush ruleset\n')
  }

  async #timed(args: readonly string[]): Promise<number> {
    const begun = performance.now()
    await this.#namespace.run('nft', args)
    return performance.now() - begun
  }
}

async function measureFullLoad(nft: TimedNft, rounds: number): Promise<Section> {
  const rows: string[][] = []
  for (const members of [0, 50_000]) {
    const ruleset = compileMixture(mixedRules(1000, 'tcp'), members)
    const ways = [
      { name: 'text, one transaction (`nft -f`)', load: () => nft.text(printRuleset(ruleset)) },
      { name: 'JSON, one transaction', load: () => nft.json(replaceAll(ruleset)) },
      { name: 'JSON, sets first and then the switch (the agent)', load: () => nft.both(diff(null, ruleset)) },
    ]
    const taken: number[][] = ways.map(() => [])
    for (let round = 0; round < rounds; round += 1) {
      for (let turn = 0; turn < ways.length; turn += 1) {
        const way = (round + turn) % ways.length
        await nft.empty()
        taken[way]!.push(await ways[way]!.load())
      }
    }
    ways.forEach(({ name }, way) => {
      const values = taken[way]!
      const size = `1,000 rules, ${members.toLocaleString('en')} members`
      rows.push([size, name, figure(median(values)), ratio(medianRatio(values, taken[0]!))])
    })
  }
  return {
    heading: 'Load: a whole ruleset into an empty kernel',
    columns: ['what', 'how', 'nft, ms', 'ratio to text'],
    rows,
    notes: ['Process start to end, with entering the namespace; see the empty call below.'],
  }
}

async function measureChanges(nft: TimedNft, rounds: number): Promise<Section> {
  const rows: string[][] = []
  await nft.empty()
  const empty = []
  for (let round = 0; round < rounds; round += 1) empty.push(await nft.empty())
  rows.push(['nothing (an empty call)', figure(median(empty)), '', ''])
  const rules = mixedRules(1000, 'tcp')
  for (const size of groupSizes) {
    const name = `one member more of ${size.toLocaleString('en')}`
    rows.push([name, ...(await measureSteps(nft, rounds, round => compileMixture(rules, size + round)))])
  }
  for (const size of [100, 50_000]) {
    const name = `one rule more of 1,000, beside ${size.toLocaleString('en')} members`
    const makeRuleset = (round: number) => compileMixture(mixedRulesAnd(round, 1000, 'tcp'), size)
    rows.push([name, ...(await measureSteps(nft, rounds, makeRuleset))])
  }
  return {
    heading: 'Load: one thing changed',
    columns: ['change', 'nft, ms (all transactions)', 'transactions', 'commands of the last'],
    rows,
    notes: [],
  }
}

/** Loads the first ruleset, then goes from each to the next. */
async function measureSteps(
  nft: TimedNft,
  rounds: number,
  makeRuleset: (round: number) => Ruleset,
): Promise<readonly string[]> {
  let standing = makeRuleset(0)
  await nft.empty()
  await nft.both(diff(null, standing))
  const taken = []
  let last: Transactions = { prepare: [], change: [], complete: true }
  for (let round = 1; round <= rounds; round += 1) {
    const next = makeRuleset(round)
    last = diff({ ...standing, foreign: [], counterHits: new Map(), ruleHits: [] }, next)
    taken.push(await nft.both(last))
    standing = next
  }
  const count = [last.prepare, last.change].filter(commands => commands.length > 0).length
  return [figure(median(taken)), String(count), listOnce([...last.prepare, ...last.change].map(summary))]
}

function listOnce(texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} ×${count}`)).join(', ')
}

function summary(command: NftCommand): string {
  const [[verb, object]] = Object.entries(command) as [[string, Record<string, Record<string, unknown>>]]
  const [[kind, body]] = Object.entries(object) as [[string, Record<string, unknown>]]
  const elements = body.elem
  return `${verb} ${kind} ${body.chain ?? body.name}${Array.isArray(elements) ? ` (${elements.length})` : ''}`
}

function compileMixture(rules: readonly WireRule[], members: number): Ruleset {
  return compile(makeIr(rules, { members: memberAddresses(members) }))
}
