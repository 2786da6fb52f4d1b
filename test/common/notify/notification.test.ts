import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bodyOf, printableId, variablesOf } from '../../../common/notify/notification.ts'
import { notification } from '../../support/notifications.ts'

const hostile = 'a\n$(reboot)`reboot`;\u0000\u001b[2Jé'

describe('the variables of a command', () => {
  test('say what there is to say', () => {
    assert.deepEqual(variablesOf(notification('n-1', { time: '2026-01-01T00:00:00.000Z' })), {
      RINGWALL_EVENT_ID: 'ddos-1',
      RINGWALL_PHASE: 'cleaning',
      RINGWALL_NOTIFICATION_ID: 'n-1',
      RINGWALL_KIND: 'ddos.start',
      RINGWALL_TIME: '2026-01-01T00:00:00.000Z',
      RINGWALL_INSTANCE_ID: 'i-1',
      RINGWALL_MESSAGE: 'The traffic offered exceeds the thresholds',
      RINGWALL_ADDRESSES: '198.18.0.2 2001:db8::2',
    })
  })

  const rows: readonly (readonly [string, Parameters<typeof notification>[1], string, string | undefined])[] = [
    ['control characters are none', { message: hostile }, 'RINGWALL_MESSAGE', 'a?$(reboot)`reboot`;??[2Jé'],
    ['a value is bounded', { message: 'x'.repeat(100_000) }, 'RINGWALL_MESSAGE', 'x'.repeat(2_000)],
    [
      'what is no address is none',
      { addresses: ['198.18.0.2', '198.18.0.2; reboot', 'fe80::1%$(reboot)', '198.18.0.0/15', '', '198.018.0.3'] },
      'RINGWALL_ADDRESSES',
      '198.18.0.2',
    ],
    ['no address', { addresses: [] }, 'RINGWALL_ADDRESSES', ''],
    ['no other name than ours', { variables: { LD_PRELOAD: '/x.so', PATH: '/x' } }, 'LD_PRELOAD', undefined],
    [
      'what all have cannot be replaced',
      { variables: { RINGWALL_KIND: 'x', RINGWALL_ADDRESSES: 'x' } },
      'RINGWALL_ADDRESSES',
      '198.18.0.2 2001:db8::2',
    ],
  ]
  for (const [name, parts, variable, expected] of rows) {
    test(name, () => assert.equal(variablesOf(notification('n-1', parts))[variable], expected))
  }

  test('addresses without end fit one variable', () => {
    const addresses = Array.from({ length: 10_000 }, (_, index) => `2001:db8:${index.toString(16)}::ffff:ffff:ffff`)
    assert.ok(variablesOf(notification('n-1', { addresses })).RINGWALL_ADDRESSES!.length < 128 * 1024)
  })
})

test('the body has what is told, and not the variables', () => {
  const time = '2026-01-01T00:00:00.000Z'
  assert.deepEqual(JSON.parse(bodyOf(notification('n-1', { time }))), {
    id: 'n-1',
    type: 'ddos.start',
    timestamp: time,
    data: {
      instanceId: 'i-1',
      addresses: ['198.18.0.2', '2001:db8::2'],
      message: 'The traffic offered exceeds the thresholds',
      event: { id: 'ddos-1' },
    },
  })
})

test('an id fits a header', () => {
  assert.equal(printableId('ddos-1.start.5'), 'ddos-1.start.5')
  assert.equal(printableId('a\r\nx: y'), 'a--x--y')
  assert.equal(printableId('x'.repeat(1_000)).length, 200)
})
