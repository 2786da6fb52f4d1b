import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace } from '../../lab/netns.ts'
import { openNetnsView } from '../support/netns-view.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const skip = needsKernel
const namespaceNames = () => readdirSync('/run/netns')
const netnsModule = `${import.meta.dirname}/../../lab/netns.ts`

test('a namespace is another than ours, and gone after disposal with what ran in it', { skip }, async () => {
  const namespace = await createNamespace('a')
  const { stdout } = await namespace.run('readlink', ['/proc/self/ns/net'])
  assert.notEqual(stdout.trim(), readlinkSync('/proc/self/ns/net'))
  const child = namespace.spawn('sleep', ['60'])
  const ended = once(child, 'exit')
  // Before that it is ip, which may find the namespace gone.
  await eventually(async () => assert.equal(readFileSync(`/proc/${child.pid}/comm`, 'utf8'), 'sleep\n'))
  await namespace[Symbol.asyncDispose]()
  assert.deepEqual(await ended, [null, 'SIGKILL'])
  assert.ok(!namespaceNames().includes(namespace.name))
})

test('run reports what failed, or returns it where failure is allowed', { skip }, async () => {
  await using namespace = await createNamespace('a')
  await assert.rejects(
    namespace.run('sh', ['-c', 'echo why >&2; exit 3']),
    /Command ".* sh -c echo why >&2; exit 3" ended with 3: why/,
  )
  const result = await namespace.run('sh', ['-c', 'cat; exit 3'], { input: 'text', allowFailure: true })
  assert.deepEqual(result, { stdout: 'text', stderr: '', exitCode: 3 })
})

test('sysctl writes settings of the network only', { skip }, async () => {
  await using namespace = await createNamespace('a')
  await namespace.sysctl({ 'net.ipv4.ip_forward': 1 })
  assert.equal((await namespace.run('sysctl', ['-n', 'net.ipv4.ip_forward'])).stdout, '1\n')
  await assert.rejects(namespace.sysctl({ 'kernel.pid_max': 1 }), /expected a key below net\./)
})

test('peers talk over TCP and UDP in both families as soon as they are connected', { skip }, async () => {
  await using a = await createNamespace('a')
  await using b = await createNamespace('b')
  const [inA, inB] = [
    { namespace: a, device: 'eth0', addresses: ['198.18.1.1/24', '2001:db8:1::1/64'] },
    { namespace: b, device: 'eth0', addresses: ['198.18.1.2/24', '2001:db8:1::2/64'], mac: '02:00:00:00:00:02' },
  ]
  await connect(inA!, inB!)
  assert.match((await b.run('ip', ['link', 'show', 'eth0'])).stdout, /02:00:00:00:00:02/)
  await using client = await startPeer(a)
  await using server = await startPeer(b)
  await server.listenTcp(80)
  await server.listenUdp(53)
  for (const address of ['198.18.1.2', '2001:db8:1::2']) {
    assert.ok(await client.ping(address))
    for (const [protocol, port] of [
      ['tcp', 80],
      ['udp', 53],
    ] as const) {
      const conversation = await (protocol === 'tcp' ? client.connectTcp(address, port) : client.openUdp(address, port))
      assert.ok(await conversation.ask('to and fro'))
      const other = await server.accepted({ protocol, port, remotePort: conversation.localPort })
      await other.send('the server speaks first')
      assert.ok(await conversation.expect('the server speaks first'))
      assert.ok(!(await conversation.expect('never sent', 50)))
      assert.deepEqual([await conversation.received(), await other.received()], [2, 1])
    }
  }
  await assert.rejects(client.connectTcp('198.18.1.2', 81), { message: 'ECONNREFUSED' })
})

test('what a drop does to a peer is silence', { skip }, async () => {
  await using a = await createNamespace('a')
  await using b = await createNamespace('b')
  await connect(
    { namespace: a, device: 'eth0', addresses: ['198.18.1.1/24'] },
    { namespace: b, device: 'eth0', addresses: ['198.18.1.2/24'] },
  )
  await using client = await startPeer(a)
  await using server = await startPeer(b)
  await server.listenTcp(80)
  const conversation = await client.connectTcp('198.18.1.2', 80)
  const input = 'add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }'
  await b.run('nft', ['-f', '-'], { input })
  assert.ok(!(await conversation.ask('lost', 200)))
  assert.ok(!(await client.ping('198.18.1.2', { timeoutMs: 200 })))
  await assert.rejects(client.connectTcp('198.18.1.2', 80, { timeoutMs: 200 }), { message: 'ETIMEDOUT' })
})

for (const [signal, left] of [
  ['SIGTERM', false],
  ['SIGKILL', true],
] as const) {
  const outcome = left ? 'leaves its namespace to removeStale' : 'removes its namespace itself'
  test(`a maker that ends by ${signal} ${outcome}`, { skip }, async () => {
    await using view = await openNetnsView()
    const [command, ...prefix] = [...view.prefix, process.execPath, '--input-type=module', '-e'] as const
    const script = `
      import { createNamespace } from ${JSON.stringify(netnsModule)}
      const { name, spawn } = await createNamespace('doomed')
      console.log(name)
      spawn('sleep', ['60'], { stdio: 'ignore' })`
    const maker = spawn(command, [...prefix, script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [name] = (await once(createInterface({ input: maker.stdout }), 'line')) as [string]
    const ended = once(maker, 'exit')
    maker.kill(signal)
    await ended
    const expected = left ? [name] : []
    assert.deepEqual(view.names(), expected)
    const removing = `
      import { removeStale } from ${JSON.stringify(netnsModule)}
      console.log(JSON.stringify(await removeStale()))`
    assert.deepEqual(JSON.parse(execFileSync(command, [...prefix, removing], { encoding: 'utf8' })), expected)
    assert.deepEqual(view.names(), [])
  })
}
