/** Parameters as they come by the wire: `Permissions.1.IpProtocol=TCP`, in the query, in a form body, or in both. */
import { ApiError } from '../errors.ts'

export type Pair = readonly [name: string, value: string]

/** The largest request that means something, a hundred rules of fifteen fields, has fewer. */
const mostPairs = 4000
const mostNameLength = 200

/**
 * Names and values of a query or of a form body, decoded, in the order given.
 * @throws {ApiError} 400 where there are too many of them, or one cannot be read
 */
export function readPairs(text: string): readonly Pair[] {
  if (text === '') return []
  let count = 1
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) count += 1
  if (count > mostPairs) {
    throw new ApiError(400, 'InvalidParameter', `Cannot read ${count} parameters: expected ${mostPairs} at most`)
  }
  return text
    .split('&')
    .filter(part => part !== '')
    .map((part): Pair => {
      const equals = part.indexOf('=')
      return equals < 0 ? [decode(part), ''] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))]
    })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text
    throw new ApiError(400, 'InvalidParameter', `Cannot decode "${shown}": expected UTF-8, percent-encoded`, { cause })
  }
}

/** As RFC 3986 has it: all but letters, digits and `-_.~`. Lone surrogates, which no text has, become U+FFFD. */
export function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** In the order of their names, by code units, encoded: what both schemes of signatures sign. */
export function canonicalPairs(pairs: readonly Pair[]): string {
  return pairs
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
}

/** A parameter that may be a text, a list (`Tag.1`, `Tag.2`) or an object (`Attachment.InstanceId`). */
export type Tree = string | Branch

export interface Branch {
  /** Keyed by what stands behind the dot: numbers and names. */
  readonly children: ReadonlyMap<string, Tree>
}

interface GrowingBranch {
  readonly children: Map<string, string | GrowingBranch>
}

/** No parameter of the published API is deeper: `Permissions.1.Tag.2.Key`. */
const mostParts = 6

/**
 * Puts flattened parameters together.
 * @throws {ApiError} 400 where one stands twice, or as a text and as a list
 */
export function growTree(pairs: readonly Pair[]): Branch {
  const root: GrowingBranch = { children: new Map() }
  for (const [name, value] of pairs) {
    const parts = name.split('.')
    if (name.length > mostNameLength || parts.length > mostParts || parts.includes('')) throw unreadable(name)
    let branch = root
    for (const part of parts.slice(0, -1)) {
      const next = branch.children.get(part) ?? { children: new Map() }
      if (typeof next === 'string') throw twice(name)
      branch.children.set(part, next)
      branch = next
    }
    const last = parts.at(-1)!
    if (branch.children.has(last)) throw twice(name)
    branch.children.set(last, value)
  }
  return root
}

function unreadable(name: string): ApiError {
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name
  const expected = `names of up to ${mostParts} parts with dots in between`
  return new ApiError(400, 'InvalidParameter', `Cannot read the parameter "${shown}": expected ${expected}`)
}

function twice(name: string): ApiError {
  return new ApiError(400, 'InvalidParameter', `Cannot read the parameter "${name}" a second time: expected each once`)
}
