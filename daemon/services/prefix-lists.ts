/** Prefix lists: named blocks of addresses that rules can name. */
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { type FieldError, refused } from '../errors.ts'
import { keyOf, type PrefixListDoc } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import {
  type NewPrefixList,
  type PrefixListChanges,
  type ShownPrefixList,
  usualEntries,
} from '../schemas/prefix-lists.ts'
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
import { faultsOfWeight, faultsWithList } from './rule-check.ts'

function blocks(addressFamily: PrefixListDoc['addressFamily']): EntryForm<'cidr', PrefixListDoc['entries'][number]> {
  return {
    field: 'cidr',
    words: { read: 'CIDR block', each: 'block', expected: `an ${addressFamily} address or CIDR block` },
    canonical: text => blockOf(text, addressFamily),
    make: (cidr, description) => ({ cidr, description }),
  }
}

export function showPrefixList(world: World, list: PrefixListDoc, revision: number): ShownPrefixList {
  return { ...describePrefixList(list), associationCount: world.groupsUsingPrefixList(list.id).size, revision }
}

/** What the list itself says. */
export function describePrefixList(list: PrefixListDoc) {
  return {
    prefixListId: list.id,
    accountId: list.accountId,
    prefixListName: list.name,
    description: list.description,
    tags: list.tags,
    addressFamily: list.addressFamily,
    maxEntries: list.maxEntries,
    entries: list.entries.map(({ cidr, description }) => ({ cidr, description })),
    createTime: isoTime(list.createdAtMs),
  }
}

/** @throws {ApiError} with every entry that is wrong */
export function createPrefixList(
  { world, principal, nowMs }: ListCaller,
  given: NewPrefixList,
): Plan<{ prefixList: ShownPrefixList }> {
  const { addressFamily, entries: asked = [], maxEntries = Math.max(usualEntries, asked.length) } = given
  const errors: FieldError[] = []
  const entries = entriesOfNew(blocks(addressFamily), { ...given, maxEntries }, errors)
  if (errors.length > 0) throw refused(errors)
  return writePrefixList(world, {
    id: newId(world, 'prefixList', given.prefixListId, 'prefixListId'),
    accountId: accountFor(world, principal, given.accountId),
    name: given.prefixListName,
    description: given.description ?? null,
    tags: given.tags ?? {},
    addressFamily,
    maxEntries,
    entries,
    createdAtMs: nowMs,
  })
}

/**
 * @throws {ApiError} with every entry that is wrong, in itself or for a rule that names the list, or where a group that
 * names it would be too full
 */
export function modifyPrefixList(
  world: World,
  list: PrefixListDoc,
  changes: PrefixListChanges,
): Plan<{ prefixList: ShownPrefixList }> {
  const errors: FieldError[] = []
  const wished = { ...changes, name: changes.prefixListName }
  const { changed, added } = changedList(blocks(list.addressFamily), list, wished, errors)
  if (errors.length === 0 && added.length > 0) errors.push(...faultsOfRules(world, changed, added))
  if (changed.maxEntries > list.maxEntries) errors.push(...faultsOfWeight(world, groupsNaming(world, list.id), changed))
  if (errors.length > 0) throw refused(errors)
  return writePrefixList(world, changed)
}

/** What the rules that name the list may not name any more. */
function faultsOfRules(world: World, changed: PrefixListDoc, added: readonly string[]): readonly FieldError[] {
  return groupsNaming(world, changed.id).flatMap(group =>
    faultsWithList(world, group, changed).map(({ rule, error }) => {
      const index = added.indexOf(String(error.value))
      const field = index === -1 ? 'addEntries' : `addEntries[${index}].cidr`
      return { ...error, field, message: `rule ${rule.id} of ${group.id} names the list: ${error.message}` }
    }),
  )
}

/** @throws {ApiError} 409 while rules name it */
export function deletePrefixList(world: World, list: PrefixListDoc): Plan<{ prefixListId: string }> {
  requireUnnamed(world, list.id, 'prefix list')
  return { writes: [{ key: keyOf('prefixList', list.id), value: null }], body: () => ({ prefixListId: list.id }) }
}

function blockOf(text: string, addressFamily: PrefixListDoc['addressFamily']): string | null {
  const cidr = parseCidr(text)
  return cidr?.family === (addressFamily === 'IPv4' ? 'ip' : 'ip6') ? cidr.text : null
}

function writePrefixList(world: World, list: PrefixListDoc): Plan<{ prefixList: ShownPrefixList }> {
  return {
    writes: [{ key: keyOf('prefixList', list.id), value: list }],
    body: revisionOf => ({ prefixList: showPrefixList(world, list, revisionOf('prefixList', list.id)) }),
  }
}
