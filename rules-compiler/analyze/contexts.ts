/** Where rules meet: the sets of groups that ENIs have, and each group alone that no ENI has. */
import type { Eni, NicType, Policy, SecurityGroup } from '../model/policy.ts'
import type { EniIr } from '../policy/ir.ts'
import { resolvePolicy } from '../policy/resolve.ts'

export interface Context {
  /** The ENIs that have this set of groups, ordered by id; empty for a group that no ENI has. */
  readonly eniIds: readonly string[]
  /** The first of them, or one made up for a group that no ENI has: its rules are everyone's. */
  readonly eni: EniIr
}

/** Every set of groups once, in the order of ENIs, then groups that no ENI has in the order of the policy. */
export function makeContexts(policy: Policy): readonly Context[] {
  const enis = [...policy.interfaces].sort((a, b) => (a.id < b.id ? -1 : 1))
  const sets = Map.groupBy(
    enis.filter(eni => eni.securityGroupIds.length > 0),
    eni => `${[...eni.securityGroupIds].sort().join(' ')} ${eni.nicType}`,
  )
  const attached = new Set(enis.flatMap(eni => eni.securityGroupIds))
  const lonely = policy.securityGroups.filter(group => !attached.has(group.id)).flatMap(makeEnis)
  const resolved = new Map(resolvePolicy(policy).enis.map(eni => [eni.id, eni]))
  return [
    ...[...sets.values()].map(set => ({ eniIds: set.map(eni => eni.id), eni: resolved.get(set[0]!.id)! })),
    ...resolvePolicy({ ...policy, instances: [imaginary], interfaces: lonely }).enis.map(eni => ({ eniIds: [], eni })),
  ]
}

const imaginary = { id: 'imaginary', instanceType: null, smtpUnblocked: true } as const

/** Classic rules are for one kind of interface each, so a classic group is looked at from both. */
function makeEnis(group: SecurityGroup): readonly Eni[] {
  const nicTypes: readonly NicType[] = group.networkType === 'classic' ? ['internet', 'intranet'] : ['internet']
  return nicTypes.map(nicType => ({
    id: `${group.id} ${nicType}`,
    instanceId: imaginary.id,
    device: '',
    placement: 'host',
    addresses: [],
    securityGroupIds: [group.id],
    nicType,
  }))
}
