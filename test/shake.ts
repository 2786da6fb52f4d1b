/**
 * Runs tests again and again while processes of theirs are stopped for short times at random, as a busy machine stops
 * them: a test that relies on who is faster fails here within minutes, and in one run of a hundred elsewhere.
 *
 * Usage: test/shake.ts [--times N] PATTERN…  patterns as those of test/run.ts
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/** How many processes are stopped at once, and what share of each one's life. */
const disturbers = 3
const stoppedShare = 0.5
/** Most stops are as short as what lies between two lines of a program; none is long against what it waits for. */
const longestStopMs = 400
const refreshMs = 100

const { values, positionals } = parseArgs({
  options: { times: { type: 'string', default: '10' } },
  allowPositionals: true,
})
const times = Number(values.times)
if (!Number.isInteger(times) || times < 1 || positionals.length === 0) {
  console.error(`Cannot shake with --times ${values.times}: expected a whole number from 1, and patterns of test files`)
  process.exit(2)
}

const stopped = new Set<number>()
process.on('exit', () => stopped.forEach(resume))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

const failures = new Map<string, number>()
for (let round = 1; round <= times; round += 1) {
  const tests = spawn(process.execPath, [`${import.meta.dirname}/run.ts`, ...positionals], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(tests, 'close')
  let output = ''
  tests.stdout.setEncoding('utf8').on('data', text => {
    output += text
  })
  await Promise.all(Array.from({ length: disturbers }, () => disturb(tests)))
  await ended
  const failed = tests.exitCode !== 0
  console.log(`${round} of ${times}: ${output.trimEnd().split('\n').at(-1)}`)
  if (!failed) continue
  console.log(output.replace(/^ ok .*\n/gm, ''))
  const names = output
    .match(/(?<=^Failed:\n)( {2}.*\n)+/m)?.[0]
    .trimEnd()
    .split('\n') ?? ['  the runner itself']
  for (const name of names) failures.set(name, (failures.get(name) ?? 0) + 1)
}
for (const [name, count] of failures) console.log(`failed ${count} of ${times}:${name}`)
process.exitCode = failures.size > 0 ? 1 : 0

async function disturb(tests: ChildProcess): Promise<void> {
  let among: number[] = []
  let readMs = -Infinity
  while (tests.exitCode === null && tests.signalCode === null) {
    if (performance.now() - readMs > refreshMs) {
      among = descendants(tests.pid!)
      readMs = performance.now()
    }
    const chosen = among[Math.floor(Math.random() * among.length)]
    const stopMs = longestStopMs ** Math.random()
    if (chosen !== undefined && !isStopped(chosen) && signal(chosen, 'SIGSTOP')) {
      stopped.add(chosen)
      await pause(stopMs)
      resume(chosen)
    }
    await pause((stopMs * (1 - stoppedShare)) / stoppedShare)
  }
}

/** By us or by a test, which would not have it go on. */
function isStopped(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') T ')
  } catch {
    return false
  }
}

function resume(pid: number): void {
  stopped.delete(pid)
  signal(pid, 'SIGCONT')
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false // It has ended meanwhile.
  }
}

/**
 * What a process has started, and what that has, but for what is on a terminal of its own: script(1) hears of a stop in
 * place of its child's end where both come together, and waits for ever, and a shell that keeps jobs sees a stop as one.
 */
function descendants(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const line of execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' }).trim().split('\n')) {
    const [pid = '', parent = '', name] = line.trim().split(/\s+/)
    if (name === 'script') continue
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(pid)])
  }
  const found: number[] = []
  const open = [root]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const below = children.get(next) ?? []
    found.push(...below)
    open.push(...below)
  }
  return found
}
