/** Policies, their versions, and who has which. */
import Type, { type TProperties } from 'typebox'
import type { PolicyType as PolicyKind, RamGroupDoc, RamPolicyDoc, RamRoleDoc, RamUserDoc } from '../../../model/ram.ts'
import { systemPolicies, systemPolicyNamed } from '../../../ram/system-policies.ts'
import * as policies from '../../../services/ram/policies.ts'
import { allNamed, findNamed, notExist, type RamCall } from '../../../services/ram/ram-call.ts'
import { roleArn } from '../../../services/ram/roles.ts'
import type { RpcAction } from '../../action.ts'
import { renamed } from '../../envelope.ts'
import { coded } from '../../read-parameters.ts'
import { isoSeconds } from '../../shapes.ts'
import {
  description,
  documentText,
  GroupName,
  onPolicy,
  PolicyName,
  pageByMarker,
  pageFields,
  RoleName,
  reads,
  silent,
  UserName,
  writes,
} from './ram-action.ts'

const PolicyType = coded('InvalidParameter.PolicyType', Type.Enum(['System', 'Custom']))
const VersionId = coded('InvalidParameter.VersionId', Type.String({ pattern: '^v\\d{1,9}$' }))

function showCustom(call: RamCall, policy: RamPolicyDoc) {
  return {
    PolicyType: 'Custom',
    PolicyName: policy.name,
    Description: policy.description ?? '',
    DefaultVersion: policy.defaultVersion,
    AttachmentCount: policies.attachmentCount(call, 'Custom', policy.name),
    CreateDate: isoSeconds(policy.createdAtMs),
    UpdateDate: isoSeconds(policy.updatedAtMs),
  }
}

/** System policies have no history: they are as old as the program. */
const systemDate = '2026-01-01T00:00:00Z'

function showSystem(
  call: RamCall,
  { name, description: text }: { readonly name: string; readonly description: string },
) {
  return {
    PolicyType: 'System',
    PolicyName: name,
    Description: text,
    DefaultVersion: 'v1',
    AttachmentCount: policies.attachmentCount(call, 'System', name),
    CreateDate: systemDate,
    UpdateDate: systemDate,
  }
}

const showVersion = (policy: RamPolicyDoc, { id, text, createdAtMs }: RamPolicyDoc['versions'][number]) => ({
  VersionId: id,
  IsDefaultVersion: id === policy.defaultVersion,
  PolicyDocument: text,
  CreateDate: isoSeconds(createdAtMs),
})

function showPolicy(call: RamCall, type: PolicyKind, name: string) {
  if (type === 'Custom') {
    const policy = findNamed(call, 'ramPolicy', name)
    const version = showVersion(policy, policies.defaultVersionOf(policy))
    return { Policy: showCustom(call, policy), DefaultPolicyVersion: version }
  }
  const system = systemPolicyNamed.get(name)
  if (system === undefined) throw notExist('Policy', name)
  const version = { VersionId: 'v1', IsDefaultVersion: true, PolicyDocument: system.text, CreateDate: systemDate }
  return { Policy: showSystem(call, system), DefaultPolicyVersion: version }
}

export const policyActions: readonly RpcAction[] = [
  writes(
    'CreatePolicy',
    {
      summary: 'make a custom policy',
      parameters: { PolicyName, PolicyDocument: documentText, Description: description },
      on: () => 'policy/*',
    },
    (call, { PolicyName: name, PolicyDocument: document, Description }) =>
      renamed(policies.createPolicy(call, { name, document, description: Description }), policy => ({
        Policy: showCustom(call, policy),
      })),
  ),
  reads(
    'GetPolicy',
    { summary: 'a policy with its document', parameters: { PolicyType, PolicyName }, on: onPolicy },
    (call, { PolicyType: type, PolicyName: name }) => showPolicy(call, type, name),
  ),
  reads(
    'ListPolicies',
    {
      summary: 'system and custom policies',
      parameters: { PolicyType: Type.Optional(PolicyType), ...pageFields },
      on: () => 'policy/*',
    },
    (call, { PolicyType: type, ...page }) => {
      // Those that there always are come first. Who has each is counted for those of the page alone.
      const system = systemPolicies.map(policy => ({ order: `0 ${policy.name}`, show: () => showSystem(call, policy) }))
      const custom = allNamed(call, 'ramPolicy').map(policy => ({
        order: `1 ${policy.name}`,
        show: () => showCustom(call, policy),
      }))
      const sorted = [...(type === 'Custom' ? [] : system), ...(type === 'System' ? [] : custom)].sort((a, b) =>
        a.order.toLowerCase() < b.order.toLowerCase() ? -1 : 1,
      )
      const { shown, fields } = pageByMarker(sorted, ({ order }) => order, page)
      return { Policies: { Policy: shown.map(({ show }) => show()) }, ...fields }
    },
  ),
  writes(
    'DeletePolicy',
    { summary: 'delete a custom policy that nobody has', parameters: { PolicyName }, on: onPolicy },
    (call, { PolicyName: name }) => silent(policies.deletePolicy(call, name)),
  ),
  writes(
    'CreatePolicyVersion',
    {
      summary: 'another version of a custom policy, five at most',
      parameters: {
        PolicyName,
        PolicyDocument: documentText,
        SetAsDefault: Type.Optional(Type.Boolean({ default: false })),
        RotateStrategy: Type.Optional(Type.Enum(['None', 'DeleteOldestNonDefaultVersionWhenLimitExceeded'])),
      },
      on: onPolicy,
    },
    (call, { PolicyName: name, PolicyDocument: document, SetAsDefault = false, RotateStrategy = 'None' }) => {
      const given = { document, setAsDefault: SetAsDefault, rotates: RotateStrategy !== 'None' }
      return renamed(policies.createPolicyVersion(call, name, given), ({ policy, version }) => ({
        PolicyVersion: showVersion(policy, version),
      }))
    },
  ),
  reads(
    'GetPolicyVersion',
    {
      summary: 'a version of a policy',
      parameters: { PolicyType: Type.Optional(PolicyType), PolicyName, VersionId },
      on: onPolicy,
    },
    (call, { PolicyType: type = 'Custom', PolicyName: name, VersionId: id }) => {
      if (type === 'System') {
        if (id !== 'v1') throw notExist('Policy.Version', `${name} ${id}`)
        return { PolicyVersion: showPolicy(call, type, name).DefaultPolicyVersion }
      }
      const policy = findNamed(call, 'ramPolicy', name)
      return { PolicyVersion: showVersion(policy, policies.findVersion(policy, id)) }
    },
  ),
  reads(
    'ListPolicyVersions',
    {
      summary: 'versions of a policy',
      parameters: { PolicyType: Type.Optional(PolicyType), PolicyName },
      on: onPolicy,
    },
    (call, { PolicyType: type = 'Custom', PolicyName: name }) => {
      if (type === 'System')
        return { PolicyVersions: { PolicyVersion: [showPolicy(call, type, name).DefaultPolicyVersion] } }
      const policy = findNamed(call, 'ramPolicy', name)
      return { PolicyVersions: { PolicyVersion: policy.versions.map(version => showVersion(policy, version)) } }
    },
  ),
  writes(
    'SetDefaultPolicyVersion',
    { summary: 'which version counts', parameters: { PolicyName, VersionId }, on: onPolicy },
    (call, { PolicyName: name, VersionId: id }) => silent(policies.setDefaultVersion(call, name, id)),
  ),
  writes(
    'DeletePolicyVersion',
    { summary: 'delete a version that does not count', parameters: { PolicyName, VersionId }, on: onPolicy },
    (call, { PolicyName: name, VersionId: id }) => silent(policies.deletePolicyVersion(call, name, id)),
  ),
]

