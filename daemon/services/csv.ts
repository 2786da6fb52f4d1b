/** CSV as RFC 4180 has it, and safe to open in a spreadsheet. */

export interface CsvRecord {
  /** The line it begins on, counted from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

export interface CsvFault {
  readonly line: number
  readonly message: string
}

/** Records after the header, or the fault that makes the rest unreadable. */
export type CsvReading = { readonly records: readonly CsvRecord[]; readonly fault: null } | { readonly fault: CsvFault }

/** What a spreadsheet takes for a formula, and what is written in front of it; what begins so by itself gets one more. */
const formula = /^'*[=+\-@\t\r\n]/
const escapedFormula = /^'+[=+\-@\t\r\n]/

/** Lines end in CR LF. */
export function writeCsv(rows: readonly (readonly string[])[]): string {
  return rows.map(row => `${row.map(writeCell).join(',')}\r\n`).join('')
}

function writeCell(text: string): string {
  const harmless = formula.test(text) ? `'${text}` : text
  // A byte order mark at the beginning of a file would be taken for one.
  return /[",\r\n\uFEFF]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** What was written by `writeCsv`, or by others: lines may end in LF, empty ones are passed over. */
export function readCsv(text: string): CsvReading {
  const records: CsvRecord[] = []
  let line = 1
  let offset = text.startsWith('\uFEFF') ? 1 : 0
  while (offset < text.length) {
    const record = readRecord(text, offset, line)
    if (typeof record === 'string') return { fault: { line, message: record } }
    const { cells, end } = record
    if (cells.length > 1 || cells[0] !== '') records.push({ line, cells })
    line += countLines(text, offset, end)
    offset = end
  }
  return { records, fault: null }
}

/** @returns the cells and where the next record begins, or what is wrong */
function readRecord(text: string, start: number, line: number): { cells: string[]; end: number } | string {
  const cells: string[] = []
  let offset = start
  for (;;) {
    if (text[offset] === '"') {
      const close = closingQuote(text, offset + 1)
      if (close === -1) return `Cannot read the cell that begins in line ${line}: expected a closing quote`
      cells.push(readFormula(text.slice(offset + 1, close).replaceAll('""', '"')))
      offset = close + 1
    } else {
      const end = plainEnd(text, offset)
      const cell = text.slice(offset, end)
      if (cell.includes('"'))
        return 'Cannot read a quote within a cell: expected the whole cell in quotes, and each quote in it twice'
      cells.push(readFormula(cell))
      offset = end
    }
    if (text[offset] === ',') {
      offset += 1
      continue
    }
    if (offset >= text.length) return { cells, end: offset }
    if (text[offset] === '\n') return { cells, end: offset + 1 }
    if (text[offset] === '\r' && text[offset + 1] === '\n') return { cells, end: offset + 2 }
    return 'Cannot read on after a cell: expected a comma or the end of the line'
  }
}

function readFormula(cell: string): string {
  return escapedFormula.test(cell) ? cell.slice(1) : cell
}

/** Of two quotes in a row neither closes. */
function closingQuote(text: string, from: number): number {
  let offset = text.indexOf('"', from)
  while (offset !== -1 && text[offset + 1] === '"') offset = text.indexOf('"', offset + 2)
  return offset
}

const plainEndForm = /,|\r?\n|$/g

function plainEnd(text: string, from: number): number {
  plainEndForm.lastIndex = from
  return plainEndForm.exec(text)!.index
}

function countLines(text: string, from: number, to: number): number {
  let count = 0
  for (let offset = text.indexOf('\n', from); offset !== -1 && offset < to; offset = text.indexOf('\n', offset + 1))
    count += 1
  return count
}
