/**
 * What accounts know of who may call: users, groups, roles and their policies. Documents stand under
 * `<account>.<name in lower case>`, because names are unique without regard to case.
 */

export interface RamUserDoc {
  /** Digits, never used again. */
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly displayName: string | null
  readonly comments: string | null
  /** Groups it is in, by name. */
  readonly groups: readonly JoinedGroup[]
  readonly policies: readonly AttachedPolicy[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface JoinedGroup {
  readonly name: string
  readonly joinedAtMs: number
}

/** Attached to a user, a group or a role; each once. */
export interface AttachedPolicy {
  readonly type: PolicyType
  readonly name: string
  readonly attachedAtMs: number
}

export const policyTypes = ['System', 'Custom'] as const
export type PolicyType = (typeof policyTypes)[number]

export interface RamGroupDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly comments: string | null
  readonly policies: readonly AttachedPolicy[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface RamPolicyDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly description: string | null
  /** In the order they were made; the default one is among them. */
  readonly versions: readonly PolicyVersion[]
  readonly defaultVersion: string
  /** Numbers of versions are not used again. */
  readonly nextVersion: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface PolicyVersion {
  /** `v1`. */
  readonly id: string
  /** JSON, checked. */
  readonly text: string
  readonly createdAtMs: number
}

export interface RamRoleDoc {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly description: string | null
  /** JSON, checked: who may assume it. */
  readonly trustPolicy: string
  readonly maxSessionSeconds: number
  readonly policies: readonly AttachedPolicy[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Under its own id. */
export interface AccessKeyDoc {
  readonly id: string
  readonly accountId: string
  /** Name of the user it belongs to; null for a key of the account itself. */
  readonly userName: string | null
  /** By daemon/ram/seal.ts: the store alone does not have it. */
  readonly sealedSecret: string
  readonly status: 'Active' | 'Inactive'
  readonly createdAtMs: number
}

/** Under which a user, group, policy or role stands. */
export function ramId(accountId: string, name: string): string {
  return `${accountId}.${name.toLowerCase()}`
}