const holders = [
  { word: 'User', kind: 'ramUser', field: 'UserName', schema: UserName },
  { word: 'Group', kind: 'ramGroup', field: 'GroupName', schema: GroupName },
  { word: 'Role', kind: 'ramRole', field: 'RoleName', schema: RoleName },
] as const

/** The name of the user, group or role that a request is about. */
const holderIn = (field: string, given: object) => String((given as Record<string, unknown>)[field])

export const attachmentActions: readonly RpcAction[] = holders.flatMap(({ word, kind, field, schema }) => {
  const parameters: TProperties = { PolicyType, PolicyName, [field]: schema }
  const on = (given: { PolicyName: string }) => [`${word.toLowerCase()}/${holderIn(field, given)}`, onPolicy(given)]
  const change = (name: string, summary: string, carryOut: typeof policies.attachPolicy) =>
    writes(name, { summary, parameters, on }, (call, given) => {
      const { PolicyType: type, PolicyName: policy } = given as { PolicyType: PolicyKind; PolicyName: string }
      return silent(carryOut(call, { kind, holder: holderIn(field, given), type, policy }))
    })
  return [
    change(`AttachPolicyTo${word}`, `give a policy to a ${word.toLowerCase()}`, policies.attachPolicy),
    change(`DetachPolicyFrom${word}`, `take a policy from a ${word.toLowerCase()}`, policies.detachPolicy),
    reads(
      `ListPoliciesFor${word}`,
      {
        summary: `policies of a ${word.toLowerCase()}`,
        parameters: { [field]: schema },
        on: (given: object) => `${word.toLowerCase()}/${holderIn(field, given)}`,
      },
      (call, given) => ({
        Policies: {
          Policy: findNamed(call, kind, holderIn(field, given)).policies.map(({ type, name, attachedAtMs }) => {
            const { Policy } = showPolicy(call, type, name)
            const { PolicyType: policyType, PolicyName: policyName, Description, DefaultVersion } = Policy
            return {
              PolicyType: policyType,
              PolicyName: policyName,
              Description,
              DefaultVersion,
              AttachDate: isoSeconds(attachedAtMs),
            }
          }),
        },
      }),
    ),
  ]
})

export const entitiesAction = reads(
  'ListEntitiesForPolicy',
  { summary: 'who has a policy', parameters: { PolicyType, PolicyName }, on: onPolicy },
  (call, { PolicyType: type, PolicyName: name }) => {
    showPolicy(call, type, name)
    const of = (kind: policies.HolderKind) => policies.holdersOf(call, kind, type, name)
    const when = (ms: number) => ({ AttachDate: isoSeconds(ms) })
    return {
      Users: {
        User: of('ramUser').map(({ doc, attachedAtMs }) => {
          const user = doc as RamUserDoc
          return { UserId: user.id, UserName: user.name, DisplayName: user.displayName ?? '', ...when(attachedAtMs) }
        }),
      },
      Groups: {
        Group: of('ramGroup').map(({ doc, attachedAtMs }) => ({
          GroupName: doc.name,
          Comments: (doc as RamGroupDoc).comments ?? '',
          ...when(attachedAtMs),
        })),
      },
      Roles: {
        Role: of('ramRole').map(({ doc, attachedAtMs }) => {
          const role = doc as RamRoleDoc
          return {
            RoleId: role.id,
            RoleName: role.name,
            Arn: roleArn(role),
            Description: role.description ?? '',
            ...when(attachedAtMs),
          }
        }),
      },
    }
  },
)
