/** Man pages, written from the help texts of the commands, the settings of the services and the schema of policy files. */
import type { Command } from '../../cli/command.ts'
import { commandGroups, listedCommands } from '../../cli/command-list.ts'
import type { NounCommand } from '../../cli/operate/noun-command.ts'
import type { Noun } from '../../cli/operate/verb.ts'
import { type ConfigOutline, flagOf, type SettingSchema, variableOf } from '../../common/config/setting.ts'

export interface ManPage {
  readonly name: string
  readonly section: 1 | 5 | 8
  readonly text: string
}

interface Head {
  readonly name: string
  readonly section: ManPage['section']
  /** What it is, in a line without a full stop. */
  readonly summary: string
  readonly seeAlso: readonly string[]
}

/** A file or folder, and what it is. */
export type FileRow = readonly [path: string, what: string]

export class ManPages {
  readonly #version: string
  readonly #date: string

  /** @param date  of the sources, YYYY-MM-DD */
  constructor(version: string, date: string) {
    this.#version = version
    this.#date = date
  }

  /** @param helpText  of `ringwall --help` */
  async commandLine(helpText: string): Promise<ManPage> {
    const { synopsis, body } = partsOf(helpText)
    const commands = commandGroups.flatMap(({ commands }) => Object.keys(commands))
    const sections = await Promise.all(commands.map(sectionOf))
    return this.#page(
      {
        name: 'ringwall',
        section: 1,
        summary: 'security groups on Linux hosts',
        seeAlso: [
          'ringwall-agent(8)',
          'ringwalld(8)',
          'ringwall-policy.yaml(5)',
          'ringwall-agent.yaml(5)',
          'ringwalld.yaml(5)',
          'nft(8)',
        ],
      },
      [
        '.SH SYNOPSIS',
        ...example(synopsis),
        '.SH DESCRIPTION',
        ...paragraphs(body),
        '.SH COMMANDS',
        ...sections.flat(),
      ],
    )
  }

  /** A service, from the help of its command, in which it is called by that command. */
  async service(head: Omit<Head, 'section'>, commandName: string, files: readonly FileRow[]): Promise<ManPage> {
    const { usage } = await loadCommand(commandName)
    const { synopsis, body } = partsOf(usage)
    return this.#page({ ...head, section: 8 }, [
      '.SH SYNOPSIS',
      ...example(synopsis.map(line => line.replace(`ringwall ${commandName}`, head.name))),
      '.PP',
      roff(`"${head.name}" is "ringwall ${commandName}".`),
      '.SH DESCRIPTION',
      ...paragraphs(body),
      '.SH FILES',
      ...files.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]),
    ])
  }

  /** A file of settings. */
  settings(head: Omit<Head, 'section'>, { program, file, settings }: ConfigOutline): ManPage {
    const entries = Object.entries(settings).flatMap(([key, { schema, argument, leftOut, reloads }]) => [
      '.TP',
      `.B ${roff(key)}`,
      roff(`${schema.description} ${valuesOf(schema, argument)} ${leftOutOf(schema, leftOut)}`),
      '.br',
      roff(
        `Flag ${flagOf(key)}, variable ${variableOf(program, key)}; ${reloads ? 'taken up by SIGHUP' : 'read at the start'}.`,
      ),
    ])
    return this.#page({ ...head, section: 5 }, [
      '.SH DESCRIPTION',
      roff(
        `${file}, if it exists, has settings of "ringwall ${program}" in YAML: one "name: value" a line. A variable of the environment goes before the file, a flag before both. "ringwall ${program} check" reads it and says what is wrong.`,
      ),
      '.SH SETTINGS',
      ...entries,
    ])
  }

  /** The policy file, from its JSON Schema. */
  policyFile(head: Omit<Head, 'section'>, schema: FieldSchema): ManPage {
    return this.#page({ ...head, section: 5 }, [
      '.SH DESCRIPTION',
      roff(schema.description ?? ''),
      '.PP',
      roff('YAML or JSON. Every fault is told at once, with the path of its field.'),
      '.SH FIELDS',
      ...fieldsOf(schema, ''),
    ])
  }

  #page({ name, section, summary, seeAlso }: Head, lines: readonly string[]): ManPage {
    const text = [
      `.TH ${roff(name.toUpperCase())} ${section} ${this.#date} "ringwall ${this.#version}" Ringwall`,
      '.SH NAME',
      `${roff(name)} \\- ${roff(summary)}`,
      ...lines,
      '.SH SEE ALSO',
      seeAlso
        .filter(each => each !== `${name}(${section})`)
        .map(each =>
          each.replace(/^(.*)(\(\d\))$/, (_, page: string, number: string) => `\\fB${roff(page)}\\fR${number}`),
        )
        .join(', '),
      '.PP',
      'Files in /usr/share/doc/ringwall say more.',
    ]
    return { name, section, text: `${text.join('\n')}\n` }
  }
}

async function loadCommand(
  name: string,
): Promise<Command & { readonly noun?: Noun; readonly nouns?: readonly NounCommand[] }> {
  return (await listedCommands.get(name)!.load()).command
}

