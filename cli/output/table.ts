/** Tables for people: as wide as the terminal, and nothing cut off. */
import { padText, padTextLeft, printable, textWidth, wrapText } from './text-width.ts'

export interface Column<Item> {
  readonly heading: string
  /** '' is shown as `-`. */
  readonly cell: (item: Item) => string
  /** Left out where every cell is empty: what only some lists have. */
  readonly isOptional?: boolean
  /** Never broken: what is copied from the table. `list` is broken behind its commas alone. */
  readonly isWhole?: boolean | 'list'
  /** Numbers, whose ends stand under each other. */
  readonly isRight?: boolean
}

const gap = '  '
/** Narrower than this no column can be read. */
const leastWidth = 12

interface Filled {
  readonly heading: string
  readonly cells: readonly string[]
  readonly isWhole: boolean | 'list'
  readonly isRight: boolean
}

/**
 * Where the columns do not fit however they are wrapped, those that have the same in all rows are told under the table, and
 * where that is not enough, each item is a block of lines.
 * @param width  columns of the terminal; Infinity where there is none
 */
export function tableLines<Item>(columns: readonly Column<Item>[], items: readonly Item[], width: number): string[] {
  const filled = columns
    .map(column => ({ ...column, cells: items.map(item => printable(column.cell(item))) }))
    .filter(({ isOptional = false, cells }) => !isOptional || cells.some(cell => cell !== ''))
    .map(({ heading, cells, isWhole = false, isRight = false }): Filled => {
      return { heading, cells: cells.map(cell => cell || '-'), isWhole, isRight }
    })
  const { shown, alike } = withoutAlike(filled, width)
  if (leastWidthOf(shown) > width) return blockLines(filled, width)
  const widths = fit(shown.map(wishOf), width)
  const rows = [
    shown.map(({ heading }) => heading),
    ...items.map((_, index) => shown.map(({ cells }) => cells[index]!)),
  ]
  const sides = shown.map(({ isRight }) => (isRight ? 'right' : 'left'))
  const below = alike.map(({ heading, cells }) => `${heading} ${cells[0]}`).join(', ')
  return [
    ...rows.flatMap(row => rowLines(row, widths, sides)),
    ...(below === '' ? [] : wrapText(`In all rows: ${below}`, width)),
  ]
}

/** The widest go first, so that few do; the first column says what a row is about, and stays. */
function withoutAlike(columns: readonly Filled[], width: number) {
  let shown = columns
  const alike: Filled[] = []
  while (leastWidthOf(shown) > width) {
    const [widest] = shown
      .slice(1)
      .filter(({ cells }) => cells.length > 1 && cells.every(cell => cell === cells[0]))
      .sort((a, b) => wishOf(b).wanted - wishOf(a).wanted)
    if (widest === undefined) break
    alike.push(widest)
    shown = shown.filter(column => column !== widest)
  }
  return { shown, alike }
}

function leastWidthOf(columns: readonly Filled[]): number {
  const widths = columns.map(wishOf).map(({ wanted, least }) => Math.min(wanted, least))
  return widths.reduce((total, each) => total + each, gap.length * (columns.length - 1))
}

function wishOf({ heading, cells, isWhole }: Filled): Wish {
  return {
    wanted: widestOf(cells, textWidth(heading)),
    least: leastOf(heading, cells, isWhole),
  }
}

function leastOf(heading: string, cells: readonly string[], isWhole: Filled['isWhole']): number {
  const least = Math.max(leastWidth, textWidth(heading))
  if (isWhole === 'list') {
    return widestOf(
      cells.flatMap(cell => cell.split(/(?<=,) /)),
      least,
    )
  }
  return isWhole ? Number.POSITIVE_INFINITY : least
}

/** Not by a spread: arguments go on the stack, which ends somewhere above 120,000 rows. */
function widestOf(texts: readonly string[], least: number): number {
  return texts.reduce((widest, text) => Math.max(widest, textWidth(text)), least)
}

/** Of each item its columns under each other, with an empty line between items. */
function blockLines(columns: readonly Filled[], width: number): string[] {
  const nameWidth = Math.max(...columns.map(({ heading }) => textWidth(heading)))
  return columns[0]!.cells.flatMap((_, index) => [
    ...(index === 0 ? [] : ['']),
    ...columns.flatMap(({ heading, cells, isWhole }) =>
      valueLines(heading, cells[index]!, { nameWidth, width, isWhole: isWhole === true }),
    ),
  ])
}

interface Placed {
  readonly nameWidth: number
  readonly width: number
  readonly isWhole: boolean
}

function valueLines(name: string, text: string, { nameWidth, width, isWhole }: Placed): string[] {
  const isUnbroken = isWhole || width === Number.POSITIVE_INFINITY
  const lines = isUnbroken ? [text] : wrapText(text, Math.max(leastWidth, width - nameWidth - gap.length))
  return lines.map((line, index) => `${padText(index === 0 ? name : '', nameWidth)}${gap}${line}`)
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
  return fields.flatMap(([name, value]) =>
    valueLines(name, printable(value) || '-', { nameWidth, width, isWhole: false }),
  )
}
