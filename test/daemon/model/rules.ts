/** Rules as docs/policy-file.md and docs/api.md describe them: what is asked for, and what is stored of it. */
import { type Block, blocks, goodPorts, portsOfService } from './vocabulary.ts'

/** As in a request: fields of a permission. */
export type Asked = Readonly<Record<string, unknown>>
/** As stored and shown, but for id and time. */
export type RuleFields = Readonly<Record<string, string | number>>

export interface NetworkOfGroup {
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId: string | null
}

export interface GroupOfRule extends NetworkOfGroup {
  readonly id: string
  readonly accountId: string
  readonly type: 'basic' | 'advanced'
}

export interface PrefixListOfRule {
  readonly accountId: string
  readonly family: 'ip' | 'ip6'
  /** Stored blocks. */
  readonly cidrs: readonly string[]
}

export interface PortListOfRule {
  readonly accountId: string
  readonly maxEntries: number
}

/** What rules can name. */
export interface Surroundings {
  readonly group: (id: string) => GroupOfRule | undefined
  readonly prefixList: (id: string) => PrefixListOfRule | undefined
  readonly portList: (id: string) => PortListOfRule | undefined
  readonly objectsPerRule: number
  /** For a rule that is only looked for: what it names need not be there, nor fit. */
  readonly isLookup?: boolean
}

/** Why a request is refused: status and code, `409 Conflict`; `*` in a code stands for any text. */
export type Refusal = string

export const wrong: Refusal = '400 InvalidParameter'
export const overLimit: Refusal = '403 LimitExceeded'

export interface Reading {
  readonly rules: readonly RuleFields[]
  readonly refusals: readonly Refusal[]
}

const portProtocols = new Set(['tcp', 'udp'])
const protocols = new Set([...portProtocols, 'all', 'icmp', 'icmpv6', 'gre'])

/** The rules that one asked permission comes to, one for each of its authorization objects. */
export function readPermission(asked: Asked, group: GroupOfRule, surroundings: Surroundings): Reading {
  const refusals: Refusal[] = []
  const { direction, policy = 'accept', priority = 1, description } = asked
  const given = protocolOf(withoutEmpty(asked), { group, surroundings }, refusals)
  if (!Number.isInteger(priority) || Number(priority) < 1 || Number(priority) > 100) refusals.push(wrong)
  if (group.type === 'advanced' && (policy !== 'accept' || priority !== 1)) refusals.push(wrong)
  const objects = objectsOf(asked, refusals)
  if (objects.length > surroundings.objectsPerRule) refusals.push(overLimit)
  const rules = objects.map(({ field, text }): RuleFields => {
    const object = readObject(asked, { field, text, group, surroundings }, refusals)
    const narrowing = narrowingOf(asked, object.family, refusals)
    const nicType = nicTypeOf(asked, group, object, refusals)
    return {
      direction: String(direction),
      policy: String(policy),
      priority: Number(priority),
      ...given,
      ...object.fields,
      ...narrowing,
      nicType,
      ...(description !== undefined && { description: String(description) }),
    }
  })
  return { rules, refusals }
}

/** Rules that name a list of ports are shown with an empty range. */
function withoutEmpty({ portRange, ...asked }: Asked): Asked {
  return portRange === undefined || portRange === '' ? asked : { ...asked, portRange }
}

interface Standing {
  readonly group: GroupOfRule
  readonly surroundings: Surroundings
}

