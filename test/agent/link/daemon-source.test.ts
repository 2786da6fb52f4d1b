/** What a linked agent makes of the daemon's messages and answers, with the kernel played by the test. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { LockoutError } from '../../../agent/guard/error.ts'
import { DaemonSource } from '../../../agent/link/daemon-source.ts'
import { openKeptView } from '../../../agent/link/kept-view.ts'
import { makeKey } from '../../../agent/link/keys.ts'
import { createMetrics } from '../../../agent/metrics.ts'
import { NftError } from '../../../agent/nft/errors.ts'
import type { Outcome } from '../../../agent/reconcile/loop.ts'
import { createReporter } from '../../../agent/report.ts'
import { openStateDir } from '../../../agent/state-dir.ts'
import { createLogger } from '../../../common/log.ts'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import type { Rescue } from '../../../rules-compiler/model/policy.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import type { ToAgent } from '../../../wire/messages.ts'
import type { ViewObject } from '../../../wire/view.ts'
import { certify } from '../../support/certificates.ts'
import { watchFiles } from '../../support/failing-files.ts'
import { type AgentConnection, Inbox, type ScriptedDaemon, startScriptedDaemon } from '../../support/scripted-daemon.ts'
import { eventually } from '../../support/sessions.ts'
import { acceptPort, eniObject, groupObject, smallView } from '../../support/view-objects.ts'

let folder: string
let daemon: ScriptedDaemon
let key: ReturnType<typeof makeKey>
let certificate: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-source-'))
  daemon = await startScriptedDaemon()
  key = makeKey()
  certificate = await daemon.certifyAgent(key.publicKey)
})
afterEach(async () => {
  await daemon[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

interface SourceTestOptions {
  /** The kernel has a table of ours. */
  readonly stands?: boolean
  /** At the moment at which a policy is handed on. */
  readonly onPolicy?: () => void
  readonly onConfirm?: () => void
  readonly rescue?: readonly Rescue[]
}

/** A source at work, and the policies it asked for. */
async function startSource(options: SourceTestOptions = {}) {
  const metrics = createMetrics()
  const lines: { readonly level: string; readonly msg: string }[] = []
  const log = createLogger('test', 'info', { write: line => lines.push(JSON.parse(line)) })
  const reporter = createReporter(log, metrics)
  const policies = new Inbox<PolicyIr>('policy')
  const source = new DaemonSource({
    credentials: {
      daemonUrl: daemon.url,
      agentId: 'agent-1',
      privateKey: key.privateKey,
      certificate,
      caCertificate: daemon.authority.certificate,
    },
    folder,
    stateDir: openStateDir(folder),
    rescue: options.rescue ?? [],
    rescuePorts: [22, 2222, 22],
    // A busy disk is waited for: else what is in force may not be on disk yet.
    diskPatienceMs: 3_600_000,
    log,
    reporter,
    registry: metrics.registry,
    nft: { nftVersion: '1.0.6', capabilities: { 'ct tuple': 'json' } },
    sink: {
      setPolicy(ir) {
        options.onPolicy?.()
        policies.put(ir)
      },
      settled: async () => {},
      confirm: () => options.onConfirm?.(),
      stands: async () => options.stands ?? false,
    },
  })
  await source.start()
  /** The kernel's part. */
  const ends = (outcome: Outcome) => {
    reporter.report(outcome, '')
    source.noteOutcome(outcome)
  }
  return {
    source,
    lines,
    policies,
    health: () => reporter.health(),
    nextPolicy: () => policies.take(() => true),
    enforce(ir: PolicyIr, options: { readonly bound?: boolean; readonly cause?: 'policy' | 'check' | 'device' } = {}) {
      const { bound = true, cause = 'policy' } = options
      const bindings = new Map(bound ? ir.enis.map(({ id, device }) => [id, { index: 1, device }]) : [])
      const reached = { cause, policy: ir, ruleset: compile(ir), bindings, lacking: null }
      ends({ kind: 'unchanged', ...reached, seconds: 0.25, nftSeconds: 0.125 })
    },
    tell: ends,
    refuse(retryInMs = 250) {
      const error = new NftError('busy', 'add rule', 'Error: Device or resource busy')
      ends({ kind: 'refused', cause: 'policy', error, retryInMs })
    },
    async [Symbol.asyncDispose]() {
      await source.close()
      await source.settled()
    },
  }
}

