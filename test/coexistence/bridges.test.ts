/**
 * Guests behind a bridge, as libvirt sets it up by its rules for nftables (libvirt 10.4), beside an agent:
 *
 *   outside eth0 ─── eth0 host virbr0 ┬─ vnet1 ─── eth0 guest1
 *                                     └─ vnet2 ─── eth0 guest2
 *
 * With NAT guests come out as the host; routed, their addresses are on the wire. With br_netfilter frames between two
 * ports meet the rules of IP too.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { startAgent, type TestAgent } from '../support/agent.ts'
import { listTable } from '../support/kernel-listing.ts'
import { acceptPort, closedGroup, type Rule } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

const outsideIp = '198.18.0.9'
const hostIp = '198.18.0.2'
const guestNet = '198.18.50.0/24'
const guestIps = { guest1: '198.18.50.2', guest2: '198.18.50.3' } as const
const ports = { open: 7080, closed: 7081, noWayOut: 7090, wayOut: 7091 } as const

/** What libvirt loads for a network, in the words of its own table. */
function libvirtRules(mode: 'nat' | 'route'): string {
  const input =
    mode === 'nat'
      ? `oif "virbr0" ip daddr ${guestNet} ct state established,related counter accept`
      : `oif "virbr0" ip daddr ${guestNet} counter accept`
  const masquerade = `ip saddr ${guestNet} ip daddr != ${guestNet} counter masquerade`
  return `
table ip libvirt_network
delete table ip libvirt_network
table ip libvirt_network {
  chain guest_output { ip saddr ${guestNet} iif "virbr0" counter accept; iif "virbr0" counter reject; }
  chain guest_input { ${input}; oif "virbr0" counter reject; }
  chain guest_cross { iif "virbr0" oif "virbr0" counter accept; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    counter jump guest_cross
    counter jump guest_input
    counter jump guest_output
  }
  chain guest_nat {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${guestNet} ip daddr 224.0.0.0/24 counter return
    ${mode === 'nat' ? masquerade : ''}
  }
}`
}

const noWayOut = (sourceCidrIp: string): Rule => ({
  direction: 'egress',
  policy: 'drop',
  ipProtocol: 'tcp',
  portRange: `${ports.noWayOut}/${ports.noWayOut}`,
  sourceCidrIp,
  destCidrIp: `${outsideIp}/32`,
})

const hostEni = { id: 'eni-host', device: 'eth0', placement: 'host', addresses: [hostIp] }
const bridgeEni = { id: 'eni-bridge', device: 'virbr0', placement: 'guest', addresses: Object.values(guestIps) }
const hostRules = [...acceptPort(ports.open), noWayOut(`${hostIp}/32`)]

/** The host's ENI alone. */
const hostPolicy = {
  apiVersion: 'ringwall/v1',
  interfaces: [{ ...hostEni, securityGroupIds: ['sg-host'] }],
  securityGroups: [closedGroup('sg-host', hostRules)],
}

/** Guests have a group too, at the bridge. What comes in by eth0 and goes on to them meets both. */
const bridgePolicy = {
  apiVersion: 'ringwall/v1',
  interfaces: [{ ...bridgeEni, securityGroupIds: ['sg-guests'] }],
  securityGroups: [closedGroup('sg-guests', [...acceptPort(ports.open), noWayOut(guestNet)])],
}

