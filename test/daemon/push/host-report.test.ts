/** What an agent says of its host, right and wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readToDaemon } from '../../../daemon/push/messages.ts'
import { hostReport } from '../../support/documents.ts'

const read = (report: unknown) => readToDaemon(JSON.stringify({ type: 'report', report }))

for (const openSince of [undefined, null, '2026-03-01T10:20:30.123Z']) {
  test(`a host that is open since ${openSince} is read as it is`, () => {
    const report = { ...hostReport, ...(openSince !== undefined && { openSince }) }
    assert.deepEqual(read(report), { value: { type: 'report', report } })
    assert.deepEqual(read({ ...report, mood: 'good' }), { value: { type: 'report', report } })
  })
}

for (const openSince of ['an unknown time', '2026-03-01', '', 7, true, '2026-03-01T10:20:30.123Z\u001b[2J']) {
  test(`a host that is open since ${JSON.stringify(openSince)} is refused`, () => {
    assert.match((read({ ...hostReport, openSince }) as { fault: string }).fault, /^report: \/report\/openSince /)
  })
}
