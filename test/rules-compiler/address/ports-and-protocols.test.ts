import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  allPorts,
  containsPort,
  isAllPorts,
  type PortRange,
  portRangeText,
  portsOverlap,
} from '../../../rules-compiler/address/port-range.ts'
import {
  hasPorts,
  protocolInFamily,
  protocolMatches,
  type RuleProtocol,
} from '../../../rules-compiler/address/protocol.ts'

const range = (first: number, last: number): PortRange => ({ first, last })

suite('port ranges', () => {
  const texts: readonly [PortRange, text: string, isAll: boolean][] = [
    [range(443, 443), '443', false],
    [range(1000, 2000), '1000-2000', false],
    [range(1, 65_535), '1-65535', false],
    [allPorts, '0-65535', true],
    [range(2, 65_535), '2-65535', false],
    [range(0, 65_534), '0-65534', false],
  ]
  for (const [ports, text, isAll] of texts) {
    test(text, () => {
      assert.equal(portRangeText(ports), text)
      assert.equal(isAllPorts(ports), isAll)
    })
  }

  const overlaps: readonly [PortRange, PortRange, expected: boolean][] = [
    [range(1, 10), range(10, 20), true],
    [range(1, 10), range(11, 20), false],
    [range(1, 100), range(40, 50), true],
    [range(40, 50), range(1, 100), true],
    [range(20, 30), range(1, 10), false],
  ]
  for (const [a, b, expected] of overlaps) {
    test(`${portRangeText(a)} and ${portRangeText(b)} overlap: ${expected}`, () => {
      assert.equal(portsOverlap(a, b), expected)
    })
  }

  for (const [port, expected] of [
    [9, false],
    [10, true],
    [15, true],
    [20, true],
    [21, false],
  ] as const) {
    test(`10-20 holds ${port}: ${expected}`, () => assert.equal(containsPort(range(10, 20), port), expected))
  }
})

suite('protocols', () => {
  const rows: readonly [RuleProtocol, hasPorts: boolean, inIp: boolean, inIp6: boolean, numbers: readonly number[]][] =
    [
      ['all', false, true, true, [1, 6, 17, 47, 58, 132]],
      ['tcp', true, true, true, [6]],
      ['udp', true, true, true, [17]],
      ['icmp', false, true, false, [1]],
      ['icmpv6', false, false, true, [58]],
      ['gre', false, true, true, [47]],
    ]
  for (const [protocol, ports, inIp, inIp6, numbers] of rows) {
    test(protocol, () => {
      assert.equal(hasPorts(protocol), ports)
      assert.equal(protocolInFamily(protocol, 'ip'), inIp)
      assert.equal(protocolInFamily(protocol, 'ip6'), inIp6)
      assert.deepEqual(
        [1, 6, 17, 47, 58, 132].filter(number => protocolMatches(protocol, number)),
        numbers,
      )
    })
  }
})
