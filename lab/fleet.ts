/**
 * What the lab is made of, as data: hosts and their addresses, ENIs, groups and rules, and who tries to reach whom.
 *
 *     outside ──┐                       ┌── web
 *   (Internet)  ├──────── router ───────┼── app
 *               │            │          ├── db
 *               │         control       └── host-1, host-2, … as many as asked for
 *   guest ── guesthost ──┤
 *   container ── conthost ─┘   port 8080 of conthost is published to port 80 of the container by DNAT
 *
 * Every host is a network namespace. The control daemon runs in `control`; web, app, db, guesthost, conthost and the
 * further hosts run an agent each, which has enrolled there.
 */
import type { Family } from '../rules-compiler/address/cidr.ts'
import type { Placement, RuleVerdict } from '../rules-compiler/model/policy.ts'

const baseHosts = [
  'router',
  'outside',
  'web',
  'app',
  'db',
  'guesthost',
  'guest',
  'conthost',
  'container',
  'control',
] as const
/** One of as many further hosts as are asked for; all are alike. */
export type FurtherHost = `host-${number}`
export type HostName = (typeof baseHosts)[number] | FurtherHost
export type Addresses = Readonly<Record<Family, string>>

/** The near part of the address where a host's subnet ends, and the /24 and /64 it lies in. */
function subnet(number: number): (host: number) => Addresses {
  return host => ({ ip: `198.18.${number}.${host}`, ip6: `2001:db8:${number}::${host}` })
}

const outsideSubnet = (host: number): Addresses => ({ ip: `198.19.0.${host}`, ip6: `2001:db8:ffff::${host}` })

/** A veth pair; the second end's host reaches everything else through the first. */
export interface Link {
  readonly upstream: { readonly host: HostName; readonly device: string; readonly addresses: Addresses }
  readonly downstream: { readonly host: HostName; readonly device: string; readonly addresses: readonly Addresses[] }
}

function link(upstream: HostName, downstream: HostName, addressesOf: (host: number) => Addresses, also: number[] = []) {
  return {
    upstream: { host: upstream, device: `to-${downstream}`, addresses: addressesOf(1) },
    downstream: { host: downstream, device: 'eth0', addresses: [2, ...also].map(addressesOf) },
  }
}

const baseLinks: readonly Link[] = [
  link('router', 'outside', outsideSubnet, [66]),
  link('router', 'web', subnet(1)),
  link('router', 'app', subnet(2)),
  link('router', 'db', subnet(3)),
  link('router', 'guesthost', subnet(4)),
  link('guesthost', 'guest', subnet(5), [99]),
  link('router', 'conthost', subnet(6)),
  link('conthost', 'container', subnet(7)),
  link('router', 'control', subnet(8)),
]

/** Everybody's first addresses; a further host's follow from its number. */
export const addresses = Object.fromEntries(
  baseLinks.map(({ downstream }) => [downstream.host, downstream.addresses[0]!]),
) as Readonly<Record<Exclude<HostName, 'router' | FurtherHost>, Addresses>>

/** Their subnets are numbered from here, so that there is room for that many of them. */
const firstFurtherSubnet = 20
export const mostFurtherHosts = 200

function furtherHosts(count: number): readonly FurtherHost[] {
  return Array.from({ length: count }, (_, index) => `host-${index + 1}` as const)
}

function furtherSubnet(host: FurtherHost): (host: number) => Addresses {
  return subnet(firstFurtherSubnet + Number(host.slice('host-'.length)) - 1)
}

function furtherLink(host: FurtherHost): Link {
  return link('router', host, furtherSubnet(host))
}

export function addressesOf(host: Exclude<HostName, 'router'>): Addresses {
  return isFurther(host) ? furtherSubnet(host)(2) : addresses[host]
}

function isFurther(host: HostName): host is FurtherHost {
  return host.startsWith('host-')
}

/** Where agents reach the control daemon. */
export const agentPort = 9443

/** Second addresses: a client of the Internet that a rule bans, and one a guest has no right to. */
export const bannedAddress = outsideSubnet(66)
const forgedAddress = subnet(5)(99)

/** Networks the router does not reach directly: behind which host they are. */
export const routedBehind = [{ through: 'guesthost', ip: '198.18.5.0/24', ip6: '2001:db8:5::/64' }] as const

export const publishedPort = { host: 'conthost', port: 8080, container: 'container', containerPort: 80 } as const

export interface LabEni {
  readonly id: string
  /** The host whose agent has the ENI. */
  readonly host: AgentHost
  readonly device: string
  readonly placement: Placement
  /** Whose addresses the ENI has; its instance is called after it. */
  readonly owner: Exclude<HostName, 'router'>
  readonly groupIds: readonly string[]
}

const baseAgentHosts = ['web', 'app', 'db', 'guesthost', 'conthost'] as const
export type AgentHost = (typeof baseAgentHosts)[number] | FurtherHost

