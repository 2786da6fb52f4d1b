/** Lists of ports: named ranges that rules can name in place of one. */
import { ApiError, type FieldError, fieldError, refused } from '../errors.ts'
import { type GroupDoc, keyOf, type PortRangeListDoc } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import {
  type AskedRange,
  type NewPortRangeList,
  type PortRangeListChanges,
  type ShownPortRangeList,
  usualRanges,
} from '../schemas/port-range-lists.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { firstOf } from './held-by.ts'
import { newId } from './ids.ts'
import { accountFor, type Principal } from './principal.ts'
import { faultOfWeight } from './rule-check.ts'

type Entry = PortRangeListDoc['entries'][number]

export function showPortRangeList(world: World, list: PortRangeListDoc, revision: number): ShownPortRangeList {
  return {
    portRangeListId: list.id,
    accountId: list.accountId,
    portRangeListName: list.name,
    description: list.description,
    tags: list.tags,
    maxEntries: list.maxEntries,
    entries: list.entries.map(({ portRange, description }) => ({ portRange, description })),
    associationCount: world.groupsUsingPortRangeList(list.id).size,
    createTime: isoTime(list.createdAtMs),
    revision,
  }
}

export interface PortRangeListCaller {
  readonly world: World
  readonly principal: Principal
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** @throws {ApiError} with every entry that is wrong */
export function createPortRangeList(
  { world, principal, nowMs }: PortRangeListCaller,
  given: NewPortRangeList,
): Plan<{ portRangeList: ShownPortRangeList }> {
  const { maxEntries = usualRanges } = given
  const errors: FieldError[] = []
  const entries = readEntries(given.entries ?? [], { list: 'entries', errors })
  requireRoom(entries.size, maxEntries, { field: 'entries', errors })
  if (errors.length > 0) throw refused(errors)
  return writeList(world, {
    id: newId(world, 'portRangeList', given.portRangeListId, 'portRangeListId'),
    accountId: accountFor(world, principal, given.accountId),
    name: given.portRangeListName,
    description: given.description ?? null,
    tags: given.tags ?? {},
    maxEntries,
    entries: [...entries.values()],
    createdAtMs: nowMs,
  })
}

/** @throws {ApiError} with every entry that is wrong, or where a group that names it would be too full */
export function modifyPortRangeList(
  world: World,
  list: PortRangeListDoc,
  changes: PortRangeListChanges,
): Plan<{ portRangeList: ShownPortRangeList }> {
  const { portRangeListName, description, tags, maxEntries = list.maxEntries } = changes
  const errors: FieldError[] = []
  const removed = readEntries(changes.removeEntries ?? [], { list: 'removeEntries', errors })
  const added = readEntries(changes.addEntries ?? [], { list: 'addEntries', errors })
  const entries = new Map(list.entries.map(entry => [entry.portRange, entry]))
  for (const portRange of removed.keys()) entries.delete(portRange)
  for (const [portRange, entry] of added) entries.set(portRange, entry)
  requireRoom(entries.size, maxEntries, { field: added.size > 0 ? 'addEntries' : 'maxEntries', errors })
  const changed: PortRangeListDoc = {
    ...list,
    ...(portRangeListName !== undefined && { name: portRangeListName }),
    ...(description !== undefined && { description }),
    ...(tags !== undefined && { tags: tags ?? {} }),
    maxEntries,
    entries: [...entries.values()],
  }
  if (maxEntries > list.maxEntries) errors.push(...faultsOfGroups(world, changed))
  if (errors.length > 0) throw refused(errors)
  return writeList(world, changed)
}

/** Groups whose rules would count for more than they may. */
function faultsOfGroups(world: World, changed: PortRangeListDoc): readonly FieldError[] {
  const listOf = (id: string) => (id === changed.id ? changed : world.get('portRangeList', id))
  return groupsUsingPorts(world, changed.id).flatMap(group => {
    const error = faultOfWeight(world, group.rules, { field: 'maxEntries', listOf })
    return error === null ? [] : [{ ...error, message: `${group.id} has rules that name the list: ${error.message}` }]
  })
}

/** @throws {ApiError} 409 while rules name it */
export function deletePortRangeList(world: World, list: PortRangeListDoc): Plan<{ portRangeListId: string }> {
  const securityGroupIds = groupsUsingPorts(world, list.id).map(({ id }) => id)
  if (securityGroupIds.length > 0) {
    const holding = firstOf(securityGroupIds).join(', ')
    const message = `Cannot delete list of ports "${list.id}": expected nothing to hold it, but there is ${holding}`
    throw new ApiError(409, 'DependencyViolation', message, { details: { heldBy: { securityGroupIds } } })
  }
  return {
    writes: [{ key: keyOf('portRangeList', list.id), value: null }],
    body: () => ({ portRangeListId: list.id }),
  }
}

/** Rules name lists of their own account only, so whoever may see the list may see them. */
export function groupsUsingPorts(world: World, portRangeListId: string): readonly GroupDoc[] {
  return [...world.groupsUsingPortRangeList(portRangeListId)].sort().map(id => world.get('group', id)!)
}

export function showPortAssociation({ id, rules }: GroupDoc, portRangeListId: string) {
  return {
    securityGroupId: id,
    securityGroupRuleIds: rules.filter(rule => rule.portRangeListId === portRangeListId).map(rule => rule.id),
  }
}

interface Place {
  /** What the request calls the list. */
  readonly list: string
  /** Receives what is wrong. */
  readonly errors: FieldError[]
}

/** Entries by their canonical range. */
function readEntries(asked: readonly AskedRange[], { list, errors }: Place): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const [index, { portRange: text, description = null }] of asked.entries()) {
    const field = `${list}[${index}].portRange`
    const portRange = rangeOf(text)
    if (portRange === null) {
      const expected = 'start/end, two numbers from 1 to 65535, the lower one first'
      errors.push(fieldError('invalid-value', field, { action: 'read port range', value: text, expected }))
    } else if (entries.has(portRange)) {
      const expected = `each range once, and this is ${portRange}`
      errors.push(fieldError('duplicate', field, { action: 'use a second time', value: text, expected }))
    } else {
      entries.set(portRange, { portRange, description })
    }
  }
  return entries
}

function rangeOf(text: string): string | null {
  const [, low = '', high = low] = /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(text.trim()) ?? []
  const [first, last] = [Number(low), Number(high)]
  return low !== '' && first >= 1 && last <= 65_535 && first <= last ? `${first}/${last}` : null
}

function requireRoom(
  count: number,
  maxEntries: number,
  { field, errors }: { readonly field: string; readonly errors: FieldError[] },
): void {
  if (count <= maxEntries) return
  const expected = `at most ${maxEntries} entries (maxEntries)`
  errors.push(fieldError('limit', field, { action: 'accept a count of', value: count, expected }))
}

function writeList(world: World, list: PortRangeListDoc): Plan<{ portRangeList: ShownPortRangeList }> {
  return {
    writes: [{ key: keyOf('portRangeList', list.id), value: list }],
    body: revisionOf => ({ portRangeList: showPortRangeList(world, list, revisionOf('portRangeList', list.id)) }),
  }
}
