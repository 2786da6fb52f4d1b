/** Security groups, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { servicePorts, templateNames } from '../services/templates.ts'
import {
  accountIdField,
  descriptionField,
  exact,
  groupNameField,
  idField,
  modeField,
  nullable,
  revisionField,
  tagsField,
  timeField,
} from './fields.ts'
import { askedPermissionSchema, exportedRuleSchema, maxPermissions, permissionSchema } from './rules.ts'

const networkType = Type.Enum(['vpc', 'classic'], { description: 'Kind of network; vpc if left out.' })
const innerAccessPolicy = Type.Enum(['accept', 'drop'], {
  description: 'Whether members reach each other whatever the rules say. Always drop in enterprise groups.',
})

export const securityGroupSchema = Type.Object({
  securityGroupId: Type.String(),
  accountId: Type.String(),
  securityGroupName: nullable(Type.String()),
  description: nullable(Type.String()),
  tags: Type.Record(Type.String(), Type.String()),
  securityGroupType: Type.Enum(['normal', 'enterprise']),
  networkType,
  vpcId: nullable(Type.String({ description: 'null on classic networks, and in the VPC without name.' })),
  innerAccessPolicy,
  mode: modeField,
  isDefault: Type.Boolean({ description: 'Made by Ringwall for network interfaces that name no group.' }),
  ruleCount: Type.Integer(),
  networkInterfaceCount: Type.Integer(),
  observedCount: Type.Integer({
    description: 'Network interfaces in it at which nothing is dropped, by this group or for another reason.',
  }),
  ecsCount: Type.Integer({ description: 'Instances with a network interface in the group.' }),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type ShownGroup = Static<typeof securityGroupSchema>

export const groupWithRulesSchema = Type.Object({
  securityGroup: securityGroupSchema,
  permissions: Type.Array(permissionSchema),
})
export type GroupWithRules = Static<typeof groupWithRulesSchema>

const groupTypes = ['normal', 'enterprise', 'basic', 'advanced'] as const
const securityGroupType = Type.Enum([...groupTypes], {
  description: 'normal (or basic), if left out, or enterprise (or advanced).',
})
export type GroupTypeWord = (typeof groupTypes)[number]

const vpcId = Type.String({ description: 'The VPC; the one without name if left out.', maxLength: 64 })
const securityGroupId = idField('group', 'Made where left out.')

export const createGroupSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    securityGroupId: Type.Optional(securityGroupId),
    securityGroupName: Type.Optional(nullable(groupNameField('What people call it.'))),
    description: Type.Optional(nullable(descriptionField('group'))),
    tags: Type.Optional(tagsField),
    securityGroupType: Type.Optional(securityGroupType),
    networkType: Type.Optional(networkType),
    vpcId: Type.Optional(nullable(vpcId)),
    innerAccessPolicy: Type.Optional(innerAccessPolicy),
    mode: Type.Optional(modeField),
    template: Type.Optional(Type.Enum([...templateNames], { description: 'Rules to begin with.' })),
    permissions: Type.Optional(
      Type.Array(askedPermissionSchema, { description: 'Further rules.', maxItems: maxPermissions }),
    ),
  },
  exact,
)

export const defaultGroupSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('The account that owns it.')),
    networkType: Type.Optional(networkType),
    vpcId: Type.Optional(nullable(vpcId)),
    webPorts: Type.Optional(Type.Boolean({ description: 'TCP 80 and 443 as well, where the group is made now.' })),
  },
  exact,
)

export const modifyGroupSchema = Type.Object(
  {
    securityGroupName: Type.Optional(nullable(groupNameField('What people call it.'))),
    description: Type.Optional(nullable(descriptionField('group'))),
    tags: Type.Optional(nullable(tagsField)),
    innerAccessPolicy: Type.Optional(innerAccessPolicy),
    mode: Type.Optional(modeField),
  },
  exact,
)

export const cloneGroupSchema = Type.Object(
  {
    securityGroupId: Type.Optional(securityGroupId),
    accountId: Type.Optional(accountIdField('The account that will own the clone.')),
    securityGroupName: Type.Optional(nullable(groupNameField('What people call it.'))),
    securityGroupType: Type.Optional(securityGroupType),
    networkType: Type.Optional(networkType),
    vpcId: Type.Optional(nullable(vpcId)),
  },
  exact,
)

export const referencesSchema = Type.Object({
  securityGroupId: Type.String(),
  referencedBy: Type.Array(
    Type.Object({
      securityGroupId: Type.String(),
      accountId: Type.String(),
      securityGroupRuleIds: Type.Array(Type.String()),
    }),
    { description: 'Other groups with rules that name it.' },
  ),
})

export const memberSchema = Type.Object({
  networkInterfaceId: Type.String(),
  instanceId: nullable(Type.String({ description: 'null: it is of no instance yet.' })),
  addresses: Type.Array(Type.String()),
})

export const templatesSchema = Type.Object({
  templates: Type.Array(
    Type.Object({ template: Type.Enum([...templateNames]), permissions: Type.Array(exportedRuleSchema) }),
  ),
  services: Type.Array(
    Type.Object({
      service: Type.Enum([...servicePorts.keys()]),
      ipProtocol: Type.Literal('tcp'),
      portRange: Type.String(),
    }),
  ),
})
