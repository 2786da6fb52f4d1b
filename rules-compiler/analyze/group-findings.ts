/** What there is to say about groups themselves. */
import type { Policy, SecurityGroup } from '../model/policy.ts'
import type { Finding } from './finding.ts'

export function analyzeGroups(policy: Policy): readonly Finding[] {
  const attached = new Set(policy.interfaces.flatMap(eni => eni.securityGroupIds))
  const named = new Set(
    policy.securityGroups.flatMap(group =>
      group.rules.flatMap(({ peer }) => (peer.kind === 'group' && peer.groupId !== group.id ? [peer.groupId] : [])),
    ),
  )
  return policy.securityGroups.flatMap(group => {
    if (!attached.has(group.id) && !named.has(group.id)) {
      return [finding(group, 'unused-group', 'no ENI has this group and no rule of another group names it')]
    }
    return [
      ...(group.members.length === 0 ? [finding(group, 'empty-group', emptyText(named.has(group.id)))] : []),
      ...(group.rules.length === 0 && attached.has(group.id) ? [finding(group, 'no-rules', noRulesText(group))] : []),
    ]
  })
}

function emptyText(isNamed: boolean): string {
  return isNamed
    ? 'the group has no member, so rules of other groups that name it match nothing'
    : 'the group has no member address, though an ENI has it'
}

function noRulesText(group: SecurityGroup): string {
  if (group.type === 'advanced') return 'the group has no rule: nothing comes in and nothing goes out'
  const inside = group.innerAccessPolicy === 'accept' ? 'only its own members come in' : 'nothing comes in'
  return `the group has no rule: ${inside}, everything goes out`
}

function finding(group: SecurityGroup, kind: Finding['kind'], message: string): Finding {
  return { kind, severity: 'low', groupId: group.id, ruleIds: [], coveredBy: [], eniIds: [], message, witness: null }
}
