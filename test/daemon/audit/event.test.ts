/** What of commits is for the audit log. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { eventOfCommit } from '../../../daemon/audit/event.ts'
import type { DdosEventDoc } from '../../../daemon/model/documents.ts'
import type { Change } from '../../../daemon/store/store.ts'
import type { DdosEvent } from '../../../wire/ddos.ts'
import { ended, makeEvent } from '../../support/ddos.ts'
import { account } from '../../support/documents.ts'

const principal = { kind: 'agent', id: 'agent-1', name: 'host-1' } as const
const note = { action: 'ringwall:ReportDdosEvent', principal, sourceAddress: '192.0.2.1', requestId: 'r' }
const docOf = (event: DdosEvent): DdosEventDoc => ({
  event,
  agentId: 'agent-1',
  accountId: account,
  createdAtMs: 1,
  updatedAtMs: 1,
})
const change = (before: DdosEvent | null, after: DdosEvent | null): Change => ({
  key: 'ddosEvent/ddos-1',
  before: before && docOf(before),
  value: after && docOf(after),
})
const objectsOf = (...changes: readonly Change[]) =>
  eventOfCommit({ revision: 1, timeMs: 1, changes, note })?.objects ?? null

describe('of an attack the audit log has', () => {
  const event = makeEvent({ id: 'ddos-1' })
  const later = { ...event, version: 2 }

  test('that it began and that it ended', () => {
    assert.deepEqual(objectsOf(change(null, event)), ['ddosEvent/ddos-1'])
    assert.deepEqual(objectsOf(change(later, ended(later))), ['ddosEvent/ddos-1'])
    assert.deepEqual(objectsOf(change(null, ended(event))), ['ddosEvent/ddos-1'])
  })

  test('nothing of what changes in between, and not that it is forgotten', () => {
    assert.equal(objectsOf(change(event, later)), null)
    assert.equal(objectsOf(change(ended(event), ended(later))), null)
    assert.equal(objectsOf(change(ended(event), null)), null)
  })

  test('what else the commit changed', () => {
    const other: Change = { key: 'account/1', before: null, value: { id: '1' } }
    assert.deepEqual(objectsOf(change(event, later), other), ['account/1'])
  })
})
