/** Whatever is named by id is in the file. */
import { type Check, type CheckContext, place } from '../check-context.ts'
import { nearestWord } from '../nearest-word.ts'
import { peerOf } from '../rule-fields.ts'

export const references: Check = context => {
  checkInstances(context)
  for (const { item, path } of context.enis) {
    for (const [index, id] of (item.securityGroupIds ?? []).entries()) {
      if (id !== undefined) expectKnown(id, 'securityGroups', `${path}.securityGroupIds[${index}]`, context)
    }
  }
  for (const group of context.groups) {
    for (const { item, path } of group.rules) {
      const named = peerOf(item)
      if (named?.peer.kind === 'group') {
        expectKnown(named.peer.groupId, 'securityGroups', `${path}.${named.field}`, context)
      } else if (named?.peer.kind === 'prefixList') {
        expectKnown(named.peer.prefixListId, 'prefixLists', `${path}.${named.field}`, context)
      }
    }
  }
}

/** An ENI says which instance is its own, unless there is no choice. */
function checkInstances({ file, enis, report }: CheckContext): void {
  const ids = new Set(place<{ id: string }>(file.instances, 'instances').map(({ item }) => item.id))
  const count = file.instances?.length ?? 0
  for (const { item, path } of enis) {
    const instancePath = `${path}.instanceId`
    if (item.instanceId !== undefined && !ids.has(item.instanceId)) {
      const expected = 'the id of one of instances'
      report.add('unknown-reference', instancePath, { action: 'find instance', value: item.instanceId, expected })
    } else if (!Object.hasOwn(item, 'instanceId') && count > 1) {
      const expected = `the id of one of the ${count} instances`
      report.add('missing', instancePath, { action: 'do without instanceId', expected })
    }
  }
}

function expectKnown(id: string, kind: 'securityGroups' | 'prefixLists', path: string, context: CheckContext): void {
  const known = kind === 'securityGroups' ? context.groupById : context.prefixListById
  if (known.has(id)) return
  const nearest = nearestWord(id, [...known.keys()].slice(0, comparedIds))
  const expected = `the id of one of ${kind}${nearest === null ? '' : `; is "${nearest}" meant?`}`
  const what = kind === 'securityGroups' ? 'group' : 'prefix list'
  context.report.add('unknown-reference', path, { action: `find ${what}`, value: id, expected })
}

/** A guess at what was meant is not worth comparing with every id of a file of thousands. */
const comparedIds = 200
