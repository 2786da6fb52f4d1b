/** `ringwall instance`: hosts, and the virtual machines on them. */
import { accountFlag, clearable, descriptionFlag, nameFlag, tagFlag, untagFlag } from '../operate/flags.ts'
import { instances } from '../operate/kinds.ts'
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
import { pathOf, resources } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'

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
    verb({
      name: 'register',
      summary: 'make an instance known',
      effect: 'makes',
      words: [{ name: 'ID', isOptional: true, help: 'the id it shall have, i-…; made by the daemon if left out' }],
      flags: {
        name: nameFlag,
        description: descriptionFlag,
        type: typeFlag,
        agent: agentFlag,
        tag: tagFlag,
        account: accountFlag,
      },
      examples: ['ringwall instance register i-web1 --name web1 --type ecs.g5.large'],
      async run({ daemon, words: [id], flags }) {
        const tags = readTags(flags.tag)
        const accountId = await daemon.accountId(flags.account)
        const body = {
          ...newId('instance', id),
          ...(accountId !== undefined && { accountId }),
          ...newBodyOf(flags, names),
          ...(flags.agent !== undefined && { agentId: await daemon.idOf('agent', flags.agent) }),
          ...(tags !== undefined && { tags }),
        }
        return made('instance', await daemon.write({ method: 'POST', path: resources.instance.path, body }))
      },
    }),
    verb({
      name: 'modify',
      summary: 'change an instance',
      effect: 'changes',
      words: [instances.word],
      flags: modifyFlags,
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('instance', text)
        const { ifRevision, ...tags } = await changedTags(daemon, 'instance', id, flags)
        const { agent } = flags
        const body = {
          ...bodyOf(flags, names),
          ...(agent !== undefined && { agentId: agent === '' ? null : await daemon.idOf('agent', agent) }),
          ...(flags['smtp-unblocked'] !== undefined && { smtpUnblocked: flags['smtp-unblocked'] === 'yes' }),
          ...tags,
        }
        requireChange(body, modifyFlags)
        const answer = await daemon.write({ method: 'PATCH', path: pathOf(resources.instance, id), body, ifRevision })
        return changed('instance', id, answer)
      },
    }),
    deleteVerb(instances, {
      warning: ' and its network interfaces',
      summary: 'forget an instance and its network interfaces',
    }),
  ],
})
