/** What agents tell of a flood of SYNs and UDP that is cleaned, and of nothing: for tests of how it is shown. */
import type { FloodType, TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { DdosEvent, DdosEvidence, DdosSample, DdosStatus } from '../../wire/ddos.ts'
import { makeEvent, makeSample, makeStatus } from './ddos.ts'

export function rate(packetsPerSecond: number, bitsPerSecond = packetsPerSecond * 800): TrafficRate {
  return { packetsPerSecond, bitsPerSecond }
}

const startTime = '2026-01-01T00:00:01.000Z'

export function ddosSample(parts: Partial<DdosSample> = {}): DdosSample {
  return makeSample({
    instanceId: 'i-1',
    time: '2026-01-01T00:00:02.000Z',
    offered: rate(94_100, 812_000_000),
    passed: rate(60_000, 500_000_000),
    all: rate(94_200, 813_000_000),
    byType: { 'tcp-syn': rate(80_000), udp: rate(14_100) },
    dropped: { sources: rate(9_100), syn: rate(25_000) },
    ...parts,
  })
}

export function ddosStatus(parts: Partial<DdosStatus> = {}): DdosStatus {
  const { instanceId = 'i-1' } = parts
  return makeStatus({
    instanceId,
    phase: 'cleaning',
    since: startTime,
    eventId: 'ddos-1',
    attackTypes: ['syn', 'udp'],
    sample: ddosSample({ instanceId }),
    topSources: [{ address: '203.0.113.9', packets: 900_000, bytes: 54_000_000, share: 0.3 }],
    ...parts,
  })
}

export function quietStatus(parts: Partial<DdosStatus> = {}): DdosStatus {
  const { instanceId = 'i-1' } = parts
  const few = rate(100)
  const sample = makeSample({ instanceId, time: startTime, offered: few, passed: few, all: few, byType: {} })
  return makeStatus({ instanceId, since: startTime, sample, ...parts })
}

/** It is black-holed, too. */
export function ddosEvent(parts: Partial<DdosEvent> = {}): DdosEvent {
  return makeEvent({
    id: 'ddos-1',
    phase: 'black-hole',
    trigger: 'pps',
    startTime,
    thresholds: { bpsMbit: 500, pps: 200_000 },
    peak: { ...rate(1_500_000, 9_000_000_000), time: startTime },
    offered: { packets: 3_000_000, bytes: 2_000_000_000 },
    passed: { packets: 400_000, bytes: 60_000_000 },
    dropped: { syn: { packets: 2_600_000, bytes: 1_940_000_000 } },
    attackTypes: [evidenceOf('syn'), evidenceOf('udp')],
    topSources: [{ address: '203.0.113.9', packets: 900_000, bytes: 54_000_000, share: 0.3 }],
    blackHoles: 1,
    changes: [{ time: startTime, kind: 'start', message: 'It began' }],
    ...parts,
  })
}

function evidenceOf(type: FloodType): DdosEvidence {
  return {
    type,
    share: 0.5,
    peak: rate(750_000, 4_500_000_000),
    usual: rate(10, 4_800),
    synRatio: 40,
    sourceConcentration: null,
  }
}
