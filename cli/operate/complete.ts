/** What can stand where the cursor is: by the definitions of the commands, and by asking the daemon for ids and names. */
import type { Command } from '../command.ts'
import { listedCommands } from '../command-list.ts'
import { type Environment, namesOf, usualPatienceMs } from './complete-names.ts'
import { flagsOf } from './parse.ts'
import type { Asked, Flag, Flags, Noun, Verb, Word } from './verb.ts'

/** How the daemon is asked. */
interface Asking {
  readonly env: Environment
  /** How long it has for its answer. */
  readonly patienceMs: number
}

/** What was typed before the word that is being typed. */
interface Place extends Asking {
  readonly before: readonly string[]
}

/**
 * @param words  after `ringwall`, the last one being typed and perhaps empty; bash has `--flag=value` as three words
 * @returns what begins with it
 */
export async function candidatesFor(
  words: readonly string[],
  env: Environment,
  patienceMs = usualPatienceMs,
): Promise<readonly string[]> {
  const last = words.at(-1) ?? ''
  const before = words.slice(0, -1).filter(word => word !== '=')
  const [, flag = '', value = ''] = /^(--[\w-]+)=(.*)$/.exec(last) ?? []
  if (flag !== '') return candidates(value, flag.length + 1, last, { before: [...before, flag], env, patienceMs })
  return candidates(last === '=' ? '' : last, 0, last === '=' ? '' : last, { before, env, patienceMs })
}

/**
 * @param typed  what a candidate begins with
 * @param kept   how much of the word stands before that
 */
async function candidates(typed: string, kept: number, word: string, place: Place): Promise<readonly string[]> {
  const { all, separator } = await continuations(typed, place)
  // Of a list, what is behind the last comma.
  const list = separator === undefined ? '' : typed.slice(0, typed.lastIndexOf(separator) + 1)
  const fitting = all.filter(each => each.startsWith(typed.slice(list.length)))
  return [...new Set(fitting)].map(each => word.slice(0, kept) + list + each)
}

interface Continuations {
  readonly all: readonly string[]
  /** Where several may stand in one word. */
  readonly separator?: ','
}

const none: Continuations = { all: [] }

async function continuations(typed: string, { before, ...asking }: Place): Promise<Continuations> {
  const [name, ...rest] = before
  if (name === undefined) return { all: ['help', ...listedCommands.keys()] }
  if (name === 'help') return ofHelp(rest)
  if (name === 'completion') return rest.length === 0 ? { all: ['bash', 'zsh', 'fish'] } : none
  const command = await commandOf(name)
  if (command === null) return none
  const { noun, nouns, hostWords } = command
  if (noun !== null) return ofNoun(noun, rest, { typed, ...asking, hostWords, usage: command.usage })
  if (nouns.length === 0) return ofUsage(command.usage, name, rest, typed)
  const [inner, ...after] = rest
  if (inner === undefined) return { all: nouns.map(each => lastWord(each.name)) }
  const chosen = nouns.find(each => lastWord(each.name) === inner)
  return chosen === undefined ? none : ofNoun(chosen, after, { typed, ...asking })
}

/** `help sg create`: commands, nouns and verbs, and nothing behind them. */
async function ofHelp(words: readonly string[]): Promise<Continuations> {
  const [name, inner, further] = words
  if (name === undefined) return { all: [...listedCommands.keys()] }
  const command = await commandOf(name)
  if (command === null) return none
  const verbs = (noun: Noun | undefined) => (noun?.verbs ?? []).map(verb => verb.name).filter(Boolean)
  if (command.nouns.length === 0) return inner === undefined ? { all: verbs(command.noun ?? undefined) } : none
  if (inner === undefined) return { all: command.nouns.map(each => lastWord(each.name)) }
  return further === undefined ? { all: verbs(command.nouns.find(each => lastWord(each.name) === inner)) } : none
}

interface Known {
  readonly usage: string
  readonly noun: Noun | null
  /** Of a command that is several nouns under one name. */
  readonly nouns: readonly Noun[]
  /** Beside the verbs: what a host does itself. */
  readonly hostWords: readonly string[]
}

async function commandOf(name: string): Promise<Known | null> {
  const { command } = (await listedCommands.get(name)?.load()) ?? {}
  if (command === undefined) return null
  const { usage, noun = null, nouns = [] } = command as Command & Partial<{ noun: Noun; nouns: { noun: Noun }[] }>
  if (name !== 'agent') return { usage, noun, nouns: nouns.map(each => each.noun), hostWords: [] }
  const { agentNoun } = await import('../commands/operate-agents.ts')
  return { usage, noun: agentNoun.noun, nouns: [], hostWords: actionsIn(usage, name) }
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf(' ') + 1)
}

