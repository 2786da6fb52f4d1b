/** The REST API in this process, on a real store in a folder of its own; agents are not there unless a test says so. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { Compile } from 'typebox/compile'
import { createLogger } from '../../common/log.ts'
import { createApp, type TlsPair } from '../../daemon/app.ts'
import { type AuditLog, openAuditLog } from '../../daemon/audit/audit-log.ts'
import { ApiError } from '../../daemon/errors.ts'
import { problemSchema } from '../../daemon/http/problem.ts'
import { createMetrics } from '../../daemon/metrics.ts'
import { keyOf, type TokenScope } from '../../daemon/model/documents.ts'
import type { RefusedWrite } from '../../daemon/model/note.ts'
import { createSealer, type Sealer } from '../../daemon/ram/seal.ts'
import { makeSecret, tokenText } from '../../daemon/secrets.ts'
import { openTransferFolder } from '../../daemon/services/backups.ts'
import type { DdosBoard } from '../../daemon/services/ddos-board.ts'
import type { EnforcementBoard } from '../../daemon/services/enforcement.ts'
import { Executor } from '../../daemon/services/executor.ts'
import type { Fleet } from '../../daemon/services/fleet.ts'
import type { ObservedBoard } from '../../daemon/services/observed-board.ts'
import { KeyUsage } from '../../daemon/services/ram/key-usage.ts'
import { World } from '../../daemon/state/world.ts'
import { readBackup } from '../../daemon/store/backup.ts'
import { openSqliteStore, type SqliteStore } from '../../daemon/store/sqlite.ts'
import { AnswerChecker, type OpenApiDocument, operationsOf } from './openapi.ts'

export const accountId = '1000000000000000'
export const otherAccountId = '2000000000000000'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
  readonly body: any
}

export interface TestApi extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly store: SqliteStore
  readonly audit: AuditLog
  /** Of the store and everything else. */
  readonly folder: string
  readonly world: World
  readonly refused: readonly RefusedWrite[]
  /** With write on everything. */
  readonly token: string
  /** A request with that token, or another one; checked against the route's own schema where it succeeds. */
  request(method: string, url: string, body?: unknown, options?: RequestOptions): Promise<Answer>
  makeToken(scopes: readonly TokenScope[]): Promise<string>
}

export interface RequestOptions {
  /** null sends none. */
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** Nobody listens: every change is in force everywhere. */
const noAgents: EnforcementBoard = {
  status: async revision => ({ revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }),
  awaitEnforced: async revision => ({ revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }),
  agentsTouchedBy: () => [],
}

const noFleet: Fleet = {
  statusOf: () => undefined,
  confirmTrial: agentId => {
    throw new ApiError(409, 'NothingOnTrial', `Cannot confirm for agent "${agentId}": nobody listens`)
  },
  agentUrl: 'https://daemon.example:7443',
  caFingerprint: 'A'.repeat(43),
}

/** Nobody measures: a feed ends at once. */
const noDdos: DdosBoard = {
  standingOf: () => undefined,
  watch(_instanceIds, reader) {
    setImmediate(() => reader.end('stopping'))
    return () => {}
  },
}

const problem = Compile(problemSchema)
/** It refuses in the form of the published API. */
const isRpc = (url: string) => url === '/' || url.startsWith('/?')

/** The same for every API of a test. */
export const sealer: Sealer = createSealer(new Uint8Array(32))

export interface TestApiOptions {
  /** Accounts there are from the beginning; the two of this module where left out. */
  readonly accounts?: readonly string[]
  readonly now?: () => number
  readonly requestsPerMinute?: number
  /** Served with where it listens; in the clear where left out. */
  readonly tls?: TlsPair
  readonly maxConnections?: number
  readonly fleet?: Partial<Fleet>
  readonly board?: EnforcementBoard
  readonly ddos?: (world: World) => DdosBoard
  readonly observed?: ObservedBoard
  /** Of a store that is there already, and stays. */
  readonly folder?: string
}

export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const { accounts = [accountId, otherAccountId], now = Date.now, requestsPerMinute = 1_000_000 } = options
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'ringwall-api-')))
  const store = await openSqliteStore(join(folder, 'store.db'), { now })
  const world = new World(await store.list(''))
  const log = createLogger('ringwall-daemon', 'error', { write: line => void process.stderr.write(line) })
  const metrics = createMetrics(() => world)
  const audit = await openAuditLog({
    path: join(folder, 'audit.jsonl'),
    store,
    log,
    metrics,
    now,
  })
  await store.watch(world.revision + 1, commit => {
    world.apply(commit)
    audit.committed()
  })
  const executor = new Executor({ store, world, now })
  const transferFolder = join(folder, 'transfer')
  await openTransferFolder(transferFolder)
  const refused: RefusedWrite[] = []
  const keyUsage = await KeyUsage.open({ path: null, log, isThere: id => world.get('accessKey', id) !== undefined })
  const app = await createApp({
    api: {
      world,
      executor,
      board: options.board ?? noAgents,
      fleet: { ...noFleet, ...options.fleet },
      ddos: options.ddos?.(world) ?? noDdos,
      observed: options.observed ?? { observedOf: () => undefined },
      store,
      audit,
      backups: { folder: transferFolder, write: path => store.backup(path), read: readBackup },
      sealer,
      keyUsage,
      regionId: 'local',
      now,
    },
    log,
    metrics,
    version: 'test',
    tls: options.tls ?? null,
    requestsPerMinute,
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    onRefused(each) {
      refused.push(each)
      audit.refused(each)
    },
  })
  await app.ready()
  const checker = new AnswerChecker(operationsOf(app.swagger() as unknown as OpenApiDocument))
  await store.commit({
    writes: accounts.map(id => ({
      key: keyOf('account', id),
      value: { id, name: `account ${id}`, description: null, createdAtMs: now() },
    })),
  })

  async function makeToken(scopes: readonly TokenScope[]): Promise<string> {
    const id = `token-test${world.count('token')}`
    const { secret, secretSha256 } = makeSecret()
    const value = { id, name: id, secretSha256, scopes, createdAtMs: now(), expiresAtMs: null }
    await store.commit({ writes: [{ key: keyOf('token', id), value }] })
    return tokenText(id, secret)
  }

  const token = await makeToken([{ accountId: '*', access: 'write' }])
  return {
    app,
    store,
    audit,
    folder,
    world,
    refused,
    token,
    makeToken,
    async request(method, url, body, options = {}) {
      const bearer = options.token === undefined ? token : options.token
      const answer = await app.inject({
        method,
        url,
        ...(body !== undefined && { payload: body }),
        headers: { ...(bearer !== null && { authorization: `Bearer ${bearer}` }), ...options.headers },
      } as InjectOptions)
      const isJson = /json/.test(String(answer.headers['content-type']))
      const parsed = isJson ? answer.json() : answer.body
      if (answer.statusCode < 300 && isJson && parsed.dryRun !== true) {
        // What OpenAPI promises of an answer is true of it.
        assert.equal(
          checker.faultOf(method, url, { status: answer.statusCode, body: parsed }),
          null,
          `${method} ${url}`,
        )
      }
      if (answer.statusCode >= 400 && isJson && !isRpc(url)) {
        assert.ok(problem.Check(parsed), `${method} ${url} is refused in another form: ${answer.body}`)
        assert.equal(answer.headers['x-request-id'], parsed.requestId, `${method} ${url}`)
      }
      return { status: answer.statusCode, headers: answer.headers, body: parsed }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await audit.close()
      await store.close()
      if (options.folder === undefined) await rm(folder, { recursive: true })
    },
  }
}
