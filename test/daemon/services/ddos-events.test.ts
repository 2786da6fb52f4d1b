/** Which events are kept, and until when. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type DdosEventDoc, keyOf } from '../../../daemon/model/documents.ts'
import { keepEvents, sweepEvents, sweepLostEvents, type Taken } from '../../../daemon/services/ddos-events.ts'
import type { Write } from '../../../daemon/store/store.ts'
import type { DdosEvent } from '../../../wire/ddos.ts'
import { ended, makeEvent, makeStatus, second } from '../../support/ddos.ts'
import { account, makeInstance, worldOf } from '../../support/documents.ts'

const dayMs = 24 * 3600 * 1000

function stored(event: DdosEvent, updatedAtMs = 0): Write {
  const value: DdosEventDoc = { event, agentId: 'agent-1', accountId: account, createdAtMs: 0, updatedAtMs }
  return { key: keyOf('ddosEvent', event.id), value }
}

const past = (serial: number, instanceId = 'i-1') =>
  ended(makeEvent({ id: `ddos-${serial}`, instanceId, startTime: second(serial) }))
const keeping = (keptPerInstance: number): Write => ({
  key: 'settings/fleet',
  value: { ...worldOf().settings, ddosEvents: { keptPerInstance } },
})
const taken = (event: DdosEvent, before: DdosEventDoc | null = null): Taken => ({ event, before, accountId: account })
const keysOf = (writes: readonly Write[]) =>
  writes.map(({ key, value }) => `${value === null ? 'delete' : 'put'} ${key.replace('ddosEvent/', '')}`)

describe('events that are taken', () => {
  const options = { agentId: 'agent-2', nowMs: 9 }

  test('keep when they were heard of first', () => {
    const before = { ...(stored(makeEvent({ id: 'ddos-1' })).value as DdosEventDoc), createdAtMs: 5 }
    const event = makeEvent({ id: 'ddos-1', version: 2 })
    const [write] = keepEvents(worldOf(), [taken(event, before)], options)
    assert.deepEqual(write?.value, { event, agentId: 'agent-2', accountId: account, createdAtMs: 5, updatedAtMs: 9 })
  })

  test('take the place of the oldest of the instance', () => {
    const world = worldOf(keeping(2), stored(past(1)), stored(past(2)), stored(past(3, 'i-2')))
    assert.deepEqual(keysOf(keepEvents(world, [taken(past(4))], options)), ['put ddos-4', 'delete ddos-1'])
    const both = keepEvents(world, [taken(past(4)), taken(past(5))], options)
    assert.deepEqual(keysOf(both), ['put ddos-4', 'put ddos-5', 'delete ddos-1', 'delete ddos-2'])
  })

  test('are not stored where they are the oldest themselves', () => {
    const world = worldOf(keeping(2), stored(past(2)), stored(past(3)))
    assert.deepEqual(keysOf(keepEvents(world, [taken(past(1))], options)), [])
  })

  test('take the place of the oldest that the agent told of, whatever the instance', () => {
    const world = worldOf(...Array.from({ length: 2000 }, (_, serial) => stored(past(serial, `i-${serial % 20}`))))
    const writes = keepEvents(world, [taken(past(3000, 'i-new'))], { agentId: 'agent-1', nowMs: 9 })
    assert.deepEqual(keysOf(writes), ['put ddos-3000', 'delete ddos-0'])
    assert.deepEqual(keysOf(keepEvents(world, [taken(past(3000, 'i-new'))], options)), ['put ddos-3000'])
  })

  test('that are under way stay before later ones that have ended', () => {
    const world = worldOf(keeping(2), stored(makeEvent({ id: 'ddos-1', startTime: second(1) })), stored(past(2)))
    assert.deepEqual(keysOf(keepEvents(world, [taken(past(3))], options)), ['put ddos-3', 'delete ddos-2'])
  })
})

describe('the sweep', () => {
  test('takes what nothing was heard of for as long as the settings say, ended or not', () => {
    const world = worldOf(
      stored(past(1), 0),
      stored(past(2), 1),
      stored(makeEvent({ id: 'ddos-3', startTime: second(3) }), 0),
    )
    assert.deepEqual(keysOf(sweepEvents(world, 90 * dayMs)), ['delete ddos-1', 'delete ddos-3'])
    assert.deepEqual(sweepEvents(world, 90 * dayMs - 1), [])
  })

  test('takes what is above the number of an instance, once that was lowered', () => {
    const world = worldOf(keeping(1), stored(past(2)), stored(past(1)), stored(past(3, 'i-2')), stored(past(4)))
    assert.deepEqual(keysOf(sweepEvents(world, 0)).sort(), ['delete ddos-1', 'delete ddos-2'])
  })

  test('takes so many at once', () => {
    const world = worldOf(...Array.from({ length: 1500 }, (_, serial) => stored(past(serial, `i-${serial}`))))
    assert.equal(sweepEvents(world, 91 * dayMs).length, 1000)
  })
})

describe('an event under way that nobody will end', () => {
  const afterMs = 600_000
  const served = (agentId: string | null): Write => {
    const value = makeInstance({ id: 'i-1', agentId })
    return { key: 'instance/i-1', value }
  }
  const silent = () => undefined
  const says = (eventId: string | null) => () => ({
    agentId: 'agent-1',
    status: makeStatus({ instanceId: 'i-1', eventId }),
  })
  const rows = [
    { name: 'its agent has not spoken yet', agentId: 'agent-1', standing: silent, isLost: false },
    { name: 'its agent has it', agentId: 'agent-1', standing: says('ddos-1'), isLost: false },
    { name: 'its agent has none', agentId: 'agent-1', standing: says(null), isLost: true },
    { name: 'its agent has another', agentId: 'agent-1', standing: says('ddos-2'), isLost: true },
    { name: 'the instance has another agent', agentId: 'agent-2', standing: silent, isLost: true },
    { name: 'the instance has no agent', agentId: null, standing: silent, isLost: true },
  ]
  for (const { name, agentId, standing, isLost } of rows) {
    test(name, () => {
      const world = worldOf(served(agentId), stored(makeEvent({ id: 'ddos-1' })), stored(past(5)))
      const [write, ...others] = sweepLostEvents(world, afterMs, standing)
      const end = (write?.value as DdosEventDoc | undefined)?.event
      assert.deepEqual(others, [])
      assert.deepEqual(
        end && [end.id, end.version, end.phase, end.endReason, end.changes.at(-1)?.kind],
        isLost ? ['ddos-1', 2, 'ended', 'lost', 'end'] : undefined,
      )
      assert.deepEqual(sweepLostEvents(world, afterMs - 1, standing), [])
    })
  }
})
