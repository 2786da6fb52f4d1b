/**
 * nftables in memory: a transaction is applied to a copy, which takes the original's place when every command was
 * accepted. It refuses what the kernel and nft 1.0.6 refuse; test/agent/nft/nft.shared.ts runs on both.
 *
 * Not imitated: what nft rewrites when it lists (protocol numbers become names, `a-a` becomes `a`), handles used up by
 * refused transactions, and checks of expressions: any statement is taken for good.
 */
import type { TrafficAmount } from '../../rules-compiler/model/traffic.ts'
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import type { Generation } from '../watch/nft-monitor.ts'
import { NftError, type NftErrorKind } from './errors.ts'
import {
  type ElementRules,
  elementKey,
  elementListing,
  elementToDelete,
  type FakeElement,
  noHits,
  readElement,
  refusalToAdd,
} from './fake-elements.ts'
import type { BaseChain, Counters, Nft, NftCommand, NftFamily, NftObject } from './nft.ts'

type Json = Readonly<Record<string, unknown>>

export interface FakeNftOptions {
  /** Whether `ct timeout` objects given as JSON keep their policy; nft 1.0.6 loses it. */
  readonly keepsCtTimeoutPolicy?: boolean
  /** Called after each transaction, as `nft monitor` would tell of it. */
  readonly onGeneration?: (generation: Generation) => void
}

export interface FakeNft extends Nft {
  /** Every transaction that was accepted, oldest first. */
  readonly transactions: readonly (readonly NftCommand[])[]
  /** The next calls that change something fail with these, one each, and change nothing. */
  refuseNext(...errors: readonly NftError[]): void
  /** Changes the ruleset as somebody else would: the generation carries a pid that is not ours. */
  applyAsOther(commands: readonly NftCommand[]): Promise<void>
  /** Counts packets in a counter object, as a rule would; it must be there. */
  count(table: string, counter: string, amount: TrafficAmount): void
  /** Adds elements as the rules of a dynamic set would: without a transaction. The set must be there. */
  learn(table: string, set: string, elements: readonly unknown[]): void
}

interface FakeTable {
  readonly family: NftFamily
  readonly name: string
  readonly handle: number
  lastHandle: number
  /** Counters, `ct timeout` and the like, keyed by kind and name. */
  readonly objects: Map<string, FakeObject>
  readonly sets: Map<string, FakeSet>
  readonly chains: Map<string, FakeChain>
}

interface FakeObject {
  readonly kind: string
  readonly name: string
  readonly handle: number
  body: Json
}

interface FakeSet {
  readonly kind: 'set' | 'map'
  readonly name: string
  readonly handle: number
  readonly body: Json
  readonly elements: Map<string, FakeElement>
}

interface FakeChain {
  readonly name: string
  readonly handle: number
  base: Json | null
  rules: FakeRule[]
}

interface FakeRule {
  readonly handle: number
  readonly comment?: string
  readonly expr: readonly unknown[]
}

type Tables = Map<string, FakeTable>

const ownPid = 1000
const otherPid = 2000
const objectKinds = ['counter', 'ct timeout', 'ct helper', 'ct expectation', 'quota', 'limit', 'secmark']