const baseEnis: readonly LabEni[] = [
  eni('eni-web', 'web', ['sg-web']),
  eni('eni-app', 'app', ['sg-app', 'sg-ops']),
  eni('eni-db', 'db', ['sg-db']),
  eni('eni-guesthost', 'guesthost', ['sg-uplink']),
  {
    id: 'eni-guest',
    host: 'guesthost',
    device: 'to-guest',
    placement: 'guest',
    owner: 'guest',
    groupIds: ['sg-guest', 'sg-ops'],
  },
  eni('eni-conthost', 'conthost', ['sg-containers']),
]

function eni(id: string, host: AgentHost, groupIds: readonly string[]): LabEni {
  return { id, host, device: 'eth0', placement: 'host', owner: host, groupIds }
}

function furtherEni(host: FurtherHost): LabEni {
  return eni(`eni-${host}`, host, ['sg-fleet'])
}

/** The one instance an administrator let send mail to the Internet. */
export const smtpUnblockedOwner = 'app'

/** A rule in the words of a policy file, with a name that this lab calls it by. */
export type LabRule = Readonly<Record<string, string | number>> & { readonly name: string }

const accept = { direction: 'ingress', policy: 'accept' }
const ban = { direction: 'ingress', policy: 'drop', priority: 1, ipProtocol: 'all' }

/** One rule for each family, told apart by the end of the name. */
function fromAnywhere(name: string, rule: Omit<LabRule, 'name'>): LabRule[] {
  return [
    { name: `${name}-v4`, ...accept, ...rule, sourceCidrIp: '0.0.0.0/0' },
    { name: `${name}-v6`, ...accept, ...rule, ipv6SourceCidrIp: '::/0' },
  ]
}

function fromGroup(name: string, sourceGroupId: string, port: number): LabRule {
  return { name, ...accept, ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceGroupId }
}

/** The rules that the last part of the lab takes away while sessions they accept are open. */
export const httpsRuleNames = ['web-https-v4', 'web-https-v6'] as const

export interface LabGroup {
  readonly id: string
  readonly description: string
  readonly innerAccessPolicy: RuleVerdict
  readonly rules: readonly LabRule[]
}

export const groups: readonly LabGroup[] = [
  {
    id: 'sg-web',
    description: 'web servers: open to the Internet, one client banned',
    innerAccessPolicy: 'drop',
    rules: [
      { name: 'web-ban-v4', ...ban, sourceCidrIp: bannedAddress.ip },
      { name: 'web-ban-v6', ...ban, ipv6SourceCidrIp: bannedAddress.ip6 },
      ...fromAnywhere('web-http', { priority: 10, ipProtocol: 'tcp', portRange: '80/80' }),
      ...fromAnywhere('web-https', { priority: 10, ipProtocol: 'tcp', portRange: '443/443' }),
      ...fromAnywhere('web-quic', { priority: 10, ipProtocol: 'udp', portRange: '443/443' }),
      { name: 'web-ping-v4', ...accept, priority: 10, ipProtocol: 'icmp', sourceCidrIp: '0.0.0.0/0' },
      { name: 'web-ping-v6', ...accept, priority: 10, ipProtocol: 'icmpv6', ipv6SourceCidrIp: '::/0' },
    ],
  },
  {
    id: 'sg-app',
    description: 'application servers: for the web servers only',
    innerAccessPolicy: 'drop',
    rules: [fromGroup('app-from-web', 'sg-web', 8080)],
  },
  {
    id: 'sg-db',
    description: 'databases: for the application servers only, and they begin nothing themselves',
    innerAccessPolicy: 'drop',
    rules: [
      fromGroup('db-from-app', 'sg-app', 5432),
      { name: 'db-out-v4', direction: 'egress', policy: 'drop', ipProtocol: 'all', destCidrIp: '0.0.0.0/0' },
      { name: 'db-out-v6', direction: 'egress', policy: 'drop', ipProtocol: 'all', ipv6DestCidrIp: '::/0' },
    ],
  },
  {
    id: 'sg-uplink',
    description: 'the uplink of a host with guests: passes on what is for them, their own groups decide',
    innerAccessPolicy: 'drop',
    rules: [
      {
        name: 'uplink-guests-v4',
        ...accept,
        ipProtocol: 'all',
        sourceCidrIp: '0.0.0.0/0',
        destCidrIp: '198.18.5.0/24',
      },
      {
        name: 'uplink-guests-v6',
        ...accept,
        ipProtocol: 'all',
        ipv6SourceCidrIp: '::/0',
        ipv6DestCidrIp: '2001:db8:5::/64',
      },
    ],
  },
  {
    id: 'sg-guest',
    description: 'a small web site on a guest',
    innerAccessPolicy: 'drop',
    rules: fromAnywhere('guest-http', { ipProtocol: 'tcp', portRange: '80/80' }),
  },
  {
    id: 'sg-ops',
    description: 'members reach each other on every port: inner access',
    innerAccessPolicy: 'accept',
    rules: [],
  },
  {
    id: 'sg-containers',
    description: 'a container host whose published port is for the web servers only',
    innerAccessPolicy: 'drop',
    rules: [fromGroup('containers-from-web', 'sg-web', publishedPort.port)],
  },
  {
    id: 'sg-fleet',
    description: 'further hosts: each other by inner access, and the application servers by ssh',
    innerAccessPolicy: 'accept',
    rules: [fromGroup('fleet-ssh-from-app', 'sg-app', 22)],
  },
]

