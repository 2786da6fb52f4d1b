/** `/v1/ram/policies` and `/v1/ram/access-keys` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { ApiError } from '../errors.ts'
import type { RamPolicyDoc } from '../model/ram.ts'
import { type SystemPolicy, systemPolicies } from '../ram/system-policies.ts'
import { idParam, isoTime } from '../schemas/fields.ts'
import {
  accessKeySchema,
  createAccessKeySchema,
  createPolicyVersionSchema,
  createRamPolicySchema,
  modifyAccessKeySchema,
  ramPolicySchema,
  ramPolicyWholeSchema,
  setDefaultVersionSchema,
} from '../schemas/ram.ts'
import { mayRead, type Principal, readable, requireWrite } from '../services/principal.ts'
import { createAccessKey, deleteAccessKey, updateAccessKey } from '../services/ram/access-keys.ts'
import {
  createPolicy,
  createPolicyVersion,
  deletePolicy,
  deletePolicyVersion,
  setDefaultVersion,
} from '../services/ram/policies.ts'
import { notExist } from '../services/ram/ram-call.ts'
import {
  policyArn,
  showAccessKey,
  showCustomPolicy,
  showPolicyWhole,
  showSystemPolicy,
  systemPolicyArn,
} from '../services/ram/show.ts'
import type { Standing, World } from '../state/world.ts'
import { addListRoute } from './listing.ts'
import { accountQuery, addDeleteRoute, idOf, namedSubject, ramCall, ramTag, told } from './ram-route.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const url = '/v1/ram/policies'
const policyUrl = `${url}/:policyName`
const params = Type.Object({ policyName: Type.String({ description: 'The policy.', maxLength: 128 }) })
const versionParams = Type.Object({ ...params.properties, versionId: idParam('v1, v2 …') })
const subject = namedSubject('ramPolicy', 'policyName')
const versionAnswer = Type.Object({ policyName: Type.String(), versionId: Type.String() })

/** Of the system, or one that was made. */
type ListedPolicy = { readonly arn: string; readonly name: string } & (
  | { readonly system: SystemPolicy }
  | { readonly custom: Standing<RamPolicyDoc> }
)

const typeOf = (listed: ListedPolicy) => ('system' in listed ? 'System' : 'Custom')

