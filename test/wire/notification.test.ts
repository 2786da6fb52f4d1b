import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { variablesOf } from '../../common/notify/notification.ts'
import type { DdosChange, DdosEvent } from '../../wire/ddos.ts'
import { newChanges, notificationKinds, notificationOf, usualNotificationKinds } from '../../wire/notification.ts'
import { makeEvent } from '../support/ddos.ts'

const start: DdosChange = { time: '2026-01-01T00:00:01.000Z', kind: 'start', message: 'It began' }
const peak: DdosChange = { time: '2026-01-01T00:00:02.000Z', kind: 'peak', message: 'It grew' }
const blackHole: DdosChange = { time: '2026-01-01T00:00:02.000Z', kind: 'black-hole', message: 'Too much' }

const event: DdosEvent = makeEvent({
  id: 'ddos-1',
  phase: 'black-hole',
  startTime: start.time,
  changes: [start, peak, blackHole],
})

describe('what has changed', () => {
  const rows: readonly (readonly [string, readonly DdosChange[] | null, readonly DdosChange[]])[] = [
    ['everything of a new event', null, [start, peak, blackHole]],
    ['nothing of the same', [start, peak, blackHole], []],
    ['what came since', [start], [peak, blackHole]],
    ['what came at the same time but is another', [start, peak], [blackHole]],
    ['no matter what was left out of many', [start, { ...start, time: '2026-01-01T00:00:01.500Z' }], [peak, blackHole]],
  ]
  for (const [name, changes, expected] of rows) {
    test(name, () => assert.deepEqual(newChanges(changes === null ? null : { changes }, event), expected))
  }
})

describe('a notification', () => {
  const hole = { endTime: '2026-01-01T00:30:02.500Z', holdSeconds: 1800, isManual: false }
  const told = notificationOf(blackHole, {
    event,
    addresses: ['198.18.0.2', '2001:DB8:0::2', '2001:db8::2', 'eth0'],
    blackHole: hole,
  })

  test('is known by the change it tells of', () => {
    const again = notificationOf(blackHole, { event: { ...event, version: 99 }, addresses: [], blackHole: null })
    assert.equal(told.id, again.id)
    const ids = event.changes.map(change => notificationOf(change, { event, addresses: [], blackHole: null }).id)
    assert.equal(new Set(ids).size, 3)
  })

  test('has addresses in canonical text, each once', () => {
    assert.deepEqual(told.addresses, ['198.18.0.2', '2001:db8::2'])
  })

  test('tells a command', () => {
    const { RINGWALL_NOTIFICATION_ID: id, ...others } = variablesOf(told)
    assert.equal(id, told.id)
    assert.deepEqual(others, {
      RINGWALL_KIND: 'ddos.black-hole',
      RINGWALL_TIME: '2026-01-01T00:00:02.000Z',
      RINGWALL_MESSAGE: 'Too much',
      RINGWALL_INSTANCE_ID: 'i-1',
      RINGWALL_ADDRESSES: '198.18.0.2 2001:db8::2',
      RINGWALL_EVENT_ID: 'ddos-1',
      RINGWALL_PHASE: 'black-hole',
      RINGWALL_TRIGGER: 'bps',
      RINGWALL_START_TIME: '2026-01-01T00:00:01.000Z',
      RINGWALL_END_TIME: '',
      RINGWALL_END_REASON: '',
      RINGWALL_PEAK_BPS: '400000000',
      RINGWALL_PEAK_PPS: '100000',
      RINGWALL_THRESHOLD_BPS: '100000000',
      RINGWALL_THRESHOLD_PPS: '70000',
      RINGWALL_ATTACK_TYPES: 'udp',
      RINGWALL_HOLD_SECONDS: '1800',
      RINGWALL_BLACK_HOLE_END: '1767227403',
    })
  })

  test('of what is not known is empty there', () => {
    const { RINGWALL_THRESHOLD_BPS: bps, RINGWALL_HOLD_SECONDS: hold } = variablesOf(
      notificationOf(start, { event: { ...event, thresholds: null }, addresses: [], blackHole: null }),
    )
    assert.deepEqual([bps, hold], ['', ''])
  })
})

test('each peak is told of only where it is asked for', () => {
  assert.deepEqual(
    notificationKinds.filter(kind => !usualNotificationKinds.includes(kind)),
    ['ddos.peak'],
  )
})