function protocolOf(asked: Asked, { group, surroundings }: Standing, refusals: Refusal[]): RuleFields {
  const { ipProtocol, portRange, portRangeListId, sourcePortRange, service } = asked
  if (service !== undefined) {
    const ports = portsOfService.get(String(service))
    const others = [ipProtocol, portRange, portRangeListId].filter(field => field !== undefined)
    if (ports === undefined || others.length > 0) refusals.push(wrong)
    return { ipProtocol: 'tcp', portRange: ports ?? '' }
  }
  const protocol = String(ipProtocol).toLowerCase()
  if (!protocols.has(protocol)) refusals.push(wrong, '400 MissingParameter')
  if (portRangeListId !== undefined) {
    // In place of a range, where there are ports, and for groups of its own account.
    if (portRange !== undefined || !portProtocols.has(protocol)) refusals.push(wrong)
    else if (!surroundings.isLookup && surroundings.portList(String(portRangeListId))?.accountId !== group.accountId) {
      refusals.push('400 InvalidPortRangeListId.NotFound')
    }
    if (sourcePortRange !== undefined && !isPortRange(sourcePortRange)) refusals.push(wrong)
    return {
      ipProtocol: protocol,
      portRange: '',
      portRangeListId: String(portRangeListId),
      ...(sourcePortRange !== undefined && { sourcePortRange: String(sourcePortRange) }),
    }
  }
  if (!portProtocols.has(protocol)) {
    const given = [portRange, sourcePortRange].filter(range => range !== undefined && range !== '-1/-1')
    if (given.length > 0) refusals.push(wrong)
    return { ipProtocol: protocol, portRange: '-1/-1' }
  }
  if (!isPortRange(portRange)) refusals.push(wrong, '400 MissingParameter')
  if (sourcePortRange !== undefined && !isPortRange(sourcePortRange)) refusals.push(wrong)
  return {
    ipProtocol: protocol,
    portRange: String(portRange),
    // Every port is what a rule without the field says.
    ...(sourcePortRange !== undefined && { sourcePortRange: String(sourcePortRange) }),
  }
}

function isPortRange(value: unknown): boolean {
  return (
    goodPorts.some(ports => ports === value) ||
    [...portsOfService.values()].some(ports => ports === value) ||
    value === '1024/65535'
  )
}

interface ObjectText {
  readonly field: string
  readonly text: string
}

const objectFields = {
  // A block on the other side narrows; what else stands there is wrong.
  ingress: ['sourceCidrIp', 'ipv6SourceCidrIp', 'sourceGroupId', 'sourcePrefixListId'],
  egress: ['destCidrIp', 'ipv6DestCidrIp', 'destGroupId', 'destPrefixListId'],
} as const

/** Of which there is exactly one field, with one or more texts. */
function objectsOf(asked: Asked, refusals: Refusal[]): readonly ObjectText[] {
  const fields = objectFields[asked.direction as 'ingress' | 'egress'].filter(field => asked[field] !== undefined)
  const others = objectFields[asked.direction === 'ingress' ? 'egress' : 'ingress'].slice(2)
  if (others.some(field => asked[field] !== undefined)) refusals.push(wrong)
  if (fields.length !== 1) refusals.push(wrong, '400 MissingParameter')
  return fields.flatMap(field =>
    String(asked[field])
      .split(',')
      .map(text => ({ field, text: text.trim() })),
  )
}

interface ObjectRead {
  readonly kind: 'block' | 'group' | 'prefixList'
  readonly fields: RuleFields
  /** null: both, or not known. */
  readonly family: 'ip' | 'ip6' | null
  /** Whether all that it stands for are single IPv4 addresses. */
  readonly isSingle: boolean
}

function readObject(
  asked: Asked,
  {
    field,
    text,
    group,
    surroundings,
  }: ObjectText & { readonly group: GroupOfRule; readonly surroundings: Surroundings },
  refusals: Refusal[],
): ObjectRead {
  if (field.endsWith('GroupId')) return readGroupObject(asked, { field, text, group, surroundings }, refusals)
  if (field.endsWith('PrefixListId')) {
    const list = surroundings.prefixList(text)
    // Prefix lists are for groups of their own account.
    const isThere = list?.accountId === group.accountId
    if (!isThere && surroundings.isLookup !== true) refusals.push('400 InvalidPrefixListId.NotFound')
    // A list without entries is of any family yet.
    const family = list === undefined || list.cidrs.length === 0 || surroundings.isLookup === true ? null : list.family
    const isSingle = surroundings.isLookup === true || (list !== undefined && isSingleIpv4List(list))
    return {
      kind: 'prefixList',
      fields: { [field]: text },
      family,
      isSingle,
    }
  }
  const block = blocks.get(text)
  const family = field.startsWith('ipv6') ? 'ip6' : 'ip'
  if (block?.family !== family) refusals.push(wrong)
  return { kind: 'block', fields: { [field]: block?.text ?? text }, family, isSingle: isSingleIpv4(block) }
}

