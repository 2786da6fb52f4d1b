/**
 * Rules as they are typed and read aloud: `ingress allow tcp/443 from 0.0.0.0/0,sg-app`. Typed words become permissions
 * of the API, one for each service and peer; a permission becomes the same words again.
 */
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { sidesOf } from '../../rules-compiler/validate/rule-fields.ts'
import { UsageError } from '../command.ts'

export type Direction = 'ingress' | 'egress'

/** The fields of the API that a rule is made of; those not listed are the rule's peer and its own side. */
export interface Permission {
  readonly securityGroupRuleId?: string
  readonly direction: Direction
  readonly policy: 'accept' | 'drop'
  readonly priority: number
  readonly ipProtocol: string
  readonly portRange?: string
  readonly portRangeListId?: string
  readonly sourcePortRange?: string
  readonly nicType?: string
  readonly description?: string | null
  readonly [field: string]: unknown
}

type Fields = Readonly<Record<string, string>>

export const directions = ['ingress', 'egress'] as const
const policies = { allow: 'accept', accept: 'accept', deny: 'drop', drop: 'drop' } as const
export const verdictWords = ['allow', 'accept', 'deny', 'drop'] as const satisfies readonly (keyof typeof policies)[]

export interface RuleFlags {
  readonly priority?: number | undefined
  readonly description?: string | undefined
  readonly 'from-port'?: string | undefined
  readonly local?: string | undefined
  readonly 'nic-type'?: string | undefined
}

/** Finds the id of a group or prefix list that was named. */
export type FindPeer = (kind: 'group' | 'prefixList', text: string) => Promise<string>

/**
 * Permissions for `DIRECTION VERDICT SERVICES from|to PEERS`, in the order typed: by service, then by peer.
 * @throws {UsageError} for a word that is none of these; what rules there may be is for the daemon to say
 */
export async function readRule(
  words: readonly string[],
  flags: RuleFlags,
  find: FindPeer,
): Promise<Readonly<Record<string, unknown>>[]> {
  const [directionText = '', verdictText = '', servicesText = '', preposition = '', ...peerTexts] = words
  const direction = readDirection(directionText)
  const policy = readVerdict(verdictText)
  const expected = direction === 'ingress' ? 'from' : 'to'
  if (preposition !== expected) {
    throw new UsageError(
      `"${preposition}" after "${servicesText}", expected "${expected}" and the peers of an ${direction} rule`,
    )
  }
  const local = flags.local === undefined ? {} : localFields(direction, flags.local)
  const family = flags.local === undefined ? null : familyOfCidr(flags.local)
  const peers = await readPeers(direction, splitList(peerTexts), find)
  const permissions = splitList([servicesText]).flatMap(service => {
    const what = { ...readService(service), ...sourcePorts(service, flags['from-port']) }
    const fitting = peers.filter(
      peer => !peer.isOfAny || (fits(peer.family, family) && fits(peer.family, familyOfService(service))),
    )
    return fitting.map(peer => ({
      direction,
      policy,
      ...what,
      ...peer.fields,
      ...local,
      ...(flags.priority !== undefined && { priority: flags.priority }),
      ...(flags['nic-type'] !== undefined && { nicType: flags['nic-type'] }),
      ...(flags.description !== undefined && { description: flags.description }),
    }))
  })
  if (permissions.length === 0)
    throw new UsageError(`"${servicesText}" has no rule with these peers: the address families differ`)
  return permissions
}

function splitList(texts: readonly string[]): string[] {
  const items = texts.flatMap(text => text.split(',')).map(text => text.trim())
  return items.filter(text => text !== '')
}

/** @throws {UsageError} */
function readDirection(text: string): Direction {
  const direction = directions.find(known => known === text)
  if (direction === undefined) throw new UsageError(`direction is "${text}", expected ingress or egress`)
  return direction
}

/** @throws {UsageError} */
export function readVerdict(text: string): 'accept' | 'drop' {
  if (Object.hasOwn(policies, text)) return policies[text as keyof typeof policies]
  throw new UsageError(`verdict is "${text}", expected allow (or accept) or deny (or drop)`)
}

const servicesHelp =
  'expected tcp/443, tcp/8000-8100, tcp/prl-…, udp/53, icmp, icmpv6, gre, all, or a service such as ssh'

/**
 * Protocol and ports as the API has them; a service is sent by its name, for the daemon to say which there are.
 * @throws {UsageError}
 */
