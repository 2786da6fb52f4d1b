/**
 * An agent that is led by a daemon, with a real kernel: the daemon is scripted and runs outside the host, at the other
 * end of the wire that the policy judges.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { ToAgent } from '../../wire/messages.ts'
import type { ViewObject } from '../../wire/view.ts'
import { isInForce, startAgent, type TestAgent } from '../support/agent.ts'
import { makeAuthority, type TestAuthority } from '../support/certificates.ts'
import { makeFlakyNft } from '../support/flaky-nft.ts'
import {
  addresses,
  createHostNetwork,
  type HostNetwork,
  hostHealth,
  isAccepted,
  metricsAddress,
  portsAccepted,
} from '../support/host-network.ts'
import { listTable } from '../support/kernel-listing.ts'
import { lastTransactionDone } from '../support/nft-children.ts'
import { makeRandom } from '../support/random.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/scripted-daemon-process.ts'
import { eventually, listenForSessions } from '../support/sessions.ts'
import {
  acceptGroup,
  acceptPort,
  eniObject,
  groupObject,
  instanceObject,
  membersObject,
  settingsObject,
} from '../support/view-objects.ts'

const run = promisify(execFile)

const ports = [7000, 7001] as const
const daemonPort = 8444
const lateMac = '02:00:00:00:77:01'

let network: HostNetwork
let authority: TestAuthority
let hostMac: string
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  authority = await makeAuthority()
  for (const port of ports) await listenForSessions(network.peers.host, port)
  const { stdout } = await network.namespaces.host.run('cat', ['/sys/class/net/eth0/address'])
  hostMac = stdout.trim()
})
after(() => network?.[Symbol.asyncDispose]())

beforeEach(async () => {
  if (needsKernel !== false) return
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  folder = await mkdtemp(join(tmpdir(), 'ringwall-linked-'))
})
afterEach(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** An advanced group lets nothing out but what its rules say: not even the way to the daemon. */
const webGroup = (...accepted: readonly number[]) =>
  groupObject('sg-web', accepted.map(acceptPort), { type: 'advanced' })

function view(...accepted: readonly number[]): readonly ViewObject[] {
  return [
    settingsObject(),
    instanceObject(),
    eniObject('eni-host', {
      macAddress: hostMac,
      device: null,
      addresses: [addresses.host.ip],
      securityGroupIds: ['sg-web'],
    }),
    webGroup(...accepted),
  ]
}

const snapshot = (revision: number, objects: readonly ViewObject[]): ToAgent => ({
  type: 'snapshot',
  storeId: 's',
  revision,
  objects,
})
const delta = (revision: number, set: readonly ViewObject[]): ToAgent => ({
  type: 'delta',
  storeId: 's',
  revision,
  set,
  remove: [],
  members: [],
})

const startDaemon = () =>
  startDaemonProcess(network.namespaces.outside, { address: addresses.outside.ip, port: daemonPort, authority })

function ringwall(...args: readonly string[]) {
  return network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })
}

async function joinDaemon({ url, token }: DaemonProcess): Promise<void> {
  const { exitCode, stdout, stderr } = await ringwall('agent', 'join', url, '--token', token, '--state-dir', folder)
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^Joined https:\/\/198\.18\.0\.9:8444 as agent agent-1\./)
}

function startLinked(options: { readonly prefix?: readonly string[] } = {}): Promise<TestAgent> {
  const flags = ['--metrics-address', metricsAddress]
  return startAgent({ namespace: network.namespaces.host, linkedIn: folder, flags, awaitInForce: false, ...options })
}

/** Resolves when the daemon has heard of it; of the revision before it may hear again. */
async function enforced(daemon: DaemonProcess, revision: number) {
  for (;;) {
    const said = await daemon.next('enforced')
    if (said.revision === revision) return said
    assert.ok(said.revision < revision, `revision ${said.revision} is in force before ${revision} was given`)
  }
}

const acceptedPorts = () => portsAccepted(network, ports)

const readHealth = () => hostHealth(network)

const isCutOff = (line: { readonly msg: string }) => line.msg.startsWith('not connected to the daemon')
const isRestored = (line: { readonly msg: string }) => line.msg.startsWith('the last view that was in force')
const leftAsItIs = 'what stands in the kernel is left as it is until the daemon answers'

