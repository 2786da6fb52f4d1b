/** The policy file and the life of the agent: faulty files, starts, stops, and who else may write. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { isInForce, startAgent, type TestAgent } from '../support/agent.ts'
import {
  addresses,
  createHostNetwork,
  type HostNetwork,
  hostHealth,
  metricsAddress,
  portsAccepted,
} from '../support/host-network.ts'
import { listTable } from '../support/kernel-listing.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { arrives, converse, listenForSessions, patienceMs } from '../support/sessions.ts'

const ports = [7000, 7001] as const
let network: HostNetwork
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  folder = await mkdtemp(join(tmpdir(), 'ringwall-file-'))
  for (const port of ports) await listenForSessions(network.peers.host, port)
})

after(async () => {
  await network?.[Symbol.asyncDispose]()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

beforeEach(async () => {
  if (needsKernel === false) await network.namespaces.host.run(ringwallProgram, ['flush'])
})

function start(
  policy: unknown,
  options: { readonly flags?: readonly string[]; readonly policyPath?: string; readonly awaitInForce?: boolean } = {},
) {
  return startAgent({ namespace: network.namespaces.host, policy, ...options })
}

const acceptedPorts = () => portsAccepted(network, ports)

const readHealth = () => hostHealth(network)

for (const { name, spoil, says } of [
  {
    name: 'a faulty file',
    spoil: (agent: TestAgent) => agent.writePolicy({ ...acceptingPorts(7001), surprise: 1 }),
    says: /surprise/,
  },
  {
    name: 'a torn file',
    spoil: (agent: TestAgent) => agent.writePolicy('{"apiVersion": "ringwall/v1", "inter'),
    says: /./,
  },
  { name: 'an empty file', spoil: (agent: TestAgent) => agent.writePolicy(''), says: /./ },
  { name: 'a file that is deleted', spoil: (agent: TestAgent) => unlink(agent.policyPath), says: /is missing/ },
  {
    name: 'a folder in its place',
    spoil: async (agent: TestAgent) => {
      await unlink(agent.policyPath)
      await mkdir(agent.policyPath)
    },
    says: /expected a plain file/,
  },
] as const) {
  test(`${name} keeps the last good policy, says so, and is over with a good one`, { skip: needsKernel }, async () => {
    await using agent = await start(acceptingPorts(7000), { flags: ['--metrics-address', metricsAddress] })
    const before = await listTable(network.namespaces.host)
    assert.equal((await readHealth()).status, 200)
    await spoil(agent)
    // Between its removal and the folder the file was missing.
    await agent.line(({ level, faults, reason }) => level === 'error' && says.test(`${faults ?? ''} ${reason ?? ''}`))
    const health = await readHealth()
    assert.equal(health.status, 503)
    assert.match(health.problems.join('\n'), says)
    assert.deepEqual(await listTable(network.namespaces.host), before)
    assert.deepEqual(await acceptedPorts(), [7000])
    if (name === 'a folder in its place') await rm(agent.policyPath, { recursive: true })
    await agent.replacePolicy(acceptingPorts(7001))
    assert.deepEqual(await acceptedPorts(), [7001])
    assert.equal((await readHealth()).status, 200)
  })
}

test('a symbolic link that is swapped is followed', { skip: needsKernel }, async () => {
  const inFolder = (name: string) => join(folder, name)
  for (const [name, port] of [
    ['one', 7000],
    ['two', 7001],
  ] as const) {
    await mkdir(inFolder(name))
    await writeFile(join(inFolder(name), 'policy.json'), JSON.stringify(acceptingPorts(port)))
  }
  await symlink('one', inFolder('current'))
  await symlink('current/policy.json', inFolder('policy.json'))
  await using agent = await start(null, { policyPath: inFolder('policy.json') })
  assert.deepEqual(await acceptedPorts(), [7000])
  const from = agent.log.length
  await symlink('two', inFolder('next'))
  await rename(inFolder('next'), inFolder('current'))
  await agent.line(isInForce, { from })
  assert.deepEqual(await acceptedPorts(), [7001])
})

test('stop keeps the ruleset, or flushes it where asked', { skip: needsKernel }, async () => {
  const keeping = await start(acceptingPorts(7000))
  const before = await listTable(network.namespaces.host)
  assert.equal(await keeping.stop(), 0)
  assert.deepEqual(await listTable(network.namespaces.host), before)
  assert.deepEqual(await acceptedPorts(), [7000])
  const flushing = await start(acceptingPorts(7000), { flags: ['--on-stop', 'flush'], awaitInForce: false })
  await flushing.line(line => line.msg === 'agent starts')
  assert.equal(await flushing.stop('SIGINT'), 0)
  assert.equal(await listTable(network.namespaces.host), null)
  assert.deepEqual(await acceptedPorts(), ports)
})

test('a start with the policy that is in force changes nothing', { skip: needsKernel }, async () => {
  await (await start(acceptingPorts(7000, 7001))).stop()
  const { client, server } = await openSession(7000)
  const before = await listTable(network.namespaces.host)
  const { stdout: monitored } = await network.namespaces.host.run('nft', ['-a', 'list', 'table', 'inet', 'ringwall'])
  await using again = await start(acceptingPorts(7000, 7001), {
    flags: ['--metrics-address', metricsAddress],
    awaitInForce: false,
  })
  await again.line(({ msg }) => msg === 'in force already')
  assert.ok((await readHealth()).inForce)
  assert.deepEqual(again.log.filter(isInForce), [])
  assert.deepEqual(await listTable(network.namespaces.host), before)
  const { stdout } = await network.namespaces.host.run('nft', ['-a', 'list', 'table', 'inet', 'ringwall'])
  assert.deepEqual(handles(stdout), handles(monitored))
  assert.ok(await arrives(server, client, patienceMs))
})

/** An object made anew gets another handle. */
const handles = (listing: string) => [...listing.matchAll(/# handle (\d+)/g)].map(([, handle]) => handle)

test('what was taken away while the agent was down is cut when it starts', { skip: needsKernel }, async () => {
  await (await start(acceptingPorts(7000, 7001))).kill()
  const [revoked, allowed] = [await openSession(7000), await openSession(7001)]
  await using again = await start(acceptingPorts(7001))
  assert.deepEqual(again.log.find(isInForce)!.judgedAgain, ['eni-host/ingress', 'eni-host/egress'])
  assert.ok(!(await arrives(revoked.server, revoked.client)))
  assert.ok(!(await arrives(revoked.client, revoked.server)))
  assert.ok(await arrives(allowed.server, allowed.client, patienceMs))
  assert.ok(await arrives(allowed.client, allowed.server, patienceMs))
})

test('a start with a faulty file takes the last good policy from the state directory', {
  skip: needsKernel,
}, async () => {
  const flags = ['--state-dir', join(folder, 'state'), '--metrics-address', metricsAddress]
  await (await start(acceptingPorts(7000), { flags })).stop()
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  const policyPath = join(folder, 'faulty.json')
  await writeFile(policyPath, '{"apiVersion": "ringwall/v0"}')
  await using agent = await start(null, { flags, policyPath })
  assert.deepEqual(await acceptedPorts(), [7000])
  const health = await readHealth()
  assert.equal(health.status, 503)
  assert.ok(health.inForce)
  await agent.replacePolicy(acceptingPorts(7001))
  assert.deepEqual(await acceptedPorts(), [7001])
  assert.equal((await readHealth()).status, 200)
})

test('a check beside a running agent finds its own port taken by itself, and changes nothing', {
  skip: needsKernel,
}, async () => {
  await using agent = await start(acceptingPorts(7000), { flags: ['--metrics-address', metricsAddress] })
  const before = await listTable(network.namespaces.host)
  const args = ['agent', 'check', '--policy', agent.policyPath, '--metrics-address', metricsAddress]
  const check = () => network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })
  const { stdout } = await check()
  assert.ok(stdout.includes(`\n${metricsAddress} is held by the one that runs (pid ${agent.pid})\n`), stdout)
  assert.match(stdout, /\nno faults\n$/)
  assert.deepEqual(await listTable(network.namespaces.host), before)
  await agent.stop()
  assert.ok((await check()).stdout.includes(`\n${metricsAddress} is free\n`))
})

