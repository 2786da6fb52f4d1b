/** Fields that many messages share, named and bounded as in the published API. */
import Type, { type TSchema } from 'typebox'
import { idPattern, type MadeKind } from '../services/ids.ts'

export const exact = { additionalProperties: false }

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

export function idField(kind: MadeKind, description: string) {
  return Type.String({ description, pattern: idPattern(kind), maxLength: 64 })
}

/** The same in the path, where anything that is no id is one that is not there. */
export function idParam(description: string) {
  return Type.String({ description, maxLength: 64 })
}

export function accountIdField(description: string) {
  return Type.String({ description, pattern: '^[0-9]{16}$' })
}

/** A name for people: no control characters, so that it is one line in a table and in a log. */
export function nameField(description: string) {
  return Type.String({ description, minLength: 1, maxLength: 128, pattern: printable })
}

/** A name of a group or a prefix list, as the published API takes it. */
export function groupNameField(description: string) {
  const rules = 'A letter, then letters, digits, ":", "_", "." and "-"; 2 to 128 in all, and not http:// or https://.'
  return Type.String({
    description: `${description} ${rules}`,
    minLength: 2,
    maxLength: 128,
    pattern: '^(?!https?://)\\p{L}[\\p{L}\\p{Nd}:_.-]*$',
  })
}

export function descriptionField(of: string) {
  return Type.String({ description: `What the ${of} is for.`, minLength: 1, maxLength: 512, pattern: printable })
}

/** Halves of characters (surrogates) have no UTF-8: they would come back as something else. */
const printable = '^[^\\p{Cs}\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$'

export const modeField = Type.Enum(['enforce', 'observe'], {
  description: 'observe: what would be dropped is counted and let through. enforce if left out.',
})

export const tagsField = Type.Record(
  Type.String({ pattern: '^(?!__proto__$)[^\\u0000-\\u001f\\u007f:]{1,128}$' }),
  Type.String({ maxLength: 128, pattern: printable }),
  {
    description: 'Keys (without ":") and values, both text; 20 at most.',
    maxProperties: 20,
    additionalProperties: false,
  },
)

export const revisionField = Type.Integer({ description: 'The revision that wrote the object last.' })
export const timeField = (description: string) => Type.String({ description, format: 'date-time' })

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