export function readService(text: string): Fields {
  const word = text.toLowerCase()
  const [, protocol, ports] = /^(tcp|udp)(?:\/(.+))?$/.exec(word) ?? []
  if (protocol !== undefined) {
    if (ports === undefined)
      throw new UsageError(`"${text}" without ports, expected ${word}/443, ${word}/8000-8100 or ${word}/all`)
    // Ids of lists may have capitals.
    if (ports.startsWith('prl-')) return { ipProtocol: protocol, portRangeListId: text.slice(protocol.length + 1) }
    return { ipProtocol: protocol, portRange: readPorts(ports, text) }
  }
  if (/^(all|icmp|icmpv6|gre)$/.test(word)) return { ipProtocol: word, portRange: '-1/-1' }
  if (/^[a-z][a-z0-9-]*$/.test(word)) return { service: word }
  throw new UsageError(`"${text}" is no protocol with ports, ${servicesHelp}`)
}

/** `443` or `8000-8100` or `all`; the bounds themselves are checked by the daemon, but for an order it cannot guess. */
export function readPorts(ports: string, text: string): string {
  if (ports === 'all') return '1/65535'
  const [, first, last = first] = /^(\d{1,5})(?:[-/:](\d{1,5}))?$/.exec(ports) ?? []
  if (first === undefined || last === undefined)
    throw new UsageError(`"${text}" has ports "${ports}", expected 443, 8000-8100 or all`)
  const [low, high] = [Number(first), Number(last)]
  if (low < 1 || high > 65_535 || low > high) {
    throw new UsageError(`"${text}" has ports "${ports}", expected numbers from 1 to 65535, the lower one first`)
  }
  return `${low}/${high}`
}

function sourcePorts(service: string, ports: string | undefined): Fields {
  if (ports === undefined) return {}
  if (/^(all|icmp|icmpv6|gre)$/i.test(service))
    throw new UsageError(`--from-port is for tcp and udp, not for ${service}`)
  return { sourcePortRange: readPorts(ports, `--from-port ${ports}`) }
}

type Family = 'ip' | 'ip6'

interface TypedPeer {
  readonly fields: Fields
  readonly family: Family | null
  /** Stands for every address: left out where the rule can be of the other family only. */
  readonly isOfAny: boolean
}

async function readPeers(direction: Direction, texts: readonly string[], find: FindPeer): Promise<TypedPeer[]> {
  if (texts.length === 0)
    throw new UsageError('missing the peers, expected addresses, sg-…, pl-…, names of groups, or any')
  return (await Promise.all(texts.map(text => readPeer(direction, text, find)))).flat()
}

const anywhere = { ip: '0.0.0.0/0', ip6: '::/0' } as const

async function readPeer(direction: Direction, text: string, find: FindPeer): Promise<TypedPeer[]> {
  const cidrPeer = (family: Family, cidr: string, isOfAny: boolean): TypedPeer => {
    const [ipv4, ipv6] = sidesOf[direction].peer.cidrs
    return { fields: { [family === 'ip' ? ipv4 : ipv6]: cidr }, family, isOfAny }
  }
  if (text === 'any') return [cidrPeer('ip', anywhere.ip, true), cidrPeer('ip6', anywhere.ip6, true)]
  if (text === 'any-ipv4') return [cidrPeer('ip', anywhere.ip, false)]
  if (text === 'any-ipv6') return [cidrPeer('ip6', anywhere.ip6, false)]
  const cidr = parseCidr(text)
  if (cidr !== null) return [cidrPeer(cidr.family, cidr.text, false)]
  if (/^[\d.]+(\/|$)|:|\/\d*$/.test(text)) {
    throw new UsageError(
      `peer is "${text}", expected an IPv4 or IPv6 address or CIDR block, sg-…, pl-…, the name of a group, or any`,
    )
  }
  return [{ fields: await namedPeer(direction, text, find), family: null, isOfAny: false }]
}

async function namedPeer(direction: Direction, text: string, find: FindPeer): Promise<Fields> {
  const { group, owners, prefixList } = sidesOf[direction].peer
  if (text.startsWith('pl-')) return { [prefixList]: await find('prefixList', text) }
  const [, groupId, account] = /^(.+)@(\d+)$/.exec(text) ?? []
  if (groupId === undefined || account === undefined) return { [group]: await find('group', text) }
  // A group of another account may be one that this token cannot look up.
  if (!/^sg-/.test(groupId))
    throw new UsageError(`peer is "${text}", expected the id of the group before "@": sg-app@${account}`)
  if (account.length !== 16) throw new UsageError(`peer is "${text}", expected an account of 16 digits after "@"`)
  return { [group]: groupId, [owners[0]]: account }
}

