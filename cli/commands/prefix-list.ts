/** `ringwall prefix-list`: named lists of CIDR blocks. */
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { UsageError } from '../command.ts'
import { accountFlag, descriptionFlag, nameFlag, tagFlag, untagFlag } from '../operate/flags.ts'
import { prefixLists } from '../operate/kinds.ts'
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
import { verb } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { listText, valueText } from '../output/values.ts'

const addFlag = { takes: 'list', value: 'CIDR', help: 'a block to begin with; may be repeated' } as const
const mostFlag = {
  takes: 'number',
  value: 'N',
  range: [1, 1_000_000],
  help: 'how many entries it may have at most',
} as const

const modifyFlags = {
  name: { ...nameFlag, help: 'name for people' },
  description: descriptionFlag,
  add: { ...addFlag, help: 'a block to add; may be repeated' },
  remove: { takes: 'list', value: 'CIDR', help: 'a block to take away; may be repeated' },
  'max-entries': mostFlag,
  tag: tagFlag,
  untag: untagFlag,
} as const

const names = { name: 'prefixListName', description: 'description', 'max-entries': 'maxEntries' } as const

export const command = nounCommand({
  name: 'prefix-list',
  summary: 'named lists of CIDR blocks',
  verbs: [
    listVerb(prefixLists),
    showVerb(prefixLists, async (daemon, list) => {
      const id = String(list.prefixListId)
      const entries = (list.entries ?? []) as readonly Shown[]
      const { items } = await daemon.client.list<Shown>(pathOf(resources.prefixList, id, 'associations'))
      return width => [
        ...(entries.length === 0 ? [] : ['', ...tableLines(entryColumns, entries, width)]),
        ...(items.length === 0 ? [] : ['', ...tableLines(associationColumns, items, width)]),
      ]
    }),
    verb({
      name: 'create',
      summary: 'make a prefix list',
      effect: 'makes',
      words: [{ name: 'ID', isOptional: true, help: 'the id it shall have, pl-…; made by the daemon if left out' }],
      flags: {
        name: { ...nameFlag, help: 'name for people; as the id if left out' },
        description: descriptionFlag,
        family: { takes: 'choice', choices: ['IPv4', 'IPv6'], help: 'by the first block if left out' },
        add: addFlag,
        'max-entries': mostFlag,
        tag: tagFlag,
        account: accountFlag,
      },
      examples: ['ringwall prefix-list create pl-office --add 203.0.113.0/24,198.51.100.7'],
      async run({ daemon, words: [id], flags }) {
        const tags = readTags(flags.tag)
        const accountId = await daemon.accountId(flags.account)
        const name = flags.name ?? id
        if (name === undefined) throw new UsageError('missing --name, or the id it shall have')
        const body = {
          ...newId('prefixList', id),
          ...(accountId !== undefined && { accountId }),
          ...newBodyOf({ ...flags, name }, names),
          addressFamily: flags.family ?? familyOf(flags.add?.[0]),
          ...(flags.add !== undefined && { entries: flags.add.map(cidr => ({ cidr })) }),
          ...(tags !== undefined && { tags }),
        }
        return made('prefixList', await daemon.write({ method: 'POST', path: resources.prefixList.path, body }))
      },
    }),
    verb({
      name: 'modify',
      summary: 'add and remove blocks, or change what a prefix list is called',
      effect: 'changes',
      words: [prefixLists.word],
      flags: modifyFlags,
      examples: ['ringwall prefix-list modify pl-office --add 192.0.2.0/24 --remove 198.51.100.7'],
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('prefixList', text)
        const { ifRevision, ...tags } = await changedTags(daemon, 'prefixList', id, flags)
        const body = {
          ...bodyOf(flags, names),
          ...(flags.add !== undefined && { addEntries: flags.add.map(cidr => ({ cidr })) }),
          ...(flags.remove !== undefined && { removeEntries: flags.remove.map(cidr => ({ cidr })) }),
          ...tags,
        }
        requireChange(body, modifyFlags)
        const answer = await daemon.write({ method: 'PATCH', path: pathOf(resources.prefixList, id), body, ifRevision })
        return changed('prefixList', id, answer)
      },
    }),
    deleteVerb(prefixLists, { summary: 'delete a prefix list that no rule names' }),
  ],
})

const entryColumns = [
  { heading: 'BLOCK', isWhole: true, cell: (entry: Shown) => valueText(entry.cidr) },
  { heading: 'DESCRIPTION', isOptional: true, cell: (entry: Shown) => valueText(entry.description) },
]

const associationColumns = [
  { heading: 'NAMED BY', isWhole: true, cell: (each: Shown) => valueText(each.securityGroupId) },
  { heading: 'RULES', cell: (each: Shown) => listText(each.securityGroupRuleIds as string[]) },
]

/** @throws {UsageError} where there is no block to tell it by */
function familyOf(cidr: string | undefined): 'IPv4' | 'IPv6' {
  const family = cidr === undefined ? undefined : parseCidr(cidr)?.family
  if (cidr === undefined) throw new UsageError('missing --family, or --add with a block to tell it by')
  if (family === undefined) throw new UsageError(`--add is "${cidr}", expected an IPv4 or IPv6 address or CIDR block`)
  return family === 'ip' ? 'IPv4' : 'IPv6'
}
