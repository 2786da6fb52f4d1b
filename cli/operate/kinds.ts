/** Columns and fields of every kind of object, and the flags its list is filtered by. */
import { type Column, tableLines } from '../output/table.ts'
import { listText, tagsText, timeText, valueText } from '../output/values.ts'
import type { Kind } from './objects.ts'
import { enforcementText } from './observed.ts'
import type { Shown } from './resources.ts'
import { localOfPermission, nicText, type Permission, peerOfPermission, portsText, serviceText } from './rule-words.ts'
import type { Flag, Word } from './verb.ts'

function text(field: string): (item: Shown) => string {
  return item => valueText(item[field])
}

function time(field: string): (item: Shown) => string {
  return item => timeText(item[field] as string | null)
}

function list(...fields: readonly string[]): (item: Shown) => string {
  return item => listText(fields.flatMap(field => (item[field] ?? []) as string[]))
}

const tags = (item: Shown) => tagsText(item.tags as Record<string, string>)

function id(heading: string, field: string): Column<Shown> {
  return { heading, isWhole: true, cell: text(field) }
}

function idList(heading: string, ...fields: readonly string[]): Column<Shown> {
  return { heading, isWhole: 'list', cell: list(...fields) }
}

function fields(...rows: readonly (readonly [string, (item: Shown) => string])[]): Kind['fields'] {
  return item => rows.map(([name, cell]) => [name, cell(item)])
}

function filter(parameter: string, flag: Flag) {
  return { parameter, flag }
}

function nameFilter(parameter: string) {
  return filter(parameter, { takes: 'text', value: 'NAME', help: 'only those of this name; "*" stands for any text' })
}

/** The words of policy files; the API takes both. */
function groupType({ securityGroupType }: Shown): string {
  return { normal: 'basic', enterprise: 'advanced' }[String(securityGroupType)] ?? valueText(securityGroupType)
}

export const groupWord: Word = { name: 'GROUP', names: 'group', help: 'id or name of the security group' }

