/**
 * A rule id names one rule of the whole file. A group may repeat it for what is the same rule but for its ports: that is
 * how a rule of several port ranges is written.
 */
import type { Check } from '../check-context.ts'

export const ruleIds: Check = ({ groups, report }) => {
  const seen = new Map<string, string>()
  for (const group of groups) {
    for (const { built, path } of group.rules) {
      if (built === null) continue
      const { id } = built.rule
      const content = `${group.path} ${built.apartFromPorts}`
      const earlier = seen.get(id)
      if (earlier === undefined) seen.set(id, content)
      else if (earlier !== content) {
        const expected = 'an id that no other rule has'
        report.add('duplicate', `${path}.id`, { action: 'use a second time', value: id, expected })
      }
    }
  }
}
