/** What of an instance's standing is news to the daemon; pure. */
import type { TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { DdosStatus } from '../../wire/ddos.ts'

/** Below this nobody looks. */
const quiet: TrafficRate = { packetsPerSecond: 500, bitsPerSecond: 2_000_000 }
/** Of the larger of two rates. */
const noticeable = 0.25

/**
 * `now`: what people wait for, a phase or an event say. `soon`: rates or sources have moved. `no`: as it was told.
 * @param told  what the daemon heard last; null for nothing
 */
export function howUrgent(told: DdosStatus | null, status: DdosStatus): 'now' | 'soon' | 'no' {
  if (told === null || JSON.stringify(turns(told)) !== JSON.stringify(turns(status))) return 'now'
  return hasMoved(told, status) ? 'soon' : 'no'
}

function turns({ phase, since, eventId, attackTypes, proposal, blackHole, orderId }: DdosStatus) {
  return [phase, since, eventId, attackTypes, proposal, blackHole, orderId]
}

function hasMoved(told: DdosStatus, { sample, topSources }: DdosStatus): boolean {
  if (sample === null || told.sample === null) return sample !== told.sample
  const { offered, passed } = told.sample
  if (areApart(offered, sample.offered) || areApart(passed, sample.passed)) return true
  return topSources.length > 0 && JSON.stringify(topSources) !== JSON.stringify(told.topSources)
}

function areApart(a: TrafficRate, b: TrafficRate): boolean {
  return (['packetsPerSecond', 'bitsPerSecond'] as const).some(
    unit => Math.abs(a[unit] - b[unit]) > Math.max(noticeable * Math.max(a[unit], b[unit]), quiet[unit]),
  )
}
