/** Values of settings as text: as flags and variables give them, and as they are shown. */
import type { Setting, SettingSchema } from './setting.ts'

/** The word for an empty list. */
const noItems = 'none'

/**
 * What would stand in the file in place of the text of a flag. Lists are separated by commas; what is no value of its
 * type stays text, and is refused as that.
 */
export function valueOfText(schema: SettingSchema, text: string): unknown {
  if (schema.type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  if (schema.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (schema.type !== 'array') return text
  if (text === noItems) return []
  return text.split(',').map(item => valueOfText(schema.items!, item.trim()))
}

/** The other way: the text of a flag for what would stand in the file. */
export function textOfValue(schema: SettingSchema, value: unknown): string {
  if (!Array.isArray(value)) return String(value)
  // A command: its words may hold commas.
  if (schema.type !== 'array') return JSON.stringify(value)
  return value.length === 0 ? noItems : value.map(item => textOfValue(schema.items!, item)).join(',')
}

/** For people: absolute where it is a path, and nothing of a URL but its host where its path may be a secret. */
export function shownText({ schema, secret }: Setting<unknown>, given: unknown, value: unknown): string {
  if (given === null) return 'none'
  if (secret === 'url') return `${new URL(String(value)).origin}/…`
  return textOfValue(schema, schema.format === 'path' ? value : given)
}
