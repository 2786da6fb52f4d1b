/**
 * The daemon's process: the real store, state and push side, as daemon/daemon.ts puts them together, without REST API
 * and audit log. The first start fills the store and writes the agents' credentials.
 */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { createLogger } from '../../common/log.ts'
import { keyOf } from '../../daemon/model/documents.ts'
import { type Authority, openAuthority } from '../../daemon/pki/authority.ts'
import { Push } from '../../daemon/push/push.ts'
import { Executor } from '../../daemon/services/executor.ts'
import { World } from '../../daemon/state/world.ts'
import { openSqliteStore, type SqliteStore } from '../../daemon/store/sqlite.ts'
import type { Write } from '../../daemon/store/store.ts'
import type { DaemonStart, FleetCredentials, FromDaemonProcess, ToDaemonProcess } from './messages.ts'
import { agentIdOf, fleetWrites, reportOf, sharedMember } from './scene.ts'

const { folder, agents, port } = JSON.parse(process.argv[2]!) as DaemonStart
const weekMs = 7 * 24 * 3600 * 1000
const startedAt = performance.now()

const isNew = !existsSync(join(folder, 'store.db'))
const store = await openSqliteStore(join(folder, 'store.db'))
const authority = await openAuthority(store)
if (isNew) await fill(store, authority)
const world = new World(await store.list(''))
const registry = new Registry()
const push = await Push.start({
  store,
  world,
  authority,
  executor: new Executor({ store, world, now: Date.now }),
  registry,
  memberLog: { readFrom: await store.oldestWithin(16 * 1024 * 1024) },
  logger: createLogger('bench-daemon', 'error'),
  host: '127.0.0.1',
  port,
  // In the field every agent has an address of its own; here they share one.
  options: { maxStrangersPerAddress: 4096 },
})
await store.watch(world.revision + 1, commit => {
  const impact = push.impactOf(commit.changes)
  world.apply(commit)
  push.committed(commit, impact)
})
process.on('message', (message: ToDaemonProcess) => void answer(message))
tell({ type: 'ready', port: push.port, startMs: performance.now() - startedAt })
watchSync()

async function answer(message: ToDaemonProcess): Promise<void> {
  if (message.type === 'measure') {
    await measure()
    return
  }
  const begun = performance.now()
  const result = await store.commit({ writes: [sharedMember(message.member)] })
  const commitMs = performance.now() - begun
  if (result.kind !== 'committed') throw new Error('the commit was refused')
  const { enforced } = await push.awaitEnforced(result.revision, 120_000)
  tell({ type: 'changed', commitMs, enforcedMs: performance.now() - begun, enforced })
}

async function measure(): Promise<void> {
  // What is garbage says nothing of what an agent costs.
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const sent = (await registry.getSingleMetric('ringwall_daemon_updates_sent_total')!.get()).values
  const count = (kind: string) => sent.find(({ labels }) => labels.kind === kind)?.value ?? 0
  tell({
    type: 'measured',
    residentBytes: rss,
    heapBytes: heapUsed,
    cpuMs: (user + system) / 1000,
    atMs: performance.now(),
    snapshots: count('snapshot'),
    deltas: count('delta'),
  })
}

/** Looked at often enough for seconds, and seldom enough to cost nothing. */
function watchSync(): void {
  let was = false
  setInterval(async () => {
    const states = (await registry.getSingleMetric('ringwall_daemon_agents')!.get()).values
    const isNow = states.find(({ labels }) => labels.state === 'in-sync')?.value === agents
    if (isNow && !was) tell({ type: 'all-in-sync' })
    was = isNow
  }, 20)
}

async function fill(into: SqliteStore, { certificate: caCertificate }: Authority): Promise<void> {
  const lines: string[] = []
  const writes: Write[] = [...fleetWrites(agents)]
  for (let index = 0; index < agents; index += 1) {
    const agentId = agentIdOf(index)
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'der' },
    })
    const { certificate, serialNumber, notAfterMs } = await authority.issueAgentCertificate(
      agentId,
      publicKey,
      weekMs,
      Date.now(),
    )
    const credentials: FleetCredentials = { agentId, privateKey, certificate, caCertificate }
    lines.push(JSON.stringify(credentials))
    const certificates = [{ serialNumber, notAfterMs }]
    const doc = {
      id: agentId,
      hostName: agentId,
      status: 'active',
      certificates,
      report: reportOf(agentId),
      createdAtMs: 1,
      revokedAtMs: null,
    }
    writes.push({ key: keyOf('agent', agentId), value: doc })
  }
  await into.commit({ writes })
  await writeFile(join(folder, 'credentials'), lines.join('\n'))
}

function tell(message: FromDaemonProcess): void {
  process.send?.(message)
}
