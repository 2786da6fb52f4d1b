/** The RPC API beside `/v1`: signed requests a second, and how long the slowest of a hundred takes. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DaemonProcess } from '../test/support/daemon-process.ts'
import { type RpcKey, type RpcOptions, sign } from '../test/support/rpc-client.ts'
import { connections, fill, groupCount, permission, startDaemon } from './api.ts'
import { median, medianRatio, percentile } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'

type Scheme = NonNullable<RpcOptions['scheme']>

/** A request, signed or with its token, ready to be sent. */
interface Ready {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The same question to both APIs; `number` tells requests of all kinds apart. */
interface Question {
  readonly name: string
  readonly plain: (number: number) => { readonly method: string; readonly path: string; readonly body?: unknown }
  readonly signed: (number: number) => readonly [action: string, parameters: object]
}

const rounds = 21
/** More than any of them answers. */
const mostPerSecond = 6000

const ways = ['/v1', 'HMAC-SHA1', 'ACS3-HMAC-SHA256'] as const
type Way = (typeof ways)[number]
const schemes: Readonly<Record<Exclude<Way, '/v1'>, Scheme>> = { 'HMAC-SHA1': 'v1', 'ACS3-HMAC-SHA256': 'acs3' }

const describeOne: Question = {
  name: 'a group, the only one',
  plain: () => ({ method: 'GET', path: '/v1/security-groups' }),
  signed: () => ['DescribeSecurityGroups', { RegionId: 'local', PageSize: 100 }],
}
const questions: readonly Question[] = [
  {
    name: 'a group of 1,000, by its id',
    plain: number => ({ method: 'GET', path: `/v1/security-groups/sg-${number % groupCount}` }),
    signed: number => [
      'DescribeSecurityGroups',
      { RegionId: 'local', SecurityGroupId: `sg-${number % groupCount}`, MaxResults: 10 },
    ],
  },
  {
    name: 'list 100 of 1,000 groups',
    plain: () => ({ method: 'GET', path: '/v1/security-groups' }),
    signed: () => ['DescribeSecurityGroups', { RegionId: 'local', PageSize: 100 }],
  },
  {
    name: 'add a rule',
    plain: number => ({
      method: 'POST',
      path: `/v1/security-groups/sg-${number % groupCount}/rules`,
      body: { permissions: [permission(portOf(number))] },
    }),
    signed: number => {
      const { portRange, ipProtocol, sourceCidrIp } = permission(portOf(number))
      const rule = { IpProtocol: ipProtocol, PortRange: portRange, SourceCidrIp: sourceCidrIp }
      return [
        'AuthorizeSecurityGroup',
        { RegionId: 'local', SecurityGroupId: `sg-${number % groupCount}`, Permissions: [rule] },
      ]
    },
  },
]

/** Of one group each port once. */
const portOf = (number: number) => 1 + Math.floor(number / groupCount)

export async function measureRpc(depth: Depth): Promise<readonly Section[]> {
  const seconds = depth === 'quick' ? 0.1 : 0.4
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  await using daemon = await startDaemon(folder)
  try {
    const key = await firstKey(daemon)
    const maker = new RequestMaker(daemon, { 'HMAC-SHA1': key, 'ACS3-HMAC-SHA256': await secondKey(daemon, key) })
    // One that is there from the beginning would not be the only one.
    await sendAll(
      daemon,
      [maker.plain({ method: 'POST', path: '/v1/security-groups', body: { securityGroupId: 'sg-one' } })],
      10,
    )
    const rows = [...(await measure(daemon, maker, { question: describeOne, seconds }))]
    await fill(daemon)
    for (const question of questions) rows.push(...(await measure(daemon, maker, { question, seconds })))
    return [
      {
        heading: `Daemon: RPC API, ${connections} connections`,
        columns: ['request', 'by', 'a second', 'p50, ms', 'p99, ms', 'rate against /v1'],
        rows,
        notes: [
          'Medians of 21 short rounds in turn. Every write is on disk when it is answered; signed before the round begins.',
        ],
      },
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Measured {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

async function measure(
  daemon: DaemonProcess,
  maker: RequestMaker,
  { question, seconds }: { readonly question: Question; readonly seconds: number },
): Promise<readonly (readonly string[])[]> {
  const measured = new Map<Way, Measured[]>(ways.map(way => [way, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const way of ways) {
      const result = await sendAll(daemon, maker.ready(question, way, Math.ceil(seconds * mostPerSecond)), seconds)
      // The first warms up.
      if (round > 0) measured.get(way)!.push(result)
    }
  }
  const column = (way: Way, field: keyof Measured) => measured.get(way)!.map(each => each[field])
  return ways.map(way => [
    way === '/v1' ? question.name : '',
    way,
    ...(['perSecond', 'p50', 'p99'] as const).map(field => figure(median(column(way, field)))),
    ratio(medianRatio(column(way, 'perSecond'), column('/v1', 'perSecond'))),
  ])
}

class RequestMaker {
  readonly #daemon: DaemonProcess
  /** One for each scheme: the nonces of a key are many, and not without end. */
  readonly #keys: Readonly<Record<Exclude<Way, '/v1'>, RpcKey>>
  #number = 0

  constructor(daemon: DaemonProcess, keys: Readonly<Record<Exclude<Way, '/v1'>, RpcKey>>) {
    this.#daemon = daemon
    this.#keys = keys
  }

  plain({ method, path, body }: ReturnType<Question['plain']>): Ready {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      authorization: `Bearer ${this.#daemon.token}`,
      ...(text !== '' && { 'content-type': 'application/json' }),
    }
    return { method, url: path, headers, body: text }
  }

  ready(question: Question, way: Way, count: number): readonly Ready[] {
    return Array.from({ length: count }, () => {
      const number = this.#number++
      if (way === '/v1') return this.plain(question.plain(number))
      const [action, parameters] = question.signed(number)
      return sign(this.#keys[way], action, parameters, { scheme: schemes[way], method: 'POST' })
    })
  }
}

/** As many at once as connections, until the time is over. @throws {Error} for any that is refused */
async function sendAll({ port }: DaemonProcess, all: readonly Ready[], seconds: number): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const times: number[] = []
  const begun = performance.now()
  const untilMs = begun + seconds * 1000
  let next = 0
  const work = async () => {
    while (performance.now() < untilMs) {
      const ready = all[next++]
      if (ready === undefined) return
      const askedMs = performance.now()
      await send(port, agent, ready)
      times.push(performance.now() - askedMs)
    }
  }
  await Promise.all(Array.from({ length: connections }, work))
  const took = (performance.now() - begun) / 1000
  agent.destroy()
  return { perSecond: times.length / took, p50: percentile(times, 50), p99: percentile(times, 99) }
}

function send(port: number, agent: Agent, { method, url, headers, body }: Ready): Promise<void> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) }
    const question = request({ host: '127.0.0.1', port, method, path: url, headers: { ...headers, ...length }, agent })
    question.on('response', response => {
      let answer = ''
      response.setEncoding('utf8').on('data', chunk => {
        answer += chunk
      })
      response.on('end', () => {
        if ((response.statusCode ?? 0) < 300) resolve()
        else reject(new Error(`${method} ${url} answers ${response.statusCode}: ${answer.slice(0, 500)}`))
      })
    })
    question.on('error', reject)
    question.end(body)
  })
}

async function firstKey({ dataDir }: DaemonProcess): Promise<RpcKey> {
  const file = await readFile(join(dataDir, 'first-access-key.json'), 'utf8')
  const { accessKeyId, accessKeySecret } = JSON.parse(file)
  return { accessKeyId, secret: accessKeySecret }
}

/** Another one of the account. */
async function secondKey({ port }: DaemonProcess, key: RpcKey): Promise<RpcKey> {
  const { url, method, headers } = sign(key, 'CreateAccessKey', {}, { version: '2015-05-01' })
  const answer = await fetch(`http://127.0.0.1:${port}${url}`, { method, headers })
  const { AccessKey } = (await answer.json()) as { AccessKey: { AccessKeyId: string; AccessKeySecret: string } }
  return { accessKeyId: AccessKey.AccessKeyId, secret: AccessKey.AccessKeySecret }
}