export function isSingleIpv4List({ family, cidrs }: Pick<PrefixListOfRule, 'family' | 'cidrs'>): boolean {
  return cidrs.length === 0 || (family === 'ip' && cidrs.every(cidr => cidr.endsWith('/32')))
}

function isSingleIpv4(block: Block | undefined): boolean {
  return block?.family === 'ip' && block.isSingle
}

function readGroupObject(
  asked: Asked,
  {
    field,
    text,
    group,
    surroundings,
  }: ObjectText & { readonly group: GroupOfRule; readonly surroundings: Surroundings },
  refusals: Refusal[],
): ObjectRead {
  const ownerField = field.replace('Id', 'OwnerAccount')
  const owner = String(asked[ownerField] ?? group.accountId)
  // The owner is shown only where it is another.
  const fields = { [field]: text, ...(owner !== group.accountId && { [ownerField]: owner }) }
  const read: ObjectRead = { kind: 'group', fields, family: null, isSingle: true }
  if (group.type === 'advanced') refusals.push(wrong)
  if (text === group.id && owner !== group.accountId) refusals.push(wrong)
  if (surroundings.isLookup === true) return read
  const named = text === group.id ? group : surroundings.group(text)
  const absent = '400 InvalidSecurityGroupId.NotFound'
  if (named === undefined || named.accountId !== owner) refusals.push(absent)
  else if (named.networkType !== group.networkType || named.vpcId !== group.vpcId) {
    refusals.push(wrong)
    // Of a group that one may not read, one does not learn that it is elsewhere.
    if (owner !== group.accountId) refusals.push(absent)
  }
  return read
}

function narrowingOf(asked: Asked, family: 'ip' | 'ip6' | null, refusals: Refusal[]): RuleFields {
  const fields = asked.direction === 'ingress' ? ['destCidrIp', 'ipv6DestCidrIp'] : ['sourceCidrIp', 'ipv6SourceCidrIp']
  const given = fields.filter(field => asked[field] !== undefined)
  if (given.length > 1) refusals.push(wrong)
  const [field] = given
  if (field === undefined) return {}
  const block = blocks.get(String(asked[field]))
  const expected = field.startsWith('ipv6') ? 'ip6' : 'ip'
  if (block?.family !== expected || (family !== null && family !== expected)) refusals.push(wrong)
  return { [field]: block?.text ?? '' }
}

function nicTypeOf({ nicType, direction }: Asked, group: GroupOfRule, object: ObjectRead, refusals: Refusal[]): string {
  if (object.kind === 'group') {
    if (nicType === 'internet') refusals.push(wrong)
    return 'intranet'
  }
  if (group.networkType === 'vpc') {
    if (nicType === 'intranet') refusals.push(wrong)
    return 'internet'
  }
  if (nicType === 'intranet' && direction === 'ingress' && !object.isSingle) refusals.push(wrong)
  return String(nicType ?? 'internet')
}

/** Equal for two that are the same rule: they differ in nothing but the description. A group has one owner, named or not. */
export function sameness(fields: RuleFields): string {
  const telling = Object.entries(fields).filter(([name]) => name !== 'description' && !name.endsWith('OwnerAccount'))
  return JSON.stringify(telling.sort())
}

/** The first of each that are the same. */
export function distinct(rules: readonly RuleFields[]): readonly RuleFields[] {
  const seen = new Map<string, RuleFields>()
  for (const rule of rules) if (!seen.has(sameness(rule))) seen.set(sameness(rule), rule)
  return [...seen.values()]
}
