/** Users of RAM, and the groups they are in. */
import type { RamGroupDoc, RamUserDoc } from '../../model/ram.ts'
import type { Plan } from '../executor.ts'
import {
  allNamed,
  alreadyExists,
  findNamed,
  madeNumber,
  notExist,
  put,
  type RamCall,
  randomText,
  remove,
  requireFree,
  requireNone,
  requireNoPolicies,
} from './ram-call.ts'

export interface NewUser {
  readonly name: string
  readonly displayName?: string | undefined
  readonly comments?: string | undefined
}

export function createUser(call: RamCall, { name, displayName, comments }: NewUser): Plan<RamUserDoc> {
  requireFree(call, 'ramUser', name)
  const user: RamUserDoc = {
    id: madeNumber(),
    accountId: call.accountId,
    name,
    displayName: displayName ?? null,
    comments: comments ?? null,
    groups: [],
    policies: [],
    createdAtMs: call.nowMs,
    updatedAtMs: call.nowMs,
  }
  return { writes: [put('ramUser', user)], body: () => user }
}

export interface UserChanges {
  readonly displayName?: string | null | undefined
  readonly comments?: string | null | undefined
}

export function updateUser(call: RamCall, name: string, changes: UserChanges): Plan<RamUserDoc> {
  const before = findNamed(call, 'ramUser', name)
  const { displayName = before.displayName, comments = before.comments } = changes
  const user = { ...before, displayName, comments, updatedAtMs: call.nowMs }
  return { writes: [put('ramUser', user)], body: () => user }
}

/** @throws {ApiError} 409 while it has access keys, API tokens, groups or policies */
export function deleteUser(call: RamCall, name: string): Plan<object> {
  const user = findNamed(call, 'ramUser', name)
  const keys = [...call.world.all('accessKey')].filter(key => isOf(user, key)).map(({ id }) => `access key ${id}`)
  const tokens = [...call.world.all('token')]
    .filter(
      ({ user: owner }) => owner !== undefined && isOf(user, { accountId: owner.accountId, userName: owner.name }),
    )
    .map(token => `API token ${token.name}`)
  const groups = user.groups.map(group => `membership of ${group.name}`)
  requireNone('User.AccessKey', name, [...keys, ...tokens])
  requireNone('User.Group', name, groups)
  requireNoPolicies('ramUser', name, user.policies)
  return { writes: [remove('ramUser', user)], body: () => ({}) }
}

/** Whether a credential belongs to the user. */
export function isOf(
  user: RamUserDoc,
  { accountId, userName }: { readonly accountId: string; readonly userName: string | null },
): boolean {
  return accountId === user.accountId && userName?.toLowerCase() === user.name.toLowerCase()
}

export interface NewGroup {
  readonly name: string
  readonly comments?: string | undefined
}

export function createRamGroup(call: RamCall, { name, comments }: NewGroup): Plan<RamGroupDoc> {
  requireFree(call, 'ramGroup', name)
  const group: RamGroupDoc = {
    id: `g-${randomText(17)}`,
    accountId: call.accountId,
    name,
    comments: comments ?? null,
    policies: [],
    createdAtMs: call.nowMs,
    updatedAtMs: call.nowMs,
  }
  return { writes: [put('ramGroup', group)], body: () => group }
}

/** @throws {ApiError} 409 while it has users or policies */
export function deleteRamGroup(call: RamCall, name: string): Plan<object> {
  const group = findNamed(call, 'ramGroup', name)
  const users = usersOfGroup(call, name).map(({ user }) => `user ${user.name}`)
  requireNone('Group.User', name, users)
  requireNoPolicies('ramGroup', name, group.policies)
  return { writes: [remove('ramGroup', group)], body: () => ({}) }
}

export function addUserToGroup(call: RamCall, userName: string, groupName: string): Plan<object> {
  const user = findNamed(call, 'ramUser', userName)
  const group = findNamed(call, 'ramGroup', groupName)
  if (user.groups.some(({ name }) => isSameName(name, groupName))) throw alreadyExists('User.Group', groupName)
  const groups = [...user.groups, { name: group.name, joinedAtMs: call.nowMs }]
  return { writes: [put('ramUser', { ...user, groups })], body: () => ({}) }
}

export function removeUserFromGroup(call: RamCall, userName: string, groupName: string): Plan<object> {
  const user = findNamed(call, 'ramUser', userName)
  findNamed(call, 'ramGroup', groupName)
  const groups = user.groups.filter(({ name }) => !isSameName(name, groupName))
  if (groups.length === user.groups.length) throw notExist('User.Group', groupName)
  return { writes: [put('ramUser', { ...user, groups })], body: () => ({}) }
}

/** @throws {ApiError} 404 where there is no such group */
export function usersOfGroup(call: RamCall, groupName: string) {
  findNamed(call, 'ramGroup', groupName)
  return allNamed(call, 'ramUser').flatMap(user => {
    const joined = user.groups.find(({ name }) => isSameName(name, groupName))
    return joined === undefined ? [] : [{ user, joinedAtMs: joined.joinedAtMs }]
  })
}

export function groupsOfUser(call: RamCall, userName: string) {
  const user = findNamed(call, 'ramUser', userName)
  return user.groups.map(({ name, joinedAtMs }) => ({ group: findNamed(call, 'ramGroup', name), joinedAtMs }))
}

export const isSameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()
