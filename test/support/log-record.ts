import type { LogRecord } from '../../agent/logs/record.ts'

/** Of a packet to SSH that a rule of `eni-1` drops, unless the fields say otherwise. */
export function logRecord(fields: Partial<LogRecord> = {}): LogRecord {
  return {
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
    length: 60,
    device: 'eth0',
    ...fields,
  }
}
