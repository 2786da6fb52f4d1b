/** An agent as a benchmark sees it: when its policy is in force, and what it costs. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../lab/netns.ts'
import type { Depth } from './table.ts'

const command = join(import.meta.dirname, '..', 'ringwall')
/** A start has given back by then what it needed (cli/run-service.ts), and what runs each second is compiled. */
const restBeginsMs = 45_000
/** After the last change: the first garbage collection is its work too. */
const settlingMs = 3000
/** Clock ticks of /proc times on every Linux that Node runs on (USER_HZ). */
const ticksPerSecond = 100

export interface Rest {
  readonly residentMib: number
  readonly residentMibWithChildren: number
  /** What is shared with other processes counts in part. */
  readonly proportionalMib: number
  /** What is no file's: it cannot be shared, nor dropped and read again. */
  readonly anonymousMib: number
  readonly cpuMsPerSecond: number
  /** Of processes it has started, the nft that stays among them. */
  readonly childrenCpuMsPerSecond: number
}

export class RunningAgent implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #startedAtMs = performance.now()
  readonly #waiting: ((atMs: number) => void)[] = []

  /** @param start  what runs `ringwall`: env(1) with variables before it, for one */
  constructor(namespace: Namespace, policyPath: string, start: readonly [string, ...string[]] = [command]) {
    const [program, ...words] = start
    const args = [...words, 'agent', '--config', 'none', '--policy', policyPath, '--metrics-address', 'none']
    this.#process = namespace.spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
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

  /** @param depth  a quick one does not wait for the start to be over */
  async rest(seconds: number, depth: Depth): Promise<Rest> {
    const pid = this.#process.pid!
    const untilRestMs = depth === 'quick' ? 0 : this.#startedAtMs + restBeginsMs - performance.now()
    await setTimeout(Math.max(settlingMs, untilRestMs))
    const before = await cpuTicks(pid)
    await setTimeout(seconds * 1000)
    const after = await cpuTicks(pid)
    const own = await residentMib(pid)
    const memory = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
    const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)?.[1]) / 1024
    const theirs = await ofChildren(pid, residentMib)
    return {
      residentMib: own,
      proportionalMib: mebibytes('Pss'),
      anonymousMib: mebibytes('Anonymous'),
      residentMibWithChildren: own + theirs,
      cpuMsPerSecond: ((after.own - before.own) * 1000) / ticksPerSecond / seconds,
      childrenCpuMsPerSecond: ((after.children - before.children) * 1000) / ticksPerSecond / seconds,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGTERM')
    await ended
  }
}

/** User and system time of a process, and of its children: those that have ended, and those that it has now. */
async function cpuTicks(pid: number): Promise<{ readonly own: number; readonly children: number }> {
  const living = await ofChildren(pid, async child => (await readTicks(child)).own)
  const { own, ended } = await readTicks(pid)
  return { own, children: ended + living }
}

/** proc_pid_stat(5), fields 14 to 17. */
async function readTicks(pid: number): Promise<{ readonly own: number; readonly ended: number }> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ')
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15).map(Number)
  return { own: user + system, ended: endedUser + endedSystem }
}

/** A sum over the children of a process; one that has ended meanwhile counts as nothing. */
async function ofChildren(pid: number, measure: (child: number) => Promise<number>): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const pids = children.trim().split(' ').filter(Boolean).map(Number)
  const values = await Promise.all(pids.map(child => measure(child).catch(() => 0)))
  return values.reduce((sum, value) => sum + value, 0)
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024
}