const snapshot = (revision: number, objects: readonly ViewObject[] = smallView()): ToAgent => ({
  type: 'snapshot',
  storeId: 's',
  revision,
  objects,
})
const delta = (revision: number, set: readonly ViewObject[] = []): ToAgent => ({
  type: 'delta',
  storeId: 's',
  revision,
  set,
  remove: [],
  members: [],
})
const opens = (port: number) => groupObject('sg-1', [acceptPort(port)])
/** Names a group that the view does not have. */
const broken = groupObject('sg-1', [{ ...acceptPort(1), sourceCidrIp: 'nonsense' }])

/** Type and revision of what comes next; devices of this machine may come and go meanwhile, which is reported. */
async function nextAnswer(connection: AgentConnection): Promise<string> {
  for (;;) {
    const message = await connection.any()
    if (message.type !== 'report') return 'revision' in message ? `${message.type} ${message.revision}` : message.type
  }
}

describe('an update is answered', () => {
  test('when the kernel has it, with the time it took and the state of each ENI', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    const hello = await connection.next('hello')
    assert.deepEqual([hello.view, hello.enforced], [null, null])
    assert.deepEqual(hello.report.capabilities, { 'ct-tuple': 'json', observe: 'counters' })
    const objects = [...smallView(), eniObject('eni-bare', { device: 'tap0', addresses: [], securityGroupIds: [] })]
    connection.send(
      snapshot(5, [
        ...objects,
        eniObject('eni-lost', { device: null, macAddress: '02:00:00:00:00:ff', addresses: [] }),
      ]),
    )
    const ir = await agent.nextPolicy()
    assert.deepEqual(ir.enis[0]?.controlConnections, [{ address: '127.0.0.1', port: daemon.port }])
    agent.enforce(ir)
    const { seconds, ...enforced } = await connection.next('enforced')
    assert.ok(seconds > 0 && seconds < 30)
    assert.deepEqual(enforced, {
      type: 'enforced',
      revision: 5,
      nftSeconds: 0.125,
      enis: [
        { id: 'eni-1', state: 'enforced' },
        { id: 'eni-bare', state: 'no-group' },
        { id: 'eni-lost', state: 'device-missing' },
      ],
    })
    assert.equal(agent.health().healthy, true)
  })

  test('at once where it changes nothing', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    agent.enforce(await agent.nextPolicy())
    await connection.next('enforced')
    connection.send(delta(9))
    assert.equal((await connection.next('enforced')).revision, 9)
    assert.deepEqual(agent.policies.items, [])
  })

  test('by the run under way where it changes nothing and comes before the answer', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    const ir = await agent.nextPolicy()
    connection.send(delta(9))
    while (agent.source.status().kind === 'daemon' && (agent.source.status() as { revision: number }).revision !== 9) {
      await new Promise(setImmediate)
    }
    agent.enforce(ir)
    // What is on disk is answered for: 9 is there a moment after 5.
    let { revision } = await connection.next('enforced')
    if (revision === 5) revision = (await connection.next('enforced')).revision
    assert.equal(revision, 9)
  })

  test('once, however often the kernel is looked at', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    const ir = await agent.nextPolicy()
    agent.enforce(ir)
    await connection.next('enforced')
    agent.enforce(ir, { cause: 'check' })
    await connection.next('hello')
    connection.send(delta(6))
    assert.equal(await nextAnswer(connection), 'enforced 6')
  })

  test('again when the state of an ENI changes', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    const ir = await agent.nextPolicy()
    agent.enforce(ir, { bound: false })
    assert.deepEqual((await connection.next('enforced')).enis, [{ id: 'eni-1', state: 'device-missing' }])
    agent.enforce(ir, { cause: 'device' })
    const again = await connection.next('enforced')
    assert.deepEqual([again.revision, again.enis[0]?.state, again.seconds], [5, 'enforced', 0.25])
  })

  test('not by an older policy that gets in force late', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    const first = await agent.nextPolicy()
    connection.send(delta(6, [opens(80)]))
    const second = await agent.nextPolicy()
    await connection.next('hello')
    agent.enforce(first)
    agent.enforce(second)
    assert.equal(await nextAnswer(connection), 'enforced 6')
  })
})

