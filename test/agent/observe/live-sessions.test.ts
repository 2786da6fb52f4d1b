/** Which entries of conntrack(8) are sessions that an observed ENI only lets through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionCounter } from '../../../agent/observe/live-sessions.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { readValidPolicy } from '../../support/policies.ts'

/** eni-host and eni-guest are observed, eni-other is not; stamps are in bits 8 to 19 (left) and 20 to 31 (entered). */
const policy = resolvePolicy(
  readValidPolicy(
    JSON.stringify({
      apiVersion: 'ringwall/v1',
      instances: [{ id: 'i-1' }, { id: 'i-2' }, { id: 'i-3' }],
      interfaces: [
        ['eni-host', 'i-1', 'd0', 'host', '198.18.0.1', 'observe'],
        ['eni-guest', 'i-2', 'd1', 'guest', '2001:db8::2', 'observe'],
        ['eni-other', 'i-3', 'd2', 'guest', '198.18.0.3', 'enforce'],
      ].map(([id, instanceId, device, placement, address, mode]) => ({
        id,
        instanceId,
        device,
        placement,
        addresses: [address],
        securityGroupIds: ['sg-1'],
        mode,
      })),
      securityGroups: [{ id: 'sg-1' }],
    }),
  ),
)
const [entered, left] = [1 << 20, 1 << 8]
const peer = '203.0.113.9'

const entry = (
  source: string,
  destination: string,
  mark: number,
  { state = 'ESTABLISHED', flags = '[ASSURED]' } = {},
) =>
  `tcp      6 431999 ${state} src=${source} dst=${destination} sport=40000 dport=22 src=${destination} dst=${source} sport=22 dport=40000 ${flags} mark=${mark} use=1`

const rows: readonly (readonly [name: string, line: string, counted: string])[] = [
  ['into a host without a stamp', entry(peer, '198.18.0.1', 0), 'eni-host'],
  ['into a host with the stamp of its side', entry(peer, '198.18.0.1', entered), ''],
  ['into a host with the stamp of the other side', entry(peer, '198.18.0.1', left), 'eni-host'],
  ['out of a host without a stamp', entry('198.18.0.1', peer, 0), 'eni-host'],
  ['out of a host with the stamp of its side', entry('198.18.0.1', peer, left), ''],
  ['into a guest with the stamp of its side', entry('2001:db8::9', '2001:db8::2', left), ''],
  ['into a guest with the stamp of the other side', entry('2001:db8::9', '2001:db8::2', entered), 'eni-guest'],
  ['into one that is enforced', entry(peer, '198.18.0.3', 0), ''],
  ['from one that is enforced into one that is observed', entry('198.18.0.3', '198.18.0.1', 0), 'eni-host'],
  ['with bits of others in its mark', entry(peer, '198.18.0.1', 0xff), 'eni-host'],
  ['that nobody has answered', entry(peer, '198.18.0.1', 0, { flags: '[UNREPLIED]' }), ''],
  ['that is over', entry(peer, '198.18.0.1', 0, { state: 'TIME_WAIT' }), ''],
  ['that begins to end', entry(peer, '198.18.0.1', 0, { state: 'CLOSE_WAIT' }), 'eni-host'],
  ['of strangers', entry(peer, '203.0.113.7', 0), ''],
  [
    'to an address that is translated to the ENI’s',
    `udp      17 29 src=${peer} dst=203.0.113.1 sport=5 dport=53 src=198.18.0.1 dst=${peer} sport=53 dport=5 mark=0 use=1`,
    'eni-host',
  ],
  [
    'of ping',
    `icmp     1 29 src=${peer} dst=198.18.0.1 type=8 code=0 id=7 src=198.18.0.1 dst=${peer} type=0 code=0 id=7 mark=0 use=1`,
    'eni-host',
  ],
  [
    'without a mark',
    `udp      17 29 src=${peer} dst=198.18.0.1 sport=5 dport=53 src=198.18.0.1 dst=${peer} sport=53 dport=5 use=1`,
    'eni-host',
  ],
  ['that is none', 'conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.', ''],
]

for (const [name, line, counted] of rows) {
  test(`a session ${name} is ${counted === '' ? 'not counted' : `one of ${counted}`}`, () => {
    const counter = sessionCounter(policy)
    assert.deepEqual(
      [...counter.counts],
      [
        ['eni-guest', 0],
        ['eni-host', 0],
      ],
    )
    counter.note(line)
    assert.equal([...counter.counts].flatMap(([id, count]) => Array<string>(count).fill(id)).join(' '), counted)
  })
}
