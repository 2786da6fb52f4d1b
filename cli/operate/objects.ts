/** Verbs that are alike for every kind of object: list, show, delete; and what create and modify have in common. */
import type { Page, Query } from '../client/client.ts'
import { UsageError } from '../command.ts'
import { type Column, fieldLines, tableLines } from '../output/table.ts'
import type { Daemon, NamedKind, WriteAnswer } from './daemon.ts'
import { accountFlag, sortFlag, tagFilterFlag } from './flags.ts'
import { idPrefixes, pathOf, resources, type Shown } from './resources.ts'
import { type Flag, type Flags, type FlagValues, type Result, type Verb, verb, type Word } from './verb.ts'

/** How a kind is shown and filtered. */
export interface Kind {
  readonly kind: NamedKind
  /** In the plural: `security groups`. */
  readonly plural: string
  /** For words of the command line. */
  readonly word: Word
  readonly columns: readonly Column<Shown>[]
  readonly fields: (object: Shown) => readonly (readonly [string, string])[]
  /** Flags of the list, and the query parameter of each; those that name objects are looked up. */
  readonly filters?: Readonly<Record<string, { readonly flag: Flag; readonly parameter: string }>>
  /** What its list can be sorted by: words of --sort, and the field of each. */
  readonly sorts?: Readonly<Record<string, string>>
  readonly hasTags?: boolean
  readonly hasAccount?: boolean
}

export function listVerb(kind: Kind): Verb {
  const { filters = {}, sorts = {}, hasTags = false, hasAccount = false, plural } = kind
  const resource = resources[kind.kind]
  const flags: Flags = {
    ...(hasAccount && { account: { ...accountFlag, help: 'only those of this account' } }),
    ...Object.fromEntries(Object.entries(filters).map(([name, { flag }]) => [name, flag])),
    ...(hasTags && { tag: tagFilterFlag }),
    ...(Object.keys(sorts).length > 0 && { sort: sortFlag(sorts) }),
  }
  return verb({
    name: 'list',
    summary: `list ${plural}`,
    effect: 'looks',
    words: [],
    flags,
    async run({ daemon, flags: given }) {
      const query = await queryOf(daemon, kind, given)
      const page = await daemon.list(kind.kind, query)
      const isFiltered = Object.keys(query).some(name => name !== 'sort')
      return {
        answer: page,
        text: width =>
          page.items.length > 0
            ? tableLines(kind.columns, page.items, width)
            : [isFiltered ? `There are no such ${plural}.` : `There are no ${plural} yet. ${resource.whenNone}`],
      }
    },
  })
}

async function queryOf(daemon: Daemon, { filters = {}, sorts = {} }: Kind, given: FlagValues<Flags>): Promise<Query> {
  const account = await daemon.accountId(given.account as string | undefined)
  const tags = given.tag as readonly string[] | undefined
  const named = Object.entries(filters).flatMap(([flagName, { flag, parameter }]) => {
    const value = given[flagName]
    return value === undefined || value === false ? [] : [{ flag, parameter, value }]
  })
  const found = await Promise.all(
    named.map(async ({ flag: { names }, parameter, value }) => {
      const isLookedUp = names !== undefined && names !== 'context'
      return [parameter, isLookedUp ? await daemon.idOf(names, String(value)) : String(value)] as const
    }),
  )
  return {
    ...('account' in given && account !== undefined && { accountId: account }),
    ...Object.fromEntries(found),
    ...(tags !== undefined && { tag: tags.map(text => text.replace('=', ':')) }),
    ...(given.sort !== undefined && { sort: sortField(sorts, String(given.sort)) }),
  }
}

/** @param word  of `sorts`, perhaps with "-" before it */
export function sortField(sorts: Readonly<Record<string, string>>, word: string): string {
  return word.startsWith('-') ? `-${sorts[word.slice(1)]}` : String(sorts[word])
}

/** @param more  further lines under the fields: what else one wants to see of it */
export function showVerb(
  kind: Kind,
  more?: (daemon: Daemon, object: Shown, answer: Shown) => Promise<Result['text']>,
): Verb {
  const resource = resources[kind.kind]
  return verb({
    name: 'show',
    summary: `show ${article(resource.noun)}`,
    effect: 'looks',
    words: [kind.word],
    flags: {},
    async run({ daemon, words: [text = ''] }) {
      const id = await daemon.idOf(kind.kind, text)
      const answer = await daemon.client.get<Shown>(pathOf(resource, id))
      const object = answer[resource.answerField] as Shown
      const rest = await more?.(daemon, object, answer)
      return { answer, text: width => [...fieldLines(kind.fields(object), width), ...(rest?.(width) ?? [])] }
    },
  })
}

