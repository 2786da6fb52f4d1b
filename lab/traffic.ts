/** The lab's real connections: who listens, and what becomes of an attempt. */
import { type Family, families } from '../rules-compiler/address/cidr.ts'
import type { RuleVerdict } from '../rules-compiler/model/policy.ts'
import { type Peer, startPeer } from './conversation.ts'
import { type Attempt, addressesOf, type Fleet, type HostName, publishedPort } from './fleet.ts'
import type { Network } from './network.ts'

export type Peers = ReadonlyMap<HostName, Peer>

/** `accept`: answered; `drop`: silence; anything else is an error code, which no group ever causes. */
export type Outcome = 'accept' | 'drop' | (string & {})

export interface Seen {
  readonly attempt: Attempt
  readonly family: Family
  readonly outcome: Outcome
}

/** Long enough for a loaded machine where an answer is expected, and for what is sent once where none is. */
const patienceMs = { accept: 20_000, drop: 1000 } as const

/** One peer on every host but the router and the daemon's, listening on every port that some attempt asks for. */
export async function startPeers(fleet: Fleet, network: Network, stack: AsyncDisposableStack): Promise<Peers> {
  const hosts = fleet.hosts.filter(host => host !== 'router' && host !== 'control')
  const peers = new Map<HostName, Peer>(
    await Promise.all(hosts.map(async host => [host, stack.use(await startPeer(network.get(host)!))] as const)),
  )
  await Promise.all(
    listeners(fleet.attempts).map(async ({ host, protocol, port }) => {
      const peer = peers.get(host)!
      await (protocol === 'tcp' ? peer.listenTcp(port) : peer.listenUdp(port))
    }),
  )
  return peers
}

/**
 * Every attempt in both families, all at once.
 * @param expected  what should become of an attempt: decides only how long silence is waited for
 */
export async function tryAll(
  attempts: readonly Attempt[],
  peers: Peers,
  expected: (attempt: Attempt) => RuleVerdict,
): Promise<Seen[]> {
  return Promise.all(
    attempts.flatMap(attempt =>
      families.map(async family => {
        const timeoutMs = patienceMs[expected(attempt)]
        return { attempt, family, outcome: await tryOnce(attempt, family, peers, timeoutMs) }
      }),
    ),
  )
}

async function tryOnce(attempt: Attempt, family: Family, peers: Peers, timeoutMs: number): Promise<Outcome> {
  const { from, as, to, service } = attempt
  const peer = peers.get(from)!
  const address = addressesOf(to)[family]
  const options = { timeoutMs, ...(as === null ? {} : { localAddress: as.addresses[family] }) }
  if (service.protocol === 'ping') return (await peer.ping(address, options)) ? 'accept' : 'drop'
  try {
    const conversation =
      service.protocol === 'tcp'
        ? await peer.connectTcp(address, service.port, options)
        : await peer.openUdp(address, service.port, options)
    const answered = await conversation.ask('hello', timeoutMs)
    await conversation.close()
    return answered ? 'accept' : 'drop'
  } catch (error) {
    const code = (error as Error).message
    return code === 'ETIMEDOUT' ? 'drop' : code
  }
}

interface Listener {
  readonly host: HostName
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

function listeners(attempts: readonly Attempt[]): Listener[] {
  const wanted = attempts.flatMap(({ to, service }): Listener[] => {
    if (service.protocol === 'ping') return []
    const published = to === publishedPort.host && service.port === publishedPort.port
    const end = published
      ? { host: publishedPort.container, port: publishedPort.containerPort }
      : { host: to, port: service.port }
    return [{ ...end, protocol: service.protocol }]
  })
  return [...new Map(wanted.map(listener => [JSON.stringify(listener), listener])).values()]
}
