/** No two of a kind share an id, and no ENI is in one group twice. */
import { type Check, place } from '../check-context.ts'
import type { Report } from '../report.ts'

export const uniqueIds: Check = ({ file, report }) => {
  for (const kind of ['instances', 'interfaces', 'securityGroups', 'prefixLists'] as const) {
    const ids = place<{ id: string }>(file[kind], kind).map(({ item, path }) => ({ id: item.id, path: `${path}.id` }))
    reportRepeated(ids, `an id that no other of ${kind} has`, report)
  }
  for (const { item, path } of place<{ securityGroupIds: string[] }>(file.interfaces, 'interfaces')) {
    const ids = (item.securityGroupIds ?? []).map((id, index) => ({ id, path: `${path}.securityGroupIds[${index}]` }))
    reportRepeated(ids, 'each group once', report)
  }
}

interface PlacedId {
  readonly id: string | undefined
  readonly path: string
}

function reportRepeated(ids: readonly PlacedId[], expected: string, report: Report): void {
  const seen = new Set<string>()
  for (const { id, path } of ids) {
    if (id === undefined) continue
    if (seen.has(id)) report.add('duplicate', path, { action: 'use a second time', value: id, expected })
    seen.add(id)
  }
}
