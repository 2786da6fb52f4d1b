/** Settings from flags, environment, file and defaults, the first that has one; every fault of every source at once. */
import { resolve } from 'node:path'
import { nearestWord } from '../../rules-compiler/validate/nearest-word.ts'
import { type Problem, quoteValue } from '../../rules-compiler/validate/problem.ts'
import { readShape, type Schema } from '../../rules-compiler/validate/read-shape.ts'
import { Report } from '../../rules-compiler/validate/report.ts'
import { type ConfigFile, readConfigFile } from './file.ts'
import { formatsAt } from './formats.ts'
import {
  type ConfigDefinition,
  type ConfigOutline,
  configKey,
  flagOf,
  type Settings,
  type ValuesOf,
  variableOf,
} from './setting.ts'
import { valueOfText } from './text.ts'

export interface Sources {
  /** Texts of flags by key; `config` among them names the file. */
  readonly flags: ReadonlyMap<string, string>
  /** Empty variables are as good as none. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What relative paths of flags and variables are relative to; those in the file are to the file's own folder. */
  readonly folder: string
}

/** `name` is the flag, the variable, or FILE:LINE and the key; what a message calls the setting. */
export interface Origin {
  readonly kind: 'flag' | 'environment' | 'file' | 'default'
  readonly name: string
}

export interface ReadSetting {
  readonly value: unknown
  /** As it stands in the source, in the form of the file; the default, or null without any. */
  readonly given: unknown
  readonly origin: Origin
}

/** A variable with the program's prefix that is no setting of it. */
export interface UnknownVariable {
  readonly name: string
  /** The one that was probably meant. */
  readonly meant: string | null
}

export interface Found {
  /** In the order of the definition, without those that are faulty. */
  readonly settings: ReadonlyMap<string, ReadSetting>
  /** The file that was read; null where none was. */
  readonly file: string | null
  readonly unknownVariables: readonly UnknownVariable[]
}

export interface Config<S extends Settings> extends Found {
  readonly values: ValuesOf<S>
}

export interface Reading<S extends Settings> extends Found {
  /** Null where there are faults. */
  readonly config: Config<S> | null
  /** Each a line that begins with what the setting is called in its source. */
  readonly faults: readonly string[]
}

/** Settings of one source, and what messages call them. */
interface Source {
  readonly kind: Origin['kind']
  readonly values: Readonly<Record<string, unknown>>
  readonly folder: string
  /** @param path  an item of its list, `rescuePort[1]`; the whole where left out */
  readonly nameOf: (key: string, path?: string) => string
}

/** Nothing in any source makes it throw. */
export async function readConfig<S extends Settings>(
  definition: ConfigDefinition<S>,
  sources: Sources,
): Promise<Reading<S>> {
  const faults: string[] = []
  const file = await findFile(definition, sources, faults)
  const found = new Map<string, ReadSetting>()
  const faulty = new Set<string>()
  for (const source of [
    flagSource(definition, sources),
    environmentSource(definition, sources),
    ...(file === null ? [] : [fileSource(file)]),
    defaultSource(definition),
  ]) {
    const report = new Report()
    const sound = readShape(shapeOf(definition.settings), source.values, '', report, formatsAt(source.folder))
    for (const problem of report.problems) {
      faults.push(faultOf(definition.settings, source, problem))
      faulty.add(keyOf(problem.path))
    }
    for (const [key, value] of Object.entries(sound as object)) {
      if (found.has(key)) continue
      found.set(key, { value, given: source.values[key], origin: { kind: source.kind, name: source.nameOf(key) } })
    }
  }
  const keys = Object.keys(definition.settings).filter(key => !faulty.has(key))
  const settings = new Map(keys.map(key => [key, found.get(key) ?? leftOut]))
  const about = {
    file: file?.path ?? null,
    unknownVariables: findUnknownVariables(definition, sources.environment),
  }
  if (faults.length > 0) return { config: null, settings, faults, ...about }

  const values = Object.fromEntries([...settings].map(([key, { value }]) => [key, value])) as ValuesOf<S>
  const checked = definition.check({
    values,
    nameOf: key => settings.get(key)!.origin.name,
    isGiven: key => settings.get(key)!.origin.kind !== 'default',
  })
  return { config: checked.length > 0 ? null : { values, settings, ...about }, settings, faults: checked, ...about }
}

const leftOut: ReadSetting = { value: null, given: null, origin: { kind: 'default', name: 'default' } }

