/** Attacks in words: a line of a list each, or one in full. */
import type { TrafficAmount } from '../../rules-compiler/model/traffic.ts'
import type { DdosChange, DdosEvent, DdosEvidence } from '../../wire/ddos.ts'
import { type Column, fieldLines, tableLines } from '../output/table.ts'
import { bitRateText, bytesText, countText, durationText, packetRateText, percentText } from '../output/units.ts'
import { secondText } from '../output/values.ts'
import { sourceColumns } from './sources.ts'
import { amountText, largestFirst, rateText, type Thresholds, thresholdsText } from './traffic-text.ts'

/** As the API shows it. */
export type AttackEvent = Omit<DdosEvent, 'id' | 'thresholds'> & {
  readonly eventId: string
  readonly thresholds: Thresholds | null
}

const triggers: Readonly<Record<AttackEvent['trigger'], string>> = {
  bps: 'the bit rate',
  pps: 'the packet rate',
  both: 'bit rate and packet rate',
  manual: 'an operator',
}

const endReasons: Readonly<Record<NonNullable<AttackEvent['endReason']>, string>> = {
  subsided: 'the traffic went down',
  withdrawn: 'its thresholds or the instance are gone',
  'host-restarted': 'the host was started anew meanwhile',
  lost: 'nobody tells of it any more: its agent is gone, or has forgotten it',
}

export const eventColumns: readonly Column<AttackEvent>[] = [
  { heading: 'EVENT', isWhole: true, cell: ({ eventId }) => eventId },
  { heading: 'INSTANCE', isWhole: true, cell: ({ instanceId }) => instanceId },
  { heading: 'START', isWhole: true, cell: ({ startTime }) => secondText(startTime) },
  { heading: 'LASTED', isWhole: true, isRight: true, cell: lastedText },
  { heading: 'PHASE', isWhole: true, cell: ({ phase }) => phase },
  { heading: 'PEAK', isWhole: true, isRight: true, cell: ({ peak }) => bitRateText(peak.bitsPerSecond) },
  { heading: 'PACKETS', isWhole: true, isRight: true, cell: ({ peak }) => packetRateText(peak.packetsPerSecond) },
  { heading: 'TYPES', cell: ({ attackTypes }) => attackTypes.map(({ type }) => type).join(', ') },
]

function lastedText({ startTime, endTime }: AttackEvent): string {
  return endTime === null ? '' : durationText(secondsBetween(startTime, endTime))
}

function secondsBetween(start: string, end: string): number {
  return (Date.parse(end) - Date.parse(start)) / 1000
}

/** What happened, why it was taken for an attack, what was done about it, who sent it, and how it went. */
export function eventLines(event: AttackEvent, width: number): string[] {
  const { attackTypes, topSources, changes } = event
  const dropped = largestFirst(event.dropped, ({ packets }) => packets)
  return [
    ...fieldLines(fieldsOf(event), width),
    ...section(tableLines(droppedColumns(event.offered), dropped, width), dropped),
    ...section(tableLines(evidenceColumns, attackTypes, width), attackTypes),
    ...section(tableLines(sourceColumns, topSources, width), topSources),
    ...section(tableLines(changeColumns, changes, width), changes),
  ]
}

function section(lines: readonly string[], items: readonly unknown[]): readonly string[] {
  return items.length === 0 ? [] : ['', ...lines]
}

function fieldsOf(event: AttackEvent): readonly (readonly [string, string])[] {
  const { eventId, instanceId, startTime, endTime, endReason, thresholds, peak, offered, passed, blackHoles } = event
  const droppedPackets = offered.packets - passed.packets
  return [
    ['event', eventId],
    ['instance', instanceId],
    ['phase', endReason === null ? event.phase : `${event.phase}: ${endReasons[endReason]}`],
    ['set off by', triggers[event.trigger]],
    ['start', secondText(startTime)],
    ['end', endTime === null ? '' : `${secondText(endTime)}, after ${lastedText(event)}`],
    ['thresholds', thresholds === null ? '' : thresholdsText(thresholds)],
    ['peak', `${rateText(peak)}, the highest at ${secondText(peak.time)}`],
    ['offered', amountText(offered)],
    ['passed', `${amountText(passed)}${partText(passed.packets, offered.packets)}`],
    [
      'dropped',
      `${amountText({ packets: droppedPackets, bytes: offered.bytes - passed.bytes })}${partText(droppedPackets, offered.packets)}`,
    ],
    ['black holes', String(blackHoles)],
  ]
}

/** ` (12% of the packets)` */
function partText(part: number, whole: number): string {
  return whole === 0 ? '' : ` (${percentText(part / whole)} of the packets)`
}

type Dropped = readonly [step: string, amount: TrafficAmount]

function droppedColumns(offered: TrafficAmount): readonly Column<Dropped>[] {
  return [
    { heading: 'DROPPED BY', isWhole: true, cell: ([step]) => step },
    { heading: 'PACKETS', isWhole: true, isRight: true, cell: ([, { packets }]) => countText(packets) },
    { heading: 'BYTES', isWhole: true, isRight: true, cell: ([, { bytes }]) => bytesText(bytes) },
    {
      heading: 'OF OFFERED',
      isWhole: true,
      isRight: true,
      cell: ([, { packets }]) => (offered.packets === 0 ? '' : percentText(packets / offered.packets)),
    },
  ]
}

const evidenceColumns: readonly Column<DdosEvidence>[] = [
  { heading: 'TYPE', isWhole: true, cell: ({ type }) => type },
  { heading: 'SHARE', isWhole: true, isRight: true, cell: ({ share }) => percentText(share) },
  { heading: 'PEAK', isWhole: true, isRight: true, cell: ({ peak }) => rateText(peak) },
  { heading: 'USUAL', isWhole: true, isRight: true, cell: ({ usual }) => rateText(usual) },
  {
    heading: 'SYN RATIO',
    isOptional: true,
    isWhole: true,
    isRight: true,
    cell: ({ synRatio }) => (synRatio === null ? '' : String(Number(synRatio.toPrecision(3)))),
  },
  {
    heading: 'TOP 10',
    isOptional: true,
    isWhole: true,
    isRight: true,
    cell: ({ sourceConcentration }) => (sourceConcentration === null ? '' : percentText(sourceConcentration)),
  },
]

const changeColumns: readonly Column<DdosChange>[] = [
  { heading: 'TIME', isWhole: true, cell: ({ time }) => secondText(time) },
  { heading: 'CHANGE', isWhole: true, cell: ({ kind }) => kind },
  { heading: 'WHAT', cell: ({ message }) => message },
]
