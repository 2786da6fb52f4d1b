/** `ringwall ram user` and `ringwall ram group`. */
import { clearable, nameFlag } from '../operate/flags.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { bodyOf, newBodyOf, requireChange, said } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { listText } from '../output/values.ts'
import {
  attachmentVerbs,
  cell,
  groupWord,
  pairVerbs,
  policiesText,
  type RamKind,
  ramAccountFlag,
  ramDeleteVerb,
  ramListVerb,
  ramPath,
  ramShowVerb,
  ramWrite,
  time,
  userWord,
} from './common.ts'

const groupsText = ({ groups = [] }: Shown) =>
  listText((groups as readonly { groupName: string }[]).map(({ groupName }) => groupName))

const users: RamKind = {
  folder: 'users',
  noun: 'user',
  plural: 'users',
  answerField: 'user',
  word: userWord,
  whenNone: 'Make one: ringwall ram user create NAME',
  columns: [
    { heading: 'USER', isWhole: true, cell: cell('userName') },
    { heading: 'NAME', isOptional: true, cell: cell('displayName') },
    { heading: 'ACCOUNT', isWhole: true, cell: cell('accountId') },
    { heading: 'GROUPS', cell: groupsText },
    { heading: 'POLICIES', cell: policiesText },
    { heading: 'COMMENTS', isOptional: true, cell: cell('comments') },
  ],
  fields: user => [
    ['user', cell('userName')(user)],
    ['name', cell('displayName')(user)],
    ['comments', cell('comments')(user)],
    ['account', cell('accountId')(user)],
    ['id', cell('userId')(user)],
    ['in policies', cell('arn')(user)],
    ['groups', groupsText(user)],
    ['policies', policiesText(user)],
    ['made', time('createTime')(user)],
    ['revision', cell('revision')(user)],
  ],
}

const commentsFlag = { takes: 'text', value: 'TEXT', help: 'whatever there is to say' } as const
const userFlags = { name: clearable(nameFlag), comments: clearable(commentsFlag) } as const
const userFields = { name: 'displayName', comments: 'comments' } as const

export const userNoun = nounCommand({
  name: 'ram user',
  summary: 'who may call, as far as policies say',
  details: 'A user may nothing until a policy says so, its own or one of its groups.',
  verbs: [
    ramListVerb(users),
    ramShowVerb(users),
    verb({
      name: 'create',
      summary: 'make a user',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'how it is called: letters, digits, ".", "_" and "-"' }],
      flags: { name: nameFlag, comments: commentsFlag, ...ramAccountFlag },
      examples: ['ringwall ram user create alice --comments on-call'],
      async run({ daemon, words: [userName = ''], flags }) {
        const body = { userName, ...newBodyOf(flags, userFields) }
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path: ramPath('users'), body })
        return said(answer, `Made user ${userName}, who may nothing yet`)
      },
    }),
    verb({
      name: 'modify',
      summary: 'change how a user is called and described',
      effect: 'changes',
      words: [userWord],
      flags: { ...userFlags, ...ramAccountFlag },
      async run({ daemon, words: [userName = ''], flags }) {
        const body = bodyOf(flags, userFields)
        requireChange(body, userFlags)
        const path = ramPath('users', userName)
        const answer = await ramWrite(daemon, flags.account, { method: 'PATCH', path, body })
        return said(answer, `Changed user ${userName}`)
      },
    }),
    ...attachmentVerbs(users),
    ramDeleteVerb(users, 'delete a user that has no keys, tokens, groups and policies any more'),
  ],
})

const groups: RamKind = {
  folder: 'groups',
  noun: 'group',
  plural: 'groups',
  answerField: 'group',
  word: groupWord,
  whenNone: 'Make one: ringwall ram group create NAME',
  columns: [
    { heading: 'GROUP', isWhole: true, cell: cell('groupName') },
    { heading: 'ACCOUNT', isWhole: true, cell: cell('accountId') },
    { heading: 'USERS', cell: ({ userNames }) => listText(userNames as string[]) },
    { heading: 'POLICIES', cell: policiesText },
    { heading: 'COMMENTS', isOptional: true, cell: cell('comments') },
  ],
  fields: group => [
    ['group', cell('groupName')(group)],
    ['comments', cell('comments')(group)],
    ['account', cell('accountId')(group)],
    ['users', listText(group.userNames as string[])],
    ['policies', policiesText(group)],
    ['made', time('createTime')(group)],
    ['revision', cell('revision')(group)],
  ],
}

export const groupNoun = nounCommand({
  name: 'ram group',
  summary: 'users who have the same policies',
  verbs: [
    ramListVerb(groups),
    ramShowVerb(groups),
    verb({
      name: 'create',
      summary: 'make a group of users',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'how it is called: letters, digits, ".", "_" and "-"' }],
      flags: { comments: commentsFlag, ...ramAccountFlag },
      async run({ daemon, words: [groupName = ''], flags }) {
        const body = { groupName, ...newBodyOf(flags, { comments: 'comments' }) }
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path: ramPath('groups'), body })
        return said(answer, `Made group ${groupName}`)
      },
    }),
    ...pairVerbs(groups, users, [
      ['add', 'PUT', 'put a user into a group', 'Put', 'into'],
      ['remove', 'DELETE', 'take a user out of a group', 'Took', 'out of'],
    ]),
    ...attachmentVerbs(groups),
    ramDeleteVerb(groups, 'delete a group without users and policies'),
  ],
})
