/** The screen of `ringwall top`, line by line; and the line it prints where there is no screen. */

import { clipText, cutText, padText, padTextLeft, printable, textWidth } from '../output/text-width.ts'
import { barText, bitRateText, packetRateText, percentText } from '../output/units.ts'
import { clockText, count } from '../output/values.ts'
import type { BoardRow } from './board.ts'
import {
  loadOf,
  offeredBits,
  offeredPackets,
  passedBits,
  passedPackets,
  phaseText,
  type Standing,
  standingLines,
} from './standing.ts'
import { ratesText } from './traffic-text.ts'

export type Paint = (style: Style, text: string) => string
export type Style = 'heading' | 'chosen' | 'warning' | 'alarm' | 'faint'

export const unpainted: Paint = (_style, text) => text

export interface TopView {
  /** Who is asked: a URL, or the agent here. */
  readonly source: string
  /** ISO 8601. */
  readonly time: string
  readonly rows: readonly BoardRow[]
  /** An instance id; the first row's where there is none such. */
  readonly chosen: string | null
  /** Why nothing comes at the moment; null where it does. */
  readonly trouble: string | null
  readonly hasKeys: boolean
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** As many lines as there are rows at most, each as wide as the screen at most. */
export function topLines(view: TopView, size: ScreenSize, paint: Paint): string[] {
  const { rows, trouble } = view
  const chosen = chosenIndex(view)
  const head = [
    paint('heading', fitted(titleText(view), size.columns)),
    ...(trouble === null ? [] : [paint('alarm', fitted(printable(trouble), size.columns))]),
    '',
  ]
  const foot = view.hasKeys ? [paint('faint', fitted('q quits, up and down choose an instance', size.columns))] : []
  const room = Math.max(0, size.rows - head.length - foot.length)
  if (rows.length === 0) return [...head, fitted('There are no instances.', size.columns), ...foot].slice(0, size.rows)
  const details = detailLines(rows[chosen]!, size.columns)
  const listRoom = Math.max(Math.ceil(room / 2), room - details.length - 1)
  const list = listLines({ rows, chosen }, { columns: size.columns, rows: listRoom }, paint)
  const body = [...list, '', ...details.map(line => fitted(line, size.columns))].slice(0, room)
  return [...head, ...body, ...foot].slice(0, size.rows)
}

/** Where the chosen instance stands; 0 where it is not there. */
export function chosenIndex({ rows, chosen }: Pick<TopView, 'rows' | 'chosen'>): number {
  const index = rows.findIndex(({ standing }) => standing.instanceId === chosen)
  return Math.max(0, index)
}

function titleText({ source, time, rows }: TopView): string {
  const attacked = rows.filter(({ standing }) => isUnderAttack(standing)).length
  return `ringwall top  ${clockText(time)}  ${count(rows.length, 'instance')}, ${attacked} under attack  ${printable(source)}`
}

function isUnderAttack({ phase }: Standing): boolean {
  return phase !== null && phase !== 'normal' && phase !== 'over'
}

interface Layout {
  readonly id: number
  readonly bar: number
  readonly hasPassedPackets: boolean
}

const gap = '  '
const mark = 2
const phaseWidth = 10
const bitsWidth = 11
const packetsWidth = 9
const percentWidth = 6
const leastBar = 5
const mostBar = 20
const leastId = 8

/** What is left beside the columns that are always there goes to ids first, then to packets passed, then to bars. */
function layoutOf(rows: readonly BoardRow[], columns: number): Layout {
  const fixed =
    mark + phaseWidth + bitsWidth + packetsWidth + bitsWidth + leastBar + 1 + percentWidth + 4 * gap.length + 1
  const longest = Math.max(leastId, ...rows.map(({ standing }) => textWidth(standing.instanceId)))
  const id = Math.max(leastId, Math.min(longest, columns - fixed))
  const left = columns - fixed - id
  const hasPassedPackets = left > packetsWidth
  const bar = leastBar + Math.max(0, left - (hasPassedPackets ? packetsWidth + 1 : 0))
  return { id, bar: Math.min(mostBar, bar), hasPassedPackets }
}

interface List {
  readonly rows: readonly BoardRow[]
  readonly chosen: number
}

function listLines({ rows, chosen }: List, size: ScreenSize, paint: Paint): string[] {
  const layout = layoutOf(rows, size.columns)
  const heading = paint('heading', fitted(headingText(layout), size.columns))
  const blocks = rows.map((row, index) => blockLines(row, index === chosen, layout, size.columns, paint))
  const { first, last } = windowAround(
    blocks.map(({ length }) => length),
    chosen,
    Math.max(1, size.rows - 1),
  )
  const hidden = rows.length - (last - first)
  const shown = [heading, ...blocks.slice(first, last).flat()]
  return hidden === 0 ? shown : [...shown, paint('faint', fitted(`  and ${hidden} more`, size.columns))]
}

function headingText({ id, hasPassedPackets }: Layout): string {
  const rates = bitsWidth + 1 + packetsWidth
  return [
    ' '.repeat(mark) + padText('INSTANCE', id),
    padText('PHASE', phaseWidth),
    padTextLeft('OFFERED', rates),
    padTextLeft('PASSED', hasPassedPackets ? rates : bitsWidth),
    'OF THRESHOLD',
  ].join(gap)
}

/** An instance: a line, and another where something happens. */
function blockLines(row: BoardRow, isChosen: boolean, layout: Layout, columns: number, paint: Paint): string[] {
  const { standing, silentSeconds } = row
  const style = isChosen ? 'chosen' : silentSeconds !== null ? 'faint' : styles[standing.phase ?? '']
  const line = fitted(`${isChosen ? '> ' : '  '}${rowText(row, layout)}`, columns)
  const more = happeningText(standing)
  const first = style === undefined ? line : paint(style, isChosen ? padText(line, columns) : line)
  return more === '' ? [first] : [first, fitted(`    ${more}`, columns)]
}

const styles: Readonly<Partial<Record<string, Style>>> = {
  over: 'warning',
  cleaning: 'warning',
  uncleaned: 'alarm',
  'black-hole': 'alarm',
}

/** Figures that are old are none. */
function rowText({ standing, silentSeconds }: BoardRow, { id, bar, hasPassedPackets }: Layout): string {
  const fresh = silentSeconds === null ? standing : { ...standing, sample: null }
  const load = loadOf(fresh)
  return [
    padText(cutText(printable(standing.instanceId), id), id),
    padText(cutText(printable(standing.phase ?? 'unknown'), phaseWidth), phaseWidth),
    ratePair(offeredBits(fresh), offeredPackets(fresh)),
    hasPassedPackets
      ? ratePair(passedBits(fresh), passedPackets(fresh))
      : padTextLeft(passedBits(fresh) || '-', bitsWidth),
    load === null ? '-' : `${barText(load, bar)} ${percentText(load).padStart(percentWidth)}`,
  ].join(gap)
}

function ratePair(bits: string, packets: string): string {
  return `${padTextLeft(bits || '-', bitsWidth)} ${padTextLeft(packets || '-', packetsWidth)}`
}

/** `syn, udp; dropped by syn 240 kpps` */
function happeningText({ attackTypes, sample }: Standing): string {
  const dropped = ratesText(sample?.dropped ?? {})
  return printable([attackTypes.join(', '), dropped === '' ? '' : `dropped by ${dropped}`].filter(Boolean).join('; '))
}

function detailLines({ standing, silentSeconds }: BoardRow, columns: number): string[] {
  const silence =
    silentSeconds === null
      ? []
      : [`No samples for ${silentSeconds} s: its agent may be away. These are the last figures.`]
  return [...silence, ...standingLines(standing, columns)]
}

/** Which blocks fit: as many as there is room for, the chosen one among them, and a line kept for what is hidden. */
function windowAround(heights: readonly number[], chosen: number, room: number) {
  const total = heights.reduce((sum, height) => sum + height, 0)
  if (total <= room) return { first: 0, last: heights.length }
  let [first, last] = [chosen, chosen + 1]
  let used = heights[chosen]! + 1
  for (;;) {
    const before = fits(heights[first - 1], used, room)
    const after = fits(heights[last], used, room)
    if (!before && !after) return { first, last }
    // In the middle as far as there are rows on both sides, so that one sees where a key leads.
    if (before && (!after || chosen - first < last - chosen)) {
      first -= 1
      used += heights[first]!
    } else {
      used += heights[last]!
      last += 1
    }
  }
}

function fits(height: number | undefined, used: number, room: number): boolean {
  return height !== undefined && used + height <= room
}

function fitted(text: string, columns: number): string {
  return clipText(text.trimEnd(), columns)
}

/** One line for one sample, where there is no screen. */
export function sampleLine(standing: Standing): string {
  const { instanceId, sample } = standing
  if (sample === null) return ''
  const load = loadOf(standing)
  const dropped = ratesText(sample.dropped)
  const parts = [
    clockText(sample.time),
    printable(instanceId),
    printable(phaseText(standing)),
    `offered ${padTextLeft(bitRateText(sample.offered.bitsPerSecond), bitsWidth)} ${padTextLeft(packetRateText(sample.offered.packetsPerSecond), packetsWidth)}`,
    `passed ${padTextLeft(bitRateText(sample.passed.bitsPerSecond), bitsWidth)} ${padTextLeft(packetRateText(sample.passed.packetsPerSecond), packetsWidth)}`,
    ...(load === null ? [] : [`${percentText(load)} of threshold`]),
    ...(standing.attackTypes.length === 0 ? [] : [printable(standing.attackTypes.join(','))]),
    ...(dropped === '' ? [] : [printable(`dropped by ${dropped}`)]),
  ]
  return parts.join('  ')
}
