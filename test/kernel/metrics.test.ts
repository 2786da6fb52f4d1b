/** What a running agent counts and shows after traffic whose every packet is known. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startAgent, type TestAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork, type Place } from '../support/host-network.ts'
import { closedGroup, policyDocument, type Rule } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { converse, eventually, listenForSessions } from '../support/sessions.ts'

const port = 7000
const silent = 7009
const rule = (id: string, fields: Rule): Rule => ({ id, direction: 'ingress', policy: 'accept', ...fields })
const policy = policyDocument({ host: ['sg-1'], guest1: ['sg-2'] }, [
  closedGroup('sg-1', [
    rule('sgr-service', { ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceCidrIp: '198.18.0.0/24' }),
    rule('sgr-dropped', { policy: 'drop', ipProtocol: 'udp', portRange: '7005/7006', sourceCidrIp: '0.0.0.0/0' }),
    rule('sgr-peers', { ipProtocol: 'udp', portRange: `${port}/${port}`, sourceGroupId: 'sg-peers' }),
    rule('sgr-unused', { ipProtocol: 'icmp', portRange: '-1/-1', sourceCidrIp: '198.18.9.9' }),
  ]),
  { id: 'sg-2', members: Object.values(addresses.outside) },
  { id: 'sg-peers', members: Object.values(addresses.outside) },
])

let network: HostNetwork
let agent: TestAgent

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  await listenForSessions(network.peers.host, port)
  await listenForSessions(network.peers.guest1, port)
  const { host } = network.namespaces
  agent = await startAgent({ namespace: host, policy, flags: ['--metrics-address', '127.0.0.1:9469'] })
  await makeTraffic()
})

after(async () => {
  await agent?.[Symbol.asyncDispose]()
  await network?.[Symbol.asyncDispose]()
})

/** How often the host asks for a connection to port 25: again after a second, where whoever gives up is held up. */
const probe = `
table inet probe {
  counter smtp {}
  chain output {
    type filter hook output priority -500; policy accept;
    tcp dport 25 counter name "smtp"
  }
}`
let smtpAttempts = 0

const datagram = 'ten bytes.'
const datagramBytes = 20 + 8 + datagram.length

async function makeTraffic(): Promise<void> {
  const { outside, host, guest1 } = network.peers
  for (let count = 0; count < 3; count += 1) await talk('tcp', 'outside', 'host')
  for (let count = 0; count < 2; count += 1) await talk('udp', 'outside', 'host')
  await talk('tcp', 'outside', 'guest1')
  for (const [number, packets] of [
    [7005, 4],
    [silent, 5],
  ] as const) {
    const conversation = await outside.openUdp(addresses.host.ip, number)
    for (let count = 0; count < packets; count += 1) await conversation.send(datagram)
  }
  await host.namespace.run('nft', ['-f', '-'], { input: probe })
  await assert.rejects(host.connectTcp(addresses.outside.ip, 25, { timeoutMs: 200 }), { message: 'ETIMEDOUT' })
  const { stdout } = await host.namespace.run('nft', ['list', 'counter', 'inet', 'probe', 'smtp'])
  smtpAttempts = Number(/packets (\d+)/.exec(stdout)![1])
  assert.ok(smtpAttempts >= 1)
  await guest1.namespace.run('ip', ['addr', 'add', '198.18.77.7/32', 'dev', 'eth0'])
  assert.equal(await guest1.ping('198.18.1.1', { localAddress: '198.18.77.7', timeoutMs: 200 }), false)
}

async function talk(protocol: 'tcp' | 'udp', from: Place, to: Place): Promise<void> {
  const { client } = await converse(protocol, {
    client: network.peers[from],
    server: network.peers[to],
    address: addresses[to].ip,
    port,
  })
  await client.close()
}

/** Samples by name and labels, as written. */
async function scrape(): Promise<{ readonly body: string; readonly samples: ReadonlyMap<string, number> }> {
  const { status, body } = await network.peers.host.httpGet('127.0.0.1', 9469, '/metrics')
  assert.equal(status, 200)
  const lines = body.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const samples = lines.map((line): [string, number] => [
    line.slice(0, line.lastIndexOf(' ')),
    Number(line.split(' ').at(-1)),
  ])
  return { body, samples: new Map(samples) }
}

