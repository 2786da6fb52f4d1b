/** What agents tell of attacks, with everything filled in that a test does not speak of. */
import type { DdosChange, DdosEvent, DdosSample, DdosStatus } from '../../wire/ddos.ts'

const startMs = Date.UTC(2026, 0, 31, 12)

/** A time of the host. */
export function second(seconds: number): string {
  return new Date(startMs + seconds * 1000).toISOString()
}

export function makeSample(sample: Partial<DdosSample> & { readonly instanceId: string }): DdosSample {
  const rate = { packetsPerSecond: 1000, bitsPerSecond: 8_000_000 }
  return {
    time: second(1),
    intervalSeconds: 1,
    offered: rate,
    passed: rate,
    all: rate,
    byType: { udp: rate },
    dropped: {},
    ...sample,
  }
}

export function makeStatus(status: Partial<DdosStatus> & { readonly instanceId: string }): DdosStatus {
  return {
    phase: 'normal',
    since: second(0),
    eventId: null,
    attackTypes: [],
    sample: makeSample({ instanceId: status.instanceId }),
    topSources: [],
    proposal: null,
    blackHole: null,
    orderId: null,
    ...status,
  }
}

export function makeChange(kind: DdosChange['kind'], at: number): DdosChange {
  return { time: second(at), kind, message: `${kind} after ${at} s` }
}

export function makeEvent(event: Partial<DdosEvent> & { readonly id: string }): DdosEvent {
  return {
    version: 1,
    instanceId: 'i-1',
    phase: 'cleaning',
    trigger: 'bps',
    startTime: second(0),
    endTime: null,
    endReason: null,
    thresholds: { bpsMbit: 100, pps: 70_000 },
    peak: { packetsPerSecond: 100_000, bitsPerSecond: 400_000_000, time: second(1) },
    offered: { packets: 100_000, bytes: 50_000_000 },
    passed: { packets: 20_000, bytes: 12_000_000 },
    dropped: { udp: { packets: 80_000, bytes: 38_000_000 } },
    attackTypes: [
      {
        type: 'udp',
        share: 0.9,
        peak: { packetsPerSecond: 90_000, bitsPerSecond: 360_000_000 },
        usual: { packetsPerSecond: 10, bitsPerSecond: 80_000 },
        synRatio: null,
        sourceConcentration: 0.5,
      },
    ],
    topSources: [{ address: '203.0.113.9', packets: 50_000, bytes: 25_000_000, share: 0.5 }],
    blackHoles: 0,
    changes: [makeChange('start', 0)],
    ...event,
  }
}

/** The same event when it is over. */
export function ended(event: DdosEvent, version = event.version + 1): DdosEvent {
  const changes = [...event.changes, makeChange('end', 90)]
  return { ...event, version, phase: 'ended', endTime: second(90), endReason: 'subsided', changes }
}
