/** How many columns a text takes on a terminal, and texts that may be put on one. */

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
const wide =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|^\p{Emoji_Presentation}|\ufe0f/u

/** East Asian wide characters and emoji take two columns, marks that combine none of their own (UAX #11). */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1
  return width
}

export function padText(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)))
}

/** The same with the text at the right. */
export function padTextLeft(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text
}

/** What hosts and people called something, on one line and without power over the terminal. */
export function printable(text: string): string {
  return text.replace(/\s+/g, ' ').replace(controls, '\ufffd')
}

/** The same on as many lines as it has, each with the spaces that it has. */
export function printableLines(text: string): string {
  const lines = text.replaceAll('\t', ' ').split('\n')
  return lines.map(line => line.replace(controls, '\ufffd')).join('\n')
}

/** Control characters, and those that turn the direction of a line. */
const controls = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** The text in lines of at most a width: broken after spaces and commas, within a word only where it is longer. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.match(/[^ ,]*(?:[ ,]+|$)/g) ?? []) {
    if (line !== '' && textWidth(line + word.trimEnd()) > width) {
      lines.push(line.trimEnd())
      line = ''
    }
    let rest = word
    while (textWidth(rest.trimEnd()) > width) {
      const head = headOf(rest, width)
      lines.push(head)
      rest = rest.slice(head.length)
    }
    line += rest
  }
  return [...lines, line.trimEnd()].filter((each, index) => each !== '' || index === 0)
}

/** The text in one line of at most a width: where it is longer, its middle is left out, since ids differ at their ends. */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  const characters = [...graphemes.segment(text)].map(({ segment }) => segment)
  let [left, right] = [Math.ceil((width - 1) / 2), Math.floor((width - 1) / 2)]
  for (;;) {
    const cut = `${characters.slice(0, left).join('')}…${right === 0 ? '' : characters.slice(-right).join('')}`
    // Wide characters take more than they were counted for.
    if (textWidth(cut) <= width || left === 0) return cut
    if (left > right) left -= 1
    else right -= 1
  }
}

/** The beginning of the text, at most so wide. */
export function clipText(text: string, width: number): string {
  return textWidth(text) <= width ? text : headOf(text, width)
}

/** As many characters as fit; one at least. */
function headOf(text: string, width: number): string {
  let head = ''
  for (const { segment } of graphemes.segment(text)) {
    if (head !== '' && textWidth(head + segment) > width) break
    head += segment
  }
  return head
}
