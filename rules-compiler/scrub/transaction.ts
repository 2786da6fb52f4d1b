/**
 * The difference of two scrubbing tables as one nft transaction. What stays keeps its state: counters, limits and what
 * sets have learned are left alone; only chains are emptied and filled again.
 */
import type { NftCommand } from '../nft/commands.ts'
import { tableFamily } from '../nft/ruleset.ts'
import { scrubTableName } from './names.ts'
import type { ScrubChain, ScrubHook, ScrubRuleset, ScrubSet } from './ruleset.ts'
import type { Limit } from './statements.ts'

const inTable = { family: tableFamily, table: scrubTableName } as const
const table = { table: { family: tableFamily, name: scrubTableName } } as const

export const addScrubTable: NftCommand = { add: table }
export const deleteScrubTable: NftCommand = { delete: table }

/**
 * @param from  what stands in the kernel; null replaces whatever does
 * @returns no commands where the two are the same. The time that is left of a black hole runs in the kernel: only one
 *          that became longer is a difference. To make one shorter, lift it first.
 */
export function scrubTransaction(from: ScrubRuleset | null, to: ScrubRuleset): readonly NftCommand[] {
  if (from === null || !sameKinds(from, to))
    return [addScrubTable, deleteScrubTable, addScrubTable, ...change(nothing, to)]
  return change(from, to)
}

const nothing: ScrubRuleset = { counters: new Set(), limits: new Map(), sets: new Map(), chains: new Map() }

/** Sets before the rules that fill them, in the same transaction: that makes them dynamic, which nft 1.0.6 has no word for. */
function change(from: ScrubRuleset, to: ScrubRuleset): readonly NftCommand[] {
  const stays = (name: string) => {
    const old = from.chains.get(name)
    const next = to.chains.get(name)
    return old !== undefined && next !== undefined && sameHook(old, next)
  }
  const rewritten = [...to.chains].filter(([name, chain]) => !sameRules(from.chains.get(name), chain) || !stays(name))
  const emptied = [...from.chains.keys()].filter(
    name =>
      !to.chains.has(name) || (rewritten.some(([other]) => other === name) && from.chains.get(name) !== undefined),
  )
  const goneChains = [...from.chains.keys()].filter(name => !stays(name))
  const newChains = [...to.chains].filter(([name]) => !stays(name))
  const newSets = [...to.sets].filter(([name]) => !from.sets.has(name))
  const both = [...to.sets].flatMap(([name, next]) => {
    const old = from.sets.get(name)
    return old === undefined ? [] : [{ name, old, next }]
  })
  return [
    ...missing(from.counters, to.counters).map(name => object('add', 'counter', { name })),
    ...missing(from.limits.keys(), to.limits).map(name => addLimit(name, to.limits.get(name)!)),
    ...newSets.map(([name, set]) => addSet(name, set)),
    ...emptied.map(name => object('flush', 'chain', { name })),
    ...goneChains.map(name => object('delete', 'chain', { name })),
    ...newChains.map(([name, chain]) => addChain(name, chain.base)),
    ...rewritten.flatMap(([name, chain]) => chain.rules.map(expr => object('add', 'rule', { chain: name, expr }))),
    ...both.flatMap(({ name, old, next }) => changeElements(name, old, next)),
    ...missing(to.sets.keys(), new Set(from.sets.keys())).map(name => object('delete', 'set', { name })),
    ...missing(to.limits.keys(), new Set(from.limits.keys())).map(name => object('delete', 'limit', { name })),
    ...missing(to.counters, from.counters).map(name => object('delete', 'counter', { name })),
  ]
}

function object(verb: 'add' | 'delete' | 'flush', kind: string, body: object): NftCommand {
  return { [verb]: { [kind]: { ...inTable, ...body } } }
}

function missing(
  present: Iterable<string>,
  wanted: Iterable<string> | ReadonlyMap<string, unknown>,
): readonly string[] {
  const names = new Set(present)
  const list = wanted instanceof Map ? [...wanted.keys()] : [...(wanted as Iterable<string>)]
  return list.filter(name => !names.has(name))
}

function addLimit(name: string, limit: Limit): NftCommand {
  return object('add', 'limit', { name, ...limit })
}

function addSet(name: string, { key, size, timeoutSeconds, counts, elements }: ScrubSet): NftCommand {
  return object('add', 'set', {
    name,
    type: key.length === 1 ? key[0] : key,
    size,
    flags: ['timeout'],
    ...(timeoutSeconds !== null && { timeout: timeoutSeconds }),
    ...(counts && { stmt: [{ counter: null }] }),
    ...(elements.size > 0 && { elem: [...elements].map(timedElement) }),
  })
}

function addChain(name: string, base: ScrubHook | null): NftCommand {
  if (base === null) return object('add', 'chain', { name })
  const { hook, priority: prio } = base
  const device = base.hook === 'ingress' && { dev: base.device }
  return object('add', 'chain', { name, type: 'filter', hook, ...device, prio, policy: 'accept' })
}

const timedElement = ([val, timeout]: readonly [string, number]) => ({ elem: { val, timeout } })

/** An element's time cannot be changed in place before Linux 6.12: it goes and comes. */
function changeElements(name: string, old: ScrubSet, next: ScrubSet): readonly NftCommand[] {
  const gone = [...old.elements].filter(([key, time]) => (next.elements.get(key) ?? time + 1) > time)
  const come = [...next.elements].filter(([key, time]) => time > (old.elements.get(key) ?? 0))
  return [
    // One whose time is over is gone from the kernel, and deleting it would fail: it is added first.
    ...elements('add', name, gone.map(timedElement)),
    ...elements(
      'delete',
      name,
      gone.map(([key]) => key),
    ),
    ...elements('add', name, come.map(timedElement)),
  ]
}

function elements(verb: 'add' | 'delete', name: string, elem: readonly unknown[]): readonly NftCommand[] {
  return elem.length === 0 ? [] : [object(verb as 'add', 'element', { name, elem })]
}

function sameHook(a: ScrubChain, b: ScrubChain): boolean {
  return JSON.stringify(a.base) === JSON.stringify(b.base)
}

function sameRules(a: ScrubChain | undefined, b: ScrubChain): boolean {
  return a !== undefined && JSON.stringify(a.rules) === JSON.stringify(b.rules)
}

/** A name of one kind that means another: only from another version of this compiler. */
function sameKinds(from: ScrubRuleset, to: ScrubRuleset): boolean {
  const kind = ({ elements: _, ...rest }: ScrubSet) => JSON.stringify(rest)
  return (
    [...to.sets].every(([name, set]) => !from.sets.has(name) || kind(from.sets.get(name)!) === kind(set)) &&
    [...to.limits].every(
      ([name, limit]) => !from.limits.has(name) || JSON.stringify(from.limits.get(name)) === JSON.stringify(limit),
    )
  )
}