describe('a refusal', () => {
  test('of the kernel is told each time, and its end', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    agent.enforce(await agent.nextPolicy())
    await connection.next('enforced')
    connection.send(delta(6, [opens(80)]))
    const ir = await agent.nextPolicy()
    for (const retryInMs of [250, 500]) {
      agent.refuse(retryInMs)
      const refused = await connection.next('refused')
      assert.deepEqual([refused.revision, refused.error.kind, refused.retryInMs], [6, 'busy', retryInMs])
      assert.match(refused.error.message, /Device or resource busy/)
    }
    connection.send(delta(7))
    assert.equal((await connection.next('refused')).revision, 7)
    agent.enforce(ir, { cause: 'check' })
    assert.equal((await connection.next('enforced')).revision, 7)
  })

  test('of the checks is told, the policy before stays, and a good one ends it', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    const before = await agent.nextPolicy()
    agent.enforce(before)
    await connection.next('enforced')
    connection.send(delta(6, [broken]))
    const refused = await connection.next('refused')
    assert.deepEqual([refused.revision, refused.error.kind, refused.retryInMs], [6, 'policy', 0])
    assert.match(refused.error.message, /nonsense/)
    assert.deepEqual(agent.policies.items, [])
    assert.match(agent.health().problems.join(), /nonsense/)
    // What happens to the policy before is no news of this revision.
    agent.enforce(before, { cause: 'check' })
    agent.refuse()
    await connection.next('hello')
    connection.send(delta(7))
    assert.equal(await nextAnswer(connection), 'refused 7')
    connection.send(delta(8, [opens(80)]))
    agent.enforce(await agent.nextPolicy())
    assert.equal((await connection.next('enforced')).revision, 8)
    assert.equal(agent.health().healthy, true)
  })

  test('of two ENIs on one device is one of the checks', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5, [...smallView(), eniObject('eni-2', { addresses: [] })]))
    const { error } = await connection.next('refused')
    assert.equal(error.kind, 'policy')
    assert.match(error.message, /eth0.*a device that no other ENI is/)
    assert.equal(agent.health().healthy, false)
  })

  test('is not said of the revision before where a device mends it', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(
      snapshot(5, [...smallView(), eniObject('eni-2', { macAddress: '02:00:00:00:00:0b', addresses: [] })]),
    )
    await connection.next('refused')
    agent.source.noteLinks([{ index: 3, name: 'eth1', mac: '02:00:00:00:00:0b', up: true }])
    const ir = await agent.nextPolicy()
    assert.deepEqual(
      ir.enis.map(({ device }) => device),
      ['eth0', 'eth1'],
    )
    agent.enforce(ir)
    assert.equal((await connection.next('enforced')).revision, 5)
  })
})

test('a device that takes a MAC address over takes the ENI over', async () => {
  await using agent = await startSource()
  const connection = await daemon.connection()
  const mac = '02:00:00:00:00:0a'
  const of = (name: string, index: number) => ({ index, name, mac, up: true })
  agent.source.noteLinks([of('eth5', 5)])
  connection.send(
    snapshot(5, [
      ...smallView().filter(({ kind }) => kind !== 'eni'),
      eniObject('eni-1', { macAddress: mac, device: null }),
    ]),
  )
  const first = await agent.nextPolicy()
  agent.source.noteLinks([of('eth5', 5)])
  agent.source.noteLinks([])
  agent.source.noteLinks([of('eth6', 6)])
  const second = await agent.nextPolicy()
  assert.deepEqual(
    [first, second].map(ir => ir.enis[0]?.device),
    ['eth5', 'eth6'],
  )
})

