/**
 * kill -9 of the daemon between and during writes: what it acknowledged is there, nothing half, the audit log has a line
 * for each commit and no more, and agents notice no more than that they had to connect again.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Note } from '../../daemon/model/note.ts'
import { viewKeysOf, viewObject } from '../../daemon/push/views.ts'
import { World } from '../../daemon/state/world.ts'
import { openSqliteStore, type SqliteStore } from '../../daemon/store/sqlite.ts'
import { CrashWriter } from '../support/crash-writer.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { enrolFake, FakeAgent, type FakeCredentials } from '../support/fake-agent.ts'
import { makeRandom } from '../support/random.ts'
import { RestClient } from '../support/rest-client.ts'

const seed = Number(process.env.RINGWALL_SEED ?? Date.now() % 2 ** 32)
// Shown where something fails.
console.log(`RINGWALL_SEED=${seed}`)
/** `npm run soak:kill` makes hundreds of them. */
const kills = Number(process.env.RINGWALL_KILLS ?? 16)
/** Half of them while hardly anything was written, half in the thick of it, however slow that is. */
const longestMs = 15
const mostWrites = 30
const writerNames = ['a', 'b', 'c'] as const

/** A host without a kernel that connects again after each kill, going on with what it holds. */
class ReturningAgent {
  readonly credentials: FakeCredentials
  readonly updates = { snapshot: 0, delta: 0 }
  agent: FakeAgent | null = null

  constructor(credentials: FakeCredentials) {
    this.credentials = credentials
  }

  async connect(port: number): Promise<void> {
    const before = this.agent
    if (before !== null) {
      await before.until(({ closed }) => closed)
      assert.equal(before.goodbye, null)
    }
    this.agent = await FakeAgent.connect(port, this.credentials, {
      view: before?.view,
      enforced: before?.view.position ?? null,
      remembers: false,
      onUpdate: ({ type }) => {
        this.updates[type] += 1
      },
    })
  }
}

test(`a daemon that is killed ${kills} times while it writes has lost nothing`, {
  timeout: 120_000 + kills * 15_000,
}, async t => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-daemon-crash-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const daemon = stack.use(new DaemonProcess(folder))
  await daemon.start()
  const random = makeRandom(seed)
  const { agents, writers } = await furnish(daemon)

  for (let killed = 1; killed <= kills || !wasInTheMiddle(writers); killed += 1) {
    assert.ok(killed <= 5 * kills, `no kill was in the middle: ${JSON.stringify(underWayOf(writers))}`)
    await Promise.all(agents.map(agent => agent.connect(daemon.agentPort)))
    const clients = writers.map(() => new RestClient(daemon))
    await Promise.all(writers.map((writer, index) => writer.settle(clients[index]!)))
    if (killed % 10 === 0) for (const writer of writers) await writer.check(clients[0]!)
    const written = writers.map((writer, index) => writer.writeUntilKilled(clients[index]!))
    const before = countWrites(writers)
    const wanted = killed % 2 === 0 ? 0 : random.integer(1, mostWrites)
    const untilWritten = async () => {
      while (countWrites(writers) < before + wanted) await setTimeout(1)
      // No event to wait for: the instant is to be any.
      await setTimeout(random.integer(0, longestMs))
    }
    await Promise.race([untilWritten(), ...written])
    await daemon.kill()
    await Promise.all(written)
    for (const client of clients) client[Symbol.dispose]()
    await daemon.start()
  }

  await Promise.all(agents.map(agent => agent.connect(daemon.agentPort)))
  using client = new RestClient(daemon)
  for (const writer of writers) {
    await writer.settle(client)
    await writer.check(client)
  }
  const { body } = await client.call('PATCH', '/v1/security-groups/sg-home?wait=enforced&timeout=30', {
    innerAccessPolicy: 'drop',
  })
  assert.deepEqual([body.enforcement.state, body.enforcement.agents], ['enforced', agents.length])
  await daemon.stop()
  assert.deepEqual(
    daemon.complaints.filter(line => JSON.parse(line).level !== 'warn'),
    [],
  )

  const acknowledged = new Set(writers.flatMap(({ revisions }) => [...revisions]))
  await checkStoreAndAudit(daemon.dataDir, acknowledged)
  await checkAgents(daemon.dataDir, agents)
  const underWay = JSON.stringify(underWayOf(writers))
  t.diagnostic(`seed ${seed}: ${acknowledged.size} acknowledged writes; under way at a kill: ${underWay}`)
  assert.ok(acknowledged.size > kills, 'hardly anything was written')
})

