/** The health report and explanations, over the API. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Answer, accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, device, hostReport, macs, post } from '../../support/fleet-state.ts'
import { assertRefused } from '../../support/refused-requests.ts'

type Body = Answer['body']

let api: TestApi

before(async () => {
  api = await startApi()
  await makeState(api)
})
after(() => api[Symbol.asyncDispose]())

/**
 * Of the first account: eni-web in sg-web (SSH from anywhere; a rule that a stronger one shadows), eni-both in sg-web
 * and sg-db (MySQL from sg-app, from sg-theirs and from a prefix list), eni-bare in no group, sg-app without member,
 * sg-idle. Of the second: eni-theirs in sg-theirs.
 */
async function makeState(api: TestApi): Promise<void> {
  await post(api, '/v1/prefix-lists', {
    accountId,
    prefixListId: 'pl-1',
    prefixListName: 'office',
    addressFamily: 'IPv4',
    entries: [{ cidr: '203.0.113.0/24' }],
  })
  await post(api, '/v1/security-groups', {
    accountId: otherAccountId,
    securityGroupId: 'sg-theirs',
    innerAccessPolicy: 'drop',
  })
  await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-app' })
  await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-idle', permissions: [open('3306/3306')] })
  await post(api, '/v1/security-groups', {
    accountId,
    securityGroupId: 'sg-web',
    permissions: [open('22/22'), { ...open('22/22'), policy: 'drop', priority: 9, sourceCidrIp: '10.0.0.0/8' }],
  })
  const mysql = { direction: 'ingress', service: 'mysql' }
  await post(api, '/v1/security-groups', {
    accountId,
    securityGroupId: 'sg-db',
    innerAccessPolicy: 'drop',
    permissions: [
      { ...mysql, sourceGroupId: 'sg-app' },
      { ...mysql, sourceGroupId: 'sg-theirs', sourceGroupOwnerAccount: otherAccountId },
      { ...mysql, sourcePrefixListId: 'pl-1' },
    ],
  })
  const enis = [
    { id: 'web', owner: accountId, address: '198.18.0.1', securityGroupIds: ['sg-web'] },
    { id: 'both', owner: accountId, address: '198.18.0.2', securityGroupIds: ['sg-web', 'sg-db'] },
    { id: 'bare', owner: accountId, address: '198.18.0.3', securityGroupIds: [] },
    { id: 'theirs', owner: otherAccountId, address: '198.18.0.4', securityGroupIds: ['sg-theirs'] },
  ]
  for (const { id, owner, address, securityGroupIds } of enis) {
    await post(api, '/v1/instances', { accountId: owner, instanceId: `i-${id}` })
    await post(api, '/v1/network-interfaces', {
      instanceId: `i-${id}`,
      networkInterfaceId: `eni-${id}`,
      privateIpAddresses: [address],
      securityGroupIds,
    })
  }
}

function open(portRange: string) {
  return { direction: 'ingress', ipProtocol: 'tcp', portRange, sourceCidrIp: '0.0.0.0/0' }
}

