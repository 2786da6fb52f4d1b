/** `ringwall rule`: rules of security groups, in words that read aloud. */
import { insteadOf } from '../arguments.ts'
import { exitRefused, OperationError, UsageError } from '../command.ts'
import { type Daemon, requireId } from '../operate/daemon.ts'
import { clearable, descriptionFlag, sortFlag } from '../operate/flags.ts'
import { groupWord, ruleColumns, ruleTable } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { requireChange, said, sortField } from '../operate/objects.ts'
import { pathOf, resources } from '../operate/resources.ts'
import {
  directions,
  type FindPeer,
  localChange,
  type Permission,
  peerChange,
  readRule,
  readService,
  readVerdict,
  ruleWords,
  sourcePortChange,
  verdictWords,
} from '../operate/rule-words.ts'
import { verb, type Word } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { count } from '../output/values.ts'

const nicFlag = {
  takes: 'choice',
  choices: ['internet', 'intranet'],
  help: 'classic networks: which interfaces the rule is for',
} as const

const ruleFlags = {
  priority: { takes: 'number', value: 'N', range: [1, 100], help: '1 is strongest, 100 weakest; 1 if left out' },
  description: descriptionFlag,
  'from-port': { takes: 'text', value: 'PORTS', help: 'source ports, 1024-65535; any if left out' },
  local: { takes: 'text', value: 'CIDR', help: "narrows the interface's own side" },
  'nic-type': nicFlag,
} as const

const modifyFlags = {
  priority: { takes: 'number', value: 'N', range: [1, 100], help: '1 is strongest, 100 weakest' },
  verdict: { takes: 'choice', choices: verdictWords, help: 'what happens to what matches' },
  what: { takes: 'text', value: 'SERVICE', help: 'protocol and ports, as in add' },
  peer: { takes: 'text', value: 'PEER', help: 'one peer, as in add' },
  'from-port': { takes: 'text', value: 'PORTS', help: 'source ports; an empty text for any' },
  local: { takes: 'text', value: 'CIDR', help: "narrows the interface's own side; an empty text takes that away" },
  description: clearable(descriptionFlag),
} as const

const words: readonly Word[] = [
  groupWord,
  { name: 'DIRECTION', choices: directions, help: 'what comes to the interface, or what leaves it' },
  { name: 'VERDICT', choices: verdictWords, help: 'deny and drop are silent' },
  {
    name: 'SERVICE',
    names: 'service',
    also: ['tcp/', 'udp/', 'icmp', 'icmpv6', 'gre', 'all'],
    hasCommas: true,
    help: 'tcp/443, tcp/8000-8100, udp/53, icmp, icmpv6, gre, all, or a service such as ssh; several with commas',
  },
  { name: 'from|to', choices: ['from', 'to'], help: '"from" for ingress, "to" for egress' },
  {
    name: 'PEER',
    names: ['group', 'prefixList'],
    also: ['any', 'any-ipv4', 'any-ipv6'],
    hasCommas: true,
    isMany: true,
    help: 'addresses, groups, prefix lists, any; several with commas',
  },
]

const peers = `A peer is told by its form:
  203.0.113.0/24, 2001:db8::/32   a block of addresses, or one address
  sg-app, app-servers             the members of a group, by id or name
  sg-app@1234567890123456         a group of another account
  pl-office                       a prefix list
  any, any-ipv4, any-ipv6         everybody; any is two rules, one for each family
Each service and each peer becomes a rule. Rules that differ in nothing but the description are one rule: adding
it again changes nothing.`

const ruleSorts = { priority: 'priority', made: 'createTime' } as const

const ruleWord: Word = { name: 'RULE', names: 'rule', help: 'id of the rule, sgr-…' }