describe('after a restart', () => {
  async function leaveBehind(revision: number): Promise<void> {
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(revision))
    agent.enforce(await agent.nextPolicy())
    await connection.next('enforced')
  }

  test('the last view is in force before anybody is asked, and goes on by deltas', async () => {
    await leaveBehind(5)
    await using agent = await startSource()
    const ir = await agent.nextPolicy()
    agent.enforce(ir)
    assert.deepEqual(
      ir.enis.map(({ id }) => id),
      ['eni-1'],
    )
    const connection = await daemon.connection()
    const { view } = await connection.next('hello')
    assert.deepEqual(view, { storeId: 's', revision: 5, keys: smallView().map(({ kind, id }) => `${kind}/${id}`) })
    connection.send(delta(6, [opens(80)]))
    const next = await agent.nextPolicy()
    assert.deepEqual(
      next.enis[0]?.ingress.rules.map(({ ports }) => ports.first),
      [80],
    )
  })

  test('also while the daemon is away', async () => {
    await leaveBehind(5)
    await daemon[Symbol.asyncDispose]()
    await using agent = await startSource()
    agent.enforce(await agent.nextPolicy())
    assert.equal(agent.health().healthy, true)
    const status = agent.source.status()
    assert.ok(status.kind === 'daemon')
    assert.deepEqual([status.connected, status.revision, status.enforcedRevision], [false, 5, 5])
  })

  const portsOf = (ir: PolicyIr) => ir.enis[0]?.ingress.rules.map(({ ports }) => ports.first)

  test('also what was acknowledged at the instant of a kill', async () => {
    const killed = `${folder}-killed`
    {
      await using agent = await startSource()
      const connection = await daemon.connection()
      connection.send(snapshot(5))
      agent.enforce(await agent.nextPolicy())
      await connection.next('enforced')
      connection.send(delta(6, [opens(80)]))
      agent.enforce(await agent.nextPolicy())
      await connection.next('enforced')
      await mkdir(killed)
      for (const name of ['view.json', 'view.log']) await copyFile(join(folder, name), join(killed, name))
    }
    await rm(folder, { recursive: true })
    await rename(killed, folder)
    await using agent = await startSource({ stands: true })
    assert.deepEqual(portsOf(await agent.nextPolicy()), [80])
    assert.equal((await (await daemon.connection()).next('hello')).view?.revision, 6)
  })

  test('what was given to the kernel last comes back; where it refuses it and has nothing, what it took last fills in', async () => {
    {
      await using agent = await startSource()
      const connection = await daemon.connection()
      connection.send(snapshot(5))
      agent.enforce(await agent.nextPolicy())
      connection.send(delta(6, [opens(80)]))
      await agent.nextPolicy()
      agent.refuse()
      await connection.next('refused')
    }
    await using agent = await startSource()
    const newest = await agent.nextPolicy()
    assert.deepEqual(portsOf(newest), [80])
    agent.refuse()
    const before = await agent.nextPolicy()
    assert.ok(portsOf(before)?.includes(443))
    agent.enforce(before)
    assert.equal(await agent.nextPolicy(), newest)
    const connection = await daemon.connection()
    assert.equal((await connection.next('hello')).view?.revision, 6)
    agent.refuse()
    agent.enforce(newest)
    connection.send(delta(6))
    assert.equal((await connection.next('enforced')).revision, 6)
    assert.deepEqual(agent.policies.items, [])
  })

  test('what the kernel refuses leaves what stands in it', async () => {
    await leaveBehind(5)
    await using agent = await startSource({ stands: true })
    const newest = await agent.nextPolicy()
    agent.refuse()
    agent.enforce(newest)
    const connection = await daemon.connection()
    connection.send(delta(6))
    assert.equal((await connection.next('enforced')).revision, 6)
    assert.deepEqual(agent.policies.items, [])
  })

  const old = [
    { name: 'whose log is missing', spoil: () => rm(join(folder, 'view.log')), held: 5 },
    { name: 'that is torn', spoil: () => writeFile(join(folder, 'view.json'), '{"storeId":"s","rev'), held: null },
    { name: 'that is gone', spoil: () => rm(join(folder, 'view.json')), held: null },
  ]
  for (const { name, spoil, held } of old) {
    test(`a view ${name} is no reason to touch what stands in the kernel, until the daemon answers`, async () => {
      await leaveBehind(5)
      await spoil()
      await using agent = await startSource({ stands: true })
      const connection = await daemon.connection()
      const { view, enforced } = await connection.next('hello')
      assert.deepEqual([view?.revision ?? null, enforced], [held, null])
      agent.source.noteLinks([])
      assert.deepEqual(agent.policies.items, [])
      assert.match(agent.source.problems().join(), /newer than the disk/)
      connection.send(held === null ? snapshot(7) : delta(7))
      agent.enforce(await agent.nextPolicy())
      assert.equal((await connection.next('enforced')).revision, 7)
      assert.deepEqual(agent.source.problems(), [])
    })

    test(`a view ${name}, or the last policy, is better than nothing in the kernel`, async () => {
      await leaveBehind(5)
      await spoil()
      await using agent = await startSource({ stands: false })
      assert.ok(portsOf(await agent.nextPolicy())?.includes(443))
      const { view } = await (await daemon.connection()).next('hello')
      assert.equal(view?.revision ?? null, held)
      assert.deepEqual(agent.source.problems(), [])
    })
  }

  test('what was faulty is not what comes back, and is asked for again', async () => {
    {
      await using agent = await startSource()
      const connection = await daemon.connection()
      connection.send(snapshot(5))
      agent.enforce(await agent.nextPolicy())
      for (const revision of [6, 7]) {
        connection.send(delta(revision, [broken]))
        await connection.next('refused')
      }
    }
    await using agent = await startSource({ stands: true })
    assert.ok(portsOf(await agent.nextPolicy())?.includes(443))
    const connection = await daemon.connection()
    assert.equal((await connection.next('hello')).view?.revision, 5)
    connection.send(delta(7, [broken]))
    await connection.next('refused')
    connection.send(delta(8, [opens(80)]))
    agent.enforce(await agent.nextPolicy())
    await connection.next('enforced')
    const { view, log } = await openKeptView(folder)
    await log?.file.close()
    assert.deepEqual([view.position?.revision, log !== null], [8, true])
  })
})

