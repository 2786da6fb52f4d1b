/** What `nft -j list table inet ringwall` says, as a ruleset with its counters. */
import { parseCidr } from '../address/cidr.ts'
import { isRecord } from '../validate/is-record.ts'
import { listedAddress, protocolNumber } from './canonical.ts'
import type { ObjectKind } from './commands.ts'
import type {
  BaseHook,
  FieldType,
  FieldValue,
  IntervalElement,
  IntervalSet,
  MapKeyType,
  MemberSet,
  NftRule,
  Ruleset,
  Statement,
  Verdict,
  VerdictMap,
} from './ruleset.ts'

export interface Hits {
  readonly packets: number
  readonly bytes: number
}

/** The table as it stands, ours or not. */
export interface ActualRuleset extends Ruleset {
  /** Objects of kinds or types Ringwall never makes: a stranger's, to be taken away. */
  readonly foreign: readonly { readonly kind: ObjectKind; readonly name: string }[]
  /** Counter objects by name. */
  readonly counterHits: ReadonlyMap<string, Hits>
  /** Counters in elements and rules, in the order of the listing. */
  readonly ruleHits: readonly RuleHits[]
}

export interface RuleHits extends Hits {
  /** The interval set or chain the counter stands in. */
  readonly place: string
  readonly ruleId: string
}

type Json = Readonly<Record<string, unknown>>

/**
 * @param objects  the listing's `nftables` array; objects of other tables are not expected in it
 * @param deviceIndexes  kernel index of each device by name: nft lists an index by its device's name, where it has one
 */
export function readRuleset(
  objects: readonly unknown[],
  deviceIndexes: ReadonlyMap<string, number> = new Map(),
): ActualRuleset {
  const memberSets = new Map<string, MemberSet>()
  const intervalSets = new Map<string, IntervalSet>()
  const verdictMaps = new Map<string, VerdictMap>()
  const chains = new Map<string, { readonly name: string; readonly base?: BaseHook; readonly rules: NftRule[] }>()
  const counters = new Map<string, Hits>()
  const ctTimeouts = new Map<string, number>()
  const limits = new Map<string, number>()
  const foreign: { kind: ObjectKind; name: string }[] = []
  const ruleHits: RuleHits[] = []

  const readers: Readonly<Record<string, (object: Json, name: string) => void>> = {
    chain: (object, name) => chains.set(name, { ...readChain(object, name), rules: [] }),
    rule: object => {
      const chain = String(object.chain)
      const rule = readRule(object, deviceIndexes)
      chains.get(chain)?.rules.push(rule)
      const hits = (object.expr as Json[]).map(statement => readHits(statement.counter)).find(hit => hit !== null)
      if (hits != null && rule.ruleId !== undefined) ruleHits.push({ place: chain, ruleId: rule.ruleId, ...hits })
    },
    set: (object, name) => {
      const memberSet = readMemberSet(object, name)
      const intervalSet = memberSet === null ? readIntervalSet(object, name, ruleHits) : null
      if (memberSet !== null) memberSets.set(name, memberSet)
      else if (intervalSet !== null) intervalSets.set(name, intervalSet)
      else foreign.push({ kind: 'set', name })
    },
    map: (object, name) => {
      if (object.map === 'verdict' && isMapKeyType(object.type))
        verdictMaps.set(name, readMap(object, name, deviceIndexes))
      else foreign.push({ kind: 'map', name })
    },
    counter: (object, name) => counters.set(name, readHits(object) ?? { packets: 0, bytes: 0 }),
    'ct timeout': (object, name) => {
      const policy = object.policy
      ctTimeouts.set(name, isRecord(policy) ? Number(policy.established) : 0)
    },
    limit: (object, name) => {
      const perSecond = readLimit(object)
      if (perSecond !== null) limits.set(name, perSecond)
      else foreign.push({ kind: 'limit', name })
    },
  }
  for (const object of objects) {
    if (!isRecord(object)) continue
    const [kind, body] = Object.entries(object)[0] ?? []
    if (kind === undefined || !isRecord(body) || kind === 'metainfo' || kind === 'table') continue
    const name = String(body.name)
    const read = readers[kind]
    if (read !== undefined) read(body, name)
    else foreign.push({ kind: kind as ObjectKind, name })
  }
  return {
    memberSets,
    intervalSets,
    verdictMaps,
    chains,
    counters: new Set(counters.keys()),
    counterHits: counters,
    ctTimeouts,
    limits,
    foreign,
    ruleHits,
  }
}

/** Null for a limit that is not as we make them. */
function readLimit({ rate, per, burst, rate_unit: unit, inv }: Json): number | null {
  const isOurs = per === 'second' && burst === rate && unit === undefined && inv !== true
  return isOurs && typeof rate === 'number' ? rate : null
}

function readChain(object: Json, name: string): { readonly name: string; readonly base?: BaseHook } {
  if (object.hook === undefined) return { name }
  return {
    name,
    base: {
      type: String(object.type),
      hook: object.hook as BaseHook['hook'],
      priority: Number(object.prio),
      chainPolicy: String(object.policy),
    },
  }
}

function readRule(object: Json, deviceIndexes: ReadonlyMap<string, number>): NftRule {
  const listed = (object.expr as readonly Statement[]).map(statement => withIndex(statement, deviceIndexes))
  const statements = withBothFamilies(listed)
  return typeof object.comment === 'string' ? { statements, ruleId: object.comment } : { statements }
}