test('packets are counted by ENI, direction, verdict and reason, once a session', { skip: needsKernel }, async () => {
  const { samples } = await scrape()
  const counted = (unit: 'packets' | 'bytes') => {
    const name = `ringwall_agent_judged_${unit}_total`
    return Object.fromEntries(
      [...samples].flatMap(([text, value]) => {
        const [, labels] = new RegExp(`^${name}\\{(.*)\\}$`).exec(text) ?? []
        return labels === undefined || value === 0
          ? []
          : [[labels.replaceAll(/\w+=|"/g, '').replaceAll(',', ' '), value]]
      }),
    )
  }
  const packets = counted('packets')
  assert.deepEqual(packets, {
    'eni-host ingress accept rule': 3 + 2 + 1,
    'eni-host ingress drop rule': 4,
    'eni-host ingress drop default': 5,
    'eni-host egress drop smtp': smtpAttempts,
    'eni-1 ingress accept inner-access': 1,
    'eni-1 egress drop source-guard': 1,
  })
  const bytes = counted('bytes')
  assert.deepEqual(Object.keys(bytes).sort(), Object.keys(packets).sort())
  assert.equal(bytes['eni-host ingress drop rule'], 4 * datagramBytes)
  assert.equal(bytes['eni-host ingress drop default'], 5 * datagramBytes)
})

test('every rule has its packets and bytes', { skip: needsKernel }, async () => {
  const { samples } = await scrape()
  const of = (unit: string, id: string) => samples.get(`ringwall_agent_rule_${unit}_total{rule="${id}"}`)
  assert.deepEqual(
    ['sgr-service', 'sgr-dropped', 'sgr-peers', 'sgr-unused'].map(id => [id, of('packets', id)]),
    [
      ['sgr-service', 3 + 1],
      ['sgr-dropped', 4],
      ['sgr-peers', 2],
      ['sgr-unused', 0],
    ],
  )
  assert.equal(of('bytes', 'sgr-dropped'), 4 * datagramBytes)
})

test('every metric of ours says what it is, in units that its name has', { skip: needsKernel }, async () => {
  const { body, samples } = await scrape()
  const types = new Map([...body.matchAll(/^# TYPE (ringwall_\S+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))
  const helps = new Map([...body.matchAll(/^# HELP (ringwall_\S+) (.+)$/gm)].map(([, name, help]) => [name!, help!]))
  assert.ok(types.size > 10)
  for (const [name, type] of types) {
    assert.match(helps.get(name) ?? '', /^[A-Z1].*\.$/, `help of ${name}`)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/)
  }
  const ours = [...samples.keys()].filter(name => name.startsWith('ringwall_'))
  for (const address of Object.values(addresses).flatMap(each => Object.values(each))) {
    assert.ok(!ours.some(name => name.includes(address)), `an address in a label: ${address}`)
  }
  assert.equal(samples.get('ringwall_agent_policy_in_force'), 1)
  assert.equal(samples.get('ringwall_agent_enis{state="enforced"}'), 2)
  assert.equal(samples.get('ringwall_agent_transactions_total{outcome="applied"}'), 1)
  assert.equal(samples.get('ringwall_agent_reconcile_lag_seconds_count'), 1)
})

test('"ringwall show" shows the same, as text and as JSON', { skip: needsKernel }, async () => {
  const { host } = network.namespaces
  const { stdout } = await host.run(ringwallProgram, ['show'])
  for (const line of [
    /^ENI eni-host on eth0, host, groups sg-1$/m,
    /^ +4 packets .* \[sgr-service of sg-1\]$/m,
    /^ +4 packets +152 B .* \[sgr-dropped of sg-1\]$/m,
    /^ +2 packets .* \[sgr-peers of sg-1\]$/m,
    /^ +0 packets .* \[sgr-unused of sg-1\]$/m,
    /^ +5 packets +190 B +default: drop$/m,
    new RegExp(`^ +${smtpAttempts} packets .* drop: port 25 outside private ranges$`, 'm'),
    /^ +1 packets .* drop: source address is not the guest's$/m,
    /^ +1 packets .* accept: members of the same group$/m,
    /^ {2}sg-peers: 1 IPv4 and 1 IPv6 members$/m,
  ]) {
    assert.match(stdout, line)
  }
  const json = await host.run(ringwallProgram, ['show', '--json'])
  const view = JSON.parse(json.stdout)
  assert.deepEqual(
    view.enis.map((eni: { id: string; inForce: boolean }) => [eni.id, eni.inForce]),
    [
      ['eni-1', true],
      ['eni-host', true],
    ],
  )
  const [ingress] = view.enis[1].directions
  assert.deepEqual(ingress.reasons.default, { packets: 5, bytes: 5 * datagramBytes })
  const rules = ingress.layers.flatMap((layer: { rules: readonly { id: string; packets: number }[] }) => layer.rules)
  assert.deepEqual(Object.fromEntries(rules.map(({ id, packets }: { id: string; packets: number }) => [id, packets])), {
    'sgr-service': 4,
    'sgr-dropped': 4,
    'sgr-peers': 2,
    'sgr-unused': 0,
  })
})

test('counts stay when the rules change, and what is new is added to them', { skip: needsKernel }, async () => {
  const changed = structuredClone(policy)
  Object.assign(changed.securityGroups[0]!.rules![0]!, { portRange: `${port}/${port + 1}` })
  await agent.replacePolicy(changed)
  await talk('tcp', 'outside', 'host')
  // A scrape takes a reading that is some seconds old; a fresh one is the sign that all has been counted.
  await eventually(async () => {
    const { samples } = await scrape()
    assert.equal(samples.get('ringwall_agent_rule_packets_total{rule="sgr-service"}'), 3 + 1 + 1)
    assert.equal(samples.get('ringwall_agent_rule_packets_total{rule="sgr-dropped"}'), 4)
  })
})
