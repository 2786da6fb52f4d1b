/** The lab's groups, rules, instances and ENIs, told to the daemon over REST as an operator would. */
import type { Control } from './control.ts'
import { addressesOf, type Fleet, groups, type LabEni, type LabGroup, smtpUnblockedOwner } from './fleet.ts'
import { instanceId } from './policies.ts'

/** The daemon's ids of rules, keyed by the lab's names. */
export type RuleIds = ReadonlyMap<string, string>

/** Groups first, without rules, because rules name groups; then rules, instances, and ENIs, which are members at once. */
export async function setUp({ enis }: Fleet, control: Control): Promise<RuleIds> {
  const ids = new Map<string, string>()
  for (const { id, description, innerAccessPolicy } of groups) {
    await control.call('POST', '/v1/security-groups', { securityGroupId: id, description, innerAccessPolicy })
  }
  for (const { id, rules } of groups) {
    if (rules.length === 0) continue
    const { permissions } = await addRules(control, id, rules)
    for (const { securityGroupRuleId, description } of permissions) ids.set(description, securityGroupRuleId)
  }
  for (const { owner } of enis) await registerInstance(owner, control)
  for (const eni of enis) await registerEni(eni, control)
  return ids
}

/** When they are in force everywhere. The names of rules become their descriptions. */
export function addRules(control: Control, groupId: string, rules: LabGroup['rules']): Promise<Added> {
  return control.call<Added>('POST', `/v1/security-groups/${groupId}/rules?wait=enforced&timeout=60`, {
    permissions: rules.map(({ name, ...rule }) => ({ ...rule, description: name })),
  })
}

interface Added {
  readonly permissions: readonly { readonly securityGroupRuleId: string; readonly description: string }[]
}

async function registerInstance(owner: LabEni['owner'], control: Control): Promise<void> {
  const id = instanceId(owner)
  await control.call('POST', '/v1/instances', { instanceId: id, instanceName: owner })
  if (owner === smtpUnblockedOwner) await control.call('PATCH', `/v1/instances/${id}`, { smtpUnblocked: true })
}

/** By the name of its device: the namespaces' MAC addresses are another in each run. */
async function registerEni({ id, owner, device, placement, groupIds }: LabEni, control: Control): Promise<void> {
  const { ip, ip6 } = addressesOf(owner)
  await control.call('POST', '/v1/network-interfaces', {
    networkInterfaceId: id,
    instanceId: instanceId(owner),
    device,
    placement,
    privateIpAddresses: [ip],
    ipv6Addresses: [ip6],
    securityGroupIds: groupIds,
  })
}
