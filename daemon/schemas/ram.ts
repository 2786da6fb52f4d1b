/** Users, groups, policies, roles and access keys, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { policyTypes } from '../model/ram.ts'
import { sessionSeconds } from '../services/ram/roles.ts'
import { exact, nullable, patterned, revisionField, timeField } from './fields.ts'

const nameOf = (of: string, most: number, characters: string) =>
  Type.String({
    description: `Name of the ${of}; the same in any case.`,
    ...patterned(`^[${characters}]{1,${most}}$`, `1 to ${most} characters of ${characters}`),
    maxLength: most,
  })

const userNameField = nameOf('user', 64, 'A-Za-z0-9._-')
const groupNameField = nameOf('group', 64, 'A-Za-z0-9._-')
const roleNameField = nameOf('role', 64, 'A-Za-z0-9.-')
const policyNameField = nameOf('policy', 128, 'A-Za-z0-9-')
const textField = (description: string, maxLength: number) =>
  Type.Optional(nullable(Type.String({ description, minLength: 1, maxLength })))

/** JSON of its own grammar, which the policy's own check reads. */
const documentField = (description: string) =>
  Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object', description, additionalProperties: true })

const arnField = Type.String({ description: 'Its name in policies and trust policies.' })
const made = { createTime: timeField('When it was made.'), updateTime: timeField('When it was changed last.') }

const attachedSchema = Type.Object({
  policyType: Type.Enum([...policyTypes]),
  policyName: Type.String(),
  attachTime: timeField('Since when.'),
})

export const ramUserSchema = Type.Object({
  accountId: Type.String(),
  userName: Type.String(),
  userId: Type.String({ description: 'Never used again.' }),
  arn: arnField,
  displayName: nullable(Type.String()),
  comments: nullable(Type.String()),
  groups: Type.Array(Type.Object({ groupName: Type.String(), joinTime: timeField('Since when.') })),
  policies: Type.Array(attachedSchema, { description: 'Its own, without those of its groups.' }),
  ...made,
  revision: revisionField,
})
export type ShownRamUser = Static<typeof ramUserSchema>

export const createRamUserSchema = Type.Object(
  {
    userName: userNameField,
    displayName: textField('For people.', 128),
    comments: textField('Whatever there is to say.', 128),
  },
  exact,
)

export const modifyRamUserSchema = Type.Object(
  { displayName: textField('For people; null takes it away.', 128), comments: textField('The same.', 128) },
  exact,
)

export const ramGroupSchema = Type.Object({
  accountId: Type.String(),
  groupName: Type.String(),
  groupId: Type.String(),
  arn: arnField,
  comments: nullable(Type.String()),
  policies: Type.Array(attachedSchema),
  userNames: Type.Array(Type.String(), { description: 'Who is in it, by name.' }),
  ...made,
  revision: revisionField,
})
export type ShownRamGroup = Static<typeof ramGroupSchema>

export const createRamGroupSchema = Type.Object(
  { groupName: groupNameField, comments: textField('Whatever there is to say.', 128) },
  exact,
)

export const ramPolicySchema = Type.Object({
  accountId: nullable(Type.String({ description: 'null for a system policy, which every account has.' })),
  policyName: Type.String(),
  policyType: Type.Enum([...policyTypes]),
  arn: arnField,
  description: nullable(Type.String()),
  defaultVersion: Type.String({ description: 'The version that holds.' }),
  attachmentCount: Type.Integer({ description: 'How many users, groups and roles have it.' }),
  createTime: nullable(timeField('When it was made; null for a system policy.')),
  updateTime: nullable(timeField('When it was changed last; null for a system policy.')),
  revision: nullable(revisionField),
})
export type ShownRamPolicy = Static<typeof ramPolicySchema>

export const ramPolicyWholeSchema = Type.Object({
  ...ramPolicySchema.properties,
  versions: Type.Array(
    Type.Object({
      versionId: Type.String(),
      isDefault: Type.Boolean(),
      document: documentField('As it was given.'),
      createTime: nullable(timeField('When it was made.')),
    }),
    { description: 'Oldest first; five at most.' },
  ),
  attachedTo: Type.Object({
    userNames: Type.Array(Type.String()),
    groupNames: Type.Array(Type.String()),
    roleNames: Type.Array(Type.String()),
  }),
})
export type ShownRamPolicyWhole = Static<typeof ramPolicyWholeSchema>

