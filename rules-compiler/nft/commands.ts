/** nft commands as libnftables-json(5) has them; a transaction is a list of these. */
import { addressType, cidrOperand, rangeOperand } from './expressions.ts'
import {
  type Chain,
  type FieldValue,
  type IntervalElement,
  type IntervalSet,
  type MapKeyType,
  type MemberSet,
  type NftRule,
  tableFamily,
  tableName,
  type Verdict,
  type VerdictMap,
} from './ruleset.ts'

export type NftCommand = Readonly<Record<string, unknown>>
export type ObjectKind =
  | 'chain'
  | 'set'
  | 'map'
  | 'counter'
  | 'ct timeout'
  | 'flowtable'
  | 'quota'
  | 'limit'
  | 'ct helper'

const inTable = { family: tableFamily, table: tableName } as const
const table = { table: { family: tableFamily, name: tableName } } as const

export const addTable: NftCommand = { add: table }
export const deleteTable: NftCommand = { delete: table }

export const addCounter = (name: string): NftCommand => ({ add: { counter: { ...inTable, name } } })

/**
 * Only TCP's established state idles for long; every other state and protocol keeps the kernel's shorter time. One
 * object serves both families: the kernel compares nothing but the protocol (nft_ct_timeout_obj_eval).
 */
export const addCtTimeout = (name: string, seconds: number): NftCommand => ({
  add: { 'ct timeout': { ...inTable, name, protocol: 'tcp', l3proto: 'ip', policy: { established: seconds } } },
})

export const addLimit = (name: string, perSecond: number): NftCommand => ({
  add: { limit: { ...inTable, name, rate: perSecond, per: 'second', burst: perSecond } },
})

export const addChain = (chain: Chain): NftCommand => ({
  add: {
    chain: {
      ...inTable,
      name: chain.name,
      ...(chain.base && {
        type: chain.base.type,
        hook: chain.base.hook,
        prio: chain.base.priority,
        policy: chain.base.chainPolicy,
      }),
    },
  },
})

export const flushChain = (name: string): NftCommand => ({ flush: { chain: { ...inTable, name } } })

export const addRule = (chain: string, rule: NftRule): NftCommand => ({
  add: {
    rule: { ...inTable, chain, expr: rule.statements, ...(rule.ruleId !== undefined && { comment: rule.ruleId }) },
  },
})

export const addMemberSet = (set: MemberSet): readonly NftCommand[] => [
  { add: { set: { ...inTable, name: set.name, type: addressType[set.family] } } },
  ...addMembers(set.name, [...set.addresses]),
]

export const addMembers = (name: string, addresses: readonly string[]): readonly NftCommand[] =>
  elements('add', name, addresses)
export const deleteMembers = (name: string, addresses: readonly string[]): readonly NftCommand[] =>
  elements('delete', name, addresses)

export const addIntervalSet = (set: IntervalSet): readonly NftCommand[] => [
  {
    add: {
      set: { ...inTable, name: set.name, type: set.fields, flags: ['interval'], stmt: [{ counter: null }] },
    },
  },
  ...addIntervalElements(set.name, set.elements),
]

export const addIntervalElements = (name: string, added: readonly IntervalElement[]): readonly NftCommand[] =>
  elements(
    'add',
    name,
    added.map(element => ({
      elem: { val: { concat: element.key.map(fieldOperand) }, comment: element.ruleId },
    })),
  )

/** The kernel deletes whatever starts where the key starts: only for elements that have just been read. */
export const deleteIntervalElements = (name: string, deleted: readonly IntervalElement[]): readonly NftCommand[] =>
  elements(
    'delete',
    name,
    deleted.map(element => ({ concat: element.key.map(fieldOperand) })),
  )

function fieldOperand(value: FieldValue) {
  return 'text' in value ? cidrOperand(value) : rangeOperand(value)
}

export const addVerdictMap = (map: VerdictMap): readonly NftCommand[] => [
  { add: { map: { ...inTable, name: map.name, type: map.keyType, map: 'verdict' } } },
  ...addMapElements(map.name, map.keyType, [...map.elements]),
]

type MapElement = readonly [string, Verdict]

export const addMapElements = (
  name: string,
  keyType: MapKeyType,
  added: readonly MapElement[],
): readonly NftCommand[] =>
  elements(
    'add',
    name,
    added.map(([key, verdict]) => [mapKey(keyType, key), verdict]),
  )

export const deleteMapElements = (
  name: string,
  keyType: MapKeyType,
  deleted: readonly MapElement[],
): readonly NftCommand[] =>
  elements(
    'delete',
    name,
    deleted.map(([key, verdict]) => [mapKey(keyType, key), verdict]),
  )

/** Indexes as numbers: a name would be looked up, and a device that has just gone has none. */
function mapKey(keyType: MapKeyType, key: string): string | number {
  return keyType === 'iface_index' && /^\d+$/.test(key) ? Number(key) : key
}

export const deleteObject = (kind: ObjectKind, name: string): NftCommand => ({
  delete: { [kind]: { ...inTable, name } },
})

/** One command for any number of elements: many commands cost quadratic time in older nft (firewalld#1544). */
function elements(verb: 'add' | 'delete', name: string, elem: readonly unknown[]): readonly NftCommand[] {
  return elem.length === 0 ? [] : [{ [verb]: { element: { ...inTable, name, elem } } }]
}
