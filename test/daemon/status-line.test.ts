import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusLine } from '../../daemon/status-line.ts'

test('the daemon in a sentence', () => {
  assert.equal(statusLine(new Map(), 7), 'revision 7; agents: none')
  assert.equal(
    statusLine(
      new Map([
        ['away', 1],
        ['in-sync', 20],
        ['behind', 0],
      ]),
      7,
    ),
    'revision 7; agents: 20 in-sync, 1 away',
  )
})
