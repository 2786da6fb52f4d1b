/** Leaves out what a schema does not name: fields can be added to messages, and must not be stored unseen. */
import Type, { type TSchema } from 'typebox'

export type Project = (value: unknown) => unknown

/**
 * Made once, for values that the schema has accepted. Knows objects, arrays, `null` or one other, and what has nothing
 * in it; typebox's own `Clean` is a hundred times slower, because it tries every branch of a union.
 */
export function knownFieldsOf(schema: TSchema): Project {
  if (Type.IsObject(schema)) {
    const fields = Object.entries(schema.properties).map(([name, field]) => [name, knownFieldsOf(field)] as const)
    return value => {
      const known: Record<string, unknown> = {}
      for (const [name, project] of fields) {
        const field = (value as Record<string, unknown>)[name]
        if (field !== undefined) known[name] = project(field)
      }
      return known
    }
  }
  if (Type.IsArray(schema)) {
    const project = knownFieldsOf(schema.items)
    return value => (value as readonly unknown[]).map(project)
  }
  if (Type.IsUnion(schema)) {
    const [other, another] = schema.anyOf.filter(each => !Type.IsNull(each)).map(knownFieldsOf)
    if (other === undefined || another !== undefined) throw new TypeError('Cannot project a union of several')
    return value => (value === null ? null : other(value))
  }
  return value => value
}
