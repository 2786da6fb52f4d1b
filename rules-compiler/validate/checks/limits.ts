/** Nothing is beyond its limit; each limit is a setting. */
import { distinctRules } from '../build-rule.ts'
import { type Check, groupType } from '../check-context.ts'

export const limits: Check = ({ enis, groups, limits, report }) => {
  const expectAtMost = (limit: number, count: number, path: string, what: string) => {
    if (count <= limit) return
    const expected = `at most ${limit} ${what}`
    report.add('limit', path, { action: 'accept a count of', value: count, expected })
  }

  const enisInGroup = new Map<string, number>()
  for (const { item, path } of enis) {
    const ids = item.securityGroupIds ?? []
    expectAtMost(limits.groupsPerEni, ids.length, `${path}.securityGroupIds`, 'groups on an ENI (limits.groupsPerEni)')
    for (const id of ids) if (id !== undefined) enisInGroup.set(id, (enisInGroup.get(id) ?? 0) + 1)
  }
  for (const { item, path, members, rules } of groups) {
    const faulty = rules.filter(rule => rule.built === null).length
    // A rule counts once: given twice, or naming a list of many blocks.
    const count = distinctRules(rules.map(rule => rule.built)).length + faulty
    expectAtMost(limits.rulesPerGroup, count, `${path}.rules`, 'rules in a group (limits.rulesPerGroup)')
    switch (groupType(item)) {
      case 'basic':
        // Whoever keeps the list keeps to the limit; an address of this host that the list does not have yet is his
        // next one, and no reason to refuse the file.
        expectAtMost(
          limits.basicGroupPrivateIps,
          item.members === undefined ? members.length : new Set(item.members).size,
          `${path}.members`,
          'private addresses in a basic group (limits.basicGroupPrivateIps)',
        )
        break
      case 'advanced':
        expectAtMost(
          limits.advancedGroupEnis,
          enisInGroup.get(item.id ?? '') ?? 0,
          path,
          'ENIs in an advanced group (limits.advancedGroupEnis)',
        )
        break
    }
  }
}