/** A comparison of a device's index is listed with its name, where it has one. */
function withIndex(statement: Statement, deviceIndexes: ReadonlyMap<string, number>): Statement {
  if (!('match' in statement) || !('meta' in statement.match.left)) return statement
  const { left, op, right } = statement.match
  if (left.meta.key !== 'iif' && left.meta.key !== 'oif') return statement
  const index = deviceIndexes.get(String(right)) ?? Number(right)
  return Number.isInteger(index) ? { match: { op, left, right: index } } : statement
}

/** Puts back the comparison of the family that nft leaves out of its listing (`sessionIs`), so the rule loads again. */
function withBothFamilies(statements: readonly Statement[]): readonly Statement[] {
  const [first, second] = statements
  const isFamily = JSON.stringify(first).includes('"nfproto"')
  return isFamily && JSON.stringify(second).includes('"protocol"') ? [first!, ...statements] : statements
}

function readHits(counter: unknown): Hits | null {
  if (!isRecord(counter) || typeof counter.packets !== 'number') return null
  return { packets: counter.packets, bytes: Number(counter.bytes) }
}

const memberTypes: readonly (readonly [string, MemberSet['family']])[] = [
  ['ipv4_addr', 'ip'],
  ['ipv6_addr', 'ip6'],
]

/** Null for a set that is not as we make them. */
function readMemberSet(object: Json, name: string): MemberSet | null {
  const family = memberTypes.find(([type]) => type === object.type)?.[1]
  if (family === undefined || object.flags !== undefined) return null
  const addresses = new Set<string>()
  for (const element of elementsOf(object)) addresses.add(keyText(element))
  return { name, family, addresses }
}

/** A foreign element may be anything; its text then equals none of ours. */
function keyText(element: unknown): string {
  if (typeof element === 'string') return listedAddress(element)
  if (isRecord(element) && isRecord(element.elem)) return keyText(element.elem.val)
  return JSON.stringify(element)
}

const fieldTypes: readonly string[] = ['ipv4_addr', 'ipv6_addr', 'inet_service', 'inet_proto'] satisfies FieldType[]

function isFieldTypes(type: unknown): type is readonly FieldType[] {
  return Array.isArray(type) && type.every(name => fieldTypes.includes(name))
}

/** Null for a set that is not as we make them, or holds what we could not have put there. */
function readIntervalSet(object: Json, name: string, ruleHits: RuleHits[]): IntervalSet | null {
  const fields = object.type
  const flags = JSON.stringify(object.flags)
  const counts = JSON.stringify(object.stmt ?? []).includes('"counter"')
  if (!isFieldTypes(fields) || flags !== '["interval"]' || !counts) return null
  const elements: IntervalElement[] = []
  const hits: RuleHits[] = []
  for (const element of elementsOf(object)) {
    const body = isRecord(element) && isRecord(element.elem) ? element.elem : { val: element }
    const ruleId = String(body.comment ?? '')
    const parts = isRecord(body.val) && Array.isArray(body.val.concat) ? body.val.concat : []
    const key = fields.map((type, index) => readField(parts[index], type))
    if (!key.every(value => value !== null)) return null
    elements.push({ key, ruleId })
    const counted = readHits(body.counter)
    if (counted !== null) hits.push({ place: name, ruleId, ...counted })
  }
  for (const hit of hits) ruleHits.push(hit)
  return { name, fields, elements }
}

function readField(part: unknown, type: FieldType): FieldValue | null {
  if (type === 'ipv4_addr' || type === 'ipv6_addr') return readBlock(part)
  const [first, last] = isRecord(part) && Array.isArray(part.range) ? part.range : [part, part]
  const range = { first: readNumber(first), last: readNumber(last) }
  return Number.isInteger(range.first) && Number.isInteger(range.last) ? range : null
}

function readNumber(value: unknown): number {
  return typeof value === 'string' ? Number(protocolNumber(value)) : Number(value)
}

function readBlock(part: unknown): FieldValue | null {
  const prefix = isRecord(part) && isRecord(part.prefix) ? part.prefix : null
  const address = listedAddress(String(prefix === null ? part : prefix.addr))
  return parseCidr(prefix === null ? address : `${address}/${String(prefix.len)}`)
}

const mapKeyTypes: readonly string[] = ['ifname', 'iface_index', 'ipv4_addr', 'ipv6_addr'] satisfies MapKeyType[]

function isMapKeyType(type: unknown): type is MapKeyType {
  return typeof type === 'string' && mapKeyTypes.includes(type)
}

function readMap(object: Json, name: string, deviceIndexes: ReadonlyMap<string, number>): VerdictMap {
  const keyType = object.type as MapKeyType
  const elements = new Map<string, Verdict>()
  for (const element of elementsOf(object)) {
    if (!Array.isArray(element)) continue
    const key = keyText(element[0])
    const index = keyType === 'iface_index' ? deviceIndexes.get(key) : undefined
    elements.set(index === undefined ? key : String(index), element[1] as Verdict)
  }
  return { name, keyType, elements }
}

function elementsOf(object: Json): readonly unknown[] {
  const elements = object.elem
  return Array.isArray(elements) ? elements : []
}
