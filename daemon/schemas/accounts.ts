/** Accounts, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { accountIdField, descriptionField, exact, nameField, nullable, revisionField, timeField } from './fields.ts'

export const accountSchema = Type.Object({
  accountId: Type.String(),
  name: Type.String(),
  description: nullable(Type.String()),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type Account = Static<typeof accountSchema>

export const createAccountSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('16 digits; made where left out.')),
    name: nameField('What people call it.'),
    description: Type.Optional(nullable(descriptionField('account'))),
  },
  exact,
)

export const modifyAccountSchema = Type.Object(
  {
    name: Type.Optional(nameField('What people call it.')),
    description: Type.Optional(nullable(descriptionField('account'))),
  },
  exact,
)
