/** The part of the state that a health report is about, as it stands at one moment. */
import type { EniDoc, GroupDoc, PrefixListDoc, RuleDoc } from '../../model/documents.ts'
import { expandRule } from '../../model/file-rule.ts'
import type { World } from '../../state/world.ts'
import { mayRead, type Principal } from '../principal.ts'

export interface SurveyedGroup extends Pick<GroupDoc, 'id' | 'type' | 'networkType' | 'vpcId' | 'innerAccessPolicy'> {
  readonly rules: readonly RuleDoc[]
  readonly members: readonly string[]
}

export type SurveyedEni = Pick<EniDoc, 'id' | 'addresses' | 'securityGroupIds' | 'nicType'>

export interface Survey {
  readonly revision: number
  /** The groups to report on. */
  readonly groupIds: readonly string[]
  /** Those, and what decides or is decided beside them. */
  readonly groups: readonly SurveyedGroup[]
  readonly enis: readonly SurveyedEni[]
  readonly prefixLists: readonly Pick<PrefixListDoc, 'id' | 'entries'>[]
}

/** Stands for whoever is in a group of another account: that there is somebody must be assumed, who it is is not told. */
export const unknownMembers: readonly string[] = ['192.0.2.1', '2001:db8:ffff::1']

/**
 * @param reported  groups to report on, all of them readable
 * @returns with ENIs, groups beside theirs, and groups that name them, as far as the principal may see them
 */
export function surveyGroups(world: World, principal: Principal, reported: readonly GroupDoc[]): Survey {
  const isReadable = ({ accountId }: { readonly accountId: string }) => mayRead(principal, accountId)
  const enis = new Set(reported.flatMap(({ id }) => [...world.enisOfGroup(id)].map(eniId => world.get('eni', eniId)!)))
  const visibleEnis = [...enis].filter(isReadable)
  const whole = new Map(reported.map(group => [group.id, group]))
  for (const { securityGroupIds } of visibleEnis) {
    for (const id of securityGroupIds) if (!whole.has(id)) whole.set(id, world.get('group', id)!)
  }
  const groups = new Map(
    [...whole.values()].map(group => [group.id, surveyGroup(world, principal, group, group.rules)]),
  )
  for (const { id } of reported) {
    for (const namingId of world.groupsNaming(id)) {
      const naming = world.get('group', namingId)!
      if (!groups.has(namingId) && isReadable(naming)) {
        groups.set(
          namingId,
          surveyGroup(
            world,
            principal,
            naming,
            naming.rules.filter(rule => groupOf(rule) === id),
          ),
        )
      }
    }
  }
  const rules = [...groups.values()].flatMap(group => group.rules)
  for (const rule of rules) {
    const id = groupOf(rule)
    if (id !== null && !groups.has(id)) groups.set(id, surveyGroup(world, principal, world.get('group', id)!, []))
  }
  const listIds = new Set(rules.flatMap(rule => rule.sourcePrefixListId ?? rule.destPrefixListId ?? []))
  return {
    revision: world.revision,
    groupIds: reported.map(({ id }) => id),
    groups: [...groups.values()],
    enis: visibleEnis.map(({ id, addresses, securityGroupIds, nicType }) => ({
      id,
      addresses,
      securityGroupIds,
      nicType,
    })),
    prefixLists: [...listIds]
      .map(id => world.get('prefixList', String(id))!)
      .map(({ id, entries }) => ({ id, entries })),
  }
}

function surveyGroup(world: World, principal: Principal, group: GroupDoc, rules: readonly RuleDoc[]): SurveyedGroup {
  const { id, type, networkType, vpcId, innerAccessPolicy } = group
  const members = mayRead(principal, group.accountId) ? [...world.membersOf(id).keys()] : unknownMembers
  const expanded = rules.flatMap(rule => expandRule(rule, listId => world.get('portRangeList', listId)))
  return { id, type, networkType, vpcId, innerAccessPolicy, rules: expanded, members }
}

function groupOf(rule: RuleDoc): string | null {
  const id = rule.sourceGroupId ?? rule.destGroupId
  return id === undefined ? null : String(id)
}
