/** The actions that rules are added, changed and taken away by: those of each direction have names of their own. */
import { type Documents, parseKey } from '../model/documents.ts'
import type { Change } from '../store/store.ts'

export const ruleActions = {
  authorize: { ingress: 'ecs:AuthorizeSecurityGroup', egress: 'ecs:AuthorizeSecurityGroupEgress' },
  revoke: { ingress: 'ecs:RevokeSecurityGroup', egress: 'ecs:RevokeSecurityGroupEgress' },
  modify: { ingress: 'ecs:ModifySecurityGroupRule', egress: 'ecs:ModifySecurityGroupEgressRule' },
} as const

export type RuleAction = keyof typeof ruleActions

/** Those of the directions that are there, ingress before egress. */
export function ruleActionsIn(action: RuleAction, directions: ReadonlySet<unknown>): readonly string[] {
  return (['ingress', 'egress'] as const).flatMap(each => (directions.has(each) ? [ruleActions[action][each]] : []))
}

/**
 * What was done to rules of groups: each action once, ingress before egress.
 * @param changed  what it is where a rule stays and says something else
 */
export function ruleActionsOf(changes: readonly Change[], changed: RuleAction = 'modify'): readonly string[] {
  const done = new Set<string>()
  for (const { key, before, value } of changes) {
    if (parseKey(key).kind !== 'group') continue
    const [old, now] = [rulesOf(before), rulesOf(value)]
    for (const [id, rule] of now) {
      const was = old.get(id)
      if (was === undefined) done.add(ruleActions.authorize[rule.direction])
      else if (JSON.stringify(was) !== JSON.stringify(rule))
        for (const { direction } of [was, rule]) done.add(ruleActions[changed][direction])
    }
    for (const [id, rule] of old) if (!now.has(id)) done.add(ruleActions.revoke[rule.direction])
  }
  return inOrder.filter(action => done.has(action))
}

const inOrder = Object.values(ruleActions).flatMap(({ ingress, egress }) => [ingress, egress])

function rulesOf(group: unknown) {
  const { rules = [] } = (group ?? {}) as Partial<Documents['group']>
  return new Map(rules.map(rule => [rule.id, rule]))
}
