/**
 * Revocation of sessions that the host translates: a published port of a guest, and a guest's way out behind the
 * host's own address. Both the host's device and the guest's judge; either can cut.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { acceptPort, closedGroup, type Group, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { type Ends, listenForSessions, openSession, patienceMs, type SessionKind } from '../support/sessions.ts'

const published = { revoked: 8080, allowed: 8081 } as const
const listening = { revoked: 7000, allowed: 7001 } as const
type Which = keyof typeof published

const kinds = [
  'TCP, the client speaks first',
  'TCP, the server speaks first',
  'UDP, the client speaks first',
  'UDP, the server speaks first',
  'UDP, the server streams',
] as const satisfies readonly SessionKind[]

/** As container engines write it. */
const translation = (['revoked', 'allowed'] as const).map(
  which => `
    iifname "eth0" meta l4proto { tcp, udp } th dport ${published[which]} dnat ip to ${addresses.guest1.ip}:${listening[which]}
    iifname "eth0" meta l4proto { tcp, udp } th dport ${published[which]} dnat ip6 to [${addresses.guest1.ip6}]:${listening[which]}`,
)
const engine = `
table inet container-engine {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;${translation.join('')}
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "eth0" ip saddr ${addresses.guest1.ip} masquerade
    oifname "eth0" ip6 saddr ${addresses.guest1.ip6} masquerade
  }
}`

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  await network.namespaces.host.run('nft', ['-f', '-'], { input: engine })
  for (const peer of [network.peers.guest1, network.peers.outside]) {
    for (const port of Object.values(listening)) await listenForSessions(peer, port)
  }
})

after(() => network?.[Symbol.asyncDispose]())

const bothPublished = [...acceptPort(published.revoked), ...acceptPort(published.allowed)]
const bothListening = [...acceptPort(listening.revoked), ...acceptPort(listening.allowed)]
const noWayOut = acceptPort(listening.revoked, 'egress', { policy: 'drop' })
const atBoth = (host: Group['rules'], guest: Group['rules']) =>
  policyDocument({ host: ['sg-host'], guest1: ['sg-guest'] }, [
    closedGroup('sg-host', host),
    closedGroup('sg-guest', guest),
  ])
const open = atBoth(bothPublished, bothListening)

for (const { name, way, after: closed, judged } of [
  {
    name: "a published port is cut at the host's device",
    way: 'in',
    after: atBoth(acceptPort(published.allowed), bothListening),
    judged: 'eni-host/ingress',
  },
  {
    name: "a published port is cut at the guest's device",
    way: 'in',
    after: atBoth(bothPublished, acceptPort(listening.allowed)),
    judged: 'eni-1/ingress',
  },
  {
    name: "a way out behind the host's address is cut at the host's device",
    way: 'out',
    after: atBoth([...bothPublished, ...noWayOut], bothListening),
    judged: 'eni-host/egress',
  },
  {
    name: "a way out behind the host's address is cut at the guest's device",
    way: 'out',
    after: atBoth(bothPublished, [...bothListening, ...noWayOut]),
    judged: 'eni-1/egress',
  },
] as const) {
  test(name, { skip: needsKernel }, async () => {
    await using agent = await startAgent({ namespace: network.namespaces.host, policy: open })
    const sessions = await Promise.all(
      (['ip', 'ip6'] as const).flatMap(family =>
        kinds.map(async kind => ({
          name: `${kind}, over ${family}`,
          revoked: await openSession(kind, endsOf(way, family, 'revoked')),
          allowed: await openSession(kind, endsOf(way, family, 'allowed')),
        })),
      ),
    )
    const { line, tookMs } = await agent.replacePolicy(closed)
    assert.ok(line.judgedAgain!.includes(judged))
    console.log(`in force ${Math.round(tookMs)} ms after the file was written`)
    await Promise.all(
      sessions.map(async session => {
        assert.deepEqual(await session.revoked.waysThrough(), [], session.name)
        const expected = session.name.includes('streams') ? 1 : 2
        assert.equal((await session.allowed.waysThrough(patienceMs)).length, expected, `${session.name}, still allowed`)
      }),
    )
  })
}

function endsOf(way: 'in' | 'out', family: 'ip' | 'ip6', which: Which): Ends {
  const { outside, guest1 } = network.peers
  if (way === 'out') {
    return { client: guest1, server: outside, address: addresses.outside[family], port: listening[which] }
  }
  return {
    client: outside,
    server: guest1,
    address: addresses.host[family],
    port: published[which],
    listeningPort: listening[which],
  }
}
