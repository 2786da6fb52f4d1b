/**
 * One end of conversations: a process inside a namespace that listens, connects, sends and counts, as it is told by
 * JSON lines on stdin. `conversation.ts` is its typed client and says what each request means; this file only does it.
 *
 * A conversation is a TCP connection or a UDP flow, at either end. Its messages are lines on TCP, datagrams on UDP.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, connect as openTcp, type Socket as TcpSocket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { Answer, ConversationKey, OpenedConversation, Request, Requests } from './conversation.ts'

class Conversation {
  readonly localPort: number
  #received = 0
  readonly #arrived = new Map<string, number>()
  readonly #waiting = new Set<() => void>()
  readonly #transmit: (message: string) => void
  readonly #end: () => void

  constructor(localPort: number, transmit: (message: string) => void, end: () => void) {
    this.localPort = localPort
    this.#transmit = transmit
    this.#end = end
  }

  get received(): number {
    return this.#received
  }

  send(message: string): void {
    this.#transmit(message)
  }

  close(): void {
    this.#end()
  }

  note(message: string): void {
    this.#received += 1
    this.#arrived.set(message, (this.#arrived.get(message) ?? 0) + 1)
    for (const wake of this.#waiting) wake()
  }

  /** Whether the message arrives in time, or did before; each arrival is given out once. */
  async expect(message: string, timeoutMs: number): Promise<boolean> {
    return this.#until(() => {
      const count = this.#arrived.get(message) ?? 0
      if (count === 0) return false
      if (count === 1) this.#arrived.delete(message)
      else this.#arrived.set(message, count - 1)
      return true
    }, timeoutMs)
  }

  async #until(happened: () => boolean, timeoutMs: number): Promise<boolean> {
    if (happened()) return true
    return new Promise(resolve => {
      const finish = (result: boolean) => {
        stopWaiting()
        this.#waiting.delete(wake)
        resolve(result)
      }
      const wake = () => {
        if (happened()) finish(true)
      }
      const stopWaiting = afterAtWork(timeoutMs, () => finish(false))
      this.#waiting.add(wake)
    })
  }
}

const floodTickMs = 5
/** Into so many parts a time is divided that this process must have been at work for. */
const timeParts = 10

const opened = new Map<number, Conversation>()
const accepted = new Map<string, number>()
let lastId = 0

const handlers: {
  readonly [K in keyof Requests]: (request: Requests[K]['request']) => Promise<Requests[K]['answer']>
} = {
  async listenTcp({ port, echo }) {
    const server = createServer(socket => {
      const conversation = overTcp(socket, echo)
      remember(conversation, { protocol: 'tcp', port, remotePort: socket.remotePort ?? 0 })
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host: '::' }, resolve)
    })
  },

  async listenUdp({ port, echo }) {
    await Promise.all([
      listenUdpFamily(createSocket('udp4'), port, echo),
      listenUdpFamily(createSocket({ type: 'udp6', ipv6Only: true }), port, echo),
    ])
  },

  async connectTcp({ address, port, localAddress, localPort, timeoutMs }) {
    const local = {
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(localPort === undefined ? {} : { localPort }),
    }
    const socket = openTcp({ host: address, port, ...local })
    await new Promise<void>((resolve, reject) => {
      const stopWaiting = afterAtWork(timeoutMs, () => {
        socket.destroy()
        reject(new Error('ETIMEDOUT'))
      })
      socket.once('connect', () => {
        stopWaiting()
        resolve()
      })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        stopWaiting()
        reject(new Error(error.code ?? error.message))
      })
    })
    return remember(overTcp(socket, false))
  },

  async openUdp({ address, port, localAddress, localPort }) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ port: localPort ?? 0, ...(localAddress === undefined ? {} : { address: localAddress }) }, resolve)
    })
    await new Promise<void>((resolve, reject) => {
      socket.connect(port, address, (error?: Error) =>
        error === undefined || error === null ? resolve() : reject(error),
      )
    })
    // An ICMP error on a send is answered like silence: the message does not come back.
    socket.on('error', () => {})
    const conversation = new Conversation(
      socket.address().port,
      message => socket.send(message),
      () => socket.close(),
    )
    socket.on('message', data => conversation.note(data.toString()))
    return remember(conversation)
  },

  async accepted(key) {
    const id = accepted.get(keyText(key))
    if (id === undefined)
      throw new Error(`no conversation from port ${key.remotePort} to ${key.protocol} port ${key.port}`)
    return { id, localPort: key.port }
  },

  async send({ id, message }) {
    conversationOf(id).send(message)
  },

  async expect({ id, message, timeoutMs }) {
    return conversationOf(id).expect(message, timeoutMs)
  },

  async received({ id }) {
    return conversationOf(id).received
  },

  async close({ id }) {
    conversationOf(id).close()
    opened.delete(id)
  },

  async httpGet({ address, port, path }) {
    // Loaded when it is asked for: it takes half of the time in which a peer starts, and a lab has many.
    const { get } = await import('node:http')
    return new Promise((resolve, reject) => {
      const request = get({ host: address, port, path, agent: false, timeout: 20_000 }, response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
      request.on('timeout', () => request.destroy(new Error('ETIMEDOUT')))
      request.on('error', (error: NodeJS.ErrnoException) => reject(new Error(error.code ?? error.message)))
    })
  },

  async flood({ address, port, localAddress, packetsPerSecond, seconds }) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => {})
    await new Promise<void>(resolve => socket.bind({ port: 0, address: localAddress }, resolve))
    await new Promise<void>(resolve => socket.connect(port, address, resolve))
    const datagram = Buffer.alloc(18)
    const begun = performance.now()
    let sent = 0
    for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - begun) / 1000) {
      for (const due = Math.round(elapsed * packetsPerSecond); sent < due; sent += 1) socket.send(datagram)
      await pause(floodTickMs)
    }
    socket.close()
    return sent
  },
}

