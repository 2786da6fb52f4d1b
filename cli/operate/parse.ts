/** A verb's words and flags from the command line. */
import type { ParseArgsConfig } from 'node:util'
import { choiceFlag, numberFlag, parseArguments } from '../arguments.ts'
import { UsageError } from '../command.ts'
import { commonFlags, localFlag } from './flags.ts'
import type { Flag, Flags, Verb, Word } from './verb.ts'

export interface Parsed {
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
}

export function flagsOf(verb: Verb): Flags {
  return { ...ownFlags(verb), ...commonFlags[verb.effect] }
}

/** Those that not every verb of its effect has. */
export function ownFlags({ flags, runLocally }: Verb): Flags {
  return runLocally === undefined ? flags : { ...flags, ...localFlag }
}

/** @throws {UsageError} that names the flag or the word */
export function parseVerb(verb: Verb, args: readonly string[]): Parsed {
  const known = flagsOf(verb)
  const { values, positionals } = parseArguments(withLoneValues(args, known), optionsOf(known))
  checkWords(verb.words, positionals)
  const given = values as Readonly<Record<string, string | boolean | readonly string[] | undefined>>
  return {
    words: positionals,
    flags: Object.fromEntries(Object.entries(known).map(([name, flag]) => [name, readFlag(name, flag, given[name])])),
  }
}

function optionsOf(flags: Flags): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, { takes }]) => [
      name,
      takes === 'nothing' ? { type: 'boolean' } : { type: 'string', multiple: takes === 'list' },
    ]),
  )
}

/**
 * What node's reading does not know: a flag that may stand alone (`--wait`, `--wait 30`; whatever is no short number is
 * another word), and a choice that begins with a dash (`--sort -priority`).
 */
function withLoneValues(args: readonly string[], flags: Flags): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const joined: string[] = []
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index]!
    const flag = index < end && arg.startsWith('--') ? flags[arg.slice(2)] : undefined
    const next = args[index + 1] ?? ''
    const isValue =
      (flag?.takes === 'choice' && flag.choices.includes(next)) ||
      (flag?.takes === 'optional-number' && /^\d{1,4}$/.test(next))
    if (isValue) {
      joined.push(`${arg}=${next}`)
      index += 1
    } else {
      joined.push(flag?.takes === 'optional-number' ? `${arg}=${flag.alone}` : arg)
    }
  }
  return joined
}

/** @throws {UsageError} for a word too few or too many */
function checkWords(words: readonly Word[], given: readonly string[]): void {
  const missing = words[given.length]
  if (missing !== undefined && missing.isOptional !== true)
    throw new UsageError(`missing ${missing.name}, ${missing.help}`)
  for (const [index, text] of given.entries()) {
    const word = words[index] ?? (words.at(-1)?.isMany === true ? words.at(-1) : undefined)
    if (word === undefined) throw new UsageError(`unexpected argument "${text}"`)
    if (text === '') throw new UsageError(`${word.name} is empty, expected ${word.help}`)
    if (word.choices !== undefined && !word.choices.includes(text)) {
      throw new UsageError(`${word.name} is "${text}", expected ${word.choices.join(', ')}`)
    }
  }
}

function readFlag(name: string, flag: Flag, given: string | boolean | readonly string[] | undefined): unknown {
  if (flag.takes === 'nothing') return given === true
  if (given === undefined) return undefined
  if (flag.takes === 'list') {
    return (given as readonly string[])
      .flatMap(text => text.split(',').map(each => each.trim()))
      .filter(each => each !== '')
  }
  const text = given as string
  switch (flag.takes) {
    case 'text':
      return text
    case 'choice':
      return choiceFlag(name, text, flag.choices)
    case 'number':
    case 'optional-number':
      return numberFlag(name, text, flag.range)
    case 'duration':
      return readDuration(name, text, flag.range)
    case 'moment':
      return readMoment(name, text)
    default:
      return flag satisfies never
  }
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @throws {UsageError} */
function readDuration(
  name: string,
  text: string,
  range: readonly [number, number] = [1, Number.POSITIVE_INFINITY],
): number {
  const [, number, unit = ''] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? []
  if (number === undefined)
    throw new UsageError(`--${name} is "${text}", expected a duration such as 90s, 15m, 2h or 7d`)
  const seconds = Number(number) * unitSeconds[unit]!
  const [least, most] = range
  if (seconds < least) throw new UsageError(`--${name} is "${text}", expected ${typedDuration(least)} or more`)
  if (seconds > most) throw new UsageError(`--${name} is "${text}", expected ${typedDuration(most)} or less`)
  return seconds
}

/** As it is typed: `12h`. */
function typedDuration(seconds: number): string {
  const [unit, size] = Object.entries(unitSeconds).findLast(([, each]) => seconds % each === 0)!
  return `${seconds / size}${unit}`
}

/** A moment in ISO 8601, from one or from how long ago it was. @throws {UsageError} */
function readMoment(name: string, text: string): string {
  if (/^\d+[smhd]$/.test(text)) return new Date(Date.now() - readDuration(name, text) * 1000).toISOString()
  // A day alone would be one of UTC, and times are shown as they are here.
  const local = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(local) : Number.NaN
  if (Number.isNaN(time))
    throw new UsageError(`--${name} is "${text}", expected 15m, 2h, 7d or a time such as 2026-11-26T20:40Z`)
  return new Date(time).toISOString()
}
