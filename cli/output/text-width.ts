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

/** What hosts and people called something, on one line and without power over the terminal. */
export function printable(text: string): string {
  return text.replace(/\s+/g, ' ').replace(controls, '\ufffd')
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

/** As many characters as fit; one at least. */
function headOf(text: string, width: number): string {
  let head = ''
  for (const { segment } of graphemes.segment(text)) {
    if (head !== '' && textWidth(head + segment) > width) break
    head += segment
  }
  return head
}
