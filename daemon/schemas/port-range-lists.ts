/** Lists of ports, as the API shows and takes them. */
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
const entry = Type.Object({ portRange, description: Type.Optional(nullable(descriptionField('entry'))) }, exact)
export type AskedRange = Static<typeof entry>

const maxEntries = Type.Integer({
  description: `Entries it may have at most, and what a rule that names it counts for; ${usualRanges} if left out.`,
  minimum: 1,
  maximum: mostRanges,
})
const entries = (description: string) => Type.Array(entry, { description, maxItems: mostRanges })

export const createPortRangeListSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    portRangeListId: Type.Optional(idField('portRangeList', 'Made where left out.')),
    portRangeListName: groupNameField('What people call it.'),
    description: Type.Optional(nullable(descriptionField('list of ports'))),
    tags: Type.Optional(tagsField),
    maxEntries: Type.Optional(maxEntries),
    entries: Type.Optional(entries('Each range once.')),
  },
  exact,
)
export type NewPortRangeList = Static<typeof createPortRangeListSchema>

export const modifyPortRangeListSchema = Type.Object(
  {
    portRangeListName: Type.Optional(groupNameField('What people call it.')),
    description: Type.Optional(nullable(descriptionField('list of ports'))),
    tags: Type.Optional(nullable(tagsField)),
    maxEntries: Type.Optional(maxEntries),
    addEntries: Type.Optional(entries('A range that is there gets this description.')),
    removeEntries: Type.Optional(
      Type.Array(Type.Object({ portRange }, exact), {
        description: 'Taken out before others are added; one that is not there is left alone.',
        maxItems: mostRanges,
      }),
    ),
  },
  exact,
)
export type PortRangeListChanges = Static<typeof modifyPortRangeListSchema>
