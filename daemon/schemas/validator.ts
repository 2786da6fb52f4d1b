/** Requests checked by the route's schema: the same that OpenAPI shows. */

import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'
import { fieldPath, quoteValue } from '../../rules-compiler/validate/problem.ts'
import { ApiError, type FieldError } from '../errors.ts'

const maxErrors = 20
// Several of TypeBox's make one of ours; its own default would hide what else is wrong behind eight unknown fields.
Settings.Set({ maxErrors: 100 })

/** Bodies are taken as they are; parameters and headers are text, and become what the schema says. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  return (given: unknown) => {
    const value = httpPart === 'body' ? given : readTexts(schema, given)
    if (compiled.Check(value)) return { value }
    if (httpPart === 'body' && (value === undefined || value === null)) return { error: noBody() }
    const errors = telling(compiled.Errors(value).map(fault => withWords(fault, schema)))
      .slice(0, maxErrors)
      .map(fault => fieldErrorOf(fault, value, httpPart))
    const [first] = errors
    const detail = `${first?.field || 'the request'}: ${first?.message ?? 'expected another shape'}`
    return {
      error: new ApiError(400, errors.every(isMissing) ? 'MissingParameter' : 'InvalidParameter', detail, { errors }),
    }
  }
}

function noBody(): ApiError {
  const message = 'Cannot do without a body: expected an object, as application/json'
  return new ApiError(400, 'InvalidParameter', message, { errors: [{ code: 'missing', field: '', message }] })
}

/** Only what is written in the plain way: `1.5` is no whole number, `yes` neither true nor false. */
function readTexts(schema: TSchema, given: unknown): unknown {
  const { properties = {} } = schema as { readonly properties?: Readonly<Record<string, { readonly type?: string }>> }
  const read = (name: string, text: unknown) =>
    Object.hasOwn(properties, name) && typeof text === 'string' ? readText(properties[name]!.type, text) : text
  return Object.fromEntries(Object.entries(given ?? {}).map(([name, text]) => [name, read(name, text)]))
}

function readText(type: string | undefined, text: string): unknown {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

const isMissing = ({ code }: FieldError) => code === 'missing'

/** What TypeBox says of a fault, by the keyword of JSON Schema. */
interface SchemaFault {
  readonly keyword: string
  readonly schemaPath: string
  readonly instancePath: string
  readonly params: object
  readonly message: string
  /** What the schema says of it in words. */
  readonly expected?: string
}

/** Where a pattern is not met: a value's, or that of all keys of an object. */
function withWords(fault: SchemaFault, schema: TSchema): SchemaFault {
  const path = fault.schemaPath.split('/').slice(1).map(unescapePointer)
  if (fault.keyword === 'boolean') path.pop()
  else if (fault.keyword !== 'pattern') return fault
  const { 'x-expected': expected } = path.reduce<{ readonly 'x-expected'?: string }>(
    (inner, key) => (inner as Readonly<Record<string, object>>)[key] ?? {},
    schema,
  )
  return expected === undefined ? fault : { ...fault, expected }
}

/** Of several that say the same of one place, the one that says most; of one that says several, each. */
function telling(faults: readonly SchemaFault[]): SchemaFault[] {
  const choices = new Set(faults.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath))
  const told = faults
    .filter(({ keyword, instancePath }) => keyword !== 'additionalProperties' && !choices.has(instancePath))
    .filter(fault => fault.keyword !== 'boolean' || isUnknownField(fault))
    .flatMap(eachMissing)
  const ofChoices = [...choices].map((instancePath): SchemaFault => {
    const expected = faults.filter(fault => fault.instancePath === instancePath && fault.keyword !== 'anyOf')
    return {
      keyword: 'anyOf',
      schemaPath: '',
      instancePath,
      params: {},
      message: [...new Set(expected.map(expectationOf))].join(' or '),
    }
  })
  return [...told, ...ofChoices]
}

/** The schema of a field that has none: `false`. */
function isUnknownField({ keyword, schemaPath }: SchemaFault): boolean {
  return keyword === 'boolean' && schemaPath.endsWith('/additionalProperties')
}

function eachMissing(fault: SchemaFault): readonly SchemaFault[] {
  if (fault.keyword !== 'required') return [fault]
  const { requiredProperties } = fault.params as { readonly requiredProperties: readonly string[] }
  return requiredProperties.map(name => ({ ...fault, params: { name } }))
}

function fieldErrorOf(fault: SchemaFault, root: unknown, httpPart: string | undefined): FieldError {
  const keys = fault.instancePath.split('/').slice(1).map(unescapePointer)
  const prefix = httpPart === 'querystring' ? '?' : ''
  const at = (more: readonly string[]) => `${prefix}${[...keys, ...more].reduce(appendKey, '')}`
  if (fault.keyword === 'required') {
    const { name } = fault.params as { readonly name: string }
    return { code: 'missing', field: at([name]), message: `Cannot do without ${name}` }
  }
  if (isUnknownField(fault)) {
    const { expected = 'a field that the route takes' } = fault
    const message = `Cannot read field ${quoteValue(keys.at(-1))}: expected ${expected}`
    return { code: 'unknown-field', field: at([]), message }
  }
  const value = keys.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], root)
  const code = fault.keyword === 'type' ? 'wrong-type' : 'invalid-value'
  const message = `Cannot read ${quoteValue(value)}: expected ${expectationOf(fault)}`
  return { code, field: at([]), message, value: shown(value) }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
}

function expectationOf({ keyword, params, message, expected }: SchemaFault): string {
  const { type, limit, allowedValues, allowedValue } = params as {
    type?: string
    limit?: number
    allowedValues?: readonly unknown[]
    allowedValue?: unknown
  }
  switch (keyword) {
    case 'anyOf':
      return message
    case 'pattern':
      return expected ?? message.replace(/^must /, 'text that must ')
    case 'type':
      return typeNames[String(type)] ?? String(type)
    case 'enum':
      return allowedValues?.map(value => `"${value}"`).join(' or ') ?? 'another value'
    case 'const':
      return `"${allowedValue}"`
    case 'minimum':
      return `${limit} or more`
    case 'maximum':
      return `${limit} or less`
    case 'minLength':
      return `at least ${limit} characters`
    case 'maxLength':
      return `at most ${limit} characters`
    case 'minItems':
      return `at least ${limit} of them`
    case 'maxItems':
      return `at most ${limit} of them`
    default:
      return message.replace(/^must /, 'that it must ')
  }
}

/** Objects and lists may be as large as the request. */
function shown(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, 200)
  return typeof value === 'object' && value !== null ? undefined : value
}

function appendKey(path: string, key: string): string {
  return /^\d+$/.test(key) ? `${path}[${key}]` : fieldPath(path, key)
}

function unescapePointer(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~')
}
