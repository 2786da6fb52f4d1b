/** What there is to say about single rules, at one set of groups. */
import { families, familyOf } from '../address/cidr.ts'
import { protocolInFamily } from '../address/protocol.ts'
import type { Direction, Policy } from '../model/policy.ts'
import type { RuleIr } from '../policy/ir.ts'
import { ruleName, ruleText } from '../policy/rule-text.ts'
import type { Context } from './contexts.ts'
import { exposureBlocks, findExposures } from './exposure.ts'
import type { Finding, Severity } from './finding.ts'
import { type Entry, judgeRules, makeScope, type Region, type Standing } from './standing.ts'
import { makeWitness } from './witness.ts'

/** @returns findings that hold at the ENIs of the context, which are named in each */
export function analyzeRules(policy: Policy, context: Context, direction: Direction): readonly Finding[] {
  const scope = makeScope(context.eni, direction, direction === 'ingress' ? exposureBlocks : [])
  return [...judgeRules(scope)].flatMap(([entry, standing]) => {
    const remarks = [
      ...describeStanding(policy, entry, standing),
      ...(direction === 'ingress' ? findExposures(scope, entry, standing) : []),
    ]
    const rule = entry.rule!
    return remarks.map(({ kind, severity, detail, region, by = [] }) => ({
      kind,
      severity,
      groupId: rule.groupId,
      ruleIds: [rule.id],
      coveredBy: by.flatMap(other =>
        other.rule === null ? [] : [{ groupId: other.rule.groupId, ruleId: other.rule.id }],
      ),
      eniIds: context.eniIds,
      message: `${ruleText(rule)}: ${detail}`,
      witness: region === null ? null : makeWitness(policy.securityGroups, context, direction, region, entry.groupId),
    }))
  })
}

/** A finding without the parts that are the same for all of them. */
export interface Remark {
  readonly kind: Finding['kind']
  readonly severity: Severity
  readonly detail: string
  /** Where a packet shows it; null where none can. */
  readonly region: Region | null
  readonly by?: readonly Entry[]
}

function describeStanding(policy: Policy, entry: Entry, standing: Standing): readonly Remark[] {
  const rule = entry.rule!
  const groupId = entry.groupId
  if (standing.kind === 'never-matches') {
    const detail = 'matches no packet, because protocol and addresses are of different families'
    return [{ kind: 'never-matches', severity: 'medium', detail, region: null }]
  }
  if (groupId !== null && !hasMemberFor(policy, rule, groupId)) {
    const detail = `matches no packet as long as ${groupId} has no member of a fitting family`
    return [{ kind: 'never-matches', severity: 'low', detail, region: null }]
  }
  if (standing.kind === 'decides') return []
  const { kind, by, region } = standing
  const names = by.map(nameOf).join(', ')
  if (kind === 'redundant') {
    const detail = by.length === 0 ? 'changes nothing, the default is the same' : `changes nothing beside ${names}`
    return [{ kind, severity: 'low', detail, region, by }]
  }
  return [{ kind, severity: shadowSeverity(rule, by), detail: `never decides, stronger: ${names}`, region, by }]
}

/** A drop that never drops is worse than an accept that never accepts, and either worse than a mere repetition. */
function shadowSeverity(rule: RuleIr, by: readonly Entry[]): Severity {
  if (by.every(entry => entry.verdict === rule.verdict)) return 'low'
  return rule.verdict === 'drop' ? 'high' : 'medium'
}

function nameOf(entry: Entry): string {
  return entry.rule === null ? `inner access of ${entry.groupId}` : ruleName(entry.rule)
}

function hasMemberFor(policy: Policy, rule: RuleIr, groupId: string): boolean {
  const members = policy.securityGroups.find(({ id }) => id === groupId)?.members ?? []
  const fitting = families.filter(
    family => protocolInFamily(rule.protocol, family) && (rule.local === null || rule.local.family === family),
  )
  return members.some(address => fitting.includes(familyOf(address)))
}
