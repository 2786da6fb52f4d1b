/** A host that has IPv6 alone: its address and its router come from outside, whatever its policy accepts. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { startAgent } from '../support/agent.ts'
import { deviceDocument } from '../support/device-host.ts'
import { icmp, makePacket, protocol } from '../support/packets/craft.ts'
import { writePcap } from '../support/packets/pcap.ts'
import { acceptPort, closedGroup, type Rule } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually, patienceMs } from '../support/sessions.ts'
import { slowness } from '../support/slowness.ts'

const macs = { router: '02:00:00:00:00:01', host: '02:00:00:00:00:02' } as const
const linkLocal = { router: 'fe80::ff:fe00:1', host: 'fe80::ff:fe00:2' } as const
/** What the host makes of the advertised prefix and its MAC address. */
const hostAddress = '2001:db8::ff:fe00:2'
const routerAddress = '2001:db8::9'

/** What reaches the router: solicitations for routers, and DHCPv6 requests to all servers. */
const probe = `
table inet probe {
  counter solicitations {}
  counter requests {}
  chain prerouting {
    type filter hook prerouting priority -500; policy accept;
    icmpv6 type nd-router-solicit counter name "solicitations"
    ip6 daddr ff02::1:2 udp sport 546 udp dport 547 counter name "requests"
  }
}`

interface Wire extends AsyncDisposable {
  readonly router: Namespace
  readonly host: Namespace
  readonly peers: { readonly router: Peer; readonly host: Peer }
  count(counter: string): Promise<number>
}

async function makeWire(): Promise<Wire> {
  const stack = new AsyncDisposableStack()
  const router = stack.use(await createNamespace('router'))
  const host = stack.use(await createNamespace('host'))
  await connect(
    { namespace: router, device: 'eth0', mac: macs.router, addresses: [`${routerAddress}/64`] },
    { namespace: host, device: 'eth0', mac: macs.host },
  )
  await host.sysctl({ 'net.ipv6.conf.eth0.accept_ra': 1, 'net.ipv6.conf.eth0.router_solicitation_delay': 0 })
  await router.run('nft', ['-f', '-'], { input: probe })
  const peers = { router: stack.use(await startPeer(router)), host: stack.use(await startPeer(host)) }
  return {
    router,
    host,
    peers,
    async count(counter) {
      const { stdout } = await router.run('nft', ['list', 'counter', 'inet', 'probe', counter])
      return Number(/packets (\d+)/.exec(stdout)![1])
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** An Ethernet frame with a router advertisement (RFC 4861, 4.2) of 2001:db8::/64, for half an hour. */
function advertisement(hopLimit: number): Buffer {
  const lifetime = 1800
  const header = Buffer.from([64, 0, lifetime >> 8, lifetime & 255])
  const option = Buffer.alloc(32)
  option.set([3, 4, 64, 0xc0])
  option.writeUInt32BE(lifetime, 4)
  option.writeUInt32BE(lifetime, 8)
  option.set([0x20, 0x01, 0x0d, 0xb8], 16)
  const body = Buffer.concat([Buffer.alloc(8), option])
  const addresses = { index: 1, source: linkLocal.router, destination: 'ff02::1', hopLimit }
  const packet = makePacket(addresses, icmp(protocol.icmpv6, 134, { rest: header, body }))
  return Buffer.concat([Buffer.from(`333300000001${macs.router}86dd`.replaceAll(':', ''), 'hex'), packet])
}

async function sendFrame(namespace: Namespace, frame: Buffer): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-frame-'))
  await writeFile(join(folder, 'frame.pcap'), writePcap([frame]))
  await namespace.run('tcpreplay', ['--quiet', '--intf1', 'eth0', join(folder, 'frame.pcap')])
  await rm(folder, { recursive: true })
}

async function globalAddresses(namespace: Namespace): Promise<string> {
  return (await namespace.run('ip', ['-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'])).stdout
}

const everything = { ipProtocol: 'all', portRange: '-1/-1' }
const sendNothing: readonly Rule[] = [
  { direction: 'egress', policy: 'drop', destCidrIp: '0.0.0.0/0', ...everything },
  { direction: 'egress', policy: 'drop', ipv6DestCidrIp: '::/0', ...everything },
]
const eni = { id: 'eni-1', device: 'eth0', securityGroupIds: ['sg-1'] }
const shut = deviceDocument([eni], [closedGroup('sg-1', sendNothing)])

test('a host without IPv4 gets its address, router and DHCPv6 answers through a shut policy', {
  skip: needsKernel,
}, async () => {
  await using wire = await makeWire()
  const { router, host, peers } = wire
  await using agent = await startAgent({ namespace: host, policy: shut })
  assert.equal((await host.run('ip', ['-4', '-o', 'addr', 'show', 'dev', 'eth0'])).stdout, '')

  // It asks for a router each time its device comes up.
  const before = await wire.count('solicitations')
  await host.run('ip', ['link', 'set', 'eth0', 'down'])
  await host.run('ip', ['link', 'set', 'eth0', 'up'])
  await eventually(async () => assert.ok((await wire.count('solicitations')) > before, 'router solicitations'))

  // From afar: a router's packet that was forwarded is none.
  await sendFrame(router, advertisement(64))
  assert.equal(await globalAddresses(host), '')
  await eventually(async () => {
    await sendFrame(router, advertisement(255))
    assert.match(await globalAddresses(host), new RegExp(`${hostAddress}/64`))
  })
  const routes = (await host.run('ip', ['-6', 'route', 'show', 'default'])).stdout
  assert.match(routes, new RegExp(`^default via ${linkLocal.router} dev eth0`))

  // Neighbour discovery, in both directions: the echo request itself is dropped.
  await eventually(async () => {
    assert.equal(await peers.router.ping(hostAddress, { timeoutMs: 300 * slowness }), false)
    const neighbours = (await router.run('ip', ['-6', 'neigh', 'show', hostAddress])).stdout
    assert.match(neighbours, new RegExp(macs.host))
  })

  const request = await peers.host.openUdp('ff02::1:2%eth0', 547, { localPort: 546 })
  await request.send('solicit')
  await eventually(async () => assert.equal(await wire.count('requests'), 1))
  await request.close()
  await peers.host.listenUdp(546)
  const answer = await peers.router.openUdp(`${linkLocal.host}%eth0`, 546, { localPort: 547 })
  assert.ok(await answer.ask('advertise', patienceMs), 'DHCPv6 of a server on the link')

  // Its sessions are those of its policy.
  for (const port of [22, 23]) await peers.host.listenTcp(port)
  await peers.router.listenTcp(80)
  const options = { timeoutMs: 400 * slowness }
  await assert.rejects(peers.router.connectTcp(hostAddress, 22, options), /ETIMEDOUT/)
  await assert.rejects(peers.host.connectTcp(routerAddress, 80, options), /ETIMEDOUT/)
  await agent.replacePolicy(deviceDocument([eni], [closedGroup('sg-1', acceptPort(22))]))
  await (await peers.router.connectTcp(hostAddress, 22, options)).close()
  await (await peers.host.connectTcp(routerAddress, 80, options)).close()
  await assert.rejects(peers.router.connectTcp(hostAddress, 23, options), /ETIMEDOUT/)

  const { exitCode, stdout } = await host.run(ringwallProgram, ['doctor', '--json'], { allowFailure: true })
  const codes = JSON.parse(stdout).findings.map(({ code }: { code: string }) => code)
  assert.ok(exitCode < 2, codes.join())
  assert.ok(!codes.includes('check-failed'), stdout)
})
