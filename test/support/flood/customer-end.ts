/**
 * One end of well-behaved traffic, in a namespace, told what to do by JSON lines on stdin; `customers.ts` is its client.
 *
 * - `serve`: a TCP port that sends every line back, but for the line `send N`, after which it sends N bytes a second.
 * - `download`: fetches so many bytes a second, as a download limited by its server.
 * - `session`: a connection that asks a line every so often and waits for its answer.
 * - `knock`: new connections at a steady pace, closed once they are answered.
 * - `upload`: sends so many bytes a second into a connection.
 * - `report`: what was seen since the last report.
 */
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Errand, Report } from './customers.ts'

const tickMs = 20
const askEveryMs = 50
const mostBehindMs = 250

let report: Report = emptyReport()
let sinceMs = performance.now()

function emptyReport(): Report {
  return {
    seconds: 0,
    downloadedBytes: 0,
    wantedBytes: 0,
    receivedBytes: 0,
    asked: 0,
    answered: 0,
    longestSilenceMs: 0,
    brokenSessions: [],
    connectMs: [],
    connectsFailed: 0,
  }
}

const errands: { readonly [K in Errand['kind']]: (errand: Extract<Errand, { kind: K }>) => Promise<void> } = {
  serve({ port }) {
    const server = createServer(socket => {
      socket.setNoDelay(true).on('error', () => {})
      let bytesPerSecond = 0
      socket.on('data', data => {
        report.receivedBytes += data.length
        if (bytesPerSecond > 0) return
        const wanted = data.length < 20 ? /^send (\d+)\n$/.exec(data.toString()) : null
        if (wanted !== null) {
          bytesPerSecond = Number(wanted[1])
          sendSteadily(socket, bytesPerSecond, bytes => {
            report.wantedBytes += bytes
          })
        } else if (data.length < 200) socket.write(data)
      })
      socket.on('end', () => socket.end())
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      // What is opened while this process is held up waits, or a flood of connections would look like one of SYNs.
      server.listen({ port, host: '::', backlog: 4096 }, resolve)
    })
  },

  async download({ address, port, bytesPerSecond }) {
    const socket = await opened({ address, port })
    socket.on('data', data => {
      report.downloadedBytes += data.length
    })
    socket.on('close', () => report.brokenSessions.push(`download from ${address}`))
    socket.write(`send ${bytesPerSecond}\n`)
  },

  async upload({ address, port, bytesPerSecond, localAddress }) {
    const socket = await opened({ address, port, localAddress })
    socket.on('close', () => report.brokenSessions.push(`upload to ${address}`))
    sendSteadily(socket, bytesPerSecond)
  },

  async session({ address, port, localAddress }) {
    const socket = await opened({ address, port, localAddress })
    let waitingSinceMs = 0
    const note = () => {
      report.longestSilenceMs = Math.max(report.longestSilenceMs, performance.now() - waitingSinceMs)
    }
    socket.on('close', () => report.brokenSessions.push(`session to ${address}`))
    createInterface({ input: socket }).on('line', () => {
      report.answered += 1
      note()
      waitingSinceMs = 0
    })
    setInterval(() => {
      if (waitingSinceMs !== 0) return note()
      report.asked += 1
      waitingSinceMs = performance.now()
      socket.write('ask\n')
    }, askEveryMs)
  },

  async knock({ address, port, perSecond, localAddresses, timeoutMs }) {
    let number = 0
    let due = 0
    let lastMs = performance.now()
    setInterval(
      () => {
        const nowMs = performance.now()
        // What could not be begun in time is made up for, but for what a longer stop has left.
        due += (perSecond * Math.min(nowMs - lastMs, mostBehindMs)) / 1000
        lastMs = nowMs
        for (; due >= 1; due -= 1) {
          const localAddress = localAddresses[number % localAddresses.length]
          number += 1
          void knockOnce({ address, port, localAddress, timeoutMs })
        }
      },
      Math.min(1000 / perSecond, tickMs),
    )
  },
}

interface Place {
  readonly address: string
  readonly port: number
  readonly localAddress?: string | undefined
}

/** From the first SYN to the answer of the service: a connection of which only the kernel knows is no service. */
async function knockOnce({ timeoutMs, ...place }: Place & { readonly timeoutMs: number }): Promise<void> {
  const begunMs = performance.now()
  const socket = connectTo(place)
  await new Promise<void>(resolve => {
    const finish = (succeeded: boolean) => {
      clearTimeout(timer)
      if (succeeded) report.connectMs.push(performance.now() - begunMs)
      else report.connectsFailed += 1
      socket.destroy()
      resolve()
    }
    const timer = setTimeout(() => finish(false), timeoutMs)
    socket.on('error', () => finish(false))
    socket.on('connect', () => socket.write('knock\n'))
    socket.once('data', () => finish(true))
  })
}

function connectTo({ address, port, localAddress }: Place): Socket {
  const socket = connect({ host: address, port, ...(localAddress !== undefined && { localAddress }) })
  return socket.setNoDelay(true)
}

async function opened(place: Place): Promise<Socket> {
  const socket = connectTo(place)
  await new Promise<void>((resolve, reject) => socket.once('connect', () => resolve()).once('error', reject))
  socket.on('error', () => {})
  return socket
}

/** As fast as the other side takes it, at most so much: what could not be sent in time is not sent later. */
function sendSteadily(socket: Socket, bytesPerSecond: number, onTick: (bytes: number) => void = () => {}): void {
  let lastMs = performance.now()
  const ticker = setInterval(() => {
    const nowMs = performance.now()
    const bytes = Math.round((bytesPerSecond * Math.min(nowMs - lastMs, 4 * tickMs)) / 1000)
    lastMs = nowMs
    onTick(bytes)
    if (socket.writableLength < bytesPerSecond / 4) socket.write(Buffer.alloc(bytes))
  }, tickMs)
  socket.on('close', () => clearInterval(ticker))
}

createInterface({ input: process.stdin })
  .on('line', async line => {
    const request: Errand | { readonly kind: 'report' } = JSON.parse(line)
    let answer: { readonly error?: string; readonly report?: Report } = {}
    if (request.kind === 'report') {
      answer = { report: { ...report, seconds: (performance.now() - sinceMs) / 1000 } }
      report = emptyReport()
      sinceMs = performance.now()
    } else {
      try {
        await errands[request.kind](request as never)
      } catch (error) {
        answer = { error: (error as Error).message }
      }
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  })
  // Whoever gave the orders is gone.
  .on('close', () => process.exit(0))