interface NounPlace extends Asking {
  readonly typed: string
  readonly hostWords?: readonly string[]
  readonly usage?: string
}

async function ofNoun(noun: Noun, rest: readonly string[], place: NounPlace): Promise<Continuations> {
  const { typed, hostWords = [], usage = '' } = place
  const [only] = noun.verbs
  if (only?.name === '') return ofVerb(only, rest, typed, place)
  const [name, ...words] = rest
  const verb = noun.verbs.find(each => each.name === name)
  if (verb !== undefined) return ofVerb(verb, words, typed, place)
  if (hostWords.length > 0 && (name !== undefined || typed.startsWith('-'))) {
    return name === undefined || name.startsWith('-') || hostWords.includes(name)
      ? ofUsage(usage, noun.name, rest, typed)
      : none
  }
  return name === undefined ? { all: [...new Set([...noun.verbs.map(each => each.name), ...hostWords])] } : none
}

async function ofVerb(
  verb: Verb,
  before: readonly string[],
  typed: string,
  { env, patienceMs }: Asking,
): Promise<Continuations> {
  const flags = flagsOf(verb)
  const last = before.at(-1) ?? ''
  const open = last.startsWith('--') ? flags[last.slice(2)] : undefined
  if (open !== undefined && open.takes !== 'nothing' && open.takes !== 'optional-number')
    return ofFlag(open, { before, env, patienceMs })
  if (typed.startsWith('-')) return { all: [...Object.keys(flags), 'help'].map(name => `--${name}`) }
  const words = positionalsIn(before, flags)
  const word = verb.words[words.length] ?? (verb.words.at(-1)?.isMany === true ? verb.words.at(-1) : undefined)
  return word === undefined ? none : ofWord(word, words, { before, env, patienceMs })
}

function positionalsIn(before: readonly string[], flags: Flags): readonly string[] {
  return before.filter((word, index) => {
    if (word.startsWith('--')) return false
    const previous = before[index - 1] ?? ''
    const flag = previous.startsWith('--') ? flags[previous.slice(2)] : undefined
    if (flag?.takes === 'optional-number') return !/^\d+$/.test(word)
    return flag === undefined || flag.takes === 'nothing'
  })
}

async function ofFlag(flag: Flag, place: Place): Promise<Continuations> {
  if (flag.takes === 'choice') return { all: flag.choices }
  const all = flag.names === undefined ? [] : await namesOf([flag.names], [], place)
  return flag.takes === 'list' ? { all, separator: ',' } : { all }
}

async function ofWord(word: Word, words: readonly string[], place: Place): Promise<Continuations> {
  const { choices, names, also = [], hasCommas = false } = word
  if (choices !== undefined) return { all: choices }
  const asked: readonly Asked[] = names === undefined ? [] : typeof names === 'string' ? [names] : names
  // What is known without the daemon is there without it too.
  const named = namesOf(asked, words, place)
  const all = [...also, ...(asked.length === 0 ? [] : await (also.length > 0 ? named.catch(() => []) : named))]
  return hasCommas ? { all, separator: ',' } : { all }
}

/** Of a command that has no definition but its help text: actions, flags, and their values where they are listed. */
function ofUsage(usage: string, name: string, before: readonly string[], typed: string): Continuations {
  const last = before.at(-1) ?? ''
  const choices = new RegExp(`${last} ([a-z]+(?:\\|[a-z]+)+)`).exec(usage)?.[1]
  if (last.startsWith('--') && choices !== undefined) return { all: choices.split('|') }
  if (typed.startsWith('-')) return { all: [...new Set([...flagsIn(usage), '--help'])] }
  return before.length === 0 ? { all: actionsIn(usage, name) } : none
}

/** Those of its synopsis, and those that begin a line. */
function flagsIn(usage: string): string[] {
  const [synopsis = '', ...rest] = usage.split('\n\n')
  return [
    ...[...synopsis.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag),
    ...[...rest.join('\n').matchAll(/^ +(--[a-z][a-z-]*)/gm)].map(([, flag = '']) => flag),
  ]
}

/** `status` of `ringwall lab status`. */
function actionsIn(usage: string, name: string): string[] {
  const [synopsis = ''] = usage.split('\n\n')
  return [...synopsis.matchAll(new RegExp(`ringwall ${name} \\[?([a-z]+)\\b(?!\\|)`, 'g'))].map(
    ([, action = '']) => action,
  )
}
