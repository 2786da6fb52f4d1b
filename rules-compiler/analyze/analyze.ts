/** The health report: what an operator should look at in a policy that is valid. */
import type { Policy } from '../model/policy.ts'
import { makeContexts } from './contexts.ts'
import { type Finding, findingKinds, severities } from './finding.ts'
import { analyzeGroups } from './group-findings.ts'
import { analyzeModes } from './mode-findings.ts'
import { analyzeRules } from './rule-findings.ts'

/**
 * All findings: the most severe first, then by kind, group and rule.
 * Rules are judged at every ENI together with those of its other groups; those of a group that no ENI has, by
 * themselves. What is said of shadowed and redundant rules holds whatever the members of groups are, and they can be
 * taken out, one or all at once, without changing a verdict.
 */
export function analyze(policy: Policy): readonly Finding[] {
  const findings: Finding[] = []
  /** At how many sets of groups each rule is. */
  const places = new Map<string, number>()
  for (const context of makeContexts(policy)) {
    for (const direction of ['ingress', 'egress'] as const) {
      findings.push(...analyzeRules(policy, context, direction))
      for (const { groupId, id } of context.eni[direction].rules) {
        places.set(ruleKey(groupId, id), (places.get(ruleKey(groupId, id)) ?? 0) + 1)
      }
    }
  }
  return [...mergeFindings(findings, places), ...analyzeGroups(policy), ...analyzeModes(policy)].sort(compareFindings)
}

/** One finding for what was found of one rule at several sets of groups; ENIs are named where it is not all of them. */
function mergeFindings(findings: readonly Finding[], places: ReadonlyMap<string, number>): readonly Finding[] {
  const alike = Map.groupBy(findings, ({ kind, groupId, ruleIds }) => ruleKey(kind, groupId, ...ruleIds))
  return [...alike.values()].map(same => {
    const first = same[0]!
    const covers = same.flatMap(({ coveredBy }) => coveredBy)
    const isEverywhere = same.length === places.get(ruleKey(first.groupId, ...first.ruleIds))
    return {
      ...first,
      coveredBy: [...new Map(covers.map(cover => [ruleKey(cover.groupId, cover.ruleId), cover])).values()],
      eniIds: isEverywhere ? [] : same.flatMap(({ eniIds }) => eniIds).sort(),
    }
  })
}

/** Ids hold no blanks. */
function ruleKey(...ids: readonly string[]): string {
  return ids.join(' ')
}

function compareFindings(a: Finding, b: Finding): number {
  return (
    severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
    findingKinds.indexOf(a.kind) - findingKinds.indexOf(b.kind) ||
    compareText(a.groupId, b.groupId) ||
    compareText(a.ruleIds.join(), b.ruleIds.join())
  )
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
