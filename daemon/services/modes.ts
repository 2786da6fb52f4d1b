/** Whether ENIs are enforced or only observed: by themselves, or by one of their groups. */
import type { EnforcementMode } from '../../rules-compiler/model/policy.ts'
import type { EniDoc, GroupDoc } from '../model/documents.ts'
import type { World } from '../state/world.ts'

export type Mode = EnforcementMode

/** The document with that mode; as it is where none is given. */
export function withMode<D extends { readonly mode?: 'observe' }>(doc: D, mode: Mode | undefined): D {
  if (mode === undefined) return doc
  const { mode: _, ...rest } = doc
  return (mode === 'observe' ? { ...rest, mode } : rest) as D
}

export function modeOf({ mode }: { readonly mode?: 'observe' }): Mode {
  return mode ?? 'enforce'
}

/** Nothing is dropped there. An ENI without group has no policy to be observed. */
export function isObserved(world: Pick<World, 'get'>, { mode, securityGroupIds }: EniDoc): boolean {
  if (securityGroupIds.length === 0) return false
  return mode === 'observe' || securityGroupIds.some(id => world.get('group', id)?.mode === 'observe')
}

/** What says that it is observed: its own id, those of its groups, or both; empty where it is not. */
export function observersOf(world: Pick<World, 'get'>, eni: EniDoc): string[] {
  if (!isObserved(world, eni)) return []
  const groupIds = eni.securityGroupIds.filter(id => world.get('group', id)?.mode === 'observe')
  return [...(eni.mode === 'observe' ? [eni.id] : []), ...groupIds]
}

/** Of the ENIs in a group, those that are observed, when the group is written as it is here. */
export function countObserved(world: World, group: GroupDoc): number {
  const eniIds = world.enisOfGroup(group.id)
  if (group.mode === 'observe') return eniIds.size
  const [observedEnis, observedGroups] = [world.observing('eni'), world.observing('group')]
  if (observedEnis.size === 0 && observedGroups.size === 0) return 0
  let count = 0
  for (const id of eniIds) {
    const isByOther = (groupId: string) => groupId !== group.id && observedGroups.has(groupId)
    if (observedEnis.has(id) || world.get('eni', id)!.securityGroupIds.some(isByOther)) count += 1
  }
  return count
}

/** Every ENI that is observed, by itself or by a group, in no particular order; costs as much as there are of them. */
export function observedEnis(world: World): EniDoc[] {
  const ids = new Set(world.observing('eni'))
  for (const groupId of world.observing('group')) for (const id of world.enisOfGroup(groupId)) ids.add(id)
  return [...ids].map(id => world.get('eni', id)!).filter(({ securityGroupIds }) => securityGroupIds.length > 0)
}

export function enforcementOf(world: Pick<World, 'get'>, eni: EniDoc) {
  const observedBy = observersOf(world, eni)
  const enforcement: 'enforced' | 'observed' | 'none' =
    eni.securityGroupIds.length === 0 ? 'none' : observedBy.length > 0 ? 'observed' : 'enforced'
  return { enforcement, observedBy }
}
