/** Text of a file, YAML or JSON, to a value, and where in it the fields stand. */
import { isCollection, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { readJson } from './read-json.ts'
import { readYaml } from './read-yaml.ts'
import type { Report } from './report.ts'

export interface ReadOptions {
  /** Left out: JSON where the text begins with `{`, after blanks; otherwise YAML. */
  readonly format?: 'json' | 'yaml'
}

/** @returns the value; undefined where the text is faulty, and then the report says where */
export function readText(text: string, report: Report, options: ReadOptions = {}): unknown {
  const { format = /^\uFEFF?\s*\{/.test(text) ? 'json' : 'yaml' } = options
  return (format === 'json' ? readJson : readYaml)(text.replace(/^\uFEFF/, ''), report)
}

/**
 * The line, from 1, of each field of the mapping that a text is, and of the items of those that are lists, as paths of
 * problems name them: `ports`, `ports[1]`. Of a text that `readText` takes; JSON is read as the YAML that it is too.
 */
export function fieldLines(text: string): ReadonlyMap<string, number> {
  const counter = new LineCounter()
  const { contents } = parseDocument(text.replace(/^\uFEFF/, ''), { lineCounter: counter, stringKeys: true })
  const lines = new Map<string, number>()
  const note = (path: string, node: unknown) => {
    const offset = (node as Node | null)?.range?.[0]
    if (offset !== undefined) lines.set(path, counter.linePos(offset).line)
  }
  for (const { key, value } of isMap(contents) ? contents.items : []) {
    const name = String(isScalar(key) ? key.value : key)
    note(name, key)
    if (!isCollection(value)) continue
    for (const [index, item] of value.items.entries()) note(`${name}[${index}]`, item)
  }
  return lines
}
