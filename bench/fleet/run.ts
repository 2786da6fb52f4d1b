/**
 * `npm run bench:fleet -- --agents 1000 [--agents 5000 …] [--quick] [--write]`: many agents and one daemon, real protocol and
 * TLS, no kernel. The daemon has a process of its own, the agents share some.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { describeMachine } from '../machine.ts'
import { median } from '../statistics.ts'
import { figure, printSection } from '../table.ts'
import { DaemonProcess } from './daemon-process.ts'
import type { AgentsStart, FromAgentsProcess } from './messages.ts'
import { enisPerAgent, rulesPerGroup, sharedMembers } from './scene.ts'

/** Descriptors of the daemon's process: containers often have 20,000. */
const maxAgents = 19_000
const agentsPerProcess = 2500
const connectionsAtOnce = 64
const { values } = parseArgs({
  options: { agents: { type: 'string', multiple: true }, quick: { type: 'boolean' }, write: { type: 'boolean' } },
})
const sizes = (values.agents ?? ['1000']).map(Number)
const wrong = sizes.find(size => !Number.isInteger(size) || size < 1 || size > maxAgents)
if (wrong !== undefined) {
  console.error(`Cannot measure so many agents: expected --agents with a number from 1 to ${maxAgents}`)
  process.exit(2)
}
const rounds = values.quick ? 3 : 9
const restMs = values.quick ? 15_000 : 45_000

interface Figures {
  readonly agents: number
  readonly connectSeconds: number
  readonly kibPerAgent: number
  readonly residentMib: number
  readonly connectCpuMs: number
  readonly changeCpuMs: number
  readonly changeMs: readonly number[]
  readonly commitMs: readonly number[]
  readonly restMsPerSecond: number
  readonly start: number
  readonly backSeconds: number
  readonly backSnapshots: number
  readonly backResumed: number
  readonly backFailures: number
  readonly backCpuSeconds: number
}

const rows: Figures[] = []
for (const size of sizes) rows.push(await measureFleet(size))
const section = printSection({
  heading: 'Fleet: agents on one daemon',
  columns: [
    'agents',
    'first connection of all, s',
    'connections a second',
    'daemon’s CPU for one, ms',
    'daemon with all, MiB',
    'memory an agent, KiB',
    'a member more, commit to all acknowledged, ms (longest)',
    'of which the commit, ms',
    'daemon’s CPU for it, ms',
    'daemon’s CPU at rest, ms a second',
    'restart of the daemon, ms',
    'all back after it, s',
    'CPU of it, s',
    'attempts in vain an agent',
    'resumed sessions, %',
    'snapshots sent',
  ],
  rows: rows.map(row => [
    row.agents.toLocaleString('en'),
    figure(row.connectSeconds),
    figure(row.agents / row.connectSeconds),
    figure(row.connectCpuMs),
    figure(row.residentMib),
    figure(row.kibPerAgent),
    `${figure(median(row.changeMs))} (${figure(Math.max(...row.changeMs))})`,
    figure(median(row.commitMs)),
    figure(row.changeCpuMs),
    figure(row.restMsPerSecond),
    figure(row.start),
    figure(row.backSeconds),
    figure(row.backCpuSeconds),
    figure(row.backFailures / row.agents),
    figure((100 * row.backResumed) / row.agents),
    row.backSnapshots.toLocaleString('en'),
  ]),
  notes: [
    `Each agent has ${enisPerAgent} ENIs in a group of ${rulesPerGroup} rules, one of which names a group of ${sharedMembers.toLocaleString('en')} members that all agents see.`,
    'The agents run on the same cores as the daemon and decrypt all that it sends.',
    'The restart is a kill -9; agents come back by themselves, with their tickets, after a random part of 0.2 s and longer each time.',
  ],
})
console.log(section)
if (values.write)
  await writeFile(join(import.meta.dirname, '..', 'FLEET.md'), `# Results: fleet\n\n${describeMachine()}\n${section}`)

async function measureFleet(agents: number): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-fleet-'))
  const children: ChildProcess[] = []
  try {
    const daemon = await DaemonProcess.start({ folder, agents, port: 0 }, children)
    const alone = await daemon.measure()
    const shares = startAgents({ credentials: join(folder, 'credentials'), port: daemon.port, agents }, children)
    await Promise.all(shares.map(share => once(share, 'message')))
    const begun = performance.now()
    const inSync = daemon.next('all-in-sync')
    await Promise.all(shares.map(countsOf))
    await inSync
    const connectSeconds = (performance.now() - begun) / 1000
    await setTimeout(2000)
    const all = await daemon.measure()
    const beforeChanges = await daemon.measure()
    const changes = []
    for (let round = 0; round < rounds; round += 1) changes.push(await daemon.change(sharedMembers + round))
    const short = changes.find(({ enforced }) => enforced !== agents)
    if (short !== undefined) throw new Error(`${short.enforced} of ${agents} agents have acknowledged a change`)
    const afterChanges = await daemon.measure()
    const atRest = await restOf(daemon)
    const before = await Promise.all(shares.map(countsOf))
    daemon.kill()
    const killed = performance.now()
    const again = await DaemonProcess.start({ folder, agents, port: daemon.port }, children)
    await again.next('all-in-sync')
    const backSeconds = (performance.now() - killed) / 1000
    const back = await again.measure()
    const after = await Promise.all(shares.map(countsOf))
    const gained = (field: 'resumed' | 'failures') => sum(after, field) - sum(before, field)
    return {
      agents,
      connectSeconds,
      kibPerAgent: (all.residentBytes - alone.residentBytes) / 1024 / agents,
      residentMib: all.residentBytes / 1024 / 1024,
      connectCpuMs: (all.cpuMs - alone.cpuMs) / agents,
      changeCpuMs: (afterChanges.cpuMs - beforeChanges.cpuMs) / rounds,
      changeMs: changes.map(({ enforcedMs }) => enforcedMs),
      commitMs: changes.map(({ commitMs }) => commitMs),
      restMsPerSecond: atRest,
      start: again.startMs,
      backSeconds,
      backSnapshots: back.snapshots,
      backResumed: gained('resumed'),
      backFailures: gained('failures'),
      backCpuSeconds: back.cpuMs / 1000,
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

async function restOf(daemon: DaemonProcess): Promise<number> {
  const from = await daemon.measure()
  await setTimeout(restMs)
  const to = await daemon.measure()
  return (1000 * (to.cpuMs - from.cpuMs)) / (to.atMs - from.atMs)
}

interface Fleet {
  readonly credentials: string
  readonly port: number
  readonly agents: number
}

function startAgents({ credentials, port, agents }: Fleet, children: ChildProcess[]): readonly ChildProcess[] {
  const processes = Math.ceil(agents / agentsPerProcess)
  const shares: ChildProcess[] = []
  for (let first = 0; first < agents; first += agentsPerProcess) {
    const count = Math.min(agentsPerProcess, agents - first)
    const start: AgentsStart = { credentials, first, count, port, atOnce: Math.ceil(connectionsAtOnce / processes) }
    shares.push(fork(join(import.meta.dirname, 'agents.ts'), [JSON.stringify(start)]))
  }
  children.push(...shares)
  return shares
}

type Counts = FromAgentsProcess

async function countsOf(share: ChildProcess): Promise<Counts> {
  share.send('counts')
  const [counts] = (await once(share, 'message')) as [Counts]
  return counts
}

function sum(counts: readonly Counts[], field: 'resumed' | 'failures'): number {
  return counts.reduce((total, each) => total + each[field], 0)
}
