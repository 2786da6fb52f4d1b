/** What the actions of prefix lists and of lists of ports have in common: fields, pages of lists, groups that name one. */
import Type from 'typebox'
import type { PortRangeListDoc, PrefixListDoc } from '../model/documents.ts'
import { groupsNaming } from '../services/named-lists.ts'
import type { World } from '../state/world.ts'
import { type AskedPage, pageOf, pagingParameters } from './paging.ts'
import { coded } from './read-parameters.ts'
import { type AskedTags, hasTags, tagParameters } from './shapes.ts'

const pages = { usual: 10, most: 100 }

export const listId = Type.String({ maxLength: 64 })

/** @param code  that a name in another form is refused with */
export function listName(code: string) {
  return coded(code, Type.String({ pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{N}:_.-]{1,127}$' }))
}

export const description = coded(
  'InvalidParameter.Description',
  Type.String({ maxLength: 256, pattern: '^(?!https?://)' }),
)
export const entryDescription = Type.Optional(
  coded('InvalidParameter.EntryDescription', Type.String({ maxLength: 32 })),
)

export const listPaging = pagingParameters(pages)

/** Beside ids, for which the kinds have names of their own. */
export const searchParameters = { ...tagParameters, ...listPaging }

export const askedIds = Type.Optional(Type.Array(listId, { maxItems: 100 }))
export const askedName = Type.Optional(Type.String({ maxLength: 128 }))

interface Search extends AskedPage {
  readonly accountId: string
  readonly ids: readonly string[] | undefined
  readonly name: string | undefined
  readonly Tag?: AskedTags
}

/** Those that are asked for, in the order of their ids. @throws {ApiError} 400 for a token of no list */
export function pageOfLists<List extends PrefixListDoc | PortRangeListDoc>(
  lists: Iterable<List>,
  { accountId, ids, name, Tag, ...page }: Search,
) {
  const found = [...lists]
    .filter(
      list =>
        list.accountId === accountId &&
        (ids === undefined || ids.includes(list.id)) &&
        (!name || list.name === name) &&
        hasTags(list.tags, Tag),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const { items, fields } = pageOf(found, list => list.id, { MaxResults: pages.usual, ...page }, pages)
  return { lists: items, NextToken: fields.NextToken }
}

/** Groups with rules that name the list. @throws {ApiError} 400 for a token of no list */
export function pageOfAssociations(world: World, id: string, page: AskedPage) {
  const asked = { MaxResults: pages.usual, ...page }
  const { items, fields } = pageOf(groupsNaming(world, id), group => group.id, asked, pages)
  return {
    associations: items.map(group => ({ ResourceId: group.id, ResourceType: 'securitygroup' })),
    NextToken: fields.NextToken,
  }
}
