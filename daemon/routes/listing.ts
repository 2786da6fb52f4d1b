/** Lists in pages: filtered by fields and tags, sorted, and continued after the last item of the page before. */
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Tags } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import { type Api, addReadRoute, type RouteInput } from './route.ts'

export interface ListRoute<P extends TObject, I extends TObject> {
  readonly url: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
  readonly params?: P
  readonly item: I
  /** The field that names an item: the order where nothing else decides. */
  readonly idField: keyof Static<I> & string
  /** Query parameters that filter, with what each asks of an item; `text` in it is what the client wrote. */
  readonly filters?: Readonly<Record<string, Filter<Static<I>>>>
  readonly sortFields?: readonly (keyof Static<I> & string)[]
  /** Whether items have tags to filter by. */
  readonly hasTags?: boolean
  /** Newest first, say: the order where the client asks for none; by id where left out. */
  readonly defaultSort?: string
  /** Everything the principal may see. */
  readonly items: (world: World, input: RouteInput<P, TObject, TSchema>) => Iterable<Static<I>>
}

export interface Filter<Item> {
  readonly description: string
  readonly schema?: TSchema
  /** Throws where the text cannot be read; before anything is asked of an item. */
  readonly check?: (text: string) => void
  readonly matches: (item: Item, text: string) => boolean
}

const maxPage = 500
/** Some ten milliseconds of them. */
const itemsAtOnce = 1000
const defaultPage = 100

/** A filter on equality with a field. @param schema  of what may be asked for, where that is not any text */
export function fieldFilter<Item>(field: keyof Item & string, description: string, schema?: TSchema): Filter<Item> {
  const asked = schema && { ...schema, description }
  return { description, ...(asked && { schema: asked }), matches: (item, text) => String(item[field] ?? '') === text }
}

/** The same with `*` for any text, and without regard to case. */
export function wildcardFilter<Item>(field: keyof Item & string, description: string): Filter<Item> {
  return {
    description: `${description} "*" stands for any text.`,
    matches: (item, text) => matchesWildcard(String(item[field] ?? '').toLowerCase(), text.toLowerCase()),
  }
}

/** Part after part from the left, in one pass: an expression of many `*` could take for ever. */
function matchesWildcard(text: string, pattern: string): boolean {
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return text === first
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let offset = first.length
  for (const part of parts) {
    const found = text.indexOf(part, offset)
    if (found === -1 || found + part.length > end) return false
    offset = found + part.length
  }
  return true
}

export function addListRoute<P extends TObject, I extends TObject>(
  app: FastifyInstance,
  api: Api,
  route: ListRoute<P, I>,
): void {
  const { filters = {}, sortFields = [], hasTags = false } = route
  const sorts = [...sortFields, route.idField].flatMap(field => [field, `-${field}`])
  const query = Type.Object(
    {
      maxResults: Type.Optional(
        Type.Integer({ description: 'Items of a page.', minimum: 1, maximum: maxPage, default: defaultPage }),
      ),
      nextToken: Type.Optional(Type.String({ description: 'From the page before.', maxLength: 2048 })),
      sort: Type.Optional(Type.Enum(sorts, { description: 'The field to sort by; with "-" downwards.' })),
      ...(hasTags && {
        tag: Type.Optional(
          Type.Unsafe<string | readonly string[]>({
            description: '`key` or `key:value`; all that are given must hold.',
            anyOf: [
              { type: 'string', maxLength: 260 },
              { type: 'array', maxItems: 20, items: { type: 'string', maxLength: 260 } },
            ],
          }),
        ),
      }),
      ...Object.fromEntries(
        Object.entries(filters).map(([name, { description, schema }]) => [
          name,
          Type.Optional(schema ?? Type.String({ description, maxLength: 256 })),
        ]),
      ),
    },
    { additionalProperties: false },
  )
  const answer = Type.Object({
    items: Type.Array(route.item),
    nextToken: Type.Union([Type.String(), Type.Null()], { description: 'null on the last page.' }),
    totalCount: Type.Integer({ description: 'Items that match, on all pages together.' }),
  })
  addReadRoute(app, api, {
    url: route.url,
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    tag: route.tag,
    ...(route.params !== undefined && { params: route.params }),
    query,
    answer,
    read: async (world, input) => {
      const given = input.query as Readonly<Record<string, unknown>>
      for (const [name, { check }] of Object.entries(filters)) {
        if (check !== undefined && given[name] !== undefined) check(String(given[name]))
      }
      const matching: Static<I>[] = []
      let seen = 0
      for (const item of route.items(world, input as never)) {
        if (matches(item, given, filters, hasTags)) matching.push(item)
        seen += 1
        // A list of fifty thousand must not keep agents and other clients waiting.
        if (seen % itemsAtOnce === 0) await setImmediate()
      }
      return pageOf(matching, given, route) as never
    },
  })
}

