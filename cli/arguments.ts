/** Reading a command's arguments; whatever is wrong with them names the flag. */
import { isIP } from 'node:net'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { UsageError } from './command.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/**
 * Flags and the other words of a command line.
 * @throws {UsageError} for an unknown flag, a flag without its value or with one it does not take
 */
export function parseArguments<const T extends Options>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's messages name the flag in their first sentence and go on with advice on "--" that fits no command here.
    throw new UsageError((error as Error).message.split(/\.\s/)[0])
  }
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

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/**
 * @param orElse  what else the flag takes, for the message
 * @throws {UsageError} if the value is not ADDRESS:PORT, an IPv6 address in brackets
 */
export function addressFlag(flag: string, value: string, orElse = ''): Endpoint {
  const [, address, port] = /^\[?([^[\]]+)\]?:(\d+)$/.exec(value) ?? []
  if (address === undefined || port === undefined || isIP(address) === 0) {
    throw new UsageError(`--${flag} is "${value}", expected ADDRESS:PORT such as 127.0.0.1:9469${orElse}`)
  }
  return { address, port: numberFlag(flag, port, [0, 65_535]) }
}
