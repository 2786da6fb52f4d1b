/** The agent, put together: read it to see how the process works. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../common/log.ts'
import { createNotifier, type NotifySettings } from '../common/notify/notifier.ts'
import { deleteTable } from '../rules-compiler/nft/commands.ts'
import { readTraffic } from './counters/read.ts'
import { DriftWatch } from './drift.ts'
import {
  createRequestHandler,
  healthRoute,
  jsonReply,
  type LoopbackServer,
  metricsRoute,
  serveLoopback,
} from './http.ts'
import type { Credentials } from './link/credentials.ts'
import { DaemonSource } from './link/daemon-source.ts'
import { createFileSource } from './link/file-source.ts'
import type { NftFacts } from './link/host-report.ts'
import { acquireLock } from './lock.ts'
import { createMetrics } from './metrics.ts'
import { createNft } from './nft/exec.ts'
import { probeHost } from './reconcile/host.ts'
import { type Outcome, ReconcileLoop } from './reconcile/loop.ts'
import { type AgentHealth, createReporter } from './report.ts'
import { makeView } from './show/view.ts'
import { readTable } from './snapshot.ts'
import type { PolicySink, Source } from './source.ts'
import { openStateDir } from './state-dir.ts'
import { watchLinks } from './watch/links.ts'
import { watchGenerations } from './watch/nft-monitor.ts'

/** Paths are absolute, so that others can be told. */
export type AgentSource =
  | {
      readonly kind: 'file'
      readonly policyPath: string
      /** Where the last good policy and ruleset are kept; null keeps none. */
      readonly stateDir: string | null
    }
  | { readonly kind: 'daemon'; readonly credentials: Credentials; readonly stateDir: string }

export interface AgentOptions {
  readonly source: AgentSource
  /** Loopback only; null serves nothing. */
  readonly metrics: { readonly address: string; readonly port: number } | null
  readonly onStop: 'keep' | 'flush'
  /** Who is told of attacks on instances of this host. */
  readonly notify: NotifySettings
  readonly log: Logger
}

export interface Agent {
  /** Finishes what is under way; the ruleset stays in force or goes, as `onStop` says. */
  stop(): Promise<void>
}

/** The whole table is read and compared this often, whatever has or has not been heard. */
const checkIntervalMs = 300_000
/** What was loaded is read back once changes have come to rest: exit code 0 is nft's word, not the kernel's. */
const readBackMs = 2_000
/** Reading counters reads the members too: a scrape takes a reading at most this old. */
const counterAgeMs = 5_000
/** A monitor hears within some milliseconds; one that cannot start must not keep the policy from the kernel. */
const monitorWaitMs = 3_000

