/** YAML text to a value, with every fault where it stands. */
import { parseDocument } from 'yaml'
import type { Report } from './report.ts'
import { positionPath, snippetAt } from './text-position.ts'

/**
 * How often one anchor may be repeated, its own aliases counted, and how many values a file may hold with its aliases
 * written out: a few lines of nested aliases would otherwise become thousands of millions ("billion laughs").
 */
const aliasesOfOneAnchor = 1000
const valuesOfOneFile = 2_000_000

/**
 * YAML 1.2, core schema: `yes` and `08:00` are text. One document; text keys, each once in a mapping; no tags but the
 * core ones.
 * @returns the value; undefined where the text is faulty
 */
export function readYaml(text: string, report: Report): unknown {
  const document = parseDocument(text, { schema: 'core', stringKeys: true, prettyErrors: false })
  // A warning tells of a tag that is not known, whose value was then guessed.
  reportFaults([...document.errors, ...document.warnings], text, report)
  if (report.problems.length > 0) return undefined
  try {
    const value: unknown = document.toJS({ maxAliasCount: aliasesOfOneAnchor })
    if (isWithinSize(value)) return value
  } catch (error) {
    // toJS throws a ReferenceError for an alias without anchor and for too many of them.
    if (!(error instanceof ReferenceError)) throw error
    const expected = `aliases of anchors that stand before them, ${aliasesOfOneAnchor} of one at most`
    report.add('syntax', '', { action: 'read YAML', expected: `${expected} (${error.message})` })
    return undefined
  }
  report.add('syntax', '', { action: 'read YAML', expected: `at most ${valuesOfOneFile} values, aliases written out` })
  return undefined
}

interface YamlFault {
  readonly code: string
  readonly message: string
  readonly pos: readonly [number, number]
}

/** One problem for each place: the parser tells of one missing bracket once for every list that it was in. */
function reportFaults(faults: readonly YamlFault[], text: string, report: Report): void {
  const exhausted = faults.find(fault => fault.code === 'RESOURCE_EXHAUSTION')
  const byOffset = Map.groupBy(exhausted === undefined ? faults : [exhausted], fault => fault.pos[0])
  for (const [offset, [fault]] of byOffset) {
    const { code, message } = fault!
    report.add(code === 'DUPLICATE_KEY' ? 'duplicate-key' : 'syntax', positionPath(text, offset), {
      action: 'read YAML at',
      value: snippetAt(text, offset),
      expected: expectations[code] ?? `well-formed YAML (${message})`,
    })
  }
}

const expectations: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'each key once in a mapping',
  NON_STRING_KEY: 'text as key',
  MULTIPLE_DOCS: 'one document in the file',
  TAG_RESOLVE_FAILED: 'no tag but those of the YAML core schema',
  RESOURCE_EXHAUSTION: 'less deep nesting',
}

/** Counts with a list in place of recursion: aliases can make a value that contains itself. */
function isWithinSize(root: unknown): boolean {
  const open = [root]
  let count = 0
  while (open.length > 0) {
    const value = open.pop()
    if (++count > valuesOfOneFile) return false
    if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) open.push(inner)
  }
  return true
}
