/** Where nothing is dropped, because it is only observed: nobody should forget a trial. */
import type { Policy } from '../model/policy.ts'
import type { Finding } from './finding.ts'

/** One for each attached group in observe mode, and one for each ENI that is itself, with the first of its groups. */
export function analyzeModes({ interfaces, securityGroups }: Policy): readonly Finding[] {
  const attached = new Set(interfaces.flatMap(eni => eni.securityGroupIds))
  const groups = securityGroups.filter(({ id, mode }) => mode === 'observe' && attached.has(id))
  const enis = interfaces.filter(({ mode, securityGroupIds }) => mode === 'observe' && securityGroupIds.length > 0)
  return [
    ...groups.map(({ id }) =>
      finding(id, [], 'the group is in observe mode: nothing is dropped at any ENI that has it'),
    ),
    ...enis.map(({ id, securityGroupIds }) =>
      finding(securityGroupIds[0]!, [id], `${id} is in observe mode: nothing is dropped there`),
    ),
  ]
}

function finding(groupId: string, eniIds: readonly string[], message: string): Finding {
  return { kind: 'observed', severity: 'low', groupId, ruleIds: [], coveredBy: [], eniIds, message, witness: null }
}
