/** JSON text to a value, with every fault where it stands. */
import type { Report } from './report.ts'
import { positionPath, snippetAt } from './text-position.ts'

/**
 * @returns the value; undefined where the text is no JSON or an object says the same key twice, which JSON.parse would
 * let pass with the last one winning: a second `rules` would silently undo the first
 */
export function readJson(text: string, report: Report): unknown {
  const scan = scanJson(text)
  if (scan.fault !== null) {
    const { offset, expected } = scan.fault
    const value = snippetAt(text, offset)
    report.add('syntax', positionPath(text, offset), { action: 'read JSON at', value, expected })
    return undefined
  }
  for (const { key, offset } of scan.duplicateKeys) {
    const expected = 'each key once in an object'
    report.add('duplicate-key', positionPath(text, offset), { action: 'read a second', value: key, expected })
  }
  return scan.duplicateKeys.length > 0 ? undefined : JSON.parse(text)
}

interface JsonScan {
  readonly fault: { readonly offset: number; readonly expected: string } | null
  readonly duplicateKeys: readonly { readonly key: string; readonly offset: number }[]
}

type Token = 'string' | 'scalar' | '{' | '}' | '[' | ']' | ',' | ':' | 'end'

/** What the grammar allows next, and what a message says of it. */
const expectations = {
  value: 'a value',
  'value or ]': 'a value or "]"',
  key: 'a key in double quotes',
  'key or }': 'a key in double quotes or "}"',
  colon: '":" after the key',
  'comma or ]': '"," or "]"',
  'comma or }': '"," or "}"',
  end: 'nothing after the value',
} as const

/**
 * The first fault of syntax, or else every key that its object has already. JSON.parse has no place for many of its
 * errors and says nothing of duplicate keys; this walks the same grammar (RFC 8259) without making the values, with
 * a list in place of recursion so that no depth of nesting ends the stack.
 */
function scanJson(text: string): JsonScan {
  const duplicateKeys: { key: string; offset: number }[] = []
  /** Keys of each open object, null for each open list. */
  const open: (Set<string> | null)[] = []
  let expecting: keyof typeof expectations = 'value'
  let offset = 0

  const afterValue = () => {
    const inner = open.at(-1)
    return inner === undefined ? 'end' : inner === null ? 'comma or ]' : 'comma or }'
  }

  for (;;) {
    offset = skipBlank(text, offset)
    const token = tokenAt(text, offset)
    const end = tokenEnd(text, offset, token)
    const fault = { fault: { offset, expected: expectations[expecting] }, duplicateKeys }
    if (end === -1) return fault
    switch (expecting) {
      case 'value or ]':
      case 'value':
        if (token === '{') {
          open.push(new Set())
          expecting = 'key or }'
        } else if (token === '[') {
          open.push(null)
          expecting = 'value or ]'
        } else if (token === 'string' || token === 'scalar') {
          expecting = afterValue()
        } else if (token === ']' && expecting === 'value or ]') {
          open.pop()
          expecting = afterValue()
        } else return fault
        break
      case 'key or }':
      case 'key':
        if (token === '}' && expecting === 'key or }') {
          open.pop()
          expecting = afterValue()
        } else if (token === 'string') {
          const key: string = JSON.parse(text.slice(offset, end))
          const keys = open.at(-1)!
          if (keys.has(key)) duplicateKeys.push({ key, offset })
          keys.add(key)
          expecting = 'colon'
        } else return fault
        break
      case 'colon':
        if (token !== ':') return fault
        expecting = 'value'
        break
      case 'comma or ]':
      case 'comma or }': {
        const inList: boolean = expecting === 'comma or ]'
        if (token === ',') expecting = inList ? 'value' : 'key'
        else if (token === (inList ? ']' : '}')) {
          open.pop()
          expecting = afterValue()
        } else return fault
        break
      }
      case 'end':
        return token === 'end' ? { fault: null, duplicateKeys } : fault
    }
    offset = end
  }
}

function skipBlank(text: string, start: number): number {
  let offset = start
  for (; ; offset++) {
    const code = text.charCodeAt(offset)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return offset
  }
}

function tokenAt(text: string, offset: number): Token {
  const character = text[offset]
  switch (character) {
    case undefined:
      return 'end'
    case '"':
      return 'string'
    case '{':
    case '}':
    case '[':
    case ']':
    case ',':
    case ':':
      return character
    default:
      return 'scalar'
  }
}

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y
const escapeSequence = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** Offset after the token; -1 where its text is not well formed. */
function tokenEnd(text: string, offset: number, token: Token): number {
  switch (token) {
    case 'string':
      return stringEnd(text, offset)
    case 'scalar':
      return matchEnd(scalar, text, offset)
    default:
      return offset + 1
  }
}

/** Character by character: an expression for a whole string would need memory for each one of a long string. */
function stringEnd(text: string, start: number): number {
  for (let offset = start + 1; offset < text.length; ) {
    const code = text.charCodeAt(offset)
    if (code === 0x22) return offset + 1
    if (code < 0x20) return -1
    offset = code === 0x5c ? matchEnd(escapeSequence, text, offset) : offset + 1
    if (offset === -1) return -1
  }
  return -1
}

function matchEnd(expression: RegExp, text: string, offset: number): number {
  expression.lastIndex = offset
  return expression.test(text) ? expression.lastIndex : -1
}
