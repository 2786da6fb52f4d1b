/** `ringwall ram key` and `ringwall ram simulate`. */
import { exitFailed, UsageError } from '../command.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { said } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { verb, type Word } from '../operate/verb.ts'
import { accountOf } from '../operate/writing.ts'
import { tableLines } from '../output/table.ts'
import { timeText, valueText } from '../output/values.ts'
import { cell, ramAccountFlag, ramPath, ramWrite, time, userWord } from './common.ts'

const keyWord: Word = { name: 'KEY', names: 'accessKey', help: 'id of the access key' }

const ownerText = ({ userName }: Shown) => (userName === null ? 'the account' : valueText(userName))
const usedText = ({ lastUsedTime, lastUsedAddress }: Shown) =>
  lastUsedTime === null ? '' : `${timeText(lastUsedTime as string)} from ${valueText(lastUsedAddress)}`

const columns = [
  { heading: 'KEY', isWhole: true, cell: cell('accessKeyId') },
  { heading: 'OF', cell: ownerText },
  { heading: 'ACCOUNT', isWhole: true, cell: cell('accountId') },
  { heading: 'STATUS', cell: cell('status') },
  { heading: 'MADE', isWhole: true, cell: time('createTime') },
  { heading: 'USED LAST', cell: usedText },
]

export const keyNoun = nounCommand({
  name: 'ram key',
  summary: 'access keys, which sign requests of the RPC API',
  verbs: [
    verb({
      name: 'list',
      summary: 'list access keys, and when each was used last',
      effect: 'looks',
      words: [],
      flags: {
        user: { takes: 'text', value: 'USER', names: 'ramUser', help: 'only those of this user' },
        account: { ...ramAccountFlag.account, help: 'only those of this account' },
      },
      async run({ daemon, flags }) {
        const query = { ...(await accountOf(daemon, flags)), userName: flags.user }
        const page = await daemon.client.list<Shown>(ramPath('access-keys'), query)
        return {
          answer: page,
          text: width =>
            page.items.length === 0
              ? ['There are no access keys. Make one: ringwall ram key create USER']
              : tableLines(columns, page.items, width),
        }
      },
    }),
    verb({
      name: 'create',
      summary: 'make an access key; its secret is shown this once',
      effect: 'makes',
      words: [{ ...userWord, isOptional: true }],
      flags: {
        'of-account': { takes: 'nothing', help: 'the account’s own, which may everything in it, in place of USER' },
        ...ramAccountFlag,
      },
      details: 'A user has two at most: make the new one, change over, then delete the old one.',
      examples: ['ringwall ram key create alice', 'ringwall ram key create --of-account'],
      async run({ daemon, words: [user], flags }) {
        if ((user === undefined) !== flags['of-account']) throw new UsageError('expected USER or --of-account')
        const body = { userName: user ?? null }
        const path = ramPath('access-keys')
        const answer = await ramWrite(daemon, flags.account, { method: 'POST', path, body, isSecret: true })
        const { accessKeyId } = (answer.accessKey ?? {}) as Shown
        return {
          answer,
          text: () => [
            `Made access key ${accessKeyId} of ${user ?? 'the account'}. Its secret is shown this once:`,
            String(answer.accessKeySecret),
          ],
        }
      },
    }),
    ...(
      [
        ['enable', 'Active', 'switch an access key on again', 'Switched on'],
        ['disable', 'Inactive', 'switch an access key off: what it signs is refused', 'Switched off'],
      ] as const
    ).map(([name, status, summary, did]) =>
      verb({
        name,
        summary,
        effect: 'changes',
        words: [keyWord],
        flags: {},
        async run({ daemon, words: [key = ''] }) {
          const answer = await daemon.write({ method: 'PATCH', path: ramPath('access-keys', key), body: { status } })
          return said(answer, `${did} access key ${key}`)
        },
      }),
    ),
    verb({
      name: 'delete',
      summary: 'delete an access key',
      effect: 'deletes',
      words: [keyWord],
      flags: {},
      async run({ daemon, words: [key = ''], confirm }) {
        await confirm(`Delete access key ${key}; what it signs is refused from then on?`)
        const answer = await daemon.write({ method: 'DELETE', path: ramPath('access-keys', key) })
        return said(answer, `Deleted access key ${key}`)
      },
    }),
  ],
})

