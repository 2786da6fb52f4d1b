/** The agent, put together: read it to see how the process works. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../common/log.ts'
import { createNotifier, type NotifySettings } from '../common/notify/notifier.ts'
import type { Rescue } from '../rules-compiler/model/policy.ts'
import { deleteTable } from '../rules-compiler/nft/commands.ts'
import { tableFamily, tableName } from '../rules-compiler/nft/ruleset.ts'
import { scrubTableName } from '../rules-compiler/scrub/names.ts'
import { notificationOf } from '../wire/notification.ts'
import { readTraffic } from './counters/read.ts'
import { DriftWatch } from './drift.ts'
import { Guard, type GuardOptions } from './guard/guard.ts'
import { createGuardMetrics } from './guard/metrics.ts'
import { noScrubbing, PanicSwitch } from './guard/panic.ts'
import { type LoopbackServer, serveLoopback } from './http.ts'
import { type Credentials, defaultStateDir } from './link/credentials.ts'
import { DaemonSource } from './link/daemon-source.ts'
import { createFileSource } from './link/file-source.ts'
import type { NftFacts } from './link/host-report.ts'
import { acquireLock } from './lock.ts'
import { createLogMetrics } from './logs/metrics.ts'
import { TrafficLog } from './logs/traffic-log.ts'
import { createMetrics } from './metrics.ts'
import { createNft } from './nft/exec.ts'
import { openNftSession } from './nft/session.ts'
import { KeptBook } from './observe/kept-book.ts'
import { countLiveSessions } from './observe/live-sessions.ts'
import { Observer } from './observe/observer.ts'
import { probeHost } from './reconcile/host.ts'
import { type Outcome, ReconcileLoop } from './reconcile/loop.ts'
import { createReporter } from './report.ts'
import { createRoutes, healthOf, type Logging, type Running, type Scrubbing } from './routes.ts'
import { DaemonFeed } from './scrub/daemon-feed.ts'
import { KeptState, readBootId } from './scrub/kept-state.ts'
import { LiveFeed } from './scrub/live.ts'
import { createScrubMetrics } from './scrub/metrics.ts'
import { Outbox } from './scrub/outbox.ts'
import { realScrubClock, Scrubber } from './scrub/scrubber.ts'
import { readTable } from './snapshot.ts'
import type { PolicySink, Source } from './source.ts'
import { openStateDir } from './state-dir.ts'
import { statusLine } from './status-line.ts'
import { listLinks, watchLinks } from './watch/links.ts'
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
  readonly guard: GuardOptions
  /** By whom and where this host is administered; added to what the policy says of it. */
  readonly rescue: readonly Rescue[]
  /** The file that records of packets are appended to; null for none. */
  readonly trafficLog: string | null
  readonly log: Logger
}

export interface Agent {
  /** Somebody on the host wants the policy that is on trial. */
  confirm(): void
  /** Resolves when the kernel has taken a policy of this process, which may be none that is wanted now, or is to have none. */
  readonly inForce: Promise<void>
  /** How it stands, in a sentence. */
  status(): string
  /** Reads the whole table and puts right what differs; resolves when that is done. */
  check(): Promise<void>
  /** Finishes what is under way; the ruleset stays in force or goes, as `onStop` says. */
  stop(): Promise<void>
}

