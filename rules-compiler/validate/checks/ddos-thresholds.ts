/** No threshold is above the maximum of the instance type; a type that is not known has none. */
import { thresholdsOfType } from '../../model/instance-types.ts'
import { type Check, place } from '../check-context.ts'
import type { FileInstance } from '../schema.ts'

export const ddosThresholds: Check = ({ file, report }) => {
  for (const { item, path } of place<FileInstance>(file.instances, 'instances')) {
    const { instanceType = null, ddosThreshold } = item
    const most = thresholdsOfType(instanceType)
    if (most === null || ddosThreshold === undefined) continue
    for (const [field, maximum] of [['bps', most.maxBpsMbit] as const, ['pps', most.maxPps] as const]) {
      const value = ddosThreshold[field]
      if (value === undefined || value <= maximum) continue
      const expected = `at most ${maximum}, the maximum of instance type "${instanceType}"`
      report.add('limit', `${path}.ddosThreshold.${field}`, { action: `set threshold ${field} to`, value, expected })
    }
  }
}
