/** The configuration of a service: at its start, and at SIGHUP. */
import { isDeepStrictEqual } from 'node:util'
import { type Config, type Origin, type Reading, type ReadSetting, readConfig } from '../common/config/read.ts'
import { type ConfigDefinition, type ConfigOutline, configKey, type Settings } from '../common/config/setting.ts'
import { shownText } from '../common/config/text.ts'
import type { Logger, LogLevel } from '../common/log.ts'
import { parseSettingFlags } from './arguments.ts'
import { InputError } from './command.ts'

/** All of it, with every fault of every source. */
export async function readServiceConfig<S extends Settings>(
  definition: ConfigDefinition<S>,
  args: readonly string[],
): Promise<Reading<S>> {
  const { texts, faults } = parseSettingFlags(args, [configKey, ...Object.keys(definition.settings)])
  const sources = { flags: texts, environment: process.env, folder: process.cwd() }
  const reading = await readConfig(definition, sources)
  if (faults.length === 0) return reading
  return { ...reading, config: null, faults: [...faults, ...reading.faults] }
}

/** @throws {InputError} where anything is wrong, with all that is */
export async function loadServiceConfig<S extends Settings>(
  definition: ConfigDefinition<S>,
  args: readonly string[],
): Promise<Config<S>> {
  const { config, faults } = await readServiceConfig(definition, args)
  if (config === null) throw faultsOf(definition, faults)
  return config
}

/** Faults as lines for standard error, with what to do next. */
export function faultsOf({ program }: ConfigOutline, faults: readonly string[]): InputError {
  return new InputError([
    ...faults,
    `"ringwall ${program} --help" has all settings, "ringwall ${program} check" what holds.`,
  ])
}

/** Says what was read, and what differs from the defaults and why. */
export function logConfig(log: Logger, outline: ConfigOutline, config: Config<Settings>): void {
  const given = [...config.settings].filter(([, { origin }]) => origin.kind !== 'default')
  const settings = Object.fromEntries(
    given.map(([key, each]) => [key, `${shownSetting(outline, key, each)} (${sourceOf(each.origin)})`]),
  )
  log.info({ file: config.file, settings }, 'the configuration is read')
  for (const variable of config.unknownVariables) log.warn(variable, 'a variable of the environment is no setting')
}

export function shownSetting(
  { settings }: Pick<ConfigOutline, 'settings'>,
  key: string,
  { given, value }: ReadSetting,
): string {
  return shownText(settings[key]!, given, value)
}

/** Of a setting in a file, the file and the line alone: the key is known. */
export function sourceOf({ kind, name }: Origin): string {
  return kind === 'file' ? name.slice(0, name.lastIndexOf(' ')) : name
}

export interface Reload<S extends Settings> {
  readonly log: Logger
  readonly definition: ConfigDefinition<S>
  readonly args: readonly string[]
  /** As it was at the start. */
  readonly running: Config<S>
}

/** Takes up what may change at run time, and says what may not. Faults change nothing. */
export async function reloadConfig<S extends Settings>({ log, definition, args, running }: Reload<S>): Promise<void> {
  const { config, faults } = await readServiceConfig(definition, args)
  if (config === null) {
    log.error({ faults }, 'the configuration has faults; what was read before holds')
    return
  }
  const stale = [...config.settings].flatMap(([key, each]) => {
    const isSame = definition.settings[key]!.reloads || isDeepStrictEqual(each.value, running.settings.get(key)?.value)
    return isSame ? [] : [[key, `${shownSetting(definition, key, each)} (${sourceOf(each.origin)})`] as const]
  })
  // Before the level changes, so that it is seen as the operator who asked sees the rest.
  if (stale.length > 0) log.warn({ settings: Object.fromEntries(stale) }, 'these settings need a restart')
  log.level = (config.values as unknown as { readonly logLevel: LogLevel }).logLevel
}
