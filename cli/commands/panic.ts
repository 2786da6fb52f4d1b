/** `ringwall panic`: opens this host and keeps it open, until that is undone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { agentConfig } from '../../agent/config.ts'
import { readPanic, removePanic, writePanic } from '../../agent/guard/panic.ts'
import { defaultStateDir } from '../../agent/link/credentials.ts'
import { acquireLock, askHolder, type Lock, LockHeldError } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { parseArguments } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'
import { findStateDir, findTrusted } from '../host-agent.ts'
import { hasTables, removeTables } from './flush.ts'

const usage = `usage: ringwall panic [--undo] [--state-dir DIR] [--config FILE]

Opens this host: removes all that is Ringwall's from the kernel, and keeps it away over restarts of the agent and the
host, until "ringwall panic --undo". Works with an agent and without. An agent says so in its log every minute, to
health checks, and to its daemon; a policy that comes meanwhile waits. For root.

  --undo            put the policy in force again
  --state-dir DIR   where the agent keeps its files; if left out, where the agent that runs here does, or its
                    configuration says; ${defaultStateDir} where that says nothing or is faulty
  --config FILE     the configuration of the agent, if it has another than ${agentConfig.file}

A disk that takes no file keeps no word: stop the agent first; the host is open then until one starts.

Exit codes: 0 done; 1 not done, not by the agent that runs here, or not kept.
`

const options = { undo: { type: 'boolean' }, 'state-dir': { type: 'string' }, config: { type: 'string' } } as const

/** Longer than an agent takes to remove a large table. */
const waitMs = 15_000
const askAgainMs = 100
/** Longer than an agent takes to put back what was removed. */
const putBackMs = 2_000
/** Longer than it takes until it has looked for a panic. */
const foundMs = 8_000

export const command: Command = { name: 'panic', summary: 'open this host at once, and keep it open', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  if (positionals[0] !== undefined) throw new UsageError(`unexpected argument "${positionals[0]}"`)
  const agent = await findTrusted('agent')
  const { folder, faults } = await findStateDir(values, agent)
  // Whoever opens a host in need must not have to mend a file first.
  for (const fault of faults) io.stderr.write(`${fault}\n`)
  if (faults.length > 0) {
    io.stderr.write(
      `The configuration of the agent has faults. Its state directory is taken to be "${folder}"; --state-dir names another.\n`,
    )
  }
  const pid = agent?.pid ?? null
  return values.undo ? undo(folder, pid, io) : open(folder, pid, io)
}

/** @param pid  of the agent; null where none runs */
async function open(folder: string, pid: number | null, io: Io): Promise<number> {
  const fault = await keepPanic(folder)
  if (pid !== null && fault !== null) {
    io.stderr.write(
      `Cannot open this host while its agent runs (pid ${pid}): "${folder}" does not take the word for it (${fault}). Stop the agent, and run this again.\n`,
    )
    return 1
  }
  if (pid !== null) {
    process.kill(pid, 'SIGHUP')
    if (!(await agentSays(isOpen => isOpen))) return disagrees(pid, folder, io)
  } else if (!(await openWithoutAgent(io))) return 1
  if (fault !== null) {
    io.stdout.write('THE HOST IS OPEN: nothing is enforced here until an agent starts, or the host boots.\n')
    io.stderr.write(`It is not kept over that: "${folder}" does not take the word for it (${fault}).\n`)
    return 1
  }
  io.stdout.write('THE HOST IS OPEN: nothing is enforced here until "ringwall panic --undo".\n')
  return 0
}

/** @returns why the disk does not have it; null where it has */
async function keepPanic(folder: string): Promise<string | null> {
  try {
    if ((await readPanic(folder)) === null) await writePanic(folder, { since: new Date().toISOString() })
    return null
  } catch (error) {
    return (error as Error).message
  }
}

async function undo(folder: string, pid: number | null, io: Io): Promise<number> {
  if ((await readPanic(folder)) === null) {
    io.stderr.write(`Nothing to undo: no panic is kept in "${folder}".\n`)
    return 1
  }
  await removePanic(folder)
  if (pid === null) {
    io.stdout.write('Undone. No agent runs here: nothing is enforced until one starts.\n')
    return 0
  }
  process.kill(pid, 'SIGHUP')
  if (!(await agentSays(isOpen => !isOpen))) return disagrees(pid, folder, io)
  io.stdout.write('Undone: the agent puts the policy in force again.\n')
  return 0
}

function disagrees(pid: number, folder: string, io: Io): number {
  io.stderr.write(
    `The agent that runs here (pid ${pid}) has not done it in ${waitMs / 1000} s. A busy one does it later, by itself; one with another --state-dir than "${folder}" never does. Its log says more; or stop it, and run this again.\n`,
  )
  return 1
}

/**
 * Whoever else holds the lock and does not answer does not keep the host closed, unless he puts rules back.
 * @returns whether it is open
 */
async function openWithoutAgent(io: Io): Promise<boolean> {
  // What is on trial is taken back first, or it would be later: into a host that is open.
  const onTrial = await findTrusted('apply')
  if (onTrial !== null) process.kill(onTrial.pid, 'SIGTERM')
  const lock = await acquireSoon(onTrial === null ? 0 : waitMs)
  const nft = createNft()
  if (!(lock instanceof LockHeldError)) {
    await removeTables(nft).finally(() => lock.release())
    return true
  }
  await removeTables(nft)
  // Who puts them back may be an agent that has not found the word yet.
  for (const untilMs = performance.now() + foundMs; performance.now() < untilMs; ) {
    await sleep(putBackMs)
    if (!(await hasTables(nft))) return true
  }
  io.stderr.write(`The rules are removed, and somebody puts them back. ${lock.message}\n`)
  return false
}

async function acquireSoon(patienceMs: number): Promise<Lock | LockHeldError> {
  const untilMs = performance.now() + patienceMs
  for (;;) {
    const lock = await acquireLock('flush').catch((error: unknown) => {
      if (error instanceof LockHeldError) return error
      throw error
    })
    if (!(lock instanceof LockHeldError) || performance.now() > untilMs) return lock
    await sleep(askAgainMs)
  }
}

async function agentSays(isWanted: (isOpen: boolean) => boolean): Promise<boolean> {
  const untilMs = performance.now() + waitMs
  while (performance.now() < untilMs) {
    const answer = await askHolder('/guard')
    if (answer?.status === 200 && isWanted((JSON.parse(answer.body) as { panic?: unknown }).panic != null)) return true
    await sleep(askAgainMs)
  }
  return false
}
