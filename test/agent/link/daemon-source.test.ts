/** What a linked agent makes of the daemon's messages and answers, with the kernel played by the test. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DaemonSource } from '../../../agent/link/daemon-source.ts'
import { makeKey } from '../../../agent/link/keys.ts'
import { createMetrics } from '../../../agent/metrics.ts'
import { NftError } from '../../../agent/nft/errors.ts'
import type { Outcome } from '../../../agent/reconcile/loop.ts'
import { createReporter } from '../../../agent/report.ts'
import { openStateDir } from '../../../agent/state-dir.ts'
import { createLogger } from '../../../common/log.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import type { ToAgent, ToDaemon } from '../../../wire/messages.ts'
import type { ViewObject } from '../../../wire/view.ts'
import { Inbox, type ScriptedDaemon, startScriptedDaemon } from '../../support/scripted-daemon.ts'
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

/** A source at work, and the policies it asked for. */
async function startSource() {
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
    log,
    reporter,
    registry: metrics.registry,
    nft: { nftVersion: '1.0.6', capabilities: { 'ct tuple': 'json' } },
    sink: { setPolicy: ir => policies.put(ir), settled: async () => {} },
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

function revisionOf(message: ToDaemon): string {
  return 'revision' in message ? `${message.type} ${message.revision}` : message.type
}

describe('an update is answered', () => {
  test('when the kernel has it, with the time it took and the state of each ENI', async () => {
    await using agent = await startSource()
    const connection = await daemon.connection()
    const hello = await connection.next('hello')
    assert.deepEqual([hello.view, hello.enforced], [null, null])
    assert.deepEqual(hello.report.capabilities, { 'ct-tuple': 'json' })
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
    assert.equal((await connection.next('enforced')).revision, 9)
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
    assert.equal(revisionOf(await connection.any()), 'enforced 6')
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
    assert.equal(revisionOf(await connection.any()), 'enforced 6')
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
    assert.equal(revisionOf(await connection.any()), 'refused 7')
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

  test('a view that does not belong to the policy is not taken; the policy is', async () => {
    await leaveBehind(5)
    const policy = JSON.parse(await readFile(join(folder, 'policy.last-good'), 'utf8'))
    await writeFile(join(folder, 'policy.last-good'), JSON.stringify({ ...policy, settings: { sessionTimeout: 77 } }))
    await using agent = await startSource()
    assert.equal((await agent.nextPolicy()).sessionTimeoutSeconds, 77)
    assert.equal((await (await daemon.connection()).next('hello')).view, null)
  })

  test('a torn view is not taken; the policy is', async () => {
    await leaveBehind(5)
    await writeFile(join(folder, 'view.json'), '{"storeId":"s","rev')
    await using agent = await startSource()
    await agent.nextPolicy()
    const { view, enforced } = await (await daemon.connection()).next('hello')
    assert.deepEqual([view, enforced], [null, null])
  })

  test('what was refused is not what comes back', async () => {
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
    const ir = await agent.nextPolicy()
    assert.ok(ir.enis[0]?.ingress.rules.some(({ ports }) => ports.first === 443))
    assert.equal((await (await daemon.connection()).next('hello')).view?.revision, 5)
  })
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
