/**
 * Where floods are met: a host, and one namespace that is the whole Internet to it: forged sources, well-behaved clients
 * and a private network besides, behind one wire. What is answered to forged sources ends there unseen. With a guest,
 * the host forwards to it, over a link that may be as narrow as an instance's own.
 */
import { connect, createNamespace, type Namespace } from '../../../lab/netns.ts'
import type { Family } from '../../../rules-compiler/address/cidr.ts'
import type { Placement } from '../../../rules-compiler/model/policy.ts'
import type { Target } from './frames.ts'

export interface Scene {
  readonly internet: Namespace
  /** Where the agent runs. */
  readonly host: Namespace
  /** Who is flooded: the host, or its guest. */
  readonly victim: Namespace
  readonly placement: Placement
  /** Of `host`, the ENI. */
  readonly device: string
  readonly internetDevice: string
  readonly target: Target
  /** Of well-behaved clients that stay. */
  readonly client: Addresses
  /** Further ones, 1 to 255, each an address that nobody has seen before. */
  readonly newcomer: (number: number) => Addresses
  /** Out of scope. */
  readonly privateClient: string
  readonly privateVictim: string
}

export type Addresses = Readonly<Record<Family, string>>

export interface SceneOptions {
  readonly guest?: GuestLink
}

/** What the link to a guest passes. */
export interface GuestLink {
  readonly bitsPerSecond: number
  readonly packetsPerSecond: number
}

export const servicePort = 7000

const macs = { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' } as const
const client = { ip: '198.18.0.1', ip6: '2001:db8::1' } as const
const hostAddresses = { ip: '198.18.0.2', ip6: '2001:db8::2' } as const
const guestGateway = { ip: '198.18.3.1', ip6: '2001:db8:3::1' } as const
const guestAddresses = { ip: '198.18.3.2', ip6: '2001:db8:3::2' } as const
const privateClient = '10.66.0.1'
const privateHost = '10.66.0.2'

/** @param stack  disposes of the namespaces */
export async function buildScene(stack: AsyncDisposableStack, { guest }: SceneOptions = {}): Promise<Scene> {
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
      addresses: [`${hostAddresses.ip}/24`, `${privateHost}/24`, `${hostAddresses.ip6}/64`],
    },
  )
  await host.sysctl({ 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.eth0.rp_filter': 0 })
  await host.run('ip', ['route', 'add', 'default', 'via', client.ip, 'src', hostAddresses.ip])
  await host.run('ip', ['-6', 'route', 'add', 'default', 'via', client.ip6])
  // Every address of these blocks is the namespace's own.
  await internet.run('ip', ['route', 'add', 'local', '198.18.2.0/24', 'dev', 'lo'])
  await internet.run('ip', ['-6', 'route', 'add', 'local', '2001:db8:2::/64', 'dev', 'lo'])
  await internet.sysctl({ 'net.ipv6.ip_nonlocal_bind': 1 })
  const common = {
    internet,
    host,
    internetDevice: 'up0',
    client,
    newcomer: (number: number) => ({ ip: `198.18.2.${number}`, ip6: `2001:db8:2::${number.toString(16)}` }),
    privateClient,
  }
  if (guest === undefined) {
    const target = { addresses: hostAddresses, port: servicePort, macs }
    return { ...common, victim: host, placement: 'host', device: 'eth0', target, privateVictim: privateHost }
  }
  const victim = await addGuest(stack, { internet, host }, guest)
  const target = { addresses: guestAddresses, port: servicePort, macs }
  return { ...common, victim, placement: 'guest', device: 'tap0', target, privateVictim: guestAddresses.ip }
}

async function addGuest(
  stack: AsyncDisposableStack,
  { internet, host }: { readonly internet: Namespace; readonly host: Namespace },
  { bitsPerSecond, packetsPerSecond }: GuestLink,
): Promise<Namespace> {
  const guest = stack.use(await createNamespace('guest'))
  await connect(
    { namespace: host, device: 'tap0', addresses: [`${guestGateway.ip}/24`, `${guestGateway.ip6}/64`] },
    { namespace: guest, device: 'eth0', addresses: [`${guestAddresses.ip}/24`, `${guestAddresses.ip6}/64`] },
  )
  await host.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv4.conf.tap0.rp_filter': 0 })
  await guest.run('ip', ['route', 'add', 'default', 'via', guestGateway.ip])
  await guest.run('ip', ['-6', 'route', 'add', 'default', 'via', guestGateway.ip6])
  await internet.run('ip', ['route', 'add', '198.18.3.0/24', 'via', hostAddresses.ip])
  await internet.run('ip', ['-6', 'route', 'add', '2001:db8:3::/64', 'via', hostAddresses.ip6])
  // A token bucket counts bytes only: a packet counts as so many at least that both limits hold.
  const leastBytes = String(Math.floor(bitsPerSecond / 8 / packetsPerSecond))
  const bucket = ['rate', `${bitsPerSecond}bit`, 'burst', '32kb', 'latency', '50ms', 'mpu', leastBytes]
  await host.run('tc', ['qdisc', 'add', 'dev', 'tap0', 'root', 'tbf', ...bucket])
  return guest
}

export const instanceId = 'i-flooded'
export const eniId = 'eni-flooded'

export interface ScrubPolicyOptions {
  /** Null: measured, never scrubbed. */
  readonly thresholds: { readonly bps: number; readonly pps: number } | null
  readonly scrubbing?: Readonly<Record<string, unknown>>
  readonly trafficScope?: 'internet' | 'all'
  /** What the group accepts; the service alone where left out. */
  readonly open?: 'service' | 'everything'
}

export function scrubPolicy(
  { device, placement, target }: Pick<Scene, 'device' | 'placement' | 'target'>,
  { thresholds, scrubbing = {}, trafficScope = 'internet', open = 'service' }: ScrubPolicyOptions,
) {
  const accepted =
    open === 'service'
      ? { ipProtocol: 'tcp', portRange: `${servicePort}/${servicePort}` }
      : { ipProtocol: 'all', portRange: '-1/-1' }
  const accept = { direction: 'ingress', policy: 'accept', ...accepted }
  return {
    apiVersion: 'ringwall/v1',
    instances: [{ id: instanceId, ...(thresholds !== null && { ddosThreshold: thresholds }) }],
    interfaces: [
      {
        id: eniId,
        device,
        placement,
        addresses: Object.values(target.addresses),
        securityGroupIds: ['sg-service'],
      },
    ],
    securityGroups: [
      {
        id: 'sg-service',
        type: 'basic',
        members: [],
        rules: [
          { ...accept, sourceCidrIp: '0.0.0.0/0' },
          { ...accept, ipv6SourceCidrIp: '::/0' },
        ],
      },
    ],
    settings: { trafficScope, scrubbing },
  }
}
