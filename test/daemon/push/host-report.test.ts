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

const exceptions = {
  rescue: [
    { source: '198.18.7.0/24', port: 22 },
    { source: '2001:db8:7::/64', port: 2222 },
  ],
  controlConnections: [{ address: '2001:db8::1', port: 9443 }],
  rescuePorts: [22, 2222],
}

test('what a host accepts besides the policy is read as it is, without fields that are not known', () => {
  const report = { ...hostReport, ...exceptions }
  assert.deepEqual(read(report), { value: { type: 'report', report } })
  const [first, second] = exceptions.rescue
  const more = { ...report, rescue: [{ ...first, until: 'noon' }, second] }
  assert.deepEqual(read(more), { value: { type: 'report', report } })
  const none = { ...hostReport, rescue: [], controlConnections: [], rescuePorts: [] }
  assert.deepEqual(read(none), { value: { type: 'report', report: none } })
})

test('an agent from before tells nothing of it, and is heard', () => {
  assert.deepEqual(read(hostReport), { value: { type: 'report', report: hostReport } })
})

const unsound: readonly (readonly [keyof typeof exceptions, unknown])[] = [
  ['rescue', null],
  ['rescue', [{ source: '198.18.7.0/24' }]],
  ['rescue', [{ source: '198.18.7.1/24', port: 22 }]],
  ['rescue', [{ source: '198.18.7.1', port: 22 }]],
  ['rescue', [{ source: '2001:DB8::/64', port: 22 }]],
  ['rescue', [{ source: 'example.com', port: 22 }]],
  ['rescue', [{ source: '198.18.7.0/24', port: 0 }]],
  ['rescue', Array.from({ length: 65 }, (_, n) => ({ source: `198.18.${n}.0/24`, port: 22 }))],
  ['controlConnections', [{ address: '198.18.7.0/24', port: 22 }]],
  ['controlConnections', [{ address: '198.18.7.1', port: 65_536 }]],
  ['rescuePorts', [22, '2222']],
]
for (const [field, value] of unsound) {
  test(`${field}: ${JSON.stringify(value).slice(0, 60)} is refused`, () => {
    const { fault } = read({ ...hostReport, [field]: value }) as { fault: string }
    assert.ok(fault.startsWith(`report: /report/${field}`), fault)
  })
}

// What it calls itself stands on operators' terminals, in the audit log and in tables: there it must be what it seems.
const names: readonly (readonly [string, string])[] = [
  ['an escape', 'web\u001b[2J'],
  ['a line break', 'web\n1'],
  ['a C1 control', 'web\u009b2J'],
  ['a line separator', 'web\u2028'],
  ['an override', 'web\u202e1'],
  ['an isolate', 'web\u2066'],
  ['an Arabic letter mark', 'web\u061c'],
  ['a space of no width', 'web\u200b1'],
  ['a vowel separator of no width', 'web\u180e'],
  ['an annotation', 'web\ufff9'],
  ['a tag', 'web\u{e0041}'],
  ['a private character', 'web\ue000'],
  ['half a character', 'web\ud800'],
]
for (const [what, hostName] of names) {
  test(`a host name with ${what} is refused`, () => {
    assert.match((read({ ...hostReport, hostName }) as { fault: string }).fault, /^report: \/report\/hostName /)
  })
}

for (const hostName of ['web-1', 'Wëb 1', '主机', '<b>&"{}', 'x'.repeat(255)]) {
  test(`a host is called ${hostName.slice(0, 20)}`, () => {
    assert.deepEqual(read({ ...hostReport, hostName }), {
      value: { type: 'report', report: { ...hostReport, hostName } },
    })
  })
}
