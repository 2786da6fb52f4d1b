/**
 * Lists in pages, in both styles of the published API: `MaxResults` and `NextToken`, or `PageNumber` and `PageSize`.
 */
import Type, { type Static } from 'typebox'
import { ApiError } from '../errors.ts'

export interface PageBounds {
  readonly usual: number
  readonly most: number
}

export function pagingParameters({ most }: PageBounds) {
  return {
    MaxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: most })),
    NextToken: Type.Optional(Type.String({ maxLength: 200 })),
    PageNumber: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    PageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: most })),
  }
}

const asked = Type.Object(pagingParameters({ usual: 1, most: 1 }))
export type AskedPage = Static<typeof asked>

export interface Page<T> {
  readonly items: readonly T[]
  /** Goes into the answer as it is. */
  readonly fields: {
    readonly TotalCount: number
    readonly PageNumber: number
    readonly PageSize: number
    /** Empty on the last page. */
    readonly NextToken: string
  }
}

/**
 * @param items   all of them, in an order that stays
 * @param nameOf  by which a page is continued: what came before it may have gone meanwhile
 * @throws {ApiError} 400 for a token of no list
 */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  asked: AskedPage,
  { usual }: PageBounds,
): Page<T> {
  const { MaxResults, NextToken, PageNumber = 1, PageSize = usual } = asked
  const byToken = MaxResults !== undefined || (NextToken !== undefined && NextToken !== '')
  const size = byToken ? (MaxResults ?? usual) : PageSize
  const begin = byToken ? beginBehind(items, nameOf, { NextToken }) : (PageNumber - 1) * PageSize
  const shown = items.slice(begin, begin + size)
  const last = shown.at(-1)
  const isLast = begin + size >= items.length || last === undefined
  return {
    items: shown,
    fields: {
      TotalCount: items.length,
      PageNumber: byToken ? 1 : PageNumber,
      PageSize: size,
      NextToken: isLast ? '' : tokenOf(nameOf(last)),
    },
  }
}

/**
 * Where the page begins that a token continues.
 * @param items  in the order of their names: the one that the token holds may have gone meanwhile
 * @param asked  the token, keyed by what the parameter is called
 * @throws {ApiError} 400 for a token of no list
 */
export function beginBehind<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  asked: Readonly<Record<string, string | undefined>>,
): number {
  const [[field, token] = []] = Object.entries(asked)
  if (token === undefined || token === '') return 0
  const name = Buffer.from(token, 'base64url').toString('utf8')
  if (tokenOf(name) !== token) {
    throw new ApiError(400, `InvalidParameter.${field}`, `Cannot continue from ${field}: expected one of this list`)
  }
  const at = items.findIndex(item => nameOf(item) > name)
  return at < 0 ? items.length : at
}

/** For the page behind the item with this name. */
export function tokenOf(name: string): string {
  return Buffer.from(name).toString('base64url')
}
