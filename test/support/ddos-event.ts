/** An event for tests: a flood of SYNs and UDP that is black-holed. */
import type { FloodType } from '../../rules-compiler/model/traffic.ts'
import type { DdosEvent, DdosEvidence } from '../../wire/ddos.ts'

export function ddosEvent(parts: Partial<DdosEvent> = {}): DdosEvent {
  const { startTime = '2026-01-01T00:00:01.000Z' } = parts
  return {
    id: 'ddos-1',
    version: 3,
    instanceId: 'i-1',
    phase: 'black-hole',
    trigger: 'pps',
    startTime,
    endTime: null,
    endReason: null,
    thresholds: { bpsMbit: 500, pps: 200_000 },
    peak: { packetsPerSecond: 1_500_000, bitsPerSecond: 9_000_000_000, time: startTime },
    offered: { packets: 3_000_000, bytes: 2_000_000_000 },
    passed: { packets: 400_000, bytes: 60_000_000 },
    dropped: { syn: { packets: 2_600_000, bytes: 1_940_000_000 } },
    attackTypes: [evidenceOf('syn'), evidenceOf('udp')],
    topSources: [{ address: '203.0.113.9', packets: 900_000, bytes: 54_000_000, share: 0.3 }],
    blackHoles: 1,
    changes: [{ time: startTime, kind: 'start', message: 'It began' }],
    ...parts,
  }
}

function evidenceOf(type: FloodType): DdosEvidence {
  return {
    type,
    share: 0.5,
    peak: { packetsPerSecond: 750_000, bitsPerSecond: 4_500_000_000 },
    usual: { packetsPerSecond: 10, bitsPerSecond: 4_800 },
    synRatio: 40,
    sourceConcentration: null,
  }
}
