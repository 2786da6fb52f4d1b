/** What the API takes of prefix lists and lists of ports alike, and shows of rules that name them. */
import Type, { type TProperties } from 'typebox'
import { descriptionField, exact, nullable } from './fields.ts'

/** The words and numbers that differ. */
interface ListText {
  /** `prefix list` */
  readonly list: string
  /** `block` */
  readonly entry: string
  readonly maxEntries: string
  /** Entries that any list may have. */
  readonly most: number
}

/**
 * Fields of a list of entries, and of changes to one.
 * @param what  what an entry is: its one field besides the description
 */
export function namedListFields<What extends TProperties>(what: What, { list, entry, maxEntries, most }: ListText) {
  const item = Type.Object({ ...what, description: Type.Optional(nullable(descriptionField('entry'))) }, exact)
  const entries = (description: string) => Type.Optional(Type.Array(item, { description, maxItems: most }))
  return {
    description: Type.Optional(nullable(descriptionField(list))),
    maxEntries: Type.Optional(Type.Integer({ description: maxEntries, minimum: 1, maximum: most })),
    entries: entries(`Each ${entry} once.`),
    addEntries: entries(`A ${entry} that is there gets this description.`),
    removeEntries: Type.Optional(
      Type.Array(Type.Object(what, exact), {
        description: 'Taken out before others are added; one that is not there is left alone.',
        maxItems: most,
      }),
    ),
  }
}

export const associationSchema = Type.Object({
  securityGroupId: Type.String(),
  securityGroupRuleIds: Type.Array(Type.String()),
})