/** The whole table is read and compared this often, whatever has or has not been heard. */
const checkIntervalMs = 300_000
/** What was loaded is read back once changes have come to rest: exit code 0 is nft's word, not the kernel's. */
const readBackMs = 2_000
/** As `nft monitor` names the two tables of the agent. */
const watched = { policy: `${tableFamily} ${tableName}`, scrubbing: `${tableFamily} ${scrubTableName}` }
/** Listings that take longer come too late for the second they are of. */
const scrubNftTimeoutMs = 5_000
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
  const session = openNftSession({ timeoutMs: scrubNftTimeoutMs })
  const scrubNft = createNft({ timeoutMs: scrubNftTimeoutMs, session })
  const reporter = createReporter(log, metrics)
  const running: Running = { source: null, guard: null, panic: null, scrubbing: null, logging: null }
  const inForce = Promise.withResolvers<void>()
  const handler = createRoutes({ log, metrics, nft, reporter, running })
  const lock = await acquireLock('agent', { ...toldOf(options.source), handler })
  const stops: (() => Promise<void> | void)[] = [() => session.close(), () => lock.release()]

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

    const logs = await startLogging()
    running.logging = logs
    let readBack: NodeJS.Timeout | undefined
    const isOwnPid = (pid: number) => nft.isOwnPid(pid) || scrubNft.isOwnPid(pid)
    const drift = new DriftWatch({ table: watched.policy, isOwnPid, look: () => loop.resync('drift') })
    const scrub = await startScrubbing()
    running.scrubbing = scrub
    const scrubDrift = new DriftWatch({ isOwnPid, look: () => void lookAtScrubbing() })
    const loop = new ReconcileLoop({ ...parts, onOutcome: noteOutcome })
    stops.unshift(() => loop.close())
    const policies = createSource({ nftVersion: capabilities.nftVersion, capabilities: capabilities.features })
    running.source = policies
    const guardMetrics = createGuardMetrics(metrics.registry)
    const guard = createGuard(policies)
    running.guard = guard
    const panic = createPanicSwitch(policies)
    running.panic = panic
    const server = await serve()
    if (server !== null) {
      stops.unshift(() => server.close())
      log.info({ address: server.address, port: server.port }, 'metrics and health are served')
    }

    const generations = watchGenerations({
      watchedTables: Object.values(watched),
      onGeneration(generation) {
        drift.noteGeneration(generation)
        if (generation.touched?.includes(watched.scrubbing)) scrubDrift.noteGeneration(generation)
      },
      onGap: lookAtTables,
      onDown(reason) {
        log.warn({ reason }, 'nft monitor ended and is started again')
        // nft 1.0.6 crashes when the whole table goes: not a moment is to be lost until it hears again.
        lookAtTables()
      },
    })
    stops.unshift(() => generations.close())
    const links = watchLinks({
      onEvent(event) {
        log.debug(event, 'device')
        const gone = event.kind === 'removed' ? event.index : undefined
        loop.devicesChanged(gone)
        if (gone !== undefined) scrub.scrubber.noteGone(gone)
      },
      onListing(listing) {
        policies.noteLinks(listing)
        scrub.scrubber.noteLinks(listing)
        logs.trafficLog.noteLinks(listing)
      },
      onDown: reason => log.warn({ reason }, 'device monitor ended and is started again'),
    })
    stops.unshift(() => links.close())
    await hearing()

    stops.unshift(
      () => policies.close(),
      () => panic.close(),
      () => guard.close(),
    )
    const check = setInterval(() => loop.resync('check'), checkIntervalMs)
    stops.unshift(
      () => clearInterval(check),
      () => clearTimeout(readBack),
      () => drift.close(),
      () => scrubDrift.close(),
    )
    await panic.open()
    // Whoever waited for a policy would wait for an administrator.
    if (panic.status() !== null) inForce.resolve()
    await policies.start()
    await guard.settled()

    return {
      confirm: () => void guard.confirm(),
      inForce: inForce.promise,
      status: () =>
        statusLine({
          health: healthOf(reporter.health(), running),
          source: policies.status(),
          instances: scrub.scrubber.standings(),
        }),
      async check() {
        log.info('everything is read again, as asked')
        logs.trafficLog.reopenFile()
        await panic.look()
        loop.resync('check')
        await loop.settled()
      },
      async stop() {
        for (const stop of stops.slice(0, -1)) await stop()
        await policies.settled()
        if (options.onStop === 'flush') {
          if ((await readTable(nft)) !== null) await nft.apply([deleteTable])
          await scrub.scrubber.removeTable()
        }
        log.info(options.onStop === 'flush' ? 'agent stops, ruleset removed' : 'agent stops, ruleset stays in force')
        await lock.release()
      },
    }

    function noteOutcome(outcome: Outcome): void {
      try {
        const isDrift = outcome.kind !== 'refused' && outcome.cause === 'drift'
        if (isDrift) drift.noteReading(outcome.seconds * 1000)
        reporter.report(outcome, isDrift ? drift.suspect : '')
        if (running.guard?.noteOutcome(outcome) ?? true) running.source?.noteOutcome(outcome)
        noteEnforced()
        if (reporter.enforced() !== null) inForce.resolve()
        if (outcome.kind === 'applied' && outcome.cause !== 'check') readBackSoon()
      } catch (error) {
        log.error({ error }, 'cannot report; what is in force stays, and the agent goes on')
      }
    }

    /** What judges packets now is what records and counters are read by. */
    function noteEnforced(): void {
      const policy = reporter.enforced()
      running.logging?.trafficLog.setPolicy(policy)
      running.logging?.observer.setPolicy(policy)
    }

    function lookAtTables(): void {
      drift.noteGap()
      scrubDrift.noteGap()
    }

    async function lookAtScrubbing(): Promise<void> {
      const startedAtMs = performance.now()
      await scrub.scrubber.lookForDrift()
      scrubDrift.noteReading(performance.now() - startedAtMs)
    }

    async function startLogging(): Promise<Logging> {
      const { stateDir } = options.source
      const observer = await Observer.open({
        log,
        kept: stateDir === null ? null : new KeptBook(stateDir, log),
        async readCounters(policy) {
          const actual = await readTable(nft)
          return actual === null ? null : readTraffic(actual, policy)
        },
        countSessions: countLiveSessions,
        send: message => running.source?.send(message),
        connection() {
          const status = running.source?.status()
          return status?.kind === 'daemon' && status.connected ? status.since : null
        },
      })
      const trafficLog = new TrafficLog({
        log,
        metrics: createLogMetrics(metrics.registry),
        file: options.trafficLog,
        onRecord: record => observer.noteRecord(record),
      })
      stops.unshift(
        () => trafficLog.close(),
        () => observer.close(),
      )
      return { trafficLog, observer }
    }

    async function startScrubbing(): Promise<Scrubbing> {
      const { stateDir } = options.source
      const clock = realScrubClock
      const now = () => clock.monotonicMs()
      const outbox = await Outbox.open({ folder: stateDir, log, now })
      const live = new LiveFeed()
      const feed = new DaemonFeed({ send: message => policies.send(message), outbox, clock, now })
      const scrubber = new Scrubber({
        nft: scrubNft,
        inspector: createNft(),
        log,
        metrics: createScrubMetrics(metrics.registry),
        clock,
        kept: stateDir === null ? null : new KeptState(stateDir, log),
        bootId: readBootId(),
        onSecond(statuses) {
          live.publish(statuses.flatMap(({ sample }) => sample ?? []))
          feed.note(statuses)
        },
        onEvent: event => outbox.note(event),
        onNotice: ({ notice, event, addresses }) =>
          void notifier.notify(notificationOf(notice, { event, addresses, blackHole: notice.blackHole })),
      })
      stops.unshift(
        () => feed.close(),
        () => scrubber.close(),
        () => outbox.settled(),
      )
      await scrubber.start(await listLinks())
      return { scrubber, outbox, live, feed }
    }

    function readBackSoon(): void {
      clearTimeout(readBack)
      readBack = setTimeout(() => loop.resync('check'), readBackMs)
    }

    function createSource(facts: NftFacts): Source {
      const sink: PolicySink = {
        setPolicy(ir) {
          running.panic?.setPolicy(ir)
        },
        settled: () => running.guard?.settled() ?? Promise.resolve(),
        confirm: () => void running.guard?.confirm(),
        stands: () =>
          readTable(nft).then(
            table => table !== null,
            () => true,
          ),
      }
      const common = { log, reporter, sink, rescue: options.rescue }
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
      const { registry } = metrics
      const { rescuePorts } = options.guard
      return new DaemonSource({ ...common, ...kept, rescuePorts, credentials, registry, nft: facts, ddos: scrub.feed })
    }

    function createGuard(policies: Source): Guard {
      const { stateDir: folder } = options.source
      return new Guard({
        ...options.guard,
        rescue: options.rescue,
        log,
        metrics: guardMetrics,
        reporter,
        loop,
        nft,
        jsonCtTimeout: parts.jsonCtTimeout,
        kept: folder === null ? null : { folder, stateDir: openStateDir(folder) },
        way: () => policies.way(),
        probeWay: () => policies.probeWay(),
        onDisk: () => policies.settled(),
        keep: policy => policies.keep(policy),
        onOutcome: outcome => policies.noteOutcome(outcome),
      })
    }

    function createPanicSwitch(policies: Source): PanicSwitch {
      const { scrubber } = scrub
      return new PanicSwitch({
        folder: panicFolder(options.source),
        log,
        metrics: guardMetrics,
        reporter,
        async openHost() {
          scrubber.setPolicy({ scrub: noScrubbing })
          await guard.openHost()
          await scrubber.settled()
        },
        resume: () => guard.open(),
        pass(ir) {
          logs.trafficLog.expectPolicy(ir)
          guard.setPolicy(ir)
          scrubber.setPolicy(ir)
        },
        onOutcome: outcome => policies.noteOutcome(outcome),
      })
    }

    /** What a monitor that comes up late has missed is looked for when it is up. */
    async function hearing(): Promise<void> {
      const heard = Promise.all([generations.ready, links.ready]).then(() => true)
      if (await Promise.race([heard, sleep(monitorWaitMs, false, { ref: false })])) return
      log.warn('the monitors do not hear yet; until they do, changes from outside are found at the regular check')
      void heard.then(() => {
        loop.devicesChanged()
        lookAtTables()
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
}

/** What others are told of it who want the network namespace. */
function toldOf(source: AgentSource) {
  const lead = source.kind === 'file' ? { policyPath: source.policyPath } : { daemonUrl: source.credentials.daemonUrl }
  return { ...lead, stateDir: panicFolder(source) }
}

/** An agent that keeps nothing can be told to open its host all the same. */
function panicFolder({ stateDir }: AgentSource): string {
  return stateDir ?? defaultStateDir
}