export function createFakeNft({ keepsCtTimeoutPolicy = false, onGeneration }: FakeNftOptions = {}): FakeNft {
  let tables: Tables = new Map()
  let generation = 1
  let lastPid = 0
  const refusals: NftError[] = []
  const transactions: (readonly NftCommand[])[] = []

  function transact(commands: readonly NftCommand[], pid: number, keepsPolicy: boolean): void {
    const copy = structuredClone(tables)
    for (const command of commands) applyCommand(copy, command, keepsPolicy)
    tables = copy
    generation += 1
    transactions.push(structuredClone(commands))
    onGeneration?.({ generation, pid, process: 'nft' })
  }

  function change(commands: readonly NftCommand[], keepsPolicy: boolean): void {
    lastPid = ownPid
    const refusal = refusals.shift()
    if (refusal !== undefined) throw refusal
    transact(commands, ownPid, keepsPolicy)
  }

  return {
    transactions,
    refuseNext: (...errors) => void refusals.push(...errors),
    applyAsOther: async commands => transact(commands, otherPid, keepsCtTimeoutPolicy),
    count(table, counter, { packets, bytes }) {
      const object = tables.get(`inet ${table}`)!.objects.get(objectKey('counter', counter))!
      const before = readHits(object.body)
      object.body = { ...object.body, packets: before.packets + packets, bytes: before.bytes + bytes }
    },
    learn(table, name, elements) {
      const set = tables.get(`inet ${table}`)!.sets.get(name)!
      for (const element of elements.map(given => readElement(given, false, true))) {
        set.elements.set(elementKey(element), element)
      }
    },

    async apply(commands) {
      if (commands.length > 0) change(commands, keepsCtTimeoutPolicy)
    },
    async applyText(statement) {
      change([readStatement(statement)], true)
    },
    async list(family, name, { terse = false } = {}) {
      const table = tables.get(`${family} ${name}`)
      return table === undefined ? null : structuredClone(listTable(table, terse))
    },
    async listCounters(family, name) {
      const table = tables.get(`${family} ${name}`)
      return table === undefined ? null : readCounters(table)
    },
    async resetCounters(family, name) {
      const table = tables.get(`${family} ${name}`)
      if (table === undefined) return null
      const counters = readCounters(table)
      for (const object of countersOf(table)) object.body = { ...object.body, ...noHits }
      return counters
    },
    async listElements(family, name, set) {
      const elements = tables.get(`${family} ${name}`)?.sets.get(set)?.elements
      return elements === undefined ? null : structuredClone([...elements.values()].map(elementListing))
    },
    async listBaseChains() {
      return [...tables.values()].flatMap(table =>
        [...table.chains.values()].flatMap(chain => (chain.base === null ? [] : [baseChain(table, chain, chain.base)])),
      )
    },
    async listTablesWithChains() {
      return [...tables.values()].filter(table => table.chains.size > 0).map(({ family, name }) => ({ family, name }))
    },
    version: async () => '1.0.6',
    isOwnPid: pid => pid === ownPid,
    get lastPid() {
      return lastPid
    },
  }
}

function refuse(kind: NftErrorKind, message: string, command: NftCommand): never {
  throw new NftError(kind, JSON.stringify(command), `Error: Could not process rule: ${message}\n`)
}

function applyCommand(tables: Tables, command: NftCommand, keepsPolicy: boolean): void {
  const [verb = '', argument] = Object.entries(command)[0] ?? []
  const [kind = '', body] = isRecord(argument) ? (Object.entries(argument)[0] ?? []) : []
  if (verb === 'flush' && kind === 'ruleset') tables.clear()
  else if (!isRecord(body)) refuse('syntax', 'Parsing command array failed', command)
  else if (kind === 'table') applyToTable(tables, verb, body, command)
  else applyInTable(tables, verb, kind, keepsPolicy ? body : withoutTimeoutPolicy(kind, body), command)
}

function withoutTimeoutPolicy(kind: string, body: Json): Json {
  return kind === 'ct timeout' ? { ...body, policy: null } : body
}

function applyInTable(tables: Tables, verb: string, kind: string, body: Json, command: NftCommand): void {
  const table = tables.get(`${body.family} ${body.table}`)
  if (table === undefined) refuse('not-found', 'No such file or directory', command)
  if (kind === 'chain') applyToChain(table, verb, body, command)
  else if (kind === 'rule') applyToRule(table, verb, body, command)
  else if (kind === 'set' || kind === 'map') applyToSet(table, verb, kind, body, command)
  else if (kind === 'element') applyToElements(table, verb, body, command)
  else if (objectKinds.includes(kind)) applyToObject(table, verb, kind, body, command)
  else refuse('unsupported', `Unknown object passed to ${verb} command`, command)
}

function applyToTable(tables: Tables, verb: string, body: Json, command: NftCommand): void {
  const key = `${body.family} ${body.name}`
  const table = tables.get(key)
  if (verb === 'add' || verb === 'create') {
    if (table !== undefined && verb === 'create') refuse('exists', 'File exists', command)
    if (table !== undefined) return
    const family = body.family as NftFamily
    const made = { family, name: String(body.name), handle: tables.size + 1, lastHandle: 0 }
    tables.set(key, { ...made, objects: new Map(), sets: new Map(), chains: new Map() })
    return
  }
  if (table === undefined) refuse('not-found', 'No such file or directory', command)
  if (verb === 'delete') tables.delete(key)
  else if (verb === 'flush') for (const chain of table.chains.values()) chain.rules = []
  else refuse('syntax', `Unknown command "${verb}"`, command)
}

