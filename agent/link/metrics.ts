/** What an agent that is led by a daemon tells Prometheus besides. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { counterBy } from '../../common/counter-by.ts'
import type { ToAgent, ToDaemon } from '../../wire/messages.ts'

/**
 *   unresolvable  the daemon's name has no address
 *   unreachable   nobody answers there, or not in time
 *   untrusted     the TLS handshake failed: another CA, a certificate of the daemon that ran out
 *   turned-away   the daemon answered and let us not in
 *   silent        nothing was heard for three heartbeats
 *   closed        the connection broke or was closed
 *   goodbye       the daemon said why it ends the connection
 *   malformed     the daemon sent what cannot be read or applied
 *   renewed       our own doing: to use a new certificate
 *   readdressed   our own doing: the address that it was made from is this host's no longer
 */
const reconnectReasons = [
  'unresolvable',
  'unreachable',
  'untrusted',
  'turned-away',
  'silent',
  'closed',
  'goodbye',
  'malformed',
  'renewed',
  'readdressed',
] as const
export type ReconnectReason = (typeof reconnectReasons)[number]

const messageTypes = Object.keys({
  snapshot: true,
  delta: true,
  renewed: true,
  'ddos-event-kept': true,
  'ddos-watch': true,
  confirm: true,
  goodbye: true,
  hello: true,
  report: true,
  enforced: true,
  refused: true,
  'ddos-status': true,
  'ddos-event': true,
  'ddos-samples': true,
  observed: true,
  renew: true,
} satisfies Record<(ToAgent | ToDaemon)['type'], true>)

export type LinkMetrics = ReturnType<typeof createLinkMetrics>

/** Milliseconds; asked at each scrape. */
export interface CertificateLife {
  readonly lifeLeftMs: () => number
  readonly lifeMs: () => number
}

export function createLinkMetrics(registry: Registry, { lifeLeftMs, lifeMs }: CertificateLife) {
  const registers = [registry]
  const connected = new Gauge({
    name: 'ringwall_agent_link_connected',
    help: '1 while the agent is connected to its daemon; 0 means that no changes come and what is in force stays.',
    registers,
  })
  const reconnects = counterBy({
    name: 'ringwall_agent_link_reconnects_total',
    help: 'Connections to the daemon that ended or failed, by reason. A steep rise means that the daemon or the way to it is in trouble.',
    label: 'reason',
    values: reconnectReasons,
    registers,
  })
  const messages = counterBy({
    name: 'ringwall_agent_link_messages_total',
    help: 'Messages from and to the daemon by type. A rise of "snapshot" means that deltas are not enough, of "refused" that changes do not get in force.',
    label: 'type',
    values: messageTypes,
    registers,
  })
  const revision = new Gauge({
    name: 'ringwall_agent_link_revision',
    help: 'Revision of the view that the daemon gave last. It rises with each change that this host must know.',
    registers,
  })
  const enforcedRevision = new Gauge({
    name: 'ringwall_agent_link_enforced_revision',
    help: 'Revision that stands in the kernel. A rise that lags behind ringwall_agent_link_revision means changes that are refused.',
    registers,
  })
  const enforceDuration = new Histogram({
    name: 'ringwall_agent_link_enforce_duration_seconds',
    help: 'Time from the arrival of a change to its standing in the kernel, refusals in between included. A rise means that users wait longer for their rules.',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    registers,
  })
  const kept = new Gauge({
    name: 'ringwall_agent_link_kept',
    help: 'Above 0 (it is 1 then) the disk has what was given to the kernel; at 0 the disk refuses it, and a reboot would bring an older state back until the daemon answers.',
    registers,
  })
  kept.set(1)
  const keepFailures = new Counter({
    name: 'ringwall_agent_link_keep_failures_total',
    help: 'Times the disk would not take what the daemon said. A rise means that it is full or failing.',
    registers,
  })
  new Gauge({
    name: 'ringwall_agent_link_certificate_expiry_seconds',
    help: 'Seconds until the certificate of the agent runs out; it is renewed at half of its life. Above 0 all is well; at 0 the daemon renews it when the agent comes to it, or the host must join again.',
    registers,
    collect() {
      this.set(Math.max(0, lifeLeftMs() / 1000))
    },
  })
  new Gauge({
    name: 'ringwall_agent_link_certificate_life_seconds',
    help: 'How long the certificate of the agent is good for, as a whole. Above 0 always; less than a quarter of it left means that it was not renewed.',
    registers,
    collect() {
      this.set(lifeMs() / 1000)
    },
  })
  return { connected, reconnects, messages, revision, enforcedRevision, enforceDuration, kept, keepFailures }
}
