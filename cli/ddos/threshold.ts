/** The thresholds of an instance in words: what they are, where they are from, and what may be set. */
import { type Thresholds, thresholdsText } from './traffic-text.ts'

/** As the API shows them, of an instance. */
export interface ThresholdFields {
  readonly instanceId: string
  /** Mbit/s; null where there is none. */
  readonly bps: number | null
  readonly pps: number | null
  /** Of its instance type; null where that is not known. */
  readonly maxBps: number | null
  readonly maxPps: number | null
  readonly source: 'type' | 'manual' | 'auto' | null
  /** What the agent would lower them to; null before it has seen enough. */
  readonly proposedBps: number | null
  readonly proposedPps: number | null
}

type Fields = readonly (readonly [name: string, value: string])[]

const sources: Readonly<Record<string, string>> = {
  type: 'the maximum of its instance type',
  manual: 'set by hand',
  auto: 'as its agent proposed',
}

export function thresholdsOf({ bps, pps }: Pick<ThresholdFields, 'bps' | 'pps'>): Thresholds | null {
  return bps === null || pps === null ? null : { bps, pps }
}

export function ownThresholdsText(fields: ThresholdFields): string {
  const thresholds = thresholdsOf(fields)
  if (thresholds === null) return 'none: it is measured, and never scrubbed'
  const { source } = fields
  return `${thresholdsText(thresholds)}${source === null ? '' : `, ${sources[source] ?? source}`}`
}

/** Nothing where the agent has none, or it is in force already. */
export function proposalFields(fields: ThresholdFields): Fields {
  const { instanceId, proposedBps: bps, proposedPps: pps } = fields
  const proposal = thresholdsOf({ bps, pps })
  if (proposal === null || (bps === fields.bps && pps === fields.pps)) return []
  return [['proposal', `${thresholdsText(proposal)}; "ringwall ddos threshold ${instanceId} --auto" takes it over`]]
}

/** All of it, with what may be set. */
export function thresholdFields(fields: ThresholdFields): Fields {
  const { instanceId, maxBps: bps, maxPps: pps } = fields
  const maximum = thresholdsOf({ bps, pps })
  return [
    ['instance', instanceId],
    ['thresholds', ownThresholdsText(fields)],
    ['at most', maximum === null ? 'anything: its instance type is not known' : thresholdsText(maximum)],
    ...proposalFields(fields),
  ]
}
