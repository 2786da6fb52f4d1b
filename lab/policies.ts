/** The policy file of each host: its own ENIs, and all groups with the addresses of their members. */
import { stringify } from 'yaml'
import { families } from '../rules-compiler/address/cidr.ts'
import type { Policy } from '../rules-compiler/model/policy.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'
import { type AgentHost, addresses, enis, groups } from './fleet.ts'

/** Rules the file leaves out, by id; everything else stays as it is. */
export interface PolicyChange {
  readonly withoutRules?: readonly string[]
}

export function policyText(host: AgentHost, { withoutRules = [] }: PolicyChange = {}): string {
  const ownEnis = enis.filter(eni => eni.host === host)
  const file = {
    apiVersion: 'ringwall/v1',
    instances: ownEnis.map(({ addressesOf }) => ({
      id: `i-${addressesOf}`,
      // The one instance an administrator let send mail to the Internet.
      ...(addressesOf === 'app' ? { smtpUnblocked: true } : {}),
    })),
    interfaces: ownEnis.map(({ id, device, placement, addressesOf, groupIds }) => ({
      id,
      instanceId: `i-${addressesOf}`,
      device,
      placement,
      addresses: families.map(family => addresses[addressesOf][family]),
      securityGroupIds: groupIds,
    })),
    securityGroups: groups.map(({ id, description, innerAccessPolicy, rules }) => ({
      id,
      description,
      innerAccessPolicy,
      members: membersOf(id),
      rules: rules.filter(rule => !withoutRules.includes(String(rule.id))),
    })),
  }
  return stringify(file, { lineWidth: 120 })
}

/** @throws {Error} naming the first fault, which would be one of the lab itself */
export function readLabPolicy(text: string): Policy {
  const { policy, problems } = readPolicy(text)
  if (policy === null) throw new Error(`The lab wrote a policy with a fault: ${JSON.stringify(problems[0])}`)
  return policy
}

function membersOf(groupId: string): string[] {
  const inGroup = enis.filter(({ groupIds }) => groupIds.includes(groupId))
  return inGroup.flatMap(({ addressesOf }) => families.map(family => addresses[addressesOf][family]))
}
