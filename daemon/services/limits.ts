/** How far each limit is used up, and where most. */

import { weightOfRule } from '../model/file-rule.ts'
import { type LimitName, limitNames } from '../schemas/settings.ts'
import type { World } from '../state/world.ts'
import { listIn } from './rule-check.ts'

export interface LimitUse {
  readonly highest: number
  /** Id of the group or ENI; null where there is none, and for limits of single requests. */
  readonly where: string | null
}

/** @param isCounted  whether objects of an account count */
export function limitUses(world: World, isCounted: (accountId: string) => boolean): ReadonlyMap<LimitName, LimitUse> {
  const uses = new Map<LimitName, LimitUse>(limitNames.map(name => [name, { highest: 0, where: null }]))
  const note = (name: LimitName, count: number, where: string) => {
    if (count > uses.get(name)!.highest) uses.set(name, { highest: count, where })
  }
  for (const { id, accountId, type, rules } of world.all('group')) {
    if (!isCounted(accountId)) continue
    const weights = rules.map(rule => weightOfRule(rule, listIn(world)))
    note(
      'rulesPerGroup',
      weights.reduce((sum, weight) => sum + weight, 0),
      id,
    )
    if (type === 'basic') note('basicGroupPrivateIps', world.membersOf(id).size, id)
    else note('advancedGroupEnis', world.enisOfGroup(id).size, id)
  }
  for (const { id, accountId, securityGroupIds } of world.all('eni')) {
    if (isCounted(accountId)) note('groupsPerEni', securityGroupIds.length, id)
  }
  return uses
}
