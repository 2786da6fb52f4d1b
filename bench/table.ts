/** Results as Markdown. */

export interface Section {
  readonly heading: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** What was left out and why, or what a reader must know; each a line. */
  readonly notes: readonly string[]
}

/** How long to measure: `quick` to see that it works, `full` for figures to keep. */
export type Depth = 'quick' | 'full'

export function printSection({ heading, columns, rows, notes }: Section): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = rows.length === 0 ? [] : [line(columns), line(columns.map(() => '---')), ...rows.map(line), '']
  return [`## ${heading}`, '', ...table, ...notes.map(note => `- ${note}`), ...(notes.length > 0 ? [''] : [])].join(
    '\n',
  )
}

export const ratio = (value: number): string => value.toFixed(2)
/** Three digits are as many as hold from run to run. */
export const figure = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
