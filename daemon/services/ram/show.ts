/** RAM's objects as `/v1` shows them. */
import type {
  AccessKeyDoc,
  AttachedPolicy,
  RamGroupDoc,
  RamPolicyDoc,
  RamRoleDoc,
  RamUserDoc,
} from '../../model/ram.ts'
import { ramId } from '../../model/ram.ts'
import { type SystemPolicy, systemPolicyNamed } from '../../ram/system-policies.ts'
import { isoTime } from '../../schemas/fields.ts'
import type {
  ShownAccessKey,
  ShownRamGroup,
  ShownRamPolicy,
  ShownRamPolicyWhole,
  ShownRamRole,
  ShownRamUser,
} from '../../schemas/ram.ts'
import type { World } from '../../state/world.ts'
import { userArn } from './identity.ts'
import type { KeyUsage } from './key-usage.ts'
import { attachmentCount, type HolderKind, holdersOf } from './policies.ts'
import { findNamed, notExist, type RamCall } from './ram-call.ts'
import { roleArn } from './roles.ts'
import { usersOfGroup } from './users.ts'

const made = ({ createdAtMs, updatedAtMs }: { readonly createdAtMs: number; readonly updatedAtMs: number }) => ({
  createTime: isoTime(createdAtMs),
  updateTime: isoTime(updatedAtMs),
})

const attached = (policies: readonly AttachedPolicy[]) =>
  policies.map(({ type, name, attachedAtMs }) => ({
    policyType: type,
    policyName: name,
    attachTime: isoTime(attachedAtMs),
  }))

export function showRamUser(user: RamUserDoc, revision: number): ShownRamUser {
  const { accountId, name, id, displayName, comments, groups, policies } = user
  return {
    accountId,
    userName: name,
    userId: id,
    arn: userArn(user),
    displayName,
    comments,
    groups: groups.map(group => ({ groupName: group.name, joinTime: isoTime(group.joinedAtMs) })),
    policies: attached(policies),
    ...made(user),
    revision,
  }
}

export function groupArn({ accountId, name }: Pick<RamGroupDoc, 'accountId' | 'name'>): string {
  return `acs:ram::${accountId}:group/${name}`
}

export function policyArn({ accountId, name }: Pick<RamPolicyDoc, 'accountId' | 'name'>): string {
  return `acs:ram::${accountId}:policy/${name}`
}

export function systemPolicyArn(name: string): string {
  return `acs:ram::system:policy/${name}`
}

export function showRamGroup(call: RamCall, group: RamGroupDoc, revision: number): ShownRamGroup {
  const { accountId, name } = group
  // One that is being made is not there yet.
  const isThere = call.world.get('ramGroup', ramId(accountId, name)) !== undefined
  const userNames = isThere ? usersOfGroup({ ...call, accountId }, name).map(({ user }) => user.name) : []
  return { ...describeRamGroup(group), userNames, revision }
}

/** What the group itself says. */
export function describeRamGroup(group: RamGroupDoc) {
  const { accountId, name, id, comments, policies } = group
  return {
    accountId,
    groupName: name,
    groupId: id,
    arn: groupArn(group),
    comments,
    policies: attached(policies),
    ...made(group),
  }
}

export function showRamRole(role: RamRoleDoc, revision: number): ShownRamRole {
  const { accountId, name, id, description, trustPolicy, maxSessionSeconds, policies } = role
  return {
    accountId,
    roleName: name,
    roleId: id,
    arn: roleArn(role),
    description,
    trustPolicy: JSON.parse(trustPolicy),
    maxSessionSeconds,
    policies: attached(policies),
    ...made(role),
    revision,
  }
}

export function showCustomPolicy(call: RamCall, policy: RamPolicyDoc, revision: number): ShownRamPolicy {
  const { accountId, name } = policy
  const count = attachmentCount({ ...call, accountId }, 'Custom', name)
  return { ...describePolicy(policy), attachmentCount: count, revision }
}

function describePolicy(policy: RamPolicyDoc) {
  const { accountId, name, description, defaultVersion } = policy
  return {
    accountId,
    policyName: name,
    policyType: 'Custom',
    arn: policyArn(policy),
    description,
    defaultVersion,
    ...made(policy),
  } as const
}

/** What the policy itself says. */
export function describePolicyWhole(policy: RamPolicyDoc) {
  return { ...describePolicy(policy), versions: describeVersions(policy) }
}

function describeVersions({ versions, defaultVersion }: RamPolicyDoc) {
  return versions.map(({ id, text, createdAtMs }) => ({
    versionId: id,
    isDefault: id === defaultVersion,
    document: JSON.parse(text),
    createTime: isoTime(createdAtMs),
  }))
}

/** @param accountIds  in which attachments are counted */
export function showSystemPolicy(
  call: RamCall,
  { name, description }: SystemPolicy,
  accountIds: readonly string[],
): ShownRamPolicy {
  return {
    accountId: null,
    policyName: name,
    policyType: 'System',
    arn: systemPolicyArn(name),
    description,
    defaultVersion: 'v1',
    attachmentCount: accountIds.reduce(
      (count, accountId) => count + attachmentCount({ ...call, accountId }, 'System', name),
      0,
    ),
    createTime: null,
    updateTime: null,
    revision: null,
  }
}

/** A custom policy of the account, or a system policy: no name is one of both. @throws {ApiError} 404 */
export function showPolicyWhole(call: RamCall, name: string): ShownRamPolicyWhole {
  const { world, accountId } = call
  const type = policyTypeOf(world, accountId, name)
  const of = (kind: HolderKind) => holdersOf(call, kind, type, name).map(({ doc }) => doc.name)
  const attachedTo = { userNames: of('ramUser'), groupNames: of('ramGroup'), roleNames: of('ramRole') }
  const system = systemPolicyNamed.get(name)
  if (type === 'System') {
    if (system === undefined) throw notExist('Policy', name)
    const version = { versionId: 'v1', isDefault: true, document: JSON.parse(system.text), createTime: null }
    return { ...showSystemPolicy(call, system, [accountId]), versions: [version], attachedTo }
  }
  const policy = findNamed(call, 'ramPolicy', name)
  return {
    ...showCustomPolicy(call, policy, world.revisionOf('ramPolicy', ramId(accountId, name))),
    versions: describeVersions(policy),
    attachedTo,
  }
}

/** An account's own policy goes before one of the same name that came with a later version. */
export function policyTypeOf(world: World, accountId: string, name: string): AttachedPolicy['type'] {
  if (world.get('ramPolicy', ramId(accountId, name)) !== undefined) return 'Custom'
  return systemPolicyNamed.has(name) ? 'System' : 'Custom'
}

export function showAccessKey(key: AccessKeyDoc, keyUsage: KeyUsage, revision: number): ShownAccessKey {
  const use = keyUsage.of(key.id)
  return {
    ...describeAccessKey(key),
    lastUsedTime: use === undefined ? null : isoTime(use.atMs),
    lastUsedAddress: use?.sourceAddress ?? null,
    revision,
  }
}

/** What the key itself says, without its secret. */
export function describeAccessKey({ id, accountId, userName, status, createdAtMs }: AccessKeyDoc) {
  return { accessKeyId: id, accountId, userName, status, createTime: isoTime(createdAtMs) }
}