test('what the daemon says is in force, stays when it is gone, and goes on when it is back', {
  skip: needsKernel,
}, async () => {
  await using gone = await startDaemon()
  await joinDaemon(gone)
  await using agent = await startLinked()
  const hello = await gone.next('hello')
  assert.deepEqual([hello.view, hello.enforced], [null, null])
  const eth0 = hello.report.devices.find(({ name }) => name === 'eth0')
  assert.equal(eth0?.macAddress, hostMac)
  assert.ok(eth0?.addresses.includes(addresses.host.ip6))

  gone.send(snapshot(1, view(7000)))
  const first = await gone.next('enforced')
  assert.deepEqual([first.revision, first.enis], [1, [{ id: 'eni-host', state: 'enforced' }]])
  assert.ok(first.nftSeconds > 0 && first.nftSeconds <= first.seconds)
  assert.deepEqual(await acceptedPorts(), [7000])

  gone.send(delta(2, [webGroup(7001)]))
  await enforced(gone, 2)
  assert.deepEqual(await acceptedPorts(), [7001])
  const { stdout: shown } = await ringwall('show')
  assert.match(shown, /^Policy from the daemon https:\/\/198\.18\.0\.9:8444, connected since .*, revision 2 in force$/m)

  // The daemon goes; the policy would not let a new connection to it out, were it not for its exception.
  const from = agent.log.length
  await gone.kill()
  await agent.line(isCutOff, { from })
  const inForce = await listTable(network.namespaces.host)
  assert.deepEqual(await acceptedPorts(), [7001])
  const away = await readHealth()
  assert.deepEqual([away.status, away.source.connected, away.source.enforcedRevision], [200, false, 2])
  await using back = await startDaemon()
  const { view: held, enforced: stood } = await back.next('hello')
  assert.deepEqual([held?.revision, stood], [2, { storeId: 's', revision: 2 }])
  back.send(delta(2, []))
  await enforced(back, 2)
  assert.deepEqual(await listTable(network.namespaces.host), inForce)
})

/** An agent that has revision 2 in force, by which 7001 alone is open. */
async function startLed(daemon: DaemonProcess): Promise<TestAgent> {
  await joinDaemon(daemon)
  await using stack = new AsyncDisposableStack()
  const agent = stack.use(await startLinked())
  await daemon.next('hello')
  daemon.send(snapshot(1, view(7000)))
  await enforced(daemon, 1)
  daemon.send(delta(2, [webGroup(7001)]))
  await enforced(daemon, 2)
  // Where it did not come so far, it is not there for the tests after this one.
  stack.move()
  return agent
}

test('what the daemon said last is in force after a boot without it, and stays when the agent is killed', {
  skip: needsKernel,
}, async () => {
  await using daemon = await startDaemon()
  {
    await using agent = await startLed(daemon)
    assert.equal(await agent.stop(), 0)
  }
  await daemon.kill()
  await network.namespaces.host.run('nft', ['delete', 'table', 'inet', 'ringwall'])
  assert.deepEqual(await acceptedPorts(), [...ports])
  await using again = await startLinked()
  await again.line(isRestored)
  await again.line(isInForce)
  assert.deepEqual(await acceptedPorts(), [7001])
  assert.equal((await readHealth()).inForce, true)
  await again.kill()
  assert.deepEqual(await acceptedPorts(), [7001])
})

test('an agent that starts anew goes on where it was', { skip: needsKernel }, async () => {
  await using before = await startDaemon()
  {
    await using agent = await startLed(before)
    assert.equal(await agent.stop(), 0)
  }
  await before.kill()
  await using _agent = await startLinked()
  await using daemon = await startDaemon()
  const resumed = await daemon.next('hello')
  assert.deepEqual(resumed.view, {
    storeId: 's',
    revision: 2,
    keys: ['settings/fleet', 'instance/i-1', 'eni/eni-host', 'group/sg-web'],
  })
  daemon.send(delta(3, [webGroup(7000, 7001)]))
  await enforced(daemon, 3)
  assert.deepEqual(await acceptedPorts(), [...ports])
})

/** `npm run soak:kill` makes hundreds of them. */
const kills = Number(process.env.RINGWALL_KILLS ?? 4)
const seed = 20_262

