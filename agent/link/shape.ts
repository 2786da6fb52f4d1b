/**
 * Readers of what another process wrote: they check the shape, leave out fields they do not know, and give the exact
 * type. What the values mean is checked by whoever uses them.
 */

/** @throws {ShapeError} if the value has another shape */
export type Reader<T> = (value: unknown) => T

export class ShapeError extends Error {
  /** Where in the value: `objects[3].value.addresses[0]`; empty for the whole. */
  readonly path: string
  readonly expected: string

  constructor(expected: string, path = '') {
    super(`Cannot read ${path === '' ? 'it' : `"${path}"`}: expected ${expected}`)
    this.name = 'ShapeError'
    this.path = path
    this.expected = expected
  }
}

type OptionalKeys<T> = { [Key in keyof T]-?: object extends Pick<T, Key> ? Key : never }[keyof T]
type Needed<T> = { readonly [Key in Exclude<keyof T, OptionalKeys<T>>]: Reader<T[Key]> }
type Optional<T> = { readonly [Key in OptionalKeys<T>]: Reader<Exclude<T[Key], undefined>> }

export const text: Reader<string> = value => (typeof value === 'string' ? value : refuse('text'))

export const truth: Reader<boolean> = value => (typeof value === 'boolean' ? value : refuse('true or false'))

/** A whole number, 0 or more, that is exact. */
export const count: Reader<number> = value =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse('a whole number, 0 or more')

/** Any number that JSON has. */
export const number: Reader<number> = value =>
  typeof value === 'number' && Number.isFinite(value) ? value : refuse('a number')

export function oneOf<const T extends string>(words: readonly T[]): Reader<T> {
  return value => words.find(word => word === value) ?? refuse(words.map(word => `"${word}"`).join(' or '))
}

export function orNull<T>(reader: Reader<T>): Reader<T | null> {
  return value => (value === null ? null : reader(value))
}

export function listOf<T>(item: Reader<T>): Reader<readonly T[]> {
  return value => {
    if (!Array.isArray(value)) return refuse('a list')
    const items: T[] = []
    try {
      // Not map: where it throws, the items read tell the place, at no cost to the rest of fifty thousand.
      for (const each of value) items.push(item(each))
    } catch (error) {
      throw below(error, `[${items.length}]`)
    }
    return items
  }
}

export function objectOf<T extends object>(needed: Needed<T>, optional: Optional<T> = {} as Optional<T>): Reader<T> {
  const neededFields = Object.entries<Reader<unknown>>(needed)
  const optionalFields = Object.entries<Reader<unknown>>(optional)
  return value => {
    const from = fieldsOf(value)
    const read: Record<string, unknown> = {}
    for (const [name, reader] of neededFields) read[name] = readField(from, name, reader)
    for (const [name, reader] of optionalFields) {
      if (from[name] !== undefined && Object.hasOwn(from, name)) read[name] = readField(from, name, reader)
    }
    return read as T
  }
}

/**
 * Of a file that a process keeps for its next start: one that names no `format` is of the first. Of what a newer Ringwall
 * wrote nothing is taken: a field that is left out here may be what matters.
 */
export function ofFirstFormat<T>(reader: Reader<T>): Reader<T> {
  return value => {
    const { format = 1 } = fieldsOf(value)
    if (format === 1) return reader(value)
    throw new ShapeError(`1, and ${JSON.stringify(format)} is that of a newer Ringwall`, 'format')
  }
}

/** Names and values; a name such as `__proto__` is one like any other. */
export function recordOf<T>(item: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return value => {
    const from = fieldsOf(value)
    return Object.fromEntries(Object.keys(from).map(name => [name, readField(from, name, item)]))
  }
}

export const textOrNumber: Reader<string | number> = value =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))
    ? value
    : refuse('text or a number')

/** @returns what was read, or why it cannot be, in one sentence */
export function readWith<T>(reader: Reader<T>, value: unknown): { readonly value: T } | { readonly fault: string } {
  try {
    return { value: reader(value) }
  } catch (error) {
    if (error instanceof ShapeError) return { fault: error.message }
    throw error
  }
}

/** The same for JSON text. */
export function readJsonWith<T>(reader: Reader<T>, json: string): { readonly value: T } | { readonly fault: string } {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return { fault: 'Cannot read it: expected JSON' }
  }
  return readWith(reader, value)
}

export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('an object')
  return value as Readonly<Record<string, unknown>>
}

export function refuse(expected: string): never {
  throw new ShapeError(expected)
}

function readField<T>(from: Readonly<Record<string, unknown>>, name: string, reader: Reader<T>): T {
  try {
    return reader(Object.hasOwn(from, name) ? from[name] : undefined)
  } catch (error) {
    throw below(error, name)
  }
}

function below(error: unknown, step: string): unknown {
  if (!(error instanceof ShapeError)) return error
  const joint = error.path === '' || error.path.startsWith('[') ? '' : '.'
  return new ShapeError(error.expected, `${step}${joint}${error.path}`)
}