export const groups = {
  kind: 'group',
  plural: 'security groups',
  word: groupWord,
  hasTags: true,
  hasAccount: true,
  columns: [
    id('GROUP', 'securityGroupId'),
    { heading: 'NAME', cell: text('securityGroupName') },
    { heading: 'ACCOUNT', isWhole: true, cell: text('accountId') },
    { heading: 'TYPE', cell: groupType },
    { heading: 'NETWORK', cell: item => (item.networkType === 'classic' ? 'classic' : valueText(item.vpcId) || 'vpc') },
    { heading: 'INNER', cell: text('innerAccessPolicy') },
    { heading: 'MODE', isOptional: true, cell: ({ mode }) => (mode === 'observe' ? 'observe' : '') },
    { heading: 'RULES', cell: text('ruleCount') },
    { heading: 'ENIS', cell: text('networkInterfaceCount') },
    { heading: 'TAGS', isOptional: true, cell: tags },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['group', text('securityGroupId')],
    ['name', text('securityGroupName')],
    ['description', text('description')],
    ['account', text('accountId')],
    ['type', groupType],
    ['network', text('networkType')],
    ['VPC', text('vpcId')],
    ['inner access', text('innerAccessPolicy')],
    ['mode', text('mode')],
    ['default group', text('isDefault')],
    ['rules', text('ruleCount')],
    [
      'interfaces',
      ({ networkInterfaceCount: all, observedCount: observed }) =>
        observed === undefined || observed === 0 ? valueText(all) : `${all}, of which ${observed} observed`,
    ],
    ['instances', text('ecsCount')],
    ['tags', tags],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: {
    name: nameFilter('securityGroupName'),
    vpc: filter('vpcId', { takes: 'text', value: 'VPC', help: 'only those of this VPC' }),
    network: filter('networkType', {
      takes: 'choice',
      choices: ['vpc', 'classic'],
      help: 'only those of this kind of network',
    }),
    mode: filter('mode', { takes: 'choice', choices: ['enforce', 'observe'], help: 'only those of this mode' }),
    type: filter('securityGroupType', {
      takes: 'choice',
      choices: ['basic', 'advanced'],
      help: 'only those of this type',
    }),
  },
  sorts: { name: 'securityGroupName', made: 'createTime' },
} as const satisfies Kind

export const ruleColumns: readonly Column<Permission>[] = [
  { heading: 'RULE', isWhole: true, cell: rule => rule.securityGroupRuleId ?? '' },
  { heading: 'DIRECTION', cell: rule => rule.direction },
  { heading: 'VERDICT', cell: rule => rule.policy },
  { heading: 'WHAT', cell: serviceText },
  { heading: 'PEER', cell: rule => `${rule.direction === 'ingress' ? 'from' : 'to'} ${peerOfPermission(rule)}` },
  { heading: 'SOURCE PORTS', isOptional: true, cell: rule => portsText(rule.sourcePortRange) },
  { heading: 'OWN SIDE', isOptional: true, cell: localOfPermission },
  { heading: 'PRIORITY', cell: rule => String(rule.priority) },
  { heading: 'NIC', isOptional: true, cell: nicText },
  { heading: 'DESCRIPTION', isOptional: true, cell: rule => rule.description ?? '' },
]

/** In the order in which they are asked: the strongest first, and at one priority those that drop. */
export function ruleTable(rules: readonly Permission[], width: number): string[] {
  const placeOf = ({ direction, priority, policy }: Permission) =>
    (direction === 'ingress' ? 0 : 1000) + priority * 2 + (policy === 'drop' ? 0 : 1)
  return tableLines(
    ruleColumns,
    rules.toSorted((a, b) => placeOf(a) - placeOf(b)),
    width,
  )
}

export const prefixLists = {
  kind: 'prefixList',
  plural: 'prefix lists',
  word: { name: 'LIST', names: 'prefixList', help: 'id or name of the prefix list' },
  hasTags: true,
  hasAccount: true,
  columns: [
    id('LIST', 'prefixListId'),
    { heading: 'NAME', cell: text('prefixListName') },
    { heading: 'ACCOUNT', isWhole: true, cell: text('accountId') },
    { heading: 'FAMILY', cell: text('addressFamily') },
    {
      heading: 'ENTRIES',
      cell: item => `${((item.entries ?? []) as unknown[]).length} of ${valueText(item.maxEntries)}`,
    },
    { heading: 'RULES', cell: text('associationCount') },
    { heading: 'TAGS', isOptional: true, cell: tags },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['list', text('prefixListId')],
    ['name', text('prefixListName')],
    ['description', text('description')],
    ['account', text('accountId')],
    ['family', text('addressFamily')],
    ['entries at most', text('maxEntries')],
    ['named by', text('associationCount')],
    ['tags', tags],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: {
    name: nameFilter('prefixListName'),
    family: filter('addressFamily', {
      takes: 'choice',
      choices: ['IPv4', 'IPv6'],
      help: 'only those of this address family',
    }),
  },
  sorts: { name: 'prefixListName', made: 'createTime' },
} as const satisfies Kind

export const portRangeLists = {
  kind: 'portRangeList',
  plural: 'lists of ports',
  word: { name: 'LIST', names: 'portRangeList', help: 'id or name of the list of ports' },
  hasTags: true,
  hasAccount: true,
  columns: [
    id('LIST', 'portRangeListId'),
    { heading: 'NAME', cell: text('portRangeListName') },
    { heading: 'ACCOUNT', isWhole: true, cell: text('accountId') },
    {
      heading: 'ENTRIES',
      cell: item => `${((item.entries ?? []) as unknown[]).length} of ${valueText(item.maxEntries)}`,
    },
    { heading: 'GROUPS', cell: text('associationCount') },
    { heading: 'TAGS', isOptional: true, cell: tags },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['list', text('portRangeListId')],
    ['name', text('portRangeListName')],
    ['description', text('description')],
    ['account', text('accountId')],
    ['entries at most', text('maxEntries')],
    ['named by', text('associationCount')],
    ['tags', tags],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: { name: nameFilter('portRangeListName') },
  sorts: { name: 'portRangeListName', made: 'createTime' },
} as const satisfies Kind

export const instances = {
  kind: 'instance',
  plural: 'instances',
  word: { name: 'INSTANCE', names: 'instance', help: 'id or name of the instance' },
  hasTags: true,
  hasAccount: true,
  columns: [
    id('INSTANCE', 'instanceId'),
    { heading: 'NAME', cell: text('instanceName') },
    { heading: 'ACCOUNT', isWhole: true, cell: text('accountId') },
    { heading: 'TYPE', cell: text('instanceType') },
    { heading: 'AGENT', isWhole: true, cell: text('agentId') },
    idList('ENIS', 'networkInterfaceIds'),
    { heading: 'SMTP', isOptional: true, cell: item => (item.smtpUnblocked === true ? 'open' : '') },
    { heading: 'TAGS', isOptional: true, cell: tags },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['instance', text('instanceId')],
    ['name', text('instanceName')],
    ['description', text('description')],
    ['account', text('accountId')],
    ['type', text('instanceType')],
    ['agent', text('agentId')],
    ['interfaces', list('networkInterfaceIds')],
    ['SMTP unblocked', text('smtpUnblocked')],
    ['tags', tags],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: {
    name: nameFilter('instanceName'),
    type: filter('instanceType', { takes: 'text', value: 'TYPE', help: 'only those of this instance type' }),
    agent: filter('agentId', { takes: 'text', value: 'AGENT', names: 'agent', help: 'only those this agent serves' }),
    group: filter('securityGroupId', {
      takes: 'text',
      value: 'GROUP',
      names: 'group',
      help: 'only those with an interface in this group',
    }),
  },
  sorts: { name: 'instanceName', made: 'createTime' },
} as const satisfies Kind

export const enis = {
  kind: 'eni',
  plural: 'network interfaces',
  word: { name: 'ENI', names: 'eni', help: 'id of the network interface, or one of its addresses' },
  hasTags: true,
  hasAccount: true,
  columns: [
    id('ENI', 'networkInterfaceId'),
    { heading: 'INSTANCE', isWhole: true, cell: text('instanceId') },
    { heading: 'DEVICE', cell: item => valueText(item.device) || (item.macAddress === null ? '' : 'by MAC') },
    { heading: 'MAC', isWhole: true, cell: text('macAddress') },
    { heading: 'PLACEMENT', cell: text('placement') },
    idList('ADDRESSES', 'privateIpAddresses', 'ipv6Addresses'),
    idList('GROUPS', 'securityGroupIds'),
    {
      heading: 'ENFORCEMENT',
      isOptional: true,
      cell: item => (item.enforcement === 'observed' ? enforcementText(item) : ''),
    },
    { heading: 'NIC', isOptional: true, cell: item => (item.networkType === 'classic' ? valueText(item.nicType) : '') },
    { heading: 'TAGS', isOptional: true, cell: tags },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['ENI', text('networkInterfaceId')],
    ['name', text('networkInterfaceName')],
    ['description', text('description')],
    ['account', text('accountId')],
    ['instance', text('instanceId')],
    ['type', text('type')],
    ['network', text('networkType')],
    ['VPC', text('vpcId')],
    ['vSwitch', text('vSwitchId')],
    ['device', text('device')],
    ['MAC address', text('macAddress')],
    ['placement', text('placement')],
    ['addresses', list('privateIpAddresses', 'ipv6Addresses')],
    ['groups', list('securityGroupIds')],
    ['mode', text('mode')],
    ['enforcement', enforcementText],
    ['NIC type', text('nicType')],
    ['tags', tags],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: {
    instance: filter('instanceId', {
      takes: 'text',
      value: 'INSTANCE',
      names: 'instance',
      help: 'only those of this instance',
    }),
    group: filter('securityGroupId', {
      takes: 'text',
      value: 'GROUP',
      names: 'group',
      help: 'only those in this group',
    }),
    agent: filter('agentId', { takes: 'text', value: 'AGENT', names: 'agent', help: 'only those this agent serves' }),
    vpc: filter('vpcId', { takes: 'text', value: 'VPC', help: 'only those of this VPC' }),
    enforcement: filter('enforcement', {
      takes: 'choice',
      choices: ['enforced', 'observed', 'none'],
      help: 'only those that are enforced, observed, or in no group',
    }),
    address: filter('address', { takes: 'text', value: 'ADDRESS', help: 'only the one with this address' }),
    mac: filter('macAddress', { takes: 'text', value: 'MAC', help: 'only those with this MAC address' }),
  },
  sorts: { made: 'createTime' },
} as const satisfies Kind

export const accounts: Kind = {
  kind: 'account',
  plural: 'accounts',
  word: { name: 'ACCOUNT', names: 'account', help: 'id or name of the account' },
  columns: [
    id('ACCOUNT', 'accountId'),
    { heading: 'NAME', cell: text('name') },
    { heading: 'MADE', isWhole: true, cell: time('createTime') },
    { heading: 'DESCRIPTION', isOptional: true, cell: text('description') },
  ],
  fields: fields(
    ['account', text('accountId')],
    ['name', text('name')],
    ['description', text('description')],
    ['made', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: { name: nameFilter('name') },
  sorts: { name: 'name', made: 'createTime' },
}

/** Of a token or of whoever asks: `write *`, `read 1000000000000000`. */
export function scopesText(item: Shown): string {
  const user = item.user as { readonly userName: string; readonly accountId: string } | null | undefined
  const identity = item.identity as { readonly arn: string } | null | undefined
  if (identity) return `what policies say of ${identity.arn}`
  if (user) return `user ${user.userName} of ${user.accountId}`
  const scopes = (item.scopes ?? []) as readonly { readonly accountId: string; readonly access: string }[]
  return scopes.map(({ accountId, access }) => `${access} ${accountId === '*' ? 'all' : accountId}`).join(', ')
}

export const tokens: Kind = {
  kind: 'token',
  plural: 'API tokens',
  word: { name: 'TOKEN', names: 'token', help: 'id or name of the token' },
  columns: [
    id('TOKEN', 'tokenId'),
    { heading: 'NAME', cell: text('name') },
    { heading: 'MAY', cell: scopesText },
    { heading: 'MADE', isWhole: true, cell: time('createTime') },
    { heading: 'EXPIRES', isWhole: true, cell: item => timeText(item.expireTime as string | null) || 'never' },
  ],
  fields: fields(['token', text('tokenId')], ['name', text('name')], ['may', scopesText]),
}

/** Opened by `ringwall panic`; '' where it is not. */
function openText({ isOpen, openSince }: Shown): string {
  return isOpen === true ? timeText(openSince as string | null) || 'unknown' : ''
}

/** Set on the host; '' where its agent does not tell. */
function rescueText({ rescue }: Shown): string {
  if (rescue == null) return ''
  const from = rescue as readonly { readonly source: string; readonly port: number }[]
  return from.length === 0 ? 'none' : listText(from.map(({ source, port }) => `${source} to port ${port}`))
}

export const agents: Kind = {
  kind: 'agent',
  plural: 'agents',
  word: { name: 'AGENT', names: 'agent', help: 'id of the agent, or the name of its host' },
  columns: [
    id('AGENT', 'agentId'),
    { heading: 'HOST', cell: text('hostName') },
    { heading: 'STATE', cell: text('state') },
    { heading: 'SINCE', isWhole: true, cell: time('since') },
    { heading: 'ENFORCED', cell: text('enforcedRevision') },
    { heading: 'RELEVANT', cell: text('relevantRevision') },
    idList('INSTANCES', 'instanceIds'),
    { heading: 'OPEN SINCE', isOptional: true, isWhole: true, cell: openText },
    { ...idList('OBSERVED', 'observedNetworkInterfaceIds'), isOptional: true },
    { heading: 'ERROR', isOptional: true, cell: text('lastError') },
  ],
  fields: fields(
    ['agent', text('agentId')],
    ['host', text('hostName')],
    ['state', text('state')],
    ['since', time('since')],
    ['open since', openText],
    ['last error', text('lastError')],
    ['rescue', rescueText],
    ['rescue ports', list('rescuePorts')],
    ['on trial until', ({ trial }) => time('until')((trial ?? {}) as Shown)],
    ['would cut', ({ trial }) => list('cuts')((trial ?? {}) as Shown)],
    ['enforced revision', text('enforcedRevision')],
    ['relevant revision', text('relevantRevision')],
    ['instances', list('instanceIds')],
    ['observed', list('observedNetworkInterfaceIds')],
    ['certificate until', time('certificateExpireTime')],
    ['agent version', text('agentVersion')],
    ['kernel', text('kernel')],
    ['nft', text('nftVersion')],
    ['capabilities', text('capabilities')],
    ['joined', time('createTime')],
    ['revision', text('revision')],
  ),
  filters: {
    state: filter('state', {
      takes: 'choice',
      choices: ['in-sync', 'behind', 'refusing', 'away', 'revoked'],
      help: 'only those in this state',
    }),
    host: filter('hostName', { takes: 'text', value: 'HOST', help: 'only those on hosts of this name' }),
  },
  sorts: { host: 'hostName', made: 'createTime' },
}

/** `of 1000000000000000, ecs.g5.large` */
function newInstanceText({ newInstance }: Shown): string {
  if (newInstance === null || newInstance === undefined) return ''
  const { accountId, instanceType } = newInstance as Shown
  return `of ${accountId}${instanceType === null ? '' : `, ${instanceType}`}`
}

export const invitations: Kind = {
  kind: 'invitation',
  plural: 'invitations',
  word: { name: 'INVITATION', names: 'invitation', help: 'id of the invitation' },
  columns: [
    id('INVITATION', 'enrolmentTokenId'),
    { heading: 'AGENT', isOptional: true, isWhole: true, cell: text('agentId') },
    idList('INSTANCES', 'instanceIds'),
    { heading: 'NEW INSTANCE', isOptional: true, cell: newInstanceText },
    { heading: 'MADE', isWhole: true, cell: time('createTime') },
    { heading: 'EXPIRES', isWhole: true, cell: time('expireTime') },
    { heading: 'USED BY', isOptional: true, isWhole: true, cell: text('usedByAgentId') },
  ],
  fields: fields(['invitation', text('enrolmentTokenId')]),
}