function matches<Item>(
  item: Item,
  given: Readonly<Record<string, unknown>>,
  filters: Readonly<Record<string, Filter<Item>>>,
  hasTags: boolean,
): boolean {
  for (const [name, filter] of Object.entries(filters)) {
    if (given[name] !== undefined && !filter.matches(item, String(given[name]))) return false
  }
  const wanted = hasTags ? [given.tag ?? []].flat().map(String) : []
  return wanted.every(text => hasTag((item as { tags: Tags }).tags, text))
}

function hasTag(tags: Tags, text: string): boolean {
  if (Object.hasOwn(tags, text)) return true
  const colon = text.indexOf(':')
  const key = text.slice(0, colon)
  return colon > 0 && Object.hasOwn(tags, key) && tags[key] === text.slice(colon + 1)
}

type SortKey = readonly [value: string | number, id: string]

function pageOf<Item>(
  items: readonly Item[],
  given: Readonly<Record<string, unknown>>,
  { idField, defaultSort }: { readonly idField: string; readonly defaultSort?: string },
) {
  const sort = String(given.sort ?? defaultSort ?? idField)
  const sign = sort.startsWith('-') ? -1 : 1
  const field = sort.replace(/^-/, '')
  const keyOf = (item: Item): SortKey => {
    const fields = item as Readonly<Record<string, string | number | null>>
    return [fields[field] ?? '', String(fields[idField])]
  }
  const compare = (a: SortKey, b: SortKey) => sign * (compareValues(a[0], b[0]) || compareValues(a[1], b[1]))
  const after = given.nextToken === undefined ? null : readNextToken(String(given.nextToken), sort)
  const sorted = items.map(item => ({ item, key: keyOf(item) })).sort((a, b) => compare(a.key, b.key))
  const rest = after === null ? sorted : sorted.filter(({ key }) => compare(key, after) > 0)
  const page = rest.slice(0, Number(given.maxResults ?? defaultPage))
  const last = page.at(-1)
  return {
    items: page.map(({ item }) => item),
    nextToken: last !== undefined && page.length < rest.length ? writeNextToken(last.key, sort) : null,
    totalCount: items.length,
  }
}

function compareValues(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Where the next page begins: after this item, also where it is gone meanwhile. */
function writeNextToken(key: SortKey, sort: string): string {
  return Buffer.from(JSON.stringify([sort, ...key])).toString('base64url')
}

function readNextToken(token: string, sort: string): SortKey {
  const [givenSort, value, id] = parseToken(token)
  if (givenSort === sort && (typeof value === 'string' || typeof value === 'number') && typeof id === 'string') {
    return [value, id]
  }
  const message = 'Cannot continue from nextToken: expected one of the same list in the same order'
  throw new ApiError(400, 'InvalidParameter', message, {
    errors: [{ code: 'invalid-value', field: '?nextToken', message }],
  })
}

function parseToken(token: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