test('administrators of the host are told, are in the policy, and in what is kept of it for a boot', async () => {
  const rescue = [{ source: parseCidr('203.0.113.0/24')!, port: 22 }]
  await using agent = await startSource({ rescue })
  const connection = await daemon.connection()
  const { report } = await connection.next('hello')
  assert.deepEqual(
    { rescue: report.rescue, rescuePorts: report.rescuePorts },
    { rescue: [{ source: '203.0.113.0/24', port: 22 }], rescuePorts: [22, 2222] },
  )
  const { hostname, port } = new URL(daemon.url)
  assert.deepEqual(report.controlConnections, [{ address: hostname, port: Number(port) }])
  connection.send(snapshot(5))
  const ir = await agent.nextPolicy()
  assert.deepEqual(
    ir.enis[0]?.rescue.map(({ source, port }) => `${source.text} ${port}`),
    ['203.0.113.0/24 22'],
  )
  agent.enforce(ir)
  await connection.next('enforced')
  await agent.source.settled()
  assert.match(
    readFileSync(join(folder, 'ruleset.nft'), 'utf8'),
    /ip saddr 203\.0\.113\.0\/24 ct original proto-dst 22 /,
  )
})

test('a trial is told with the time that is left, again on a new connection, and confirmed for its own revision alone', async () => {
  let confirmed = 0
  await using agent = await startSource({ onConfirm: () => (confirmed += 1) })
  const connection = await daemon.connection()
  connection.send(snapshot(5))
  await agent.nextPolicy()
  const notice = { cuts: ['a session (a rule)'], needsPerson: true, untilMs: performance.now() + 60_000 }
  agent.tell({
    kind: 'refused',
    cause: 'policy',
    error: new LockoutError('On trial', 'lockout', notice),
    retryInMs: 60_000,
  })
  const told = await connection.next('refused')
  assert.deepEqual(told.trial, { cuts: notice.cuts, needsPerson: true })
  assert.ok(told.retryInMs <= 60_000)
  connection.drop()
  const again = await daemon.connection()
  again.send(delta(5, []))
  const retold = await again.next('refused')
  assert.deepEqual(retold.trial, told.trial)
  assert.ok(retold.retryInMs < told.retryInMs)
  again.send({ type: 'confirm', revision: 4 })
  again.send({ type: 'confirm', revision: 5 })
  await eventually(async () => assert.equal(confirmed, 1))
  const said = agent.lines.filter(({ msg }) => msg === 'an operator has confirmed the policy at the daemon')
  assert.equal(said.length, 2)
})

