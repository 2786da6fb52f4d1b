/** Roles and whom they trust. */
import Type from 'typebox'
import type { RamRoleDoc } from '../../../model/ram.ts'
import { findNamed } from '../../../services/ram/ram-call.ts'
import * as roles from '../../../services/ram/roles.ts'
import type { RpcAction } from '../../action.ts'
import { renamed } from '../../envelope.ts'
import { coded } from '../../read-parameters.ts'
import { isoSeconds } from '../../shapes.ts'
import { description, documentText, listsNamed, onRole, RoleName, reads, silent, writes } from './ram-action.ts'

const showRole = (role: RamRoleDoc) => ({
  RoleId: role.id,
  RoleName: role.name,
  Arn: roles.roleArn(role),
  Description: role.description ?? '',
  MaxSessionDuration: role.maxSessionSeconds,
  CreateDate: isoSeconds(role.createdAtMs),
  UpdateDate: isoSeconds(role.updatedAtMs),
})

const showRoleWhole = (role: RamRoleDoc) => ({ ...showRole(role), AssumeRolePolicyDocument: role.trustPolicy })

const MaxSessionDuration = Type.Optional(
  coded(
    'InvalidParameter.MaxSessionDuration',
    Type.Integer({ minimum: roles.sessionSeconds.usual, maximum: roles.sessionSeconds.most }),
  ),
)

export const roleActions: readonly RpcAction[] = [
  writes(
    'CreateRole',
    {
      summary: 'make a role',
      parameters: { RoleName, AssumeRolePolicyDocument: documentText, Description: description, MaxSessionDuration },
      on: () => 'role/*',
    },
    (call, given) => {
      const { RoleName: name, AssumeRolePolicyDocument: trustPolicy, Description } = given
      const wish = { name, trustPolicy, description: Description, maxSessionSeconds: given.MaxSessionDuration }
      return renamed(roles.createRole(call, wish), role => ({ Role: showRoleWhole(role) }))
    },
  ),
  reads(
    'GetRole',
    { summary: 'a role with its trust policy', parameters: { RoleName }, on: onRole },
    (call, { RoleName: name }) => ({
      Role: showRoleWhole(findNamed(call, 'ramRole', name)),
    }),
  ),
  listsNamed('ramRole', 'ListRoles', 'roles of the account', showRole),
  writes(
    'UpdateRole',
    {
      summary: 'whom a role trusts, and for how long',
      parameters: {
        RoleName,
        NewAssumeRolePolicyDocument: Type.Optional(documentText),
        NewDescription: description,
        NewMaxSessionDuration: MaxSessionDuration,
      },
      on: onRole,
    },
    (call, given) => {
      const changes = {
        trustPolicy: given.NewAssumeRolePolicyDocument,
        description: given.NewDescription,
        maxSessionSeconds: given.NewMaxSessionDuration,
      }
      return renamed(roles.updateRole(call, given.RoleName, changes), role => ({
        Role: showRoleWhole(role),
      }))
    },
  ),
  writes(
    'DeleteRole',
    { summary: 'delete a role without policies', parameters: { RoleName }, on: onRole },
    (call, { RoleName: name }) => silent(roles.deleteRole(call, name)),
  ),
]
