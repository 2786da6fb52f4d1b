/**
 * What a host sends to a multicast group or as a broadcast, heard by listeners on the host itself: the kernel hands it
 * back by the device it went out by, and no group judges that, because it was never on the wire.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { acceptAll, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy } from '../support/ringwall.ts'

const port = 5353

interface Way {
  readonly name: string
  readonly device: 'eth0' | 'tap1'
  readonly type: 'udp4' | 'udp6'
  readonly destination: string
  /** Of the host at the device, as sockets name it. */
  readonly from: string
}

const ways: readonly Way[] = [
  { name: 'multicast', device: 'eth0', type: 'udp4', destination: '239.1.2.3', from: addresses.host.ip },
  { name: 'multicast of IPv6', device: 'eth0', type: 'udp6', destination: 'ff02::4242', from: '::%eth0' },
  { name: 'broadcast', device: 'eth0', type: 'udp4', destination: '198.18.0.255', from: addresses.host.ip },
  { name: 'multicast to a guest', device: 'tap1', type: 'udp4', destination: '239.1.2.3', from: '198.18.1.1' },
  { name: 'multicast of IPv6 to a guest', device: 'tap1', type: 'udp6', destination: 'ff02::4242', from: '::%tap1' },
]

/** Sends what it is told, and does not hear it. */
const speak = `
  const [type, destination, from, port, text] = process.argv.slice(1)
  const socket = require('node:dgram').createSocket(type)
  socket.bind(0, () => {
    socket.setBroadcast(true)
    socket.setMulticastInterface(from)
    socket.setMulticastLoopback(false)
    socket.send(text, Number(port), destination, () => socket.close())
  })`

/** Listens, waits for a line, then speaks until it hears itself; prints all that it has heard. */
const hearOneself = `
  const { createSocket } = require('node:dgram')
  const [type, destination, from, port] = process.argv.slice(1)
  const heard = new Set()
  const socket = createSocket({ type, reuseAddr: true })
  const end = () => { console.log(JSON.stringify([...heard])); process.exit() }
  socket.on('message', message => { heard.add(String(message)); if (heard.has('own')) end() })
  socket.bind(Number(port), () => {
    if (/^(239|ff)/.test(destination)) socket.addMembership(destination, from)
    socket.setBroadcast(true)
    socket.setMulticastInterface(from)
    console.log('ready')
  })
  process.stdin.once('data', () => {
    setInterval(() => socket.send('own', Number(port), destination), 100)
    setTimeout(end, 20_000)
  })`

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  const groups = [closedGroup('sg-1'), closedGroup('sg-2', acceptAll())]
  await applyPolicy(network.namespaces.host, policyDocument({ host: ['sg-1'], guest1: ['sg-2'] }, groups))
})

after(() => network?.[Symbol.asyncDispose]())

for (const { name, device, type, destination, from } of ways) {
  test(`a host hears itself: ${name}`, { skip: needsKernel }, async () => {
    const { host, outside } = network.namespaces
    const listener = host.spawn(process.execPath, ['-e', hearOneself, type, destination, from, String(port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines = listener.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })
    assert.equal((await lines.next()).value, 'ready\n')
    if (device === 'eth0') {
      const theirs = [type, destination, type === 'udp4' ? addresses.outside.ip : '::%eth0', String(port), 'theirs']
      await outside.run(process.execPath, ['-e', speak, ...theirs])
    }
    listener.stdin!.end('go\n')
    assert.deepEqual(JSON.parse((await lines.next()).value), ['own'])
  })
}

test('and nobody is taken for a guest with a wrong address', { skip: needsKernel }, async () => {
  const { stdout } = await network.namespaces.host.run('nft', ['list', 'counters', 'table', 'inet', 'ringwall'])
  assert.match(stdout, /counter eni-1\/egress\/source-guard \{\s+packets 0 bytes 0/)
  assert.match(stdout, /counter eni-host\/ingress\/default \{\s+packets 3 /, 'what came from outside, three times')
})
