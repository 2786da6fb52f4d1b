/**
 * The difference of two rulesets as nft transactions, as small as the kernel allows.
 *
 * Up to two of them. A concatenated interval set that is new in a transaction can be looked into only after the commit
 * that already switched the rules (7-26 ms at 50,000 elements on Linux 6.18): a drop set would be open that long. So
 * `prepare` makes and fills what no rule refers to yet, and `change` switches, in one step, and takes away what is no
 * longer used. What is judged by is always one whole ruleset: interval sets never change (other content has another
 * name), and rules, maps and hash sets all follow the generation that the commit flips.
 */
import { canonicalRule } from './canonical.ts'
import {
  addChain,
  addCounter,
  addCtTimeout,
  addIntervalElements,
  addIntervalSet,
  addLimit,
  addMapElements,
  addMemberSet,
  addMembers,
  addRule,
  addTable,
  addVerdictMap,
  deleteIntervalElements,
  deleteMapElements,
  deleteMembers,
  deleteObject,
  deleteTable,
  flushChain,
  type NftCommand,
} from './commands.ts'
import type { ActualRuleset } from './read-ruleset.ts'
import { type Chain, elementText, type IntervalSet, type MemberSet, type Ruleset, type VerdictMap } from './ruleset.ts'

export interface Transactions {
  /** Adds what nothing refers to yet; harmless if the change never follows. */
  readonly prepare: readonly NftCommand[]
  /** Switches from one whole ruleset to the other. */
  readonly change: readonly NftCommand[]
  /** False where another difference must follow: the table was made anew without its timeout objects. */
  readonly complete: boolean
}

/**
 * @param actual  what stands in the kernel; null where there is no table
 * @returns empty lists where the two are the same
 */
export function diff(actual: ActualRuleset | null, desired: Ruleset): Transactions {
  if (actual === null) return fromNothing(desired)
  if (!sameTypes(actual, desired)) {
    return { prepare: [], change: replaceAll(withoutTimeouts(desired)), complete: false }
  }
  const newCounters = [...desired.counters].filter(name => !actual.counters.has(name))
  const newTimeouts = [...desired.ctTimeouts].filter(([name]) => !actual.ctTimeouts.has(name))
  const newLimits = [...desired.limits].filter(([name]) => !actual.limits.has(name))
  const memberSets = pair(actual.memberSets, desired.memberSets)
  const intervalSets = pair(actual.intervalSets, desired.intervalSets)
  const verdictMaps = pair(actual.verdictMaps, desired.verdictMaps)
  const chains = pair(actual.chains, desired.chains)
  const rebased = chains.both.filter(([old, next]) => !sameBase(old, next))
  const rewritten = chains.both.filter(([old, next]) => !sameBase(old, next) || !sameRules(old, next))
  // Before the chains, quotas and limits that their elements refer to.
  const foreign = (which: 'map' | 'set') =>
    actual.foreign.filter(({ kind }) => kind === which).map(({ kind, name }) => deleteObject(kind, name))
  return {
    prepare: [
      ...newCounters.map(addCounter),
      ...newTimeouts.map(([name, seconds]) => addCtTimeout(name, seconds)),
      ...newLimits.map(([name, perSecond]) => addLimit(name, perSecond)),
      ...memberSets.added.flatMap(addMemberSet),
      ...intervalSets.added.flatMap(addIntervalSet),
    ],
    change: [
      ...rebased.flatMap(([old, next]) => [flushChain(old.name), deleteObject('chain', old.name), addChain(next)]),
      ...chains.added.map(addChain),
      ...verdictMaps.added.flatMap(addVerdictMap),
      ...rewritten.flatMap(([, next]) => [flushChain(next.name), ...addRules(next)]),
      ...chains.added.flatMap(addRules),
      ...memberSets.both.flatMap(([old, next]) => changeMembers(old, next)),
      ...intervalSets.both.flatMap(([old, next]) => repairIntervalSet(old, next)),
      ...verdictMaps.both.flatMap(([old, next]) => changeMap(old, next)),
      ...chains.removed.map(chain => flushChain(chain.name)),
      ...verdictMaps.removed.map(map => deleteObject('map', map.name)),
      ...foreign('map'),
      ...foreign('set'),
      ...chains.removed.map(chain => deleteObject('chain', chain.name)),
      ...[...memberSets.removed, ...intervalSets.removed].map(set => deleteObject('set', set.name)),
      ...actual.foreign
        .filter(({ kind }) => kind !== 'map' && kind !== 'set')
        .map(({ kind, name }) => deleteObject(kind, name)),
      ...[...actual.counters].filter(name => !desired.counters.has(name)).map(name => deleteObject('counter', name)),
      ...[...actual.limits.keys()].filter(name => !desired.limits.has(name)).map(name => deleteObject('limit', name)),
    ],
    complete: true,
  }
}

/**
 * The whole ruleset for a kernel that has none, whatever may be there: loading it twice is loading it once. Unlike
 * `diff` it does not wait for new interval sets to become visible; for printing, and for loading before the network
 * is up.
 */
export function replaceAll(desired: Ruleset): readonly NftCommand[] {
  const { prepare, change } = fromNothing(desired)
  return [addTable, deleteTable, ...prepare, ...change]
}

