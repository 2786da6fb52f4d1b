/** `ringwall ram policy` and `ringwall ram role`. */
import { UsageError } from '../command.ts'
import { descriptionFlag } from '../operate/flags.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { newBodyOf, requireChange, said } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { durationText } from '../output/units.ts'
import { listText } from '../output/values.ts'
import {
  attachmentVerbs,
  cell,
  policiesText,
  policyWord,
  type RamKind,
  ramAccountFlag,
  ramDeleteVerb,
  ramListVerb,
  ramPath,
  ramShowVerb,
  ramWrite,
  readDocument,
  roleWord,
  time,
} from './common.ts'

const fileWord = { name: 'FILE', help: 'JSON with Version and Statement; "-" is standard input' } as const

interface Version {
  readonly versionId: string
  readonly isDefault: boolean
  readonly document: object
}
interface AttachedTo {
  readonly userNames: readonly string[]
  readonly groupNames: readonly string[]
  readonly roleNames: readonly string[]
}

function versionsText({ versions = [] }: Shown): string {
  return listText(
    (versions as Version[]).map(({ versionId, isDefault }) => `${versionId}${isDefault ? ' (holds)' : ''}`),
  )
}

const attachedTo = (field: keyof AttachedTo) => (policy: Shown) =>
  listText([...((policy.attachedTo as AttachedTo | undefined)?.[field] ?? [])])

function documentLines(document: unknown): readonly string[] {
  return ['', ...JSON.stringify(document, null, 2).split('\n')]
}

const policies: RamKind = {
  folder: 'policies',
  noun: 'policy',
  plural: 'policies',
  answerField: 'policy',
  word: policyWord,
  whenNone: 'Make one: ringwall ram policy create NAME FILE',
  columns: [
    { heading: 'POLICY', isWhole: true, cell: cell('policyName') },
    { heading: 'TYPE', cell: cell('policyType') },
    { heading: 'ACCOUNT', isOptional: true, isWhole: true, cell: cell('accountId') },
    { heading: 'VERSION', cell: cell('defaultVersion') },
    { heading: 'ATTACHED', cell: cell('attachmentCount') },
    { heading: 'DESCRIPTION', isOptional: true, cell: cell('description') },
  ],
  fields: policy => [
    ['policy', cell('policyName')(policy)],
    ['description', cell('description')(policy)],
    ['type', cell('policyType')(policy)],
    ['account', cell('accountId')(policy)],
    ['versions', versionsText(policy)],
    ['users', attachedTo('userNames')(policy)],
    ['groups', attachedTo('groupNames')(policy)],
    ['roles', attachedTo('roleNames')(policy)],
    ['made', time('createTime')(policy)],
  ],
}

export const policyNoun = nounCommand({
  name: 'ram policy',
  summary: 'what is allowed and denied, for whoever has it',
  details: 'Policies are given with "ringwall ram user attach", and the same of group and role.',
  verbs: [
    ramListVerb(policies),
    ramShowVerb(policies, ({ versions }) =>
      documentLines((versions as Version[]).find(({ isDefault }) => isDefault)?.document),
    ),
    verb({
      name: 'create',
      summary: 'make a policy, which nobody has yet',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'how it is called: letters, digits and "-"' }, fileWord],
      flags: { description: descriptionFlag, ...ramAccountFlag },
      examples: ['ringwall ram policy create office-only office.json'],
      async run({ daemon, words: [policyName = '', file = ''], flags, io }) {
        const document = await readDocument(file, io)
        const body = { policyName, document, ...newBodyOf(flags, { description: 'description' }) }
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path: ramPath('policies'), body })
        return said(answer, `Made policy ${policyName}`)
      },
    }),
    verb({
      name: 'update',
      summary: 'make another version of a policy, which holds at once',
      effect: 'changes',
      words: [policyWord, fileWord],
      flags: {
        'not-yet': { takes: 'nothing', help: 'it does not hold before "ringwall ram policy use"' },
        ...ramAccountFlag,
      },
      details: 'Five versions are kept; the oldest that does not hold goes for the sixth.',
      async run({ daemon, words: [policyName = '', file = ''], flags, io }) {
        const document = await readDocument(file, io)
        const body = { document, setAsDefault: !flags['not-yet'], rotates: true }
        const path = ramPath('policies', policyName, 'versions')
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path, body })
        const which = flags['not-yet'] ? 'is kept' : 'holds'
        return said(answer, `Version ${answer.versionId} of policy ${policyName} ${which}`)
      },
    }),
    verb({
      name: 'use',
      summary: 'say which version of a policy holds',
      effect: 'changes',
      words: [policyWord, { name: 'VERSION', help: 'v1, v2 …' }],
      flags: ramAccountFlag,
      async run({ daemon, words: [policyName = '', versionId = ''], flags }) {
        const path = ramPath('policies', policyName, 'default-version')
        const answer = await ramWrite(daemon, flags.account, { method: 'PUT', path, body: { versionId } })
        return said(answer, `Version ${versionId} of policy ${policyName} holds`)
      },
    }),
    verb({
      name: 'forget',
      summary: 'delete a version that does not hold',
      effect: 'deletes',
      words: [policyWord, { name: 'VERSION', help: 'v1, v2 …' }],
      flags: ramAccountFlag,
      async run({ daemon, words: [policyName = '', versionId = ''], flags, confirm }) {
        await confirm(`Delete version ${versionId} of policy ${policyName}?`)
        const path = ramPath('policies', policyName, 'versions', versionId)
        const answer = await ramWrite(daemon, flags.account, { method: 'DELETE', path })
        return said(answer, `Deleted version ${versionId} of policy ${policyName}`)
      },
    }),
    ramDeleteVerb(policies, 'delete a policy that nobody has, and that has one version'),
  ],
})

