/** Prefix lists: named blocks of addresses that rules can name. */
import { type Cidr, parseCidr } from '../../rules-compiler/address/cidr.ts'
import { ApiError, type FieldError, fieldError, refused } from '../errors.ts'
import { type GroupDoc, keyOf, type PrefixListDoc } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import {
  type AskedEntry,
  mostEntries,
  type NewPrefixList,
  type PrefixListChanges,
  type ShownPrefixList,
} from '../schemas/prefix-lists.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { firstOf } from './held-by.ts'
import { newId } from './ids.ts'
import { accountFor, type Principal } from './principal.ts'
import { faultsWithList } from './rule-check.ts'

type Entry = PrefixListDoc['entries'][number]

export function showPrefixList(world: World, list: PrefixListDoc, revision: number): ShownPrefixList {
  return {
    prefixListId: list.id,
    accountId: list.accountId,
    prefixListName: list.name,
    description: list.description,
    tags: list.tags,
    addressFamily: list.addressFamily,
    maxEntries: list.maxEntries,
    entries: list.entries.map(({ cidr, description }) => ({ cidr, description })),
    associationCount: world.groupsUsingPrefixList(list.id).size,
    createTime: isoTime(list.createdAtMs),
    revision,
  }
}

export interface PrefixListCaller {
  readonly world: World
  readonly principal: Principal
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** @throws {ApiError} with every entry that is wrong */
export function createPrefixList(
  { world, principal, nowMs }: PrefixListCaller,
  given: NewPrefixList,
): Plan<{ prefixList: ShownPrefixList }> {
  const { addressFamily, maxEntries = mostEntries } = given
  const errors: FieldError[] = []
  const entries = readEntries(given.entries ?? [], addressFamily, { list: 'entries', errors })
  requireRoom(entries.size, maxEntries, { field: 'entries', errors })
  if (errors.length > 0) throw refused(errors)
  return writePrefixList(world, {
    id: newId(world, 'prefixList', given.prefixListId, 'prefixListId'),
    accountId: accountFor(world, principal, given.accountId),
    name: given.prefixListName,
    description: given.description ?? null,
    tags: given.tags ?? {},
    addressFamily,
    maxEntries,
    entries: [...entries.values()],
    createdAtMs: nowMs,
  })
}

/** @throws {ApiError} with every entry that is wrong, in itself or for a rule that names the list */
export function modifyPrefixList(
  world: World,
  list: PrefixListDoc,
  changes: PrefixListChanges,
): Plan<{ prefixList: ShownPrefixList }> {
  const { prefixListName, description, tags, maxEntries = list.maxEntries } = changes
  const errors: FieldError[] = []
  const removed = readEntries(changes.removeEntries ?? [], list.addressFamily, { list: 'removeEntries', errors })
  const added = readEntries(changes.addEntries ?? [], list.addressFamily, { list: 'addEntries', errors })
  const entries = new Map(list.entries.map(entry => [entry.cidr, entry]))
  for (const cidr of removed.keys()) entries.delete(cidr)
  for (const [cidr, entry] of added) entries.set(cidr, entry)
  const grows = added.size > 0
  requireRoom(entries.size, maxEntries, { field: grows ? 'addEntries' : 'maxEntries', errors })
  const changed: PrefixListDoc = {
    ...list,
    ...(prefixListName !== undefined && { name: prefixListName }),
    ...(description !== undefined && { description }),
    ...(tags !== undefined && { tags: tags ?? {} }),
    maxEntries,
    entries: [...entries.values()],
  }
  if (errors.length === 0 && grows) errors.push(...faultsOfRules(world, changed, [...added.keys()]))
  if (errors.length > 0) throw refused(errors)
  return writePrefixList(world, changed)
}

/** What the rules that name the list may not name any more. */
function faultsOfRules(world: World, changed: PrefixListDoc, added: readonly string[]): readonly FieldError[] {
  return groupsUsing(world, changed.id).flatMap(group =>
    faultsWithList(world, group, changed).map(({ rule, error }) => {
      const index = added.indexOf(String(error.value))
      const field = index === -1 ? 'addEntries' : `addEntries[${index}].cidr`
      return { ...error, field, message: `rule ${rule.id} of ${group.id} names the list: ${error.message}` }
    }),
  )
}

/** @throws {ApiError} 409 while rules name it */
export function deletePrefixList(world: World, list: PrefixListDoc): Plan<{ prefixListId: string }> {
  const securityGroupIds = groupsUsing(world, list.id).map(({ id }) => id)
  if (securityGroupIds.length > 0) {
    const holding = firstOf(securityGroupIds).join(', ')
    const message = `Cannot delete prefix list "${list.id}": expected nothing to hold it, but there is ${holding}`
    throw new ApiError(409, 'DependencyViolation', message, { details: { heldBy: { securityGroupIds } } })
  }
  return { writes: [{ key: keyOf('prefixList', list.id), value: null }], body: () => ({ prefixListId: list.id }) }
}

/** Rules name lists of their own account only, so whoever may see the list may see them. */
export function groupsUsing(world: World, prefixListId: string): readonly GroupDoc[] {
  return [...world.groupsUsingPrefixList(prefixListId)].sort().map(id => world.get('group', id)!)
}

export function showAssociation({ id, rules }: GroupDoc, prefixListId: string) {
  return {
    securityGroupId: id,
    securityGroupRuleIds: rules
      .filter(rule => rule.sourcePrefixListId === prefixListId || rule.destPrefixListId === prefixListId)
      .map(rule => rule.id),
  }
}

interface Place {
  /** What the request calls the list. */
  readonly list: string
  /** Receives what is wrong. */
  readonly errors: FieldError[]
}

/** Entries by their canonical block. */
function readEntries(
  asked: readonly AskedEntry[],
  addressFamily: PrefixListDoc['addressFamily'],
  { list, errors }: Place,
): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const [index, { cidr: text, description = null }] of asked.entries()) {
    const field = `${list}[${index}].cidr`
    const cidr = blockOf(text, addressFamily)
    if (cidr === null) {
      const expected = `an ${addressFamily} address or CIDR block`
      errors.push(fieldError('invalid-value', field, { action: 'read CIDR block', value: text, expected }))
    } else if (entries.has(cidr.text)) {
      const expected = `each block once, and this is ${cidr.text}`
      errors.push(fieldError('duplicate', field, { action: 'use a second time', value: text, expected }))
    } else {
      entries.set(cidr.text, { cidr: cidr.text, description })
    }
  }
  return entries
}

function blockOf(text: string, addressFamily: PrefixListDoc['addressFamily']): Cidr | null {
  const cidr = parseCidr(text)
  return cidr?.family === (addressFamily === 'IPv4' ? 'ip' : 'ip6') ? cidr : null
}

function requireRoom(
  count: number,
  maxEntries: number,
  { field, errors }: { field: string; errors: FieldError[] },
): void {
  if (count <= maxEntries) return
  const expected = `at most ${maxEntries} entries (maxEntries)`
  errors.push(fieldError('limit', field, { action: 'accept a count of', value: count, expected }))
}

function writePrefixList(world: World, list: PrefixListDoc): Plan<{ prefixList: ShownPrefixList }> {
  return {
    writes: [{ key: keyOf('prefixList', list.id), value: list }],
    body: revisionOf => ({ prefixList: showPrefixList(world, list, revisionOf('prefixList', list.id)) }),
  }
}
