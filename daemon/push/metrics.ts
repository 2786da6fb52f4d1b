/** What the daemon tells Prometheus of its agents. No label value is an agent's. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { counterBy } from '../../common/counter-by.ts'
import { goodbyeCodes } from '../../wire/messages.ts'
import { refusalReasons } from '../pki/judge-certificate.ts'
import { agentStates } from './agent-record.ts'
import type { AgentRegistry } from './registry.ts'

export type PushMetrics = ReturnType<typeof createPushMetrics>

const enrolmentOutcomes = ['enrolled', 'refused', 'throttled', 'failed'] as const

/** Besides what a certificate can be refused for: the handshake failed, too many were at it, or one agent came too often. */
const connectionRefusals = [...refusalReasons, 'handshake', 'too-many', 'too-slow', 'too-often'] as const

/** 5 ms is one agent beside the daemon, 2 s what ten thousand may take. */
const secondsBuckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]

/** @param agents  asked at each scrape; null before it is there */
export function createPushMetrics(registry: Registry, agents: () => AgentRegistry | null) {
  const registers = [registry]
  new Gauge({
    name: 'ringwall_daemon_agents',
    help: 'Agents by state. A rise of "behind" that stays means slow agents, of "refusing" kernels that take no policy, of "away" hosts or networks that are down.',
    labelNames: ['state'],
    registers,
    collect() {
      const counts = agents()?.countByState()
      for (const state of agentStates) this.set({ state }, counts?.get(state) ?? 0)
    },
  })
  const pushDuration = new Histogram({
    name: 'ringwall_daemon_push_duration_seconds',
    help: 'Time from a commit until an agent that it concerns says that it is in force. A rise means that rules reach hosts later.',
    buckets: secondsBuckets,
    registers,
  })
  const updatesSent = counterBy({
    name: 'ringwall_daemon_updates_sent_total',
    help: 'Updates sent to agents by kind. A rise of "snapshot" means agents that come back after long, or lose their state.',
    label: 'kind',
    values: ['snapshot', 'delta'],
    registers,
  })
  const bytesSent = new Counter({
    name: 'ringwall_daemon_update_bytes_total',
    help: 'Size of the updates sent to agents, before encryption. A steep rise means snapshots, or groups whose rules change often.',
    registers,
  })
  const refusals = new Counter({
    name: 'ringwall_daemon_agent_refusals_total',
    help: 'Updates that an agent or its kernel refused. A rise means hosts on which an older policy stays in force.',
    registers,
  })
  const connectionsRefused = counterBy({
    name: 'ringwall_daemon_connections_refused_total',
    help: 'Connections of agents that were refused, by reason. A rise of "renewable" means hosts that come back after long, of "expired" agents that cannot renew; of "no-certificate", "wrong-authority" or "too-many" that others try the port.',
    label: 'reason',
    values: connectionRefusals,
    registers,
  })
  const goodbyes = counterBy({
    name: 'ringwall_daemon_goodbyes_total',
    help: 'Connections that the daemon ended, by reason. A rise of "unanswered" means agents that hang, of "bad-message" versions that do not fit.',
    label: 'code',
    values: goodbyeCodes,
    registers,
  })
  const enrolments = counterBy({
    name: 'ringwall_daemon_enrolments_total',
    help: 'Attempts to enrol by outcome. A rise of "refused" means tokens that are used up or over, or somebody who guesses; then "throttled" rises too.',
    label: 'outcome',
    values: enrolmentOutcomes,
    registers,
  })
  const lateRenewals = counterBy({
    name: 'ringwall_daemon_late_renewals_total',
    help: 'Certificates that had ended and were asked to be renewed, by outcome. A rise of "renewed" means hosts that come back after long, of "refused" somebody who tries what he may not.',
    label: 'outcome',
    values: ['renewed', 'refused', 'failed'],
    registers,
  })
  return { pushDuration, updatesSent, bytesSent, refusals, connectionsRefused, goodbyes, enrolments, lateRenewals }
}
