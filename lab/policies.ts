/**
 * What each host's policy must come to, made from the lab's own data and not from the daemon's answers: what traffic is
 * judged by when it is said to be as expected.
 */
import { families } from '../rules-compiler/address/cidr.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { checkPolicy } from '../rules-compiler/validate/read-policy.ts'
import { type AgentHost, addressesOf, type Fleet, groups, type LabEni, smtpUnblockedOwner } from './fleet.ts'

export type HostPolicies = ReadonlyMap<AgentHost, PolicyIr>

export function hostPolicies(fleet: Fleet): HostPolicies {
  return new Map(fleet.agentHosts.map(host => [host, hostPolicy(fleet, host)]))
}

/** @throws {Error} naming the first fault, which would be one of the lab itself */
function hostPolicy({ enis }: Fleet, host: AgentHost): PolicyIr {
  const ownEnis = enis.filter(eni => eni.host === host)
  const { policy, problems } = checkPolicy({
    apiVersion: 'ringwall/v1',
    instances: ownEnis.map(({ owner }) => ({ id: instanceId(owner), smtpUnblocked: owner === smtpUnblockedOwner })),
    interfaces: ownEnis.map(({ id, device, placement, owner, groupIds }) => ({
      id,
      instanceId: instanceId(owner),
      device,
      placement,
      addresses: bothAddresses(owner),
      securityGroupIds: groupIds,
    })),
    securityGroups: groups.map(({ id, description, innerAccessPolicy, rules }) => {
      const named = rules.map(({ name, ...rule }) => ({ id: name, ...rule }))
      return { id, description, innerAccessPolicy, members: membersOf(id, enis), rules: named }
    }),
  })
  if (policy === null) throw new Error(`The lab wrote a policy with a fault: ${JSON.stringify(problems[0])}`)
  return resolvePolicy(policy)
}

export function instanceId(owner: LabEni['owner']): string {
  return `i-${owner}`
}

function bothAddresses(owner: LabEni['owner']): string[] {
  return families.map(family => addressesOf(owner)[family])
}

function membersOf(groupId: string, enis: readonly LabEni[]): string[] {
  return enis.filter(({ groupIds }) => groupIds.includes(groupId)).flatMap(({ owner }) => bothAddresses(owner))
}
