import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeRecord } from '../../../daemon/push/agent-record.ts'
import { ChangeLog, enforcementOf, tellWaiters, untilEnforced } from '../../../daemon/push/changes.ts'

const records = (...ids: readonly string[]) => ids.map(id => makeRecord(id, { revision: 1, nowMs: 1 }))

describe('the log of changes', () => {
  test('forgets the oldest when there are too many, or concern too many agents', () => {
    const two = records('agent-1', 'agent-2')
    const byCount = new ChangeLog({ maxChanges: 2 })
    for (const revision of [1, 2, 3]) byCount.record(revision, two)
    assert.deepEqual(
      [1, 2, 3].map(revision => byCount.concernedBy(revision)?.length),
      [undefined, 2, 2],
    )
    const byAgents = new ChangeLog({ maxAgents: 3 })
    byAgents.record(1, two)
    byAgents.record(2, [])
    byAgents.record(3, two)
    assert.deepEqual(
      [1, 2, 3].map(revision => byAgents.concernedBy(revision)?.length),
      [undefined, 0, 2],
    )
  })

  test('keeps one that concerns more agents than it may remember', () => {
    const log = new ChangeLog({ maxAgents: 1 })
    log.record(1, records('agent-1', 'agent-2'))
    assert.equal(log.concernedBy(1)?.length, 2)
  })
})

describe('waiting for a revision', () => {
  test('ends with the signal, and leaves nothing behind', async () => {
    const [agent] = records('agent-1')
    const stop = new AbortController()
    const waiting = untilEnforced(5, [agent!], { timeoutMs: 60_000, signal: stop.signal })
    assert.equal(agent?.waiters?.size, 1)
    stop.abort()
    await waiting
    assert.equal(agent?.waiters, null)
  })

  test('is not over with an older one', async () => {
    const [agent] = records('agent-1')
    const waiting = untilEnforced(5, [agent!], { timeoutMs: 60_000 })
    agent!.enforced = 4
    tellWaiters(agent!)
    assert.equal(agent?.waiters?.size, 1)
    agent!.enforced = 6
    tellWaiters(agent!)
    await waiting
  })

  test('does not wait for revoked agents, nor count them', async () => {
    const [one, revoked] = records('agent-1', 'agent-2')
    one!.enforced = 5
    revoked!.standing = 'revoked'
    await untilEnforced(5, [one!, revoked!], { timeoutMs: 60_000 })
    assert.partialDeepStrictEqual(enforcementOf(5, [one!, revoked!]), { state: 'enforced', agents: 1, enforced: 1 })
  })
})
