/** The group of ENIs that name none: one for each account and network, made when it is first needed. */
import { type GroupDoc, keyOf } from '../model/documents.ts'
import { type Network, networkKey, type World } from '../state/world.ts'
import type { Write } from '../store/store.ts'
import { madeId } from './ids.ts'
import { defaultGroupRules } from './templates.ts'

export interface DefaultGroupPlace {
  readonly accountId: string
  readonly network: Network
  /** Lets in 80 and 443 as well, where the group is made now. */
  readonly webPorts?: boolean
}

/** @returns the group, and the write that makes it; none where it is there. */
export function ensureDefaultGroup(
  world: World,
  { accountId, network, webPorts = false }: DefaultGroupPlace,
  nowMs: number,
): { readonly groupId: string; readonly writes: readonly Write[] } {
  const present = findDefaultGroup(world, accountId, network)
  if (present !== null) return { groupId: present.id, writes: [] }
  const group: GroupDoc = {
    id: madeId('group'),
    accountId,
    name: 'default',
    description: 'For network interfaces that name no group',
    tags: {},
    type: 'basic',
    networkType: network.networkType,
    vpcId: network.vpcId,
    innerAccessPolicy: 'accept',
    isDefault: true,
    rules: defaultGroupRules({ webPorts }).map(fields => ({ id: madeId('rule'), ...fields, createdAtMs: nowMs })),
    createdAtMs: nowMs,
  }
  return { groupId: group.id, writes: [{ key: keyOf('group', group.id), value: group }] }
}

function findDefaultGroup(world: World, accountId: string, network: Network): GroupDoc | null {
  const wanted = networkKey(network)
  for (const group of world.all('group')) {
    if (group.isDefault && group.accountId === accountId && networkKey(group) === wanted) return group
  }
  return null
}
