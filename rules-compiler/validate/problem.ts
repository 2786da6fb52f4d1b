/** One fault of a policy file, as a value: a file is read whole and every fault is told at once. */
export interface Problem {
  /** What kind of fault; stable, for machines. */
  readonly code: ProblemCode
  /** Where: `securityGroups[0].rules[3].portRange`, or `line 3, column 5` for a fault of syntax. Empty: the whole file. */
  readonly path: string
  /** What stands there; undefined where something is missing. */
  readonly value: unknown
  /** What may stand there. */
  readonly expected: string
  /** One sentence: action, value in quotes, what was expected. */
  readonly message: string
}

export type ProblemCode =
  | 'syntax'
  | 'duplicate-key'
  | 'missing'
  | 'unknown-field'
  | 'wrong-type'
  | 'invalid-value'
  | 'duplicate'
  | 'unknown-reference'
  | 'conflict'
  | 'limit'

/** A fault as one line for a person: path first, value quoted, what was expected. Never holds a line break. */
export function formatProblem(problem: Problem): string {
  return `${problem.path || '(whole file)'}: ${problem.message}`
}

export interface ProblemOptions {
  readonly value?: unknown
  /** What was attempted, as a verb and its object: `read port range`. */
  readonly action: string
  readonly expected: string
}

export function makeProblem(code: ProblemCode, path: string, options: ProblemOptions): Problem {
  const { value, action, expected } = options
  const attempted = value === undefined ? action : `${action} ${quoteValue(value)}`
  return { code, path, value, expected, message: showHidden(`Cannot ${attempted}: expected ${expected}`) }
}

/**
 * A value as a message shows it, on one line: text in double quotes with everything escaped that could break the line
 * or hide in it, long text cut short. Lists and objects are named, not printed: they may be as large as the file.
 */
export function quoteValue(value: unknown): string {
  if (typeof value === 'string') return quoteText(value)
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return `"${value}"`
}

/** The path of a field of what stands at `path`; a name that is no plain word is quoted. */
export function fieldPath(path: string, field: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(field)) return `${path}[${quoteText(field)}]`
  return path === '' ? field : `${path}.${field}`
}

const quotedLength = 120

function quoteText(text: string): string {
  const shown = text.length > quotedLength ? `${text.slice(0, quotedLength)}…` : text
  return showHidden(JSON.stringify(shown))
}

/** Escapes what would break the line or not be seen in it. */
function showHidden(text: string): string {
  // \p{C}: control, format (bidirectional marks), unassigned and unpaired surrogates; \p{Z} but for the plain space.
  const hidden = /(?! )[\p{C}\p{Z}]/gu
  return text.replace(hidden, character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}
