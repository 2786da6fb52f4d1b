/** What commands of access control have in common: names within an account, attached policies, documents in files. */
import { readFile } from 'node:fs/promises'
import { text as readStream } from 'node:stream/consumers'
import type { Query } from '../client/client.ts'
import { InputError, type Io } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import { accountFlag } from '../operate/flags.ts'
import { said } from '../operate/objects.ts'
import type { ResourceKind, Shown } from '../operate/resources.ts'
import { type Flags, type Verb, verb, type Word } from '../operate/verb.ts'
import { type Column, fieldLines, tableLines } from '../output/table.ts'
import { timeText, valueText } from '../output/values.ts'

export const ramAccountFlag = { account: accountFlag } as const satisfies Flags

export function word(name: string, names: ResourceKind, help: string): Word {
  return { name, names, help }
}

export const userWord = word('USER', 'ramUser', 'name of the user')
export const groupWord = word('GROUP', 'ramGroup', 'name of the group')
export const policyWord = word('POLICY', 'ramPolicy', 'name of the policy')
export const roleWord = word('ROLE', 'ramRole', 'name of the role')

/** `/v1/ram/users/alice`; names come from people. */
export function ramPath(...parts: readonly string[]): string {
  return ['/v1/ram', ...parts.map(encodeURIComponent)].join('/')
}

/** Which account names are of. */
export async function accountQuery(daemon: Daemon, flag: string | undefined): Promise<Query> {
  const accountId = await daemon.accountId(flag)
  return accountId === undefined ? {} : { accountId }
}

export interface RamKind {
  /** Of the path: `users`. */
  readonly folder: string
  /** `user` */
  readonly noun: string
  readonly plural: string
  /** Of answers: `user`. */
  readonly answerField: string
  readonly word: Word
  readonly columns: readonly Column<Shown>[]
  readonly fields: (object: Shown) => readonly (readonly [string, string])[]
  readonly whenNone: string
}

export function ramListVerb({ folder, plural, columns, whenNone }: RamKind): Verb {
  return verb({
    name: 'list',
    summary: `list ${plural}`,
    effect: 'looks',
    words: [],
    flags: { account: { ...accountFlag, help: 'only those of this account' } },
    async run({ daemon, flags }) {
      const page = await daemon.client.list<Shown>(ramPath(folder), await accountQuery(daemon, flags.account))
      return {
        answer: page,
        text: width =>
          page.items.length === 0
            ? [`There are no ${plural} yet. ${whenNone}`]
            : tableLines(columns, page.items, width),
      }
    },
  })
}

/** @param more  further lines under the fields */
export function ramShowVerb(kind: RamKind, more?: (object: Shown, width: number) => readonly string[]): Verb {
  const { folder, noun, answerField, word: name, fields } = kind
  return verb({
    name: 'show',
    summary: `show a ${noun}`,
    effect: 'looks',
    words: [name],
    flags: ramAccountFlag,
    async run({ daemon, words: [text = ''], flags }) {
      const query = await accountQuery(daemon, flags.account)
      const answer = await daemon.client.get<Shown>(ramPath(folder, text), query)
      const object = answer[answerField] as Shown
      return { answer, text: width => [...fieldLines(fields(object), width), ...(more?.(object, width) ?? [])] }
    },
  })
}

/** @param warning  what goes with it, for the question */
export function ramDeleteVerb({ folder, noun, word: name }: RamKind, summary: string, warning = ''): Verb {
  return verb({
    name: 'delete',
    summary,
    effect: 'deletes',
    words: [name],
    flags: ramAccountFlag,
    async run({ daemon, words: [text = ''], flags, confirm }) {
      await confirm(`Delete ${noun} ${text}${warning}?`)
      const query = await accountQuery(daemon, flags.account)
      return said(
        await daemon.write({ method: 'DELETE', path: ramPath(folder, text), query }),
        `Deleted ${noun} ${text}`,
      )
    },
  })
}

/** `attach` and `detach`. */
export function attachmentVerbs({ folder, noun, word: name }: RamKind): readonly Verb[] {
  return (
    [
      ['attach', 'PUT', `give a policy to a ${noun}; it holds from the next request on`, 'Gave', 'to'],
      ['detach', 'DELETE', `take a policy from a ${noun}`, 'Took', 'from'],
    ] as const
  ).map(([verbName, method, summary, did, where]) =>
    verb({
      name: verbName,
      summary,
      effect: 'makes',
      words: [name, policyWord],
      flags: ramAccountFlag,
      async run({ daemon, words: [holder = '', policy = ''], flags }) {
        const query = await accountQuery(daemon, flags.account)
        const answer = await daemon.write({ method, path: ramPath(folder, holder, 'policies', policy), query })
        return said(answer, `${did} policy ${policy} ${where} ${noun} ${holder}`)
      },
    }),
  )
}

interface Attached {
  readonly policyName: string
  readonly policyType: string
}

/** Those of the system say so. */
export function policiesText(object: Shown): string {
  return ((object.policies ?? []) as readonly Attached[])
    .map(({ policyName, policyType }) => (policyType === 'System' ? `${policyName} (system)` : policyName))
    .join(', ')
}

export const cell = (field: string) => (object: Shown) => valueText(object[field])
export const time = (field: string) => (object: Shown) => timeText(object[field] as string | null)

/** @throws {InputError} where it cannot be read, or is no JSON object */
export async function readDocument(file: string, io: Io): Promise<object> {
  let text: string
  try {
    text = file === '-' ? await readStream(io.stdin) : await readFile(file, 'utf8')
  } catch (error) {
    throw new InputError([`Cannot read a policy from "${file}": ${(error as Error).message}`])
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    throw new InputError([`Cannot read a policy from "${file}": ${(error as Error).message}`])
  }
  throw new InputError([`Cannot read a policy from "${file}": expected a JSON object with Version and Statement`])
}
