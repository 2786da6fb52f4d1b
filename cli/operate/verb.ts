/**
 * Commands that speak to the daemon, as data: `ringwall NOUN VERB WORDS… --flags`. Arguments are read, help is written
 * and shells complete by these definitions alone; a verb's own code is what it asks of the daemon and how it tells.
 */
import type { Io } from '../command.ts'
import type { Daemon } from './daemon.ts'
import type { ResourceKind } from './resources.ts'

export interface Noun {
  /** As typed after `ringwall`. */
  readonly name: string
  readonly summary: string
  /** In the help after the list of verbs. */
  readonly details?: string
  /** In the order of the help text. One verb without name: the noun is the whole command. */
  readonly verbs: readonly Verb[]
}

/** What the daemon can be asked for: `rule` is one of the group that is the first word. */
export type Asked = ResourceKind | 'rule' | 'service'

export interface Word {
  /** In capitals: `GROUP`. */
  readonly name: string
  readonly help: string
  /** What it names, for completion. */
  readonly names?: Asked | readonly Asked[]
  /** What else it may be, for completion: not all there is. */
  readonly also?: readonly string[]
  /** Whether several may stand in it, with commas between. */
  readonly hasCommas?: boolean
  readonly choices?: readonly string[]
  readonly isOptional?: boolean
  /** One or more, up to the end; the last word alone can be. */
  readonly isMany?: boolean
}

export type Flag = {
  readonly help: string
  readonly names?: ResourceKind
} & (
  | { readonly takes: 'nothing' }
  | { readonly takes: 'text'; readonly value: string }
  /** May be repeated, and each may hold several separated by commas. */
  | { readonly takes: 'list'; readonly value: string }
  | { readonly takes: 'choice'; readonly choices: readonly string[] }
  | { readonly takes: 'number'; readonly value: string; readonly range: readonly [number, number] }
  /** `90s`, `15m`, `2h`, `7d`: becomes seconds. @param range  in seconds */
  | { readonly takes: 'duration'; readonly value: string; readonly range?: readonly [number, number] }
  /** So long ago, or a time in ISO 8601: becomes one. */
  | { readonly takes: 'moment'; readonly value: string }
  /** May stand alone. */
  | {
      readonly takes: 'optional-number'
      readonly value: string
      readonly range: readonly [number, number]
      readonly alone: number
    }
)

export type Flags = Readonly<Record<string, Flag>>

type FlagValue<F extends Flag> = F extends { takes: 'nothing' }
  ? boolean
  : F extends { takes: 'list' }
    ? readonly string[] | undefined
    : F extends { takes: 'number' | 'duration' | 'optional-number' }
      ? number | undefined
      : F extends { takes: 'choice'; choices: readonly (infer Choice)[] }
        ? Choice | undefined
        : string | undefined

export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: FlagValue<F[Name]> }

/**
 * - `looks`: reads only, or writes in a way of its own
 * - `makes`: writes; can be tried without storing, and waited for
 * - `changes`: the same to one object, whose revision can be demanded
 * - `deletes`: the same, and asks on a terminal
 * - `local`: needs no daemon
 */
export type Effect = 'looks' | 'makes' | 'changes' | 'deletes' | 'local'

export interface Verb<F extends Flags = Flags> {
  readonly name: string
  readonly summary: string
  readonly effect: Effect
  readonly words: readonly Word[]
  readonly flags: F
  /** In the help after the flags. */
  readonly details?: string
  readonly examples?: readonly string[]
  readonly run: Run<Call<F>>
  /** Where --local is given: asks the agent of this host, and no daemon. Without it there is no such flag. */
  readonly runLocally?: Run<LocalCall<F>>
}

/** Null where everything was told already. */
type Run<C> = (call: C) => Promise<Result | null>

export interface Call<F extends Flags = Flags> {
  /** In the order of the verb's words; optional ones at the end may be missing. */
  readonly words: readonly string[]
  readonly flags: FlagValues<F>
  readonly daemon: Daemon
  readonly io: Io
  readonly env: Readonly<Record<string, string | undefined>>
  /** Before something is taken away: asks on a terminal, unless --yes or --dry-run was given. @throws {NotConfirmed} */
  readonly confirm: (question: string) => Promise<void>
}

export interface Result {
  /** What --json prints. */
  readonly answer: unknown
  /** What people read; lines without newline. @param width  columns there are */
  readonly text: (width: number) => readonly string[]
  /** 0 where left out. */
  readonly exitCode?: number
}

/** A verb whose code sees its flags with their types. */
export function verb<const F extends Flags>(definition: Verb<F>): Verb {
  return definition as unknown as Verb
}

/** A verb that needs no daemon, and gets none: the contexts may be what is wrong. */
export function localVerb<const F extends Flags>(
  definition: Omit<Verb<F>, 'effect' | 'run' | 'runLocally'> & { readonly run: Run<LocalCall<F>> },
): Verb {
  return { ...definition, effect: 'local' } as unknown as Verb
}

export type LocalCall<F extends Flags = Flags> = Omit<Call<F>, 'daemon'>

/** Nothing was done, because nobody said yes. */
export class NotConfirmed extends Error {}
