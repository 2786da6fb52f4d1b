/** A running `ringwall agent` in a namespace: its policy file, its log, its end. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Namespace } from '../../lab/netns.ts'
import { ringwallProgram } from './ringwall.ts'
import { slowness } from './slowness.ts'

export interface AgentOptions {
  readonly namespace: Namespace
  /** A policy document (JSON is YAML), or the text of the file as it is. */
  readonly policy?: unknown
  /** The state directory of an agent that has joined a daemon; it has no policy file then. */
  readonly linkedIn?: string
  /** Further arguments; metrics are served nowhere unless a flag says otherwise. */
  readonly flags?: readonly string[]
  /** The policy file, for one that a test looks after itself; in a folder of its own where left out. */
  readonly policyPath?: string
  /** Put before the command, `['env', 'PATH=…']`. */
  readonly prefix?: readonly string[]
  /** Wait until the policy is in force; true where left out. */
  readonly awaitInForce?: boolean
}

/** One line of the log. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  /** When it was read, on performance.now()'s clock. */
  readonly atMs: number
  /** Why a change was made; with `change`, `judgedAgain` and `seconds` in the lines that tell of one. */
  readonly cause?: string
  readonly change?: string
  readonly judgedAgain?: readonly string[]
  readonly changedBy?: string
  readonly faults?: readonly string[]
  readonly retryInMs?: number
  readonly error?: { readonly kind?: string; readonly message: string }
  readonly [field: string]: unknown
}

export interface TestAgent extends AsyncDisposable {
  readonly pid: number
  readonly policyPath: string
  /** Every line so far. */
  readonly log: readonly LogLine[]
  /** What it wrote to standard error. */
  stderr(): string
  /** The first matching line after the first `from` lines. @throws {Error} with the log if none comes in time */
  line(matches: (line: LogLine) => boolean, options?: WaitOptions): Promise<LogLine>
  /** Renames a new file over the policy, without waiting for anything. */
  writePolicy(policy: unknown): Promise<void>
  /** The same, and waits until the change is in force: for policies that differ in what they mean. */
  replacePolicy(policy: unknown): Promise<Replaced>
  /** @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>
}

export interface WaitOptions {
  /** How many lines of the log to leave out; none where left out. */
  readonly from?: number
  /** 60,000 where left out. */
  readonly timeoutMs?: number
}

export interface Replaced {
  /** From the rename to the agent's line. */
  readonly tookMs: number
  readonly line: LogLine
}

/** A busy machine must not fail a test. */
const waitMs = 60_000

export const isInForce = (line: LogLine): boolean => line.change !== undefined
/** A device came, went or has another name; it may have been seen when the table was read back. */
export const isBound = (line: LogLine): boolean =>
  isInForce(line) && (line.cause === 'device' || line.cause === 'check')
export const isHealed = (line: LogLine): boolean => line.change !== undefined && line.cause === 'drift'

export async function startAgent(options: AgentOptions): Promise<TestAgent> {
  const { namespace, policy, flags = [], prefix = [], awaitInForce = true } = options
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-agent-'))
  const policyPath = options.policyPath ?? join(folder, 'policy.json')
  if (options.policyPath === undefined && options.linkedIn === undefined) await writeFile(policyPath, textOf(policy))
  const metrics = flags.includes('--metrics-address') ? [] : ['--metrics-address', 'none']
  const source = options.linkedIn === undefined ? ['--policy', policyPath] : ['--state-dir', options.linkedIn]
  const [program, ...args] = [...prefix, ringwallProgram, 'agent', ...source, ...metrics, ...flags]
  const child = namespace.spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const reader = readLog(child)
  const ended = once(child, 'close') as Promise<[number | null]>

  const line: TestAgent['line'] = (matches, { from = 0, timeoutMs = waitMs } = {}) =>
    reader.find(matches, from, timeoutMs * slowness)

  const writePolicy = async (next: unknown) => {
    await writeFile(`${policyPath}.new`, textOf(next))
    await rename(`${policyPath}.new`, policyPath)
  }

  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    const [exitCode] = await ended
    await rm(folder, { recursive: true, force: true })
    return exitCode
  }

  const agent: TestAgent = {
    pid: child.pid!,
    policyPath,
    log: reader.log,
    stderr: reader.stderr,
    line,
    writePolicy,
    async replacePolicy(next) {
      const from = reader.log.length
      await writePolicy(next)
      const writtenAtMs = performance.now()
      // The line of an earlier change may not have been read yet where it was one that nobody waited for.
      const isOther = ({ cause, msg }: LogLine) => cause === 'device' || msg === 'kept in force'
      const told = await line(each => isInForce(each) && !isOther(each), { from })
      return { tookMs: told.atMs - writtenAtMs, line: told }
    },
    stop: (signal = 'SIGTERM') => end(signal),
    async kill() {
      await end('SIGKILL')
    },
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
    },
  }
  try {
    if (awaitInForce) await line(isInForce)
    return agent
  } catch (error) {
    await agent.kill()
    throw error
  }
}

function textOf(policy: unknown): string {
  return typeof policy === 'string' ? policy : JSON.stringify(policy)
}

function readLog(child: ChildProcess) {
  const log: LogLine[] = []
  const waiting = new Set<() => void>()
  let stderr = ''
  let ended = false
  const wake = () => {
    for (const each of waiting) each()
  }
  createInterface({ input: child.stdout! }).on('line', text => {
    log.push({ ...JSON.parse(text), atMs: performance.now() })
    wake()
  })
  child.stderr!.on('data', chunk => {
    stderr += chunk
  })
  child.once('close', () => {
    ended = true
    wake()
  })
  return {
    log,
    stderr: () => stderr,
    find(matches: (line: LogLine) => boolean, from: number, timeoutMs: number): Promise<LogLine> {
      return new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer)
          waiting.delete(look)
          settle()
        }
        const fail = (reason: string) =>
          finish(() => {
            const lines = log.slice(from).map(line => JSON.stringify(line))
            reject(new Error(`${reason}; its log since:\n${lines.join('\n')}\n${stderr}`))
          })
        const look = () => {
          const found = log.slice(from).find(matches)
          if (found !== undefined) finish(() => resolve(found))
          else if (ended) fail('The agent ended before the line came')
        }
        const timer = setTimeout(() => fail(`No such line from the agent within ${timeoutMs} ms`), timeoutMs)
        waiting.add(look)
        look()
      })
    },
  }
}
