/**
 * What the daemon tells Prometheus of its API, store and state; daemon/push adds what it knows of agents. Label values
 * are few and none is an id; each help text says what a rise means.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { counterBy } from '../common/counter-by.ts'
import { addProcessMetrics } from '../common/process-metrics.ts'
import type { Kind } from './model/documents.ts'
import { observedEnis } from './services/modes.ts'
import type { World } from './state/world.ts'

export type DaemonMetrics = ReturnType<typeof createMetrics>

/** Told one by one; documents of other kinds are no objects of the operator's. */
const countedKinds = [
  'account',
  'group',
  'prefixList',
  'portRangeList',
  'instance',
  'eni',
  'agent',
  'token',
] as const satisfies readonly Kind[]
const secondsBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]

/** @param world  asked at each scrape */
export function createMetrics(world: () => World | null) {
  const registry = new Registry()
  const registers = [registry]
  addProcessMetrics(registry)
  const requests = new Counter({
    name: 'ringwall_daemon_requests_total',
    help: 'API requests by method, route and status code. A rise of 5xx is a fault of the daemon or its disk, of 401 somebody with a wrong token.',
    labelNames: ['method', 'route', 'code'],
    registers,
  })
  const requestDuration = new Histogram({
    name: 'ringwall_daemon_request_duration_seconds',
    help: 'Time to answer an API request, waiting for agents not counted. A rise means that the daemon or its disk is busy.',
    labelNames: ['method'],
    buckets: secondsBuckets,
    registers,
  })
  const commitDuration = new Histogram({
    name: 'ringwall_daemon_store_commit_duration_seconds',
    help: 'Time of one commit until it is on disk. A rise means a slow disk.',
    buckets: secondsBuckets,
    registers,
  })
  const commits = counterBy({
    name: 'ringwall_daemon_store_commits_total',
    help: 'Commits by outcome. A rise of "conflict" means that several daemons write at once, of "failed" that the disk refuses.',
    label: 'outcome',
    values: ['committed', 'conflict', 'failed'],
    registers,
  })
  const auditFailures = new Counter({
    name: 'ringwall_daemon_audit_failures_total',
    help: 'Times the audit file could not be written. A rise means that its disk is full or refuses; what was done is added when it can be written again.',
    registers,
  })
  new Gauge({
    name: 'ringwall_daemon_revision',
    help: 'The newest revision of the store. A rise means that somebody writes.',
    registers,
    collect() {
      this.set(world()?.revision ?? 0)
    },
  })
  new Gauge({
    name: 'ringwall_daemon_objects',
    help: 'Objects there are, by kind. A rise means a growing fleet.',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const kind of countedKinds) this.set({ kind }, world()?.count(kind) ?? 0)
    },
  })
  new Gauge({
    name: 'ringwall_daemon_open_hosts',
    help: 'Hosts that their administrators have opened ("ringwall panic"), as their agents said last: nothing is enforced there. A rise means an emergency; one that stays, that nobody has undone it.',
    registers,
    collect() {
      const agents = world()?.all('agent') ?? []
      this.set(
        [...agents].filter(({ status, report }) => status === 'active' && report?.openSince !== undefined).length,
      )
    },
  })
  new Gauge({
    name: 'ringwall_daemon_observed_network_interfaces',
    help: 'Network interfaces that are only observed, by themselves or by a group: nothing is dropped there. A rise means that somebody tries a policy; one that stays, that nobody has enforced it since.',
    registers,
    collect() {
      const state = world()
      this.set(state === null ? 0 : observedEnis(state).length)
    },
  })
  return { registry, requests, requestDuration, commitDuration, commits, auditFailures }
}