export const command = nounCommand({
  name: 'rule',
  summary: 'rules of security groups',
  details: 'ringwall rule add sg-web ingress allow tcp/443 from 0.0.0.0/0,sg-app --priority 1',
  verbs: [
    verb({
      name: 'list',
      summary: 'list the rules of a security group',
      effect: 'looks',
      words: [groupWord],
      flags: {
        direction: { takes: 'choice', choices: directions, help: 'only those of this direction' },
        verdict: { takes: 'choice', choices: verdictWords, help: 'only those with this verdict' },
        protocol: {
          takes: 'choice',
          choices: ['all', 'tcp', 'udp', 'icmp', 'icmpv6', 'gre'],
          help: 'only those for this protocol',
        },
        sort: {
          ...sortFlag(ruleSorts),
          help: 'order; with "-" downwards; if left out, ingress before egress, and the strongest first',
        },
      },
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('group', text)
        const { direction, verdict, protocol, sort } = flags
        const query = {
          direction,
          policy: verdict && readVerdict(verdict),
          ipProtocol: protocol,
          sort: sort && sortField(ruleSorts, sort),
        }
        const page = await daemon.client.list<Permission>(pathOf(resources.group, id, 'rules'), query)
        const isFiltered = direction !== undefined || verdict !== undefined || protocol !== undefined
        const table = (width: number) =>
          sort === undefined ? ruleTable(page.items, width) : tableLines(ruleColumns, page.items, width)
        const none = isFiltered
          ? `${id} has no such rules.`
          : `${id} has no rules. Add one: ringwall rule add ${id} ingress allow tcp/443 from 0.0.0.0/0`
        return {
          answer: page,
          text: width => (page.items.length === 0 ? [none] : table(width)),
        }
      },
    }),
    verb({
      name: 'add',
      summary: 'add rules to a security group, all or none of them',
      effect: 'changes',
      words,
      flags: ruleFlags,
      details: peers,
      examples: [
        'ringwall rule add sg-web ingress allow tcp/443 from 0.0.0.0/0,sg-app,pl-office --priority 1',
        'ringwall rule add sg-web ingress allow http,https from any',
        'ringwall rule add sg-db egress deny all to 0.0.0.0/0 --priority 100',
      ],
      async run({ daemon, words: [text = '', ...typed], flags }) {
        const find = finderOf(daemon)
        const permissions = await readRule(typed, flags, find)
        const id = await daemon.idOf('group', text)
        const answer = await daemon.write({
          method: 'POST',
          path: pathOf(resources.group, id, 'rules'),
          body: { permissions },
        })
        return said(
          answer,
          `${id} has ${permissions.length === 1 ? 'this rule' : 'these rules'}`,
          ruleLines(answer.permissions),
        )
      },
    }),
    verb({
      name: 'modify',
      summary: 'change one rule',
      effect: 'changes',
      words: [groupWord, ruleWord],
      flags: modifyFlags,
      async run({ daemon, words: [text = '', ruleText = ''], flags }) {
        const ruleId = requireRuleId(ruleText)
        const id = await daemon.idOf('group', text)
        const { direction } = await findRule(daemon, id, ruleId)
        const body = {
          ...(flags.priority !== undefined && { priority: flags.priority }),
          ...(flags.verdict !== undefined && { policy: readVerdict(flags.verdict) }),
          ...(flags.what !== undefined && readService(flags.what)),
          ...(flags.peer !== undefined && (await peerChange(direction, flags.peer, finderOf(daemon)))),
          ...(flags['from-port'] !== undefined && sourcePortChange(flags['from-port'])),
          ...(flags.local !== undefined && localChange(direction, flags.local)),
          ...(flags.description !== undefined && { description: flags.description === '' ? null : flags.description }),
        }
        requireChange(body, modifyFlags)
        const answer = await daemon.write({ method: 'PATCH', path: pathOf(resources.group, id, 'rules', ruleId), body })
        return said(answer, `Changed rule ${ruleId} of ${id}`)
      },
    }),
    verb({
      name: 'remove',
      summary: 'take rules away: by their ids, or by the words they were added with',
      effect: 'changes',
      words: [
        groupWord,
        { ...ruleWord, isMany: true, help: 'ids, sgr-…, or DIRECTION VERDICT SERVICE from|to PEER… as in add' },
      ],
      flags: ruleFlags,
      examples: [
        'ringwall rule remove sg-web sgr-4b2c9e0d7f31',
        'ringwall rule remove sg-web ingress allow tcp/443 from 0.0.0.0/0 --priority 1',
      ],
      async run({ daemon, words: [text = '', ...typed], flags }) {
        const body = /^sgr-/.test(typed[0] ?? '')
          ? { securityGroupRuleIds: typed.map(requireRuleId) }
          : { permissions: await readRule(requireWords(typed), flags, finderOf(daemon)) }
        const id = await daemon.idOf('group', text)
        const path = pathOf(resources.group, id, 'rules', 'revoke')
        const answer = await daemon.write({ method: 'POST', path, body })
        const revoked = (answer.revoked ?? []) as readonly unknown[]
        if (revoked.length === 0) return said(answer, `${id} has no such rule`)
        return said(answer, `Removed ${count(revoked.length, 'rule')} of ${id}`, ruleLines(revoked))
      },
    }),
  ],
})

function finderOf(daemon: Daemon): FindPeer {
  return (kind, text) => daemon.idOf(kind, text)
}

function requireRuleId(text: string): string {
  return requireId('RULE', text, /^[A-Za-z][\w.-]*$/, 'the id of a rule, as "ringwall rule list" shows it')
}

/** @throws {UsageError} where the words are too few for a rule */
function requireWords(typed: readonly string[]): readonly string[] {
  if (typed.length >= 5) return typed
  throw new UsageError(
    `"${typed.join(' ')}" is no rule, expected ids (sgr-…) or DIRECTION VERDICT SERVICE from|to PEER`,
  )
}

async function findRule(daemon: Daemon, groupId: string, ruleId: string): Promise<Permission> {
  const { items } = await daemon.client.list<Permission>(pathOf(resources.group, groupId, 'rules'))
  const rule = items.find(({ securityGroupRuleId }) => securityGroupRuleId === ruleId)
  if (rule !== undefined) return rule
  const known = items.map(({ securityGroupRuleId = '' }) => securityGroupRuleId)
  const hint = insteadOf(ruleId, known, `see "ringwall rule list ${groupId}"`)
  throw new OperationError([`no such rule "${ruleId}" in ${groupId}; ${hint}`], exitRefused)
}

function ruleLines(permissions: unknown): string[] {
  const rules = (permissions ?? []) as readonly Permission[]
  return rules.map(rule => `  ${rule.securityGroupRuleId ?? ''}  ${ruleWords(rule)}`)
}
