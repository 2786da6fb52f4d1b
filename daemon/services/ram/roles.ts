/** Roles: what somebody or something may become for a time. */
import type { RamRoleDoc } from '../../model/ram.ts'
import { readPolicyDocument } from '../../ram/policy-document.ts'
import type { Plan } from '../executor.ts'
import { findNamed, madeNumber, put, type RamCall, remove, requireFree, requireNoPolicies } from './ram-call.ts'

export const sessionSeconds = { least: 900, usual: 3600, most: 43_200 } as const

export interface NewRole {
  readonly name: string
  readonly trustPolicy: string
  readonly description?: string | undefined
  readonly maxSessionSeconds?: number | undefined
}

/** @throws {ApiError} 409 where the name is taken; 400 for a trust policy that makes no sense */
export function createRole(call: RamCall, given: NewRole): Plan<RamRoleDoc> {
  requireFree(call, 'ramRole', given.name)
  readPolicyDocument(given.trustPolicy, 'trust')
  const role: RamRoleDoc = {
    id: madeNumber(),
    accountId: call.accountId,
    name: given.name,
    description: given.description ?? null,
    trustPolicy: given.trustPolicy,
    maxSessionSeconds: given.maxSessionSeconds ?? sessionSeconds.usual,
    policies: [],
    createdAtMs: call.nowMs,
    updatedAtMs: call.nowMs,
  }
  return { writes: [put('ramRole', role)], body: () => role }
}

export interface RoleChanges {
  readonly trustPolicy?: string | undefined
  readonly description?: string | null | undefined
  readonly maxSessionSeconds?: number | undefined
}

export function updateRole(call: RamCall, name: string, changes: RoleChanges): Plan<RamRoleDoc> {
  const before = findNamed(call, 'ramRole', name)
  const { trustPolicy = before.trustPolicy, description = before.description } = changes
  const { maxSessionSeconds = before.maxSessionSeconds } = changes
  readPolicyDocument(trustPolicy, 'trust')
  const role = { ...before, trustPolicy, description, maxSessionSeconds, updatedAtMs: call.nowMs }
  return { writes: [put('ramRole', role)], body: () => role }
}

/** Its sessions end with it. @throws {ApiError} 409 while it has policies */
export function deleteRole(call: RamCall, name: string): Plan<object> {
  const role = findNamed(call, 'ramRole', name)
  requireNoPolicies('ramRole', name, role.policies)
  return { writes: [remove('ramRole', role)], body: () => ({}) }
}

/** `acs:ram::<account>:role/<name in lower case>`, as the published service writes it. */
export function roleArn({ accountId, name }: Pick<RamRoleDoc, 'accountId' | 'name'>): string {
  return `acs:ram::${accountId}:role/${name.toLowerCase()}`
}
