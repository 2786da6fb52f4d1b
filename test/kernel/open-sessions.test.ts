/**
 * Sessions that were open before the first policy of a host on which nothing tracks connections: judged by who began them,
 * not by who speaks first after it.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import type { Conversation } from '../../lab/conversation.ts'
import { createNamespace } from '../../lab/netns.ts'
import { startAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy, ringwallProgram } from '../support/ringwall.ts'
import { arrives, converse, patienceMs } from '../support/sessions.ts'

const ports = { accepted: 443, refused: 8080 } as const
/** Lets the host out, and one port in. */
const policy = policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', acceptPort(ports.accepted))])

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const place of ['host', 'outside'] as const) {
    for (const port of Object.values(ports)) await network.peers[place].listenTcp(port, { echo: false })
  }
})
after(() => network?.[Symbol.asyncDispose]())

const opened: Conversation[] = []
afterEach(async () => {
  for (const conversation of opened.splice(0)) await conversation.close()
  if (needsKernel === false) await flushPolicy(network.namespaces.host)
})

async function open(client: 'host' | 'outside', family: 'ip' | 'ip6', port: number) {
  const server = client === 'host' ? 'outside' : 'host'
  const { peers } = network
  const ends = { client: peers[client], server: peers[server], address: addresses[server][family], port }
  const session = await converse('tcp', ends)
  opened.push(session.client, session.server)
  return session
}

for (const family of ['ip', 'ip6'] as const) {
  test(`${family}: what the host fetches goes on to come in`, { skip: needsKernel }, async () => {
    const { client, server } = await open('host', family, ports.refused)
    await applyPolicy(network.namespaces.host, policy)
    assert.ok(await arrives(server, client, patienceMs), 'the far end speaks first')
    assert.ok(await arrives(client, server, patienceMs))
  })

  test(`${family}: what may come in goes on, whoever speaks first`, { skip: needsKernel }, async () => {
    const sessions = [await open('outside', family, ports.accepted), await open('outside', family, ports.accepted)]
    await applyPolicy(network.namespaces.host, policy)
    for (const [index, { client, server }] of sessions.entries()) {
      const [first, second] = index === 0 ? [client, server] : [server, client]
      assert.ok(await arrives(first, second, patienceMs))
      assert.ok(await arrives(second, first, patienceMs))
    }
  })

  test(`${family}: what may not come in is cut, and the host cannot go on with it`, { skip: needsKernel }, async () => {
    const { client, server } = await open('outside', family, ports.refused)
    await applyPolicy(network.namespaces.host, policy)
    assert.equal(await arrives(server, client), false, 'the host speaks first')
    assert.equal(await arrives(client, server), false)
  })

  test(`${family}: so is what came in while somebody had flushed everything`, { skip: needsKernel }, async () => {
    const { host } = network.namespaces
    await applyPolicy(host, policy)
    const kept = await open('host', family, ports.refused)
    await host.run('nft', ['flush', 'ruleset'])
    const { client, server } = await open('outside', family, ports.refused)
    await applyPolicy(host, policy)
    assert.equal(await arrives(server, client), false, 'the host speaks first')
    assert.ok(await arrives(kept.server, kept.client, patienceMs))
  })
}

describe('where the kernel refuses them', { skip: needsKernel }, () => {
  let folder: string
  let prefix: readonly string[]
  const told = 'cannot enter open sessions into connection tracking; one whose far end speaks first may be cut'

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ringwall-conntrack-'))
    const script = `#!/bin/sh\nPATH='${process.env.PATH}' exec setpriv --bounding-set -net_admin conntrack "$@"\n`
    await writeFile(join(folder, 'conntrack'), script, { mode: 0o755 })
    prefix = ['env', `PATH=${folder}:${process.env.PATH}`]
  })
  after(() => rm(folder, { recursive: true }))

  test('the agent says so once, how many, and why, and enforces the policy', async () => {
    const { host } = network.namespaces
    await open('host', 'ip', ports.refused)
    await using agent = await startAgent({ namespace: host, policy, prefix })
    const line = await agent.line(({ msg }) => msg === told)
    const socket = await host.run('ss', ['-Hnt', 'state', 'established'])
    assert.equal(line.level, 'warn')
    assert.equal(line.sessions, socket.stdout.trim().split('\n').length)
    assert.match(String(line.reason), /you must be root or get CAP_NET_ADMIN/)
    const from = agent.log.length
    await agent.replacePolicy(policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', acceptPort(ports.refused))]))
    assert.ok(!agent.log.slice(from).some(({ msg }) => msg === told))
    await agent.stop()
  })

  test('"ringwall apply" says the same', async () => {
    const { host } = network.namespaces
    await open('host', 'ip', ports.refused)
    const [program, ...args] = [...prefix, ringwallProgram, 'apply', '-']
    const { stderr } = await host.run(program!, args, { input: JSON.stringify(policy) })
    assert.match(stderr, /^Cannot enter the \d+ TCP sessions .+ \(conntrack .*CAP_NET_ADMIN.*\): one whose/m)
  })

  test('nothing is said where no session is open that could be entered', async () => {
    await using other = await createNamespace('other')
    const [program, ...args] = [...prefix, ringwallProgram, 'apply', '-']
    const { stderr } = await other.run(program!, args, { input: JSON.stringify(policy) })
    assert.equal(stderr, '')
  })
})
