/**
 * What the lab is made of, as data: hosts and their addresses, ENIs, groups and rules, and who tries to reach whom.
 *
 *     outside ──┐                       ┌── web
 *   (Internet)  ├──────── router ───────┼── app
 *               │                       └── db
 *   guest ── guesthost ──┤
 *   container ── conthost ─┘   port 8080 of conthost is published to port 80 of the container by DNAT
 *
 * Every host is a network namespace; web, app, db, guesthost and conthost run an agent with a policy file of their own.
 */
import type { Family } from '../rules-compiler/address/cidr.ts'
import type { Placement, RuleVerdict } from '../rules-compiler/model/policy.ts'

export const hostNames = [
  'router',
  'outside',
  'web',
  'app',
  'db',
  'guesthost',
  'guest',
  'conthost',
  'container',
] as const
export type HostName = (typeof hostNames)[number]
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

export const links: readonly Link[] = [
  link('router', 'outside', outsideSubnet, [66]),
  link('router', 'web', subnet(1)),
  link('router', 'app', subnet(2)),
  link('router', 'db', subnet(3)),
  link('router', 'guesthost', subnet(4)),
  link('guesthost', 'guest', subnet(5), [99]),
  link('router', 'conthost', subnet(6)),
  link('conthost', 'container', subnet(7)),
]

export const addresses = Object.fromEntries(
  links.map(({ downstream }) => [downstream.host, downstream.addresses[0]!]),
) as Readonly<Record<Exclude<HostName, 'router'>, Addresses>>

/** Second addresses: a client of the Internet that a rule bans, and one a guest has no right to. */
export const bannedAddress = outsideSubnet(66)
export const forgedAddress = subnet(5)(99)

/** Networks the router does not reach directly: behind which host they are. */
export const routedBehind = [{ through: 'guesthost', ip: '198.18.5.0/24', ip6: '2001:db8:5::/64' }] as const

export const publishedPort = { host: 'conthost', port: 8080, container: 'container', containerPort: 80 } as const

export interface LabEni {
  readonly id: string
  /** The host whose agent has the ENI. */
  readonly host: AgentHost
  readonly device: string
  readonly placement: Placement
  /** Whose addresses the ENI has. */
  readonly addressesOf: keyof typeof addresses
  readonly groupIds: readonly string[]
}

export const agentHosts = ['web', 'app', 'db', 'guesthost', 'conthost'] as const
export type AgentHost = (typeof agentHosts)[number]

export const enis: readonly LabEni[] = [
  eni('eni-web', 'web', ['sg-web']),
  eni('eni-app', 'app', ['sg-app', 'sg-ops']),
  eni('eni-db', 'db', ['sg-db']),
  eni('eni-guesthost', 'guesthost', ['sg-uplink']),
  {
    id: 'eni-guest',
    host: 'guesthost',
    device: 'to-guest',
    placement: 'guest',
    addressesOf: 'guest',
    groupIds: ['sg-guest', 'sg-ops'],
  },
  eni('eni-conthost', 'conthost', ['sg-containers']),
]

function eni(id: string, host: AgentHost, groupIds: readonly string[]): LabEni {
  return { id, host, device: 'eth0', placement: 'host', addressesOf: host, groupIds }
}

/** A rule in the words of a policy file. */
export type RuleInFile = Readonly<Record<string, string | number>>

const accept = { direction: 'ingress', policy: 'accept' }
const ban = { direction: 'ingress', policy: 'drop', priority: 1, ipProtocol: 'all' }

/** One rule for each family, told apart by the end of the id. */
function fromAnywhere(id: string, rule: RuleInFile): RuleInFile[] {
  return [
    { id: `${id}-v4`, ...accept, ...rule, sourceCidrIp: '0.0.0.0/0' },
    { id: `${id}-v6`, ...accept, ...rule, ipv6SourceCidrIp: '::/0' },
  ]
}

function fromGroup(id: string, sourceGroupId: string, port: number): RuleInFile {
  return { id, ...accept, ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceGroupId }
}

/** The rules that the last part of the lab takes away while sessions they accept are open. */
export const httpsRuleIds = ['sgr-web-https-v4', 'sgr-web-https-v6'] as const

export interface LabGroup {
  readonly id: string
  readonly description: string
  readonly innerAccessPolicy: RuleVerdict
  readonly rules: readonly RuleInFile[]
}

export const groups: readonly LabGroup[] = [
  {
    id: 'sg-web',
    description: 'web servers: open to the Internet, one client banned',
    innerAccessPolicy: 'drop',
    rules: [
      { id: 'sgr-web-ban-v4', ...ban, sourceCidrIp: bannedAddress.ip },
      { id: 'sgr-web-ban-v6', ...ban, ipv6SourceCidrIp: bannedAddress.ip6 },
      ...fromAnywhere('sgr-web-http', { priority: 10, ipProtocol: 'tcp', portRange: '80/80' }),
      ...fromAnywhere('sgr-web-https', { priority: 10, ipProtocol: 'tcp', portRange: '443/443' }),
      ...fromAnywhere('sgr-web-quic', { priority: 10, ipProtocol: 'udp', portRange: '443/443' }),
      { id: 'sgr-web-ping-v4', ...accept, priority: 10, ipProtocol: 'icmp', sourceCidrIp: '0.0.0.0/0' },
      { id: 'sgr-web-ping-v6', ...accept, priority: 10, ipProtocol: 'icmpv6', ipv6SourceCidrIp: '::/0' },
    ],
  },
  {
    id: 'sg-app',
    description: 'application servers: for the web servers only',
    innerAccessPolicy: 'drop',
    rules: [fromGroup('sgr-app-from-web', 'sg-web', 8080)],
  },
  {
    id: 'sg-db',
    description: 'databases: for the application servers only, and they begin nothing themselves',
    innerAccessPolicy: 'drop',
    rules: [
      fromGroup('sgr-db-from-app', 'sg-app', 5432),
      { id: 'sgr-db-out-v4', direction: 'egress', policy: 'drop', ipProtocol: 'all', destCidrIp: '0.0.0.0/0' },
      { id: 'sgr-db-out-v6', direction: 'egress', policy: 'drop', ipProtocol: 'all', ipv6DestCidrIp: '::/0' },
    ],
  },
  {
    id: 'sg-uplink',
    description: 'the uplink of a host with guests: passes on what is for them, their own groups decide',
    innerAccessPolicy: 'drop',
    rules: [
      {
        id: 'sgr-uplink-guests-v4',
        ...accept,
        ipProtocol: 'all',
        sourceCidrIp: '0.0.0.0/0',
        destCidrIp: '198.18.5.0/24',
      },
      {
        id: 'sgr-uplink-guests-v6',
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
    rules: fromAnywhere('sgr-guest-http', { ipProtocol: 'tcp', portRange: '80/80' }),
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
    rules: [fromGroup('sgr-containers-from-web', 'sg-web', publishedPort.port)],
  },
]

export type Service = { readonly protocol: 'tcp' | 'udp'; readonly port: number } | { readonly protocol: 'ping' }
type Sender = Exclude<HostName, 'router'>

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

export const attempts: readonly Attempt[] = [
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

function attempt(from: Sender, to: Sender, service: Service, must: RuleVerdict, as: Attempt['as'] = null): Attempt {
  return { from, as, to, service, must }
}

function tcp(port: number): Service {
  return { protocol: 'tcp', port }
}

function udp(port: number): Service {
  return { protocol: 'udp', port }
}
