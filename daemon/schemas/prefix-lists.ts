/** Prefix lists, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import {
  accountIdField,
  exact,
  groupNameField,
  idField,
  nullable,
  revisionField,
  tagsField,
  timeField,
} from './fields.ts'
import { namedListFields } from './named-lists.ts'

export const mostEntries = 200
export const usualEntries = 20

const addressFamily = Type.Enum(['IPv4', 'IPv6'], { description: 'Of all its entries.' })

export const prefixListSchema = Type.Object({
  prefixListId: Type.String(),
  accountId: Type.String(),
  prefixListName: nullable(Type.String()),
  description: nullable(Type.String()),
  tags: Type.Record(Type.String(), Type.String()),
  addressFamily,
  maxEntries: Type.Integer(),
  entries: Type.Array(Type.Object({ cidr: Type.String(), description: nullable(Type.String()) })),
  associationCount: Type.Integer({ description: 'Security groups with rules that name it.' }),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type ShownPrefixList = Static<typeof prefixListSchema>

const cidr = Type.String({
  description: 'A block of the list’s family; a bare address is /32 or /128, host bits are masked off.',
  maxLength: 64,
})
const { description, maxEntries, entries, addEntries, removeEntries } = namedListFields(
  { cidr },
  {
    list: 'prefix list',
    entry: 'block',
    maxEntries: `Entries it may have at most, and what a rule that names it counts for; if left out ${usualEntries}, or as many as it is made with.`,
    most: mostEntries,
  },
)

export const createPrefixListSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    prefixListId: Type.Optional(idField('prefixList', 'Made where left out.')),
    prefixListName: groupNameField('What people call it.'),
    description,
    tags: Type.Optional(tagsField),
    addressFamily,
    maxEntries,
    entries,
  },
  exact,
)
export type NewPrefixList = Static<typeof createPrefixListSchema>

export const modifyPrefixListSchema = Type.Object(
  {
    prefixListName: Type.Optional(groupNameField('What people call it.')),
    description,
    tags: Type.Optional(nullable(tagsField)),
    maxEntries,
    addEntries,
    removeEntries,
  },
  exact,
)
export type PrefixListChanges = Static<typeof modifyPrefixListSchema>
