/** Lists of ports, as the API shows and takes them. */
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

/** As published; a rule that names a list of more than `limits.rulesPerGroup` is refused. */
export const mostRanges = 2000
export const usualRanges = 20

export const portRangeListSchema = Type.Object({
  portRangeListId: Type.String(),
  accountId: Type.String(),
  portRangeListName: nullable(Type.String()),
  description: nullable(Type.String()),
  tags: Type.Record(Type.String(), Type.String()),
  maxEntries: Type.Integer(),
  entries: Type.Array(Type.Object({ portRange: Type.String(), description: nullable(Type.String()) })),
  associationCount: Type.Integer({ description: 'Security groups with rules that name it.' }),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type ShownPortRangeList = Static<typeof portRangeListSchema>

const portRange = Type.String({ description: '`start/end`, or one port.', maxLength: 64 })
const { description, maxEntries, entries, addEntries, removeEntries } = namedListFields(
  { portRange },
  {
    list: 'list of ports',
    entry: 'range',
    maxEntries: `Entries it may have at most, and what a rule that names it counts for; ${usualRanges} if left out.`,
    most: mostRanges,
  },
)

export const createPortRangeListSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    portRangeListId: Type.Optional(idField('portRangeList', 'Made where left out.')),
    portRangeListName: groupNameField('What people call it.'),
    description,
    tags: Type.Optional(tagsField),
    maxEntries,
    entries,
  },
  exact,
)
export type NewPortRangeList = Static<typeof createPortRangeListSchema>

export const modifyPortRangeListSchema = Type.Object(
  {
    portRangeListName: Type.Optional(groupNameField('What people call it.')),
    description,
    tags: Type.Optional(nullable(tagsField)),
    maxEntries,
    addEntries,
    removeEntries,
  },
  exact,
)
export type PortRangeListChanges = Static<typeof modifyPortRangeListSchema>
