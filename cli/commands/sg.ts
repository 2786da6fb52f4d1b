/** `ringwall sg`: security groups. */
import { writeFile } from 'node:fs/promises'
import { fileFault, InputError, type Io, readText, writeFault } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import {
  accountFlag,
  clearable,
  descriptionFlag,
  modeFlag,
  nameFlag,
  networkFlags,
  tagFlag,
  untagFlag,
} from '../operate/flags.ts'
import { groups, groupWord, ruleTable } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb, made, newBodyOf, newId, said, showVerb } from '../operate/objects.ts'
import { modeVerbs } from '../operate/observed.ts'
import { pathOf, resources, type Shown } from '../operate/resources.ts'
import { type Permission, portsText, ruleWords } from '../operate/rule-words.ts'
import { type Verb, verb, type Word } from '../operate/verb.ts'
import { accountOf, createVerb, modifyVerb, newIdWord } from '../operate/writing.ts'
import { tableLines } from '../output/table.ts'
import { count, listText, valueText } from '../output/values.ts'

const { path } = resources.group
const types = ['basic', 'advanced'] as const

const typeFlag = { takes: 'choice', choices: types, help: 'basic if left out' } as const
const innerFlag = {
  takes: 'choice',
  choices: ['accept', 'drop'],
  help: 'whether members reach each other whatever the rules say',
} as const

const modifyFlags = {
  name: clearable(nameFlag),
  description: clearable(descriptionFlag),
  'inner-access': innerFlag,
  mode: modeFlag,
  tag: tagFlag,
  untag: untagFlag,
} as const

const names = {
  name: 'securityGroupName',
  description: 'description',
  'inner-access': 'innerAccessPolicy',
  mode: 'mode',
} as const

const membersWord: Word = {
  name: 'WHO',
  isMany: true,
  help: 'instances (of each its primary interface) and network interfaces, by id or name',
}

