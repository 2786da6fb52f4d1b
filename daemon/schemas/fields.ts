/** Fields that many messages share, named and bounded as in the published API. */
import Type, { type TSchema } from 'typebox'
import { idPattern, idWords, type MadeKind } from '../services/ids.ts'

export const exact = { additionalProperties: false }

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** A pattern, and what it asks for in words: for who meets it in a refusal. */
export function patterned(pattern: string, expected: string) {
  return { pattern, 'x-expected': expected }
}

export function idField(kind: MadeKind, description: string) {
  return Type.String({ description, ...patterned(idPattern(kind), idWords(kind)), maxLength: 64 })
}

/** The same in the path, where anything that is no id is one that is not there. */
export function idParam(description: string) {
  return Type.String({ description, maxLength: 64 })
}

export function accountIdField(description: string) {
  return Type.String({ description, ...patterned('^[0-9]{16}$', '16 digits') })
}

/** A name for people: no control characters, so that it is one line in a table and in a log. */
export function nameField(description: string) {
  return Type.String({ description, minLength: 1, maxLength: 128, ...printable })
}

/** A name of a group or a prefix list, as the published API takes it. */
export function groupNameField(description: string) {
  const rules = 'a letter, then letters, digits, ":", "_", "." and "-"; 2 to 128 in all, and not http:// or https://'
  return Type.String({
    description: `${description} A${rules.slice(1)}.`,
    minLength: 2,
    maxLength: 128,
    ...patterned('^(?!https?://)\\p{L}[\\p{L}\\p{Nd}:_.-]*$', rules),
  })
}

export function descriptionField(of: string) {
  return Type.String({ description: `What the ${of} is for.`, minLength: 1, maxLength: 512, ...printable })
}

/** Halves of characters (surrogates) have no UTF-8: they would come back as something else. */
const printable = patterned(
  '^[^\\p{Cs}\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$',
  'text on one line, without control characters',
)

export const modeField = Type.Enum(['enforce', 'observe'], {
  description: 'observe: what would be dropped is counted and let through. enforce if left out.',
})

export const tagsField = Type.Record(
  Type.String({ pattern: '^(?!__proto__$)[^\\u0000-\\u001f\\u007f:]{1,128}$' }),
  Type.String({ maxLength: 128, ...printable }),
  {
    description: 'Keys (without ":") and values, both text; 20 at most.',
    maxProperties: 20,
    'x-expected': 'a key of 1 to 128 characters, without ":" and control characters',
    additionalProperties: false,
  },
)

export const revisionField = Type.Integer({ description: 'The revision that wrote the object last.' })
export const timeField = (description: string) => Type.String({ description, format: 'date-time' })

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
