/** API tokens, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { accountIdField, exact, nameField, nullable, patterned, revisionField, timeField } from './fields.ts'

const tenYearsSeconds = 10 * 366 * 24 * 3600

const scopeSchema = Type.Object(
  {
    accountId: Type.String({
      description: 'An account; `*` for all of them and for what belongs to none.',
      ...patterned('^([0-9]{16}|\\*)$', '16 digits or "*"'),
    }),
    access: Type.Enum(['read', 'write'], { description: 'write implies read.' }),
  },
  exact,
)

const userSchema = Type.Object(
  {
    accountId: accountIdField('The account of the user.'),
    userName: Type.String({ description: 'A user of RAM.', minLength: 1, maxLength: 64 }),
  },
  exact,
)

export const apiTokenSchema = Type.Object({
  tokenId: Type.String(),
  name: Type.String(),
  scopes: Type.Array(scopeSchema),
  user: nullable(userSchema),
  createTime: timeField('When it was made.'),
  expireTime: nullable(timeField('When it ends; null: never.')),
  revision: revisionField,
})
export type ApiToken = Static<typeof apiTokenSchema>

export const createTokenSchema = Type.Object(
  {
    name: nameField('Whose it is, or what for: the audit log names it. No other token has it.'),
    scopes: Type.Optional(
      Type.Array(scopeSchema, {
        description: 'Of an operator’s token: each account once.',
        minItems: 1,
        maxItems: 100,
      }),
    ),
    user: Type.Optional(userSchema),
    expiresInSeconds: Type.Optional(
      nullable(Type.Integer({ description: 'Never ends where left out.', minimum: 1, maximum: tenYearsSeconds })),
    ),
  },
  exact,
)

export const whoamiSchema = Type.Object({
  tokenId: Type.String(),
  name: Type.String(),
  scopes: Type.Array(scopeSchema),
  identity: nullable(
    Type.Object({
      type: Type.Enum(['Account', 'RAMUser', 'AssumedRoleUser']),
      accountId: Type.String(),
      arn: Type.String(),
    }),
  ),
})