export const command = nounCommand({
  name: 'sg',
  summary: 'security groups, and who is in them',
  verbs: [
    listVerb(groups),
    showVerb(groups, async (_daemon, _group, { permissions }) => {
      const rules = (permissions ?? []) as readonly Permission[]
      return width => (rules.length === 0 ? [] : ['', ...ruleTable(rules, width)])
    }),
    createVerb(groups, {
      summary: 'make a security group',
      flags: {
        name: nameFlag,
        description: descriptionFlag,
        tag: tagFlag,
        type: typeFlag,
        ...networkFlags,
        'inner-access': innerFlag,
        mode: modeFlag,
        template: {
          takes: 'choice',
          choices: ['web-server-linux', 'web-server-windows', 'custom'],
          help: 'rules to begin with; none if left out',
        },
        account: accountFlag,
      },
      examples: ['ringwall sg create sg-web --name web-servers --template web-server-linux'],
      names: {
        ...names,
        type: 'securityGroupType',
        network: 'networkType',
        vpc: 'vpcId',
        template: 'template',
      },
    }),
    modifyVerb(groups, {
      summary: 'change what a security group is called and how its members meet',
      flags: modifyFlags,
      names,
    }),
    deleteVerb(groups, { warning: ' and its rules', summary: 'delete a security group that nothing holds' }),
    verb({
      name: 'clone',
      summary: 'make a security group with the rules of another',
      effect: 'makes',
      words: [groupWord, { ...newIdWord('group'), name: 'NEW' }],
      flags: {
        name: nameFlag,
        type: { ...typeFlag, help: 'its type' },
        network: { ...networkFlags.network, help: 'its kind of network' },
        vpc: { ...networkFlags.vpc, help: 'id of its VPC' },
        account: { ...accountFlag, help: 'id or name of its account' },
      },
      details: 'What is left out is as in the original; its members are not taken over, and it is enforced.',
      async run({ daemon, words: [text = '', newText], flags }) {
        const id = await daemon.idOf('group', text)
        const fields = { name: 'securityGroupName', type: 'securityGroupType', network: 'networkType', vpc: 'vpcId' }
        const body = {
          ...newId('group', newText),
          ...(flags.account !== undefined && (await accountOf(daemon, flags))),
          ...newBodyOf(flags, fields),
        }
        return made('group', await daemon.write({ method: 'POST', path: pathOf(resources.group, id, 'clone'), body }))
      },
    }),
    verb({
      name: 'export',
      summary: 'print the rules of a security group, as import takes them',
      effect: 'looks',
      words: [groupWord],
      flags: {
        format: { takes: 'choice', choices: ['json', 'csv'], help: 'json if left out' },
        output: { takes: 'text', value: 'FILE', help: 'write a file instead' },
      },
      examples: ['ringwall sg export sg-web --format csv --output sg-web.csv'],
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('group', text)
        const format = flags.format ?? 'json'
        const rules = await daemon.client.getText(pathOf(resources.group, id, 'export'), { format })
        const answer: unknown = format === 'json' ? JSON.parse(rules) : rules
        const printed = format === 'json' ? JSON.stringify(answer, null, 2) : rules.trimEnd()
        const { output } = flags
        if (output === undefined) return { answer, text: () => printed.split('\n') }
        await writeRules(output, `${printed}\n`)
        return { answer, text: () => [`Wrote the rules of ${id} to "${output}".`] }
      },
    }),
    verb({
      name: 'import',
      summary: 'add rules from a file, all or none of them',
      effect: 'makes',
      words: [groupWord, { name: 'FILE', help: 'JSON or CSV as export writes it; "-" for standard input' }],
      flags: {
        format: { takes: 'choice', choices: ['json', 'csv'], help: "by the file's name if left out, else json" },
        mode: {
          takes: 'choice',
          choices: ['append', 'replace'],
          help: 'append if left out; replace takes the other rules away',
        },
        yes: { takes: 'nothing', help: 'do not ask before rules are replaced' },
      },
      details: 'Every fault of the file is told, and nothing is stored while there is one.',
      async run({ daemon, words: [text = '', file = ''], flags, io, confirm }) {
        const id = await daemon.idOf('group', text)
        const rules = await readRules(file, io)
        const isCsv = (flags.format ?? (/\.csv$/i.test(file) ? 'csv' : 'json')) === 'csv'
        const content = isCsv
          ? { content: { type: 'text/csv', text: rules } as const }
          : { body: permissionsIn(file, rules) }
        if (flags.mode === 'replace') await confirm(`Replace all rules of security group ${id}?`)
        const query = flags.mode === undefined ? {} : { mode: flags.mode }
        const answer = await daemon.write({
          method: 'POST',
          path: pathOf(resources.group, id, 'import'),
          query,
          ...content,
        })
        const permissions = answer.permissions as readonly unknown[] | undefined
        const what = permissions === undefined ? 'the rules' : count(permissions.length, 'rule')
        return said(answer, `Imported ${what} into ${id}`)
      },
    }),
    verb({
      name: 'references',
      summary: 'list the groups with rules that name this one',
      effect: 'looks',
      words: [groupWord],
      flags: {},
      async run({ daemon, words: [text = ''] }) {
        const id = await daemon.idOf('group', text)
        const answer = await daemon.client.get<Shown>(pathOf(resources.group, id, 'references'))
        const references = (answer.referencedBy ?? []) as readonly Shown[]
        return {
          answer,
          text: width =>
            references.length === 0
              ? [`No rule names ${id}.`]
              : tableLines(
                  [
                    { heading: 'GROUP', isWhole: true, cell: each => String(each.securityGroupId) },
                    { heading: 'ACCOUNT', isWhole: true, cell: each => String(each.accountId) },
                    { heading: 'RULES', cell: each => listText(each.securityGroupRuleIds as string[]) },
                  ],
                  references,
                  width,
                ),
        }
      },
    }),
    verb({
      name: 'members',
      summary: 'list the interfaces in a security group',
      effect: 'looks',
      words: [groupWord],
      flags: {},
      async run({ daemon, words: [text = ''] }) {
        const id = await daemon.idOf('group', text)
        const page = await daemon.client.list<Shown>(pathOf(resources.group, id, 'members'))
        return {
          answer: page,
          text: width =>
            page.items.length === 0
              ? [`Nobody is in ${id}. Let somebody join: ringwall sg join ${id} INSTANCE`]
              : tableLines(
                  [
                    { heading: 'ENI', isWhole: true, cell: each => String(each.networkInterfaceId) },
                    { heading: 'INSTANCE', isWhole: true, cell: each => valueText(each.instanceId) },
                    { heading: 'ADDRESSES', cell: each => listText(each.addresses as string[]) },
                  ],
                  page.items,
                  width,
                ),
        }
      },
    }),
    membershipVerb('join', 'let instances and interfaces join a security group', 'joined'),
    membershipVerb('leave', 'take instances and interfaces out of a security group', 'left'),
    ...modeVerbs(groups),
    verb({
      name: 'default',
      summary: "show the account's default group of a network; it is made if there is none",
      effect: 'makes',
      words: [],
      flags: {
        ...networkFlags,
        'web-ports': { takes: 'nothing', help: 'a new one also lets TCP ports 80 and 443 in' },
        account: accountFlag,
      },
      async run({ daemon, flags }) {
        const body = {
          ...(await accountOf(daemon, flags)),
          ...newBodyOf(flags, { network: 'networkType', vpc: 'vpcId', 'web-ports': 'webPorts' }),
        }
        const answer = await daemon.write({ method: 'POST', path: `${path}/default`, body })
        const group = answer.securityGroup as Shown | undefined
        return said(answer, `The default group is ${group?.securityGroupId ?? ''}`)
      },
    }),
    verb({
      name: 'templates',
      summary: 'list what groups can begin with, and the services that rules know by name',
      effect: 'looks',
      words: [],
      flags: {},
      details: '"ringwall sg create --template NAME" makes a group with the rules of a template.',
      async run({ daemon }) {
        const answer = await daemon.client.get<Templates>('/v1/security-group-templates')
        return {
          answer,
          text: width => [
            ...answer.templates.flatMap(templateLines),
            '',
            ...tableLines(serviceColumns, answer.services, width),
          ],
        }
      },
    }),
  ],
})

