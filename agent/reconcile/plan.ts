/** What a reconcile run does; pure. loop.ts says when, and carries it out. */
import { compile } from '../../rules-compiler/nft/compile.ts'
import { diff, type Transactions } from '../../rules-compiler/nft/diff.ts'
import { acceptChain, dropChain } from '../../rules-compiler/nft/names.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import type { Ruleset, Statement } from '../../rules-compiler/nft/ruleset.ts'
import { markFields, type Stamps, stampKey } from '../../rules-compiler/nft/stamps.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { findNarrowed } from '../../rules-compiler/policy/narrowing.ts'

export interface Standing {
  /** What the kernel holds; null where there is no table. */
  readonly actual: ActualRuleset | null
  /** The policy that the kernel's ruleset was made from; null where that is not known (start, a refused change). */
  readonly enforced: PolicyIr | null
  /** Stamps that the kernel's ruleset takes for current. */
  readonly stamps: Stamps
}

export interface Plan {
  readonly ruleset: Ruleset
  readonly stamps: Stamps
  readonly transactions: Transactions
  /** ENIs and directions whose live sessions are judged again. */
  readonly raised: readonly string[]
}

/**
 * The ENIs and directions that need a new stamp: those without one, and those whose sessions must be judged again
 * because something may have been taken from them. Where it is not known what the kernel enforced, any difference
 * counts as taken away. With `revocation: drain` sessions live on until they end. Stamps of another layout of the mark
 * cannot be told from ours, so a changed mask makes all of them new.
 */
export function stampsNeeded(
  standing: Standing,
  desired: PolicyIr,
  deviceIndexes: ReadonlyMap<string, number>,
): { readonly fresh: readonly string[]; readonly raised: readonly string[] } {
  const keys = stampKeys(desired)
  if (standing.enforced !== null && standing.enforced.ctMarkMask !== desired.ctMarkMask)
    return { fresh: keys, raised: [] }
  const known = keys.filter(key => standing.stamps.has(key))
  const fresh = keys.filter(key => !standing.stamps.has(key))
  if (desired.revocation === 'drain') return { fresh, raised: [] }
  if (standing.enforced !== null) {
    const narrowed = findNarrowed(standing.enforced, desired).map(({ eniId, direction }) => stampKey(eniId, direction))
    return { fresh, raised: narrowed.filter(key => standing.stamps.has(key)) }
  }
  const unchanged = diff(standing.actual, compile(desired, { stamps: standing.stamps, deviceIndexes })).change
  return { fresh, raised: unchanged.length === 0 ? [] : known }
}

/**
 * @param stamps  current ones of the ENIs and directions in the desired policy. Those of others end here: an ENI that
 *                goes and comes again must not take sessions for accepted that its old rules let in
 */
export function makePlan(
  standing: Standing,
  desired: PolicyIr,
  deviceIndexes: ReadonlyMap<string, number>,
  stamps: Stamps,
): Plan {
  const ruleset = compile(desired, { stamps, deviceIndexes })
  const keys = new Set(stampKeys(desired))
  const kept = new Map([...stamps].filter(([key]) => keys.has(key)))
  const raised = [...standing.stamps].filter(([key, old]) => keys.has(key) && kept.get(key) !== old).map(([key]) => key)
  return { ruleset, stamps: kept, transactions: diff(standing.actual, ruleset), raised }
}

function stampKeys(ir: PolicyIr): readonly string[] {
  return ir.enis.flatMap(eni => [stampKey(eni.id, 'ingress'), stampKey(eni.id, 'egress')])
}

/** What the kernel holds once a plan has been carried out, without reading it again. */
export function afterPlan(standing: Standing, plan: Plan, desired: PolicyIr): Standing {
  const { ruleset } = plan
  // Timeout objects stay: sessions begun under them would fall back to the kernel's five days if they were deleted.
  const ctTimeouts = new Map([...(standing.actual?.ctTimeouts ?? []), ...ruleset.ctTimeouts])
  const actual: ActualRuleset = { ...ruleset, ctTimeouts, foreign: [], counterHits: new Map(), ruleHits: [] }
  return { actual, enforced: desired, stamps: plan.stamps }
}

/** The stamps a ruleset takes for current, read from its accept chains. */
export function readStamps(actual: ActualRuleset, ctMarkMask: number): Stamps {
  const fields = markFields(ctMarkMask)
  const stamps = new Map<string, number>()
  for (const [name, chain] of actual.chains) {
    const [eniId = '', direction] = name.split('/')
    if (direction !== 'ingress' && direction !== 'egress') continue
    if (name !== acceptChain(eniId, direction)) continue
    const bits = chain.rules.flatMap(rule => rule.statements.flatMap(stampBits))[0]
    if (bits !== undefined) stamps.set(stampKey(eniId, direction), fields.entered.read(bits) || fields.left.read(bits))
  }
  return stamps
}

/** The bits of the conntrack mark that a ruleset uses, read from what it clears on a drop; 0 where it clears none. */
export function readCtMarkMask(actual: ActualRuleset): number {
  const statements = actual.chains.get(dropChain)?.rules.flatMap(rule => rule.statements) ?? []
  for (const statement of statements) {
    if (!('mangle' in statement) || !('&' in statement.mangle.value)) continue
    return ~statement.mangle.value['&'][1] >>> 0
  }
  return 0
}

function stampBits(statement: Statement): readonly number[] {
  return 'mangle' in statement && '|' in statement.mangle.value ? [statement.mangle.value['|'][1]] : []
}
