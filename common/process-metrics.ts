/** Prometheus' usual metrics of a Node process. */
import { collectDefaultMetrics, type Registry } from 'prom-client'

/** Three of prom-client's gauges end in `_total`, which promtool refuses: counters alone may. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export function addProcessMetrics(registry: Registry): void {
  // The default, 10 ms, would wake an idle agent a hundred times a second. Each time costs it 0.2 ms on an idle machine.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 })
  for (const name of misnamed) registry.removeSingleMetric(name)
}
