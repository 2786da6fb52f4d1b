/** Flags that many verbs have. */
import type { Effect, Flag, Flags } from './verb.ts'

export const connectionFlags = {
  context: {
    takes: 'text',
    value: 'NAME',
    names: 'context',
    help: 'the daemon of this context ("ringwall context list")',
  },
  url: { takes: 'text', value: 'URL', help: 'the daemon at this address' },
  token: { takes: 'text', value: 'TOKEN', help: 'an API token; better in a context or in RINGWALL_TOKEN' },
  json: { takes: 'nothing', help: "the API's answer as it is, for programs" },
} as const satisfies Flags

const longestWaitSeconds = 300

const writeFlags = {
  'dry-run': { takes: 'nothing', help: 'say what would change and whom it concerns; nothing is stored' },
  wait: {
    takes: 'optional-number',
    value: 'SECONDS',
    range: [1, longestWaitSeconds],
    alone: 10,
    help: 'until it is in force on every host; exit code 3 if not in time (10 s if left out)',
  },
} as const satisfies Flags

const revisionFlag = {
  'if-revision': {
    takes: 'number',
    value: 'N',
    range: [0, 999_999_999],
    help: 'only if the object was last written by this revision',
  },
} as const satisfies Flags

/** Of verbs that can do without the daemon. */
export const localFlag = {
  local: { takes: 'nothing', help: 'ask the agent on this host, and no daemon' },
} as const satisfies Flags

const yesFlag = { yes: { takes: 'nothing', help: 'do not ask' } } as const satisfies Flags

export const commonFlags: Readonly<Record<Effect, Flags>> = {
  looks: connectionFlags,
  makes: { ...writeFlags, ...connectionFlags },
  changes: { ...writeFlags, ...revisionFlag, ...connectionFlags },
  deletes: { ...yesFlag, ...writeFlags, ...revisionFlag, ...connectionFlags },
  local: {},
}

/** Of every verb, whatever its effect. */
export interface CommonValues {
  readonly context?: string
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
  readonly 'dry-run'?: boolean
  readonly wait?: number
  readonly 'if-revision'?: number
  readonly yes?: boolean
  readonly local?: boolean
}

export const accountFlag = {
  takes: 'text',
  value: 'ACCOUNT',
  names: 'account',
  help: 'id or name of the account; the one of the context if left out',
} as const satisfies Flag

export const descriptionFlag = {
  takes: 'text',
  value: 'TEXT',
  help: 'what it is for',
} as const satisfies Flag

export const nameFlag = {
  takes: 'text',
  value: 'TEXT',
  help: 'name for people',
} as const satisfies Flag

/** Of something that there is, and that can be without. */
export function clearable<const F extends Flag>(flag: F) {
  return { ...flag, help: `${flag.help}; an empty text takes it away` } as const
}

export const modeFlag = {
  takes: 'choice',
  choices: ['enforce', 'observe'],
  help: 'observe: what would be dropped passes, and is counted',
} as const satisfies Flag

export const tagFlag = {
  takes: 'list',
  value: 'KEY=VALUE',
  help: 'a tag; may be repeated',
} as const satisfies Flag

export const untagFlag = {
  takes: 'list',
  value: 'KEY',
  help: 'take a tag away; may be repeated',
} as const satisfies Flag

export const tagFilterFlag = {
  takes: 'list',
  value: 'KEY[=VALUE]',
  help: 'only those with this tag; may be repeated',
} as const satisfies Flag

export const networkFlags = {
  network: { takes: 'choice', choices: ['vpc', 'classic'], help: 'kind of network; vpc if left out' },
  vpc: { takes: 'text', value: 'VPC', help: 'id of the VPC; the one that needs no name if left out' },
} as const satisfies Flags

export const sortFlag = (sorts: Readonly<Record<string, string>>) =>
  ({
    takes: 'choice',
    choices: Object.keys(sorts).flatMap(word => [word, `-${word}`]),
    help: 'order; with "-" downwards',
  }) as const
