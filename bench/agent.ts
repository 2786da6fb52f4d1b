/** What the agent costs at rest, and how long a change of its policy file takes to stand in the kernel. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { connect, createNamespace, type Namespace } from '../lab/netns.ts'
import { makePolicy, memberAddresses, mixedRulesAnd } from './policies.ts'
import { median } from './statistics.ts'
import { type Depth, figure, type Section } from './table.ts'

const command = join(import.meta.dirname, '..', 'ringwall')
/** Clock ticks of /proc times on every Linux that Node runs on (USER_HZ). */
const ticksPerSecond = 100

export async function measureAgent(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 3 : 15
  const restSeconds = depth === 'quick' ? 5 : 20
  const rows = []
  for (const members of [100, 10_000, 50_000]) {
    rows.push([members.toLocaleString('en'), ...(await measureSize(members, rounds, restSeconds))])
  }
  return [
    {
      heading: 'Agent: 1,000 rules, from the policy file to the kernel',
      columns: [
        'members',
        'start to in force, ms',
        'one member more, ms (longest)',
        'one rule more, ms (longest)',
        'resident at rest, MiB (with its children)',
        'CPU at rest, ms a second',
      ],
      rows,
      notes: ['From the rename over the file to the line in the agent’s log that says "in force".'],
    },
  ]
}

async function measureSize(members: number, rounds: number, restSeconds: number): Promise<readonly string[]> {
  await using host = await createNamespace('agent')
  await using peer = await createNamespace('agent-peer')
  await connect({ namespace: host, device: 'eth0' }, { namespace: peer, device: 'c0' })
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  const file = new PolicyFile(folder)
  try {
    await file.prepare(members, 0)
    await file.replace()
    const begun = performance.now()
    await using agent = new RunningAgent(host, file.path)
    const start = (await agent.inForce()) - begun
    const memberMs = []
    const ruleMs = []
    for (let round = 1; round <= rounds; round += 1) {
      memberMs.push(await timeChange(agent, file, members + round, round - 1))
      ruleMs.push(await timeChange(agent, file, members + round, round))
    }
    const rest = await agent.rest(restSeconds)
    const withLongest = (values: readonly number[]) => `${figure(median(values))} (${figure(Math.max(...values))})`
    return [
      figure(start),
      withLongest(memberMs),
      withLongest(ruleMs),
      `${figure(rest.residentMib)} (${figure(rest.residentMibWithChildren)})`,
      figure(rest.cpuMsPerSecond),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function timeChange(agent: RunningAgent, file: PolicyFile, members: number, extraRules: number): Promise<number> {
  await file.prepare(members, extraRules)
  // What the change before has left for later, garbage collection too, is not this change's.
  await setTimeout(200)
  const begun = performance.now()
  const done = agent.inForce()
  await file.replace()
  return (await done) - begun
}

class PolicyFile {
  readonly path: string

  constructor(folder: string) {
    this.path = join(folder, 'policy.json')
  }

  prepare(members: number, extraRules: number): Promise<void> {
    const policy = makePolicy(mixedRulesAnd(extraRules, 1000, 'tcp'), { members: memberAddresses(members) })
    return writeFile(`${this.path}.next`, JSON.stringify(policy))
  }

  replace(): Promise<void> {
    return rename(`${this.path}.next`, this.path)
  }
}

interface Rest {
  readonly residentMib: number
  readonly residentMibWithChildren: number
  readonly cpuMsPerSecond: number
}

class RunningAgent implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #waiting: ((atMs: number) => void)[] = []

  constructor(namespace: Namespace, policyPath: string) {
    const args = ['agent', '--policy', policyPath, '--metrics-address', 'none']
    this.#process = namespace.spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.#process.stdout! }).on('line', line => {
      if (line.includes('"msg":"in force"')) this.#waiting.shift()?.(performance.now())
    })
  }

  /** @returns when the agent next says so, on performance.now()'s clock. @throws {Error} if it does not within 30 s */
  async inForce(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#waiting.push(resolve)
    const limit = new AbortController()
    const late = setTimeout(30_000, null, { signal: limit.signal }).then(() => {
      throw new Error('The agent did not say "in force" within 30 seconds')
    })
    late.catch(() => {})
    try {
      return await Promise.race([promise, late])
    } finally {
      limit.abort()
    }
  }

  async rest(seconds: number): Promise<Rest> {
    const pid = this.#process.pid!
    // The last change's work, and the first garbage collection after it, is not rest.
    await setTimeout(3000)
    const before = await cpuTicks(pid)
    await setTimeout(seconds * 1000)
    const ticks = (await cpuTicks(pid)) - before
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
    const own = await residentMib(pid)
    const theirs = await Promise.all(children.map(child => residentMib(Number(child))))
    return {
      residentMib: own,
      residentMibWithChildren: theirs.reduce((sum, value) => sum + value, own),
      cpuMsPerSecond: (ticks * 1000) / ticksPerSecond / seconds,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGTERM')
    await ended
  }
}

/** User and system time of a process, and of its children that have ended (proc_pid_stat(5), fields 14 to 17). */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0)
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024
}