test(`${kills} kills around the acknowledgement of a revocation leave it in force, with the daemon away`, {
  skip: needsKernel,
  timeout: 120_000 + kills * 25_000,
}, async () => {
  const random = makeRandom(seed)
  const { host } = network.namespaces
  let daemon = await startDaemon()
  let revision = 1
  let acknowledged = 0
  let stood = 0
  try {
    await joinDaemon(daemon)
    for (let kill = 1; kill <= kills; kill += 1) {
      await using agent = await startLinked()
      // In the first round there is no view, then the one that the last round has left.
      const { view: held } = await daemon.next('hello')
      daemon.send(held === null ? snapshot(revision, view(...ports)) : delta(revision, [webGroup(...ports)]))
      await enforced(daemon, revision)
      revision += 1
      daemon.send(delta(revision, [webGroup(7001)]))
      let isAcknowledged = false
      const acknowledgement = enforced(daemon, revision).then(
        () => {
          isAcknowledged = true
        },
        () => {},
      )
      // At once when it is acknowledged, or some time on the way there.
      await Promise.race([acknowledgement, ...(kill % 2 === 0 ? [setTimeout(random.integer(1, 30))] : [])])
      await agent.kill()
      await daemon.kill()
      await lastTransactionDone(host)
      const isRevoked = !(await isAccepted(network, 7000))
      if (isAcknowledged) assert.ok(isRevoked, `kill ${kill}: acknowledged, and not in the kernel`)
      acknowledged += Number(isAcknowledged)
      stood += Number(isRevoked)

      {
        await using next = await startLinked()
        // A disk that was too slow for the update may not have it: then the kernel is asked, and believed.
        const { msg } = await next.line(line => isRestored(line) || line.msg === leftAsItIs)
        if (msg !== leftAsItIs) await next.line(line => isInForce(line) || line.msg === 'in force already')
        if (isRevoked)
          assert.equal(await isAccepted(network, 7000), false, `kill ${kill}: what was revoked is open again`)
      }
      revision += 1
      daemon = await startDaemon()
    }
  } finally {
    await daemon.kill()
  }
  assert.ok(acknowledged >= kills / 2, `only ${acknowledged} were acknowledged`)
  assert.ok(stood >= acknowledged)
})

test('a full disk keeps no revocation from the kernel, nor brings what was before it back', {
  skip: needsKernel,
}, async () => {
  const { host } = network.namespaces
  await run('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder])
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => void (await run('umount', ['--lazy', folder])))
  let daemon = await startDaemon()
  stack.defer(() => daemon.kill())
  await joinDaemon(daemon)
  {
    await using agent = await startLinked()
    await daemon.next('hello')
    daemon.send(snapshot(1, view(...ports)))
    await daemon.next('enforced')
    await eventually(async () => {
      assert.ok((await readdir(folder)).includes('policy.last-good'))
      // What is still being written would leave room again where it finds none.
      assert.match(await readFile(join(folder, 'link.json'), 'utf8'), /:"eth0"/)
    })
    await assert.rejects(writeFile(join(folder, 'filler'), Buffer.alloc(1024 * 1024)), { code: 'ENOSPC' })
    daemon.send(delta(2, [webGroup(7001)]))
    await enforced(daemon, 2)
    assert.deepEqual(await acceptedPorts(), [7001])
    await agent.line(line => line.level === 'error' && line.msg.startsWith('cannot keep what the daemon says'))
    const health = await readHealth()
    assert.deepEqual([health.status, health.inForce], [503, true])
    assert.match(health.problems.join(), /cannot be kept on disk: ENOSPC/)
  }
  await daemon.kill()
  const before = await listTable(host)
  await using agent = await startLinked()
  await agent.line(line => line.msg === leftAsItIs)
  await agent.line(isCutOff)
  assert.deepEqual(await listTable(host), before)
  assert.deepEqual(await acceptedPorts(), [7001])
  assert.match((await readHealth()).problems.join(), /newer than the disk/)

  // The daemon answers, and there is room again.
  await rm(join(folder, 'filler'))
  daemon = await startDaemon()
  assert.equal((await daemon.next('hello')).view?.revision, 1)
  daemon.send(delta(3, [webGroup(7000)]))
  await enforced(daemon, 3)
  assert.deepEqual(await acceptedPorts(), [7000])
  await eventually(async () => assert.equal((await readHealth()).status, 200))
  await eventually(async () => {
    const kept = (await readdir(folder)).filter(name => name.startsWith('view.'))
    assert.deepEqual(kept.sort(), ['view.json', 'view.log'])
  })
})

test('a refusal of the kernel is told, and that it is over', { skip: needsKernel }, async () => {
  await using daemon = await startDaemon()
  await using nft = await makeFlakyNft()
  await joinDaemon(daemon)
  await using agent = await startLinked({ prefix: nft.prefix })
  await daemon.next('hello')
  daemon.send(snapshot(1, view(7000)))
  await daemon.next('enforced')
  await nft.behave('refuse')
  daemon.send(delta(2, [webGroup(7001)]))
  const refused = await daemon.next('refused')
  assert.deepEqual([refused.revision, refused.error.kind, refused.retryInMs], [2, 'busy', 250])
  assert.match(refused.error.message, /Device or resource busy/)
  assert.deepEqual(await acceptedPorts(), [7000])
  assert.equal((await readHealth()).status, 503)
  await nft.behave('well')
  await enforced(daemon, 2)
  assert.deepEqual(await acceptedPorts(), [7001])
  assert.equal((await readHealth()).status, 200)
  assert.equal(agent.stderr(), '')
})

