/** STS: who one is, and what one may become for a time. */
import Type from 'typebox'
import { ApiError } from '../../errors.ts'
import { contextOf } from '../../services/access.ts'
import type { RamIdentity } from '../../services/principal.ts'
import { roleArn } from '../../services/ram/roles.ts'
import { assumeRole } from '../../services/ram/sessions.ts'
import { type RpcCall, readAction } from '../action.ts'
import { coded } from '../read-parameters.ts'
import { isoSeconds } from '../shapes.ts'

const assumeRoleParameters = Type.Object({
  RoleArn: coded('InvalidParameter.RoleArn', Type.String({ maxLength: 256 })),
  RoleSessionName: coded('InvalidParameter.RoleSessionName', Type.String({ pattern: '^[\\w.@-]{2,64}$' })),
  DurationSeconds: Type.Optional(
    coded('InvalidParameter.DurationSeconds', Type.Integer({ minimum: 1, default: 3600 })),
  ),
  Policy: Type.Optional(Type.String()),
})

export const stsActions = [
  readAction({
    product: 'sts',
    name: 'GetCallerIdentity',
    summary: 'who signed the request',
    parameters: Type.Object({}),
    read(_world, call) {
      const { type, accountId, arn } = identityOf(call)
      const { id } = call.principal
      return {
        IdentityType: type,
        AccountId: accountId,
        PrincipalId: id,
        Arn: arn,
        ...(type === 'RAMUser' && { UserId: id }),
        ...(type === 'AssumedRoleUser' && { RoleId: id.split(':')[0] }),
      }
    },
  }),
  readAction({
    product: 'sts',
    name: 'AssumeRole',
    summary: 'keys of a role for a time',
    needs: '`sts:AssumeRole` on `role/…`, and the role’s trust policy',
    parameters: assumeRoleParameters,
    read(world, call) {
      const { RoleArn, RoleSessionName, DurationSeconds = 3600, Policy } = call.parameters
      const given = {
        begunBy: call.countedAs,
        roleArn: RoleArn,
        sessionName: RoleSessionName,
        durationSeconds: DurationSeconds,
        policy: Policy === undefined || Policy === '' ? null : Policy,
      }
      const { sealer } = call.api
      const made = assumeRole({ world, nowMs: call.nowMs }, identityOf(call), {
        sealer,
        context: contextOf(call.facts),
        given,
      })
      const { role, session, securityToken } = made
      return {
        AssumedRoleUser: {
          Arn: `${roleArn(role)}/${session.sessionName}`,
          AssumedRoleId: `${role.id}:${session.sessionName}`,
        },
        Credentials: {
          AccessKeyId: session.accessKeyId,
          AccessKeySecret: session.secret,
          SecurityToken: securityToken,
          Expiration: isoSeconds(session.expiresAtMs),
        },
      }
    },
  }),
]

function identityOf({ principal }: Pick<RpcCall<never>, 'principal'>): RamIdentity {
  if (principal.ram === undefined)
    throw new ApiError(403, 'NoPermission', 'Cannot tell: an operator’s token is no identity of RAM')
  return principal.ram
}