/** What has become of requests under way at a kill, as far as it is known. */
function underWayOf(writers: readonly CrashWriter[]) {
  const sum = { committed: 0, lost: 0, replayed: 0 }
  for (const { underWay } of writers) {
    for (const outcome of ['committed', 'lost', 'replayed'] as const) sum[outcome] += underWay[outcome]
  }
  return sum
}

/** Kills are, when a request was committed and not answered yet, and when one was not; of the first kind there are few. */
function wasInTheMiddle(writers: readonly CrashWriter[]): boolean {
  const { committed, lost, replayed } = underWayOf(writers)
  return committed + replayed > 0 && lost > 0
}

const countWrites = (writers: readonly CrashWriter[]) =>
  writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0)

/** Two hosts with an agent and one without, an ENI on each, and who writes about it. */
async function furnish(daemon: DaemonProcess) {
  using client = new RestClient(daemon)
  await client.call('POST', '/v1/security-groups', { securityGroupId: 'sg-home', innerAccessPolicy: 'accept' })
  const agents: ReturningAgent[] = []
  const writers: CrashWriter[] = []
  for (const [index, name] of writerNames.entries()) {
    const instanceId = `i-${name}`
    const eniId = `eni-${name}`
    await client.call('POST', '/v1/instances', { instanceId })
    await client.call('POST', '/v1/network-interfaces', {
      networkInterfaceId: eniId,
      instanceId,
      device: 'eth0',
      privateIpAddresses: [`198.18.0.${index + 1}`],
      securityGroupIds: ['sg-home'],
    })
    if (index < 2) {
      const { body } = await client.call('POST', '/v1/enrolment-tokens', { instanceIds: [instanceId] })
      agents.push(new ReturningAgent(await enrolFake(daemon.agentPort, body.token)))
    }
    writers.push(new CrashWriter(name, { random: makeRandom(seed + index + 1), eniId, home: 'sg-home' }))
  }
  return { agents, writers }
}

/** Every acknowledged revision was committed, and every commit has one line of the audit log. */
async function checkStoreAndAudit(dataDir: string, acknowledged: ReadonlySet<number>): Promise<void> {
  await using store = await openStore(dataDir)
  const commits = await store.history(store.oldest(), Number.MAX_SAFE_INTEGER)
  const noted = commits.filter(
    ({ note, changes }) => note !== null && changes.some(({ key }) => !key.startsWith('idempotency/')),
  )
  const revisions = noted.map(({ revision }) => revision)
  assert.deepEqual([...acknowledged.difference(new Set(revisions))], [])
  const lines = (await readFile(join(dataDir, 'audit.jsonl'), 'utf8')).split('\n')
  assert.equal(lines.pop(), '')
  const events = lines.map(line => JSON.parse(line)).filter(({ outcome }) => outcome === 'done')
  assert.deepEqual(
    events.map(({ revision }) => revision),
    revisions,
  )
  assert.deepEqual(
    events.map(({ action, requestId }) => [action, requestId]),
    noted.map(({ note }) => [(note as Note).action, (note as Note).requestId]),
  )
}

/** What an agent holds after all its reconnects is what it would be told if it knew nothing. */
async function checkAgents(dataDir: string, agents: readonly ReturningAgent[]): Promise<void> {
  await using store = await openStore(dataDir)
  const world = new World(await store.list(''))
  for (const { agent, updates, credentials } of agents) {
    const keys = viewKeysOf(world, credentials.agentId)
    const expected = new Map([...keys].sort().map(key => [key, viewObject(world, key)]))
    assert.deepEqual(new Map([...agent!.view.objects].sort()), expected)
    assert.ok(expected.size > 4)
    assert.equal(updates.snapshot, 1, 'it was told everything again')
    assert.ok(updates.delta > 0)
    agent!.break()
  }
}

async function openStore(dataDir: string): Promise<SqliteStore & AsyncDisposable> {
  const store = await openSqliteStore(join(dataDir, 'store.db'))
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() })
}
