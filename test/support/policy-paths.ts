/** Ways to the same policy: whatever way a table came, it must be as if the last policy had been the only one. */
import type { Nft } from '../../agent/nft/nft.ts'
import { commit } from '../../agent/reconcile/commit.ts'
import { compile, numberStamps } from '../../rules-compiler/nft/compile.ts'
import { diff } from '../../rules-compiler/nft/diff.ts'
import { readRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { type Ruleset, tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import type { Stamps } from '../../rules-compiler/nft/stamps.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { judgedState, namesIn } from './transactions.ts'

/** Goes from what stands to this policy, as the agent does after a restart, and leaves what it left. */
export async function enforce(nft: Nft, ruleset: Ruleset): Promise<void> {
  // Where nothing but a new table helps, its timeout objects follow in a second turn.
  for (let turn = 0; turn < 2; turn += 1) {
    const objects = await nft.list(tableFamily, tableName)
    const transactions = diff(objects === null ? null : readRuleset(objects), ruleset)
    await commit(nft, transactions, false)
    if (transactions.complete) return
  }
}

/** Enforces one policy after the other, each with stamps of its own, the last with those of a first load. */
export async function walk(nft: Nft, policies: readonly PolicyIr[]): Promise<void> {
  for (const [index, ir] of policies.entries()) {
    const isLast = index === policies.length - 1
    await enforce(nft, isLast ? compile(ir) : compile(ir, { stamps: shifted(numberStamps(ir), index % 3) }))
  }
}

function shifted(stamps: Stamps, by: number): Stamps {
  return new Map([...stamps].map(([key, stamp]) => [key, stamp + by]))
}

/** The table in words, to be compared: names of all in it, and what packets are judged by. */
export async function tableState(
  nft: Nft,
): Promise<{ readonly names: readonly string[]; readonly judged: readonly string[] }> {
  const objects = await nft.list(tableFamily, tableName)
  const actual = readRuleset(objects ?? [])
  return { names: namesIn(actual), judged: judgedState(actual) }
}

/** The ways of a list of policies that end in its last one, by name. */
export function pathsOf(policies: readonly PolicyIr[]): Readonly<Record<string, readonly PolicyIr[]>> {
  const last = policies.at(-1)!
  const empty: PolicyIr = { ...last, enis: [], groups: new Map() }
  return {
    'the last one at once': [last],
    forwards: policies,
    'backwards and to the end': [...policies.toReversed(), last],
    'every second one': policies.filter((_, index) => (policies.length - 1 - index) % 2 === 0),
    'with empty policies between': policies.flatMap(ir => [empty, ir]),
  }
}
