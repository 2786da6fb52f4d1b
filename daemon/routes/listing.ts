/**
 * Lists in pages: filtered by fields and tags, sorted, and continued after the last item of the page before. What an
 * item is made of is filtered and sorted; only the page is shown.
 */
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Tags } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import { type Api, addReadRoute, type RouteInput } from './route.ts'

/** `Source` is what an item is made of: everything it says of it costs next to nothing. */
export interface ListRoute<P extends TObject, I extends TObject, Source> {
  readonly url: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
  readonly params?: P
  /** Everything the principal may see. Stands before what asks of it: TypeScript learns here what a source is. */
  readonly sources: (world: World, input: RouteInput<P, TObject, TSchema>) => Iterable<Source>
  readonly item: I
  readonly show: (source: Source, world: World, input: RouteInput<P, TObject, TSchema>) => Static<I>
  /** The field that names an item: the order where nothing else decides. */
  readonly idField: keyof Static<I> & string
  readonly idOf: (source: Source) => string
  /** Query parameters that filter, named as the fields. */
  readonly filters?: Readonly<Record<string, Filter<Source>>>
  /** Fields to sort by, with what is shown in them. */
  readonly sorts?: { readonly [Field in keyof Static<I> & string]?: (source: Source) => SortValue }
  /** Left out where items have no tags to filter by. */
  readonly tagsOf?: (source: Source) => Tags
  /** Newest first, say: the order where the client asks for none; by id where left out. */
  readonly defaultSort?: string
}

export type Filter<Source> = {
  readonly description: string
  /** Of what may be asked for, where that is not any text. */
  readonly schema?: TSchema
} /** That the field is the text which the client wrote; the empty text finds null. */ & (
  | { readonly equals: (source: Source) => string | null }
  /** The same with `*` for any text, and without regard to case. */
  | { readonly like: (source: Source) => string | null }
  /** Anything else, made of the text. Throws where that cannot be read. */
  | { readonly test: (text: string) => Test<Source> }
)

type Test<Source> = (source: Source) => boolean

/** null goes before everything else. */
type SortValue = string | number | null

type Given = Readonly<Record<string, unknown>>

const maxPage = 500
const defaultPage = 100
/** Some milliseconds of them. */
const sourcesAtOnce = 10_000

export function addListRoute<P extends TObject, I extends TObject, Source>(
  app: FastifyInstance,
  api: Api,
  route: ListRoute<P, I, Source>,
): void {
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
    query: querySchema(route),
    answer,
    read: async (world, input) => {
      const given = input.query as Given
      const tests = testsOf(route, given)
      // As they are now, whatever is written while others are answered.
      const sources = [...route.sources(world, input)]
      const page = new Page<Source>(orderOf(route, given), given)
      for (const [index, source] of sources.entries()) {
        if (tests.every(test => test(source))) page.add(source)
        // A list of fifty thousand must not keep agents and other clients waiting.
        if ((index + 1) % sourcesAtOnce === 0) await setImmediate()
      }
      const { items, ...rest } = page.end()
      return { items: items.map(source => route.show(source, world, input as never)), ...rest } as never
    },
  })
}

