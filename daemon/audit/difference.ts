/** What of an object a commit changed, in the words of the API and without what nobody may read. */
import { describeDocument } from '../services/describe.ts'
import type { Change } from '../store/store.ts'

export interface ChangedFields {
  readonly key: string
  /** The fields that differ, as they were; null: there was no such object. */
  readonly before: Fields | null
  /** As they are since; null: it was deleted. */
  readonly after: Fields | null
}

type Fields = Readonly<Record<string, unknown>>

export function differenceOf({ key, before, value }: Change): ChangedFields {
  const [old, now] = [describeDocument(key, before), describeDocument(key, value)]
  if (old === null || now === null) return { key, before: old, after: now }
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(name => isOther(name, old, now))
  const sides = names.map(name => [name, ...sidesOf(old[name], now[name])] as const)
  return {
    key,
    before: Object.fromEntries(sides.map(([name, was]) => [name, was])),
    after: Object.fromEntries(sides.map(([name, , is]) => [name, is])),
  }
}

function isOther(name: string, old: Fields, now: Fields): boolean {
  return JSON.stringify(old[name]) !== JSON.stringify(now[name])
}

/** Lists of objects that have a name of their own (rules, entries, devices) by what came, went and changed in them. */
function sidesOf(old: unknown, now: unknown): readonly [unknown, unknown] {
  const [oldByName, nowByName] = [byName(old), byName(now)]
  if (oldByName === null || nowByName === null) return [old ?? null, now ?? null]
  const removed = [...oldByName].filter(([name]) => !nowByName.has(name)).map(([, item]) => item)
  const added = [...nowByName].filter(([name]) => !oldByName.has(name)).map(([, item]) => item)
  const changed = [...nowByName.keys()].filter(
    name => oldByName.has(name) && JSON.stringify(oldByName.get(name)) !== JSON.stringify(nowByName.get(name)),
  )
  return [
    { removed, changed: changed.map(name => oldByName.get(name)) },
    { added, changed: changed.map(name => nowByName.get(name)) },
  ]
}

/** @returns null where it is no list of objects with names that differ */
function byName(list: unknown): ReadonlyMap<string, unknown> | null {
  if (!Array.isArray(list)) return null
  const named = list.map(item => [nameOf(item), item] as const)
  if (named.some(([name]) => name === null)) return null
  const map = new Map(named as (readonly [string, unknown])[])
  return map.size === list.length ? map : null
}

const nameFields = [
  ...['id', 'securityGroupRuleId', 'versionId', 'policyName', 'groupName'],
  ...['cidr', 'portRange', 'serialNumber', 'name'],
] as const

function nameOf(item: unknown): string | null {
  if (typeof item !== 'object' || item === null) return null
  const field = nameFields.find(name => typeof (item as Fields)[name] === 'string')
  return field === undefined ? null : String((item as Fields)[field])
}
