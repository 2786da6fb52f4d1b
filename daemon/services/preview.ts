/** What a change would do, said before it is made. */
import { type Documents, parseKey } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Change } from '../store/store.ts'
import { groupsNaming, showAssociation } from './named-lists.ts'

export interface TouchedRule {
  readonly securityGroupId: string
  readonly securityGroupRuleId: string
  readonly effect: (typeof ruleEffects)[number]
}

/**
 * `members-changed`, `entries-changed`: the rule stays as it is, but names a group whose members change, or a list whose
 * entries do.
 */
export const ruleEffects = ['added', 'removed', 'changed', 'members-changed', 'entries-changed'] as const

/** Rules that the changes add, remove or alter, and those that match other addresses or ports because of them. */
export function rulesTouchedBy(world: World, changes: readonly Change[]): readonly TouchedRule[] {
  const edited: TouchedRule[] = []
  const membershipChanged = new Set<string>()
  const listsChanged: string[] = []
  for (const { key, before, value } of changes) {
    const { kind, id } = parseKey(key)
    if (kind === 'group') edited.push(...rulesEdited(id, before as GroupOrNone, value as GroupOrNone))
    if (
      (kind === 'prefixList' || kind === 'portRangeList') &&
      hasOtherEntries(before as ListOrNone, value as ListOrNone)
    )
      listsChanged.push(id)
    if (kind !== 'eni') continue
    for (const groupId of groupsWithOtherMembers(before as EniOrNone, value as EniOrNone))
      membershipChanged.add(groupId)
  }
  const known = new Set(edited.map(({ securityGroupRuleId }) => securityGroupRuleId))
  const matching = [
    ...[...membershipChanged].flatMap(groupId => rulesNaming(world, groupId)),
    ...listsChanged.flatMap(listId => rulesNamingList(world, listId)),
  ]
  return [...edited, ...matching.filter(({ securityGroupRuleId }) => !known.has(securityGroupRuleId))]
}

type GroupOrNone = Documents['group'] | null
type EniOrNone = Documents['eni'] | null
type ListOrNone = Documents['prefixList' | 'portRangeList'] | null

function hasOtherEntries(before: ListOrNone, after: ListOrNone): boolean {
  return JSON.stringify(before?.entries) !== JSON.stringify(after?.entries)
}

function rulesNamingList(world: World, listId: string): TouchedRule[] {
  return groupsNaming(world, listId).flatMap(group =>
    showAssociation(group, listId).securityGroupRuleIds.map(securityGroupRuleId => ({
      securityGroupId: group.id,
      securityGroupRuleId,
      effect: 'entries-changed' as const,
    })),
  )
}

function rulesEdited(securityGroupId: string, before: GroupOrNone, after: GroupOrNone): TouchedRule[] {
  const old = new Map((before?.rules ?? []).map(rule => [rule.id, rule]))
  const now = new Map((after?.rules ?? []).map(rule => [rule.id, rule]))
  const touched = (id: string, effect: TouchedRule['effect']) => ({ securityGroupId, securityGroupRuleId: id, effect })
  return [
    ...[...old.keys()].filter(id => !now.has(id)).map(id => touched(id, 'removed')),
    ...[...now].flatMap(([id, rule]) => {
      const was = old.get(id)
      if (was === undefined) return [touched(id, 'added')]
      return JSON.stringify(was) === JSON.stringify(rule) ? [] : [touched(id, 'changed')]
    }),
  ]
}

function groupsWithOtherMembers(before: EniOrNone, after: EniOrNone): string[] {
  const sameAddresses = before?.addresses.join() === after?.addresses.join()
  const old = new Set(before?.securityGroupIds)
  const now = new Set(after?.securityGroupIds)
  return [...old.union(now)].filter(id => !sameAddresses || old.has(id) !== now.has(id))
}

function rulesNaming(world: World, groupId: string): TouchedRule[] {
  return [...world.groupsNaming(groupId)].flatMap(id =>
    (world.get('group', id)?.rules ?? [])
      .filter(rule => rule.sourceGroupId === groupId || rule.destGroupId === groupId)
      .map(rule => ({ securityGroupId: id, securityGroupRuleId: rule.id, effect: 'members-changed' as const })),
  )
}