describe('guests behind a bridge', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let host: Namespace
  let peers: Record<'outside' | 'guest1' | 'guest2', Peer>
  let agent: TestAgent

  before(async () => {
    const [outside, guest1, guest2] = [
      stack.use(await createNamespace('outside')),
      stack.use(await createNamespace('guest1')),
      stack.use(await createNamespace('guest2')),
    ]
    host = stack.use(await createNamespace('host'))
    await connect(
      { namespace: outside, device: 'eth0', addresses: [`${outsideIp}/24`] },
      { namespace: host, device: 'eth0', addresses: [`${hostIp}/24`] },
    )
    await host.run('ip', ['link', 'add', 'virbr0', 'type', 'bridge'])
    await host.run('ip', ['addr', 'add', '198.18.50.1/24', 'dev', 'virbr0'])
    await host.run('ip', ['link', 'set', 'virbr0', 'up'])
    for (const [index, [namespace, ip]] of [
      [guest1, guestIps.guest1] as const,
      [guest2, guestIps.guest2] as const,
    ].entries()) {
      const port = `vnet${index + 1}`
      await connect({ namespace, device: 'eth0', addresses: [`${ip}/24`] }, { namespace: host, device: port })
      await host.run('ip', ['link', 'set', port, 'master', 'virbr0'])
      await namespace.run('ip', ['route', 'add', 'default', 'via', '198.18.50.1'])
    }
    await outside.run('ip', ['route', 'add', guestNet, 'via', hostIp])
    await host.sysctl({ 'net.ipv4.ip_forward': 1, 'net.bridge.bridge-nf-call-iptables': 0 })
    peers = {
      outside: stack.use(await startPeer(outside)),
      guest1: stack.use(await startPeer(guest1)),
      guest2: stack.use(await startPeer(guest2)),
    }
    const guestPorts = [ports.open, ports.closed]
    await Promise.all([
      ...[ports.wayOut, ports.noWayOut].map(port => peers.outside.listenTcp(port)),
      ...[peers.guest1, peers.guest2].flatMap(peer => guestPorts.map(port => peer.listenTcp(port))),
    ])
    // A bridge takes a moment until it passes anything.
    for (const [guest, address, port] of [
      ['guest1', outsideIp, ports.wayOut],
      ['guest2', outsideIp, ports.wayOut],
      ['guest1', guestIps.guest2, ports.open],
    ] as const) {
      await (await peers[guest].connectTcp(address, port)).close()
    }
    agent = stack.use(await startAgent({ namespace: host, policy: hostPolicy }))
  })

  after(() => stack.disposeAsync())

  /** "accepted", or the code of the error: ETIMEDOUT where it was dropped, ECONNREFUSED where it was rejected. */
  async function tries(from: keyof typeof peers, address: string, port: number): Promise<string> {
    try {
      const conversation = await peers[from].connectTcp(address, port, { timeoutMs: 500 })
      await conversation.close()
      return 'accepted'
    } catch (error) {
      return (error as Error).message
    }
  }

  const load = (rules: string) => host.run('nft', ['-f', '-'], { input: rules })

  test('NAT: they come out as the host, by the group of its ENI, and nobody comes in to them', async () => {
    const before = await listTable(host, { stamps: false })
    await load(libvirtRules('nat'))
    assert.equal(await tries('guest1', outsideIp, ports.wayOut), 'accepted')
    assert.equal(await tries('guest1', outsideIp, ports.noWayOut), 'ETIMEDOUT')
    assert.equal(await tries('outside', guestIps.guest1, ports.closed), 'ETIMEDOUT', 'the group')
    assert.equal(
      await tries('outside', guestIps.guest1, ports.open),
      'ECONNREFUSED',
      'the group opens it, libvirt rejects it',
    )
    assert.deepEqual(await listTable(host, { stamps: false }), before)
  })

  test('the network is destroyed and started again: nothing of ours changes', async () => {
    const from = agent.log.length
    const before = await listTable(host, { stamps: false })
    for (let count = 0; count < 3; count += 1) {
      await load('delete table ip libvirt_network')
      await load(libvirtRules('nat'))
    }
    assert.equal(await tries('guest1', outsideIp, ports.noWayOut), 'ETIMEDOUT')
    assert.deepEqual(await listTable(host, { stamps: false }), before)
    assert.deepEqual(
      agent.log.slice(from).filter(({ change }) => change !== undefined),
      [],
    )
  })

  test('routed: the group of the host’s ENI judges what is for them, and what comes from them under their own address', async () => {
    await load(libvirtRules('route'))
    assert.equal(await tries('outside', guestIps.guest1, ports.open), 'accepted')
    assert.equal(await tries('outside', guestIps.guest1, ports.closed), 'ETIMEDOUT')
    assert.equal(await tries('guest1', outsideIp, ports.noWayOut), 'accepted', 'the rule names the address of the host')
  })

  test('routed, with a group at the bridge: it judges what the host forwards to them and from them', async () => {
    await agent.replacePolicy(bridgePolicy)
    assert.equal(await tries('outside', guestIps.guest1, ports.open), 'accepted')
    assert.equal(await tries('outside', guestIps.guest1, ports.closed), 'ETIMEDOUT')
    assert.equal(await tries('guest1', outsideIp, ports.wayOut), 'accepted')
    assert.equal(await tries('guest1', outsideIp, ports.noWayOut), 'ETIMEDOUT')
  })

  test('without br_netfilter guests reach each other past every group', async () => {
    assert.equal(await tries('guest1', guestIps.guest2, ports.closed), 'accepted')
  })

  test('with br_netfilter the group at the bridge judges them among each other', async t => {
    await host.sysctl({ 'net.bridge.bridge-nf-call-iptables': 1 })
    t.after(() => host.sysctl({ 'net.bridge.bridge-nf-call-iptables': 0 }))
    assert.equal(await tries('guest1', guestIps.guest2, ports.open), 'accepted')
    assert.equal(await tries('guest1', guestIps.guest2, ports.closed), 'ETIMEDOUT')
    const { stdout } = await host.run(ringwallProgram, ['doctor', '--json'], { allowFailure: true })
    const { findings } = JSON.parse(stdout) as { findings: readonly { code: string }[] }
    const codes = findings.map(({ code }) => code)
    for (const code of ['bridge-netfilter', 'bridge-ports', 'found-libvirt'])
      assert.ok(codes.includes(code), `${codes}`)
  })

  test('with br_netfilter the host’s ENI alone judges nothing between them', async t => {
    await agent.replacePolicy(hostPolicy)
    await host.sysctl({ 'net.bridge.bridge-nf-call-iptables': 1 })
    t.after(() => host.sysctl({ 'net.bridge.bridge-nf-call-iptables': 0 }))
    assert.equal(await tries('guest1', guestIps.guest2, ports.closed), 'accepted')
    await load(libvirtRules('nat'))
    await eventually(async () => assert.equal(await tries('guest1', outsideIp, ports.noWayOut), 'ETIMEDOUT'))
  })
})
