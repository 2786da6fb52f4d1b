/** Line and column of an offset in a text, both from 1, as a problem's path gives them: `line 3, column 5`. */
export function positionPath(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  const line = before.split('\n').length
  return `line ${line}, column ${offset - lineStart + 1}`
}

/** What stands at an offset, enough to find it by: the rest of the line, 20 characters of it at most. */
export function snippetAt(text: string, offset: number): string {
  const [rest = ''] = text.slice(offset, offset + 20).split(/[\r\n]/, 1)
  if (rest !== '') return rest
  return offset < text.length ? 'end of line' : 'end of file'
}
