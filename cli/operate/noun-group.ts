/** Nouns under one name: `ringwall ram user create`. */
import { insteadOf } from '../arguments.ts'
import { type Command, UsageError } from '../command.ts'
import type { NounCommand } from './noun-command.ts'

export interface NounGroup extends Command {
  /** Their names begin with that of the group: `ram user`. */
  readonly nouns: readonly NounCommand[]
  helpFor(args: readonly string[]): string
}

export interface GroupText {
  readonly name: string
  readonly summary: string
  /** In the help, behind the list. */
  readonly details: string
  readonly nouns: readonly NounCommand[]
}

export function nounGroup({ name, summary, details, nouns }: GroupText): NounGroup {
  const wordOf = (noun: NounCommand) => noun.name.slice(name.length + 1)
  const find = (word: string | undefined) => nouns.find(noun => wordOf(noun) === word)
  const words = nouns.map(wordOf)
  const usage = helpOf({ name, summary, details, nouns }, wordOf)
  return {
    name,
    summary,
    usage,
    nouns,
    helpFor(args) {
      const at = args.findIndex(arg => !arg.startsWith('-'))
      return find(args[at])?.helpFor(args.slice(at + 1)) ?? usage
    },
    async run([word, ...args], io) {
      const noun = find(word)
      if (noun === undefined) throw new UsageError(faultOf(word, words))
      try {
        return await noun.run(args, io)
      } catch (error) {
        if (error instanceof UsageError && error.place === undefined) throw new UsageError(error.message, noun.name)
        throw error
      }
    },
  }
}

function faultOf(word: string | undefined, words: readonly string[]): string {
  if (word === undefined) return `missing NOUN, expected ${words.join(', ')}`
  if (word.startsWith('-')) return `"${word}" before the noun; flags go behind noun and verb`
  return `unknown noun "${word}"; ${insteadOf(word, words)}`
}

function helpOf({ name, details, nouns }: GroupText, wordOf: (noun: NounCommand) => string): string {
  const rows = nouns.map(noun => {
    const verbs = noun.noun.verbs.map(verb => verb.name).filter(Boolean)
    return [wordOf(noun), verbs.length === 0 ? noun.summary : `${noun.summary}: ${verbs.join(', ')}`] as const
  })
  const column = Math.max(...rows.map(([word]) => word.length))
  return [
    `usage: ringwall ${name} NOUN VERB [ARGUMENTS]`,
    '',
    ...rows.map(([word, text]) => `  ${word.padEnd(column)}  ${text}`),
    '',
    details,
    '',
    `"ringwall ${name} NOUN --help" says more about one, "ringwall ${name} NOUN VERB --help" about what it does.`,
    '',
  ].join('\n')
}
