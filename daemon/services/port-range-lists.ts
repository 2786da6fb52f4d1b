/** Lists of ports: named ranges that rules can name in place of one. */
import { type FieldError, refused } from '../errors.ts'
import { keyOf, type PortRangeListDoc } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import {
  type NewPortRangeList,
  type PortRangeListChanges,
  type ShownPortRangeList,
  usualRanges,
} from '../schemas/port-range-lists.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { newId } from './ids.ts'
import {
  changedList,
  type EntryForm,
  entriesOfNew,
  groupsNaming,
  type ListCaller,
  requireUnnamed,
} from './named-lists.ts'
import { accountFor } from './principal.ts'
import { faultsOfWeight } from './rule-check.ts'

const ranges: EntryForm<'portRange', PortRangeListDoc['entries'][number]> = {
  field: 'portRange',
  words: {
    read: 'port range',
    each: 'range',
    expected: 'start/end, two numbers from 1 to 65535, the lower one first',
  },
  canonical: rangeOf,
  make: (portRange, description) => ({ portRange, description }),
}

export function showPortRangeList(world: World, list: PortRangeListDoc, revision: number): ShownPortRangeList {
  return { ...describePortRangeList(list), associationCount: world.groupsUsingPortRangeList(list.id).size, revision }
}

/** What the list itself says. */
export function describePortRangeList(list: PortRangeListDoc) {
  return {
    portRangeListId: list.id,
    accountId: list.accountId,
    portRangeListName: list.name,
    description: list.description,
    tags: list.tags,
    maxEntries: list.maxEntries,
    entries: list.entries.map(({ portRange, description }) => ({ portRange, description })),
    createTime: isoTime(list.createdAtMs),
  }
}

/** @throws {ApiError} with every entry that is wrong */
export function createPortRangeList(
  { world, principal, nowMs }: ListCaller,
  given: NewPortRangeList,
): Plan<{ portRangeList: ShownPortRangeList }> {
  const { maxEntries = usualRanges } = given
  const errors: FieldError[] = []
  const entries = entriesOfNew(ranges, { ...given, maxEntries }, errors)
  if (errors.length > 0) throw refused(errors)
  return writeList(world, {
    id: newId(world, 'portRangeList', given.portRangeListId, 'portRangeListId'),
    accountId: accountFor(world, principal, given.accountId),
    name: given.portRangeListName,
    description: given.description ?? null,
    tags: given.tags ?? {},
    maxEntries,
    entries,
    createdAtMs: nowMs,
  })
}

/** @throws {ApiError} with every entry that is wrong, or where a group that names it would be too full */
export function modifyPortRangeList(
  world: World,
  list: PortRangeListDoc,
  changes: PortRangeListChanges,
): Plan<{ portRangeList: ShownPortRangeList }> {
  const errors: FieldError[] = []
  const { changed } = changedList(ranges, list, { ...changes, name: changes.portRangeListName }, errors)
  if (changed.maxEntries > list.maxEntries) errors.push(...faultsOfWeight(world, groupsNaming(world, list.id), changed))
  if (errors.length > 0) throw refused(errors)
  return writeList(world, changed)
}

/** @throws {ApiError} 409 while rules name it */
export function deletePortRangeList(world: World, list: PortRangeListDoc): Plan<{ portRangeListId: string }> {
  requireUnnamed(world, list.id, 'list of ports')
  return {
    writes: [{ key: keyOf('portRangeList', list.id), value: null }],
    body: () => ({ portRangeListId: list.id }),
  }
}

function rangeOf(text: string): string | null {
  const [, low = '', high = low] = /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(text.trim()) ?? []
  const [first, last] = [Number(low), Number(high)]
  return low !== '' && first >= 1 && last <= 65_535 && first <= last ? `${first}/${last}` : null
}

function writeList(world: World, list: PortRangeListDoc): Plan<{ portRangeList: ShownPortRangeList }> {
  return {
    writes: [{ key: keyOf('portRangeList', list.id), value: list }],
    body: revisionOf => ({ portRangeList: showPortRangeList(world, list, revisionOf('portRangeList', list.id)) }),
  }
}
