/** What commands of access control have in common: names within an account, attached policies, documents in files. */
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import { fileFault, InputError, type Io, readText } from '../command.ts'
import type { Daemon, WriteAnswer } from '../operate/daemon.ts'
import { accountFlag } from '../operate/flags.ts'
import { said } from '../operate/objects.ts'
import type { ResourceKind, Shown } from '../operate/resources.ts'
import { type Flags, type Verb, verb, type Word } from '../operate/verb.ts'
import { accountOf } from '../operate/writing.ts'
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

/** Writes what is of an account. @param account  the flag that says which */
export async function ramWrite(
  daemon: Daemon,
  account: string | undefined,
  request: Omit<Parameters<Daemon['write']>[0], 'query'>,
): Promise<WriteAnswer> {
  return await daemon.write({ ...request, query: await accountOf(daemon, { account }) })
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
      const page = await daemon.client.list<Shown>(ramPath(folder), await accountOf(daemon, flags))
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
      const query = await accountOf(daemon, flags)
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
      const answer = await ramWrite(daemon, flags.account, { method: 'DELETE', path: ramPath(folder, text) })
      return said(answer, `Deleted ${noun} ${text}`)
    },
  })
}

/** `attach` and `detach`. */
export function attachmentVerbs(kind: RamKind): readonly Verb[] {
  const policies = { folder: 'policies', noun: 'policy', word: policyWord }
  return pairVerbs(kind, policies, [
    ['attach', 'PUT', `give a policy to a ${kind.noun}; it holds from the next request on`, 'Gave', 'to'],
    ['detach', 'DELETE', `take a policy from a ${kind.noun}`, 'Took', 'from'],
  ])
}

type Named = Pick<RamKind, 'folder' | 'noun' | 'word'>

/**
 * What a holder gets and loses.
 * @param verbs  of each its name, how it is asked for, its summary, and how it is told: `Gave` a policy `to` a user
 */
export function pairVerbs(
  holder: Named,
  held: Named,
  verbs: readonly (readonly [name: string, method: 'PUT' | 'DELETE', summary: string, did: string, where: string])[],
): readonly Verb[] {
  return verbs.map(([name, method, summary, did, where]) =>
    verb({
      name,
      summary,
      effect: 'makes',
      words: [holder.word, held.word],
      flags: ramAccountFlag,
      async run({ daemon, words: [holderName = '', heldName = ''], flags }) {
        const path = ramPath(holder.folder, holderName, held.folder, heldName)
        const answer = await ramWrite(daemon, flags.account, { method, path })
        return said(answer, `${did} ${held.noun} ${heldName} ${where} ${holder.noun} ${holderName}`)
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
    text = await readText(file, io)
  } catch (error) {
    throw new InputError([`Cannot read a policy from "${file}": ${fileFault(error)}`])
  }
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value)) return value
  } catch (error) {
    throw new InputError([`Cannot read a policy from "${file}": ${(error as Error).message}`])
  }
  throw new InputError([`Cannot read a policy from "${file}": expected a JSON object with Version and Statement`])
}
