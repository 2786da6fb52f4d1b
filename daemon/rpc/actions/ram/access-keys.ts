/** Access keys of users, and of the account itself. */
import Type from 'typebox'
import { ApiError } from '../../../errors.ts'
import * as keys from '../../../services/ram/access-keys.ts'
import { findNamed, notExist } from '../../../services/ram/ram-call.ts'
import type { RpcAction, RpcCall } from '../../action.ts'
import { renamed } from '../../envelope.ts'
import { coded } from '../../read-parameters.ts'
import { isoSeconds } from '../../shapes.ts'
import { reads, silent, UserName, writes } from './ram-action.ts'

const keyOwner = { UserName: Type.Optional(UserName) }
const UserAccessKeyId = Type.String({ maxLength: 128 })

/** Whose keys are meant: those of the user named, else of who asks. @throws {ApiError} 400 for a session, which has none */
function ownerOf({ principal }: Pick<RpcCall<never>, 'principal'>, name: string | undefined): keys.Owner {
  if (name !== undefined) return name
  if (principal.kind === 'account') return null
  if (principal.kind === 'user') return principal.name
  throw new ApiError(400, 'MissingParameter.UserName', 'Cannot tell whose access keys are meant: expected UserName')
}

/** Without a name it is who asks. */
function onOwner({ UserName: name }: { readonly UserName?: string }, call: Pick<RpcCall<never>, 'principal'>): string {
  return `user/${ownerOf(call, name) ?? '*'}`
}

const keySubject = ({ parameters }: { readonly parameters: { readonly UserAccessKeyId: string } }) =>
  ({ kind: 'accessKey', id: parameters.UserAccessKeyId }) as const

export const keyActions: readonly RpcAction[] = [
  writes(
    'CreateAccessKey',
    { summary: 'make an access key; its secret is shown once', parameters: keyOwner, on: onOwner, isSecret: true },
    (call, { UserName: name }, rpc) =>
      renamed(keys.createAccessKey(call, ownerOf(rpc, name), rpc.api.sealer), ({ key, secret }) => ({
        AccessKey: {
          AccessKeyId: key.id,
          AccessKeySecret: secret,
          Status: key.status,
          CreateDate: isoSeconds(key.createdAtMs),
        },
      })),
  ),
  reads(
    'ListAccessKeys',
    { summary: 'access keys of a user', parameters: keyOwner, on: onOwner },
    (call, { UserName: name }, rpc) => {
      const owner = ownerOf(rpc, name)
      if (owner !== null) findNamed(call, 'ramUser', owner)
      const shown = keys.keysOf(call, owner).map(({ id, status, createdAtMs }) => ({
        AccessKeyId: id,
        Status: status,
        CreateDate: isoSeconds(createdAtMs),
      }))
      return { AccessKeys: { AccessKey: shown } }
    },
  ),
  reads(
    'GetAccessKeyLastUsed',
    { summary: 'when a key was used last', parameters: { ...keyOwner, UserAccessKeyId }, on: onOwner },
    (call, { UserName: name, UserAccessKeyId: id }, rpc) => {
      if (!keys.keysOf(call, ownerOf(rpc, name)).some(key => key.id === id)) throw notExist('User.AccessKey', id)
      const use = rpc.api.keyUsage.of(id)
      return { AccessKeyLastUsed: { LastUsedDate: use === undefined ? '' : isoSeconds(use.atMs) } }
    },
  ),
  writes(
    'UpdateAccessKey',
    {
      summary: 'switch an access key off and on',
      parameters: {
        ...keyOwner,
        UserAccessKeyId,
        Status: coded('InvalidParameter.Status', Type.Enum(['Active', 'Inactive'])),
      },
      on: onOwner,
      subject: keySubject,
    },
    (call, { UserName: name, UserAccessKeyId: id, Status }, rpc) =>
      silent(keys.updateAccessKey(call, ownerOf(rpc, name), id, Status)),
  ),
  writes(
    'DeleteAccessKey',
    {
      summary: 'delete an access key',
      parameters: { ...keyOwner, UserAccessKeyId },
      on: onOwner,
      subject: keySubject,
    },
    (call, { UserName: name, UserAccessKeyId: id }, rpc) => silent(keys.deleteAccessKey(call, ownerOf(rpc, name), id)),
  ),
]