interface SpeakingStatement {
  readonly policyType: string
  readonly policyName: string
  readonly statement: number
  readonly effect: string
  readonly groupName: string | null
  readonly isDeciding: boolean
}
interface Simulation {
  readonly userName: string
  readonly action: string
  readonly resources: readonly string[]
  readonly isAllowed: boolean
  readonly decidedBy: 'deny' | 'allow' | 'nothing'
  readonly statements: readonly SpeakingStatement[]
}

const statementColumns = [
  { heading: '', cell: ({ isDeciding }: SpeakingStatement) => (isDeciding ? 'decides' : 'speaks') },
  { heading: 'EFFECT', cell: ({ effect }: SpeakingStatement) => effect },
  { heading: 'POLICY', isWhole: true, cell: ({ policyName }: SpeakingStatement) => policyName },
  { heading: 'TYPE', cell: ({ policyType }: SpeakingStatement) => policyType },
  { heading: 'STATEMENT', cell: ({ statement }: SpeakingStatement) => String(statement) },
  {
    heading: 'FROM',
    cell: ({ groupName }: SpeakingStatement) => (groupName === null ? 'the user' : `group ${groupName}`),
  },
]

const reasons = { deny: 'a statement denies it', allow: '', nothing: 'no statement allows it' } as const

export const simulateNoun = nounCommand({
  name: 'ram simulate',
  summary: 'say whether a user may, and who decides',
  details: 'Nothing is done. Exit code 1 where he may not.',
  verbs: [
    verb({
      name: '',
      summary: 'say whether a user may, and who decides',
      effect: 'looks',
      words: [
        userWord,
        { name: 'ACTION', help: 'as policies name it: ecs:AuthorizeSecurityGroup' },
        {
          name: 'RESOURCE',
          isOptional: true,
          help: 'sg-web, i-1, user/bob, or acs:…; all that it can be done to if left out',
        },
      ],
      flags: {
        from: { takes: 'text', value: 'ADDRESS', help: 'the address he asks from; 127.0.0.1 if left out' },
        plain: { takes: 'nothing', help: 'he asks without TLS' },
        at: { takes: 'text', value: 'TIME', help: 'when, 2026-11-26T20:40Z; now if left out' },
        ...ramAccountFlag,
      },
      examples: ['ringwall ram simulate alice ecs:AuthorizeSecurityGroup sg-web --from 198.18.7.1'],
      async run({ daemon, words: [user = '', action = '', resource], flags }) {
        const query = {
          ...(await accountOf(daemon, flags)),
          action,
          resource,
          sourceAddress: flags.from,
          ...(flags.plain && { secure: false }),
          time: flags.at,
        }
        const path = ramPath('users', user, 'simulate')
        const answer = await daemon.client.get<{ simulation: Simulation }>(path, query)
        const { simulation } = answer
        return {
          answer,
          text: width => [verdictOf(simulation), ...statementLines(simulation.statements, width)],
          exitCode: simulation.isAllowed ? 0 : exitFailed,
        }
      },
    }),
  ],
})

function verdictOf({ userName, action, resources, isAllowed, decidedBy }: Simulation): string {
  if (isAllowed) return `${userName} may ${action} on ${resources.join(' and ')}.`
  return `${userName} may not ${action} on ${resources[0]}: ${reasons[decidedBy]}.`
}

function statementLines(statements: readonly SpeakingStatement[], width: number): readonly string[] {
  return statements.length === 0 ? [] : ['', ...tableLines(statementColumns, statements, width)]
}