async function report(query = '', token?: string): Promise<Body> {
  const { status, body } = await api.request(
    'GET',
    `/v1/health-report${query}`,
    undefined,
    token === undefined ? {} : { token },
  )
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

function texts({ findings }: Body): string[] {
  return findings.map(
    ({ severity, kind, groupId, ruleIds }: Body) => `${severity} ${kind} ${groupId} ${ruleIds.length}`,
  )
}

const ofOwnAccount = [
  'high open-to-world sg-idle 1',
  'high open-to-world sg-web 1',
  'high shadowed sg-web 1',
  'low never-matches sg-db 1',
  'low empty-group sg-app 0',
  'low unused-group sg-idle 0',
]

describe('the health report', () => {
  test('finds in the whole state what there is to find', async () => {
    const body = await report()
    assert.deepEqual(texts(body), ofOwnAccount.toSpliced(5, 0, 'low no-rules sg-theirs 0'))
    assert.equal(body.revision, api.world.revision)
    assert.deepEqual([body.totalCount, body.severities], [7, { high: 3, medium: 0, low: 4 }])
    const [, ssh] = body.findings
    assert.equal(ssh.witness.eniId, 'eni-both')
    assert.equal(ssh.witness.destinationPort, 22)
  })

  const restricted = [
    { query: `?accountId=${accountId}`, expected: ofOwnAccount },
    { query: `?accountId=${otherAccountId}`, expected: ['low no-rules sg-theirs 0'] },
    { query: '?securityGroupId=sg-web', expected: ofOwnAccount.filter(text => text.includes('sg-web')) },
    { query: '?securityGroupId=sg-app', expected: ['low empty-group sg-app 0'] },
    { query: '?securityGroupId=sg-db', expected: ['low never-matches sg-db 1'] },
    { query: `?securityGroupId=sg-db&accountId=${otherAccountId}`, expected: [] },
  ]
  for (const { query, expected } of restricted) {
    test(`of ${query}`, async () => {
      assert.deepEqual(texts(await report(query)), expected)
    })
  }

  test('shows as many as are asked for, and how many there are', async () => {
    const body = await report('?maxResults=2')
    assert.deepEqual([texts(body), body.totalCount], [ofOwnAccount.slice(0, 2), 7])
  })

  test('of a token says nothing of other accounts, not even whether a group of theirs has members', async () => {
    const token = await api.makeToken([{ accountId, access: 'read' }])
    const seen = await report('', token)
    assert.deepEqual(texts(seen), ofOwnAccount)
    assert.ok(!JSON.stringify(seen).includes('192.0.2.'))
    const stranger = await api.makeToken([{ accountId: otherAccountId, access: 'read' }])
    assert.deepEqual(texts(await report('', stranger)), ['low no-rules sg-theirs 0'])
    const refusals = [
      { url: `/v1/health-report?accountId=${accountId}`, expected: '403 Forbidden' },
      { url: '/v1/health-report?securityGroupId=sg-web', expected: '404 InvalidSecurityGroupId.NotFound' },
    ]
    for (const refusal of refusals) await assertRefused(api, { method: 'GET', token: stranger, ...refusal })
  })

  test('of several at once is the same for each, and the daemon answers meanwhile', async () => {
    const waiting = Promise.all([report(), report(), report()])
    const first = await Promise.race([
      waiting.then(() => 'report'),
      api.request('GET', '/v1/whoami').then(() => 'other'),
    ])
    assert.equal(first, 'other')
    const [one, ...others] = await waiting
    for (const other of others) assert.deepEqual(other, one)
  })

  test('of more at once than wait their turn is refused', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => api.request('GET', '/v1/health-report?securityGroupId=sg-app')),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(8).fill(200), ...Array(4).fill(429)])
    assert.equal((await report()).totalCount, 7)
  })
})

const packet = {
  networkInterfaceId: 'eni-both',
  direction: 'ingress',
  protocol: 'tcp',
  source: '203.0.113.9',
  destination: '198.18.0.2',
}

