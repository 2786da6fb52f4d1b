/**
 * The control daemon of the lab, a real `ringwall daemon` in a namespace of its own, and a client of its REST API. The
 * API is served on a Unix socket, which other namespaces can reach; agents come by the network.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { agentPort } from './fleet.ts'
import { endOf, logOf, startLogged } from './launcher.ts'
import type { Namespace } from './netns.ts'

export interface Control extends AsyncDisposable {
  readonly socketPath: string
  /** May do everything. */
  readonly token: string
  /** How agents reach it. */
  readonly agentUrl: string
  readonly log: string
  /** @throws {Error} with what the daemon says where it refuses */
  call<Answer = unknown>(method: string, path: string, body?: unknown): Promise<Answer>
  /** The answer whatever its status, for those who expect a refusal. */
  ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly answer: unknown }>
  /** Ends it as nobody would wish, without a chance to tidy up. */
  kill(): Promise<void>
  /** Starts it again on the same state. */
  restart(): Promise<void>
}

/** Of a change that was waited for. */
export interface Enforced {
  readonly enforcement: { readonly state: string; readonly agents: number }
}

/** For a loaded machine. */
const enforcedSeconds = 60

/**
 * Changes something, and waits until that is in force on every agent it concerns.
 * @throws {Error} if it is not in time, or the daemon refuses the change
 */
export async function putInForce(control: Control, path: string, body: unknown): Promise<Enforced> {
  const answer = await control.call<Enforced>('POST', `${path}?wait=enforced&timeout=${enforcedSeconds}`, body)
  const { enforcement } = answer
  if (enforcement.state === 'enforced') return answer
  throw new Error(`Not in force in ${enforcedSeconds} s: ${JSON.stringify(enforcement)}`)
}

export interface ControlOptions {
  /** State, log and socket go there. */
  readonly folder: string
  readonly namespace: Namespace
  /** Of the namespace, by which agents come. */
  readonly address: string
}

/** A busy machine takes a while to start a process. */
const readyTimeoutMs = 60_000
const pollMs = 20

/** @throws {Error} with the end of its log where it does not come up */
export async function startControl({ folder, namespace, address }: ControlOptions): Promise<Control> {
  const dataDir = join(folder, 'daemon.state')
  const socketPath = join(folder, 'api.sock')
  const agentUrl = `https://${address}:${agentPort}`
  const log = logOf(folder, 'daemon')
  const args = ['--data-dir', dataDir, '--listen', `unix:${socketPath}`, '--agent-listen', `0.0.0.0:${agentPort}`]
  const start = async () => {
    const command = ['daemon', ...args, '--agent-url', agentUrl]
    const child = startLogged({ namespace, hostName: 'control', args: command, log })
    await becomesHealthy(child, socketPath, log)
    return child
  }
  let child = await start()
  const token = (await readFile(join(dataDir, 'first-token'), 'utf8')).trim()
  const end = async (signal: NodeJS.Signals) => {
    const ended = once(child, 'close')
    if (child.exitCode !== null || child.signalCode !== null || !child.kill(signal)) return
    await ended
  }
  const askWithToken: Control['ask'] = (method, path, body) => ask(socketPath, { method, path, token, body })
  return {
    socketPath,
    token,
    agentUrl,
    log,
    ask: askWithToken,
    async call(method, path, body) {
      const { status, answer } = await askWithToken(method, path, body)
      if (status < 300) return answer as never
      throw new Error(`The daemon refuses ${method} ${path} (${status}): ${JSON.stringify(answer)}`)
    },
    kill: () => end('SIGKILL'),
    async restart() {
      child = await start()
    },
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  }
}

async function becomesHealthy(child: ChildProcess, socketPath: string, log: string): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs
  while (!(await isHealthy(socketPath))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      throw new Error(`The daemon does not come up; the end of ${log}:\n${endOf(log)}`)
    }
    await setTimeout(pollMs)
  }
}

async function isHealthy(socketPath: string): Promise<boolean> {
  try {
    return (await ask(socketPath, { method: 'GET', path: '/health' })).status === 200
  } catch {
    return false
  }
}

interface Question {
  readonly method: string
  readonly path: string
  readonly token?: string
  readonly body?: unknown
}

async function ask(socketPath: string, { method, path, token, body }: Question) {
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const question = request({ socketPath, method, path, headers })
  const answered = new Promise<{ status: number; answer: unknown }>((resolve, reject) => {
    question.on('error', reject)
    question.on('response', response => {
      text(response).then(
        answer => resolve({ status: response.statusCode ?? 0, answer: answer === '' ? null : JSON.parse(answer) }),
        reject,
      )
    })
  })
  question.end(body === undefined ? undefined : JSON.stringify(body))
  return answered
}

/** Lets a browser on this machine reach the API: a port on loopback that leads to the socket. */
export async function serveOnLoopback(control: Control): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(browser => {
    const daemon = connect(control.socketPath)
    const end = () => {
      browser.destroy()
      daemon.destroy()
    }
    browser.on('error', end).on('close', end)
    daemon.on('error', end).on('close', end)
    browser.pipe(daemon).pipe(browser)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, resolve)
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}
