/** `ringwall instance`: hosts, and the virtual machines on them. */
import { accountFlag, clearable, descriptionFlag, nameFlag, tagFlag, untagFlag } from '../operate/flags.ts'
import { instances } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb, showVerb } from '../operate/objects.ts'
import { createVerb, modifyVerb } from '../operate/writing.ts'

const typeFlag = {
  takes: 'text',
  value: 'TYPE',
  help: 'instance type, ecs.g5.large; gives the thresholds of traffic scrubbing',
} as const
const agentFlag = {
  takes: 'text',
  value: 'AGENT',
  names: 'agent',
  help: 'the agent that serves it, by id or host name',
} as const

const modifyFlags = {
  name: clearable(nameFlag),
  description: clearable(descriptionFlag),
  type: typeFlag,
  agent: { ...agentFlag, help: `${agentFlag.help}; an empty text for none` },
  'smtp-unblocked': { takes: 'choice', choices: ['yes', 'no'], help: 'whether outbound TCP port 25 is open' },
  tag: tagFlag,
  untag: untagFlag,
} as const

const names = { name: 'instanceName', description: 'description', type: 'instanceType' } as const

export const command = nounCommand({
  name: 'instance',
  summary: 'hosts and the virtual machines on them',
  details: `A host that joins with "ringwall agent invite --new-instance" registers itself.`,
  verbs: [
    listVerb(instances),
    showVerb(instances),
    createVerb(instances, {
      name: 'register',
      summary: 'make an instance known',
      flags: {
        name: nameFlag,
        description: descriptionFlag,
        type: typeFlag,
        agent: agentFlag,
        tag: tagFlag,
        account: accountFlag,
      },
      names,
      examples: ['ringwall instance register i-web1 --name web1 --type ecs.g5.large'],
      more: async (daemon, { agent }) => (agent === undefined ? {} : { agentId: await daemon.idOf('agent', agent) }),
    }),
    modifyVerb(instances, {
      summary: 'change an instance',
      flags: modifyFlags,
      names,
      more: async (daemon, { agent, 'smtp-unblocked': smtp }) => ({
        ...(agent !== undefined && { agentId: agent === '' ? null : await daemon.idOf('agent', agent) }),
        ...(smtp !== undefined && { smtpUnblocked: smtp === 'yes' }),
      }),
    }),
    deleteVerb(instances, {
      warning: ' and its network interfaces',
      summary: 'forget an instance and its network interfaces',
    }),
  ],
})