describe('an explanation', () => {
  const rows: readonly { name: string; question: Record<string, unknown>; expected: string }[] = [
    { name: 'of a rule with a block', question: { port: 22 }, expected: 'accept rule sg-web' },
    { name: 'of a rule with a prefix list', question: { port: 3306 }, expected: 'accept rule sg-db' },
    {
      name: 'of a member of a group of another account',
      question: { port: 3306, source: '198.18.0.4' },
      expected: 'accept rule sg-db',
    },
    { name: 'of inner access', question: { port: 1, source: '198.18.0.1' }, expected: 'accept inner-access sg-web' },
    {
      name: 'of nothing that matches',
      question: { port: 3306, source: '198.51.100.1' },
      expected: 'drop default null',
    },
    {
      name: 'of the way out',
      question: { direction: 'egress', source: '198.18.0.2', destination: '203.0.113.9', port: 443 },
      expected: 'accept default null',
    },
    {
      name: 'of outbound mail',
      question: { direction: 'egress', source: '198.18.0.2', destination: '203.0.113.9', port: 25 },
      expected: 'drop smtp null',
    },
    { name: 'of ICMP by number', question: { protocol: 1 }, expected: 'drop default null' },
    {
      name: 'of ICMPv6 by name',
      question: { protocol: 'ICMPv6', source: '2001:db8::9', destination: '2001:db8::2', icmpType: 128 },
      expected: 'drop default null',
    },
    { name: 'of a protocol without name', question: { protocol: '50' }, expected: 'drop default null' },
    {
      name: 'of an ENI without group',
      question: { networkInterfaceId: 'eni-bare', port: 22 },
      expected: 'accept no-policy null',
    },
  ]
  for (const { name, question, expected } of rows) {
    test(name, async () => {
      const { status, body } = await api.request('POST', '/v1/explain', { ...packet, ...question })
      assert.equal(status, 200, JSON.stringify(body))
      assert.equal(`${body.verdict} ${body.reason.kind} ${body.groupId}`, expected)
      assert.equal(body.revision, api.world.revision)
      assert.ok(body.text.startsWith(`${body.verdict}: `))
    })
  }

  test('names the rule and the others that match', async () => {
    const { body } = await api.request('POST', '/v1/explain', { ...packet, source: '10.0.0.9', port: 22 })
    const [accepting, dropping] = api.world.get('group', 'sg-web')!.rules
    assert.equal(body.ruleId, accepting!.id)
    assert.deepEqual(
      body.matchingRules.map((rule: Body) => rule.ruleId),
      [accepting!.id, dropping!.id],
    )
    assert.equal(body.packet.sourcePort, 40_000)
  })

  test('knows what the host accepts besides, as its agent tells, at interfaces of the host alone', async () => {
    const told = {
      rescue: [
        { source: '203.0.113.0/28', port: 2222 },
        { source: '2001:db8:7::/64', port: 2222 },
      ],
      controlConnections: [{ address: '203.0.113.20', port: 9443 }],
    }
    await addAgent(api, 'agent-told', { report: { ...hostReport([]), ...told } })
    await addAgent(api, 'agent-before', { report: hostReport([]) })
    const place = { accountId, networkInterfaceId: 'eni-hosted', instanceId: 'i-hosted' }
    await post(api, '/v1/instances', { accountId, instanceId: 'i-hosted', agentId: 'agent-told' })
    const addresses = { privateIpAddresses: ['198.18.0.5'], ipv6Addresses: ['2001:db8::5'] }
    await post(api, '/v1/network-interfaces', { ...place, ...addresses, securityGroupIds: ['sg-web'] })
    const guest = { networkInterfaceId: 'eni-guest', placement: 'guest', privateIpAddresses: ['198.18.0.6'] }
    await post(api, '/v1/network-interfaces', { ...place, ...guest, device: 'tap0', securityGroupIds: ['sg-web'] })

    const reasonOf = async (question: Record<string, unknown>) => {
      const body = { ...packet, networkInterfaceId: 'eni-hosted', destination: '198.18.0.5', port: 2222, ...question }
      const { verdict, reason, text } = (await api.request('POST', '/v1/explain', body)).body
      return { said: `${verdict} ${reason.kind} ${reason.name}`, text }
    }
    const said = async (question: Record<string, unknown> = {}) => (await reasonOf(question)).said
    const { text } = await reasonOf({})
    assert.match(text, /^accept: .*\n.*exception that rules cannot change: an administrator of the host, from a rescue/)
    assert.equal(await said(), 'accept exception rescue')
    assert.equal(await said({ source: '203.0.113.16' }), 'drop default null')
    assert.equal(await said({ port: 2223 }), 'drop default null')
    assert.equal(await said({ protocol: 'udp' }), 'drop default null')
    assert.equal(await said({ source: '2001:db8:7::9', destination: '2001:db8::5' }), 'accept exception rescue')
    const toGuest = { networkInterfaceId: 'eni-guest', destination: '198.18.0.6' }
    assert.equal(await said(toGuest), 'drop default null')
    const toDaemon = { direction: 'egress', source: '198.18.0.5', destination: '203.0.113.20', port: 9443 }
    assert.equal(await said(toDaemon), 'accept exception control-connection')

    for (const agentId of ['agent-before', null]) {
      assert.equal((await api.request('PATCH', '/v1/instances/i-hosted', { agentId })).status, 200)
      assert.equal(await said(), 'drop default null')
    }
  })

  const refusals: readonly { name: string; question: Record<string, unknown>; expected: string }[] = [
    { name: 'no port', question: {}, expected: '400 MissingParameter port' },
    { name: 'no address', question: { source: 'example.com', port: 1 }, expected: '400 InvalidParameter source' },
    { name: 'a block', question: { source: '10.0.0.0/8', port: 1 }, expected: '400 InvalidParameter source' },
    {
      name: 'two families',
      question: { source: '2001:db8::9', port: 1 },
      expected: '400 InvalidParameter destination',
    },
    { name: 'a port of ICMP', question: { protocol: 'icmp', port: 1 }, expected: '400 InvalidParameter port' },
    { name: 'an ICMP type of TCP', question: { port: 1, icmpType: 8 }, expected: '400 InvalidParameter icmpType' },
    { name: 'a protocol there is not', question: { protocol: 'toString' }, expected: '400 InvalidParameter protocol' },
    { name: 'protocol 256', question: { protocol: '256' }, expected: '400 InvalidParameter protocol' },
    { name: 'port 65536', question: { port: 65_536 }, expected: '400 InvalidParameter port' },
    {
      name: 'an ENI there is not',
      question: { networkInterfaceId: 'eni-none', port: 1 },
      expected: '400 InvalidEniId.NotFound networkInterfaceId',
    },
    { name: 'a field there is not', question: { port: 1, device: 'eth0' }, expected: '400 InvalidParameter device' },
  ]
  for (const { name, question, expected } of refusals) {
    test(`is refused for ${name}`, async () => {
      await assertRefused(api, { url: '/v1/explain', body: { ...packet, ...question }, expected })
    })
  }

  test('is for who may see the ENI, and needs no right to write', async () => {
    const [reader, stranger] = await Promise.all(
      [accountId, otherAccountId].map(id => api.makeToken([{ accountId: id, access: 'read' }])),
    )
    const body = { ...packet, port: 22 }
    assert.equal((await api.request('POST', '/v1/explain', body, { token: reader! })).status, 200)
    await assertRefused(api, {
      url: '/v1/explain',
      body,
      token: stranger!,
      expected: '400 InvalidEniId.NotFound networkInterfaceId',
    })
  })
})

