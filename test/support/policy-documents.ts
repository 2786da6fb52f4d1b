/** Policy documents for the host of `host-network.ts`, put together from few words. */
import { addresses } from './host-network.ts'

export interface Group {
  readonly id: string
  readonly type?: 'basic' | 'advanced'
  readonly innerAccessPolicy?: 'accept' | 'drop'
  readonly members?: readonly string[]
  readonly rules?: readonly Rule[]
}

export type Rule = Readonly<Record<string, string | number>>

/** The ENIs of the host: its own device, and those of its guests. */
export const eniPlaces = {
  host: { id: 'eni-host', device: 'eth0', placement: 'host', place: 'host' },
  guest1: { id: 'eni-1', device: 'tap1', placement: 'guest', place: 'guest1' },
  guest2: { id: 'eni-2', device: 'tap2', placement: 'guest', place: 'guest2' },
} as const
export type EniPlace = keyof typeof eniPlaces

/** @param attached  ids of the groups of each ENI; an ENI that is not named has no policy */
export function policyDocument(
  attached: Readonly<Partial<Record<EniPlace, readonly string[]>>>,
  groups: readonly Group[],
  settings: object = {},
) {
  const interfaces = Object.entries(attached).map(([name, securityGroupIds]) => {
    const { place, ...eni } = eniPlaces[name as EniPlace]
    return { ...eni, addresses: Object.values(addresses[place]), securityGroupIds }
  })
  return { apiVersion: 'ringwall/v1', interfaces, securityGroups: groups, settings }
}

/** Both families of everything the tests use. */
const everywhere = { ip: '198.18.0.0/15', ip6: '2001:db8::/32' } as const

type Direction = 'ingress' | 'egress'
const blockFields = {
  ingress: { ip: 'sourceCidrIp', ip6: 'ipv6SourceCidrIp' },
  egress: { ip: 'destCidrIp', ip6: 'ipv6DestCidrIp' },
} as const

/** TCP and UDP of a port, in both families. */
export function acceptPort(port: number, direction: Direction = 'ingress', fields: Rule = {}): Rule[] {
  return ['tcp', 'udp'].flatMap(ipProtocol =>
    (['ip', 'ip6'] as const).map(family => ({
      direction,
      policy: 'accept',
      ipProtocol,
      portRange: `${port}/${port}`,
      [blockFields[direction][family]]: everywhere[family],
      ...fields,
    })),
  )
}

export function acceptEcho(direction: Direction = 'ingress', fields: Rule = {}): Rule[] {
  const common = { direction, policy: 'accept', portRange: '-1/-1' }
  return [
    { ...common, ipProtocol: 'icmp', [blockFields[direction].ip]: everywhere.ip, ...fields },
    { ...common, ipProtocol: 'icmpv6', [blockFields[direction].ip6]: everywhere.ip6, ...fields },
  ]
}

export function acceptAll(direction: Direction = 'ingress', fields: Rule = {}): Rule[] {
  const common = { direction, policy: 'accept', ipProtocol: 'all', portRange: '-1/-1' }
  return [
    { ...common, [blockFields[direction].ip]: '0.0.0.0/0', ...fields },
    { ...common, [blockFields[direction].ip6]: '::/0', ...fields },
  ]
}

export function acceptGroup(sourceGroupId: string, fields: Rule = {}): Rule {
  return { direction: 'ingress', policy: 'accept', ipProtocol: 'all', portRange: '-1/-1', sourceGroupId, ...fields }
}

/** The host's own device, closed but for these ports. */
export function acceptingPorts(...ports: readonly number[]) {
  return policyDocument({ host: ['sg-1'] }, [
    closedGroup(
      'sg-1',
      ports.flatMap(port => acceptPort(port)),
    ),
  ])
}

/** A group whose members are judged by its rules alone. */
export function closedGroup(id: string, rules: readonly Rule[] = [], members: readonly string[] = []): Group {
  return { id, innerAccessPolicy: 'drop', members, rules }
}