function applyToChain(table: FakeTable, verb: string, body: Json, command: NftCommand): void {
  const name = String(body.name)
  if (verb === 'add' || verb === 'create') {
    addChain(table, verb, body, command)
    return
  }
  const chain = table.chains.get(name)
  if (chain === undefined) refuse('not-found', 'No such file or directory', command)
  if (verb !== 'flush' && verb !== 'delete') refuse('syntax', `Unknown command "${verb}"`, command)
  chain.rules = []
  if (verb === 'flush') return
  // Its own rules went first; jumps from elsewhere hold it.
  if (isReferred(table, { kind: 'chain', name })) refuse('busy', 'Device or resource busy', command)
  table.chains.delete(name)
}

function addChain(table: FakeTable, verb: string, body: Json, command: NftCommand): void {
  const name = String(body.name)
  const chain = table.chains.get(name)
  const { type, hook, prio, dev, policy } = body
  const base = hook === undefined ? null : { type, hook, prio, ...(dev !== undefined && { dev }) }
  if (chain === undefined) {
    const withPolicy = base && { ...base, policy: policy ?? 'accept' }
    table.chains.set(name, { name, handle: nextHandle(table), base: withPolicy, rules: [] })
    return
  }
  if (verb === 'create') refuse('exists', 'File exists', command)
  if (base === null) return
  const { policy: oldPolicy, ...oldBase } = chain.base ?? {}
  if (JSON.stringify(oldBase) !== JSON.stringify(base)) refuse('unsupported', 'Operation not supported', command)
  chain.base = { ...base, policy: policy ?? oldPolicy }
}

function applyToRule(table: FakeTable, verb: string, body: Json, command: NftCommand): void {
  const chain = table.chains.get(String(body.chain))
  if (chain === undefined) refuse('not-found', 'No such file or directory', command)
  const { handle } = body
  const at = chain.rules.findIndex(rule => rule.handle === handle)
  if (handle !== undefined && at === -1) refuse('not-found', 'No such file or directory', command)

  if (verb === 'delete') {
    if (at === -1) refuse('syntax', 'Invalid rule: a handle is expected', command)
    chain.rules.splice(at, 1)
    return
  }
  const rule = readRule(table, body, command)
  // A handle given with add or insert is the neighbour's: the rule goes behind it or before it.
  if (verb === 'replace' && at !== -1) chain.rules.splice(at, 1, rule)
  else if (verb === 'add') chain.rules.splice(at === -1 ? chain.rules.length : at + 1, 0, rule)
  else if (verb === 'insert') chain.rules.splice(at === -1 ? 0 : at, 0, rule)
  else refuse('syntax', `Unknown command "${verb}"`, command)
}

function readRule(table: FakeTable, body: Json, command: NftCommand): FakeRule {
  const expr = body.expr
  if (!Array.isArray(expr) || expr.length === 0) refuse('syntax', 'Parsing rule failed', command)
  for (const reference of references(expr)) {
    if (!exists(table, reference)) refuse('not-found', 'No such file or directory', command)
    const isBase = reference.kind === 'chain' && table.chains.get(reference.name)?.base != null
    if (isBase) refuse('unsupported', 'Operation not supported', command)
  }
  const comment = body.comment
  return {
    handle: nextHandle(table),
    ...(typeof comment === 'string' && { comment }),
    expr: expr.map(statement => (isRecord(statement) && statement.counter === null ? { counter: noHits } : statement)),
  }
}