/** Which file is asked for is told by a flag or a variable alone; the usual one need not be there. */
async function findFile(
  { program, file }: ConfigOutline,
  { flags, environment, folder }: Sources,
  faults: string[],
): Promise<ConfigFile | null> {
  const variable = variableOf(program, configKey)
  const asked = flags.get(configKey) ?? (environment[variable] || undefined)
  if (asked === 'none') return null
  const reading = await readConfigFile(asked === undefined ? file : resolve(folder, asked))
  if (reading.kind === 'read') return reading.file
  if (reading.kind === 'faulty') faults.push(...reading.faults)
  else if (asked !== undefined) {
    const name = flags.has(configKey) ? flagOf(configKey) : variable
    faults.push(`${name} is ${quoteValue(asked)}, expected a file that is there, or none`)
  }
  return null
}

function flagSource(definition: ConfigOutline, { flags, folder }: Sources): Source {
  return textSource(
    definition,
    'flag',
    key => flagOf(key),
    key => flags.get(key),
    folder,
  )
}

function environmentSource(definition: ConfigOutline, { environment, folder }: Sources): Source {
  const nameOf = (key: string) => variableOf(definition.program, key)
  return textSource(definition, 'environment', nameOf, key => environment[nameOf(key)] || undefined, folder)
}

function textSource(
  { settings }: ConfigOutline,
  kind: Origin['kind'],
  nameOfKey: (key: string) => string,
  textOf: (key: string) => string | undefined,
  folder: string,
): Source {
  const values = Object.entries(settings).flatMap(([key, { schema }]) => {
    const text = textOf(key)
    return text === undefined ? [] : [[key, valueOfText(schema, text)] as const]
  })
  return { kind, values: Object.fromEntries(values), folder, nameOf: key => nameOfKey(key) }
}

function fileSource({ path, values, lineOf }: ConfigFile): Source {
  const nameOf = (key: string, item = key) => {
    const line = lineOf(item) ?? lineOf(key)
    return `${path}${line === null ? '' : `:${line}`} ${/^[\w-]+$/.test(key) ? key : quoteValue(key)}`
  }
  return { kind: 'file', values, folder: resolve(path, '..'), nameOf }
}

function defaultSource({ settings }: ConfigOutline): Source {
  const values = Object.entries(settings).flatMap(([key, { schema }]) =>
    schema.default === undefined ? [] : [[key, schema.default] as const],
  )
  return { kind: 'default', values: Object.fromEntries(values), folder: '/', nameOf: () => 'default' }
}

function keyOf(path: string): string {
  return path.replace(/[.[].*$/s, '')
}

/** The whole of a source; each setting may be left out. */
function shapeOf(settings: Settings): Schema {
  const properties = Object.fromEntries(Object.entries(settings).map(([key, { schema }]) => [key, schema]))
  return { type: 'object', properties, additionalProperties: false }
}

function faultOf(settings: Settings, source: Source, problem: Problem): string {
  const { code, path, expected, value } = problem
  if (code === 'unknown-field') {
    const nearest = nearestWord(String(value), Object.keys(settings))
    return `${source.nameOf(String(value))} is no setting${nearest === null ? ': docs/configuration.md has them' : `; is "${nearest}" meant?`}`
  }
  const name = source.nameOf(keyOf(path), path)
  const verb = path === keyOf(path) ? 'is' : 'holds'
  return `${name} ${verb} ${shownValue(settings[keyOf(path)]?.secret === 'url', source, problem)}, expected ${expected}`
}

function shownValue(isSecret: boolean, { kind }: Source, { code, value }: Problem): string {
  if (value === null) return 'empty'
  if (isSecret) return 'not sound'
  // In the file 60 and "60" differ.
  if (kind !== 'file' || code !== 'wrong-type') return quoteValue(value)
  if (typeof value === 'string') return `the text ${quoteValue(value)}`
  return typeof value === 'number' ? `the number ${value}` : quoteValue(value)
}

function findUnknownVariables(
  { program, settings }: ConfigOutline,
  environment: Sources['environment'],
): readonly UnknownVariable[] {
  const prefix = variableOf(program, '')
  const known = [configKey, ...Object.keys(settings)].map(key => variableOf(program, key).slice(prefix.length))
  return Object.keys(environment)
    .filter(name => name.startsWith(prefix) && !known.includes(name.slice(prefix.length)))
    .sort()
    .map(name => {
      const nearest = nearestWord(name.slice(prefix.length), known)
      return { name, meant: nearest === null ? null : `${prefix}${nearest}` }
    })
}
