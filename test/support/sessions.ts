/**
 * Live sessions of every kind between two peers, and whether they still live: whoever speaks first after a change, in
 * both directions.
 */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { Conversation, Peer } from '../../lab/conversation.ts'
import { slowness } from './slowness.ts'

export interface Session {
  readonly name: string
  /**
   * Names of the ways in which something still came through, each tried; empty for a session that is cut.
   * @param timeoutMs  how long each is waited for, `patienceMs` for a session that should live; as for one that should be
   *                   cut where left out
   */
  waysThrough(timeoutMs?: number): Promise<readonly string[]>
}

export interface Ends {
  readonly client: Peer
  readonly server: Peer
  /** The server's. */
  readonly address: string
  /** The port asked for. */
  readonly port: number
  /** Where the server listens, behind destination NAT; the port asked for where left out. */
  readonly listeningPort?: number
}

export const sessionKinds = [
  'TCP, the client speaks first',
  'TCP, the server speaks first',
  'UDP, the client speaks first',
  'UDP, the server speaks first',
  'UDP, the server streams',
  'ping',
] as const
export type SessionKind = (typeof sessionKinds)[number]

/** For what should not come: what has not come by then is taken for dropped. A busy machine can take longer for a message. */
const silenceMs = 250 * slowness
/** For what should come, however busy the machine is. */
export const patienceMs = 20_000 * slowness
const streamPaceMs = 10
let lastLocalPort = 20_000
let lastMessage = 0

/** Listens on the port for every kind. Once for each peer and port. */
export async function listenForSessions(server: Peer, port: number): Promise<void> {
  await Promise.all([server.listenTcp(port, { echo: false }), server.listenUdp(port, { echo: false })])
}

/** A session that has carried messages in both directions. @throws {Error} if it has not */
export async function openSession(kind: SessionKind, ends: Ends): Promise<Session> {
  if (kind === 'ping') return openPing(ends)
  const protocol = kind.startsWith('TCP') ? 'tcp' : 'udp'
  const { client, server } = await converse(protocol, ends)
  if (kind === 'UDP, the server streams') return openStream(kind, server, client)
  const serverFirst = kind.endsWith('the server speaks first')
  const turns = [
    { name: 'client to server', from: client, to: server },
    { name: 'server to client', from: server, to: client },
  ]
  if (serverFirst) turns.reverse()
  return {
    name: kind,
    async waysThrough(timeoutMs) {
      const through: string[] = []
      for (const { name, from, to } of turns) if (await arrives(from, to, timeoutMs)) through.push(name)
      return through
    },
  }
}

/** Both ends of a conversation that both have spoken on. */
export async function converse(
  protocol: 'tcp' | 'udp',
  { client, server, address, port, listeningPort = port }: Ends,
): Promise<{ readonly client: Conversation; readonly server: Conversation }> {
  lastLocalPort += 1
  const options = { localPort: lastLocalPort }
  const near = await (protocol === 'tcp'
    ? client.connectTcp(address, port, options)
    : client.openUdp(address, port, options))
  await near.send('hello')
  const far = await eventually(() => server.accepted({ protocol, port: listeningPort, remotePort: near.localPort }))
  if (!(await arrives(near, far, patienceMs)) || !(await arrives(far, near, patienceMs))) {
    throw new Error(`The ${protocol} session to ${address} port ${port} does not work to begin with`)
  }
  return { client: near, server: far }
}

/** Whether one message comes over. Where it should, it is waited for with `patienceMs`. */
export async function arrives(from: Conversation, to: Conversation, timeoutMs = silenceMs): Promise<boolean> {
  lastMessage += 1
  const message = `message ${lastMessage}`
  await from.send(message)
  return to.expect(message, timeoutMs)
}

/** The client has asked once; from then on only the server sends. */
async function openStream(name: string, server: Conversation, client: Conversation): Promise<Session> {
  return {
    name,
    async waysThrough(timeoutMs = silenceMs) {
      lastMessage += 1
      const message = `stream ${lastMessage}`
      let ended = false
      const arrived = client.expect(message, timeoutMs).finally(() => {
        ended = true
      })
      while (!ended) {
        await server.send(message)
        await setTimeout(streamPaceMs)
      }
      return (await arrived) ? ['server to client'] : []
    },
  }
}

/** `ping` runs until the namespace goes, one echo request every 20 ms, all of one session. */
async function openPing({ client, address }: Ends): Promise<Session> {
  const ping = client.namespace.spawn('ping', ['-n', '-i', '0.02', '-w', '60', address], { stdio: 'pipe' })
  const askLastSent = lastSentBy(ping)
  let lastAnswered = 0
  createInterface({ input: ping.stdout! }).on('line', line => {
    const [, sequence] = /bytes from .* icmp_seq=(\d+)/.exec(line) ?? []
    if (sequence !== undefined) lastAnswered = Number(sequence)
  })
  const isAnswered = async (lastSent: number, timeoutMs: number) => {
    const until = performance.now() + timeoutMs
    while (lastAnswered <= lastSent && performance.now() < until) await setTimeout(streamPaceMs)
    return lastAnswered > lastSent
  }
  if (!(await isAnswered(0, patienceMs))) throw new Error(`No echo reply from ${address} to begin with`)
  return {
    name: 'ping',
    async waysThrough(timeoutMs = silenceMs) {
      // Replies to what was sent before may not have been read yet.
      return (await isAnswered(await askLastSent(), timeoutMs)) ? ['echo reply'] : []
    },
  }
}

/** Asks a running ping how many requests it has sent: at SIGQUIT it says "12/13 packets, 7% loss" and more. */
function lastSentBy(ping: ChildProcess): () => Promise<number> {
  const lines = createInterface({ input: ping.stderr! })[Symbol.asyncIterator]()
  return async () => {
    ping.kill('SIGQUIT')
    for (;;) {
      const line = await lines.next()
      if (line.done) throw new Error('ping has ended')
      const [, sent] = /^\d+\/(\d+) packets/.exec(line.value) ?? []
      if (sent !== undefined) return Number(sent)
    }
  }
}

/**
 * Tries again until it does not throw, after rests that grow with the time it has taken: most attempts start a process.
 * @throws what the last attempt threw, after a minute, or longer on a slow machine
 */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const startedAtMs = performance.now()
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const tookMs = performance.now() - startedAtMs
      if (tookMs > timeoutMs * slowness) throw error
      await setTimeout(Math.min(10 + tookMs / 20, 200))
    }
  }
}