const policyDocument = documentField('`Version` and `Statement`, 6144 characters at most.')

export const createRamPolicySchema = Type.Object(
  { policyName: policyNameField, document: policyDocument, description: textField('What it is for.', 1024) },
  exact,
)

export const createPolicyVersionSchema = Type.Object(
  {
    document: policyDocument,
    setAsDefault: Type.Optional(Type.Boolean({ description: 'Whether it holds at once.', default: false })),
    rotates: Type.Optional(
      Type.Boolean({ description: 'The oldest that does not hold goes where there are five.', default: false }),
    ),
  },
  exact,
)

export const setDefaultVersionSchema = Type.Object(
  { versionId: Type.String({ description: 'v1, v2 …', pattern: '^v\\d{1,9}$' }) },
  exact,
)

export const ramRoleSchema = Type.Object({
  accountId: Type.String(),
  roleName: Type.String(),
  roleId: Type.String(),
  arn: arnField,
  description: nullable(Type.String()),
  trustPolicy: documentField('Who may assume it.'),
  maxSessionSeconds: Type.Integer({ description: 'How long a session of it may last.' }),
  policies: Type.Array(attachedSchema),
  ...made,
  revision: revisionField,
})
export type ShownRamRole = Static<typeof ramRoleSchema>

const maxSessionSeconds = Type.Optional(
  Type.Integer({
    description: `How long a session of it may last; ${sessionSeconds.usual} if left out.`,
    minimum: sessionSeconds.usual,
    maximum: sessionSeconds.most,
  }),
)
const trustPolicy = documentField('Who may assume it: statements with `Principal`, 2048 characters at most.')

export const createRamRoleSchema = Type.Object(
  { roleName: roleNameField, trustPolicy, description: textField('What it is for.', 1024), maxSessionSeconds },
  exact,
)

export const modifyRamRoleSchema = Type.Object(
  { trustPolicy: Type.Optional(trustPolicy), description: textField('What it is for.', 1024), maxSessionSeconds },
  exact,
)

export const accessKeySchema = Type.Object({
  accessKeyId: Type.String(),
  accountId: Type.String(),
  userName: nullable(Type.String({ description: 'Whose it is; null: the account’s own, which may everything in it.' })),
  status: Type.Enum(['Active', 'Inactive']),
  createTime: timeField('When it was made.'),
  lastUsedTime: nullable(timeField('When it signed last, as far as is known; a minute of it may be lost.')),
  lastUsedAddress: nullable(Type.String({ description: 'From where.' })),
  revision: revisionField,
})
export type ShownAccessKey = Static<typeof accessKeySchema>

export const createAccessKeySchema = Type.Object(
  { userName: nullable({ ...userNameField, description: 'Whose it will be; null: the account’s own.' }) },
  exact,
)

export const modifyAccessKeySchema = Type.Object(
  { status: Type.Enum(['Active', 'Inactive'], { description: 'Inactive: it signs nothing until it is Active.' }) },
  exact,
)

export const simulationSchema = Type.Object({
  userName: Type.String(),
  action: Type.String(),
  resources: Type.Array(Type.String(), {
    description:
      'All that it is done to, as policies name it; each must be allowed. The first that is not stands first.',
  }),
  isAllowed: Type.Boolean(),
  decidedBy: Type.Enum(['deny', 'allow', 'nothing'], {
    description: 'deny: a statement denies it, whatever others allow. nothing: no statement allows it.',
  }),
  statements: Type.Array(
    Type.Object({
      policyType: Type.Enum([...policyTypes]),
      policyName: Type.String(),
      statement: Type.Integer({ description: 'Its place in the policy, from 1.' }),
      effect: Type.Enum(['Allow', 'Deny']),
      groupName: nullable(Type.String({ description: 'The group that the user has it from; null: its own.' })),
      isDeciding: Type.Boolean(),
    }),
    { description: 'All that speak of it, those that decide first.' },
  ),
})
export type Simulation = Static<typeof simulationSchema>
