/** `ringwall port-range-list`: named lists of ports. */
import { UsageError } from '../command.ts'
import { accountFlag, descriptionFlag, nameFlag, tagFlag, untagFlag } from '../operate/flags.ts'
import { portRangeLists } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import {
  bodyOf,
  changed,
  changedTags,
  deleteVerb,
  listVerb,
  made,
  newBodyOf,
  newId,
  readTags,
  requireChange,
  showVerb,
} from '../operate/objects.ts'
import { pathOf, resources, type Shown } from '../operate/resources.ts'
import { portsText, readPorts } from '../operate/rule-words.ts'
import { verb } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { listText, valueText } from '../output/values.ts'

const addFlag = {
  takes: 'list',
  value: 'PORTS',
  help: 'ports to begin with, 443 or 8000-8100; may be repeated',
} as const
const mostFlag = {
  takes: 'number',
  value: 'N',
  range: [1, 1_000_000],
  help: 'how many entries it may have at most, and how many rules one that names it counts for',
} as const

const modifyFlags = {
  name: { ...nameFlag, help: 'name for people' },
  description: descriptionFlag,
  add: { ...addFlag, help: 'ports to add, 443 or 8000-8100; may be repeated' },
  remove: { takes: 'list', value: 'PORTS', help: 'ports to take away, as they were added; may be repeated' },
  'max-entries': mostFlag,
  tag: tagFlag,
  untag: untagFlag,
} as const

const names = { name: 'portRangeListName', description: 'description', 'max-entries': 'maxEntries' } as const

/** @throws {UsageError} */
function entriesOf(texts: readonly string[], flag: string) {
  return texts.map(text => ({ portRange: readPorts(text, `${flag} ${text}`) }))
}

export const command = nounCommand({
  name: 'port-range-list',
  summary: 'named lists of ports',
  details: `A rule names one in place of ports: ringwall rule add web ingress allow tcp/prl-web from any`,
  verbs: [
    listVerb(portRangeLists),
    showVerb(portRangeLists, async (daemon, list) => {
      const id = String(list.portRangeListId)
      const entries = (list.entries ?? []) as readonly Shown[]
      const { items } = await daemon.client.list<Shown>(pathOf(resources.portRangeList, id, 'associations'))
      return width => [
        ...(entries.length === 0 ? [] : ['', ...tableLines(entryColumns, entries, width)]),
        ...(items.length === 0 ? [] : ['', ...tableLines(associationColumns, items, width)]),
      ]
    }),
    verb({
      name: 'create',
      summary: 'make a list of ports',
      effect: 'makes',
      words: [{ name: 'ID', isOptional: true, help: 'the id it shall have, prl-…; made by the daemon if left out' }],
      flags: {
        name: { ...nameFlag, help: 'name for people; as the id if left out' },
        description: descriptionFlag,
        add: addFlag,
        'max-entries': mostFlag,
        tag: tagFlag,
        account: accountFlag,
      },
      examples: ['ringwall port-range-list create prl-web --add 80,443,8000-8100'],
      async run({ daemon, words: [id], flags }) {
        const tags = readTags(flags.tag)
        const accountId = await daemon.accountId(flags.account)
        const name = flags.name ?? id
        if (name === undefined) throw new UsageError('missing --name, or the id it shall have')
        const body = {
          ...newId('portRangeList', id),
          ...(accountId !== undefined && { accountId }),
          ...newBodyOf({ ...flags, name }, names),
          ...(flags.add !== undefined && { entries: entriesOf(flags.add, '--add') }),
          ...(tags !== undefined && { tags }),
        }
        return made('portRangeList', await daemon.write({ method: 'POST', path: resources.portRangeList.path, body }))
      },
    }),
    verb({
      name: 'modify',
      summary: 'add and remove ports, or change what a list of ports is called',
      effect: 'changes',
      words: [portRangeLists.word],
      flags: modifyFlags,
      examples: ['ringwall port-range-list modify prl-web --add 8443 --remove 80'],
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('portRangeList', text)
        const { ifRevision, ...tags } = await changedTags(daemon, 'portRangeList', id, flags)
        const body = {
          ...bodyOf(flags, names),
          ...(flags.add !== undefined && { addEntries: entriesOf(flags.add, '--add') }),
          ...(flags.remove !== undefined && { removeEntries: entriesOf(flags.remove, '--remove') }),
          ...tags,
        }
        requireChange(body, modifyFlags)
        const path = pathOf(resources.portRangeList, id)
        return changed('portRangeList', id, await daemon.write({ method: 'PATCH', path, body, ifRevision }))
      },
    }),
    deleteVerb(portRangeLists, { summary: 'delete a list of ports that no rule names' }),
  ],
})

const entryColumns = [
  { heading: 'PORTS', isWhole: true, cell: (entry: Shown) => portsText(String(entry.portRange)) },
  { heading: 'DESCRIPTION', isOptional: true, cell: (entry: Shown) => valueText(entry.description) },
]

const associationColumns = [
  { heading: 'NAMED BY', isWhole: true, cell: (each: Shown) => valueText(each.securityGroupId) },
  { heading: 'RULES', cell: (each: Shown) => listText(each.securityGroupRuleIds as string[]) },
]
