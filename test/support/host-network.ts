/**
 * A host with a wire to the outside and two guests behind routed devices, and a peer process in each:
 *
 *   outside eth0 ─── eth0 host tap1 ─── eth0 guest1
 *                              tap2 ─── eth0 guest2
 */
import assert from 'node:assert/strict'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import type { Family } from '../../rules-compiler/address/cidr.ts'
import { rememberSessions } from './session-life.ts'

export const addresses = {
  outside: { ip: '198.18.0.9', ip6: '2001:db8::9' },
  host: { ip: '198.18.0.2', ip6: '2001:db8::2' },
  guest1: { ip: '198.18.1.2', ip6: '2001:db8:1::2' },
  guest2: { ip: '198.18.2.2', ip6: '2001:db8:2::2' },
} as const satisfies Record<string, Readonly<Record<Family, string>>>

export type Place = keyof typeof addresses

export interface HostNetwork extends AsyncDisposable {
  readonly namespaces: Readonly<Record<Place, Namespace>>
  readonly peers: Readonly<Record<Place, Peer>>
}

/** The host's end of each guest's device. */
const routed = {
  guest1: { device: 'tap1', ip: '198.18.1.1', ip6: '2001:db8:1::1' },
  guest2: { device: 'tap2', ip: '198.18.2.1', ip6: '2001:db8:2::1' },
} as const

export async function createHostNetwork(): Promise<HostNetwork> {
  const stack = new AsyncDisposableStack()
  const places = ['outside', 'host', 'guest1', 'guest2'] as const
  const namespaces = {} as Record<Place, Namespace>
  for (const place of places) namespaces[place] = stack.use(await createNamespace(place))
  const { outside, host } = namespaces
  await connect(end(outside, 'eth0', addresses.outside), end(host, 'eth0', addresses.host))
  for (const guest of ['guest1', 'guest2'] as const) {
    const near = routed[guest]
    await connect(end(host, near.device, near), end(namespaces[guest], 'eth0', addresses[guest]))
    await addDefaultRoutes(namespaces[guest], near)
  }
  await addDefaultRoutes(outside, addresses.host)
  await host.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 })
  await rememberSessions(host)
  const peers = {} as Record<Place, Peer>
  for (const place of places) peers[place] = stack.use(await startPeer(namespaces[place]))
  return { namespaces, peers, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Whether the host lets a TCP connection from the outside in; what it does not accept it must drop. */
export async function isAccepted({ peers }: HostNetwork, port: number): Promise<boolean> {
  try {
    const conversation = await peers.outside.connectTcp(addresses.host.ip, port, { timeoutMs: 300 })
    await conversation.close()
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'ETIMEDOUT')
    return false
  }
}

/** Those of the ports that the host lets connections in to. */
export async function portsAccepted(network: HostNetwork, ports: readonly number[]): Promise<readonly number[]> {
  const accepted = await Promise.all(ports.map(port => isAccepted(network, port)))
  return ports.filter((_, index) => accepted[index])
}

/** Where an agent on the host is to serve metrics and health. */
export const metricsAddress = '127.0.0.1:9469'

/** What that agent says of its health. */
export async function hostHealth({ peers }: HostNetwork) {
  const { status, body } = await peers.host.httpGet('127.0.0.1', 9469, '/health')
  return { status, ...JSON.parse(body) }
}

function end(namespace: Namespace, device: string, own: Readonly<Record<Family, string>>) {
  return { namespace, device, addresses: [`${own.ip}/24`, `${own.ip6}/64`] }
}

async function addDefaultRoutes(namespace: Namespace, gateway: Readonly<Record<Family, string>>): Promise<void> {
  await namespace.run('ip', ['route', 'add', 'default', 'via', gateway.ip])
  await namespace.run('ip', ['-6', 'route', 'add', 'default', 'via', gateway.ip6])
}
