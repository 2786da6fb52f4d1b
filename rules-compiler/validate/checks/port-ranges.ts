/** tcp and udp have ports and say which; the other protocols have none and can say nothing but `-1/-1`. */
import { hasPorts } from '../../address/protocol.ts'
import type { Check } from '../check-context.ts'
import type { FilePortRange } from '../formats.ts'
import { isGiven } from '../read-shape.ts'

export const portRanges: Check = ({ groups, report }) => {
  for (const group of groups) {
    for (const { item, path } of group.rules) {
      const { ipProtocol } = item
      if (ipProtocol === undefined) continue
      const hasThem = hasPorts(ipProtocol)
      const expected = hasThem ? '"start/end", both from 1 to 65535; "1/65535" for every port' : '"-1/-1", or nothing'
      if (hasThem && !isGiven(item, 'portRange')) {
        report.add('missing', `${path}.portRange`, { action: `do without portRange for ${ipProtocol}`, expected })
      }
      for (const field of ['portRange', 'sourcePortRange'] as const) {
        const range = item[field]
        if (range === undefined || (range === 'all') !== hasThem) continue
        report.add('conflict', `${path}.${field}`, {
          action: `use with ${ipProtocol} port range`,
          value: fileText(range),
          expected,
        })
      }
    }
  }
}

function fileText(range: FilePortRange): string {
  return range === 'all' ? '-1/-1' : `${range.first}/${range.last}`
}
