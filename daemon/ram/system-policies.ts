/**
 * Policies that every account has and nobody can change, under the names of the published service. Those for ECS also
 * cover what Ringwall has beside it and keeps with instances: thresholds and attacks.
 */
import { type PolicyDocument, readPolicyDocument } from './policy-document.ts'

export interface SystemPolicy {
  readonly name: string
  readonly description: string
  /** JSON, as it is shown. */
  readonly text: string
  readonly document: PolicyDocument
}

function policy(name: string, description: string, ...statements: readonly (readonly string[])[]): SystemPolicy {
  const text = JSON.stringify({
    Version: '1',
    Statement: statements.map(actions => ({ Effect: 'Allow', Action: actions, Resource: '*' })),
  })
  return { name, description, text, document: readPolicyDocument(text, 'identity') }
}

const looking = ['Describe*', 'List*', 'Get*', 'Query*', 'Explain*']
const lookingAt = (...services: readonly string[]) =>
  services.flatMap(service => looking.map(action => `${service}:${action}`))

export const systemPolicies: readonly SystemPolicy[] = [
  policy('AdministratorAccess', 'Everything.', ['*']),
  policy(
    'ReadOnlyAccess',
    'Look at everything, change nothing.',
    looking.map(action => `*:${action}`),
  ),
  policy('AliyunECSFullAccess', 'Security groups, instances, network interfaces and prefix lists.', [
    'ecs:*',
    'vpc:DescribeVpcs',
    'vpc:DescribeVSwitches',
  ]),
  policy('AliyunECSReadOnlyAccess', 'Look at security groups, instances, network interfaces and prefix lists.', [
    ...lookingAt('ecs'),
    'vpc:DescribeVpcs',
    'vpc:DescribeVSwitches',
  ]),
  policy('AliyunECSNetworkInterfaceManagementAccess', 'Make, change, attach and delete network interfaces.', [
    'ecs:CreateNetworkInterface',
    'ecs:DeleteNetworkInterface',
    'ecs:DescribeNetworkInterfaces',
    'ecs:AttachNetworkInterface',
    'ecs:DetachNetworkInterface',
    'ecs:ModifyNetworkInterfaceAttribute',
    'ecs:DescribeSecurityGroups',
  ]),
  policy('AliyunRAMFullAccess', 'Users, groups, roles, policies and access keys.', ['ram:*']),
  policy('AliyunRAMReadOnlyAccess', 'Look at users, groups, roles and policies.', lookingAt('ram')),
  policy('AliyunSTSAssumeRoleAccess', 'Assume the roles that trust the caller.', ['sts:AssumeRole']),
  policy('AliyunYundunDDosFullAccess', 'Thresholds of traffic scrubbing, and attacks.', ['yundun-ddos:*']),
  policy('AliyunYundunDDosReadOnlyAccess', 'Look at thresholds and attacks.', lookingAt('yundun-ddos')),
]

export const systemPolicyNamed: ReadonlyMap<string, SystemPolicy> = new Map(
  systemPolicies.map(each => [each.name, each]),
)
