/** What the model refuses of instances, ENIs and membership: told where and why, and nothing stored. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { macs, makeFleet, post } from '../../support/fleet-state.ts'

interface Row {
  readonly name: string
  readonly method?: string
  readonly url: string
  readonly body?: unknown
  readonly expected: string
  readonly message?: RegExp
}

const eni = (fields: Record<string, unknown>) => ({ instanceId: 'i-3', securityGroupIds: ['sg-1'], ...fields })
const enis = '/v1/network-interfaces'

const rows: readonly Row[] = [
  // Limits.
  {
    name: 'an ENI in six groups',
    url: enis,
    body: eni({ securityGroupIds: ['sg-1', 'sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-6'] }),
    expected: '403 LimitExceeded securityGroupIds',
    message: /at most 5 groups on an ENI/,
  },
  {
    name: 'a sixth group by joining',
    url: '/v1/security-groups/sg-6/join',
    body: { networkInterfaceIds: ['eni-full'] },
    expected: '403 LimitExceeded networkInterfaceIds[0]',
  },
  {
    name: 'more addresses than a basic group may have, by a new ENI',
    url: enis,
    body: eni({ privateIpAddresses: ['198.18.1.1', '198.18.1.2', '198.18.1.3'] }),
    expected: '403 LimitExceeded securityGroupIds[0]',
    message: /at most 4 private addresses in a basic group \(limits\.basicGroupPrivateIps\), it would have 5/,
  },
  {
    name: 'more addresses than a basic group may have, by more addresses of one that is in it',
    method: 'PATCH',
    url: `${enis}/eni-1`,
    body: { privateIpAddresses: ['198.18.1.1', '198.18.1.2', '198.18.1.3', '198.18.1.4'] },
    expected: '403 LimitExceeded privateIpAddresses',
  },
  {
    name: 'more addresses than a basic group may have, by one too many of several that join',
    url: '/v1/security-groups/sg-1/join',
    body: { networkInterfaceIds: ['eni-2', 'eni-5', 'eni-two'] },
    expected: '403 LimitExceeded networkInterfaceIds[2]',
  },
  {
    name: 'more ENIs than an advanced group may have',
    url: enis,
    body: eni({ securityGroupIds: ['sg-adv'] }),
    expected: '403 LimitExceeded securityGroupIds[0]',
    message: /at most 1 ENIs in an advanced group/,
  },
  // Kinds of groups.
  {
    name: 'an ENI in a basic and an advanced group',
    url: enis,
    body: eni({ securityGroupIds: ['sg-1', 'sg-adv2'] }),
    expected: '400 InvalidParameter securityGroupIds[1]',
    message: /a group that is basic, as sg-1 is: an instance has all its ENIs in groups of one type/,
  },
  {
    name: 'an ENI in an advanced group, of an instance with one in a basic group',
    url: enis,
    body: eni({ instanceId: 'i-1', securityGroupIds: ['sg-adv2'] }),
    expected: '400 InvalidParameter securityGroupIds[0]',
  },
  {
    name: 'the default group, which is basic, for an instance in advanced groups',
    url: enis,
    body: { instanceId: 'i-2' },
    expected: '400 InvalidParameter securityGroupIds[0]',
  },
  {
    name: 'joining an advanced group from a basic one',
    url: '/v1/security-groups/sg-adv2/join',
    body: { instanceIds: ['i-6'] },
    expected: '400 InvalidParameter instanceIds[0]',
  },
  {
    name: 'a group twice',
    url: enis,
    body: eni({ securityGroupIds: ['sg-1', 'sg-1'] }),
    expected: '400 InvalidParameter securityGroupIds[1]',
  },
  // Networks and accounts.
  {
    name: 'a group of another VPC',
    url: enis,
    body: eni({ vpcId: 'vpc-2', securityGroupIds: ['sg-vpc1'] }),
    expected: '400 InvalidParameter securityGroupIds[0]',
    message: /in VPC "vpc-2", as eni-\w+ is, but it is in VPC "vpc-1"/,
  },
  {
    name: 'groups of two VPCs',
    url: enis,
    body: eni({ securityGroupIds: ['sg-vpc1', 'sg-1'] }),
    expected: '400 InvalidParameter securityGroupIds[1]',
  },
  {
    name: 'a VPC group on a classic network',
    url: enis,
    body: eni({ networkType: 'classic' }),
    expected: '400 InvalidParameter securityGroupIds[0]',
  },
  {
    name: 'a classic group in a VPC',
    method: 'PATCH',
    url: `${enis}/eni-1`,
    body: { securityGroupIds: ['sg-classic'] },
    expected: '400 InvalidParameter securityGroupIds[0]',
  },
  {
    name: 'joining a group of another VPC',
    url: '/v1/security-groups/sg-vpc1/join',
    body: { instanceIds: ['i-1'] },
    expected: '400 InvalidParameter instanceIds[0]',
  },
  {
    name: 'a VPC on a classic network',
    url: enis,
    body: eni({ networkType: 'classic', vpcId: 'vpc-1', securityGroupIds: [] }),
    expected: '400 InvalidParameter vpcId',
  },
  {
    name: 'nicType in a VPC',
    url: enis,
    body: eni({ nicType: 'intranet' }),
    expected: '400 InvalidParameter nicType',
  },
  {
    name: 'nicType in a VPC, later',
    method: 'PATCH',
    url: `${enis}/eni-1`,
    body: { nicType: 'intranet' },
    expected: '400 InvalidParameter nicType',
  },
  {
    name: 'a group of another account',
    url: enis,
    body: eni({ securityGroupIds: ['sg-b'] }),
    expected: '400 InvalidParameter securityGroupIds[0]',
    message: new RegExp(`of account ${accountId}, which owns i-3`),
  },
  {
    name: 'joining a group of another account',
    url: '/v1/security-groups/sg-b/join',
    body: { networkInterfaceIds: ['eni-b', 'eni-1'] },
    expected: '400 InvalidParameter networkInterfaceIds[1]',
  },
  {
    name: 'groups and an instance that are not there',
    url: enis,
    body: eni({ securityGroupIds: ['sg-none', 'sg-1', 'sg-nil'] }),
    expected: '400 InvalidSecurityGroupId.NotFound securityGroupIds[0] securityGroupIds[2]',
  },
  {
    name: 'an ENI of no instance',
    url: enis,
    body: eni({ instanceId: 'i-none' }),
    expected: '400 InvalidInstanceId.NotFound instanceId',
  },
  // The last group.
  {
    name: 'no group instead of one',
    method: 'PATCH',
    url: `${enis}/eni-1`,
    body: { securityGroupIds: [] },
    expected: '409 InstanceLastSecurityGroup securityGroupIds',
  },
  {
    name: 'leaving the last group',
    url: '/v1/security-groups/sg-1/leave',
    body: { instanceIds: ['i-6', 'i-1'] },
    expected: '409 InstanceLastSecurityGroup instanceIds[1]',
  },
  {
    name: 'leaving a group one is not in',
    url: '/v1/security-groups/sg-3/leave',
    body: { instanceIds: ['i-1'], networkInterfaceIds: ['eni-6'] },
    expected: '400 InvalidSecurityGroupAssociation.NotFound instanceIds[0] networkInterfaceIds[0]',
  },
  {
    name: 'every fault of a bulk request, each at its place',
    url: '/v1/security-groups/sg-1/leave',
    body: { instanceIds: ['i-none', 'i-3', 'i-6'], networkInterfaceIds: ['eni-none', 'eni-1', 'eni-2'] },
    expected:
      '400 InvalidParameter instanceIds[0] instanceIds[1] networkInterfaceIds[0] networkInterfaceIds[1] networkInterfaceIds[2]',
  },
  {
    name: 'a bulk request for nobody',
    url: '/v1/security-groups/sg-1/join',
    body: {},
    expected: '400 InvalidParameter instanceIds',
  },
  {
    name: 'a bulk request for 101',
    url: '/v1/security-groups/sg-1/join',
    body: {
      instanceIds: Array.from({ length: 51 }, () => 'i-1'),
      networkInterfaceIds: Array.from({ length: 50 }, () => 'eni-1'),
    },
    expected: '400 InvalidParameter instanceIds',
  },
  {
    name: 'joining a group that is not there',
    url: '/v1/security-groups/sg-none/join',
    body: { instanceIds: ['i-1'] },
    expected: '404 InvalidSecurityGroupId.NotFound',
  },
  // Primary and secondary.
  {
    name: 'a second primary ENI',
    url: enis,
    body: eni({ instanceId: 'i-1', type: 'Primary' }),
    expected: '409 Conflict type',
    message: /expected Secondary, since eni-1 is its primary one/,
  },
  {
    name: 'a secondary ENI without primary one',
    url: enis,
    body: eni({ type: 'Secondary' }),
    expected: '409 Conflict type',
  },
  {
    name: 'deleting the primary ENI before the others',
    method: 'DELETE',
    url: `${enis}/eni-1`,
    expected: '409 DependencyViolation',
  },
  // Addresses, MAC addresses, devices.
  ...(
    [
      ['privateIpAddresses', '198.18.0.300'],
      ['privateIpAddresses', '198.18.0.1/24'],
      ['privateIpAddresses', '198.018.0.1'],
      ['privateIpAddresses', '2001:db8::1'],
      ['privateIpAddresses', '0.0.0.0'],
      ['privateIpAddresses', '127.0.0.1'],
      ['privateIpAddresses', '169.254.0.1'],
      ['privateIpAddresses', '224.0.0.1'],
      ['privateIpAddresses', '255.255.255.255'],
      ['ipv6Addresses', '198.18.0.77'],
      ['ipv6Addresses', '::'],
      ['ipv6Addresses', '::1'],
      ['ipv6Addresses', '::ffff:198.18.0.77'],
      ['ipv6Addresses', 'fe80::1'],
      ['ipv6Addresses', 'fe80::1%eth0'],
      ['ipv6Addresses', 'ff02::1'],
    ] as const
  ).map(
    ([field, address]): Row => ({
      name: `${address} in ${field}`,
      url: enis,
      body: eni({ [field]: [address] }),
      expected: `400 InvalidParameter ${field}[0]`,
    }),
  ),
  {
    name: 'an address twice, once written otherwise',
    url: enis,
    body: eni({ ipv6Addresses: ['2001:db8::7', '2001:DB8:0::7'] }),
    expected: '400 InvalidParameter ipv6Addresses[1]',
  },
  {
    name: 'an address that another ENI of the VPC has',
    url: enis,
    body: eni({
      securityGroupIds: ['sg-6'],
      privateIpAddresses: ['198.18.1.1', '198.18.0.2'],
      ipv6Addresses: ['2001:db8::1'],
    }),
    expected: '409 Conflict privateIpAddresses[1]',
    message: /eni-2 of i-1 has it/,
  },
  {
    name: 'an address that another ENI of the VPC has, later',
    method: 'PATCH',
    url: `${enis}/eni-6`,
    body: { privateIpAddresses: ['198.18.0.2'] },
    expected: '409 Conflict privateIpAddresses[0]',
  },
  {
    name: 'a group MAC address',
    url: enis,
    body: eni({ macAddress: '01:00:5E:00:00:01' }),
    expected: '400 InvalidParameter macAddress',
  },
  {
    name: 'a MAC address of zeros',
    url: enis,
    body: eni({ macAddress: '00-00-00-00-00-00' }),
    expected: '400 InvalidParameter macAddress',
  },
  {
    name: 'what is no MAC address',
    url: enis,
    body: eni({ macAddress: '02:00:00:00:00' }),
    expected: '400 InvalidParameter macAddress',
  },
  {
    name: 'the MAC address of another ENI of the host, written otherwise',
    url: enis,
    body: eni({ instanceId: 'i-4', macAddress: '02-00-00-00-00-22', privateIpAddresses: ['198.18.0.70'] }),
    expected: '409 Conflict macAddress',
    message: /no other ENI of the host is bound to, but eni-2 is/,
  },
  {
    name: 'the device of another ENI of the host',
    url: enis,
    body: eni({ instanceId: 'i-4', device: 'eth0', privateIpAddresses: ['198.18.0.70'] }),
    expected: '409 Conflict device',
  },
  {
    name: 'loopback as device',
    url: enis,
    body: eni({ device: 'lo', privateIpAddresses: [] }),
    expected: '400 InvalidParameter device',
  },
  {
    name: 'a device name that nft cannot write',
    url: enis,
    body: eni({ device: 'eth*', privateIpAddresses: [] }),
    expected: '400 InvalidParameter device',
  },
  {
    name: 'a device alone that the agent did not report',
    url: enis,
    body: eni({ instanceId: 'i-4', device: 'eth9' }),
    expected: '400 InvalidParameter device',
    message: /expected one that agent "agent-1" reported \(eth0, eth1, br0, eth2, tap0\)/,
  },
  {
    name: 'a device alone of an instance without agent',
    url: enis,
    body: eni({ device: 'eth0' }),
    expected: '400 InvalidParameter privateIpAddresses',
  },
  {
    name: 'a guest’s device alone',
    url: enis,
    body: eni({ instanceId: 'i-4', device: 'tap0', placement: 'guest' }),
    expected: '400 InvalidParameter privateIpAddresses',
  },
  // Ids and instances.
  {
    name: 'an ENI id that is taken',
    url: enis,
    body: eni({ networkInterfaceId: 'eni-1' }),
    expected: '409 IdAlreadyExists networkInterfaceId',
  },
  {
    name: 'an ENI id of the wrong form',
    url: enis,
    body: eni({ networkInterfaceId: 'i-9' }),
    expected: '400 InvalidParameter networkInterfaceId',
  },
  {
    name: 'an instance id that is taken',
    url: '/v1/instances',
    body: { accountId: otherAccountId, instanceId: 'i-1' },
    expected: '409 IdAlreadyExists instanceId',
  },
  {
    name: 'no account where there are two',
    url: '/v1/instances',
    body: {},
    expected: '400 MissingParameter accountId',
  },
  {
    name: 'an account that is not there',
    url: '/v1/instances',
    body: { accountId: '9999999999999999' },
    expected: '400 InvalidAccountId.NotFound accountId',
  },
  {
    name: 'an agent that is not there',
    url: '/v1/instances',
    body: { accountId, agentId: 'agent-none' },
    expected: '400 InvalidAgentId.NotFound agentId',
  },
  {
    name: 'an agent that is revoked',
    method: 'PATCH',
    url: '/v1/instances/i-3',
    body: { agentId: 'agent-revoked' },
    expected: '409 Conflict agentId',
  },
  {
    name: 'moving an instance to an agent that has another ENI on the same device',
    method: 'PATCH',
    url: '/v1/instances/i-7',
    body: { agentId: 'agent-1' },
    expected: '409 Conflict agentId',
  },
  {
    name: 'an instance that is not there',
    method: 'DELETE',
    url: '/v1/instances/i-none',
    expected: '404 InvalidInstanceId.NotFound',
  },
  {
    name: 'a network cannot be changed',
    method: 'PATCH',
    url: `${enis}/eni-1`,
    body: { vpcId: 'vpc-1' },
    expected: '400 InvalidParameter vpcId',
  },
]

describe('refused, with nothing stored', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
    await makeFleet(api)
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-x' })
    for (const { instanceId, ...fields } of [
      {
        instanceId: 'i-8',
        networkInterfaceId: 'eni-full',
        privateIpAddresses: ['198.18.0.80'],
        securityGroupIds: ['sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-x'],
      },
      {
        instanceId: 'i-9',
        networkInterfaceId: 'eni-two',
        privateIpAddresses: ['198.18.0.81', '198.18.0.82'],
        securityGroupIds: ['sg-3'],
      },
    ]) {
      await post(api, '/v1/instances', { accountId, instanceId })
      await post(api, enis, { instanceId, ...fields })
    }
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-adv2', securityGroupType: 'enterprise' })
    await post(api, '/v1/instances', { accountId, instanceId: 'i-7' })
    await post(api, enis, { instanceId: 'i-7', macAddress: macs.eth0, securityGroupIds: ['sg-1'] })
    const limits = { basicGroupPrivateIps: 4, advancedGroupEnis: 1 }
    const answer = await api.request('PATCH', '/v1/settings', { limits })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
  })
  after(() => api[Symbol.asyncDispose]())

  for (const { name, method = 'POST', url, body, expected, message = /./ } of rows) {
    test(name, async () => {
      const stored = await api.store.list('')
      const answer = await api.request(method, url, body)
      const fields = (answer.body.errors ?? []).map(({ field }: { field: string }) => field)
      assert.equal([answer.status, answer.body.code, ...fields].join(' '), expected, JSON.stringify(answer.body))
      assert.match(answer.body.detail, message)
      assert.deepEqual(await api.store.list(''), stored)
    })
  }
})
