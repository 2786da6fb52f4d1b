/**
 * Parameters of an action by its schema. On the wire all are texts; lists and objects are flattened. Besides what JSON
 * Schema says, a schema may have
 *
 *   x-wire: 'json'     a list that is one text of JSON: `InstanceIds=["i-1"]`
 *   x-code: 'Invalid…' the published code for a value that is none; `InvalidParameter` where left out
 *   x-words: 'any'     enumerated words in any case
 */
import type { Static, TObject, TSchema } from 'typebox'
import { ApiError, type FieldError } from '../errors.ts'
import type { Branch, Tree } from './pairs.ts'

interface WireSchema {
  readonly type?: string
  readonly 'x-wire'?: 'json'
  readonly 'x-code'?: string
  readonly 'x-words'?: 'any'
  readonly enum?: readonly string[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: WireSchema
  readonly properties?: Readonly<Record<string, WireSchema>>
  readonly required?: readonly string[]
  readonly default?: unknown
}

const mostFaults = 20
const mostJsonItems = 1000

/**
 * What the schema does not name is passed over, as the published service does: clients send more than is documented.
 * @throws {ApiError} 400 with every fault; its code is that of the first
 */
export function readParameters<P extends TObject>(schema: P, tree: Branch): Static<P> {
  const reader = new Reader()
  const value = reader.fields('', schema, tree)
  const [first] = reader.faults
  if (first === undefined) return value as Static<P>
  const more = reader.faults.length > 1 ? ` (and ${reader.faults.length - 1} more)` : ''
  throw new ApiError(400, first.code, `${first.field}: ${first.message}${more}`, {
    errors: reader.faults.slice(0, mostFaults),
  })
}

/** Those that can be read, where others cannot: for who wants to know what was meant. */
export function readableParameters(schema: TObject, tree: Branch): Readonly<Record<string, unknown>> {
  return new Reader().fields('', schema, tree)
}

class Reader {
  readonly faults: FieldError[] = []

  fields(path: string, { properties = {}, required = [] }: WireSchema, { children }: Branch): Record<string, unknown> {
    const read: Record<string, unknown> = {}
    for (const [name, schema] of Object.entries(properties)) {
      const field = path === '' ? name : `${path}.${name}`
      const tree = children.get(name)
      if (tree === undefined) {
        if (required.includes(name)) this.#missing(field)
        else if (schema.default !== undefined) read[name] = schema.default
        continue
      }
      const value = this.#value(field, schema, tree)
      if (value !== undefined) read[name] = value
    }
    return read
  }

  #value(field: string, schema: WireSchema, tree: Tree): unknown {
    if (schema['x-wire'] === 'json') return this.#json(field, schema, tree)
    if (schema.type === 'array') return this.#list(field, schema, tree)
    if (schema.type === 'object') {
      if (typeof tree !== 'string') return this.fields(field, schema, tree)
      return this.#refuse(field, schema, tree, `${field}.<name>`)
    }
    return typeof tree === 'string'
      ? this.#text(field, schema, tree)
      : this.#refuse(field, schema, 'a list', 'one value')
  }

  #list(field: string, schema: WireSchema, tree: Tree): unknown {
    const { items = {}, maxItems = Number.POSITIVE_INFINITY, minItems = 0 } = schema
    if (typeof tree === 'string') {
      // Some clients send an empty list as an empty text.
      return tree === '' ? undefined : this.#refuse(field, schema, tree, `${field}.1, ${field}.2 …`)
    }
    const numbered = [...tree.children].map(([index, item]) => [index, item] as const)
    const stray = numbered.find(([index]) => !/^[1-9]\d{0,3}$/.test(index))
    if (stray !== undefined) return this.#refuse(field, schema, stray[0], 'numbers from 1 to 9999 behind the dot')
    if (numbered.length > maxItems || numbered.length < minItems) {
      return this.#refuse(field, schema, `${numbered.length} of them`, `${minItems} to ${maxItems}`)
    }
    return numbered
      .toSorted(([a], [b]) => Number(a) - Number(b))
      .map(([index, item]) => this.#value(`${field}.${index}`, items, item))
      .filter(item => item !== undefined)
  }

  #json(field: string, schema: WireSchema, tree: Tree): unknown {
    const { items = {}, maxItems = mostJsonItems } = schema
    const list = typeof tree === 'string' ? parsedList(tree) : null
    const expected = `a JSON list of up to ${maxItems} texts`
    if (list === null || list.length > maxItems) {
      return this.#refuse(field, schema, typeof tree === 'string' ? tree : 'a list', expected)
    }
    return list
      .map((item, index) => this.#text(`${field}[${index}]`, { ...schema, ...items }, item))
      .filter(item => item !== undefined)
  }

  #text(field: string, schema: WireSchema, text: string): unknown {
    switch (schema.type) {
      case 'integer':
        return this.#number(field, schema, text)
      case 'boolean':
        if (/^true$/i.test(text)) return true
        return /^false$/i.test(text) ? false : this.#refuse(field, schema, text, 'true or false')
      default:
        return schema.enum === undefined ? this.#plain(field, schema, text) : this.#word(field, schema, text)
    }
  }

  #number(field: string, schema: WireSchema, text: string): number | undefined {
    const { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER } = schema
    const number = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (number >= minimum && number <= maximum) return number
    return this.#refuse(field, schema, text, `a whole number from ${minimum} to ${maximum}`)
  }

  #word(field: string, schema: WireSchema, text: string): string | undefined {
    const words = schema.enum ?? []
    const fold = (word: string) => (schema['x-words'] === 'any' ? word.toLowerCase() : word)
    const word = words.find(each => fold(each) === fold(text))
    return word ?? this.#refuse(field, schema, text, `one of ${words.join(', ')}`)
  }

  #plain(field: string, schema: WireSchema, text: string): string | undefined {
    const { minLength = 0, maxLength = 10_000, pattern } = schema
    if (text.length < minLength || text.length > maxLength) {
      return this.#refuse(field, schema, text, `${minLength} to ${maxLength} characters`)
    }
    if (pattern === undefined || compiled(pattern).test(text)) return text
    return this.#refuse(field, schema, text, `a text of the form ${pattern}`)
  }

  #missing(field: string): void {
    this.faults.push({ code: `MissingParameter.${field}`, field, message: `Cannot do without ${field}` })
  }

  #refuse(field: string, schema: WireSchema, value: string, expected: string): undefined {
    const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value
    const message = `Cannot use "${shown}": expected ${expected}`
    this.faults.push({ code: schema['x-code'] ?? 'InvalidParameter', field, message, value: shown })
    return undefined
  }
}

const expressions = new Map<string, RegExp>()

/** Of a schema: there are as many as schemas have. */
function compiled(pattern: string): RegExp {
  const known = expressions.get(pattern)
  if (known !== undefined) return known
  const expression = new RegExp(pattern, 'u')
  expressions.set(pattern, expression)
  return expression
}

function parsedList(text: string): readonly string[] | null {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : null
  } catch {
    return null
  }
}

/** A list that is one text of JSON on the wire. */
export function jsonList<T extends TSchema>(list: T): T {
  return { ...list, 'x-wire': 'json' }
}

/** With the published code for what is none. */
export function coded<T extends TSchema>(code: string, schema: T): T {
  return { ...schema, 'x-code': code }
}

/** Enumerated words in any case; read as the schema writes them. */
export function anyCase<T extends TSchema>(schema: T): T {
  return { ...schema, 'x-words': 'any' }
}
