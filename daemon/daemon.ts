/** The control daemon, put together: read it to see how the process works. */
import { chmod, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { makeFolder } from '../common/files.ts'
import type { Logger } from '../common/log.ts'
import { isLoopback } from '../common/loopback.ts'
import { createNotifier, type NotifySettings, toldNobody } from '../common/notify/notifier.ts'
import { version } from '../common/version.ts'
import { createApp, secureContextOf, type TlsPair } from './app.ts'
import { openAuditLog } from './audit/audit-log.ts'
import { firstStart } from './first-start.ts'
import { startHousekeeping } from './housekeeping.ts'
import { createMetrics } from './metrics.ts'
import { openAuthority } from './pki/authority.ts'
import { certificateDays, dayMs, renewalGraceDays } from './pki/lifetimes.ts'
import { Push } from './push/push.ts'
import { defaultRegionId } from './ram/resource-names.ts'
import { openSealer } from './ram/seal.ts'
import { openTransferFolder } from './services/backups.ts'
import { sweepEvents, sweepLostEvents } from './services/ddos-events.ts'
import { Executor } from './services/executor.ts'
import { sweepIdempotency } from './services/idempotency.ts'
import { KeyUsage } from './services/ram/key-usage.ts'
import { World } from './state/world.ts'
import { statusLine } from './status-line.ts'
import { readBackup } from './store/backup.ts'
import { measureCommits } from './store/measured.ts'
import { openSqliteStore } from './store/sqlite.ts'

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface DaemonOptions {
  /** Made where it is missing; for its owner alone. */
  readonly dataDir: string
  /** Of the REST API. */
  readonly listen: ListenAddress
  /** Of the REST API; null where it is served without. */
  readonly tls: TlsPair | null
  readonly agentListen: { readonly address: string; readonly port: number }
  /** How agents reach the daemon; null: by the host's name and the port it listens on. */
  readonly agentUrl: string | null
  readonly hostName: string
  readonly requestsPerMinute: number
  /** For how many days certificates of agents are good, and after that for renewal alone; 7 and 30 where left out. */
  readonly agentCertificateDays?: number
  readonly agentRenewalGraceDays?: number
  /** As it stands in names of resources; `local` where left out. */
  readonly regionId?: string
  /** Who is told of attacks on any instance; nobody where left out. */
  readonly notify?: NotifySettings
  readonly log: Logger
}

export interface Daemon {
  /** How it stands, in a sentence. */
  status(): string
  /**
   * The REST API takes these for connections from now on; those that are open stay.
   * @throws {Error} where they do not fit together, or it is served without TLS; what was in use stays so
   */
  setTls(tls: TlsPair): void
  /** Answers what is under way, says goodbye to agents, and closes the store. */
  stop(): Promise<void>
}

/** What a start reads of the history again, a quarter of a second of it; agents from before get a snapshot. */
const historyReadBytes = 16 * 1024 * 1024

/**
 * @throws {StoreError} if the store cannot be opened
 * @throws {Error} if it cannot listen, or would serve tokens over plain HTTP to other machines
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { dataDir, listen, tls, log } = options
  if (listen.kind === 'tcp' && tls === null && !isLoopback(listen.address)) {
    throw new Error(
      `Cannot serve the API on "${listen.address}" without TLS: expected a loopback address, or --tls-certificate and --tls-key`,
    )
  }
  const now = Date.now
  // Closed in reverse order, and all of it whichever of them fails.
  const running = new AsyncDisposableStack()
  try {
    await makeFolder(dataDir)
    let world: World | null = null
    const metrics = createMetrics(() => world)
    const store = measureCommits(await openSqliteStore(join(dataDir, 'store.db')), metrics)
    running.defer(() => store.close())
    const notifier = createNotifier({
      ...(options.notify ?? toldNobody),
      folder: join(dataDir, 'notify'),
      log,
      registry: metrics.registry,
    })
    running.defer(() => notifier.close())
    const audit = await openAuditLog({
      path: join(dataDir, 'audit.jsonl'),
      store,
      log,
      metrics,
      // Agents may hold what came after it, under the id that it has; a backup gets another by itself.
      onStoreWentBack: () => store.rename(),
    })
    running.defer(() => audit.close())
    const authority = await openAuthority(store)
    world = new World(await store.list(''))
    const state = world

    const { address, port } = options.agentListen
    const executor = new Executor({ store, world, now })
    const push = await Push.start({
      store,
      world,
      authority,
      executor,
      notify: notification => notifier.notify(notification),
      logger: log,
      registry: metrics.registry,
      host: address,
      port,
      certificateMs: (options.agentCertificateDays ?? certificateDays.usual) * dayMs,
      renewalGraceMs: (options.agentRenewalGraceDays ?? renewalGraceDays.usual) * dayMs,
      onRefused: refused => audit.refused(refused),
      memberLog: { readFrom: await store.oldestWithin(historyReadBytes) },
    }).catch((cause: unknown) => {
      throw cannotListen('agents', { address, port }, cause)
    })
    running.defer(() => push.close())
    const watch = await store.watch(world.revision + 1, commit => {
      const impact = push.impactOf(commit.changes)
      state.apply(commit)
      push.committed(commit, impact)
      audit.committed()
    })
    running.defer(() => watch.close())
    // Of what was committed before anybody watched.
    audit.committed()
    const housekeeping = startHousekeeping({
      store,
      world,
      log,
      now,
      sweeps: [
        sweepIdempotency,
        sweepEvents,
        (state, nowMs) => sweepLostEvents(state, nowMs, instanceId => push.ddos.standingOf(instanceId)),
      ],
    })
    running.defer(() => housekeeping.close())

    const sealer = await openSealer(join(dataDir, 'secrets.key'))
    const keyUsage = await KeyUsage.open({
      path: join(dataDir, 'access-key-usage.json'),
      log,
      isThere: id => state.get('accessKey', id) !== undefined,
    })
    running.defer(() => keyUsage.close())

    const transferFolder = join(dataDir, 'transfer')
    await openTransferFolder(transferFolder)
    const tokenFile = join(dataDir, 'first-token')
    const keyFile = join(dataDir, 'first-access-key.json')
    const token = await firstStart(store, world, { tokenFile, keyFile, sealer, nowMs: now() })
    const agentUrl = options.agentUrl ?? `https://${options.hostName}:${push.port}`
    const app = await createApp({
      api: {
        world,
        executor,
        board: push,
        ddos: push.ddos,
        observed: push.observed,
        fleet: {
          statusOf: id => push.agentStatus(id),
          confirmTrial: id => push.confirmTrial(id),
          agentUrl,
          caFingerprint: authority.fingerprint,
        },
        store,
        audit,
        backups: { folder: transferFolder, write: path => store.backup(path), read: readBackup },
        sealer,
        keyUsage,
        regionId: options.regionId ?? defaultRegionId,
        now,
      },
      log,
      metrics,
      version,
      tls,
      requestsPerMinute: options.requestsPerMinute,
      onRefused: refused => audit.refused(refused),
    })
    running.defer(() => app.close())
    await listenOn(app, listen)
    log.info({ address: options.agentListen.address, port: push.port, agentUrl }, 'agents are served')
    log.info(whereServed(app, listen, tls !== null), 'the REST API is served')
    if (token !== null) {
      // The journal is kept, and more may read it than the file.
      const isKept = process.env.JOURNAL_STREAM !== undefined
      const said = isKept ? 'the token in tokenFile' : 'this token, which is not shown again,'
      log.info({ ...(!isKept && { token }), tokenFile, keyFile }, `first start: ${said} may do everything`)
    }
    return {
      status: () => statusLine(push.countByState(), state.revision),
      setTls(pair) {
        if (!(app.server instanceof TlsServer))
          throw new Error('Cannot take a certificate: the API is served without TLS')
        app.server.setSecureContext(secureContextOf(pair))
      },
      async stop() {
        await running.disposeAsync()
        log.info('the daemon stops; agents keep what they enforce')
      },
    }
  } catch (error) {
    await running
      .disposeAsync()
      .catch((fault: unknown) => log.warn({ error: fault }, 'not all that was started could be closed again'))
    throw error
  }
}

async function listenOn(app: FastifyInstance, listen: ListenAddress): Promise<void> {
  if (listen.kind === 'tcp') {
    const { address, port } = listen
    try {
      await app.listen({ host: address, port })
    } catch (cause) {
      throw cannotListen('the REST API', { address, port }, cause)
    }
    return
  }
  // A socket file outlives the process that made it. The store's lock says that nobody else is at work here.
  await rm(listen.path, { force: true })
  await app.listen({ path: listen.path })
  await chmod(listen.path, 0o600)
}

/** Says where; an error of any other kind is left as it is. */
function cannotListen(
  what: string,
  where: { readonly address: string; readonly port: number },
  cause: unknown,
): unknown {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return cause
  const reason = code === 'EADDRINUSE' ? 'another process listens there; expected a free port' : message
  return new Error(`Cannot serve ${what} on "${where.address}" port ${where.port}: ${reason}`, { cause })
}

function whereServed(app: FastifyInstance, listen: ListenAddress, isTls: boolean) {
  if (listen.kind === 'unix') return { socket: listen.path }
  const { port } = app.server.address() as AddressInfo
  const host = listen.address.includes(':') ? `[${listen.address}]` : listen.address
  const url = `http${isTls ? 's' : ''}://${host}:${port}`
  return { address: listen.address, port, api: `${url}/v1`, docs: `${url}/docs` }
}
