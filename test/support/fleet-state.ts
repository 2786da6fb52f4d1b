/** A small fleet over the API: groups of every kind, instances with and without ENIs, agents that have reported. */
import assert from 'node:assert/strict'
import { type AgentDoc, keyOf } from '../../daemon/model/documents.ts'
import type { ReportedDevice } from '../../wire/messages.ts'
import { accountId, otherAccountId, type TestApi } from './api.ts'

/** @throws where the API refuses: what a test stands on must be there */
export async function post(api: TestApi, url: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await api.request('POST', url, body)
  assert.ok(answer.status < 300, `POST ${url}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

export function device(name: string, fields: Partial<ReportedDevice> = {}): ReportedDevice {
  return { name, macAddress: null, kind: null, up: true, addresses: [], ...fields }
}

/** As if it had enrolled. */
export async function addAgent(api: TestApi, id: string, fields: Partial<AgentDoc> = {}): Promise<void> {
  const agent: AgentDoc = {
    id,
    hostName: `host-of-${id}`,
    status: 'active',
    certificates: [{ serialNumber: '01', notAfterMs: Date.parse('2030-01-01T00:00:00Z') }],
    report: null,
    createdAtMs: Date.parse('2026-01-01T00:00:00Z'),
    revokedAtMs: null,
    ...fields,
  }
  await api.store.commit({ writes: [{ key: keyOf('agent', id), value: agent }] })
}

export function hostReport(devices: readonly ReportedDevice[]): NonNullable<AgentDoc['report']> {
  return {
    hostName: 'web1',
    kernel: '6.18.0',
    agentVersion: '0.1.0',
    nftVersion: '1.0.6',
    capabilities: { json: 'full' },
    devices,
  }
}

export const macs = { eth0: '02:00:00:00:00:01', eth1: '02:00:00:00:00:02', shared: '02:00:00:00:00:03' } as const

/**
 * Of the first account: groups sg-1 to sg-6, sg-adv (advanced), sg-vpc1 (in vpc-1), sg-classic; instances
 * i-1 (agent-1; eni-1 on eth0 in sg-1, eni-2 in sg-2), i-2 (eni-3 in sg-adv), i-3 (no ENI), i-4 (agent-1, no ENI),
 * i-5 (eni-5, no group), i-6 (eni-6 in sg-1 and sg-2). Of the second: sg-b, i-b, eni-b.
 */
export async function makeFleet(api: TestApi): Promise<void> {
  await addAgent(api, 'agent-1', {
    report: hostReport([
      device('eth0', { macAddress: macs.eth0, addresses: ['198.18.0.1', 'fe80::1'] }),
      device('eth1', { macAddress: macs.eth1, addresses: ['198.18.0.90', '2001:db8::90', 'fe80::2', '169.254.1.1'] }),
      device('br0', { macAddress: macs.shared, kind: 'bridge', addresses: ['198.18.0.91'] }),
      device('eth2', { macAddress: macs.shared }),
      device('tap0', { macAddress: '02:00:00:00:00:04', kind: 'tun' }),
    ]),
  })
  await addAgent(api, 'agent-silent')
  await addAgent(api, 'agent-revoked', { status: 'revoked', certificates: [], revokedAtMs: 1 })
  const groups = [
    ...[1, 2, 3, 4, 5, 6].map(number => ({ securityGroupId: `sg-${number}` })),
    { securityGroupId: 'sg-adv', securityGroupType: 'advanced' },
    { securityGroupId: 'sg-vpc1', vpcId: 'vpc-1' },
    { securityGroupId: 'sg-classic', networkType: 'classic' },
  ]
  for (const group of groups) await post(api, '/v1/security-groups', { accountId, ...group })
  await post(api, '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-b' })
  for (const instanceId of ['i-1', 'i-2', 'i-3', 'i-4', 'i-5', 'i-6']) {
    const agentId = instanceId === 'i-1' || instanceId === 'i-4' ? 'agent-1' : null
    await post(api, '/v1/instances', { accountId, instanceId, agentId })
  }
  await post(api, '/v1/instances', { accountId: otherAccountId, instanceId: 'i-b' })
  const enis = [
    { networkInterfaceId: 'eni-1', instanceId: 'i-1', device: 'eth0', securityGroupIds: ['sg-1'] },
    {
      networkInterfaceId: 'eni-2',
      instanceId: 'i-1',
      macAddress: '02:00:00:00:00:22',
      privateIpAddresses: ['198.18.0.2'],
      securityGroupIds: ['sg-2'],
    },
    {
      networkInterfaceId: 'eni-3',
      instanceId: 'i-2',
      privateIpAddresses: ['198.18.0.3'],
      securityGroupIds: ['sg-adv'],
    },
    { networkInterfaceId: 'eni-5', instanceId: 'i-5', securityGroupIds: [] },
    {
      networkInterfaceId: 'eni-6',
      instanceId: 'i-6',
      privateIpAddresses: ['198.18.0.6'],
      securityGroupIds: ['sg-1', 'sg-2'],
    },
    { networkInterfaceId: 'eni-b', instanceId: 'i-b', privateIpAddresses: ['198.18.0.99'], securityGroupIds: ['sg-b'] },
  ]
  for (const eni of enis) await post(api, '/v1/network-interfaces', eni)
}