const roles: RamKind = {
  folder: 'roles',
  noun: 'role',
  plural: 'roles',
  answerField: 'role',
  word: roleWord,
  whenNone: 'Make one: ringwall ram role create NAME --trust FILE',
  columns: [
    { heading: 'ROLE', isWhole: true, cell: cell('roleName') },
    { heading: 'ACCOUNT', isWhole: true, cell: cell('accountId') },
    { heading: 'POLICIES', cell: policiesText },
    { heading: 'SESSIONS', cell: role => durationText(Number(role.maxSessionSeconds)) },
    { heading: 'DESCRIPTION', isOptional: true, cell: cell('description') },
  ],
  fields: role => [
    ['role', cell('roleName')(role)],
    ['description', cell('description')(role)],
    ['account', cell('accountId')(role)],
    ['in policies', cell('arn')(role)],
    ['sessions last', `${durationText(Number(role.maxSessionSeconds))} at most`],
    ['policies', policiesText(role)],
    ['made', time('createTime')(role)],
    ['revision', cell('revision')(role)],
  ],
}

const roleFlags = {
  trust: { takes: 'text', value: 'FILE', help: 'who may assume it: JSON with Principal; "-" is standard input' },
  sessions: {
    takes: 'duration',
    value: 'TIME',
    range: [3600, 43_200],
    help: 'how long a session may last, 1h to 12h; 1h if left out',
  },
  description: descriptionFlag,
} as const

const roleFields = { sessions: 'maxSessionSeconds', description: 'description' } as const

export const roleNoun = nounCommand({
  name: 'ram role',
  summary: 'what who is trusted may become for a time',
  verbs: [
    ramListVerb(roles),
    ramShowVerb(roles, ({ trustPolicy }) => documentLines(trustPolicy)),
    verb({
      name: 'create',
      summary: 'make a role',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'how it is called: letters, digits, "." and "-"' }],
      flags: { ...roleFlags, ...ramAccountFlag },
      examples: ['ringwall ram role create night-shift --trust trust.json --sessions 8h'],
      async run({ daemon, words: [roleName = ''], flags, io }) {
        if (flags.trust === undefined) throw new UsageError('missing --trust, the file that says who may assume it')
        const trustPolicy = await readDocument(flags.trust, io)
        const body = { roleName, trustPolicy, ...newBodyOf(flags, roleFields) }
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path: ramPath('roles'), body })
        return said(answer, `Made role ${roleName}`)
      },
    }),
    verb({
      name: 'modify',
      summary: 'change who may assume a role, and for how long',
      effect: 'changes',
      words: [roleWord],
      flags: { ...roleFlags, ...ramAccountFlag },
      async run({ daemon, words: [roleName = ''], flags, io }) {
        const { trust } = flags
        const body = {
          ...newBodyOf(flags, roleFields),
          ...(trust !== undefined && { trustPolicy: await readDocument(trust, io) }),
        }
        requireChange(body, roleFlags)
        const path = ramPath('roles', roleName)
        const answer = await ramWrite(daemon, flags.account, { method: 'PATCH', path, body })
        return said(answer, `Changed role ${roleName}`)
      },
    }),
    ...attachmentVerbs(roles),
    ramDeleteVerb(roles, 'delete a role without policies; its sessions end', ', whose sessions end'),
  ],
})
