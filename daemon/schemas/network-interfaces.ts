/** Network interfaces (ENIs) and membership in groups, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import {
  accountIdField,
  descriptionField,
  exact,
  idField,
  modeField,
  nameField,
  nullable,
  patterned,
  revisionField,
  tagsField,
  timeField,
} from './fields.ts'

/** More than any instance type has of either family. */
const maxAddresses = 256
/** Any limit that settings allow is below it. */
const maxGroups = 64
/** Of one bulk request. */
export const maxBulk = 100

const networkType = Type.Enum(['vpc', 'classic'], { description: 'The kind of network.' })
const placement = Type.Enum(['host', 'guest'], {
  description: 'host: the device is the machine’s own NIC. guest: it is the host’s end of a guest’s NIC.',
})
const nicType = Type.Enum(['internet', 'intranet'], {
  description: 'On classic networks: which rules of its groups the interface obeys.',
})

export const networkInterfaceSchema = Type.Object({
  networkInterfaceId: Type.String(),
  accountId: Type.String({ description: 'That of its instance.' }),
  instanceId: nullable(
    Type.String({ description: 'null: it is of none yet. It is in its groups, and nobody enforces at it.' }),
  ),
  networkInterfaceName: nullable(Type.String()),
  type: Type.Enum(['Primary', 'Secondary']),
  description: nullable(Type.String()),
  tags: tagsField,
  networkType,
  vpcId: nullable(Type.String()),
  vSwitchId: nullable(Type.String({ description: 'As it was given; it stands for nothing here.' })),
  macAddress: nullable(Type.String({ description: 'Lower case, with colons.' })),
  device: nullable(Type.String()),
  placement,
  privateIpAddress: nullable(Type.String({ description: 'The first IPv4 address.' })),
  privateIpAddresses: Type.Array(Type.String()),
  ipv6Addresses: Type.Array(Type.String()),
  securityGroupIds: Type.Array(Type.String(), { description: 'Empty: no policy yet, the device is left alone.' }),
  nicType,
  mode: modeField,
  enforcement: Type.Enum(['enforced', 'observed', 'none'], {
    description:
      'observed: it or one of its groups has the mode observe, and nothing is dropped. none: it has no group.',
  }),
  observedBy: Type.Array(Type.String(), {
    description: 'Why it is observed: its own id, ids of its groups, or both. Empty where it is not.',
  }),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type NetworkInterface = Static<typeof networkInterfaceSchema>

const device = nullable(
  Type.String({
    description: 'The device by name: where there is no MAC address, or where several devices have it.',
    maxLength: 64,
  }),
)

const settable = {
  networkInterfaceName: Type.Optional(nullable(nameField('What people call it.'))),
  description: Type.Optional(nullable(descriptionField('network interface'))),
  tags: Type.Optional(tagsField),
  macAddress: Type.Optional(
    nullable(
      Type.String({
        description: 'Of the device, which the agent finds by it.',
        ...patterned(
          '^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$',
          'six pairs of hexadecimal digits with ":" between them',
        ),
      }),
    ),
  ),
  device: Type.Optional(device),
  placement: Type.Optional(placement),
  privateIpAddresses: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      description: 'IPv4; the first is the primary one.',
      maxItems: maxAddresses,
    }),
  ),
  ipv6Addresses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: maxAddresses })),
  securityGroupIds: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      description: 'Groups of the same account and network. Left out when it is made: the default group of both.',
      maxItems: maxGroups,
    }),
  ),
  nicType: Type.Optional(nicType),
  mode: Type.Optional(modeField),
}

export const createNetworkInterfaceSchema = Type.Object(
  {
    networkInterfaceId: Type.Optional(idField('eni', 'Made where left out.')),
    accountId: Type.Optional(
      accountIdField(
        'Who owns it: the owner of its instance, and needed only without one; left out, that of its first group.',
      ),
    ),
    instanceId: Type.Optional(
      Type.String({ description: 'The instance it belongs to. Left out, it is attached to one later.', maxLength: 64 }),
    ),
    type: Type.Optional(
      Type.Enum(['Primary', 'Secondary'], {
        description: 'The first one of an instance is the primary one, and the only.',
      }),
    ),
    networkType: Type.Optional(
      Type.Enum(['vpc', 'classic'], {
        description:
          'Left out together with vpcId, the network is that of the first of securityGroupIds, or else of the instance’s primary interface, or else the VPC without name.',
      }),
    ),
    vpcId: Type.Optional(
      Type.String({
        description: 'The VPC; on classic networks there is none.',
        ...patterned('^[A-Za-z][A-Za-z0-9_.-]{0,63}$', 'a letter, then up to 63 letters, digits, "_", "." and "-"'),
      }),
    ),
    vSwitchId: Type.Optional(nameField('Kept and told again.')),
    ...settable,
  },
  exact,
)

export const attachSchema = Type.Object(
  {
    instanceId: Type.String({ description: 'The instance it shall belong to.', maxLength: 64 }),
    device: Type.Optional(device),
    placement: Type.Optional(placement),
  },
  exact,
)

/** What need not be said: an interface is of one instance. */
export const detachSchema = Type.Object(
  {
    instanceId: Type.Optional(
      Type.String({ description: 'Refuses where it is of another instance than this.', maxLength: 64 }),
    ),
  },
  exact,
)

export const modifyNetworkInterfaceSchema = Type.Object(settable, exact)

const bulkIds = Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: maxBulk }))

export const membershipSchema = Type.Object(
  { instanceIds: bulkIds, networkInterfaceIds: bulkIds },
  { ...exact, description: 'Of an instance its primary interface; 100 altogether.' },
)