test('a view with faults is refused, and what was in force stays', { skip: needsKernel }, async () => {
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  await using agent = await startLinked()
  await daemon.next('hello')
  daemon.send(snapshot(1, view(7000)))
  await daemon.next('enforced')
  const before = await listTable(network.namespaces.host)
  daemon.send(delta(2, [groupObject('sg-web', [acceptGroup('sg-unheard-of')])]))
  const { error } = await daemon.next('refused')
  assert.equal(error.kind, 'policy')
  assert.match(error.message, /sg-unheard-of/)
  assert.deepEqual(await listTable(network.namespaces.host), before)
  daemon.send(
    delta(3, [groupObject('sg-web', [acceptGroup('sg-app')]), membersObject('sg-app', [addresses.outside.ip])]),
  )
  await enforced(daemon, 3)
  assert.deepEqual(await acceptedPorts(), [...ports])
  assert.equal(agent.stderr(), '')
})

test('an ENI is the device with its MAC address, whenever that comes and whatever it is called', {
  skip: needsKernel,
}, async () => {
  const { host } = network.namespaces
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  await using agent = await startLinked()
  await daemon.next('hello')
  const late = eniObject('eni-late', { macAddress: lateMac, device: null, addresses: [], securityGroupIds: ['sg-web'] })
  daemon.send(snapshot(1, [...view(7000), late]))
  const stateOf = (enis: readonly { readonly id: string; readonly state: string }[]) =>
    enis.find(({ id }) => id === 'eni-late')?.state
  assert.equal(stateOf((await daemon.next('enforced')).enis), 'device-missing')
  await host.run('ip', ['link', 'add', 'late0', 'address', lateMac, 'type', 'veth', 'peer', 'name', 'far0'])
  try {
    assert.equal(stateOf((await daemon.next('enforced')).enis), 'enforced')
    const boundTo = async () => {
      const { enis } = await readHealth()
      return enis.find(({ id }: { readonly id: string }) => id === 'eni-late')?.device
    }
    assert.equal(await boundTo(), 'late0')
    // Reports of what changed before may still be under way.
    const isReported = async () =>
      (await daemon.next('report')).report.devices.some(({ macAddress }) => macAddress === lateMac)
    while (!(await isReported())) {}
    await host.run('ip', ['link', 'set', 'late0', 'name', 'late1'])
    await eventually(async () => assert.equal(await boundTo(), 'late1'))
    // The address goes to another device: no event of a device's coming or going tells of it.
    await host.run('ip', ['link', 'set', 'late1', 'address', '02:00:00:00:77:02'])
    await host.run('ip', ['link', 'add', 'late2', 'type', 'veth', 'peer', 'name', 'far2'])
    await host.run('ip', ['link', 'set', 'late2', 'address', lateMac])
    await eventually(async () => assert.equal(await boundTo(), 'late2'))
  } finally {
    for (const device of ['late0', 'late1', 'late2'])
      await host.run('ip', ['link', 'del', device], { allowFailure: true })
  }
  assert.equal(agent.stderr(), '')
})

test('a revoked agent stays, with what was in force, and says so', { skip: needsKernel }, async () => {
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  await using agent = await startLinked()
  await daemon.next('hello')
  daemon.send(snapshot(1, view(7000)))
  await daemon.next('enforced')
  daemon.send({ type: 'goodbye', code: 'revoked', message: 'agent-1 was revoked' })
  const told = await agent.line(line => line.level === 'error')
  assert.equal(told.msg, 'the daemon has revoked this agent; what is in force stays, and no change comes any more')
  assert.deepEqual(await acceptedPorts(), [7000])
  const health = await readHealth()
  assert.deepEqual([health.status, health.inForce, health.source.connected], [503, true, false])
  assert.match(health.problems.join(), /the daemon has revoked this agent; join again/)
  // What others do to the table is still put right.
  await network.namespaces.host.run('nft', ['delete', 'table', 'inet', 'ringwall'])
  await eventually(async () => assert.deepEqual(await acceptedPorts(), [7000]))
})

