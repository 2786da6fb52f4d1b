/** Prefix lists, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import {
  accountIdField,
  descriptionField,
  exact,
  groupNameField,
  idField,
  nullable,
  revisionField,
  tagsField,
  timeField,
} from './fields.ts'

export const mostEntries = 200

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
const entry = Type.Object({ cidr, description: Type.Optional(nullable(descriptionField('entry'))) }, exact)
export type AskedEntry = Static<typeof entry>

const maxEntries = Type.Integer({
  description: `Entries it may have at most; ${mostEntries} if left out.`,
  minimum: 1,
  maximum: mostEntries,
})
const entries = (description: string) => Type.Array(entry, { description, maxItems: mostEntries })

export const createPrefixListSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    prefixListId: Type.Optional(idField('prefixList', 'Made where left out.')),
    prefixListName: groupNameField('What people call it.'),
    description: Type.Optional(nullable(descriptionField('prefix list'))),
    tags: Type.Optional(tagsField),
    addressFamily,
    maxEntries: Type.Optional(maxEntries),
    entries: Type.Optional(entries('Each block once.')),
  },
  exact,
)
export type NewPrefixList = Static<typeof createPrefixListSchema>

export const modifyPrefixListSchema = Type.Object(
  {
    prefixListName: Type.Optional(groupNameField('What people call it.')),
    description: Type.Optional(nullable(descriptionField('prefix list'))),
    tags: Type.Optional(nullable(tagsField)),
    maxEntries: Type.Optional(maxEntries),
    addEntries: Type.Optional(entries('A block that is there gets this description.')),
    removeEntries: Type.Optional(
      Type.Array(Type.Object({ cidr }, exact), {
        description: 'Taken out before others are added; one that is not there is left alone.',
        maxItems: mostEntries,
      }),
    ),
  },
  exact,
)
export type PrefixListChanges = Static<typeof modifyPrefixListSchema>

export const associationSchema = Type.Object({
  securityGroupId: Type.String(),
  securityGroupRuleIds: Type.Array(Type.String()),
})
