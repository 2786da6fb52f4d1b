/** Custom policies and their versions, and to whom policies are attached. */
import { ApiError } from '../../errors.ts'
import type { AttachedPolicy, PolicyType, PolicyVersion, RamPolicyDoc } from '../../model/ram.ts'
import { readPolicyDocument } from '../../ram/policy-document.ts'
import { systemPolicyNamed } from '../../ram/system-policies.ts'
import type { Plan } from '../executor.ts'
import {
  allNamed,
  allOfAccount,
  alreadyExists,
  entityNames,
  findNamed,
  limitReached,
  madeNumber,
  type NamedKind,
  notExist,
  put,
  type RamCall,
  remove,
  requireFree,
  requireNone,
} from './ram-call.ts'
import { isSameName } from './users.ts'

const mostVersions = 5
/** Of one user, group or role. */
const mostAttached = 20

export interface NewPolicy {
  readonly name: string
  readonly document: string
  readonly description?: string | undefined
}

/** @throws {ApiError} 409 where the name is taken, by a system policy too; 400 for a document that makes no sense */
export function createPolicy(call: RamCall, { name, document, description }: NewPolicy): Plan<RamPolicyDoc> {
  requireFree(call, 'ramPolicy', name)
  if ([...systemPolicyNamed.keys()].some(system => isSameName(system, name))) throw alreadyExists('Policy', name)
  readPolicyDocument(document, 'identity')
  const policy: RamPolicyDoc = {
    id: madeNumber(),
    accountId: call.accountId,
    name,
    description: description ?? null,
    versions: [{ id: 'v1', text: document, createdAtMs: call.nowMs }],
    defaultVersion: 'v1',
    nextVersion: 2,
    createdAtMs: call.nowMs,
    updatedAtMs: call.nowMs,
  }
  return { writes: [put('ramPolicy', policy)], body: () => policy }
}

/** @throws {ApiError} 409 while it is attached, or has versions beside the default one */
export function deletePolicy(call: RamCall, name: string): Plan<object> {
  const policy = findNamed(call, 'ramPolicy', name)
  for (const kind of holderKinds) {
    const holders = holdersOf(call, kind, 'Custom', name).map(holder => `${wordFor(kind)} ${holder.doc.name}`)
    requireNone(`Policy.${entityNames[kind]}`, name, holders)
  }
  const others = policy.versions.filter(({ id }) => id !== policy.defaultVersion)
  const versions = others.map(({ id }) => `version ${id}`)
  requireNone('Policy.Version', name, versions)
  return { writes: [remove('ramPolicy', policy)], body: () => ({}) }
}

export interface NewVersion {
  readonly document: string
  readonly setAsDefault: boolean
  /** The oldest that is not the default goes where there are five. */
  readonly rotates: boolean
}

export function createPolicyVersion(call: RamCall, name: string, given: NewVersion) {
  const before = findNamed(call, 'ramPolicy', name)
  readPolicyDocument(given.document, 'identity')
  let { versions } = before
  if (versions.length >= mostVersions) {
    if (!given.rotates) throw limitReached('Policy.Version', mostVersions)
    const oldest = versions.find(({ id }) => id !== before.defaultVersion)
    versions = versions.filter(version => version !== oldest)
  }
  const version: PolicyVersion = { id: `v${before.nextVersion}`, text: given.document, createdAtMs: call.nowMs }
  const policy: RamPolicyDoc = {
    ...before,
    versions: [...versions, version],
    nextVersion: before.nextVersion + 1,
    ...(given.setAsDefault && { defaultVersion: version.id }),
    updatedAtMs: call.nowMs,
  }
  return { writes: [put('ramPolicy', policy)], body: () => ({ policy, version }) }
}

export function setDefaultVersion(call: RamCall, name: string, versionId: string): Plan<object> {
  const policy = findNamed(call, 'ramPolicy', name)
  findVersion(policy, versionId)
  const changed = { ...policy, defaultVersion: versionId, updatedAtMs: call.nowMs }
  return { writes: [put('ramPolicy', changed)], body: () => ({}) }
}