test('a second agent, apply and flush are refused while an agent runs', { skip: needsKernel }, async () => {
  await using agent = await start(acceptingPorts(7000))
  const before = await listTable(network.namespaces.host)
  const refused = async (args: readonly string[]) => {
    const result = await network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })
    assert.equal(result.exitCode, 1, args[0])
    // What an agent was told to do is logged before it is found out that it cannot.
    const said = result.stdout.split('\n').filter(line => line !== '' && !line.includes('"the configuration is read"'))
    assert.deepEqual(said, [], args[0])
    return result.stderr
  }
  const who = new RegExp(`\\(pid ${agent.pid}, policy ${agent.policyPath}\\)`)
  for (const [args, action] of [
    [['agent', '--policy', agent.policyPath, '--metrics-address', 'none'], /^ringwall: Cannot start the agent: /],
    [['apply', agent.policyPath], /^ringwall: Cannot apply: /],
    [['flush'], /^ringwall: Cannot flush: /],
  ] as const) {
    const stderr = await refused(args)
    assert.match(stderr, action)
    assert.match(stderr, who)
  }
  assert.deepEqual(await listTable(network.namespaces.host), before)
  await agent.stop()
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  assert.equal(await listTable(network.namespaces.host), null)
})

function openSession(port: number) {
  const { outside: client, host: server } = network.peers
  return converse('tcp', { client, server, address: addresses.host.ip, port })
}
