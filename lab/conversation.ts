/**
 * Real conversations between namespaces, over TCP and UDP in both families: the typed client of `peer.ts`.
 *
 * A conversation's messages are lines of text. What a filter drops shows as silence: a message that does not arrive in
 * time, never an error.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Namespace } from './netns.ts'

export interface Peer extends AsyncDisposable {
  readonly namespace: Namespace
  /** Listens on all addresses of both families. With `echo`, the default, every message is sent back. */
  listenTcp(port: number, options?: ListenOptions): Promise<void>
  listenUdp(port: number, options?: ListenOptions): Promise<void>
  /** @throws {Error} whose message is the code: ETIMEDOUT where nothing answered, ECONNREFUSED and the like */
  connectTcp(address: string, port: number, options?: OpenOptions): Promise<Conversation>
  /** Sends nothing yet. An ICMP error later shows as silence. */
  openUdp(address: string, port: number, options?: OpenOptions): Promise<Conversation>
  /** The listening end's view of a conversation: to speak first, or to count what arrived. @throws {Error} if unknown */
  accepted(key: ConversationKey): Promise<Conversation>
  /** Whether an echo request is answered. */
  ping(address: string, options?: OpenOptions): Promise<boolean>
  httpGet(address: string, port: number, path: string): Promise<{ readonly status: number; readonly body: string }>
  /** UDP datagrams of 18 bytes at an even pace, whatever becomes of them. @returns how many were sent */
  flood(address: string, port: number, options: FloodOptions): Promise<number>
}

export interface Conversation {
  readonly localPort: number
  send(message: string): Promise<void>
  /** Whether the message arrives within the time, or has arrived before and was not asked for yet. */
  expect(message: string, timeoutMs?: number): Promise<boolean>
  /** Sends the message and waits for it to come back from an end that echoes. Use each message once. */
  ask(message: string, timeoutMs?: number): Promise<boolean>
  /** Messages arrived so far. */
  received(): Promise<number>
  close(): Promise<void>
}

export interface ListenOptions {
  readonly echo?: boolean
}

export interface OpenOptions {
  readonly localAddress?: string
  readonly localPort?: number
  /** 10,000 where left out. */
  readonly timeoutMs?: number
}

export interface FloodOptions {
  readonly localAddress: string
  readonly packetsPerSecond: number
  readonly seconds: number
}

/** Which conversation of a listening end: by its own port and the other end's. */
export interface ConversationKey {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly remotePort: number
}

export interface OpenedConversation {
  readonly id: number
  readonly localPort: number
}

/** What the two processes say to each other. */
export interface Requests {
  listenTcp: { request: { port: number; echo: boolean }; answer: undefined }
  listenUdp: { request: { port: number; echo: boolean }; answer: undefined }
  connectTcp: { request: OpenRequest & { timeoutMs: number }; answer: OpenedConversation }
  openUdp: { request: OpenRequest; answer: OpenedConversation }
  accepted: { request: ConversationKey; answer: OpenedConversation }
  send: { request: { id: number; message: string }; answer: undefined }
  expect: { request: { id: number; message: string; timeoutMs: number }; answer: boolean }
  received: { request: { id: number }; answer: number }
  close: { request: { id: number }; answer: undefined }
  httpGet: {
    request: { address: string; port: number; path: string }
    answer: { status: number; body: string }
  }
  flood: { request: FloodOptions & { address: string; port: number }; answer: number }
}

interface OpenRequest extends OpenOptions {
  readonly address: string
  readonly port: number
}

export interface Request<K extends keyof Requests> {
  readonly serial: number
  readonly kind: K
  readonly request: Requests[K]['request']
}

export interface Answer {
  readonly serial: number
  readonly result?: unknown
  readonly error?: string
}

/** For what should come, however busy the machine is; who expects silence says how long. */
const defaultTimeoutMs = 10_000
/** Of the same kind as this file: packages hold bundles. */
const peerFile = `${import.meta.dirname}/peer${extname(import.meta.url)}`

/** A peer process in the namespace, ready for requests; it ends when disposed of, and with the namespace. */
export async function startPeer(namespace: Namespace): Promise<Peer> {
  const child = namespace.spawn(process.execPath, [peerFile], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ask = requester(child, namespace.name)

  const conversation = ({ id, localPort }: OpenedConversation): Conversation => {
    const send = (message: string) => ask('send', { id, message })
    const expect = (message: string, timeoutMs = defaultTimeoutMs) => ask('expect', { id, message, timeoutMs })
    return {
      localPort,
      send,
      expect,
      async ask(message, timeoutMs) {
        await send(message)
        return expect(message, timeoutMs)
      },
      received: () => ask('received', { id }),
      close: () => ask('close', { id }),
    }
  }

  return {
    namespace,
    listenTcp: (port, { echo = true } = {}) => ask('listenTcp', { port, echo }),
    listenUdp: (port, { echo = true } = {}) => ask('listenUdp', { port, echo }),
    async connectTcp(address, port, options = {}) {
      return conversation(await ask('connectTcp', { timeoutMs: defaultTimeoutMs, ...options, address, port }))
    },
    async openUdp(address, port, options = {}) {
      return conversation(await ask('openUdp', { ...options, address, port }))
    },
    accepted: async key => conversation(await ask('accepted', key)),
    async ping(address, { localAddress, timeoutMs = defaultTimeoutMs } = {}) {
      const from = localAddress === undefined ? [] : ['-I', localAddress]
      const args = ['-n', '-q', '-c', '1', '-W', String(timeoutMs / 1000), ...from, address]
      return (await namespace.run('ping', args, { allowFailure: true })).exitCode === 0
    },
    httpGet: (address, port, path) => ask('httpGet', { address, port, path }),
    flood: (address, port, options) => ask('flood', { ...options, address, port }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.stdin!.end()
      await ended
    },
  }
}

type Ask = <K extends keyof Requests>(kind: K, request: Requests[K]['request']) => Promise<Requests[K]['answer']>

function requester(child: ChildProcess, name: string): Ask {
  const pending = new Map<number, (answer: Answer) => void>()
  let lastSerial = 0
  let gone: string | null = null
  createInterface({ input: child.stdout! }).on('line', line => {
    const answer = JSON.parse(line) as Answer
    pending.get(answer.serial)?.(answer)
    pending.delete(answer.serial)
  })
  const fail = () => {
    gone = `the peer in "${name}" has ended`
    for (const [serial, settle] of pending) settle({ serial, error: gone })
    pending.clear()
  }
  child.once('exit', fail)
  child.stdin!.on('error', () => {})
  return async (kind, request) => {
    if (gone !== null) throw new Error(gone)
    lastSerial += 1
    const serial = lastSerial
    const answered = new Promise<Answer>(resolve => pending.set(serial, resolve))
    child.stdin!.write(`${JSON.stringify({ serial, kind, request } satisfies Request<typeof kind>)}\n`)
    const { result, error } = await answered
    if (error !== undefined) throw new Error(error)
    return result as never
  }
}
