/** API tokens, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { exact, nameField, nullable, revisionField, timeField } from './fields.ts'

const tenYearsSeconds = 10 * 366 * 24 * 3600

export const scopeSchema = Type.Object(
  {
    accountId: Type.String({
      description: 'An account; `*` for all of them and for what belongs to none.',
      pattern: '^([0-9]{16}|\\*)$',
    }),
    access: Type.Enum(['read', 'write'], { description: 'write implies read.' }),
  },
  exact,
)

export const apiTokenSchema = Type.Object({
  tokenId: Type.String(),
  name: Type.String(),
  scopes: Type.Array(scopeSchema),
  createTime: timeField('When it was made.'),
  expireTime: nullable(timeField('When it ends; null: never.')),
  revision: revisionField,
})
export type ApiToken = Static<typeof apiTokenSchema>

export const createTokenSchema = Type.Object(
  {
    name: nameField('Whose it is, or what for: the audit log names it. No other token has it.'),
    scopes: Type.Array(scopeSchema, { description: 'Each account once.', minItems: 1, maxItems: 100 }),
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
})
