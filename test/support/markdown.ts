/** Tables of the documentation, for tests that compare them with the program. */

/** The cells of every row of the table under a heading. */
export function tableUnder(text: string, heading: string): readonly (readonly string[])[] {
  const [, section = ''] = `\n${text}`.split(`\n${heading}\n`)
  const rows = /(?:^\|.*\n)+/m.exec(section)?.[0].trim().split('\n') ?? []
  return rows.slice(2).map(row =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}
