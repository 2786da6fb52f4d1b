/**
 * Where floods are met: a host, and one namespace that is the whole Internet to it: forged sources, well-behaved clients
 * and a private network besides, behind one wire. What the host answers to forged sources ends there unseen.
 */
import { connect, createNamespace, type Namespace } from '../../../lab/netns.ts'
import type { Family } from '../../../rules-compiler/address/cidr.ts'
import type { Target } from './frames.ts'

export interface Scene {
  readonly internet: Namespace
  readonly host: Namespace
  /** Of `host`, its ENI. */
  readonly device: string
  readonly internetDevice: string
  readonly target: Target
  /** Of well-behaved clients that stay. */
  readonly client: Addresses
  /** Further ones, 1 to 255, each an address that nobody has seen before. */
  readonly newcomer: (number: number) => Addresses
  /** Out of scope. */
  readonly privateClient: string
  readonly privateHost: string
}

export type Addresses = Readonly<Record<Family, string>>

export const servicePort = 7000

const macs = { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' } as const
const client = { ip: '198.18.0.1', ip6: '2001:db8::1' } as const
const addresses = { ip: '198.18.0.2', ip6: '2001:db8::2' } as const
const privateClient = '10.66.0.1'
const privateHost = '10.66.0.2'

/** @param stack  disposes of the namespaces */
export async function buildScene(stack: AsyncDisposableStack): Promise<Scene> {
  const internet = stack.use(await createNamespace('internet'))
  const host = stack.use(await createNamespace('flooded'))
  await connect(
    {
      namespace: internet,
      device: 'up0',
      mac: macs.source,
      addresses: [`${client.ip}/24`, `${privateClient}/24`, `${client.ip6}/64`],
    },
    {
      namespace: host,
      device: 'eth0',
      mac: macs.destination,
      addresses: [`${addresses.ip}/24`, `${privateHost}/24`, `${addresses.ip6}/64`],
    },
  )
  await host.sysctl({ 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.eth0.rp_filter': 0 })
  await host.run('ip', ['route', 'add', 'default', 'via', client.ip, 'src', addresses.ip])
  await host.run('ip', ['-6', 'route', 'add', 'default', 'via', client.ip6])
  // Every address of these blocks is the namespace's own.
  await internet.run('ip', ['route', 'add', 'local', '198.18.2.0/24', 'dev', 'lo'])
  await internet.run('ip', ['-6', 'route', 'add', 'local', '2001:db8:2::/64', 'dev', 'lo'])
  await internet.sysctl({ 'net.ipv6.ip_nonlocal_bind': 1 })
  return {
    internet,
    host,
    device: 'eth0',
    internetDevice: 'up0',
    target: { addresses, port: servicePort, macs },
    client,
    newcomer: number => ({ ip: `198.18.2.${number}`, ip6: `2001:db8:2::${number.toString(16)}` }),
    privateClient,
    privateHost,
  }
}

export const instanceId = 'i-flooded'
export const eniId = 'eni-flooded'

export interface ScrubPolicyOptions {
  /** Null: measured, never scrubbed. */
  readonly thresholds: { readonly bps: number; readonly pps: number } | null
  readonly scrubbing?: Readonly<Record<string, unknown>>
  readonly trafficScope?: 'internet' | 'all'
}

/** The service is open to all, and nothing else is. */
export function scrubPolicy({ thresholds, scrubbing = {}, trafficScope = 'internet' }: ScrubPolicyOptions) {
  return {
    apiVersion: 'ringwall/v1',
    instances: [{ id: instanceId, ...(thresholds !== null && { ddosThreshold: thresholds }) }],
    interfaces: [
      {
        id: eniId,
        device: 'eth0',
        placement: 'host',
        addresses: [addresses.ip, addresses.ip6],
        securityGroupIds: ['sg-service'],
      },
    ],
    securityGroups: [
      {
        id: 'sg-service',
        type: 'basic',
        members: [],
        rules: (['sourceCidrIp', 'ipv6SourceCidrIp'] as const).map(field => ({
          direction: 'ingress',
          policy: 'accept',
          ipProtocol: 'tcp',
          portRange: `${servicePort}/${servicePort}`,
          [field]: field === 'sourceCidrIp' ? '0.0.0.0/0' : '::/0',
        })),
      },
    ],
    settings: { trafficScope, scrubbing },
  }
}