/**
 * @throws {LockHeldError} if another Ringwall process works in this network namespace
 * @throws {NftError} if nft cannot be used
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { log } = options
  const metrics = createMetrics()
  const nft = createNft()
  const reporter = createReporter(log, metrics)
  let source: Source | null = null
  const handler = createRoutes()
  const lock = await acquireLock('agent', { ...toldOf(options.source), handler })
  const stops: (() => Promise<void> | void)[] = [() => lock.release()]

  try {
    const notifier = createNotifier({
      ...options.notify,
      folder: options.source.stateDir === null ? null : join(options.source.stateDir, 'notify'),
      log,
      registry: metrics.registry,
    })
    stops.unshift(() => notifier.close())
    const { capabilities, parts } = await probeHost(nft)
    log.info(
      {
        nft: capabilities.nftVersion,
        elementUpdateMs: Math.round(capabilities.elementUpdateMs),
        jsonCtTimeout: parts.jsonCtTimeout,
      },
      'agent starts',
    )
    for (const message of capabilities.messages) log.warn(message)

    let readBack: NodeJS.Timeout | undefined
    const drift = new DriftWatch({ isOwnPid: pid => nft.isOwnPid(pid), look: () => loop.resync('drift') })
    const loop = new ReconcileLoop({ ...parts, onOutcome: noteOutcome })
    stops.unshift(() => loop.close())
    const policies = createSource({ nftVersion: capabilities.nftVersion, capabilities: capabilities.features })
    source = policies
    const server = await serve()
    if (server !== null) {
      stops.unshift(() => server.close())
      log.info({ address: server.address, port: server.port }, 'metrics and health are served')
    }

    const generations = watchGenerations({
      onGeneration: generation => drift.noteGeneration(generation),
      onGap: () => drift.schedule(),
      onDown: reason => log.warn({ reason }, 'nft monitor ended and is started again'),
    })
    stops.unshift(() => generations.close())
    const links = watchLinks({
      onEvent(event) {
        log.debug(event, 'device')
        loop.devicesChanged()
      },
      onListing: listing => policies.noteLinks(listing),
      onDown: reason => log.warn({ reason }, 'device monitor ended and is started again'),
    })
    stops.unshift(() => links.close())
    await hearing()

    stops.unshift(() => policies.close())
    const check = setInterval(() => loop.resync('check'), checkIntervalMs)
    stops.unshift(
      () => clearInterval(check),
      () => clearTimeout(readBack),
      () => drift.close(),
    )
    await policies.start()
    await loop.settled()

    return {
      async stop() {
        for (const stop of stops.slice(0, -1)) await stop()
        await policies.settled()
        if (options.onStop === 'flush' && (await readTable(nft)) !== null) await nft.apply([deleteTable])
        log.info(options.onStop === 'flush' ? 'agent stops, ruleset removed' : 'agent stops, ruleset stays in force')
        await lock.release()
      },
    }

    function noteOutcome(outcome: Outcome): void {
      try {
        if (outcome.kind !== 'refused' && outcome.cause === 'drift') drift.noteReading(outcome.seconds * 1000)
        reporter.report(outcome, drift.suspect)
        policies.noteOutcome(outcome)
        if (outcome.kind === 'applied' && outcome.cause !== 'check') readBackSoon()
      } catch (error) {
        log.error({ error }, 'cannot report; what is in force stays, and the agent goes on')
      }
    }

    function readBackSoon(): void {
      clearTimeout(readBack)
      readBack = setTimeout(() => loop.resync('check'), readBackMs)
    }

    function createSource(facts: NftFacts): Source {
      const sink: PolicySink = {
        setPolicy: ir => loop.setPolicy(ir),
        settled: () => loop.settled(),
        stands: () =>
          readTable(nft).then(
            table => table !== null,
            () => true,
          ),
      }
      const common = { log, reporter, sink }
      if (options.source.kind === 'file') {
        const { policyPath, stateDir } = options.source
        return createFileSource({
          ...common,
          path: policyPath,
          stateDir: stateDir === null ? null : openStateDir(stateDir),
        })
      }
      const { credentials, stateDir: folder } = options.source
      const kept = { folder, stateDir: openStateDir(folder) }
      return new DaemonSource({ ...common, ...kept, credentials, registry: metrics.registry, nft: facts })
    }

    /** What a monitor that comes up late has missed is looked for when it is up. */
    async function hearing(): Promise<void> {
      const heard = Promise.all([generations.ready, links.ready]).then(() => true)
      if (await Promise.race([heard, sleep(monitorWaitMs, false, { ref: false })])) return
      log.warn('the monitors do not hear yet; until they do, changes from outside are found at the regular check')
      void heard.then(() => {
        loop.devicesChanged()
        drift.schedule()
      })
    }

    function serve(): Promise<LoopbackServer | null> {
      if (options.metrics === null) return Promise.resolve(null)
      return serveLoopback(handler, options.metrics.address, options.metrics.port)
    }
  } catch (error) {
    for (const stop of stops) await stop()
    throw error
  }

  function createRoutes() {
    let readAtMs = Number.NEGATIVE_INFINITY
    let reading: Promise<void> | null = null
    const readCounters = async () => {
      const ir = reporter.enforced()
      const actual = ir === null ? null : await readTable(nft)
      if (ir !== null && actual !== null) metrics.recordTraffic(readTraffic(actual, ir))
    }
    const scrape = metricsRoute(metrics.registry)
    return createRequestHandler(
      {
        '/health': healthRoute(() => withSource(reporter.health())),
        '/metrics': async () => {
          if (performance.now() - readAtMs > counterAgeMs) {
            // Without them the other metrics still say what is wrong.
            reading ??= readCounters()
              .catch((error: unknown) => log.warn({ error }, 'cannot read the counters of the kernel'))
              .finally(() => {
                readAtMs = performance.now()
                reading = null
              })
            await reading
          }
          return scrape()
        },
        '/show': async () => {
          const ir = reporter.enforced()
          return ir === null
            ? jsonReply(503, { error: 'no policy is in force yet' })
            : jsonReply(200, { ...makeView(ir, await readTable(nft)), ...(source && { source: source.status() }) })
        },
      },
      (path, error) => log.error({ path, error }, 'cannot answer'),
    )
  }

  function withSource(health: AgentHealth) {
    if (source === null) return health
    const problems = [...source.problems(), ...health.problems]
    return { ...health, healthy: health.healthy && problems.length === 0, problems, source: source.status() }
  }
}

/** What others are told of it who want the network namespace. */
function toldOf(source: AgentSource) {
  return source.kind === 'file' ? { policyPath: source.policyPath } : { daemonUrl: source.credentials.daemonUrl }
}
