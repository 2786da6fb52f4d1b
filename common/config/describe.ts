/** What is said of settings: in usage texts, in docs/configuration.md, in JSON Schemas and in example files. */
import { stringify } from 'yaml'
import { code, markdownTable, withSections } from '../markdown.ts'
import { type ConfigOutline, configKey, flagOf, type Setting, type Settings, variableOf } from './setting.ts'
import { textOfValue } from './text.ts'

const lineWidth = 120

/** Lines for the usage of a command; those of `more` are further flags, with what they are. */
export function usageOf({ program, file, settings }: ConfigOutline, more: readonly (readonly [string, string])[] = []) {
  const key = Object.keys(settings).find(name => /[A-Z]/.test(name)) ?? firstKey(settings)
  const rows: readonly (readonly [string, string])[] = [
    ...Object.entries(settings).map(
      ([name, each]) => [`${flagOf(name)} ${each.argument}`, `${each.schema.description} ${leftOutOf(each)}`] as const,
    ),
    [`${flagOf(configKey)} FILE`, `File with settings, or none. Left out: ${file} where it is there.`],
    ...more,
  ]
  const column = Math.max(...rows.map(([flag]) => flag.length)) + 4
  const lines = rows.flatMap(([flag, text]) =>
    wrap(text, lineWidth - column).map((line, index) => `${(index === 0 ? `  ${flag}` : '').padEnd(column)}${line}`),
  )
  const names = `in the file (${key} for ${flagOf(key)}), or in a variable (${variableOf(program, key)})`
  const precedence = 'a flag goes before a variable, a variable before the file'
  const check = `"ringwall ${program} check" shows what holds, and from where.`
  const epilogue = wrap(`Each but ${flagOf(configKey)} can also stand ${names}; ${precedence}. ${check}`, lineWidth)
  return [...lines, '', ...epilogue].join('\n')
}

function leftOutOf({ schema, leftOut }: Setting<unknown>): string {
  return `Left out: ${leftOut ?? textOfValue(schema, schema.default)}.`
}

/** A page with the tables of programs between their marks as they must stand. */
export function withTables(page: string, outlines: readonly ConfigOutline[]): string {
  return withSections(page, Object.fromEntries(outlines.map(outline => [outline.program, tableOf(outline)])))
}

function tableOf({ program, settings }: ConfigOutline): string {
  const rows = Object.entries(settings).map(([key, each]) => {
    const { schema, leftOut } = each
    const without = leftOut ?? code(textOfValue(schema, schema.default))
    const names = [key, flagOf(key), variableOf(program, key)].map(code)
    return [...names, valuesOf(each), without, schema.description]
  })
  return markdownTable(['in the file', 'flag', 'variable', 'value', 'left out', 'is'], rows)
}

function valuesOf({ schema, argument }: Setting<unknown>): string {
  const { items } = schema
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  if (items?.enum !== undefined) return `list of ${items.enum.map(code).join(', ')}`
  const numbers = schema.type === 'array' ? items : schema
  if (numbers?.type !== 'integer') return code(argument)
  return `${numbers === schema ? '' : 'list of '}${numbers.minimum} to ${numbers.maximum}`
}

/** For editors. */
export function jsonSchemaOf({ program, settings }: ConfigOutline): string {
  const properties = Object.fromEntries(Object.entries(settings).map(([key, { schema }]) => [key, schema]))
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `Settings of ringwall ${program}`,
    type: 'object',
    properties,
    additionalProperties: false,
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

const commentWidth = 98
const flowStyle = { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 } as const

/** A file in which nothing is set: every setting is a comment, without a blank after the sign, and so are its words, with one. */
export function exampleFileOf({ program, settings }: ConfigOutline): string {
  const comment = (text: string) => wrap(text, commentWidth).map(line => `# ${line}\n`)
  const head = [
    `Settings of "ringwall ${program}". Without a "#" before it a setting holds; as it stands here each is as if left out.`,
    `A variable (${variableOf(program, firstKey(settings))}) or a flag (${flagOf(firstKey(settings))}) goes before this file.`,
    `"ringwall ${program} check" reads it and says what is wrong. docs/configuration.md has all there is to know.`,
  ]
  const blocks = Object.entries(settings).map(([key, each]) => {
    const { schema, example } = each
    const words = schema.default === undefined ? `${schema.description} ${leftOutOf(each)}` : schema.description
    const value = stringify(schema.default ?? example, flowStyle)
    return `\n${comment(words).join('')}#${key}: ${value}`
  })
  return `${head.flatMap(comment).join('')}${blocks.join('')}`
}

function firstKey(settings: Settings): string {
  return Object.keys(settings)[0]!
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