function applyToSet(table: FakeTable, verb: string, kind: 'set' | 'map', body: Json, command: NftCommand): void {
  const name = String(body.name)
  const set = table.sets.get(name)
  if (verb === 'add' || verb === 'create') {
    if (set !== undefined && verb === 'create') refuse('exists', 'File exists', command)
    const { elem, ...definition } = body
    if (set === undefined) {
      const flags = definition.flags
      if (Array.isArray(flags) && flags.includes('dynamic')) refuse('unsupported', 'Invalid set flag', command)
      table.sets.set(name, { kind, name, handle: nextHandle(table), body: definition, elements: new Map() })
    } else if (!sameShape(set, kind, definition)) refuse('exists', 'File exists', command)
    if (Array.isArray(elem)) addElements(table, table.sets.get(name)!, elem, 'add', command)
    return
  }
  if (set === undefined) refuse('not-found', 'No such file or directory', command)
  if (verb === 'flush') {
    set.elements.clear()
    return
  }
  if (verb !== 'delete') refuse('syntax', `Unknown command "${verb}"`, command)
  if (isReferred(table, { kind: 'set', name })) refuse('busy', 'Device or resource busy', command)
  table.sets.delete(name)
}

function sameShape(set: FakeSet, kind: 'set' | 'map', body: Json): boolean {
  const shape = (of: Json) => JSON.stringify([of.type, of.map ?? null, of.flags ?? []])
  return set.kind === kind && shape(set.body) === shape(body)
}

function applyToElements(table: FakeTable, verb: string, body: Json, command: NftCommand): void {
  const set = table.sets.get(String(body.name))
  if (set === undefined) refuse('not-found', 'No such file or directory', command)
  const { elem } = body
  if (!Array.isArray(elem)) refuse('syntax', 'Parsing element failed', command)
  if (verb === 'add' || verb === 'create') {
    addElements(table, set, elem, verb, command)
    return
  }
  if (verb !== 'delete') refuse('syntax', `Unknown command "${verb}"`, command)
  for (const given of elem) {
    const key = elementToDelete(set.elements, readElement(given, set.kind === 'map', false), elementRules(set))
    if (key === null) refuse('not-found', 'No such file or directory', command)
    set.elements.delete(key)
  }
}

function addElements(
  table: FakeTable,
  set: FakeSet,
  elem: readonly unknown[],
  verb: 'add' | 'create',
  command: NftCommand,
): void {
  const statements = set.body.stmt
  const counted =
    Array.isArray(statements) && statements.some(statement => isRecord(statement) && 'counter' in statement)
  for (const given of elem) {
    const element = readElement(given, set.kind === 'map', counted)
    if (references([element.data]).some(reference => !exists(table, reference))) {
      refuse('not-found', 'No such file or directory', command)
    }
    const refusal = refusalToAdd(set.elements, element, elementRules(set))
    if (refusal === 'same' && verb === 'add') continue
    if (refusal === 'same') refuse('exists', 'File exists', command)
    if (refusal !== null) refuse(...refusal, command)
    set.elements.set(elementKey(element), element)
  }
}

function elementRules(set: FakeSet): ElementRules {
  const flags = set.body.flags
  if (!Array.isArray(flags) || !flags.includes('interval')) return 'hash'
  return Array.isArray(set.body.type) ? 'concatenated interval' : 'interval'
}

function applyToObject(table: FakeTable, verb: string, kind: string, body: Json, command: NftCommand): void {
  const name = String(body.name)
  const key = objectKey(kind, name)
  const present = table.objects.has(key)
  if (verb === 'add' || verb === 'create') {
    if (present && verb === 'create') refuse('exists', 'File exists', command)
    // An object that exists keeps what it has: the kernel takes the command and changes nothing.
    if (!present) table.objects.set(key, { kind, name, handle: nextHandle(table), body })
    return
  }
  if (verb !== 'delete') refuse('syntax', `Unknown command "${verb}"`, command)
  if (!present) refuse('not-found', 'No such file or directory', command)
  if (isReferred(table, { kind, name })) refuse('busy', 'Device or resource busy', command)
  table.objects.delete(key)
}

interface Reference {
  /** `chain`, `set` for sets and maps, or the kind of an object. */
  readonly kind: string
  readonly name: string
}

/** What statements and map values name: targets of jumps, `@set`, and objects by name. */
function references(value: unknown): Reference[] {
  if (typeof value === 'string') return value.startsWith('@') ? [{ kind: 'set', name: value.slice(1) }] : []
  if (Array.isArray(value)) return value.flatMap(references)
  if (!isRecord(value)) return []
  return Object.entries(value).flatMap(([key, inner]): Reference[] => {
    const isJump = (key === 'jump' || key === 'goto') && isRecord(inner)
    if (isJump) return [{ kind: 'chain', name: String(inner.target) }]
    if (objectKinds.includes(key) && typeof inner === 'string') return [{ kind: key, name: inner }]
    return references(inner)
  })
}

