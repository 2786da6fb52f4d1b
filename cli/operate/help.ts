/** Help texts, made of the definitions. */
import { wrapText } from '../output/text-width.ts'
import { commonFlags } from './flags.ts'
import { ownFlags } from './parse.ts'
import type { Flag, Noun, Verb, Word } from './verb.ts'

const width = 100
const gap = '  '

/** Of a noun: its verbs. A noun that is one command shows that at once. */
export function nounHelp(noun: Noun): string {
  const [only] = noun.verbs
  if (only?.name === '') return verbHelp(noun, only)
  const rows = noun.verbs.map(verb => [callText(verb), verb.summary] as const)
  return [
    `usage: ringwall ${noun.name} VERB [ARGUMENTS]`,
    '',
    ...rowLines(rows),
    ...paragraph(noun.details),
    '',
    `"ringwall ${noun.name} VERB --help" says more about one.`,
    '',
  ].join('\n')
}

export function verbHelp(noun: Noun, verb: Verb): string {
  const own = Object.entries(ownFlags(verb))
  const common = Object.entries(commonFlags[verb.effect])
  const synopsis = [
    `usage: ringwall ${noun.name}`,
    callText(verb),
    own.length + common.length > 0 ? '[FLAGS]' : '',
  ].filter(Boolean)
  const summary = verb.summary === noun.summary ? sentence(noun.summary) : sentence(verb.summary)
  return [
    synopsis.join(' '),
    '',
    summary,
    ...section(
      '',
      verb.words.map(word => [wordText(word), wordHelp(word)]),
    ),
    ...section('', own.map(flagRow)),
    ...section('Common flags:', common.map(flagRow)),
    ...paragraph(verb.details),
    ...(verb.name === '' ? paragraph(noun.details) : []),
    ...(verb.examples === undefined ? [] : ['', 'Examples:', ...verb.examples.map(example => `${gap}${example}`)]),
    '',
  ].join('\n')
}

/** `rule add GROUP DIRECTION …` without the noun. */
function callText({ name, words }: Verb): string {
  return [name, ...words.map(wordText)].filter(Boolean).join(' ')
}

function wordText({ name, isOptional = false, isMany = false, choices }: Word): string {
  const text = `${choices === undefined ? name : choices.join('|')}${isMany ? '…' : ''}`
  return isOptional ? `[${text}]` : text
}

function wordHelp({ help }: Word): string {
  return help
}

function flagRow([name, flag]: readonly [string, Flag]): readonly [string, string] {
  return [`--${name}${valueText(flag)}`, flag.help]
}

function valueText(flag: Flag): string {
  switch (flag.takes) {
    case 'nothing':
      return ''
    case 'choice':
      return ` ${flag.choices.length > 5 ? 'FIELD' : flag.choices.join('|')}`
    case 'optional-number':
      return ` [${flag.value}]`
    default:
      return ` ${flag.value}`
  }
}

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  return rows.length === 0 ? [] : ['', ...(title === '' ? [] : [title]), ...rowLines(rows)]
}

/** Names on the left, what they are on the right; a long name stands on a line of its own. */
function rowLines(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(30, Math.max(...rows.map(([name]) => name.length)))
  return rows.flatMap(([name, help]) => {
    const lines = wrapText(help, width - left - 2 * gap.length)
    const first = name.length > left ? [`${gap}${name}`] : []
    return [
      ...first,
      ...lines.map(
        (line, index) => `${gap}${(index === 0 && first.length === 0 ? name : '').padEnd(left)}${gap}${line}`,
      ),
    ]
  })
}

function paragraph(text: string | undefined): string[] {
  return text === undefined ? [] : ['', ...text.trim().split('\n')]
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}
