/**
 * A host with systemd, an agent as a service, and the firewall managers and container engines of Debian, none of them
 * started; beside it somebody outside:
 *
 *   outside eth0 198.18.0.9 ─── 198.18.0.2 eth0 host
 *
 * The group of the host's ENI accepts TCP at `ports.open` from everywhere and at `ports.published` from outside's first
 * address alone, lets the host out but for `ports.noWayOut` under its own address, and refuses the rest: no echo request
 * is answered. Something listens at every port.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import type { LogLine } from './agent.ts'
import { type Container, startContainer, writeIn } from './container.ts'
import { addresses } from './host-network.ts'
import { acceptPort, closedGroup, policyDocument } from './policy-documents.ts'
import { eventually } from './sessions.ts'

export const ports = { open: 7080, closed: 7081, published: 8080, noWayOut: 7090, wayOut: 7091 } as const
/** Whom the published port is not open to. */
export const secondAddress = '198.18.0.8'

const published = `${ports.published}/${ports.published}`
const policy = policyDocument({ host: ['sg-1'] }, [
  closedGroup('sg-1', [
    ...acceptPort(ports.open),
    {
      direction: 'ingress',
      policy: 'accept',
      ipProtocol: 'tcp',
      portRange: published,
      sourceCidrIp: `${addresses.outside.ip}/32`,
    },
    // By the host's own address: true only of what has it when egress is judged.
    {
      direction: 'egress',
      policy: 'drop',
      ipProtocol: 'tcp',
      portRange: `${ports.noWayOut}/${ports.noWayOut}`,
      sourceCidrIp: `${addresses.host.ip}/32`,
      destCidrIp: `${addresses.outside.ip}/32`,
    },
  ]),
])

const network = `
[Match]
Name=eth0
[Network]
Address=${addresses.host.ip}/24
Gateway=${addresses.outside.ip}
LinkLocalAddressing=no
IPv6AcceptRA=no
`

const agentUnit = 'ringwall-agent.service'
/** An engine or a manager may take long to start where others start too. */
const shMs = 90_000

export interface FirewallHost extends AsyncDisposable {
  readonly outside: Peer
  readonly host: Peer
  readonly container: Container
  /** Runs it on the host, in the shell. @returns what it printed */
  sh(script: string): Promise<string>
  /** What becomes of a connection from outside: "accepted", "ETIMEDOUT" where it was dropped, "ECONNREFUSED" and so on. */
  knock(port: number, from?: string): Promise<string>
  /** Every line of the agent's log so far. */
  agentLog(): Promise<readonly LogLine[]>
  /** Ringwall's own table with the handles of everything in it, without what counts and what changes by itself. */
  ownTable(): Promise<string>
  /** The codes of what `ringwall doctor` finds, with what it has found. */
  doctor(): Promise<ReadonlyMap<string, string>>
  /** Sends echo requests without a pause while something is done, and for a moment after it. */
  watchGap(deed: () => Promise<unknown>): Promise<Gap>
}

/** In which the host answered what its group refuses. */
export interface Gap {
  readonly answers: number
  /** From the first answer to the last. */
  readonly ms: number
}

export async function startFirewallHost(prepare: (root: string) => void = () => {}): Promise<FirewallHost> {
  await using stack = new AsyncDisposableStack()
  const outside = stack.use(await createNamespace('outside'))
  const host = stack.use(await createNamespace('host'))
  const both = [addresses.outside.ip, secondAddress].map(address => `${address}/24`)
  await connect(
    { namespace: outside, device: 'eth0', addresses: both },
    { namespace: host, device: 'eth0', addresses: [`${addresses.host.ip}/24`] },
  )
  const container = stack.use(
    await startContainer(
      host,
      root => {
        writeIn(root, 'etc/systemd/network/eth0.network', network)
        writeIn(root, 'etc/ringwall/policy.yaml', JSON.stringify(policy))
        // Nobody is there who could confirm.
        writeIn(root, 'etc/ringwall/agent.yaml', 'guardSeconds: 0\n')
        prepare(root)
      },
      { root: 'bookworm-firewalls' },
    ),
  )
  const peers = { outside: stack.use(await startPeer(outside)), host: stack.use(await startPeer(host)) }
  await Promise.all([
    ...[ports.open, ports.closed].map(port => peers.host.listenTcp(port)),
    ...[ports.noWayOut, ports.wayOut].map(port => peers.outside.listenTcp(port)),
  ])
  await eventually(async () => {
    if ((await container.property(agentUnit, 'ActiveState')) !== 'active') throw new Error('The agent is not active')
  }, 60_000)

  const sh = async (script: string) => (await container.run('sh', ['-c', script], { timeoutMs: shMs })).stdout
  const kept = stack.move()
  return {
    ...peers,
    container,
    sh,
    async knock(port, from = addresses.outside.ip) {
      try {
        const conversation = await peers.outside.connectTcp(addresses.host.ip, port, {
          localAddress: from,
          timeoutMs: 500,
        })
        await conversation.close()
        return 'accepted'
      } catch (error) {
        return (error as Error).message
      }
    },
    async agentLog() {
      const { stdout } = await container.run('journalctl', ['-u', agentUnit, '-o', 'cat', '--no-pager'])
      const lines = stdout.split('\n').filter(line => line.startsWith('{'))
      return lines.map(line => ({ ...JSON.parse(line), atMs: Number.NaN }))
    },
    ownTable: async () => masked(await sh('nft --stateless --handle list table inet ringwall')),
    async doctor() {
      const { stdout } = await container.run('ringwall', ['doctor', '--json'], { allowFailure: true })
      const { findings } = JSON.parse(stdout) as { findings: readonly { code: string; found: string }[] }
      return new Map(findings.map(({ code, found }) => [code, found]))
    },
    watchGap: deed => watchGap(outside, deed),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** How long nothing is answered before a gap counts as closed, and how long one is waited for that has not begun. */
const silenceMs = { closed: 1500, none: 300 } as const

async function watchGap(outside: Namespace, deed: () => Promise<unknown>): Promise<Gap> {
  // Known already: the question of who has the address would be tried once a second only.
  const ping = outside.spawn('ping', ['-n', '-i', '0.002', '-W', '0.5', addresses.host.ip], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const answeredAtMs: number[] = []
  createInterface({ input: ping.stdout! }).on('line', line => {
    if (line.includes('bytes from')) answeredAtMs.push(performance.now())
  })
  const ended = once(ping, 'close')
  try {
    await deed()
    const doneAtMs = performance.now()
    await eventually(async () => {
      const quietMs = performance.now() - Math.max(doneAtMs, answeredAtMs.at(-1) ?? 0)
      if (quietMs < (answeredAtMs.length > 0 ? silenceMs.closed : silenceMs.none)) {
        throw new Error('The host still answers what its group refuses')
      }
    }, 60_000)
  } finally {
    ping.kill()
    await ended
  }
  return { answers: answeredAtMs.length, ms: Math.round((answeredAtMs.at(-1) ?? 0) - (answeredAtMs[0] ?? 0)) }
}

/** Stamps of sessions are raised by themselves. */
function masked(listing: string): string {
  return listing.replaceAll(/0x[0-9a-f]{8}/g, 'MARK')
}
