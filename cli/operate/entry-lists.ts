/** Nouns of lists that rules name: prefix lists and lists of ports, with verbs that add entries and take them away. */
import { UsageError } from '../command.ts'
import { type Column, tableLines } from '../output/table.ts'
import { listText, valueText } from '../output/values.ts'
import type { Daemon } from './daemon.ts'
import { accountFlag, clearable, descriptionFlag, nameFlag, tagFlag, untagFlag } from './flags.ts'
import { type NounCommand, nounCommand } from './noun-command.ts'
import {
  bodyOf,
  changed,
  changedTags,
  deleteVerb,
  type Kind,
  listVerb,
  made,
  newBodyOf,
  newId,
  readTags,
  requireChange,
  showVerb,
} from './objects.ts'
import { pathOf, resources, type Shown } from './resources.ts'
import { type Flags, type Verb, verb } from './verb.ts'

export interface EntryList {
  /** As typed after `ringwall`. */
  readonly name: string
  readonly summary: string
  /** In the help after the list of verbs. */
  readonly details?: string
  readonly kind: Kind
  readonly entry: {
    readonly column: Column<Shown>
    /** What stands for one in the help: `CIDR`. */
    readonly value: string
    /** @param flag  that it was given with: `--add` @throws {UsageError} */
    readonly read: (text: string, flag: '--add' | '--remove') => Shown
  }
  readonly create: {
    readonly summary: string
    readonly example: string
    /** How ids begin: `pl-`. */
    readonly idPrefix: string
    readonly addHelp: string
    /** Beside those that all have. */
    readonly flags?: Flags
    /** What these become in the body, and what follows from the entries. @throws {UsageError} */
    readonly fieldsOf?: (flags: Shown, entries: readonly string[] | undefined) => Shown
  }
  readonly modify: {
    readonly summary: string
    readonly example: string
    readonly addHelp: string
    readonly removeHelp: string
  }
  readonly maxEntriesHelp: string
  readonly deleteSummary: string
}

export function entryListCommand(list: EntryList): NounCommand {
  const { name, summary, details, kind, deleteSummary } = list
  return nounCommand({
    name,
    summary,
    ...(details !== undefined && { details }),
    verbs: [
      listVerb(kind),
      showVerb(kind, (daemon, object) => moreOf(list, daemon, object)),
      createVerb(list),
      modifyVerb(list),
      deleteVerb(kind, { summary: deleteSummary }),
    ],
  })
}

/** Its entries, and the groups with rules that name it. */
async function moreOf({ kind: { kind }, entry }: EntryList, daemon: Daemon, object: Shown) {
  const id = String(object[resources[kind].idField])
  const entries = (object.entries ?? []) as readonly Shown[]
  const { items } = await daemon.client.list<Shown>(pathOf(resources[kind], id, 'associations'))
  return (width: number) => [
    ...(entries.length === 0 ? [] : ['', ...tableLines([entry.column, descriptionColumn], entries, width)]),
    ...(items.length === 0 ? [] : ['', ...tableLines(associationColumns, items, width)]),
  ]
}

const descriptionColumn = {
  heading: 'DESCRIPTION',
  isOptional: true,
  cell: (entry: Shown) => valueText(entry.description),
}

const associationColumns = [
  { heading: 'NAMED BY', isWhole: true, cell: (each: Shown) => valueText(each.securityGroupId) },
  { heading: 'RULES', cell: (each: Shown) => listText(each.securityGroupRuleIds as string[]) },
]

function createVerb({ kind: { kind }, entry, create, maxEntriesHelp }: EntryList): Verb {
  const { summary, example, idPrefix, addHelp, flags: moreFlags = {}, fieldsOf } = create
  const idHelp = `the id it shall have, ${idPrefix}…; made by the daemon if left out`
  return verb({
    name: 'create',
    summary,
    effect: 'makes',
    words: [{ name: 'ID', isOptional: true, help: idHelp }],
    flags: {
      name: { ...nameFlag, help: 'name for people; as the id if left out' },
      description: descriptionFlag,
      ...moreFlags,
      add: { takes: 'list', value: entry.value, help: addHelp },
      'max-entries': maxEntriesFlag(maxEntriesHelp),
      tag: tagFlag,
      account: accountFlag,
    },
    examples: [example],
    async run({ daemon, words: [id], flags }) {
      const tags = readTags(flags.tag)
      const accountId = await daemon.accountId(flags.account)
      const name = flags.name ?? id
      if (name === undefined) throw new UsageError('missing --name, or the id it shall have')
      const body = {
        ...newId(kind, id),
        ...(accountId !== undefined && { accountId }),
        ...newBodyOf({ ...flags, name }, fieldNames(kind)),
        ...fieldsOf?.(flags, flags.add),
        ...(flags.add !== undefined && { entries: flags.add.map(text => entry.read(text, '--add')) }),
        ...(tags !== undefined && { tags }),
      }
      return made(kind, await daemon.write({ method: 'POST', path: resources[kind].path, body }))
    },
  })
}

function modifyVerb({ kind: { kind, word }, entry, modify, maxEntriesHelp }: EntryList): Verb {
  const modifyFlags = {
    name: nameFlag,
    description: clearable(descriptionFlag),
    add: { takes: 'list', value: entry.value, help: modify.addHelp },
    remove: { takes: 'list', value: entry.value, help: modify.removeHelp },
    'max-entries': maxEntriesFlag(maxEntriesHelp),
    tag: tagFlag,
    untag: untagFlag,
  } as const
  return verb({
    name: 'modify',
    summary: modify.summary,
    effect: 'changes',
    words: [word],
    flags: modifyFlags,
    examples: [modify.example],
    async run({ daemon, words: [text = ''], flags }) {
      const id = await daemon.idOf(kind, text)
      const { ifRevision, ...tags } = await changedTags(daemon, kind, id, flags)
      const body = {
        ...bodyOf(flags, fieldNames(kind)),
        ...(flags.add !== undefined && { addEntries: flags.add.map(each => entry.read(each, '--add')) }),
        ...(flags.remove !== undefined && { removeEntries: flags.remove.map(each => entry.read(each, '--remove')) }),
        ...tags,
      }
      requireChange(body, modifyFlags)
      const path = pathOf(resources[kind], id)
      return changed(kind, id, await daemon.write({ method: 'PATCH', path, body, ifRevision }))
    },
  })
}

function maxEntriesFlag(help: string) {
  return { takes: 'number', value: 'N', range: [1, 1_000_000], help } as const
}

/** Flag to field. */
function fieldNames(kind: Kind['kind']): Readonly<Record<string, string>> {
  return { name: resources[kind].nameField!, description: 'description', 'max-entries': 'maxEntries' }
}