function fromNothing(desired: Ruleset): Transactions {
  const chains = [...desired.chains.values()]
  return {
    prepare: [
      addTable,
      ...[...desired.counters].map(addCounter),
      ...[...desired.ctTimeouts].map(([name, seconds]) => addCtTimeout(name, seconds)),
      ...[...desired.limits].map(([name, perSecond]) => addLimit(name, perSecond)),
      ...[...desired.memberSets.values()].flatMap(addMemberSet),
      ...[...desired.intervalSets.values()].flatMap(addIntervalSet),
    ],
    change: [
      ...chains.map(addChain),
      ...[...desired.verdictMaps.values()].flatMap(addVerdictMap),
      ...chains.flatMap(addRules),
    ],
    complete: true,
  }
}

/** nft 1.0.6 cannot make a timeout object and the rest in one JSON transaction; the session timeout follows. */
function withoutTimeouts(desired: Ruleset): Ruleset {
  const chains = [...desired.chains].map(([name, chain]): [string, Chain] => [
    name,
    { ...chain, rules: chain.rules.filter(rule => !rule.statements.some(statement => 'ct timeout' in statement)) },
  ])
  return { ...desired, ctTimeouts: new Map(), chains: new Map(chains) }
}

function addRules(chain: Chain): readonly NftCommand[] {
  return chain.rules.map(rule => addRule(chain.name, rule))
}

interface Paired<T> {
  readonly added: readonly T[]
  readonly removed: readonly T[]
  readonly both: readonly (readonly [actual: T, desired: T])[]
}

function pair<T>(actual: ReadonlyMap<string, T>, desired: ReadonlyMap<string, T>): Paired<T> {
  const added: T[] = []
  const both: [T, T][] = []
  for (const [name, next] of desired) {
    const old = actual.get(name)
    if (old === undefined) added.push(next)
    else both.push([old, next])
  }
  const removed = [...actual].filter(([name]) => !desired.has(name)).map(([, old]) => old)
  return { added, removed, both }
}

/** Names of ours with other types can only come from a stranger's hand; nothing but a fresh table helps then. */
function sameTypes(actual: ActualRuleset, desired: Ruleset): boolean {
  const standing = typesByName(actual)
  for (const { name } of actual.foreign) standing.set(name, 'foreign')
  return [...typesByName(desired)].every(([name, type]) => (standing.get(name) ?? type) === type)
}

/** Sets and maps share their names with one another; chains, counters and timeouts have names of their own. */
function typesByName(ruleset: Ruleset): Map<string, string> {
  return new Map([
    ...[...ruleset.memberSets.values()].map(({ name, family }) => [name, `members ${family}`] as const),
    ...[...ruleset.intervalSets.values()].map(({ name, fields }) => [name, fields.join(' . ')] as const),
    ...[...ruleset.verdictMaps.values()].map(({ name, keyType }) => [name, `map ${keyType}`] as const),
    ...[...ruleset.ctTimeouts].map(([name, seconds]) => [name, `timeout ${seconds}`] as const),
    ...[...ruleset.limits].map(([name, perSecond]) => [name, `limit ${perSecond}`] as const),
  ])
}

function sameBase(a: Chain, b: Chain): boolean {
  return JSON.stringify(a.base) === JSON.stringify(b.base)
}

function sameRules(actual: Chain, desired: Chain): boolean {
  return (
    actual.rules.length === desired.rules.length &&
    actual.rules.every((rule, index) => canonicalRule(rule) === canonicalRule(desired.rules[index]!))
  )
}

function changeMembers(actual: MemberSet, desired: MemberSet): readonly NftCommand[] {
  return [
    ...deleteMembers(
      actual.name,
      [...actual.addresses].filter(address => !desired.addresses.has(address)),
    ),
    ...addMembers(
      actual.name,
      [...desired.addresses].filter(address => !actual.addresses.has(address)),
    ),
  ]
}

/** Only after a stranger has changed elements: deleting first, because what is missing may overlap what is too many. */
function repairIntervalSet(actual: IntervalSet, desired: IntervalSet): readonly NftCommand[] {
  const standing = new Set(actual.elements.map(elementText))
  const wanted = new Set(desired.elements.map(elementText))
  return [
    ...deleteIntervalElements(
      actual.name,
      actual.elements.filter(element => !wanted.has(elementText(element))),
    ),
    ...addIntervalElements(
      actual.name,
      desired.elements.filter(element => !standing.has(elementText(element))),
    ),
  ]
}

/** A map's value cannot be replaced in place: the element goes and comes in the same transaction. */
function changeMap(actual: VerdictMap, desired: VerdictMap): readonly NftCommand[] {
  const differsFrom =
    (other: VerdictMap) =>
    ([key, verdict]: readonly [string, unknown]) =>
      JSON.stringify(other.elements.get(key)) !== JSON.stringify(verdict)
  return [
    ...deleteMapElements(actual.name, actual.keyType, [...actual.elements].filter(differsFrom(desired))),
    ...addMapElements(actual.name, actual.keyType, [...desired.elements].filter(differsFrom(actual))),
  ]
}
