/** What can stand where the cursor is: by the definitions of the commands, and by asking the daemon for ids and names. */
import { Client } from '../client/client.ts'
import { Connection } from '../client/connection.ts'
import { contextsPath, readContexts } from '../client/contexts.ts'
import { findTarget, type TargetFlags } from '../client/target.ts'
import { listedCommands } from '../command-list.ts'
import { flagsOf } from './parse.ts'
import { type ResourceKind, resources, type Shown } from './resources.ts'
import type { Flag, Noun, Verb, Word } from './verb.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** A shell waits for it at a key press. */
const timeoutMs = 500
/** More than anybody reads; whoever has more types a few letters of an id. */
const mostNames = 500

/**
 * @param words  after `ringwall`, the last one being typed and perhaps empty
 * @returns what begins with it
 */
export async function candidatesFor(words: readonly string[], env: Environment): Promise<readonly string[]> {
  const typed = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const all = await continuations(before, typed, env)
  return [...new Set(all)].filter(candidate => candidate.startsWith(typed))
}

async function continuations(before: readonly string[], typed: string, env: Environment): Promise<readonly string[]> {
  const [name, ...rest] = before
  if (name === undefined) return ['help', ...listedCommands.keys()]
  if (name === 'help') return rest.length === 0 ? [...listedCommands.keys()] : []
  if (name === 'completion') return rest.length === 0 ? ['bash', 'zsh', 'fish'] : []
  const noun = await nounOf(name)
  if (noun !== null) return ofNoun(noun, rest, typed, env)
  const [inner, ...after] = rest
  const nouns = await nounsOf(name)
  if (inner === undefined) return nouns.map(each => each.name.slice(name.length + 1))
  const chosen = nouns.find(each => each.name === `${name} ${inner}`)
  return chosen === undefined ? [] : ofNoun(chosen, after, typed, env)
}

async function nounOf(name: string): Promise<Noun | null> {
  if (name === 'agent') return (await import('../commands/operate-agents.ts')).agentNoun.noun
  const command = await listedCommands.get(name)?.load()
  const { noun = null } = (command?.command ?? {}) as { readonly noun?: Noun }
  return noun
}

/** Of a command that is several nouns under one name. */
async function nounsOf(name: string): Promise<readonly Noun[]> {
  const command = await listedCommands.get(name)?.load()
  const { nouns = [] } = (command?.command ?? {}) as { readonly nouns?: readonly { readonly noun: Noun }[] }
  return nouns.map(({ noun }) => noun)
}

async function ofNoun(
  noun: Noun,
  rest: readonly string[],
  typed: string,
  env: Environment,
): Promise<readonly string[]> {
  const [only] = noun.verbs
  if (only?.name === '') return ofVerb(only, rest, typed, env)
  const [name, ...words] = rest
  if (name === undefined)
    return [...noun.verbs.map(verb => verb.name), ...(noun.name === 'agent' ? ['check', 'join', 'leave', 'run'] : [])]
  const verb = noun.verbs.find(each => each.name === name)
  return verb === undefined ? [] : ofVerb(verb, words, typed, env)
}

async function ofVerb(
  verb: Verb,
  before: readonly string[],
  typed: string,
  env: Environment,
): Promise<readonly string[]> {
  const flags = flagsOf(verb)
  const last = before.at(-1) ?? ''
  const open = last.startsWith('--') ? flags[last.slice(2)] : undefined
  if (open !== undefined && open.takes !== 'nothing' && open.takes !== 'optional-number')
    return ofFlag(open, before, env)
  if (typed.startsWith('-')) return [...Object.keys(flags), 'help'].map(name => `--${name}`)
  const place = positionalsIn(before, flags).length
  const word = verb.words[place] ?? (verb.words.at(-1)?.isMany === true ? verb.words.at(-1) : undefined)
  return word === undefined ? [] : ofWord(word, before, env)
}

function positionalsIn(before: readonly string[], flags: Readonly<Record<string, Flag>>): readonly string[] {
  return before.filter((word, index) => {
    if (word.startsWith('--')) return false
    const previous = before[index - 1] ?? ''
    const flag = previous.startsWith('--') ? flags[previous.slice(2)] : undefined
    if (flag?.takes === 'optional-number') return !/^\d+$/.test(word)
    return flag === undefined || flag.takes === 'nothing'
  })
}

async function ofFlag(flag: Flag, before: readonly string[], env: Environment): Promise<readonly string[]> {
  if (flag.takes === 'choice') return flag.choices
  return flag.names === undefined ? [] : namesOf(flag.names, before, env)
}

async function ofWord(word: Word, before: readonly string[], env: Environment): Promise<readonly string[]> {
  return word.choices ?? (word.names === undefined ? [] : namesOf(word.names, before, env))
}

/** Ids and names; those with a space or a quote are left out, for a shell would take them apart. */
async function namesOf(kind: ResourceKind, before: readonly string[], env: Environment): Promise<readonly string[]> {
  if (kind === 'context') return [...(await readContexts(contextsPath(env))).byName.keys()]
  const { path, idField, nameField } = resources[kind]
  const connection = new Connection(await findTarget(targetFlagsIn(before), env))
  const timer = setTimeout(() => connection.close(), timeoutMs)
  try {
    const { items } = await new Client(connection, { retries: 0, timeoutMs }).list<Shown>(path, {}, mostNames)
    const names = items.flatMap(item => [item[idField], nameField === null ? null : item[nameField]])
    return names.filter(each => typeof each === 'string').filter(each => /^[\w.@:-]+$/.test(each))
  } finally {
    clearTimeout(timer)
    connection.close()
  }
}

function targetFlagsIn(before: readonly string[]): TargetFlags {
  const flagValue = (flag: string) => {
    const index = before.lastIndexOf(flag)
    return index === -1 ? undefined : before[index + 1]
  }
  return { context: flagValue('--context'), url: flagValue('--url'), token: flagValue('--token') }
}
