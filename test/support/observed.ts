/** Reports of observed ENIs in few words. */
import type { ObservedEni, ObservedFlow } from '../../wire/observed.ts'

const observedSince = '2026-03-01T10:00:00.000Z'

export function makeObservedFlow(fields: Partial<ObservedFlow> = {}): ObservedFlow {
  return {
    direction: 'ingress',
    cause: 'default',
    peer: '203.0.113.9',
    protocol: 'tcp',
    port: 22,
    packets: 3,
    firstTime: '2026-03-01T10:20:30.000Z',
    lastTime: '2026-03-01T10:20:40.000Z',
    ...fields,
  }
}

export function makeObservedEni(eniId: string, fields: Partial<ObservedEni> = {}): ObservedEni {
  return {
    eniId,
    since: observedSince,
    counts: [{ direction: 'ingress', cause: 'default', packets: 3 }],
    flows: [makeObservedFlow()],
    flowsLeftOut: 0,
    liveSessions: null,
    ...fields,
  }
}
