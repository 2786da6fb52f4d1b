import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MemberLog } from '../../../daemon/push/member-log.ts'
import { World } from '../../../daemon/state/world.ts'
import type { Write } from '../../../daemon/store/store.ts'
import { changesIn, makeEniDoc, makeGroup, put } from '../../support/documents.ts'
import { MemoryStore } from '../../support/memory-store.ts'

function begin(maxEntries = 1000) {
  const world = new World()
  const log = new MemberLog(0, { maxEntries })
  const commit = (...writes: readonly Write[]) => {
    const commit = { revision: world.revision + 1, timeMs: 0, changes: changesIn(world, writes), note: null }
    world.apply(commit)
    log.append(commit)
  }
  return { world, log, commit }
}

const eni = (id: string, ...addresses: readonly string[]) =>
  put('eni', makeEniDoc({ id, instanceId: 'i-1', addresses, securityGroupIds: ['sg-1'] }))
const gone = (id: string): Write => ({ key: `eni/${id}`, value: null })

describe('the log of members', () => {
  test('folds what came and went since a revision', () => {
    const { world, log, commit } = begin()
    commit(put('group', makeGroup({ id: 'sg-1' })))
    commit(eni('eni-1', '198.18.0.1', '2001:db8::1'))
    commit(eni('eni-1', '198.18.0.2', '2001:db8::1'))
    assert.deepEqual(log.fold(world, 'sg-1', 1), { add: ['2001:db8::1', '198.18.0.2'], remove: [] })
    assert.deepEqual(log.fold(world, 'sg-1', 2), { add: ['198.18.0.2'], remove: ['198.18.0.1'] })
    assert.deepEqual(log.fold(world, 'sg-1', 3), { add: [], remove: [] })
  })

  test('an address stays as long as one ENI has it', () => {
    const { world, log, commit } = begin()
    commit(eni('eni-1', '198.18.0.1'))
    commit(eni('eni-2', '198.18.0.1'))
    commit(gone('eni-1'))
    assert.deepEqual(log.fold(world, 'sg-1', 1), { add: [], remove: [] })
    commit(gone('eni-2'))
    assert.deepEqual(log.fold(world, 'sg-1', 1), { add: [], remove: ['198.18.0.1'] })
  })

  test('cannot fold across the making of a group', () => {
    const { world, log, commit } = begin()
    commit(put('group', makeGroup({ id: 'sg-1' })))
    assert.equal(log.fold(world, 'sg-1', 0), null)
    assert.deepEqual(log.fold(world, 'sg-1', 1), { add: [], remove: [] })
  })

  test('remembers so much and no more, and says from where on', () => {
    const { world, log, commit } = begin(10)
    for (let count = 0; count < 23; count += 1) commit(eni('eni-1', `198.18.0.${count}`))
    assert.ok(log.floor > 5 && log.floor < 23, `floor ${log.floor}`)
    assert.equal(log.fold(world, 'sg-1', log.floor - 1), null)
    const fold = log.fold(world, 'sg-1', log.floor)
    assert.deepEqual(fold, { add: ['198.18.0.22'], remove: [`198.18.0.${log.floor - 1}`] })
  })

  test('is read from the history as far back as is asked for', async () => {
    const store = new MemoryStore()
    for (let count = 0; count < 600; count += 1)
      await store.commit({ writes: [eni('eni-1', `198.18.1.${count % 250}`)] })
    const world = new World(await store.list(''))
    const whole = await MemberLog.read(store, 600)
    assert.equal(whole.floor, 0)
    assert.deepEqual(whole.fold(world, 'sg-1', 0), { add: ['198.18.1.99'], remove: [] })
    assert.deepEqual(whole.fold(world, 'sg-1', 598), { add: ['198.18.1.99'], remove: ['198.18.1.97'] })
    assert.equal((await MemberLog.read(store, 600, { readFrom: 500 })).floor, 499)
    await store.compact(400)
    assert.equal((await MemberLog.read(store, 600)).floor, 399)
  })

  test('has one place for revisions that fold to the same', () => {
    const { log, commit } = begin()
    commit(eni('eni-1', '198.18.0.1'))
    commit(put('group', makeGroup({ id: 'sg-other' })))
    commit(eni('eni-1', '198.18.0.2'))
    assert.equal(log.place('sg-1', 1), log.place('sg-1', 2))
    assert.notEqual(log.place('sg-1', 0), log.place('sg-1', 1))
  })
})
