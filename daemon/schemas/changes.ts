/** Commits, as the API shows them. */

import Type from 'typebox'
import { principalKinds } from '../model/note.ts'
import { nullable, timeField } from './fields.ts'

export const principalSchema = Type.Object({
  kind: Type.Enum([...principalKinds]),
  id: Type.String(),
  name: Type.String(),
  credentialId: Type.Optional(
    Type.String({ description: 'The access key or API token that it came with; left out where that is `id`.' }),
  ),
})

export const actionsField = Type.Array(Type.String(), {
  description: 'All that it was: ingress and egress rules are added, changed and taken away by actions of their own.',
})

const common = {
  revision: Type.Integer(),
  time: timeField('When it was committed.'),
  action: nullable(Type.String()),
  actions: actionsField,
  principal: nullable(principalSchema),
  keys: Type.Array(Type.String(), { description: 'Objects it wrote, `group/sg-web`; of those the token may see.' }),
}

export const changeFields = common

export const listedChangeSchema = Type.Object({
  ...common,
  enforcement: nullable(
    Type.Object({
      state: Type.Enum(['enforced', 'pending']),
      agents: Type.Integer(),
      enforced: Type.Integer(),
    }),
  ),
})

/** A list that goes on beyond what can be counted. */
export function pageSchema<T extends Type.TSchema>(item: T) {
  return Type.Object({
    items: Type.Array(item),
    nextToken: nullable(Type.String({ description: 'null on the last page.' })),
    totalCount: Type.Null({ description: 'To count them would mean to read them all.' }),
  })
}

export const pageQuery = {
  maxResults: Type.Optional(
    Type.Integer({ description: 'Items of a page; there may be fewer.', minimum: 1, maximum: 500, default: 100 }),
  ),
  nextToken: Type.Optional(Type.String({ description: 'From the page before.', maxLength: 256 })),
}