async function sectionOf(name: string): Promise<readonly string[]> {
  const command = await loadCommand(name)
  const verbs = command.noun?.verbs.filter(verb => verb.name !== '') ?? []
  const texts: (readonly [string, string])[] = [[name, command.usage]]
  for (const verb of verbs) texts.push([`${name} ${verb.name}`, (await command.helpFor?.([verb.name])) ?? ''])
  for (const inner of command.nouns ?? []) {
    texts.push([inner.name, inner.usage])
    for (const verb of inner.noun.verbs) {
      if (verb.name !== '') texts.push([`${inner.name} ${verb.name}`, (await inner.helpFor?.([verb.name])) ?? ''])
    }
  }
  return texts.flatMap(([title, text]) => [`.SS ringwall ${roff(title)}`, ...example(text.trimEnd().split('\n'))])
}

/** The lines that begin with "usage:", and what comes after. */
function partsOf(text: string): { readonly synopsis: readonly string[]; readonly body: string } {
  const start = text.indexOf('usage: ')
  const end = text.indexOf('\n\n', start)
  const synopsis = text.slice(start, end).replace('usage: ', '').split('\n')
  return { synopsis: synopsis.map(line => line.replace(/^ {7}/, '')), body: text.slice(end + 2).trimEnd() }
}

/** Flags and their meaning become a list, other lines that are set in stay as they are. */
function paragraphs(body: string): readonly string[] {
  return body.split(/\n{2,}/).flatMap(block => {
    const lines = block.split('\n')
    if (!lines.some(line => line.startsWith(' '))) return ['.PP', ...lines.map(roff)]
    const column = columnOf(lines)
    return column === null ? ['.PP', ...example(lines)] : ['.PP', ...lines.flatMap(line => rowOf(line, column))]
  })
}

/** Where the second of two columns begins; null where the lines are no two columns. */
function columnOf(lines: readonly string[]): number | null {
  const starts = lines.flatMap(line => {
    const [all] = /^ {2}\S.*? {2,}(?=\S)/.exec(line) ?? []
    return all === undefined ? [] : [all.length]
  })
  const column = starts.length === 0 ? null : Math.min(...starts)
  const fits = (line: string) => line[2] !== ' ' || line.length <= column! || line.slice(0, column!).trim() === ''
  return column !== null && lines.every(line => !line.startsWith(' ') || fits(line)) ? column : null
}

function rowOf(line: string, column: number): readonly string[] {
  if (!line.startsWith(' ')) return [roff(line)]
  const [left, right] = [line.slice(0, column).trim(), line.slice(column).trim()]
  if (left === '') return [roff(right)]
  return ['.TP', `.B ${roff(left)}`, ...(right === '' ? [] : [roff(right)])]
}

/** As it stands, in a type of fixed width. */
function example(lines: readonly string[]): readonly string[] {
  return ['.nf', ...lines.map(line => (line === '' ? '.sp' : roff(line))), '.fi']
}

const written: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '^': '\\(ha',
  '~': '\\(ti',
  '`': '\\(ga',
  '…': '...',
  '’': '\\(cq',
}

/** What groff(7) would take for something else, a dot at the beginning of a line too. */
function roff(line: string): string {
  const text = line.replaceAll(/[\\\-'"^~`…’]/g, each => written[each]!)
  return /^\s*[.]/.test(text) ? `\\&${text}` : text
}

/** The part of JSON Schema that the policy file's uses. */
export interface FieldSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly const?: unknown
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly items?: FieldSchema
}

function fieldsOf({ properties = {}, required = [] }: FieldSchema, path: string): readonly string[] {
  return Object.entries(properties).flatMap(([key, field]) => {
    const place = `${path}${key}${field.type === 'array' ? '[]' : ''}`
    const notes = [rangeOf(field), required.includes(key) ? 'Must be there.' : '', defaultOf(field)].filter(Boolean)
    const inner = field.type === 'array' ? field.items : field
    return [
      '.TP',
      `.B ${roff(place)}`,
      roff([field.description ?? '', ...notes].join(' ')),
      ...(inner === undefined ? [] : fieldsOf(inner, `${place}.`)),
    ]
  })
}

function rangeOf({ const: only, enum: words, minimum, maximum }: FieldSchema): string {
  if (only !== undefined) return `Always ${only}.`
  if (words !== undefined) return `One of ${words.join(', ')}.`
  return minimum === undefined || maximum === undefined ? '' : `${minimum} to ${maximum}.`
}

function defaultOf({ default: value }: FieldSchema): string {
  return value === undefined ? '' : `Left out: ${typeof value === 'string' ? value : JSON.stringify(value)}.`
}

function valuesOf(schema: SettingSchema, argument: string): string {
  return rangeOf(schema.items ?? schema) || `Value: ${argument}.`
}

function leftOutOf(schema: SettingSchema, leftOut: string | null): string {
  return leftOut === null ? defaultOf(schema) : `Left out: ${leftOut}.`
}
