/** Tables for people: as wide as the terminal, and nothing cut off. */
import { padText, padTextLeft, printable, textWidth, wrapText } from './text-width.ts'

export interface Column<Item> {
  readonly heading: string
  /** '' is shown as `-`. */
  readonly cell: (item: Item) => string
  /** Left out where every cell is empty: what only some lists have. */
  readonly isOptional?: boolean
  /** Never broken: what is copied from the table. */
  readonly isWhole?: boolean
  /** Numbers, whose ends stand under each other. */
  readonly isRight?: boolean
}

const gap = '  '
/** Narrower than this no column can be read. */
const leastWidth = 12

/** @param width  columns of the terminal; Infinity where there is none */
export function tableLines<Item>(columns: readonly Column<Item>[], items: readonly Item[], width: number): string[] {
  const shown = columns
    .map(column => ({ ...column, cells: items.map(item => printable(column.cell(item))) }))
    .filter(({ isOptional = false, cells }) => !isOptional || cells.some(cell => cell !== ''))
    .map(column => ({ ...column, cells: column.cells.map(cell => cell || '-') }))
  const widths = fit(
    shown.map(({ heading, cells, isWhole = false }) => ({
      wanted: Math.max(textWidth(heading), ...cells.map(textWidth)),
      least: isWhole ? Number.POSITIVE_INFINITY : Math.max(leastWidth, textWidth(heading)),
    })),
    width,
  )
  const rows = [
    shown.map(({ heading }) => heading),
    ...items.map((_, index) => shown.map(({ cells }) => cells[index]!)),
  ]
  const sides = shown.map(({ isRight = false }) => (isRight ? 'right' : 'left'))
  return rows.flatMap(row => rowLines(row, widths, sides))
}

type Side = 'left' | 'right'

interface Wish {
  readonly wanted: number
  readonly least: number
}

/** Takes from the widest column, again and again, until all fit or none can give. */
function fit(wishes: readonly Wish[], width: number): number[] {
  const widths = wishes.map(({ wanted }) => wanted)
  const sum = () => widths.reduce((total, each) => total + each, gap.length * (widths.length - 1))
  while (sum() > width) {
    const giving = widths.map((each, index) => (each > wishes[index]!.least ? each : 0))
    const widest = Math.max(...giving)
    if (widest === 0) break
    widths[giving.indexOf(widest)]! -= 1
  }
  return widths
}

function rowLines(cells: readonly string[], widths: readonly number[], sides: readonly Side[]): string[] {
  const wrapped = cells.map((cell, column) => wrapText(cell, widths[column]!))
  const height = Math.max(...wrapped.map(({ length }) => length))
  return Array.from({ length: height }, (_, line) =>
    wrapped
      .map((lines, column) => (sides[column] === 'right' ? padTextLeft : padText)(lines[line] ?? '', widths[column]!))
      .join(gap)
      .trimEnd(),
  )
}

/** Names and values under each other: `name  value`. Empty values are `-`. */
export function fieldLines(fields: readonly (readonly [name: string, value: string])[], width: number): string[] {
  const nameWidth = Math.max(...fields.map(([name]) => textWidth(name)))
  return fields.flatMap(([name, value]) => {
    const text = printable(value) || '-'
    const lines =
      width === Number.POSITIVE_INFINITY ? [text] : wrapText(text, Math.max(leastWidth, width - nameWidth - gap.length))
    return lines.map((line, index) => `${padText(index === 0 ? name : '', nameWidth)}${gap}${line}`)
  })
}