describe('interfaces with addresses that their device does not have', () => {
  const devices = [
    device('eth0', { macAddress: macs.eth0, addresses: ['198.18.0.9', '2001:db8::1', 'fe80::1'] }),
    device('eth1', { addresses: ['198.18.1.1'] }),
    device('tap0', { macAddress: macs.eth1 }),
  ]
  const interfaces: Readonly<Record<string, object>> = {
    'eni-moved': { macAddress: macs.eth0, privateIpAddresses: ['198.18.0.1'], ipv6Addresses: ['2001:db8::1'] },
    'eni-stays': { device: 'eth1', privateIpAddresses: ['198.18.1.1'] },
    'eni-guest': { macAddress: macs.eth1, placement: 'guest', privateIpAddresses: ['198.18.0.3'] },
    'eni-away': { device: 'eth7', privateIpAddresses: ['198.18.0.4'] },
  }

  test('are told of in the health report with what the device has, where it is known', async () => {
    await using api = await startApi()
    await addAgent(api, 'agent-1', { report: hostReport(devices) })
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-1' })
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-2' })
    await post(api, '/v1/instances', { accountId, instanceId: 'i-1', agentId: 'agent-1' })
    for (const [networkInterfaceId, more] of Object.entries(interfaces)) {
      const body = { instanceId: 'i-1', networkInterfaceId, securityGroupIds: ['sg-1'], ...more }
      await post(api, '/v1/network-interfaces', body)
    }
    const lost = async (query = '') => (await api.request('GET', `/v1/health-report${query}`)).body.lostAddresses
    assert.deepEqual(await lost(), {
      networkInterfaceCount: 1,
      networkInterfaces: [
        {
          networkInterfaceId: 'eni-moved',
          hostName: 'host-of-agent-1',
          device: 'eth0',
          addresses: ['198.18.0.1'],
          deviceAddresses: ['198.18.0.9', '2001:db8::1'],
        },
      ],
    })
    assert.equal((await lost('?securityGroupId=sg-2')).networkInterfaceCount, 0)
    await api.request('PATCH', '/v1/network-interfaces/eni-moved', { privateIpAddresses: ['198.18.0.9'] })
    assert.equal((await lost()).networkInterfaceCount, 0)
  })
})
