/**
 * Who a credential makes of its bearer, with everything that its policies grant now: read at each request, so a change
 * reaches open sessions.
 */
import { ApiError } from '../../errors.ts'
import type { AttachedPolicy, RamPolicyDoc, RamUserDoc } from '../../model/ram.ts'
import { ramId } from '../../model/ram.ts'
import type { NamedPolicy } from '../../ram/evaluate.ts'
import { readPolicyDocument } from '../../ram/policy-document.ts'
import type { Sealer } from '../../ram/seal.ts'
import { systemPolicyNamed } from '../../ram/system-policies.ts'
import type { World } from '../../state/world.ts'
import type { Principal, RamIdentity } from '../principal.ts'
import { secretOf } from './access-keys.ts'
import { defaultVersionOf } from './policies.ts'
import { type RamSession, readSession } from './sessions.ts'

export interface FoundCredential {
  readonly secret: string
  readonly principal: Principal
  readonly accountId: string
  /** The access key that its requests count for: of a session the one that began it, since one key can begin many. */
  readonly countedAs: string
}

/**
 * @throws {ApiError} 400 `InvalidAccessKeyId.NotFound`, `.Inactive` or `InvalidSecurityToken.…`
 */
export function findCredential(
  world: World,
  sealer: Sealer,
  { accessKeyId, securityToken, nowMs }: { accessKeyId: string; securityToken: string | null; nowMs: number },
): FoundCredential {
  if (securityToken !== null) {
    const session = readSession(sealer, { accessKeyId, securityToken, nowMs })
    return found(sessionPrincipal(world, session), { ...session, countedAs: session.begunBy })
  }
  const key = world.get('accessKey', accessKeyId)
  const secret = key === undefined ? null : secretOf(key, sealer)
  if (key === undefined || secret === null) {
    throw new ApiError(400, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.')
  }
  if (key.status !== 'Active')
    throw new ApiError(400, 'InvalidAccessKeyId.Inactive', 'Specified access key is disabled.')
  const { accountId, userName } = key
  const signed = { accessKeyId, secret, accountId, countedAs: accessKeyId }
  if (userName === null) return found(accountPrincipal(accountId), signed)
  const user = world.get('ramUser', ramId(accountId, userName))
  if (user === undefined) throw new ApiError(400, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.')
  return found(userPrincipal(world, user), signed)
}

function found(
  principal: Principal,
  { accessKeyId, secret, accountId, countedAs }: Omit<FoundCredential, 'principal'> & { readonly accessKeyId: string },
): FoundCredential {
  return { secret, principal: { ...principal, credentialId: accessKeyId }, accountId, countedAs }
}

export function accountPrincipal(accountId: string): Principal {
  const arn = `acs:ram::${accountId}:root`
  const ram: RamIdentity = { type: 'Account', accountId, arn, displayName: accountId, grants: { kind: 'everything' } }
  return { kind: 'account', id: accountId, name: accountId, scopes: [{ accountId, access: 'write' }], ram }
}

export function userArn({ accountId, name }: Pick<RamUserDoc, 'accountId' | 'name'>): string {
  return `acs:ram::${accountId}:user/${name}`
}

export function userPrincipal(world: World, user: RamUserDoc): Principal {
  const { accountId, id, name } = user
  const ram: RamIdentity = {
    type: 'RAMUser',
    accountId,
    arn: userArn(user),
    displayName: name,
    grants: { kind: 'policies', identity: policiesOfUser(world, user), session: null },
  }
  return { kind: 'user', id, name, scopes: [{ accountId, access: 'write' }], ram }
}

function sessionPrincipal(world: World, session: RamSession): Principal {
  const { accountId, roleName, roleId, sessionName } = session
  const role = world.get('ramRole', ramId(accountId, roleName))
  // Another role of the same name is another role.
  if (role === undefined || role.id !== roleId) {
    throw new ApiError(400, 'InvalidSecurityToken.Expired', 'The role of this session is gone.')
  }
  const ram: RamIdentity = {
    type: 'AssumedRoleUser',
    accountId,
    arn: `acs:ram::${accountId}:assumed-role/${role.name.toLowerCase()}/${sessionName}`,
    displayName: `${role.name}/${sessionName}`,
    grants: {
      kind: 'policies',
      identity: grantedPolicies(world, accountId, role.policies),
      session:
        session.policy === null
          ? null
          : { name: 'session policy', document: readPolicyDocument(session.policy, 'session') },
    },
  }
  const name = `${role.name}/${sessionName}`
  return { kind: 'session', id: `${role.id}:${sessionName}`, name, scopes: [{ accountId, access: 'write' }], ram }
}

function policiesOfUser(world: World, { accountId, policies, groups }: RamUserDoc): readonly NamedPolicy[] {
  const ofGroups = groups.flatMap(({ name }) => world.get('ramGroup', ramId(accountId, name))?.policies ?? [])
  return grantedPolicies(world, accountId, [...policies, ...ofGroups])
}

/** Those that exist of what is attached, read. */
export function grantedPolicies(
  world: World,
  accountId: string,
  attached: readonly AttachedPolicy[],
): readonly NamedPolicy[] {
  return attached.flatMap(({ type, name }) => {
    if (type === 'System') {
      const system = systemPolicyNamed.get(name)
      return system === undefined ? [] : [{ name: `System/${name}`, document: system.document }]
    }
    const custom = world.get('ramPolicy', ramId(accountId, name))
    return custom === undefined ? [] : [readOnce(custom)]
  })
}

/** Documents are replaced whole, so what was read of one stays true for it. */
const read = new WeakMap<RamPolicyDoc, NamedPolicy>()

function readOnce(policy: RamPolicyDoc): NamedPolicy {
  const known = read.get(policy)
  if (known !== undefined) return known
  const { text } = defaultVersionOf(policy)
  const named = { name: `Custom/${policy.name}`, document: readPolicyDocument(text, 'identity') }
  read.set(policy, named)
  return named
}
