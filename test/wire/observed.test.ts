import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxToDaemonBytes } from '../../wire/messages.ts'
import { type ObservedEni, observedLimits, withinObservedLimits } from '../../wire/observed.ts'

const longId = (prefix: string, number: number) => `${prefix}-${String(number).padStart(63 - prefix.length, 'x')}`

function observedEni(number: number, counts: number, flows: number): ObservedEni {
  const reason = (index: number) => ({
    direction: 'ingress' as const,
    cause: 'rule' as const,
    ruleId: longId('sgr', index),
    securityGroupId: longId('sg', index),
  })
  const time = '2026-11-27T03:04:05.678Z'
  return {
    eniId: longId('eni', number),
    since: time,
    counts: Array.from({ length: counts }, (_, index) => ({ ...reason(index), packets: Number.MAX_SAFE_INTEGER })),
    flows: Array.from({ length: flows }, (_, index) => ({
      ...reason(index),
      peer: '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
      protocol: 'icmpv6',
      port: 65_535,
      icmpType: 255,
      icmpCode: 255,
      packets: Number.MAX_SAFE_INTEGER - index,
      firstTime: time,
      lastTime: time,
    })),
    flowsLeftOut: 3,
    liveSessions: 1_000_000,
  }
}

test('a report of a host with the most of everything is a message that a daemon takes', () => {
  const enis = Array.from({ length: 2000 }, (_, number) => observedEni(number, 20, 20))
  const told = withinObservedLimits(enis)
  assert.equal(told.length, observedLimits.enis)
  const message = JSON.stringify({ type: 'observed', enis: told })
  assert.ok(message.length <= maxToDaemonBytes, `${message.length} bytes`)
  const few = withinObservedLimits([0, 1, 2].map(number => observedEni(number, 5000, 5000)))
  assert.ok(JSON.stringify(few).length <= maxToDaemonBytes)
})

test('what is left out of a report is what is least, and every ENI gets its share', () => {
  const [one, two, three] = withinObservedLimits([
    observedEni(1, 3000, 1000),
    observedEni(2, 3000, 0),
    observedEni(3, 4, 7),
  ])
  assert.deepEqual(
    [one, two, three].map(eni => [eni?.counts.length, eni?.flows.length, eni?.flowsLeftOut]),
    [
      [998, 100, 903],
      [998, 0, 3],
      [4, 7, 3],
    ],
  )
  assert.equal(one?.flows[0]?.packets, Number.MAX_SAFE_INTEGER)
})

test('what fits is told as it is', () => {
  const enis = [observedEni(1, 2, 100), observedEni(2, 0, 0)]
  assert.deepEqual(withinObservedLimits(enis), enis)
  assert.deepEqual(withinObservedLimits([]), [])
})
