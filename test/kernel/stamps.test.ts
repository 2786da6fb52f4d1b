/**
 * Stamps that are used again: with a mask of eight bits there are fifteen, so that a few dozen changes use them up
 * several times over. What is allowed survives, and what was revoked never passes by a number that came round.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type LogLine, startAgent, type TestAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { arrives, converse, listenForSessions, patienceMs } from '../support/sessions.ts'

const settings = { ctMarkMask: '0x0000ff00' }
const allowedPort = 7001
/** One after the other allowed for a while, and never again. */
const revokedPorts = [7010, 7011, 7012, 7013, 7014]
const idlePort = 7002
const changes = 60

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const port of [allowedPort, idlePort, ...revokedPorts]) await listenForSessions(network.peers.host, port)
})

after(() => network?.[Symbol.asyncDispose]())

/** Each step takes a port away that the one before had, so each needs a new stamp. */
function stepDocument(step: number, ports: readonly number[]) {
  const always = [allowedPort, idlePort, ...ports].flatMap(port => acceptPort(port))
  return policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', [...always, ...acceptPort(10_000 + step)])], settings)
}

test('stamps come round many times', { skip: needsKernel }, async () => {
  let step = 0
  await using agent = await startHere(stepDocument(step, []))
  const next = async (ports: readonly number[]) => {
    step += 1
    const { line } = await agent.replacePolicy(stepDocument(step, ports))
    assert.ok(line.judgedAgain!.includes('eni-host/ingress'))
  }
  const live = [await open('tcp', allowedPort), await open('udp', allowedPort)]
  const idle = await open('tcp', idlePort)
  const revoked = []
  for (const port of revokedPorts) {
    await next([port])
    revoked.push(await open('tcp', port), await open('udp', port))
  }
  while (step < changes) {
    await next([])
    for (const { client, server } of live) {
      assert.ok(await arrives(server, client, patienceMs), `the server's message after change ${step}`)
      assert.ok(await arrives(client, server, patienceMs), `the client's message after change ${step}`)
    }
  }
  const through = await Promise.all(
    revoked.flatMap(({ client, server }) => [arrives(client, server), arrives(server, client)]),
  )
  assert.ok(!through.includes(true), 'a revoked session passed by a stamp that came round')
  assert.ok(await arrives(idle.server, idle.client, patienceMs), 'a session still allowed that was idle all the time')
})

test('with no stamp left sessions are judged packet by packet, until stamps are free again', {
  skip: needsKernel,
}, async () => {
  let step = 1000
  const [revokedPort] = revokedPorts as [number]
  await using agent = await startHere(stepDocument(step, [revokedPort]))
  const isShort = (line: LogLine) => line.msg?.startsWith('no stamp is free') === true
  const idle = []
  while (!agent.log.some(isShort)) {
    assert.ok(step < 1020, 'sessions that stay idle keep a stamp each, and there are fifteen')
    idle.push(await open('udp', idlePort))
    step += 1
    await agent.replacePolicy(stepDocument(step, [revokedPort]))
  }
  const allowed = [await open('tcp', allowedPort), idle[0]!]
  const revoked = [await open('tcp', revokedPort), await open('udp', revokedPort)]
  await agent.replacePolicy(stepDocument(step + 1, []))
  for (const { client, server } of revoked) {
    assert.equal(await arrives(server, client), false, 'revoked, the server speaks')
    assert.equal(await arrives(client, server), false, 'revoked, the client speaks')
  }
  for (const { client, server } of allowed) {
    assert.ok(await arrives(server, client, patienceMs), 'allowed, the server speaks')
    assert.ok(await arrives(client, server, patienceMs), 'allowed, the client speaks')
  }
  const stamped = /chain eni-host\/prerouting \{\s+ct mark & 0x0000f000 == /
  const listing = () => network.namespaces.host.run('nft', ['list', 'table', 'inet', 'ringwall'])
  assert.doesNotMatch((await listing()).stdout, stamped)
  await network.namespaces.host.run('conntrack', ['--flush'])
  await agent.replacePolicy(stepDocument(step + 2, []))
  assert.match((await listing()).stdout, stamped)
})

function startHere(policy: unknown): Promise<TestAgent> {
  return startAgent({ namespace: network.namespaces.host, policy })
}

function open(protocol: 'tcp' | 'udp', port: number) {
  const { outside: client, host: server } = network.peers
  return converse(protocol, { client, server, address: addresses.host.ip, port })
}
