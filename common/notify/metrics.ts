/** What a notifier tells Prometheus. */
import { Counter, Gauge, type Registry } from 'prom-client'

const notifyWays = ['command', 'webhook'] as const
export type NotifyWay = (typeof notifyWays)[number]

/** `failed`: an attempt that is repeated. */
const notifyOutcomes = ['delivered', 'failed', 'given-up'] as const

export type NotifierMetrics = ReturnType<typeof createNotifierMetrics>

export function createNotifierMetrics(registry: Registry) {
  const registers = [registry]
  const notifications = new Counter({
    name: 'ringwall_notifications_total',
    help: 'Attempts to notify by way and outcome. A rise of "failed" means that the command or the receiver is in trouble, of "given-up" that somebody was not told: the dead letters have it.',
    labelNames: ['way', 'outcome'],
    registers,
  })
  const pending = new Gauge({
    name: 'ringwall_notifications_pending',
    help: 'Notifications that are not delivered yet. Above 0 for minutes means that the command or the receiver is in trouble.',
    labelNames: ['way'],
    registers,
  })
  for (const way of notifyWays) {
    pending.set({ way }, 0)
    for (const outcome of notifyOutcomes) notifications.inc({ way, outcome }, 0)
  }
  return { notifications, pending }
}