function exists(table: FakeTable, { kind, name }: Reference): boolean {
  if (kind === 'chain') return table.chains.has(name)
  if (kind === 'set') return table.sets.has(name)
  return table.objects.has(objectKey(kind, name))
}

function isReferred(table: FakeTable, wanted: Reference): boolean {
  const inUse = (value: unknown) =>
    references(value).some(reference => reference.kind === wanted.kind && reference.name === wanted.name)
  const inRules = [...table.chains.values()].some(chain => chain.rules.some(rule => inUse(rule.expr)))
  return inRules || [...table.sets.values()].some(set => [...set.elements.values()].some(({ data }) => inUse(data)))
}

const objectKey = (kind: string, name: string) => `${kind} ${name}`

function nextHandle(table: FakeTable): number {
  table.lastHandle += 1
  return table.lastHandle
}

function listTable(table: FakeTable, terse: boolean): readonly NftObject[] {
  const { family, name } = table
  const inTable = { family, table: name }
  const chains = [...table.chains.values()]
  return [
    { table: { family, name, handle: table.handle } },
    ...[...table.objects.values()].map(({ kind, handle, body }) => ({
      [kind]: { ...(kind === 'counter' && noHits), ...body, handle },
    })),
    ...[...table.sets.values()].map(({ kind, handle, body, elements }) => ({
      [kind]: {
        ...body,
        handle,
        // Of a set with a size, nft 1.1.7 tells how full it is, with or without its elements.
        ...('size' in body && elements.size > 0 && { count: elements.size }),
        ...(!terse && elements.size > 0 && { elem: [...elements.values()].map(elementListing) }),
      },
    })),
    ...chains.map(chain => ({
      chain: { ...inTable, name: chain.name, handle: chain.handle, ...listedBase(chain.base) },
    })),
    ...chains.flatMap(chain => chain.rules.map(rule => ({ rule: { ...inTable, chain: chain.name, ...rule } }))),
  ]
}

function countersOf(table: FakeTable): readonly FakeObject[] {
  return [...table.objects.values()].filter(object => object.kind === 'counter')
}

function readCounters(table: FakeTable): Counters {
  return new Map(countersOf(table).map(counter => [counter.name, readHits(counter.body)]))
}

function readHits({ packets = 0, bytes = 0 }: Json): TrafficAmount {
  return { packets: Number(packets), bytes: Number(bytes) }
}

/** Listings of nft 1.0.6 leave the device of a netdev chain out. */
function listedBase(base: Json | null): Json {
  const { dev: _, ...listed } = base ?? {}
  return listed
}

function baseChain(table: FakeTable, chain: FakeChain, base: Json): BaseChain {
  return {
    family: table.family,
    table: table.name,
    chain: chain.name,
    type: String(base.type),
    hook: String(base.hook),
    hookPriority: Number(base.prio),
    chainPolicy: base.policy === 'drop' ? 'drop' : 'accept',
  }
}

const ctTimeoutStatement =
  /^add ct timeout (\S+) (\S+) (\S+) \{ protocol (\w+); l3proto (\w+); policy = \{ (\w+): (\d+) \}; \}$/
const tableStatement = /^(add|delete) table (\S+) (\S+)$/

/** The few statements that go as text; any other is refused, so that a test notices. */
function readStatement(statement: string): NftCommand {
  const timeout = ctTimeoutStatement.exec(statement)
  if (timeout !== null) {
    const [, family, table, name, protocol, l3proto, state = '', seconds] = timeout
    const policy = { [state]: Number(seconds) }
    return { add: { 'ct timeout': { family, table, name, protocol, l3proto, policy } } }
  }
  const [, verb = '', family, name] = tableStatement.exec(statement) ?? []
  if (name !== undefined) return { [verb]: { table: { family, name } } }
  throw new NftError('syntax', statement, 'Error: syntax error: the fake does not know this statement\n')
}
