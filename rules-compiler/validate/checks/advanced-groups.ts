/** Advanced groups accept, at one priority, addresses and prefix lists, in VPCs. */
import { type Check, groupType, networkType } from '../check-context.ts'
import { peerOf } from '../rule-fields.ts'

export const advancedGroups: Check = ({ groups, report }) => {
  for (const { item, path, rules } of groups) {
    if (groupType(item) !== 'advanced') continue
    if (networkType(item) === 'classic') {
      const expected = '"vpc": advanced groups are for VPCs only'
      report.add('conflict', `${path}.networkType`, { action: 'use', value: 'classic', expected })
    }
    for (const { item: rule, path: rulePath } of rules) {
      if (rule.policy === 'drop') {
        const expected = '"accept" in an advanced group, which drops whatever no rule accepts'
        report.add('conflict', `${rulePath}.policy`, { action: 'use', value: 'drop', expected })
      }
      if (rule.priority !== undefined && rule.priority !== 1) {
        const expected = '1, the only one in an advanced group'
        report.add('conflict', `${rulePath}.priority`, { action: 'use priority', value: rule.priority, expected })
      }
      const named = peerOf(rule)
      if (named?.peer.kind === 'group') {
        const expected = 'a CIDR block or a prefix list in an advanced group'
        const { groupId } = named.peer
        report.add('conflict', `${rulePath}.${named.field}`, { action: 'name group', value: groupId, expected })
      }
    }
  }
}
