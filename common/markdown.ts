/** Pieces of Markdown, for what documentation pages have from the sources. */

export function code(text: string): string {
  return `\`${text}\``
}

/** @param rows  of the cells of each as Markdown, as many as `head` has */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map(cells => cells.map(cell => cell.replaceAll('|', '\\|')))
  return [head, head.map(() => '---'), ...escaped].map(cells => `| ${cells.join(' | ')} |\n`).join('')
}

/**
 * A page with each section between its marks, `<!-- name: … -->` and `<!-- end -->`, as it must stand; all else is left.
 * @param sections  by name; of each the Markdown, which ends with a line break
 */
export function withSections(page: string, sections: Readonly<Record<string, string>>): string {
  return Object.entries(sections).reduce((text, [name, made]) => {
    const marked = new RegExp(`(<!-- ${name}: [^>]*-->\\n)[\\s\\S]*?(<!-- end -->)`)
    return text.replace(marked, (_, begin: string, end: string) => `${begin}\n${made}\n${end}`)
  }, page)
}
