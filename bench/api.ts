/** The REST API: requests a second from another process over loopback, and how soon a daemon serves after its start. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openSqliteStore } from '../daemon/store/sqlite.ts'
import { DaemonProcess } from '../test/support/daemon-process.ts'
import { makeState, stateSize } from './state.ts'
import { median, medianRatio, percentile } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'

const node = join(import.meta.dirname, '..', 'scripts', 'node')
export const connections = 16

export async function measureApi(depth: Depth): Promise<readonly Section[]> {
  return [await measureRequests(depth), await measureStart(depth)]
}

/** From starting the process until it serves, on an empty state and on a large one. */
async function measureStart(depth: Depth): Promise<Section> {
  const rounds = depth === 'quick' ? 3 : 9
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  try {
    const large = join(folder, 'large')
    const { dataDir } = new DaemonProcess(large)
    await mkdir(dataDir, { recursive: true })
    const store = await openSqliteStore(join(dataDir, 'store.db'))
    await store.commit({ writes: [...makeState()] })
    await store.close()
    const timeStarts = async (place: string) => {
      const times: number[] = []
      for (let round = 0; round <= rounds; round += 1) {
        const begun = performance.now()
        await using _daemon = await startDaemon(place)
        times.push(performance.now() - begun)
      }
      // The first makes the CA and the first token, and reads the code from the disk.
      return times.slice(1)
    }
    const none = await timeStarts(join(folder, 'none'))
    const all = await timeStarts(large)
    const row = (name: string, times: readonly number[]) => [
      name,
      figure(median(times)),
      figure(Math.max(...times)),
      ratio(median(times) / median(none)),
    ]
    const { groups, rulesOfGroup, enis } = stateSize
    return {
      heading: 'Daemon: from its start until it serves',
      columns: ['state', 'median, ms', 'longest, ms', 'against none'],
      rows: [
        row('none', none),
        row(`${groups.toLocaleString('en')} groups of ${rulesOfGroup} rules, ${enis.toLocaleString('en')} ENIs`, all),
      ],
      notes: ['From starting the command to the line in its log that says where the API is served.'],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureRequests(depth: Depth): Promise<Section> {
  const [rounds, seconds] = depth === 'quick' ? [3, 0.2] : [21, 0.4]
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  await using baseline = await startBaseline()
  await using daemon = await startDaemon(folder)
  try {
    await fill(daemon)
    const bare = new Load('bare node:http server', baseline, () => ({ method: 'GET', path: '/' }))
    const loads = [...requests.map(([name, questionOf]) => new Load(name, daemon, questionOf)), bare]
    for (let round = 0; round <= rounds; round += 1) {
      // The first warms up.
      for (const load of loads) await load.run(seconds, { isKept: round > 0 })
    }
    return {
      heading: `Daemon: REST API, ${connections} connections`,
      columns: ['request', 'a second', 'p50, ms', 'p99, ms', 'rate against bare node:http'],
      rows: loads.map(load => [
        load.name,
        ...(['perSecond', 'p50', 'p99'] as const).map(field => figure(median(load.column(field)))),
        ratio(medianRatio(load.column('perSecond'), bare.column('perSecond'))),
      ]),
      notes: [
        'State: 1,000 groups, 100 instances with an ENI each; no agents. Every write is on disk when it is answered. The client is one process on the same cores.',
        `Medians of ${rounds} short rounds in turn.`,
      ],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Target extends AsyncDisposable {
  readonly port: number
  readonly token: string | null
}

interface Question {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

export const groupCount = 1000

const requests: readonly (readonly [string, QuestionOf])[] = [
  ['read a group', number => ({ method: 'GET', path: `/v1/security-groups/sg-${number % groupCount}` })],
  ['list 100 of 1,000 groups', () => ({ method: 'GET', path: '/v1/security-groups' })],
  [
    'add a rule',
    number => ({
      method: 'POST',
      path: `/v1/security-groups/sg-${number % groupCount}/rules`,
      body: { permissions: [permission(1 + Math.floor(number / groupCount))] },
    }),
  ],
  [
    'join a group or leave it',
    // Each client has an instance of its own: its requests are answered in their order.
    (_number, client, round) => ({
      method: 'POST',
      path: `/v1/security-groups/sg-1/${round % 2 === 0 ? 'join' : 'leave'}`,
      body: { instanceIds: [`i-${client}`] },
    }),
  ],
]
const instanceCount = 100

/** @param number  of the request among all, `client` of whoever makes it, `round` of it among that client's */
type QuestionOf = (number: number, client: number, round: number) => Question

export function permission(port: number) {
  return { direction: 'ingress', ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceCidrIp: '198.18.0.0/15' }
}

/** With groups `sg-0` and on, and instances in the first. */
export async function fill(daemon: Target): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const make = async (path: string, body: unknown) => {
    const { status, text } = await ask(daemon, agent, { method: 'POST', path, body })
    if (status !== 201) throw new Error(`Cannot fill the daemon: ${path} answers ${status}: ${text}`)
  }
  for (let number = 0; number < groupCount; number += 1) {
    await make('/v1/security-groups', { securityGroupId: `sg-${number}`, innerAccessPolicy: 'drop' })
  }
  for (let number = 0; number < instanceCount; number += 1) {
    await make('/v1/instances', { instanceId: `i-${number}` })
    await make('/v1/network-interfaces', {
      networkInterfaceId: `eni-${number}`,
      instanceId: `i-${number}`,
      privateIpAddresses: [`198.18.${1 + Math.floor(number / 200)}.${1 + (number % 200)}`],
      securityGroupIds: ['sg-0'],
    })
  }
  agent.destroy()
}

interface Measured {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

/** Requests of one kind, which go on from round to round: none is asked twice. */
class Load {
  readonly name: string
  readonly #target: Target
  readonly #questionOf: QuestionOf
  #number = 0
  readonly #turns = Array.from({ length: connections }, () => 0)
  readonly #measured: Measured[] = []

  constructor(name: string, target: Target, questionOf: QuestionOf) {
    this.name = name
    this.#target = target
    this.#questionOf = questionOf
  }

  column(field: keyof Measured): readonly number[] {
    return this.#measured.map(each => each[field])
  }

  /** As many requests at once as connections, the next as soon as one is answered. */
  async run(seconds: number, { isKept }: { readonly isKept: boolean }): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: connections })
    const times: number[] = []
    const begun = performance.now()
    const until = begun + seconds * 1000
    const work = async (client: number) => {
      while (performance.now() < until) {
        const question = this.#questionOf(this.#number++, client, this.#turns[client]!++)
        const asked = performance.now()
        const { status, text } = await ask(this.#target, agent, question)
        times.push(performance.now() - asked)
        if (status >= 300) throw new Error(`${question.method} ${question.path} answers ${status}: ${text}`)
      }
    }
    await Promise.all(Array.from({ length: connections }, (_, client) => work(client)))
    const took = (performance.now() - begun) / 1000
    agent.destroy()
    if (!isKept) return
    this.#measured.push({ perSecond: times.length / took, p50: percentile(times, 50), p99: percentile(times, 99) })
  }
}

interface Answer {
  readonly status: number
  readonly text: string
}

function ask({ port, token }: Target, agent: Agent, { method, path, body }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    const question = request({ host: '127.0.0.1', port, method, path, headers, agent }, response => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        answer += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer }))
    })
    question.on('error', reject)
    question.end(text)
  })
}

export async function startDaemon(folder: string): Promise<DaemonProcess> {
  const daemon = new DaemonProcess(folder)
  await daemon.start()
  return daemon
}

/** In a process of its own as well, so that the client has the same share of the machine. */
async function startBaseline(): Promise<Target> {
  const child = spawn(node, [import.meta.filename, 'baseline'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { port: Number(line), token: null, [Symbol.asyncDispose]: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  await ended
}

if (process.argv[2] === 'baseline' && process.argv[1] === import.meta.filename) {
  const server = createServer((_question, response) => response.end('{"items":[]}'))
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
}
