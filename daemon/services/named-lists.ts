/** What prefix lists and lists of ports have in common: entries, each once, room for so many, and rules that name them. */
import { ApiError, type FieldError, fieldError } from '../errors.ts'
import type { GroupDoc, PortRangeListDoc, PrefixListDoc } from '../model/documents.ts'
import { listsNamedBy } from '../model/file-rule.ts'
import type { World } from '../state/world.ts'
import { firstOf, heldBy } from './held-by.ts'
import type { Principal } from './principal.ts'

/** Who makes a list, and when. */
export interface ListCaller {
  readonly world: World
  readonly principal: Principal
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

interface NamedList<Entry> extends Omit<PrefixListDoc | PortRangeListDoc, 'entries'> {
  readonly entries: readonly Entry[]
}

/** What the entries of a list are. */
export interface EntryForm<Field extends string, Entry> {
  /** `cidr`: what is unlike in every two entries of a list. */
  readonly field: Field
  /** For messages: `read` it is in full, and `each` in short. */
  readonly words: { readonly read: string; readonly each: string; readonly expected: string }
  /** In its canonical form; null where it is none. */
  readonly canonical: (text: string) => string | null
  readonly make: (canonical: string, description: string | null) => Entry
}

type Asked<Field extends string> = Readonly<Record<Field, string>> & {
  readonly description?: string | null | undefined
}

interface Changes<Field extends string> {
  readonly name?: string | undefined
  readonly description?: string | null | undefined
  readonly tags?: Readonly<Record<string, string>> | null | undefined
  readonly maxEntries?: number | undefined
  readonly addEntries?: readonly Asked<Field>[] | undefined
  readonly removeEntries?: readonly Asked<Field>[] | undefined
}

/** @param errors  receives what is wrong */
export function entriesOfNew<Field extends string, Entry>(
  form: EntryForm<Field, Entry>,
  { entries: asked = [], maxEntries }: { readonly entries?: readonly Asked<Field>[]; readonly maxEntries: number },
  errors: FieldError[],
): readonly Entry[] {
  const entries = readEntries(form, asked, { list: 'entries', errors })
  requireRoom(entries.size, maxEntries, { field: 'entries', errors })
  return [...entries.values()]
}

/**
 * @param errors  receives what is wrong
 * @returns the list as it shall be, and the entries that were asked for, in their canonical form
 */
export function changedList<Field extends string, Entry extends Asked<Field>, List extends NamedList<Entry>>(
  form: EntryForm<Field, Entry>,
  list: List,
  { name, description, tags, maxEntries = list.maxEntries, addEntries = [], removeEntries = [] }: Changes<Field>,
  errors: FieldError[],
): { readonly changed: List; readonly added: readonly string[] } {
  const removed = readEntries(form, removeEntries, { list: 'removeEntries', errors })
  const added = readEntries(form, addEntries, { list: 'addEntries', errors })
  const entries = new Map<string, Entry>(list.entries.map(entry => [entry[form.field], entry]))
  for (const canonical of removed.keys()) entries.delete(canonical)
  for (const [canonical, entry] of added) entries.set(canonical, entry)
  requireRoom(entries.size, maxEntries, { field: added.size > 0 ? 'addEntries' : 'maxEntries', errors })
  const changed = {
    ...list,
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(tags !== undefined && { tags: tags ?? {} }),
    maxEntries,
    entries: [...entries.values()],
  }
  return { changed, added: [...added.keys()] }
}

/** Entries by their canonical form. */
function readEntries<Field extends string, Entry>(
  { field: name, words, canonical: canonicalOf, make }: EntryForm<Field, Entry>,
  asked: readonly Asked<Field>[],
  { list, errors }: { readonly list: string; readonly errors: FieldError[] },
): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const [index, { [name]: text, description = null }] of asked.entries()) {
    const field = `${list}[${index}].${name}`
    const canonical = canonicalOf(text)
    if (canonical === null) {
      const { read, expected } = words
      errors.push(fieldError('invalid-value', field, { action: `read ${read}`, value: text, expected }))
    } else if (entries.has(canonical)) {
      const expected = `each ${words.each} once, and this is ${canonical}`
      errors.push(fieldError('duplicate', field, { action: 'use a second time', value: text, expected }))
    } else {
      entries.set(canonical, make(canonical, description))
    }
  }
  return entries
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

/**
 * Rules name lists of their own account only, so whoever may see the list may see them.
 * @param listId  of either kind: their ids are never the same
 */
export function groupsNaming(world: World, listId: string): readonly GroupDoc[] {
  const ids = [...world.groupsUsingPrefixList(listId), ...world.groupsUsingPortRangeList(listId)]
  return ids.sort().map(id => world.get('group', id)!)
}

/** @throws {ApiError} 409 while rules name it */
export function requireUnnamed(world: World, listId: string, noun: string): void {
  const securityGroupIds = groupsNaming(world, listId).map(({ id }) => id)
  if (securityGroupIds.length === 0) return
  const holding = firstOf(securityGroupIds).join(', ')
  const message = `Cannot delete ${noun} "${listId}": expected nothing to hold it, but there is ${holding}`
  throw new ApiError(409, 'DependencyViolation', message, { details: heldBy({ securityGroupIds }) })
}

export function showAssociation({ id, rules }: GroupDoc, listId: string) {
  return {
    securityGroupId: id,
    securityGroupRuleIds: rules.filter(rule => listsNamedBy(rule).includes(listId)).map(rule => rule.id),
  }
}
