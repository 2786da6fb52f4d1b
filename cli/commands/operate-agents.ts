/** `ringwall agent list` and so on: the agents of the fleet, as the daemon sees them. */
import { type Io, runCommand } from '../command.ts'
import { accountFlag } from '../operate/flags.ts'
import { agents, invitations } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb, said, showVerb } from '../operate/objects.ts'
import { pathOf, resources, type Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { listText, timeText, valueText } from '../output/values.ts'

const typeFlag = { takes: 'text', value: 'TYPE', help: 'with --new-instance: its instance type' } as const

export const agentNoun = nounCommand({
  name: 'agent',
  summary: 'the agents of the fleet',
  verbs: [
    listVerb(agents),
    showVerb(agents, async (_daemon, agent) => {
      const states = new Map(
        ((agent.networkInterfaces ?? []) as readonly Shown[]).map(each => [each.networkInterfaceId, each.state]),
      )
      const devices = (agent.devices ?? []) as readonly Shown[]
      return width => [
        ...(states.size === 0 ? [] : ['', ...tableLines(eniColumns, [...states], width)]),
        ...(devices.length === 0 ? [] : ['', ...tableLines(deviceColumns, devices, width)]),
      ]
    }),
    verb({
      name: 'invite',
      summary: 'let one host join: prints the command to run there',
      effect: 'makes',
      words: [],
      flags: {
        instance: {
          takes: 'list',
          value: 'INSTANCE',
          names: 'instance',
          help: 'an instance it will serve; may be repeated',
        },
        'new-instance': { takes: 'nothing', help: 'make an instance for the host, named after it' },
        account: { ...accountFlag, help: 'with --new-instance: the account of the instance' },
        type: typeFlag,
        agent: { takes: 'text', value: 'AGENT', names: 'agent', help: 'the agent that enrols again, under its old id' },
        expires: {
          takes: 'duration',
          value: 'TIME',
          range: [1, 604_800],
          help: 'how long the invitation is good: 15m, 2h, 7d at most; 1h if left out',
        },
      },
      details: 'The token in the printed command is good for one host, once. It is shown this once.',
      examples: [
        'ringwall agent invite --instance i-web1',
        'ringwall agent invite --new-instance --account shop --expires 2h',
      ],
      async run({ daemon, flags }) {
        const accountId = flags['new-instance'] ? await daemon.accountId(flags.account) : undefined
        const body = {
          ...(flags.instance !== undefined && { instanceIds: await daemon.idsOf('instance', flags.instance) }),
          ...(flags['new-instance'] && {
            newInstance: {
              accountId: accountId ?? (await onlyAccount(() => daemon.list('account', {}, 2))),
              ...(flags.type !== undefined && { instanceType: flags.type }),
            },
          }),
          ...(flags.agent !== undefined && { agentId: await daemon.idOf('agent', flags.agent) }),
          ...(flags.expires !== undefined && { expiresInSeconds: flags.expires }),
        }
        const answer = await daemon.write({ method: 'POST', path: resources.invitation.path, body, isSecret: true })
        const { expireTime } = (answer.enrolmentToken ?? {}) as Shown
        const until = timeText(expireTime as string | undefined)
        return {
          answer,
          text: () => [
            `Run this on the host as root${until === '' ? '' : `, before ${until}`}; it is shown this once:`,
            String(answer.joinCommand),
          ],
        }
      },
    }),
    { ...listVerb(invitations), name: 'invitations', summary: 'list invitations, used and unused' },
    { ...deleteVerb(invitations), name: 'uninvite', summary: 'take an invitation back' },
    verb({
      name: 'confirm',
      summary: 'keep the policy that an agent has on trial, because it would cut an administrator off',
      effect: 'looks',
      words: [agents.word],
      flags: {},
      details: 'What it would cut, and until when it waits: "ringwall agent show AGENT".',
      async run({ daemon, words: [text = ''] }) {
        const id = await daemon.idOf('agent', text)
        const answer = await daemon.client.write({ method: 'POST', path: pathOf(resources.agent, id, 'confirm') })
        return { answer, text: () => [`Confirmed: agent ${id} keeps its policy.`] }
      },
    }),
    verb({
      name: 'revoke',
      summary: 'cut an agent off, at once and for good; what it enforces stays in force',
      effect: 'deletes',
      words: [agents.word],
      flags: {},
      details: `Its network interfaces stay in their groups, and other hosts go on letting their addresses in. Of a host that is not
trusted any more, take them out: "ringwall eni detach ENI GROUP".`,
      async run({ daemon, words: [text = ''], confirm }) {
        const id = await daemon.idOf('agent', text)
        await confirm(
          `Cut off agent ${id === text ? id : `${text} (${id})`}? Its host keeps what it enforces, and hears of no change`,
        )
        return said(
          await daemon.write({ method: 'POST', path: pathOf(resources.agent, id, 'revoke') }),
          `Revoked agent ${id}`,
        )
      },
    }),
    deleteVerb(agents, {
      warning: '; its instances are without agent then',
      summary: 'forget an agent that is revoked or was never there',
    }),
  ],
})

export const agentOperations: readonly string[] = agentNoun.noun.verbs.map(({ name }) => name)

/** @param args  an operation and its arguments: what was typed after `ringwall agent` */
export function operate(args: readonly string[], io: Io): Promise<number> {
  return runCommand(agentNoun, args, io)
}

const eniColumns = [
  { heading: 'ENI', isWhole: true, cell: ([id]: readonly [unknown, unknown]) => valueText(id) },
  { heading: 'STATE', cell: ([, state]: readonly [unknown, unknown]) => valueText(state) },
]

const deviceColumns = [
  { heading: 'DEVICE', isWhole: true, cell: (device: Shown) => valueText(device.name) },
  { heading: 'MAC', isWhole: true, cell: (device: Shown) => valueText(device.macAddress) },
  { heading: 'KIND', isOptional: true, cell: (device: Shown) => valueText(device.kind) },
  { heading: 'UP', cell: (device: Shown) => valueText(device.up) },
  { heading: 'ADDRESSES', cell: (device: Shown) => listText(device.addresses as string[]) },
]

/** The API wants the account of an instance that is yet to be; where there is one alone it need not be typed. */
async function onlyAccount(list: () => Promise<{ readonly items: readonly Shown[] }>): Promise<string | undefined> {
  const { items } = await list()
  return items.length === 1 ? String(items[0]!.accountId) : undefined
}