export type Service = { readonly protocol: 'tcp' | 'udp'; readonly port: number } | { readonly protocol: 'ping' }
type Sender = Exclude<HostName, 'router' | 'control'>

export interface Attempt {
  readonly from: Sender
  /** The sender's address where it is not its first. */
  readonly as: { readonly label: string; readonly addresses: Addresses } | null
  readonly to: Sender
  readonly service: Service
  /** What a reader of the groups above would say, in both families; `evaluate` must come to the same. */
  readonly must: RuleVerdict
}

const banned = { label: 'banned client', addresses: bannedAddress }
const forged = { label: 'forged source', addresses: forgedAddress }

const baseAttempts: readonly Attempt[] = [
  attempt('outside', 'web', tcp(443), 'accept'),
  attempt('outside', 'web', tcp(80), 'accept'),
  attempt('outside', 'web', udp(443), 'accept'),
  attempt('outside', 'web', { protocol: 'ping' }, 'accept'),
  attempt('outside', 'web', tcp(22), 'drop'),
  attempt('outside', 'web', udp(53), 'drop'),
  attempt('outside', 'web', tcp(443), 'drop', banned),
  attempt('outside', 'web', { protocol: 'ping' }, 'drop', banned),
  attempt('outside', 'app', tcp(8080), 'drop'),
  attempt('outside', 'db', tcp(5432), 'drop'),
  attempt('outside', 'db', { protocol: 'ping' }, 'drop'),
  attempt('outside', 'guest', tcp(80), 'accept'),
  attempt('outside', 'guest', tcp(22), 'drop'),
  attempt('outside', 'guesthost', tcp(22), 'drop'),
  attempt('outside', 'conthost', tcp(8080), 'drop'),
  attempt('web', 'app', tcp(8080), 'accept'),
  attempt('web', 'db', tcp(5432), 'drop'),
  attempt('web', 'conthost', tcp(8080), 'accept'),
  attempt('web', 'outside', tcp(80), 'accept'),
  attempt('web', 'outside', udp(53), 'accept'),
  attempt('web', 'outside', tcp(25), 'drop'),
  attempt('app', 'db', tcp(5432), 'accept'),
  attempt('app', 'web', tcp(22), 'drop'),
  attempt('app', 'conthost', tcp(8080), 'drop'),
  attempt('app', 'guest', tcp(22), 'accept'),
  attempt('app', 'outside', tcp(25), 'accept'),
  attempt('db', 'outside', tcp(80), 'drop'),
  attempt('db', 'web', tcp(443), 'drop'),
  attempt('guest', 'app', tcp(9000), 'accept'),
  attempt('guest', 'app', { protocol: 'ping' }, 'accept'),
  attempt('guest', 'db', tcp(5432), 'drop'),
  attempt('guest', 'outside', tcp(80), 'accept'),
  attempt('guest', 'outside', tcp(80), 'drop', forged),
  attempt('guest', 'outside', tcp(25), 'drop'),
  attempt('container', 'outside', tcp(80), 'accept'),
  attempt('container', 'db', tcp(5432), 'drop'),
]

/** Between further hosts that stand next to each other, and to each from those who may and who may not. */
function furtherAttempts(hosts: readonly FurtherHost[]): readonly Attempt[] {
  return hosts.flatMap((host, index) => [
    attempt('app', host, tcp(22), 'accept'),
    attempt('outside', host, tcp(22), 'drop'),
    ...(index === 0 ? [] : [attempt(hosts[index - 1]!, host, tcp(9000), 'accept')]),
  ])
}

function attempt(from: Sender, to: Sender, service: Service, must: RuleVerdict, as: Attempt['as'] = null): Attempt {
  return { from, as, to, service, must }
}

function tcp(port: number): Service {
  return { protocol: 'tcp', port }
}

function udp(port: number): Service {
  return { protocol: 'udp', port }
}

/** What one lab is made of. */
export interface Fleet {
  readonly hosts: readonly HostName[]
  readonly links: readonly Link[]
  readonly agentHosts: readonly AgentHost[]
  readonly enis: readonly LabEni[]
  readonly attempts: readonly Attempt[]
}

/** @param furtherCount  hosts beside those that the lab's story is about; 0 to `mostFurtherHosts` */
export function makeFleet(furtherCount: number): Fleet {
  const further = furtherHosts(furtherCount)
  return {
    hosts: [...baseHosts, ...further],
    links: [...baseLinks, ...further.map(furtherLink)],
    agentHosts: [...baseAgentHosts, ...further],
    enis: [...baseEnis, ...further.map(furtherEni)],
    attempts: [...baseAttempts, ...furtherAttempts(further)],
  }
}