/** The fields that say one peer instead of another: of the API's, what is not said any more is null. */
export async function peerChange(
  direction: Direction,
  text: string,
  find: FindPeer,
): Promise<Readonly<Record<string, string | null>>> {
  const [peer, another] = await readPeer(direction, text, find)
  if (peer === undefined || another !== undefined) {
    throw new UsageError(`--peer is "${text}", which is two rules: expected any-ipv4 or any-ipv6`)
  }
  const { cidrs, group, owners, prefixList } = sidesOf[direction].peer
  const cleared = [...cidrs, group, owners[0], prefixList].map(field => [field, null])
  return { ...Object.fromEntries(cleared), ...peer.fields }
}

/** What narrows the ENI's own side; an empty text takes that away. @throws {UsageError} */
function localFields(direction: Direction, text: string): Readonly<Record<string, string>> {
  const cidr = parseCidr(text)
  if (cidr === null) throw new UsageError(`--local is "${text}", expected an IPv4 or IPv6 address or CIDR block`)
  const [ipv4, ipv6] = sidesOf[direction].local.cidrs
  return { [cidr.family === 'ip' ? ipv4 : ipv6]: cidr.text }
}

/** The same as a change. */
export function localChange(direction: Direction, text: string): Readonly<Record<string, string | null>> {
  const cleared = Object.fromEntries(sidesOf[direction].local.cidrs.map(field => [field, null]))
  return { ...cleared, ...(text === '' ? {} : localFields(direction, text)) }
}

/** Source ports as a change. */
export function sourcePortChange(text: string): Readonly<Record<string, string | null>> {
  return { sourcePortRange: text === '' ? null : readPorts(text, `--from-port ${text}`) }
}

function familyOfCidr(text: string): Family | null {
  return parseCidr(text)?.family ?? null
}

function familyOfService(service: string): Family | null {
  return service === 'icmp' ? 'ip' : service === 'icmpv6' ? 'ip6' : null
}

function fits(family: Family | null, other: Family | null): boolean {
  return family === null || other === null || family === other
}

/** `tcp/443`, `tcp/8000-8100`, `icmp`. */
export function serviceText({ ipProtocol, portRange, portRangeListId }: Permission): string {
  const protocol = ipProtocol.toLowerCase()
  if (portRangeListId !== undefined) return `${protocol}/${portRangeListId}`
  if (portRange === undefined || portRange === '-1/-1') return protocol
  return `${protocol}/${portsText(portRange)}`
}

/** Of `8000/8100`. */
export function portsText(portRange: string | null | undefined): string {
  if (portRange === undefined || portRange === null || portRange === '-1/-1') return ''
  const [first, last] = portRange.split('/')
  if (first === '1' && last === '65535') return 'all'
  return first === last ? String(first) : `${first}-${last}`
}

/** The authorization object: a CIDR block, a group or a prefix list. */
export function peerOfPermission(permission: Permission): string {
  const { cidrs, group, owners, prefixList } = sidesOf[permission.direction].peer
  const owner = permission[owners[0]]
  const groupId = permission[group]
  if (typeof groupId === 'string') return typeof owner === 'string' ? `${groupId}@${owner}` : groupId
  const [named] = [prefixList, ...cidrs].map(field => permission[field]).filter(each => typeof each === 'string')
  return named ?? ''
}

export function localOfPermission(permission: Permission): string {
  const [local] = sidesOf[permission.direction].local.cidrs
    .map(field => permission[field])
    .filter(each => typeof each === 'string')
  return local ?? ''
}

/** The rule as `ringwall rule add` takes it, behind the group. */
export function ruleWords(rule: Permission): string {
  const { direction, policy, priority, sourcePortRange, description } = rule
  const local = localOfPermission(rule)
  return [
    direction,
    policy === 'accept' ? 'allow' : 'deny',
    serviceText(rule),
    direction === 'ingress' ? 'from' : 'to',
    peerOfPermission(rule),
    ...(portsText(sourcePortRange) === '' ? [] : ['--from-port', portsText(sourcePortRange)]),
    ...(local === '' ? [] : ['--local', local]),
    ...(nicText(rule) === '' ? [] : ['--nic-type', nicText(rule)]),
    '--priority',
    String(priority),
    ...(description ? ['--description', JSON.stringify(description)] : []),
  ].join(' ')
}

/** Which interfaces the rule is for, where that is no matter of course: rules that name a group are always intranet. */
export function nicText(rule: Permission): string {
  const isGroupRule = typeof rule[sidesOf[rule.direction].peer.group] === 'string'
  return rule.nicType === 'intranet' && !isGroupRule ? 'intranet' : ''
}
