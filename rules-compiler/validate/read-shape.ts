/**
 * Reads a value by a schema: finds every fault of shape, parses what has a format, and gives back what is sound. It
 * knows the part of JSON Schema that schema.ts uses. A general validator would name the keyword that failed; a person
 * needs the field, the value and what may stand there.
 */
import type { Cidr } from '../address/cidr.ts'
import type { PortRange } from '../address/port-range.ts'
import { type Format, formats } from './formats.ts'
import { isRecord } from './is-record.ts'
import { nearestWord } from './nearest-word.ts'
import { fieldPath } from './problem.ts'
import type { Report } from './report.ts'

/**
 * What is left of a `T` when its faulty parts are taken out: a faulty field is there but undefined (so that it is not
 * missed a second time), a faulty item of a list leaves a hole and keeps the others' places.
 */
export type Sound<T> = T extends Cidr | PortRange
  ? T
  : T extends readonly (infer Item)[]
    ? readonly (Sound<Item> | undefined)[]
    : T extends object
      ? { readonly [Key in keyof T]?: Sound<T[Key]> | undefined }
      : T

/** The keywords of JSON Schema that schema.ts uses. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  /** Of an object without `properties`: the schema of every value. */
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly maxItems?: number
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  /** An entry of formats.ts, or of the caller's own; it says all that `pattern` says and more, so that one is not asked. */
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
}

/** What `format` may name, by its name. */
export type Formats = Readonly<Record<string, Format<unknown>>>

/**
 * @param known  the formats that the schema names; those of policy files where left out
 * @returns what is sound of the value; undefined where it is faulty itself. Faults go to the report.
 */
export function readShape(
  schema: Schema,
  value: unknown,
  path: string,
  report: Report,
  known: Formats = formats,
): unknown {
  if (schema.format !== undefined) return readFormat(known[schema.format]!, value, path, report)
  switch (schema.type) {
    case 'object':
      return readObject(schema, value, path, report, known)
    case 'array':
      return readArray(schema, value, path, report, known)
    default:
      return readScalar(schema, value, path, report)
  }
}

/** A field of the sound part of an object was given, be it faulty. */
export function isGiven<T extends object>(object: T, field: keyof T): boolean {
  return Object.hasOwn(object, field)
}

function readObject(schema: Schema, value: unknown, path: string, report: Report, known: Formats): unknown {
  if (!isRecord(value)) {
    return refuse('wrong-type', { action: readAction(value), value, expected: 'an object' }, path, report)
  }
  const sound: [string, unknown][] = []
  for (const [name, field] of Object.entries(value)) {
    const fieldSchema = schemaOf(schema, name)
    if (fieldSchema === null) reportUnknownField(schema, name, path, report)
    else sound.push([name, readShape(fieldSchema, field, fieldPath(path, name), report, known)])
  }
  for (const name of schema.required ?? []) {
    if (Object.hasOwn(value, name)) continue
    const expected = expectation(schema.properties![name]!, known)
    report.add('missing', fieldPath(path, name), { action: `do without ${name}`, expected })
  }
  return Object.fromEntries(sound)
}

function schemaOf(schema: Schema, name: string): Schema | null {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, name)) return schema.properties[name]!
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null
}

function reportUnknownField(schema: Schema, name: string, path: string, report: Report): void {
  const known = Object.keys(schema.properties ?? {})
  const nearest = nearestWord(name, known)
  const expected = nearest === null ? `one of the fields ${known.join(', ')}` : `a known field; is "${nearest}" meant?`
  report.add('unknown-field', fieldPath(path, name), { action: 'read field', value: name, expected })
}

function readArray(schema: Schema, value: unknown, path: string, report: Report, known: Formats): unknown {
  if (!Array.isArray(value))
    return refuse('wrong-type', { action: readAction(value), value, expected: 'a list' }, path, report)
  const { items, maxItems } = schema as Schema & { readonly items: Schema }
  if (maxItems !== undefined && value.length > maxItems)
    return refuse('invalid-value', { action: 'read', value, expected: `a list of at most ${maxItems}` }, path, report)
  const format = formatOf(items, known)
  if (format === null) return value.map((item, index) => readShape(items, item, `${path}[${index}]`, report, known))
  // The long lists are lists of addresses: no path is written for an item that is in order.
  return value.map((item, index) => format.parse(item) ?? readShape(items, item, `${path}[${index}]`, report, known))
}

function formatOf(schema: Schema, known: Formats): Format<unknown> | null {
  return schema.format === undefined ? null : known[schema.format]!
}

function readFormat(format: Format<unknown>, value: unknown, path: string, report: Report): unknown {
  const parsed = format.parse(value)
  if (parsed !== null) return parsed
  const code = typeof value === 'string' ? 'invalid-value' : 'wrong-type'
  return refuse(code, { action: `read ${format.name}`, value, expected: format.expected }, path, report)
}

function readScalar(schema: Schema, value: unknown, path: string, report: Report): unknown {
  if (!hasType(schema, value)) {
    return refuse('wrong-type', { action: readAction(value), value, expected: expectation(schema) }, path, report)
  }
  if (!isWithin(schema, value)) {
    return refuse('invalid-value', { action: 'read', value, expected: expectation(schema) }, path, report)
  }
  return value
}

function hasType(schema: Schema, value: unknown): boolean {
  if (schema.enum !== undefined) return typeof value === 'string'
  return schema.type === 'integer' ? Number.isSafeInteger(value) : typeof value === schema.type
}

/** Names the type where it is the fault: `1` and `"1"` look alike in quotes. */
function readAction(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return 'read the text'
    case 'number':
      return 'read the number'
    case 'boolean':
      return 'read the truth value'
    default:
      return value === null ? 'read the value' : 'read'
  }
}

function isWithin(schema: Schema, value: unknown): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value)
  if (schema.const !== undefined) return schema.const === value
  if (typeof value === 'number') return value >= (schema.minimum ?? value) && value <= (schema.maximum ?? value)
  if (typeof value !== 'string') return true
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema
  // Code points are never more than UTF-16 units, so most text needs no counting.
  const length = value.length <= minLength || value.length > maxLength ? [...value].length : value.length
  return length >= minLength && length <= maxLength
}

/** What a schema asks for, in words. */
function expectation(schema: Schema, known: Formats = {}): string {
  const format = formatOf(schema, known)
  if (format !== null) return format.expected
  if (schema.const !== undefined) return `"${schema.const}"`
  if (schema.enum !== undefined) return schema.enum.map(choice => `"${choice}"`).join(' or ')
  switch (schema.type) {
    case 'object':
      return 'an object'
    case 'array':
      return 'a list'
    case 'boolean':
      return 'true or false'
    case 'integer':
      return schema.maximum === undefined
        ? `a whole number, ${schema.minimum} or more`
        : `a whole number from ${schema.minimum} to ${schema.maximum}`
    default:
      return `text of ${schema.minLength ?? 0} to ${schema.maxLength} characters`
  }
}

function refuse(
  code: 'wrong-type' | 'invalid-value',
  options: { action: string; value: unknown; expected: string },
  path: string,
  report: Report,
): undefined {
  report.add(code, path, options)
}
