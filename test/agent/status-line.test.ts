import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Standing, statusLine } from '../../agent/status-line.ts'

const enforced = (id: string) => ({ id, device: 'eth0', state: 'enforced' }) as const
const file = { kind: 'file', path: '/etc/ringwall/policy.yaml' } as const
const daemon = {
  kind: 'daemon',
  url: 'https://daemon.example:9443',
  agentId: 'a-1',
  connected: true,
  since: '2026-03-01T10:20:30.000Z',
  reason: null,
  revision: 42,
  enforcedRevision: 42,
  certificateExpires: '2027-03-01T10:20:30.000Z',
} as const
const healthy = { inForce: true, problems: [], enis: [enforced('eni-1')] }

const rows: readonly { readonly name: string; readonly standing: Standing; readonly expected: string }[] = [
  {
    name: 'a policy file',
    standing: { health: healthy, source: file, instances: [{ instanceId: 'i-1', phase: 'normal' }] },
    expected: '1 ENI enforced; policy /etc/ringwall/policy.yaml',
  },
  {
    name: 'a daemon',
    standing: { health: healthy, source: daemon, instances: [] },
    expected: '1 ENI enforced; revision 42; daemon connected since 2026-03-01 10:20 UTC',
  },
  {
    name: 'a daemon that is away',
    standing: { health: healthy, source: { ...daemon, connected: false, revision: 43 }, instances: [] },
    expected: '1 ENI enforced; revision 42, 43 to come; daemon away since 2026-03-01 10:20 UTC',
  },
  {
    name: 'ENIs of every kind, and attacks',
    standing: {
      health: {
        ...healthy,
        enis: [
          enforced('eni-1'),
          enforced('eni-2'),
          { id: 'eni-3', device: 'tap3', state: 'device-missing' },
          { id: 'eni-4', device: 'tap4', state: 'no-group' },
        ],
      },
      source: file,
      instances: ['i-1', 'i-2', 'i-3', 'i-4', 'i-5'].map(instanceId => ({ instanceId, phase: 'cleaning' as const })),
    },
    expected:
      '2 ENIs enforced, 1 without device, 1 without group; policy /etc/ringwall/policy.yaml; under attack: i-1, i-2, i-3 and 2 more',
  },
  {
    name: 'nothing in force',
    standing: {
      health: { inForce: false, problems: ['Policy file "p" is missing', 'another'], enis: [] },
      source: file,
      instances: [],
    },
    expected: 'nothing enforced yet; policy /etc/ringwall/policy.yaml; problem: Policy file "p" is missing',
  },
]

for (const { name, standing, expected } of rows) {
  test(`the agent in a sentence: ${name}`, () => assert.equal(statusLine(standing), expected))
}