/** @param warning  what goes with it, for the question */
export function deleteVerb(
  kind: Kind,
  { warning = '', summary }: { readonly warning?: string; readonly summary?: string } = {},
): Verb {
  const resource = resources[kind.kind]
  return verb({
    name: 'delete',
    summary: summary ?? `delete ${article(resource.noun)}`,
    effect: 'deletes',
    words: [kind.word],
    flags: {},
    async run({ daemon, words: [text = ''], confirm }) {
      const id = await daemon.idOf(kind.kind, text)
      await confirm(`Delete ${resource.noun} ${id === text ? id : `${text} (${id})`}${warning}?`)
      const answer = await daemon.write({ method: 'DELETE', path: pathOf(resource, id) })
      return said(answer, `Deleted ${resource.noun} ${id}`)
    },
  })
}

function article(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`
}

/** A line with the revision, by which `ringwall change show` finds what became of it. */
export function said(answer: WriteAnswer, sentence: string, more: readonly string[] = []): Result {
  const { revision } = answer
  return {
    answer,
    text: () => [revision === undefined ? `${sentence}.` : `${sentence} (revision ${revision}).`, ...more],
  }
}

/** What a creation made: its answer has the object under its kind's name. */
export function made(kind: NamedKind, answer: WriteAnswer, more: readonly string[] = []): Result {
  const { noun, answerField, idField } = resources[kind]
  const object = answer[answerField] as Shown | undefined
  return said(answer, `Made ${noun} ${object?.[idField] ?? ''}`, more)
}

export function changed(kind: NamedKind, id: string, answer: WriteAnswer): Result {
  return said(answer, `Changed ${resources[kind].noun} ${id}`)
}

/**
 * Fields of a body from flags; those not given are left out, and an empty text is null, which clears the field.
 * @param names  flag to field
 */
export function bodyOf(
  flags: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const given = Object.entries(names).filter(([flag]) => flags[flag] !== undefined && flags[flag] !== false)
  return Object.fromEntries(given.map(([flag, field]) => [field, flags[flag] === '' ? null : flags[flag]]))
}

/** The same for a new object, which has nothing to clear. */
export function newBodyOf(
  flags: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(bodyOf(flags, names)).filter(([, value]) => value !== null))
}

/** @throws {UsageError} for a tag without value, or a modification that says nothing */
export function readTags(texts: readonly string[] | undefined): Record<string, string> | undefined {
  if (texts === undefined) return undefined
  return Object.fromEntries(
    texts.map(text => {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(text) ?? []
      if (key === undefined || value === undefined) throw new UsageError(`--tag is "${text}", expected KEY=VALUE`)
      return [key, value]
    }),
  )
}

/** @throws {UsageError} where nothing was asked for */
export function requireChange(body: Readonly<Record<string, unknown>>, flags: Flags): void {
  if (Object.keys(body).length > 0) return
  const names = Object.keys(flags).map(name => `--${name}`)
  throw new UsageError(`nothing to change, expected one of ${names.join(', ')}`)
}

/**
 * Tags as they shall be, made of what they are: with the revision they were read at, so that nobody's are lost.
 * @returns nothing where no tag was named
 */
export async function changedTags(
  daemon: Daemon,
  kind: NamedKind,
  id: string,
  { tag, untag }: { readonly tag?: readonly string[] | undefined; readonly untag?: readonly string[] | undefined },
): Promise<{ readonly tags?: Readonly<Record<string, string>>; readonly ifRevision?: number }> {
  if (tag === undefined && untag === undefined) return {}
  const added = readTags(tag)
  const object = await daemon.find(kind, id)
  const kept = Object.entries((object.tags ?? {}) as Record<string, string>).filter(([key]) => !untag?.includes(key))
  return { tags: { ...Object.fromEntries(kept), ...added }, ifRevision: Number(object.revision) }
}

/** @throws {UsageError} where an id for a new object has another form than its kind's */
export function newId(kind: keyof typeof idPrefixes | 'account', text: string | undefined): Record<string, string> {
  if (text === undefined) return {}
  const { idForm, idField, noun } = resources[kind]
  if (!idForm.test(text)) {
    const expected =
      kind === 'account'
        ? '16 digits'
        : `${idPrefixes[kind]} and letters, digits, "-", "_" or "."; a name goes with --name`
    throw new UsageError(`"${text}" is no id of ${article(noun)}, expected ${expected}`)
  }
  return { [idField]: text }
}

/** For the end of a table that was cut short. */
export function moreLine({ items, nextToken }: Page<unknown>, noun: string): string[] {
  return nextToken === null ? [] : [`These are the latest ${items.length}; --limit shows more ${noun}s.`]
}