describe('the view is on disk before its policy is handed on', () => {
  const onDisk = () =>
    ['view.json', 'view.log']
      .map(name => join(folder, name))
      // There is no log behind a view that was written anew.
      .filter(path => existsSync(path))
      .flatMap(path => readFileSync(path, 'utf8').match(/"revision":\d+/g) ?? [])

  test('whether it came whole, as a change, or became good by a device', async () => {
    const found: string[] = []
    await using agent = await startSource({ onPolicy: () => found.push(onDisk().at(-1) ?? 'nothing') })
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    await agent.nextPolicy()
    connection.send(delta(6, [opens(80)]))
    await agent.nextPolicy()
    connection.send(delta(7, [eniObject('eni-2', { macAddress: '02:00:00:00:00:0b', addresses: [] })]))
    await connection.next('refused')
    agent.source.noteLinks([{ index: 3, name: 'eth1', mac: '02:00:00:00:00:0b', up: true }])
    await agent.nextPolicy()
    assert.deepEqual(
      found,
      [5, 6, 7].map(revision => `"revision":${revision}`),
    )
  })

  test('also where a device comes while it is being written', async () => {
    const found: string[] = []
    await using agent = await startSource({ onPolicy: () => found.push(onDisk().at(-1) ?? 'nothing') })
    const connection = await daemon.connection()
    const of = (name: string) => [{ index: 5, name, mac: '02:00:00:00:00:0a', up: true }]
    agent.source.noteLinks(of('eth5'))
    using _files = watchFiles({
      folder,
      onStep: step => {
        if (step === 'write view.json.new') agent.source.noteLinks(of('eth6'))
      },
    })
    const objects = smallView().filter(({ kind }) => kind !== 'eni')
    connection.send(snapshot(5, [...objects, eniObject('eni-1', { macAddress: '02:00:00:00:00:0a', device: null })]))
    const ir = await agent.nextPolicy()
    assert.equal(ir.enis[0]?.device, 'eth6')
    agent.enforce(ir)
    assert.equal((await connection.next('enforced')).revision, 5)
    assert.deepEqual([found, agent.policies.items], [['"revision":5'], []])
  })

  test('unless the disk is full: then it is handed on all the same, and health says so', async () => {
    let isFull = false
    using _files = watchFiles({
      folder,
      onStep(step) {
        if (isFull && /^(open|write|append)/.test(step)) throw new Error('ENOSPC: no space left on device')
      },
    })
    await using agent = await startSource()
    const connection = await daemon.connection()
    connection.send(snapshot(5))
    agent.enforce(await agent.nextPolicy())
    await connection.next('enforced')
    isFull = true
    for (const revision of [6, 7]) {
      connection.send(delta(revision, [opens(revision)]))
      agent.enforce(await agent.nextPolicy())
      assert.equal((await connection.next('enforced')).revision, revision)
    }
    assert.match(agent.source.problems().join(), /cannot be kept on disk: ENOSPC/)
    isFull = false
    await agent.source.settled()
    assert.deepEqual(agent.source.problems(), [])
  })
})

test('a certificate that has ended is a problem of the agent’s health, and it says what to do', async () => {
  const times = { fromMs: Date.now() - 7_200_000, untilMs: Date.now() - 3_600_000 }
  certificate = await certify(daemon.authority, key.publicKey, { usage: 'client', subject: 'CN=agent-1', ...times })
  const end = new X509Certificate(certificate).validToDate.toISOString()
  const again = `"ringwall agent invite --agent agent-1" at the daemon, then here "ringwall agent join ${daemon.url} --token … --force" and a restart of the agent`
  daemon.turnAway({ status: 503, body: { detail: 'not now' } })
  await using agent = await startSource()
  assert.deepEqual(agent.source.problems(), [
    `the certificate of this agent ended at ${end}; it is renewed when the daemon is reached, unless that is too long ago by then: ${again}`,
  ])
  daemon.turnAway({ status: 401, body: { reason: 'expired', detail: 'too long ago' } })
  await eventually(async () =>
    assert.deepEqual(agent.source.problems(), [
      `the certificate of this agent ended at ${end}, too long ago for the daemon to renew it; no change comes any more: ${again}`,
    ]),
  )
})

test('being revoked is a problem of the agent’s health', async () => {
  await using agent = await startSource()
  const connection = await daemon.connection()
  connection.send(snapshot(5))
  agent.enforce(await agent.nextPolicy())
  assert.deepEqual(agent.source.problems(), [])
  connection.send({ type: 'goodbye', code: 'revoked', message: 'cut off' })
  await connection.closed
  assert.deepEqual(agent.source.problems(), ['the daemon has revoked this agent; join again with a new token'])
})
