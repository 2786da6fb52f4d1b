/** What agents say of traffic scrubbing, right and wrong. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readToDaemon } from '../../../daemon/push/messages.ts'
import { makeChange, makeEvent, makeSample, makeStatus, second } from '../../support/ddos.ts'

const read = (message: unknown) => readToDaemon(JSON.stringify(message))
const status = makeStatus({
  instanceId: 'i-1',
  phase: 'black-hole',
  eventId: 'ddos-1',
  attackTypes: ['udp', 'syn'],
  topSources: [{ address: '2001:db8::9', packets: 1, bytes: 60, share: 1 }],
  proposal: { bpsMbit: 10, pps: 5000 },
  blackHole: { endTime: second(9), holdSeconds: 1800, isManual: true },
  orderId: 'order-1',
})
const event = makeEvent({ id: 'ddos-1', endTime: second(60), endReason: 'withdrawn' })
const sample = makeSample({ instanceId: 'i-1' })

describe('a message of traffic scrubbing', () => {
  test('is read as it is', () => {
    const messages = [
      { type: 'ddos-status', instances: [status, makeStatus({ instanceId: 'i-2', sample: null })] },
      { type: 'ddos-status', instances: [] },
      { type: 'ddos-event', event },
      { type: 'ddos-event', event: { ...event, thresholds: null, attackTypes: [], topSources: [], changes: [] } },
      { type: 'ddos-samples', samples: [sample, sample] },
    ]
    for (const message of messages) assert.deepEqual(read(message), { value: message })
  })

  test('is read without what is not known, at any depth', () => {
    const extra = { ...event, more: 1, peak: { ...event.peak, more: 1 }, changes: [{ ...event.changes[0], more: 1 }] }
    assert.deepEqual(read({ type: 'ddos-event', event: extra, more: 1 }), { value: { type: 'ddos-event', event } })
    const types = { ...sample.byType, other: sample.all, unheard: sample.all }
    const { value } = read({ type: 'ddos-samples', samples: [{ ...sample, byType: types }] }) as { value: unknown }
    const expected = { ...sample, byType: { other: sample.all, udp: sample.all } }
    assert.deepEqual(value, { type: 'ddos-samples', samples: [expected] })
  })

  const change = (fields: object) => ({ changes: [{ ...event.changes[0], ...fields }] })
  const refused: readonly (readonly [name: string, message: unknown])[] = [
    ['no instances', { type: 'ddos-status' }],
    ['more instances than a host has', { type: 'ddos-status', instances: Array(1025).fill(status) }],
    ['more samples than a host has', { type: 'ddos-samples', samples: Array(1025).fill(sample) }],
    ...(
      [
        ['an instance id that is none', { instanceId: 'eni-1' }],
        ['an instance id with a line break', { instanceId: 'i-1\n' }],
        ['an instance id that is too long', { instanceId: `i-${'x'.repeat(63)}` }],
        ['an unknown phase', { phase: 'calm' }],
        ['a time without zone', { since: '2026-01-31T12:00:00.000' }],
        ['a time of another zone', { since: '2026-01-31T12:00:00.000+01:00' }],
        ['a 13th month', { since: '2026-13-31T12:00:00.000Z' }],
        ['an unknown flood', { attackTypes: ['tsunami'] }],
        ['more floods than there are', { attackTypes: Array(9).fill('udp') }],
        ['a rate below nothing', { sample: { ...sample, offered: { packetsPerSecond: -1, bitsPerSecond: 0 } } }],
        ['a rate that is no number', { sample: { ...sample, offered: { packetsPerSecond: null, bitsPerSecond: 0 } } }],
        ['a type of traffic that is no rate', { sample: { ...sample, byType: { udp: 1 } } }],
        ['an eleventh source', { topSources: Array(11).fill(status.topSources[0]) }],
        ['a source that is no address', { topSources: [{ ...status.topSources[0], address: '$(reboot)' }] }],
        ['a share above all', { topSources: [{ ...status.topSources[0], share: 1.01 }] }],
        ['an order with a control character', { orderId: 'order\u001b[2J' }],
        ['a proposal without packets', { proposal: { bpsMbit: 1 } }],
      ] as const
    ).map(([name, fields]) => [name, { type: 'ddos-status', instances: [{ ...status, ...fields }] }] as const),
    ...(
      [
        ['an id of another kind', { id: 'i-1' }],
        ['an id that leads out of the store', { id: 'ddos-../x' }],
        ['an id that is too long', { id: `ddos-${'x'.repeat(60)}` }],
        ['a version that is no whole number', { version: 1.5 }],
        ['a version beyond counting', { version: 2 ** 53 }],
        ['no trigger', { trigger: undefined }],
        ['an unknown end', { endReason: 'bored' }],
        ['a peak without time', { peak: { packetsPerSecond: 1, bitsPerSecond: 1 } }],
        ['an amount below nothing', { offered: { packets: 1, bytes: -1 } }],
        ['half a black hole', { blackHoles: 0.5 }],
        ['an unknown change', change({ kind: 'pause' })],
        ['a change with a right-to-left override', change({ message: 'a\u202eb' })],
        ['a change with a line break', change({ message: 'a\nb' })],
        ['a change without words', change({ message: '' })],
        ['a change with too many words', change({ message: 'x'.repeat(513) })],
        ['more changes than an event has', { changes: Array.from({ length: 101 }, (_, at) => makeChange('peak', at)) }],
      ] as const
    ).map(([name, fields]) => [name, { type: 'ddos-event', event: { ...event, ...fields } }] as const),
  ]
  for (const [name, message] of refused) {
    test(`is refused with ${name}`, () => assert.ok('fault' in read(message)))
  }

  test('is refused with a number that JSON can write and nothing can count', () => {
    const text = JSON.stringify({ type: 'ddos-event', event }).replace('"blackHoles":0', '"blackHoles":1e999')
    assert.ok('fault' in readToDaemon(text))
  })
})
