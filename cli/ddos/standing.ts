/** How instances stand against floods, as the daemon and the agent of this host tell it, and in words. */
import type { FloodType } from '../../rules-compiler/model/traffic.ts'
import type { DdosPhase, DdosSample, DdosSource, DdosStatus } from '../../wire/ddos.ts'
import { type Column, fieldLines, tableLines } from '../output/table.ts'
import { barText, bitRateText, durationText, packetRateText, percentText } from '../output/units.ts'
import { secondText } from '../output/values.ts'
import { sourceColumns } from './sources.ts'
import { ownThresholdsText, proposalFields, type ThresholdFields, thresholdsOf } from './threshold.ts'
import { ratesText, rateText, sharesOf } from './traffic-text.ts'

/** As the API shows it, of which this is what is told to people. */
export interface Standing extends ThresholdFields {
  readonly instanceId: string
  /** Null: nothing was heard of it yet. */
  readonly phase: DdosPhase | null
  readonly since: string | null
  /** All of this is from before, for its agent is away; null where it is not. */
  readonly staleSince: string | null
  readonly eventId: string | null
  readonly attackTypes: readonly FloodType[]
  /** Null before the first. */
  readonly sample: Sample | null
  readonly topSources: readonly DdosSource[]
  readonly blackHole: DdosStatus['blackHole']
  readonly scrubbingCancelled: boolean
  /** The last order that the agent carried out. */
  readonly carriedOutOrderId: string | null
}

export type Sample = Omit<DdosSample, 'instanceId'>

/** The higher of both measures; null where there is nothing to compare. */
export function loadOf(standing: Standing): number | null {
  const { sample } = standing
  const thresholds = thresholdsOf(standing)
  if (sample === null || thresholds === null) return null
  const { bits, packets } = sharesOf(sample.offered, thresholds)
  return Math.max(bits, packets)
}

/** `cleaning`; `normal, cancelled` where floods would not be cleaned. */
export function phaseText({ phase, scrubbingCancelled }: Standing): string {
  const name = phase ?? 'unknown'
  return scrubbingCancelled && phase !== 'uncleaned' ? `${name}, cancelled` : name
}

/** Of the newest sample; '' before the first. */
function sampled(text: (sample: Sample) => string): (standing: Standing) => string {
  return ({ sample }) => (sample === null ? '' : text(sample))
}

export const offeredBits = sampled(({ offered }) => bitRateText(offered.bitsPerSecond))
export const offeredPackets = sampled(({ offered }) => packetRateText(offered.packetsPerSecond))
export const passedBits = sampled(({ passed }) => bitRateText(passed.bitsPerSecond))
export const passedPackets = sampled(({ passed }) => packetRateText(passed.packetsPerSecond))

const columns: readonly Column<Standing>[] = [
  { heading: 'INSTANCE', isWhole: true, cell: ({ instanceId }) => instanceId },
  { heading: 'PHASE', isWhole: true, cell: phaseText },
  { heading: 'OFFERED', isWhole: true, isRight: true, cell: offeredBits },
  { heading: 'PACKETS', isWhole: true, isRight: true, cell: offeredPackets },
  { heading: 'PASSED', isWhole: true, isRight: true, cell: passedBits },
  { heading: 'LOAD', isWhole: true, isRight: true, cell: loadText },
  { heading: 'TYPES', isOptional: true, cell: ({ attackTypes }) => attackTypes.join(', ') },
  { heading: 'AGENT', isOptional: true, cell: ({ staleSince }) => (staleSince === null ? '' : 'away') },
]

function loadText(standing: Standing): string {
  const load = loadOf(standing)
  return load === null ? '' : percentText(load)
}

/** A line for each. */
export function standingTable(standings: readonly Standing[], width: number): string[] {
  return tableLines(columns, standings, width)
}

/** One instance in full: what arrives beside its thresholds, what is dropped and who sends it. */
export function standingLines(standing: Standing, width: number): string[] {
  const { topSources } = standing
  return [
    ...fieldLines(fieldsOf(standing), width),
    ...(topSources.length === 0 ? [] : ['', ...tableLines(sourceColumns, topSources, width)]),
  ]
}

type Fields = readonly (readonly [name: string, value: string])[]

function fieldsOf(standing: Standing): Fields {
  const { instanceId, since, staleSince, eventId, attackTypes, sample, blackHole } = standing
  return [
    ['instance', instanceId],
    ['phase', `${phaseText(standing)}${since === null ? '' : ` since ${secondText(since)}`}`],
    ...(staleSince === null ? [] : [['agent', `away since ${secondText(staleSince)}; this is from before`] as const]),
    ...(blackHole === null ? [] : [['black hole', blackHoleText(blackHole)] as const]),
    ...(eventId === null ? [] : [['event', eventId] as const]),
    ...(attackTypes.length === 0 ? [] : [['types', attackTypes.join(', ')] as const]),
    ...meterFields(standing),
    ...(sample === null ? [] : trafficFields(sample)),
    ...proposalFields(standing),
  ]
}

function blackHoleText({ endTime, holdSeconds, isManual }: NonNullable<Standing['blackHole']>): string {
  return `until ${secondText(endTime)}, ${durationText(holdSeconds)} in all${isManual ? ', by hand' : ''}`
}

/** What arrives beside each threshold, with a bar. */
function meterFields(standing: Standing): Fields {
  const thresholds = thresholdsOf(standing)
  const fields: Fields = [['thresholds', ownThresholdsText(standing)]]
  if (standing.sample === null || thresholds === null) return fields
  const { bits, packets } = sharesOf(standing.sample.offered, thresholds)
  return [...fields, ['bit rate', meterText(bits)], ['packet rate', meterText(packets)]]
}

const meterPlaces = 20

function meterText(share: number): string {
  return `${barText(share, meterPlaces)}  ${percentText(share)}`
}

function trafficFields({ offered, passed, all, byType, dropped }: Sample): Fields {
  return [
    ['offered', rateText(offered)],
    ['passed', rateText(passed)],
    ['in scope or not', rateText(all)],
    ['arriving', ratesText(byType)],
    ['dropped by', ratesText(dropped)],
  ]
}
