/** Records of packets, and which rule they are put down to. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readHeader } from '../../../agent/logs/packet-header.ts'
import { type LogRecord, makeRecord } from '../../../agent/logs/record.ts'
import { type LogOrigin, parseLogPrefix } from '../../../rules-compiler/nft/log-prefix.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { type PacketSketch, packetBytes } from '../../support/nflog.ts'

const rules = [
  makeRule({ id: 'sgr-9', groupId: 'sg-web', verdict: 'drop', protocol: 'tcp', ports: 22 }),
  makeRule({ id: 'sgr-2', protocol: 'udp', ports: 53, priority: 2 }),
]
const ssh: PacketSketch = {
  source: '203.0.113.9',
  destination: '198.18.0.2',
  protocol: 'tcp',
  numbers: [40_000, 22],
}

interface Circumstances {
  readonly policy?: PolicyIr | null
  readonly hook?: number
  readonly receivedAtMs?: number | null
  readonly findsRule?: boolean
}

function record(prefix: string, sketch: PacketSketch, circumstances: Circumstances = {}): LogRecord {
  const {
    policy = makeIr(makeEni(rules)),
    hook = 0,
    receivedAtMs = 1_772_360_430_123,
    findsRule = true,
  } = circumstances
  const origin = parseLogPrefix(prefix) as LogOrigin
  const payload = packetBytes(sketch)
  const packet = { prefix, hook, inIndex: 2, outIndex: 3, receivedAtMs, sequence: null, payload }
  const devices = new Map([
    [2, 'eth0'],
    [3, 'tap1'],
  ])
  return makeRecord(origin, packet, readHeader(payload)!, { policy, devices, nowMs: 1_000, findsRule })
}

test('a record is as the contract has it', () => {
  assert.deepEqual(record('rw D i eni-1 rule', ssh), {
    time: '2026-03-01T10:20:30.123Z',
    action: 'drop',
    eniId: 'eni-1',
    instanceId: 'i-1',
    direction: 'ingress',
    cause: 'rule',
    ruleId: 'sgr-9',
    securityGroupId: 'sg-web',
    protocol: 'tcp',
    source: '203.0.113.9',
    sourcePort: 40_000,
    destination: '198.18.0.2',
    port: 22,
    length: 40,
    device: 'eth0',
  })
})

test('type and code stand for the ports of ICMP, and other protocols have a number', () => {
  const echo = record('rw D i eni-1 default', { ...ssh, protocol: 'icmp', numbers: [8, 0] })
  assert.deepEqual([echo.protocol, echo.icmpType, echo.icmpCode, echo.port], ['icmp', 8, 0, undefined])
})

test('without a time of the kernel it is now', () => {
  assert.equal(record('rw D i eni-1 rule', ssh, { receivedAtMs: null }).time, '1970-01-01T00:00:01.000Z')
})

describe('the rule', () => {
  const ruleOf = (found: LogRecord) => [found.ruleId, found.securityGroupId]

  test('is left out where the policy says another cause by now', () => {
    const later = makeIr(makeEni([]))
    assert.deepEqual(ruleOf(record('rw D i eni-1 rule', ssh, { policy: later })), [undefined, undefined])
  })

  test('is left out where the policy says accept by now', () => {
    const later = makeIr(makeEni([makeRule({ id: 'sgr-1', protocol: 'tcp', ports: 22 })]))
    assert.deepEqual(ruleOf(record('rw D i eni-1 rule', ssh, { policy: later })), [undefined, undefined])
  })

  test('is left out where another cause decided, and where there is no time to look', () => {
    assert.deepEqual(ruleOf(record('rw D i eni-1 invalid', ssh)), [undefined, undefined])
    assert.deepEqual(ruleOf(record('rw D i eni-1 rule', ssh, { findsRule: false })), [undefined, undefined])
  })

  test('of an ENI that is gone is left out, with its instance', () => {
    const gone = record('rw D i eni-7 rule', ssh)
    assert.deepEqual([...ruleOf(gone), gone.instanceId, gone.eniId], [undefined, undefined, undefined, 'eni-7'])
    assert.deepEqual(ruleOf(record('rw D i eni-1 rule', ssh, { policy: null })), [undefined, undefined])
  })

  test('of an accepted session is found, and the group whose inner access accepted', () => {
    const dns: PacketSketch = { ...ssh, protocol: 'udp', numbers: [5353, 53] }
    assert.deepEqual(ruleOf(record('rw A i eni-1 rule', dns)), ['sgr-2', 'sg-1'])
    const members = { 'sg-1': { ip: ['203.0.113.9'], ip6: [] } }
    const policy = makeIr(makeEni(rules, { innerGroupIds: ['sg-1'] }), members)
    assert.deepEqual(ruleOf(record('rw A i eni-1 inner-access', ssh, { policy })), [undefined, 'sg-1'])
  })

  test('of a guest is judged in the direction of the guest', () => {
    const policy = makeIr(makeEni(rules, { placement: 'guest' }))
    const found = record('rw O i eni-1 rule', ssh, { policy, hook: 4 })
    assert.deepEqual([...ruleOf(found), found.device, found.action], ['sgr-9', 'sg-web', 'tap1', 'observe'])
  })
})
