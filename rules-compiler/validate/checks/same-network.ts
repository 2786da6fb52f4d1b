/** Groups meet within one network: as authorization object of a rule, and on an ENI. */
import { type Check, type CheckContext, networkType, type PlacedGroup } from '../check-context.ts'
import { peerOf } from '../rule-fields.ts'

export const sameNetwork: Check = context => {
  for (const group of context.groups) {
    for (const { item, path } of group.rules) {
      const named = peerOf(item)
      if (named?.peer.kind !== 'group') continue
      expectSameNetwork(group, named.peer.groupId, `${path}.${named.field}`, context)
    }
  }
  for (const { item, path } of context.enis) {
    const [first, ...others] = item.securityGroupIds ?? []
    const group = context.groupById.get(first ?? '')
    for (const [index, id] of others.entries()) {
      if (group === undefined || id === undefined) continue
      expectSameNetwork(group, id, `${path}.securityGroupIds[${index + 1}]`, context)
    }
  }
}

function expectSameNetwork(group: PlacedGroup, otherId: string, path: string, context: CheckContext): void {
  const other = context.groupById.get(otherId)
  const [network, otherNetwork] = [networkOf(group), other && networkOf(other)]
  if (network === undefined || otherNetwork === undefined || network === otherNetwork) return
  const expected = `a group in ${network}, as ${group.item.id} is, but it is in ${otherNetwork}`
  context.report.add('conflict', path, { action: 'use group', value: otherId, expected })
}

/** undefined where the file's words for it are faulty. */
function networkOf({ item }: PlacedGroup): string | undefined {
  const type = networkType(item)
  if (type !== 'vpc') return type && 'the classic network'
  if (!Object.hasOwn(item, 'vpcId')) return 'the VPC without name'
  return item.vpcId && `VPC "${item.vpcId}"`
}