/** @throws {ApiError} 409 for the default one */
export function deletePolicyVersion(call: RamCall, name: string, versionId: string): Plan<object> {
  const policy = findNamed(call, 'ramPolicy', name)
  findVersion(policy, versionId)
  if (versionId === policy.defaultVersion) {
    const message = `Cannot delete version ${versionId} of policy "${name}": it is the default one`
    throw new ApiError(409, 'DeleteConflict.Policy.Version.Default', message)
  }
  const versions = policy.versions.filter(({ id }) => id !== versionId)
  return { writes: [put('ramPolicy', { ...policy, versions, updatedAtMs: call.nowMs })], body: () => ({}) }
}

/** @throws {ApiError} 404 */
export function findVersion(policy: RamPolicyDoc, versionId: string): PolicyVersion {
  const version = policy.versions.find(({ id }) => id === versionId)
  if (version === undefined) throw notExist('Policy.Version', `${policy.name} ${versionId}`)
  return version
}

export const defaultVersionOf = (policy: RamPolicyDoc): PolicyVersion => findVersion(policy, policy.defaultVersion)

/** Who can have policies. */
export type HolderKind = Exclude<NamedKind, 'ramPolicy'>
const holderKinds = ['ramUser', 'ramGroup', 'ramRole'] as const satisfies readonly HolderKind[]

export interface Attachment {
  readonly kind: HolderKind
  /** Of the user, group or role. */
  readonly holder: string
  readonly type: PolicyType
  readonly policy: string
}

/** @throws {ApiError} 404 where either is missing, 409 where it is attached already */
export function attachPolicy(call: RamCall, { kind, holder, type, policy }: Attachment): Plan<object> {
  const doc = findNamed(call, kind, holder)
  const name = policyName(call, type, policy)
  if (doc.policies.some(each => isAttached(each, type, policy))) {
    throw alreadyExists(`${entityNames[kind]}.Policy`, policy)
  }
  if (doc.policies.length >= mostAttached) throw limitReached(`${entityNames[kind]}.Policy`, mostAttached)
  const policies = [...doc.policies, { type, name, attachedAtMs: call.nowMs }]
  return { writes: [put(kind, { ...doc, policies })], body: () => ({}) }
}

export function detachPolicy(call: RamCall, { kind, holder, type, policy }: Attachment): Plan<object> {
  const doc = findNamed(call, kind, holder)
  const policies = doc.policies.filter(each => !isAttached(each, type, policy))
  if (policies.length === doc.policies.length) throw notExist(`${entityNames[kind]}.Policy`, policy)
  return { writes: [put(kind, { ...doc, policies })], body: () => ({}) }
}

/** Users, groups or roles that have the policy, with when they got it. */
export function holdersOf(call: RamCall, kind: HolderKind, type: PolicyType, policy: string) {
  return allNamed(call, kind).flatMap(doc => {
    const attached = doc.policies.find(each => isAttached(each, type, policy))
    return attached === undefined ? [] : [{ doc, attachedAtMs: attached.attachedAtMs }]
  })
}

export function attachmentCount(call: RamCall, type: PolicyType, policy: string): number {
  const holds = (doc: { readonly policies: readonly AttachedPolicy[] }) =>
    doc.policies.some(each => isAttached(each, type, policy))
  return holderKinds.reduce((count, kind) => count + [...allOfAccount(call, kind)].filter(holds).length, 0)
}

function isAttached(attached: AttachedPolicy, type: PolicyType, name: string): boolean {
  return attached.type === type && isSameName(attached.name, name)
}

/** As it is written where it was made. @throws {ApiError} 404 */
function policyName(call: RamCall, type: PolicyType, name: string): string {
  if (type === 'Custom') return findNamed(call, 'ramPolicy', name).name
  const system = systemPolicyNamed.get(name)
  if (system === undefined) throw notExist('Policy', name)
  return system.name
}

const wordFor = (kind: HolderKind) => entityNames[kind].toLowerCase()
