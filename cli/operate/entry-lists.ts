/** Nouns of lists that rules name: prefix lists and lists of ports, with verbs that add entries and take them away. */
import { UsageError } from '../command.ts'
import { type Column, tableLines } from '../output/table.ts'
import { listText, valueText } from '../output/values.ts'
import type { Daemon } from './daemon.ts'
import { accountFlag, clearable, descriptionFlag, nameFlag, tagFlag, untagFlag } from './flags.ts'
import { type NounCommand, nounCommand } from './noun-command.ts'
import { deleteVerb, type Kind, listVerb, showVerb } from './objects.ts'
import { pathOf, resources, type Shown } from './resources.ts'
import type { Flags, Verb } from './verb.ts'
import { type ChosenKind, createVerb, modifyVerb } from './writing.ts'

export interface EntryList {
  /** As typed after `ringwall`. */
  readonly name: string
  readonly summary: string
  /** In the help after the list of verbs. */
  readonly details?: string
  readonly kind: Kind & { readonly kind: ChosenKind }
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
      createEntryList(list),
      modifyEntryList(list),
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

function createEntryList({ kind, entry, create, maxEntriesHelp }: EntryList): Verb {
  const { summary, example, addHelp, flags: moreFlags = {}, fieldsOf } = create
  return createVerb(kind, {
    summary,
    flags: {
      name: { ...nameFlag, help: 'name for people; as the id if left out' },
      description: descriptionFlag,
      ...moreFlags,
      add: { takes: 'list', value: entry.value, help: addHelp },
      'max-entries': maxEntriesFlag(maxEntriesHelp),
      tag: tagFlag,
      account: accountFlag,
    },
    names: fieldNames,
    examples: [example],
    more(_daemon, flags, id) {
      const name = flags.name || id
      if (name === '') throw new UsageError('missing --name, or the id it shall have')
      return {
        [resources[kind.kind].nameField!]: name,
        ...fieldsOf?.(flags, flags.add),
        ...(flags.add !== undefined && { entries: flags.add.map(text => entry.read(text, '--add')) }),
      }
    },
  })
}

function modifyEntryList({ kind, entry, modify, maxEntriesHelp }: EntryList): Verb {
  return modifyVerb(kind, {
    summary: modify.summary,
    flags: {
      name: nameFlag,
      description: clearable(descriptionFlag),
      add: { takes: 'list', value: entry.value, help: modify.addHelp },
      remove: { takes: 'list', value: entry.value, help: modify.removeHelp },
      'max-entries': maxEntriesFlag(maxEntriesHelp),
      tag: tagFlag,
      untag: untagFlag,
    },
    names: { ...fieldNames, name: resources[kind.kind].nameField! },
    examples: [modify.example],
    more: (_daemon, { add, remove }) => ({
      ...(add !== undefined && { addEntries: add.map(each => entry.read(each, '--add')) }),
      ...(remove !== undefined && { removeEntries: remove.map(each => entry.read(each, '--remove')) }),
    }),
  })
}

function maxEntriesFlag(help: string) {
  return { takes: 'number', value: 'N', range: [1, 1_000_000], help } as const
}

/** Flag to field. */
const fieldNames = { description: 'description', 'max-entries': 'maxEntries' } as const
