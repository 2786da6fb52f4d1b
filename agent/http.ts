/** The agent's HTTP: reading only, plain routes, for Prometheus, health checks and `ringwall show`. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Registry } from 'prom-client'
import { isLoopback, isLoopbackHost } from '../common/loopback.ts'

export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** A stream says something this often, if only that there is nothing to say: who hears less takes the agent to hang. */
export const mostSilentMs = 2_000

/** Lines for as long as there is somebody who reads them, some `mostSilentMs` apart at most. */
export interface LineStream {
  readonly contentType: string
  /** What waits for a slow reader at most; what Node keeps for a connection where left out. */
  readonly mostWaitingBytes?: number
  /** A line that a slow reader has no room for is lost to it, and `write` gives false. @returns what ends it */
  readonly start: (write: (line: string) => boolean) => () => void
}

/** What to answer a GET with, keyed by path; given what stands behind the question mark. */
export type Routes = Readonly<
  Record<string, (query: URLSearchParams) => Reply | LineStream | Promise<Reply | LineStream>>
>

export interface Health {
  /** False makes /health answer 503. */
  readonly healthy: boolean
  /** What is wrong, one sentence each. */
  readonly problems: readonly string[]
}

/** Readers are a scraper, a health check and now and then an operator; slow or many others must not pile up. */
const limits = { connections: 64, streams: 8, requestTimeoutMs: 10_000 } as const

/** @param onError  told of routes that throw; the client sees a bare 500 */
export function createRequestHandler(routes: Routes, onError: (path: string, error: unknown) => void): RequestListener {
  let streams = 0
  return async (request, response) => {
    const { pathname: path, searchParams } = questionOf(request)
    try {
      const answer = await replyTo(request, Object.hasOwn(routes, path) ? routes[path] : undefined, searchParams)
      if ('body' in answer) {
        send(response, answer)
      } else if (streams >= limits.streams) {
        send(response, jsonReply(503, { error: `${limits.streams} readers are served at once; try again later` }))
      } else {
        streams += 1
        stream(response, answer, () => {
          streams -= 1
        })
      }
    } catch (error) {
      onError(path, error)
      send(response, jsonReply(500, { error: 'internal error; the log has it' }))
    }
  }
}

function replyTo(request: IncomingMessage, route: Routes[string] | undefined, query: URLSearchParams) {
  if (request.method !== 'GET') return jsonReply(405, { error: `method ${request.method} is not served: expected GET` })
  return route === undefined ? jsonReply(404, { error: 'no such path' }) : route(query)
}

function stream(response: ServerResponse, answer: LineStream, onEnd: () => void): void {
  const { contentType, mostWaitingBytes, start } = answer
  // Who went away meanwhile closes nothing any more.
  if (response.destroyed) {
    onEnd()
    return
  }
  response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
  response.flushHeaders()
  const isFull = () =>
    mostWaitingBytes === undefined ? response.writableNeedDrain : response.writableLength > mostWaitingBytes
  const end = start(line => {
    if (isFull()) return false
    response.write(`${line}\n`)
    return true
  })
  response.once('close', () => {
    end()
    onEnd()
  })
}

export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}

export const healthRoute = (health: () => Health) => (): Reply => {
  const state = health()
  return jsonReply(state.healthy ? 200 : 503, state)
}

export const metricsRoute = (registry: Registry) => async (): Promise<Reply> => ({
  status: 200,
  contentType: registry.contentType,
  body: await registry.metrics(),
})

export interface LoopbackServer {
  /** Where it listens; the port is the one chosen where 0 was asked for. */
  readonly address: string
  readonly port: number
  close(): Promise<void>
}

/**
 * @param address  `127.0.0.1` or `::1`: there is no password, so other machines must not reach it
 * @throws {Error} if the address is another, or cannot be listened on
 */
export async function serveLoopback(handler: RequestListener, address: string, port: number): Promise<LoopbackServer> {
  if (!isLoopback(address)) {
    throw new Error(`Cannot serve metrics on "${address}": expected a loopback address such as 127.0.0.1 or ::1`)
  }
  const server = createLimitedServer((request, response) => {
    if (isLoopbackHost(request.headers.host)) handler(request, response)
    else send(response, jsonReply(421, { error: 'expected a Host that is localhost or a loopback address' }))
  })
  try {
    await listening(server, { host: address, port })
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const reason = taken ? 'another process listens there; expected a free port' : (cause as Error).message
    throw new Error(`Cannot serve metrics on "${address}" port ${port}: ${reason}`, { cause })
  }
  return {
    address,
    port: (server.address() as AddressInfo).port,
    close: () => closeServer(server),
  }
}

export function createLimitedServer(handler: RequestListener): Server {
  const server = createServer(
    { requestTimeout: limits.requestTimeoutMs, headersTimeout: limits.requestTimeoutMs },
    handler,
  )
  boundConnections(server)
  // A connection that cannot be accepted (no descriptor left) is that client's trouble, not a reason to end.
  server.on('error', () => {})
  return server
}

/**
 * Any local user may connect, and hold connections as long as he likes: where there is no room, the one that nothing was
 * asked over for longest makes some. Who asks at once, as our own commands do, is answered.
 */
function boundConnections(server: Server): void {
  const open = new Set<Socket>()
  /** In the order that they came, or were answered. */
  const idle = new Set<Socket>()
  server.on('connection', socket => {
    open.add(socket)
    idle.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      idle.delete(socket)
    })
    const [longest] = idle
    if (open.size > limits.connections) longest?.destroy()
  })
  server.on('request', ({ socket }, response) => {
    idle.delete(socket)
    response.once('close', () => {
      if (!socket.destroyed) idle.add(socket)
    })
  })
}

/** Resolves when it listens. @throws {Error} with the system's `code` (EADDRINUSE) where it cannot */
export function listening(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Ends open connections too: a scraper that keeps one alive must not keep us from ending. */
export function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function questionOf({ url = '/' }: IncomingMessage): { pathname: string; searchParams: URLSearchParams } {
  const at = url.indexOf('?')
  const [pathname, query] = at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
  return { pathname, searchParams: new URLSearchParams(query) }
}

function send(response: ServerResponse, { status, contentType, body }: Reply): void {
  const allow = status === 405 ? { allow: 'GET' } : {}
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', ...allow }).end(body)
}
