/** What the agent answers, on its local socket and at `--metrics-address`; while it starts some of it is not there yet. */
import type { Logger } from '../common/log.ts'
import { readTraffic } from './counters/read.ts'
import type { Guard } from './guard/guard.ts'
import type { PanicSwitch } from './guard/panic.ts'
import { createRequestHandler, healthRoute, jsonReply, metricsRoute } from './http.ts'
import type { TrafficLog } from './logs/traffic-log.ts'
import type { AgentMetrics } from './metrics.ts'
import type { Nft } from './nft/nft.ts'
import type { Observer } from './observe/observer.ts'
import type { AgentHealth, Reporter } from './report.ts'
import type { DaemonFeed } from './scrub/daemon-feed.ts'
import type { LiveFeed } from './scrub/live.ts'
import type { Outbox } from './scrub/outbox.ts'
import type { Scrubber } from './scrub/scrubber.ts'
import { makeView } from './show/view.ts'
import { readTable } from './snapshot.ts'
import type { Source } from './source.ts'

export interface Scrubbing {
  readonly scrubber: Scrubber
  readonly outbox: Outbox
  readonly live: LiveFeed
  readonly feed: DaemonFeed
}

export interface Logging {
  readonly trafficLog: TrafficLog
  readonly observer: Observer
}

/** The parts of an agent, each from when it is there. */
export interface Running {
  source: Source | null
  guard: Guard | null
  panic: PanicSwitch | null
  scrubbing: Scrubbing | null
  logging: Logging | null
}

export interface RoutesParts {
  readonly log: Logger
  readonly metrics: AgentMetrics
  readonly nft: Nft
  readonly reporter: Reporter
  readonly running: Running
}

/** Reading counters reads the members too: a scrape takes a reading at most this old. */
const counterAgeMs = 5_000
const starting = { error: 'the agent is starting' }

export function createRoutes({ log, metrics, nft, reporter, running }: RoutesParts) {
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
      '/health': healthRoute(() => healthOf(reporter.health(), running)),
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
      '/ddos': () =>
        running.scrubbing === null
          ? jsonReply(503, starting)
          : jsonReply(200, {
              instances: running.scrubbing.scrubber.standings(),
              events: running.scrubbing.outbox.recent(),
            }),
      '/ddos/hour': query => {
        const instanceId = query.get('instanceId') ?? ''
        const samples = running.scrubbing?.scrubber.hourOf(instanceId) ?? null
        return samples === null
          ? jsonReply(404, { error: `no instance "${instanceId}" is measured here` })
          : jsonReply(200, { instanceId, samples })
      },
      '/ddos/live': query => running.scrubbing?.live.lines(query.get('instanceId')) ?? jsonReply(503, starting),
      '/logs': query => {
        if (running.logging === null) return jsonReply(503, starting)
        const { trafficLog } = running.logging
        return query.has('follow') ? trafficLog.follow(query.has('recent')) : jsonReply(200, trafficLog.recent())
      },
      '/observed': async () =>
        running.logging === null
          ? jsonReply(503, starting)
          : jsonReply(200, { enis: await running.logging.observer.report() }),
      '/guard': () =>
        running.guard === null
          ? jsonReply(503, starting)
          : jsonReply(200, { ...running.guard.status(), panic: running.panic?.status() ?? null }),
      '/show': async () => {
        const ir = reporter.enforced()
        return ir === null
          ? jsonReply(503, { error: running.panic?.problems()[0] ?? 'no policy is in force yet' })
          : jsonReply(200, {
              ...makeView(ir, await readTable(nft)),
              ...(running.source && { source: running.source.status() }),
            })
      },
    },
    (path, error) => log.error({ path, error }, 'cannot answer'),
  )
}

/** With what else is wrong, and who leads. */
export function healthOf(health: AgentHealth, { source, guard, panic, scrubbing }: Running) {
  if (source === null) return health
  const problems = [
    ...(panic?.problems() ?? []),
    ...source.problems(),
    ...health.problems,
    ...(guard?.problems() ?? []),
    ...(scrubbing === null ? [] : problemsOf(scrubbing)),
  ]
  return { ...health, healthy: health.healthy && problems.length === 0, problems, source: source.status() }
}

function problemsOf({ scrubber, outbox }: Scrubbing): readonly string[] {
  return [
    ...scrubber.problems(),
    ...(outbox.problem === null ? [] : [`events of traffic scrubbing cannot be kept on disk: ${outbox.problem}`]),
  ]
}
