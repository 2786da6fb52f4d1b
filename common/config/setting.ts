/**
 * What a setting of a service is, said once: the file, the environment and the flags are read by it, and usage texts,
 * docs/configuration.md, the JSON Schemas for editors and the example files are written from it.
 */
import Type from 'typebox'
import type { FormatName } from './formats.ts'

export interface Setting<T> {
  /** Type, bounds, what it means, and its default as it would stand in the file; it has none where there is none. */
  readonly schema: SettingSchema
  /** What stands for the value in usage texts: `ADDRESS:PORT`. */
  readonly argument: string
  /** What holds where it is left out, the end of a sentence: `posts are not signed`. Null: its default, as it stands. */
  readonly leftOut: string | null
  /** A value as it stands in the file, for the example file where there is no default. */
  readonly example: unknown
  /**
   * Secrets are never values, only files that are named. `url`: its path may be known to few (a webhook), so no more of
   * it than its host is ever shown.
   */
  readonly secret: 'none' | 'names-file' | 'url'
  /** Whether a new value is taken up by SIGHUP; the others need a restart. */
  readonly reloads: boolean
  /** Of types alone: what the setting's text becomes. */
  readonly value?: T
}

/** The part of JSON Schema that settings use. */
export interface SettingSchema {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly enum?: readonly string[]
  readonly items?: SettingSchema
  readonly minimum?: number
  readonly maximum?: number
  readonly description: string
  readonly default?: unknown
}

export type Settings = Readonly<Record<string, Setting<unknown>>>

export type ValuesOf<S extends Settings> = { readonly [Key in keyof S]: S[Key] extends Setting<infer T> ? T : never }

/** What settings a program has, and where they stand. */
export interface ConfigOutline {
  /** As typed after `ringwall`, and in the names of variables. */
  readonly program: string
  /** Read where it exists. */
  readonly file: string
  readonly settings: Settings
}

export interface ConfigDefinition<S extends Settings> extends ConfigOutline {
  readonly settings: S
  /** What settings say of each other: the faults, each a whole line. Only asked where each is sound by itself. */
  readonly check: (config: CheckedConfig<S>) => readonly string[]
}

/** What a check sees. */
export interface CheckedConfig<S extends Settings> {
  readonly values: ValuesOf<S>
  /** What a message calls a setting that was given: its flag, its variable, or its key after file and line. */
  readonly nameOf: (key: keyof S & string) => string
  readonly isGiven: (key: keyof S & string) => boolean
}

interface About {
  readonly argument: string
  readonly secret?: Setting<unknown>['secret']
  readonly reloads?: boolean
  readonly leftOut?: string
}

interface WithoutDefault extends About {
  readonly leftOut: string
  readonly example: unknown
}

/** A setting that has a default. */
export function setting<const S extends Type.TSchema>(schema: S, about: About): Setting<Type.Static<S>> {
  return made(schema, about)
}

/** A setting without a default: null where it is left out. */
export function optionalSetting<const S extends Type.TSchema>(
  schema: S,
  about: WithoutDefault,
): Setting<Type.Static<S> | null> {
  return made(schema, about)
}

function made<T>(schema: Type.TSchema, about: About & Partial<WithoutDefault>): Setting<T> {
  const { argument, leftOut = null, example = null, secret = 'none', reloads = false } = about
  return { schema: schema as unknown as SettingSchema, argument, leftOut, example, secret, reloads }
}

/** A text with an entry in formats.ts; `T` is what it becomes. */
export function formatted<T = string>(format: FormatName, options: { description: string; default?: string }) {
  return Type.Unsafe<T>(Type.String({ ...options, format }))
}

/** `metricsAddress` is `--metrics-address`. */
export function flagOf(key: string): string {
  return `--${wordsOf(key).join('-')}`
}

/** `metricsAddress` of the agent is `RINGWALL_AGENT_METRICS_ADDRESS`. */
export function variableOf(program: string, key: string): string {
  return `RINGWALL_${[program, ...wordsOf(key)].join('_').toUpperCase()}`
}

function wordsOf(key: string): readonly string[] {
  return key.split(/(?=[A-Z])/).map(word => word.toLowerCase())
}

/** Names the file; it is no setting of the file itself. */
export const configKey = 'config'
