/** An agent as a benchmark sees it: when its policy is in force, and what it costs. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../lab/netns.ts'

const command = join(import.meta.dirname, '..', 'ringwall')
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
  /** Of processes it has started and that have ended. */
  readonly childrenCpuMsPerSecond: number
}

export class RunningAgent implements AsyncDisposable {
  readonly #process: ChildProcess
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

  async rest(seconds: number): Promise<Rest> {
    const pid = this.#process.pid!
    // The last change's work, and the first garbage collection after it, is not rest.
    await setTimeout(3000)
    const before = await cpuTicks(pid)
    await setTimeout(seconds * 1000)
    const after = await cpuTicks(pid)
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
    const own = await residentMib(pid)
    const memory = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
    const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)?.[1]) / 1024
    const theirs = await Promise.all(children.map(child => residentMib(Number(child))))
    return {
      residentMib: own,
      proportionalMib: mebibytes('Pss'),
      anonymousMib: mebibytes('Anonymous'),
      residentMibWithChildren: theirs.reduce((sum, value) => sum + value, own),
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

/** User and system time of a process, and of its children that have ended (proc_pid_stat(5), fields 14 to 17). */
async function cpuTicks(pid: number): Promise<{ readonly own: number; readonly children: number }> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ')
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15).map(Number)
  return { own: user + system, children: childrenUser + childrenSystem }
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024
}
