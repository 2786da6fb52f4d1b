/** Records as people read them, and which of them are asked for. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LogRecord } from '../../../agent/logs/record.ts'
import { command } from '../../../cli/commands/logs.ts'
import { matches, type RecordFilter } from '../../../cli/logs/filter.ts'
import { recordText, summaryLines } from '../../../cli/logs/record-text.ts'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { runInProcess } from '../../support/command-line.ts'
import { logRecord } from '../../support/log-record.ts'

function without(...fields: readonly (keyof LogRecord)[]): LogRecord {
  return Object.fromEntries(
    Object.entries(logRecord()).filter(([name]) => !fields.includes(name as keyof LogRecord)),
  ) as never
}

describe('a record in a line', () => {
  const rows: readonly (readonly [string, LogRecord])[] = [
    ['drop       eni-1 ingress  tcp 203.0.113.9:40000 -> 198.18.0.2:22  sgr-9 of sg-web', logRecord()],
    [
      'would drop eni-1 ingress  udp [2001:db8::9]:1 -> [2001:db8::2]:53  no rule matches',
      {
        ...without('ruleId', 'securityGroupId'),
        action: 'observe',
        cause: 'default',
        protocol: 'udp',
        source: '2001:db8::9',
        sourcePort: 1,
        destination: '2001:db8::2',
        port: 53,
      },
    ],
    [
      'accept     eni-1 ingress  icmp type 8 code 0 203.0.113.9 -> 198.18.0.2  member of sg-web',
      {
        ...without('sourcePort', 'port', 'ruleId'),
        action: 'accept',
        cause: 'inner-access',
        protocol: 'icmp',
        icmpType: 8,
        icmpCode: 0,
      },
    ],
    [
      'drop       eni-1 ingress  protocol 89 203.0.113.9 -> 198.18.0.2  a rule, which has changed since',
      { ...without('sourcePort', 'port', 'ruleId', 'securityGroupId'), protocol: '89' },
    ],
  ]
  for (const [text, of] of rows) {
    test(text, () => {
      const [, clock = '', line] = /^(\S+) (.*)$/.exec(recordText(of)) ?? []
      // Hours and minutes are those of the zone.
      assert.match(clock, /^\d\d:\d\d:30\.123$/)
      assert.equal(line, text)
    })
  }

  test('has no power over the terminal, whoever answers on the socket', () => {
    assert.doesNotMatch(recordText(logRecord({ eniId: '\u001b[2J', ruleId: 'a\nb' })), /[\p{Cc}]/u)
  })
})

describe('what is asked for', () => {
  const all: RecordFilter = { actions: null, eniIds: null, peer: null, port: null, since: null }
  const rows: readonly (readonly [string, Partial<RecordFilter>, Partial<LogRecord>, boolean])[] = [
    ['everything', {}, {}, true],
    ['an action', { actions: ['observe', 'drop'] }, {}, true],
    ['another action', { actions: ['accept'] }, {}, false],
    ['another interface', { eniIds: ['eni-2'] }, {}, false],
    ['the far side of ingress is the source', { peer: parseCidr('203.0.113.0/24') }, {}, true],
    ['and of egress the destination', { peer: parseCidr('203.0.113.0/24') }, { direction: 'egress' }, false],
    ['a block of the other family', { peer: parseCidr('::/0') }, {}, false],
    ['the destination port', { port: 22 }, {}, true],
    ['the source port is none', { port: 40_000 }, {}, false],
    ['the moment itself', { since: '2026-03-01T10:20:30.123Z' }, {}, true],
    ['a later moment', { since: '2026-03-01T10:20:30.124Z' }, {}, false],
  ]
  for (const [name, filter, fields, expected] of rows) {
    test(name, () => assert.equal(matches({ ...all, ...filter }, logRecord(fields)), expected))
  }
})

test('what was observed, an interface after the other, the rest of the flows counted', () => {
  const reason = { direction: 'ingress', cause: 'default' } as const
  const flow = { ...reason, protocol: 'tcp', port: 22, packets: 1, firstTime: '', lastTime: '2026-03-01T10:20:30.123Z' }
  const flows = Array.from({ length: 25 }, (_, index) => ({ ...flow, peer: `203.0.113.${index}` }))
  const eni = {
    eniId: 'eni-1',
    since: '2026-03-01T10:00:00.000Z',
    counts: [{ ...reason, packets: 30 }],
    liveSessions: null,
  }
  const lines = summaryLines(
    [
      { ...eni, flows, flowsLeftOut: 2 },
      { ...eni, eniId: 'eni-2', flows: [], flowsLeftOut: 0 },
    ],
    Number.POSITIVE_INFINITY,
  )
  assert.equal(lines[0], 'ENI eni-1')
  assert.match(lines[1]!, /^30 packets would have been dropped /)
  assert.ok(lines.includes('And 7 more.'))
  assert.ok(lines.includes('ENI eni-2'))
})

for (const [args, says] of [
  [['--peer', 'everyone'], /--peer is "everyone", expected a CIDR block/],
  [['--port', '70000'], /--port is "70000", expected a number from 0 to 65535/],
  [['--since', 'noon'], /--since is "noon", expected 15m/],
  [['eni-1'], /unexpected argument "eni-1"/],
] as const) {
  test(`ringwall logs ${args.join(' ')} is refused`, async () => {
    const { exitCode, stdout, stderr } = await runInProcess(command, args)
    assert.deepEqual([exitCode, stdout], [2, ''])
    assert.match(stderr, says)
  })
}
