/** How an instance stands and one second of its traffic, for tests: a flood of SYNs that is cleaned. */
import type { TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { DdosSample, DdosStatus } from '../../wire/ddos.ts'

export function rate(packetsPerSecond: number, bitsPerSecond = packetsPerSecond * 800): TrafficRate {
  return { packetsPerSecond, bitsPerSecond }
}

export function ddosSample(parts: Partial<DdosSample> = {}): DdosSample {
  return {
    instanceId: 'i-1',
    time: '2026-01-01T00:00:02.000Z',
    intervalSeconds: 1,
    offered: rate(94_100, 812_000_000),
    passed: rate(60_000, 500_000_000),
    all: rate(94_200, 813_000_000),
    byType: { 'tcp-syn': rate(80_000), udp: rate(14_100) },
    dropped: { sources: rate(9_100), syn: rate(25_000) },
    ...parts,
  }
}

export function ddosStatus(parts: Partial<DdosStatus> = {}): DdosStatus {
  const { instanceId = 'i-1' } = parts
  return {
    instanceId,
    phase: 'cleaning',
    since: '2026-01-01T00:00:01.000Z',
    eventId: 'ddos-1',
    attackTypes: ['syn', 'udp'],
    sample: ddosSample({ instanceId }),
    topSources: [{ address: '203.0.113.9', packets: 900_000, bytes: 54_000_000, share: 0.3 }],
    proposal: null,
    blackHole: null,
    orderId: null,
    ...parts,
  }
}

export function quietStatus(parts: Partial<DdosStatus> = {}): DdosStatus {
  const { instanceId = 'i-1' } = parts
  const sample = ddosSample({
    instanceId,
    offered: rate(100),
    passed: rate(100),
    all: rate(100),
    byType: {},
    dropped: {},
  })
  return ddosStatus({ phase: 'normal', eventId: null, attackTypes: [], topSources: [], sample, ...parts })
}