/**
 * Runs out once the time is over in which this process could have noticed: one that was stopped for longer, on a busy
 * machine say, first looks at what has come meanwhile.
 * @returns what ends the waiting
 */
function afterAtWork(timeoutMs: number, runOut: () => void): () => void {
  let partsLeft = timeParts
  const timer = setInterval(() => {
    partsLeft -= 1
    if (partsLeft > 0) return
    clearInterval(timer)
    runOut()
  }, timeoutMs / timeParts)
  return () => clearInterval(timer)
}

function overTcp(socket: TcpSocket, echo: boolean): Conversation {
  socket.setNoDelay(true)
  // A reset or a time-out ends the conversation; what waits for a message then waits in vain, as for a silent drop.
  socket.on('error', () => {})
  const conversation = new Conversation(
    socket.localPort ?? 0,
    message => socket.write(`${message}\n`),
    () => socket.destroy(),
  )
  createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })
    .on('line', line => {
      conversation.note(line)
      if (echo) conversation.send(line)
    })
    // The socket's own, told again: a conversation that is cut must not end the peer.
    .on('error', () => {})
  return conversation
}

async function listenUdpFamily(socket: UdpSocket, port: number, echo: boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, resolve)
  })
  socket.on('message', (data, remote) => {
    const key = { protocol: 'udp', port, remotePort: remote.port } as const
    const known = accepted.get(keyText(key))
    const answer = (message: string) => socket.send(message, remote.port, remote.address)
    const conversation = known === undefined ? new Conversation(port, answer, () => {}) : conversationOf(known)
    if (known === undefined) remember(conversation, key)
    conversation.note(data.toString())
    if (echo) conversation.send(data.toString())
  })
}

function remember(conversation: Conversation, key?: ConversationKey): OpenedConversation {
  lastId += 1
  opened.set(lastId, conversation)
  if (key !== undefined) accepted.set(keyText(key), lastId)
  return { id: lastId, localPort: conversation.localPort }
}

function conversationOf(id: number): Conversation {
  const conversation = opened.get(id)
  if (conversation === undefined) throw new Error(`conversation ${id} is closed`)
  return conversation
}

function keyText({ protocol, port, remotePort }: ConversationKey): string {
  return `${protocol} ${port} ${remotePort}`
}

async function answer<K extends keyof Requests>(line: string): Promise<void> {
  const { serial, kind, request } = JSON.parse(line) as Request<K>
  let answered: Answer
  try {
    answered = { serial, result: await handlers[kind](request) }
  } catch (error) {
    answered = { serial, error: (error as Error).message }
  }
  process.stdout.write(`${JSON.stringify(answered)}\n`)
}

createInterface({ input: process.stdin })
  .on('line', line => void answer(line))
  // Whoever gave the orders is gone.
  .on('close', () => process.exit(0))
