/** A rule has exactly one authorization object, on the side its direction asks for, and narrows within its family. */
import { type Family, families } from '../../address/cidr.ts'
import type { Check, CheckContext, PlacedRule } from '../check-context.ts'
import { isGiven } from '../read-shape.ts'
import { localOf, objectFields, peerOf, sidesOf } from '../rule-fields.ts'

export const authorizationObjects: Check = context => {
  for (const group of context.groups) {
    for (const rule of group.rules) {
      checkObject(rule, context)
      checkOwnerHasGroup(rule, context)
      checkNarrowing(rule, context)
    }
  }
}

function checkObject({ item, path }: PlacedRule, { report }: CheckContext): void {
  if (item.direction === undefined) return
  const sides = sidesOf[item.direction]
  const objects = objectFields(sides.peer)
  const expected = `exactly one of ${objects.join(', ')}`
  const given = objects.filter(field => isGiven(item, field))
  if (given.length === 0) report.add('missing', path, { action: 'do without an authorization object', expected })
  for (const field of given.slice(1)) {
    report.add('conflict', `${path}.${field}`, {
      action: `use, beside ${given[0]}, the field`,
      value: field,
      expected,
    })
  }
  const { group, prefixList, owners } = sides.local
  for (const field of [group, prefixList, ...owners]) {
    if (!isGiven(item, field)) continue
    const action = `use in an ${item.direction} rule the field`
    report.add('conflict', `${path}.${field}`, { action, value: field, expected })
  }
}

function checkOwnerHasGroup({ item, path }: PlacedRule, { report }: CheckContext): void {
  if (item.direction === undefined) return
  const { group, owners } = sidesOf[item.direction].peer
  if (isGiven(item, group)) return
  for (const field of owners) {
    if (!isGiven(item, field)) continue
    report.add('conflict', `${path}.${field}`, {
      action: 'use the field',
      value: field,
      expected: `${group} beside it`,
    })
  }
}

/** An address of the other family can never be the ENI's own in a packet whose peer matched. */
function checkNarrowing(rule: PlacedRule, context: CheckContext): void {
  const { item, path } = rule
  if (item.direction === undefined) return
  const given = sidesOf[item.direction].local.cidrs.filter(field => isGiven(item, field))
  if (given.length > 1) {
    const expected = `at most one of ${given.join(', ')}`
    context.report.add('conflict', `${path}.${given[1]}`, { action: 'use the field', value: given[1], expected })
    return
  }
  const local = localOf(item)
  const allowed = peerFamilies(rule, context)
  if (local === null || allowed.length === 0 || allowed.includes(local.cidr.family)) return
  const expected = `the family of the authorization object, IPv${allowed[0] === 'ip' ? 4 : 6}`
  context.report.add('conflict', `${path}.${local.field}`, { action: 'narrow to', value: local.cidr.text, expected })
}

/** Families the authorization object has addresses of; none where it is faulty or an empty list, both for a faulty entry. */
function peerFamilies({ item }: PlacedRule, { prefixListById }: CheckContext): readonly Family[] {
  const peer = peerOf(item)?.peer
  switch (peer?.kind) {
    case undefined:
      return []
    case 'cidr':
      return [peer.cidr.family]
    case 'group':
      return families
    case 'prefixList': {
      const entries = prefixListById.get(peer.prefixListId)?.item.entries ?? []
      const found = new Set(entries.map(entry => entry?.family))
      return families.filter(family => found.has(family) || found.has(undefined))
    }
  }
}
