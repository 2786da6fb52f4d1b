/**
 * Rules, as the API shows and takes them. What may stand in a field of a request is for the policy's own checks to say,
 * so that the API and policy files take the same rules; the schemas here ask for the right kind of value, no more.
 */
import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { descriptionField, exact, nullable, timeField } from './fields.ts'

/** Ten IPv6 blocks are some 450 characters; the limit on how many there may be is a setting. */
const maxObjectText = 4096

const text = (description: string) => Type.String({ description, maxLength: 64 })
const objects = (description: string) =>
  Type.String({
    description: `${description} Several, separated by commas, are a rule each.`,
    maxLength: maxObjectText,
  })

const direction = Type.Enum(['ingress', 'egress'], { description: 'What comes to the ENI, or what leaves it.' })
const policy = Type.Enum(['accept', 'drop'], { description: 'accept if left out. A drop is silent.' })
const priority = Type.Integer({ description: '1 (first, if left out) to 100. At equal priority drop wins.' })
const nicType = Type.Enum(['internet', 'intranet'], {
  description:
    'Classic networks: which ENIs the rule is for; internet if left out. Rules that name a group are intranet.',
})
const ipProtocol = text('all, tcp, udp, icmp (IPv4 only), icmpv6 (IPv6 only) or gre, in upper or lower case.')
const portRange = text('Destination ports, `start/end`; needed for tcp and udp, `-1/-1` for the others.')
const portRangeListId = text('In place of portRange, for tcp and udp: a list of ports of the group’s account.')
const sourcePortRange = text('Source ports, `start/end`; any if left out.')

/** The authorization object of ingress is a source, that of egress a destination; the other side's CIDR narrows. */
const sides = {
  sourceCidrIp: objects('IPv4 source.'),
  ipv6SourceCidrIp: objects('IPv6 source.'),
  sourceGroupId: objects('Ingress: the group whose members are the source.'),
  sourceGroupOwnerAccount: text('The account of sourceGroupId where it is another.'),
  sourceGroupOwnerId: text('The same as sourceGroupOwnerAccount.'),
  sourcePrefixListId: objects('Ingress: the prefix list that is the source.'),
  destCidrIp: objects('IPv4 destination.'),
  ipv6DestCidrIp: objects('IPv6 destination.'),
  destGroupId: objects('Egress: the group whose members are the destination.'),
  destGroupOwnerAccount: text('The account of destGroupId where it is another.'),
  destGroupOwnerId: text('The same as destGroupOwnerAccount.'),
  destPrefixListId: objects('Egress: the prefix list that is the destination.'),
}

const description = descriptionField('rule')
const optional = <T extends TProperties>(fields: T) => Type.Partial(Type.Object(fields)).properties

/** The fields of a rule in the order they are shown, but for its id and time: those that another group's rule can share. */
export const ruleFieldNames = [
  'direction',
  'policy',
  'priority',
  'ipProtocol',
  'portRange',
  'portRangeListId',
  'sourcePortRange',
  'sourceCidrIp',
  'ipv6SourceCidrIp',
  'sourceGroupId',
  'sourceGroupOwnerAccount',
  'sourcePrefixListId',
  'destCidrIp',
  'ipv6DestCidrIp',
  'destGroupId',
  'destGroupOwnerAccount',
  'destPrefixListId',
  'nicType',
  'description',
] as const

const { sourceGroupOwnerId: _source, destGroupOwnerId: _dest, ...shownSides } = sides

const shownRule = {
  direction,
  policy,
  priority,
  ipProtocol,
  portRange,
  ...optional({ portRangeListId, sourcePortRange, ...shownSides }),
  nicType,
  ...optional({ description }),
}

export const exportedRuleSchema = Type.Object(shownRule)
export type ExportedRule = Static<typeof exportedRuleSchema>

export const permissionSchema = Type.Object({
  securityGroupRuleId: Type.String(),
  ...shownRule,
  createTime: timeField('When it was added.'),
})
export type Permission = Static<typeof permissionSchema>

const askedFields = {
  direction,
  ...optional({
    policy,
    priority,
    ipProtocol,
    portRange,
    portRangeListId,
    service: text(
      'In place of protocol and port: ssh, https, mysql and so on, as /v1/security-group-templates lists them.',
    ),
    sourcePortRange,
    ...sides,
    nicType,
    description,
  }),
}

export const askedPermissionSchema = Type.Object(askedFields, exact)
export type AskedPermission = Static<typeof askedPermissionSchema>

/** A rule that was read here or elsewhere: its id and time come along and mean nothing. */
export const copiedPermissionSchema = Type.Object(
  {
    ...askedFields,
    ...optional({
      securityGroupRuleId: text('Not taken over.'),
      createTime: text('Not taken over.'),
    }),
  },
  exact,
)

const cleared = <T extends Record<string, TSchema>>(fields: T) =>
  Object.fromEntries(Object.entries(fields).map(([name, schema]) => [name, Type.Optional(nullable(schema))])) as {
    [K in keyof T]: ReturnType<typeof Type.Optional<ReturnType<typeof nullable<T[K]>>>>
  }

export const modifyRuleSchema = Type.Object(
  {
    ...optional({ direction, policy, priority, ipProtocol }),
    ...cleared({ portRange, portRangeListId, sourcePortRange, ...sides, nicType, description }),
  },
  exact,
)
export type RuleChanges = Static<typeof modifyRuleSchema>

export const maxPermissions = 100

export const authorizeSchema = Type.Object(
  { permissions: Type.Array(askedPermissionSchema, { minItems: 1, maxItems: maxPermissions }) },
  exact,
)

export const revokeSchema = Type.Object(
  {
    securityGroupRuleIds: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 1000 })),
    permissions: Type.Optional(Type.Array(copiedPermissionSchema, { minItems: 1, maxItems: maxPermissions })),
  },
  exact,
)

/** More than any group may have by the default limit; the limit itself is checked on the rules. */
export const maxImported = 2000

export const importSchema = Type.Object(
  { permissions: Type.Array(copiedPermissionSchema, { maxItems: maxImported }) },
  exact,
)