interface Templates {
  readonly templates: readonly { readonly template: string; readonly permissions: readonly Permission[] }[]
  readonly services: readonly { readonly service: string; readonly ipProtocol: string; readonly portRange: string }[]
}

function templateLines({ template, permissions }: Templates['templates'][number]): string[] {
  if (permissions.length === 0) return [`${template}: no rules`]
  return [`${template}:`, ...permissions.map(permission => `  ${ruleWords(permission)}`)]
}

const serviceColumns = [
  { heading: 'SERVICE', cell: ({ service }: Templates['services'][number]) => service },
  {
    heading: 'IS',
    cell: ({ ipProtocol, portRange }: Templates['services'][number]) => `${ipProtocol}/${portsText(portRange)}`,
  },
]

function membershipVerb(name: 'join' | 'leave', summary: string, past: string): Verb {
  return verb({
    name,
    summary,
    effect: 'changes',
    words: [groupWord, membersWord],
    flags: {},
    examples: [`ringwall sg ${name} sg-web i-web1 i-web2 eni-3`],
    async run({ daemon, words: [text = '', ...who] }) {
      const id = await daemon.idOf('group', text)
      const body = await membersOf(daemon, who)
      const answer = await daemon.write({ method: 'POST', path: pathOf(resources.group, id, name), body })
      return said(answer, `${who.join(', ')} ${past} ${id}`)
    },
  })
}

/** Interfaces are told by their ids or addresses; whatever else is named is an instance. */
async function membersOf(daemon: Daemon, who: readonly string[]) {
  const isEni = (text: string) => /^eni-|^[\d.]+$|:/.test(text)
  const [networkInterfaceIds, instanceIds] = await Promise.all([
    daemon.idsOf('eni', who.filter(isEni)),
    daemon.idsOf(
      'instance',
      who.filter(text => !isEni(text)),
    ),
  ])
  return {
    ...(instanceIds.length > 0 && { instanceIds }),
    ...(networkInterfaceIds.length > 0 && { networkInterfaceIds }),
  }
}

async function readRules(file: string, io: Io): Promise<string> {
  try {
    return await readText(file, io)
  } catch (error) {
    throw new InputError([`Cannot read rules from "${file}": ${fileFault(error)}`])
  }
}

/** What export prints, or the list of rules alone. */
function permissionsIn(file: string, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value)
      ? { permissions: value }
      : { permissions: (value as { permissions?: unknown }).permissions }
  } catch (error) {
    throw new InputError([`Cannot read rules from "${file}": ${(error as Error).message}; for CSV say --format csv`])
  }
}

async function writeRules(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text)
  } catch (error) {
    throw new InputError([`Cannot write "${file}": ${writeFault(error)}`])
  }
}
