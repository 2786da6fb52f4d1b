/** The ENIs of an instance are all in basic or all in advanced groups: their defaults and inner access do not mix. */
import { type Check, groupType } from '../check-context.ts'

export const groupTypes: Check = ({ file, enis, groupById, report }) => {
  const onlyInstance = file.instances?.[0]?.id ?? ''
  /** The first group seen of each instance. */
  const firstOf = new Map<string, { readonly id: string; readonly type: 'basic' | 'advanced' }>()
  for (const { item, path } of enis) {
    for (const [index, id] of (item.securityGroupIds ?? []).entries()) {
      const group = groupById.get(id ?? '')
      const type = group && groupType(group.item)
      if (id === undefined || type === undefined) continue
      const instanceId = item.instanceId ?? onlyInstance
      const first = firstOf.get(instanceId) ?? { id, type }
      firstOf.set(instanceId, first)
      if (first.type === type) continue
      const expected = `a group that is ${first.type}, as ${first.id} is: an instance has all its ENIs in groups of one type`
      report.add('conflict', `${path}.securityGroupIds[${index}]`, { action: 'use group', value: id, expected })
    }
  }
}