test('a host joins once, unless it is forced, and leaves', { skip: needsKernel }, async () => {
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  const again = await ringwall('agent', 'join', daemon.url, '--token', daemon.token, '--state-dir', folder)
  assert.deepEqual([again.exitCode, again.stdout], [1, ''])
  assert.match(again.stderr, /^ringwall: Cannot join: this host has joined a daemon already .*--force/)
  const used = await ringwall('agent', 'join', daemon.url, '--token', daemon.token, '--state-dir', folder, '--force')
  assert.match(used.stderr, /the daemon says: the token was used already \(InvalidToken\)/)

  const agent = await startLinked()
  await daemon.next('hello')
  daemon.send(snapshot(1, view(7000)))
  await daemon.next('enforced')
  const whileRunning = await ringwall('agent', 'leave', '--state-dir', folder)
  assert.match(whileRunning.stderr, /^ringwall: Cannot leave: the agent runs \(pid \d+\); stop it first/)
  const second = await ringwall('apply', '/dev/null')
  assert.equal(second.exitCode, 2)
  const flushed = await ringwall('flush')
  assert.match(
    flushed.stderr,
    /a Ringwall agent \(pid \d+, led by https:\/\/198\.18\.0\.9:8444\) holds this network namespace/,
  )
  assert.equal(await agent.stop(), 0)

  const left = await ringwall('agent', 'leave', '--state-dir', folder)
  assert.match(left.stdout, /^The credentials are gone\. What is in force stays/)
  assert.deepEqual(await acceptedPorts(), [7000])
  const none = await ringwall('agent', 'leave', '--state-dir', folder)
  assert.match(none.stderr, /^ringwall: Cannot leave: this host has joined no daemon/)
  const start = await ringwall('agent', '--state-dir', folder)
  assert.deepEqual([start.exitCode, start.stdout], [2, ''])
  assert.match(start.stderr, /missing --policy FILE: this host has joined no daemon either/)
})

test('a host that has no network at boot has its policy in force, says so once, and is led as soon as there is one', {
  skip: needsKernel,
}, async () => {
  const { host } = network.namespaces
  const setUp = async () => {
    await host.run('ip', ['link', 'set', 'eth0', 'up'])
    // Going down has taken it away.
    await host.run('ip', ['addr', 'replace', `${addresses.host.ip6}/64`, 'dev', 'eth0', 'nodad'])
  }
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  {
    await using agent = await startLinked()
    await daemon.next('hello')
    daemon.send(snapshot(1, view(ports[0])))
    await agent.line(isInForce)
    await eventually(async () => assert.ok((await readdir(folder)).includes('link.json')))
    await agent.stop()
  }
  await host.run(ringwallProgram, ['flush'])
  await host.run('ip', ['link', 'set', 'eth0', 'down'])
  try {
    await using agent = await startLinked()
    await agent.line(isInForce)
    await agent.line(isCutOff)
    // Long enough for some attempts.
    await setTimeout(3_000)
    assert.equal(agent.log.filter(isCutOff).length, 1)
    await setUp()
    await daemon.next('hello')
    daemon.send(snapshot(2, view(...ports)))
    await agent.line(isInForce, { from: agent.log.findIndex(isCutOff) })
    await eventually(async () => assert.deepEqual(await acceptedPorts(), [...ports]))
    await agent.stop()
  } finally {
    await setUp()
  }
})

test('a host whose address changes comes back by the new one, without waiting for answers to the old', {
  skip: needsKernel,
}, async () => {
  const { host } = network.namespaces
  const setAddress = (verb: 'add' | 'del' | 'replace', address: string) =>
    host.run('ip', ['addr', verb, `${address}/24`, 'dev', 'eth0'], { allowFailure: verb === 'del' })
  await using daemon = await startDaemon()
  await joinDaemon(daemon)
  await using agent = await startLinked()
  await daemon.next('hello')
  daemon.send(snapshot(1, view(ports[0])))
  await enforced(daemon, 1)
  try {
    await setAddress('del', addresses.host.ip)
    const told = await agent.line(isCutOff)
    assert.deepEqual(
      [told.cause, told.reason],
      ['readdressed', `this host has its address ${addresses.host.ip} no longer`],
    )
    await setAddress('add', '198.18.0.77')
    await daemon.next('hello')
    // Addresses that are not the connection's own come without harm.
    await setAddress('add', addresses.host.ip)
    daemon.send(snapshot(2, view(...ports)))
    await enforced(daemon, 2)
  } finally {
    await setAddress('del', '198.18.0.77')
    await setAddress('replace', addresses.host.ip)
  }
})
