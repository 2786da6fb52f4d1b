/** When the kernel's log is read. Nothing is awaited, so that no program is started. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { createLogMetrics } from '../../../agent/logs/metrics.ts'
import { TrafficLog } from '../../../agent/logs/traffic-log.ts'
import { createLogger } from '../../../common/log.ts'
import { makeEni, makeIr } from '../../support/ir.ts'

const observing = makeIr(makeEni([], { isObserved: true }))
const enforcing = makeIr(makeEni([]))

function create(): TrafficLog {
  return new TrafficLog({
    log: createLogger('test', 'error', { write: () => {} }),
    metrics: createLogMetrics(new Registry()),
    file: null,
    onRecord: () => {},
  })
}

const stateOf = (traffic: TrafficLog) => traffic.recent().reader.kind

describe('the kernel’s log is read', () => {
  const rows = [
    ['for a policy that observes', (traffic: TrafficLog) => traffic.setPolicy(observing), 'starting'],
    ['for none that enforces', (traffic: TrafficLog) => traffic.setPolicy(enforcing), 'off'],
    ['before a policy that observes is in force', (traffic: TrafficLog) => traffic.expectPolicy(observing), 'starting'],
    ['not before one that enforces', (traffic: TrafficLog) => traffic.expectPolicy(enforcing), 'off'],
  ] as const
  for (const [name, act, expected] of rows) {
    test(name, async () => {
      const traffic = create()
      act(traffic)
      assert.equal(stateOf(traffic), expected)
      await traffic.close()
    })
  }

  test('no longer where another policy than the expected one is in force', async () => {
    const traffic = create()
    traffic.setPolicy(enforcing)
    traffic.expectPolicy(observing)
    assert.equal(stateOf(traffic), 'starting')
    traffic.setPolicy(enforcing)
    assert.equal(stateOf(traffic), 'off')
    await traffic.close()
  })

  test('on while a policy that enforces is expected', async () => {
    const traffic = create()
    traffic.setPolicy(observing)
    traffic.expectPolicy(enforcing)
    assert.equal(stateOf(traffic), 'starting')
    await traffic.close()
  })
})