export function addPolicyRoutes(app: FastifyInstance, api: Api): void {
  addListRoute(app, api, {
    url,
    summary: 'List policies: those of the system and those that were made',
    tag: ramTag,
    *sources(world, { principal }): Generator<ListedPolicy> {
      for (const system of systemPolicies) yield { arn: systemPolicyArn(system.name), name: system.name, system }
      for (const custom of readable(world, principal, 'ramPolicy')) {
        yield { arn: policyArn(custom.doc), name: custom.doc.name, custom }
      }
    },
    item: ramPolicySchema,
    show(listed, world, { principal, nowMs }) {
      const call = { world, accountId: '', nowMs }
      if ('custom' in listed) return showCustomPolicy(call, listed.custom.doc, listed.custom.revision)
      const accountIds = [...world.all('account')].map(({ id }) => id).filter(id => mayRead(principal, id))
      return showSystemPolicy(call, listed.system, accountIds)
    },
    idField: 'arn',
    idOf: ({ arn }) => arn,
    filters: {
      accountId: {
        test: text => listed => 'system' in listed || listed.custom.doc.accountId === text,
        description: 'Policies of this account; those of the system, which belong to all, are told in any case.',
      },
      policyName: { like: ({ name }) => name, description: 'Policies of this name.' },
      policyType: { equals: typeOf, description: 'System or Custom.', schema: ramPolicySchema.properties.policyType },
    },
    sorts: { policyName: ({ name }) => name, policyType: typeOf },
  })

  addReadRoute(app, api, {
    url: policyUrl,
    summary: 'Read a policy with its documents and who has it',
    tag: ramTag,
    params,
    query: accountQuery,
    answer: Type.Object({ policy: ramPolicyWholeSchema }),
    read: (world, input) => ({ policy: showPolicyWhole(ramCall(world, input, 'read'), input.params.policyName) }),
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url,
    summary: 'Make a policy, which nobody has yet',
    tag: ramTag,
    action: 'ram:CreatePolicy',
    query: accountQuery,
    body: createRamPolicySchema,
    status: 201,
    answer: Type.Object({ policy: ramPolicySchema }),
    etag: 'policy',
    plan(world, input) {
      const call = ramCall(world, input, 'write')
      const { policyName: name, document, description } = input.body
      const given = { name, document: JSON.stringify(document), description: description ?? undefined }
      return told(createPolicy(call, given), (policy, revisionOf) => ({
        policy: showCustomPolicy(call, policy, revisionOf('ramPolicy', idOf(policy))),
      }))
    },
  })

  const text = {
    summary: 'Delete a policy',
    description: 'Refused while somebody has it, or it has more than one version.',
  }
  const policies = { kind: 'ramPolicy', folder: 'policies', nameField: 'policyName', params } as const
  addDeleteRoute(app, api, policies, text, deletePolicy)

  addWriteRoute(app, api, {
    method: 'POST',
    url: `${policyUrl}/versions`,
    summary: 'Make another version of a policy',
    tag: ramTag,
    action: 'ram:CreatePolicyVersion',
    params,
    query: accountQuery,
    body: createPolicyVersionSchema,
    status: 201,
    answer: versionAnswer,
    subject,
    plan(world, input) {
      const { document, setAsDefault = false, rotates = false } = input.body
      const given = { document: JSON.stringify(document), setAsDefault, rotates }
      const plan = createPolicyVersion(ramCall(world, input, 'write'), input.params.policyName, given)
      return told(plan, ({ policy, version }) => ({ policyName: policy.name, versionId: version.id }))
    },
  })

  addWriteRoute(app, api, {
    method: 'PUT',
    url: `${policyUrl}/default-version`,
    summary: 'Say which version of a policy holds',
    tag: ramTag,
    action: 'ram:SetDefaultPolicyVersion',
    params,
    query: accountQuery,
    body: setDefaultVersionSchema,
    answer: versionAnswer,
    subject,
    plan(world, input) {
      const { policyName } = input.params
      const { versionId } = input.body
      return told(setDefaultVersion(ramCall(world, input, 'write'), policyName, versionId), () => ({
        policyName,
        versionId,
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: `${policyUrl}/versions/:versionId`,
    summary: 'Delete a version that does not hold',
    tag: ramTag,
    action: 'ram:DeletePolicyVersion',
    params: versionParams,
    query: accountQuery,
    answer: versionAnswer,
    subject,
    plan(world, input) {
      const { policyName, versionId } = input.params
      return told(deletePolicyVersion(ramCall(world, input, 'write'), policyName, versionId), () => ({
        policyName,
        versionId,
      }))
    },
  })
}

const keysUrl = '/v1/ram/access-keys'
const keyUrl = `${keysUrl}/:accessKeyId`
const keyParams = Type.Object({ accessKeyId: idParam('The access key.') })
const keySubject = ({ accessKeyId }: { accessKeyId: string }) => ({ kind: 'accessKey', id: accessKeyId }) as const

export function addAccessKeyRoutes(app: FastifyInstance, api: Api): void {
  const { sealer, keyUsage } = api

  addListRoute(app, api, {
    url: keysUrl,
    summary: 'List access keys, without their secrets',
    tag: ramTag,
    *sources(world, { principal }) {
      for (const standing of readable(world, principal, 'accessKey')) {
        if (standing.doc.userName !== null || ownsAccount(principal)) yield standing
      }
    },
    item: accessKeySchema,
    show: ({ doc, revision }) => showAccessKey(doc, keyUsage, revision),
    idField: 'accessKeyId',
    idOf: ({ doc }) => doc.id,
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: 'Keys of this account.' },
      userName: {
        test: text => source => source.doc.userName?.toLowerCase() === text.toLowerCase(),
        description: 'Keys of this user.',
      },
      status: {
        equals: ({ doc }) => doc.status,
        description: 'Active or Inactive.',
        schema: accessKeySchema.properties.status,
      },
    },
    sorts: {
      userName: ({ doc }) => doc.userName,
      createTime: ({ doc }) => isoTime(doc.createdAtMs),
      lastUsedTime({ doc }) {
        const use = keyUsage.of(doc.id)
        return use === undefined ? null : isoTime(use.atMs)
      },
    },
  })

  addWriteRoute(app, api, {
    method: 'POST',
    url: keysUrl,
    summary: 'Make an access key',
    description:
      'The answer is the only place where its secret is ever shown. Two at most of each user. Keys of the account itself, which may everything in it, are made by operators’ tokens alone.',
    tag: ramTag,
    action: 'ram:CreateAccessKey',
    query: accountQuery,
    body: createAccessKeySchema,
    status: 201,
    answer: Type.Object({
      accessKey: accessKeySchema,
      accessKeySecret: Type.String({ description: 'Signs requests of the RPC API.' }),
    }),
    isSecret: true,
    plan(world, input) {
      const { userName } = input.body
      if (userName === null) requireAccountOwner(input.principal)
      return told(createAccessKey(ramCall(world, input, 'write'), userName, sealer), ({ key, secret }, revisionOf) => ({
        accessKey: showAccessKey(key, keyUsage, revisionOf('accessKey', key.id)),
        accessKeySecret: secret,
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: keyUrl,
    summary: 'Switch an access key off and on',
    tag: ramTag,
    action: 'ram:UpdateAccessKey',
    params: keyParams,
    body: modifyAccessKeySchema,
    answer: Type.Object({ accessKey: accessKeySchema }),
    etag: 'accessKey',
    subject: keySubject,
    plan(world, { principal, params: { accessKeyId }, body: { status }, nowMs }) {
      const key = writableKey(world, principal, accessKeyId)
      const { accountId, userName } = key
      return told(updateAccessKey({ world, accountId, nowMs }, userName, accessKeyId, status), (_, revisionOf) => ({
        accessKey: showAccessKey({ ...key, status }, keyUsage, revisionOf('accessKey', accessKeyId)),
      }))
    },
  })

  addWriteRoute(app, api, {
    method: 'DELETE',
    url: keyUrl,
    summary: 'Delete an access key; what it signs is refused from then on',
    tag: ramTag,
    action: 'ram:DeleteAccessKey',
    params: keyParams,
    answer: Type.Object({ accessKeyId: Type.String() }),
    subject: keySubject,
    plan(world, { principal, params: { accessKeyId }, nowMs }) {
      const { accountId, userName } = writableKey(world, principal, accessKeyId)
      return told(deleteAccessKey({ world, accountId, nowMs }, userName, accessKeyId), () => ({ accessKeyId }))
    },
  })
}

/** @throws {ApiError} 404 also for one that he may not see, 403 */
function writableKey(world: World, principal: Principal, id: string) {
  const key = world.get('accessKey', id)
  if (key === undefined || !mayRead(principal, key.accountId)) throw notExist('User.AccessKey', id)
  requireWrite(principal, key.accountId)
  if (key.userName === null) requireAccountOwner(principal)
  return key
}

/** Policies are a user's limits; a key of the account has none. */
function ownsAccount({ ram }: Principal): boolean {
  return ram === undefined || ram.type === 'Account'
}

/** @throws {ApiError} 403 */
function requireAccountOwner(principal: Principal): void {
  if (ownsAccount(principal)) return
  const message = `${principal.name} may not touch access keys of the account itself: expected an operator's token`
  throw new ApiError(403, 'NoPermission', message)
}