function querySchema<P extends TObject, I extends TObject, Source>(route: ListRoute<P, I, Source>) {
  const { filters = {}, sorts = {}, tagsOf, idField } = route
  const words = [...Object.keys(sorts), idField].flatMap(field => [field, `-${field}`])
  return Type.Object(
    {
      maxResults: Type.Optional(
        Type.Integer({ description: 'Items of a page.', minimum: 1, maximum: maxPage, default: defaultPage }),
      ),
      nextToken: Type.Optional(Type.String({ description: 'From the page before.', maxLength: 2048 })),
      sort: Type.Optional(Type.Enum(words, { description: 'The field to sort by; with "-" downwards.' })),
      ...(tagsOf !== undefined && {
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
        Object.entries(filters).map(([name, filter]) => [name, Type.Optional(askedSchema(filter))]),
      ),
    },
    { additionalProperties: false },
  )
}

function askedSchema<Source>(filter: Filter<Source>): TSchema {
  const description = 'like' in filter ? `${filter.description} "*" stands for any text.` : filter.description
  return filter.schema === undefined ? Type.String({ description, maxLength: 256 }) : { ...filter.schema, description }
}

/** All that a source must pass. */
function testsOf<Source>(
  { filters = {}, tagsOf }: Pick<ListRoute<TObject, TObject, Source>, 'filters' | 'tagsOf'>,
  given: Given,
): readonly Test<Source>[] {
  const asked = Object.entries(filters).filter(([name]) => given[name] !== undefined)
  const tags = tagsOf === undefined ? [] : [given.tag ?? []].flat().map(String)
  return [
    ...asked.map(([name, filter]) => testOf(filter, String(given[name]))),
    ...tags.map(
      (text): Test<Source> =>
        source =>
          hasTag(tagsOf!(source), text),
    ),
  ]
}

function testOf<Source>(filter: Filter<Source>, text: string): Test<Source> {
  if ('equals' in filter) return source => (filter.equals(source) ?? '') === text
  if ('test' in filter) return filter.test(text)
  const pattern = text.toLowerCase().split('*')
  return source => matchesWildcard((filter.like(source) ?? '').toLowerCase(), pattern)
}

/**
 * Part after part from the left, in one pass: an expression of many `*` could take for ever.
 * @param pattern  what stands between its `*`
 */
function matchesWildcard(text: string, pattern: readonly string[]): boolean {
  const [first = '', ...parts] = pattern
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

function hasTag(tags: Tags, text: string): boolean {
  if (Object.hasOwn(tags, text)) return true
  const colon = text.indexOf(':')
  const key = text.slice(0, colon)
  return colon > 0 && Object.hasOwn(tags, key) && tags[key] === text.slice(colon + 1)
}

type SortKey = readonly [value: string | number, id: string]

interface Order<Source> {
  /** As the client writes it. */
  readonly sort: string
  readonly keyOf: (source: Source) => SortKey
  readonly compare: (a: SortKey, b: SortKey) => number
}

function orderOf<Source>(
  {
    idField,
    idOf,
    sorts = {},
    defaultSort = idField,
  }: Pick<ListRoute<TObject, TObject, Source>, 'idField' | 'idOf' | 'sorts' | 'defaultSort'>,
  given: Given,
): Order<Source> {
  const sort = String(given.sort ?? defaultSort)
  const sign = sort.startsWith('-') ? -1 : 1
  const field = sort.replace(/^-/, '')
  const fieldOf = field === idField ? idOf : sorts[field]!
  return {
    sort,
    keyOf: source => [fieldOf(source) ?? '', idOf(source)],
    compare: (a, b) => sign * (compareValues(a[0], b[0]) || compareValues(a[1], b[1])),
  }
}

function compareValues(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

interface Row<Source> {
  readonly source: Source
  readonly key: SortKey
}

/** Of any number of sources those of one page, in their order. */
class Page<Source> {
  readonly #order: Order<Source>
  readonly #size: number
  /** Nothing up to here is on the page. */
  readonly #after: SortKey | null
  #totalCount = 0
  #restCount = 0
  /** Those of the page are among them: sorted and cut from time to time, so that never all are sorted. */
  #rows: Row<Source>[] = []
  /** Nothing from here on is on the page. */
  #end: SortKey | null = null

  /** @throws {ApiError} 400 for a token of no list in this order */
  constructor(order: Order<Source>, { maxResults = defaultPage, nextToken }: Given) {
    this.#order = order
    this.#size = Number(maxResults)
    this.#after = nextToken === undefined ? null : readNextToken(String(nextToken), order.sort)
  }

  add(source: Source): void {
    const { keyOf, compare } = this.#order
    const key = keyOf(source)
    this.#totalCount += 1
    if (this.#after !== null && compare(key, this.#after) <= 0) return
    this.#restCount += 1
    if (this.#end !== null && compare(key, this.#end) >= 0) return
    this.#rows.push({ source, key })
    if (this.#rows.length > 2 * maxPage) this.#cut()
  }

  end() {
    this.#cut()
    const last = this.#rows.at(-1)
    return {
      items: this.#rows.map(({ source }) => source),
      nextToken:
        last !== undefined && this.#rows.length < this.#restCount ? writeNextToken(last.key, this.#order.sort) : null,
      totalCount: this.#totalCount,
    }
  }

  #cut(): void {
    this.#rows = this.#rows.sort((a, b) => this.#order.compare(a.key, b.key)).slice(0, this.#size)
    if (this.#rows.length === this.#size) this.#end = this.#rows.at(-1)?.key ?? null
  }
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
