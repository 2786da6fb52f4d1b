/** The account that a rule says owns a group is the one that the group itself names. */
import type { Check } from '../check-context.ts'
import { peerOf, sidesOf } from '../rule-fields.ts'

export const owners: Check = ({ groups, groupById, report }) => {
  for (const group of groups) {
    for (const { item, path } of group.rules) {
      const peer = peerOf(item)?.peer
      if (item.direction === undefined || peer?.kind !== 'group') continue
      const fields = sidesOf[item.direction].peer.owners
      // Where the group names no owner, the rule's two words for it must at least agree with each other.
      const owner = groupById.get(peer.groupId)?.item.ownerAccount ?? item[fields[0]]
      for (const field of fields) {
        const given = item[field]
        if (given === undefined || owner === undefined || given === owner) continue
        const expected = `"${owner}", the owner of ${peer.groupId}`
        report.add('conflict', `${path}.${field}`, { action: 'use account', value: given, expected })
      }
    }
  }
}
