/** The lab's hosts as namespaces: joined, addressed, routed, and the published container port. No policy yet. */
import { type Family, families } from '../rules-compiler/address/cidr.ts'
import {
  type Addresses,
  addresses,
  type Fleet,
  type HostName,
  type Link,
  publishedPort,
  routedBehind,
} from './fleet.ts'
import { connect, createNamespace, type Namespace } from './netns.ts'

export type Network = ReadonlyMap<HostName, Namespace>

const prefixLengths: Readonly<Record<Family, number>> = { ip: 24, ip6: 64 }

/** @param stack  disposes of the namespaces */
export async function buildNetwork({ hosts, links }: Fleet, stack: AsyncDisposableStack): Promise<Network> {
  const namespaces = await Promise.all(hosts.map(async host => [host, stack.use(await createNamespace(host))] as const))
  const network = new Map(namespaces)
  await Promise.all(hosts.map(host => forwardAndTrustSources(network.get(host)!)))
  await Promise.all(links.map(link => joinHosts(link, network)))
  await Promise.all(routedBehind.map(({ through, ...blocks }) => routeBehind(through, blocks, network)))
  await publishPort(network.get(publishedPort.host)!)
  return network
}

/** Without reverse path filters, so that a forged source is ours to drop, not the kernel's. */
async function forwardAndTrustSources(namespace: Namespace): Promise<void> {
  await namespace.sysctl({
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.default.rp_filter': 0,
  })
}

async function joinHosts({ upstream, downstream }: Link, network: Network): Promise<void> {
  const host = network.get(downstream.host)!
  await connect(
    { namespace: network.get(upstream.host)!, device: upstream.device, addresses: withLengths([upstream.addresses]) },
    { namespace: host, device: downstream.device, addresses: withLengths(downstream.addresses) },
  )
  // The source address is named because the kernel prefers the IPv6 address added last.
  const own = downstream.addresses[0]!
  for (const family of families) {
    const route = ['route', 'add', 'default', 'via', upstream.addresses[family], 'src', own[family]]
    await host.run('ip', [...flagOf(family), ...route])
  }
}

async function routeBehind(
  through: keyof typeof addresses,
  blocks: Readonly<Record<Family, string>>,
  network: Network,
) {
  for (const family of families) {
    const route = ['route', 'add', blocks[family], 'via', addresses[through][family]]
    await network.get('router')!.run('ip', [...flagOf(family), ...route])
  }
}

/** As container engines write it: destination NAT for the published port, masquerading for what goes out. */
async function publishPort(namespace: Namespace): Promise<void> {
  const { port, container, containerPort } = publishedPort
  const inside = addresses[container]
  const device = `to-${container}`
  const input = `
table inet container-engine {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    iifname != "${device}" tcp dport ${port} dnat ip to ${inside.ip}:${containerPort}
    iifname != "${device}" tcp dport ${port} dnat ip6 to [${inside.ip6}]:${containerPort}
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname != "${device}" ip saddr ${inside.ip} masquerade
    oifname != "${device}" ip6 saddr ${inside.ip6} masquerade
  }
}
`
  await namespace.run('nft', ['-f', '-'], { input })
}

function withLengths(all: readonly Addresses[]): string[] {
  return all.flatMap(each => families.map(family => `${each[family]}/${prefixLengths[family]}`))
}

function flagOf(family: Family): string[] {
  return family === 'ip' ? ['-4'] : ['-6']
}
