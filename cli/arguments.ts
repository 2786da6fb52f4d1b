/** Reading a command's arguments; whatever is wrong with them names the flag. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { flagOf } from '../common/config/setting.ts'
import { nearestWord } from '../rules-compiler/validate/nearest-word.ts'
import { UsageError } from './command.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/**
 * Flags and the other words of a command line.
 * @throws {UsageError} for an unknown flag, a flag without its value or with one it does not take
 */
export function parseArguments<const T extends Options>(args: readonly string[], options: T) {
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true })
  for (const token of tokens) if (token.kind === 'option') checkFlag(token, options)
  return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
}

interface FlagToken {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

/** Node refuses the same, in words that do not say what to write instead. */
function checkFlag({ name, rawName, value, inlineValue }: FlagToken, options: Options): void {
  const known = rawName.startsWith('--') && Object.hasOwn(options, name) ? options[name] : undefined
  if (known === undefined) {
    const flags = Object.keys(options).map(each => `--${each}`)
    throw new UsageError(unknownFlag(rawName, flags))
  }
  if (known.type === 'boolean') {
    if (inlineValue) throw new UsageError(`${rawName} takes no value`)
  } else if (value === undefined) {
    throw new UsageError(`${rawName} has no value`)
  } else if (!inlineValue && value.startsWith('-') && value !== '-') {
    throw new UsageError(`${rawName} has no value; one that begins with "-" is written ${rawName}=${value}`)
  }
}

/** What to say instead of a word that is none of those there are. */
export function insteadOf(word: string, known: readonly string[], otherwise = `expected ${known.join(', ')}`): string {
  const nearest = nearestWord(word, known)
  return nearest === null ? otherwise : `did you mean "${nearest}"?`
}

export interface SettingFlags {
  /** By key; of a flag that is given twice, the last. */
  readonly texts: ReadonlyMap<string, string>
  readonly faults: readonly string[]
}

/**
 * Flags of settings, each with a value, and nothing else.
 * @param keys  `metricsAddress` for `--metrics-address`
 */
export function parseSettingFlags(args: readonly string[], keys: readonly string[]): SettingFlags {
  const keyOf = new Map(keys.map(key => [flagOf(key), key]))
  const options = Object.fromEntries(keys.map(key => [flagOf(key).slice(2), { type: 'string' } as const]))
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true })
  const texts = new Map<string, string>()
  const faults: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') faults.push(`unexpected argument "${token.value}"`)
    if (token.kind !== 'option') continue
    const { rawName, value, inlineValue } = token
    const key = keyOf.get(rawName)
    const isNext = inlineValue === false && value !== undefined && value.startsWith('-')
    if (key === undefined) faults.push(unknownFlag(rawName, [...keyOf.keys()]))
    else if (value === undefined || isNext) faults.push(`${rawName} has no value`)
    else texts.set(key, value)
  }
  return { texts, faults }
}

function unknownFlag(name: string, known: readonly string[]): string {
  const instead = insteadOf(name, known, '')
  return `unknown flag "${name}"${instead === '' ? '' : `; ${instead}`}`
}

/** @throws {UsageError} if there is any argument */
export function noArguments(args: readonly string[]): void {
  const [extra] = parseArguments(args, {}).positionals
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`)
}

/** @throws {UsageError} unless there is exactly one positional argument */
export function onlyFile(positionals: readonly string[]): string {
  const [file, extra] = positionals
  if (file === undefined) throw new UsageError('missing FILE, a policy file or "-" for standard input')
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`)
  return file
}

/** @throws {UsageError} if the flag was not given */
export function requireFlag(flag: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`missing --${flag}`)
  return value
}

/** @throws {UsageError} if the value is not one of the choices */
export function choiceFlag<const T extends string>(flag: string, value: string, choices: readonly T[]): T {
  const choice = choices.find(known => known === value)
  if (choice === undefined) throw new UsageError(`--${flag} is "${value}", expected ${choices.join(', ')}`)
  return choice
}

/** @throws {UsageError} if the value is not a whole number from `first` to `last` */
export function numberFlag(flag: string, value: string, [first, last]: readonly [number, number]): number {
  const number = /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN
  if (number >= first && number <= last) return number
  throw new UsageError(`--${flag} is "${value}", expected a number from ${first} to ${last}`)
}
