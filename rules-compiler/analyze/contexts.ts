/** Where rules meet: the sets of groups that ENIs have, and each group alone that no ENI has. */
import {
  defaultInstance,
  type Eni,
  type Instance,
  type NicType,
  type Policy,
  type SecurityGroup,
} from '../model/policy.ts'
import type { EniIr } from '../policy/ir.ts'
import { resolvePolicy } from '../policy/resolve.ts'

export interface Context {
  /** The ENIs that have this set of groups, ordered by id; empty for a group that no ENI has. */
  readonly eniIds: readonly string[]
  /** The first of them, or one made up for a group that no ENI has: its rules are everyone's. */
  readonly eni: EniIr
}

/**
 * Every set of groups once, in the order of ENIs, then groups that no ENI has in the order of the policy. One after the
 * other: of a large fleet all of them together would fill the memory.
 */
export function* makeContexts(policy: Policy): Generator<Context> {
  const enis = [...policy.interfaces].sort((a, b) => (a.id < b.id ? -1 : 1))
  const sets = Map.groupBy(
    enis.filter(eni => eni.securityGroupIds.length > 0),
    eni => `${[...eni.securityGroupIds].sort().join(' ')} ${eni.nicType}`,
  )
  const instances = new Map(policy.instances.map(instance => [instance.id, instance]))
  const resolve = makeResolver(policy)
  for (const set of sets.values()) {
    const eni = set[0]!
    yield { eniIds: set.map(({ id }) => id), eni: resolve(eni, instances.get(eni.instanceId)!) }
  }
  const attached = new Set(enis.flatMap(eni => eni.securityGroupIds))
  for (const group of policy.securityGroups) {
    if (attached.has(group.id)) continue
    for (const eni of makeEnis(group)) yield { eniIds: [], eni: resolve(eni, imaginary) }
  }
}

/** Resolves an ENI with the part of the policy that decides there, without members: nothing here asks for them. */
function makeResolver(policy: Policy): (eni: Eni, instance: Instance) => EniIr {
  const groups = new Map(policy.securityGroups.map(group => [group.id, { ...group, members: [] }]))
  const lists = new Map(policy.prefixLists.map(list => [list.id, list]))
  return (eni, instance) => {
    const peers = eni.securityGroupIds.flatMap(id => groups.get(id)!.rules.map(({ peer }) => peer))
    const groupIds = peers.flatMap(peer => (peer.kind === 'group' ? [peer.groupId] : []))
    const listIds = peers.flatMap(peer => (peer.kind === 'prefixList' ? [peer.prefixListId] : []))
    const part: Policy = {
      instances: [instance],
      interfaces: [eni],
      securityGroups: [...new Set([...eni.securityGroupIds, ...groupIds])].map(id => groups.get(id)!),
      prefixLists: [...new Set(listIds)].map(id => lists.get(id)!),
      settings: policy.settings,
    }
    return resolvePolicy(part).enis[0]!
  }
}

const imaginary: Instance = { ...defaultInstance, id: 'imaginary', smtpUnblocked: true }

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
    mode: 'enforce',
  }))
}
