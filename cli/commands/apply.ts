/** `ringwall apply FILE`: the policy into the kernel of this network namespace, once. */
import type { Untracked } from '../../agent/conntrack/open-sessions.ts'
import { findCuts } from '../../agent/guard/judge.ts'
import { readPanic } from '../../agent/guard/panic.ts'
import { listSessions } from '../../agent/guard/sessions.ts'
import { textsOf } from '../../agent/guard/weigh.ts'
import { createRequestHandler, jsonReply } from '../../agent/http.ts'
import { acquireLock } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { type HostParts, hostParts, probeHost } from '../../agent/reconcile/host.ts'
import { type Outcome, reconcileOnce } from '../../agent/reconcile/loop.ts'
import { takeSnapshot } from '../../agent/snapshot.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { numberFlag, onlyFile, parseArguments } from '../arguments.ts'
import type { Command, Io } from '../command.ts'
import { findStateDir, type HostFlags, hostFlagsHelp, hostPolicyFlags, loadHostPolicy } from '../host-agent.ts'
import { isTerminal } from '../output/terminal.ts'
import { confirmSignal, standingOf } from './confirm.ts'

const usage = `usage: ringwall apply FILE [--dry-run] [--confirm SECONDS] [--rescue LIST] [--config FILE]

Loads a policy file into the kernel of this network namespace, as the smallest change from what stands there. What
judges packets is always the old policy or the new one, whole. Sessions that the new policy no longer allows are cut
at their next packet; all others go on untouched.

  --dry-run           say what would change, and change nothing
  --confirm SECONDS   put the old state back unless confirmed in time: press Enter here, or run
                      "ringwall confirm" from a new connection, which proves that you can still get in.
                      Losing this terminal counts as not confirmed. If left out, at a terminal or by SSH, so is
                      what would cut a live session to a port by which this host is administered, as guardSeconds
                      and rescuePort of the agent have it; 0 puts in force whatever it cuts
${hostFlagsHelp(22)}
Exit codes: 0 in force; 1 refused, or rolled back; 2 the file has faults (nothing was changed).
`

const options = {
  'dry-run': { type: 'boolean' },
  confirm: { type: 'string' },
  ...hostPolicyFlags,
} as const

const confirmSeconds = [0, 3600] as const
const lossSignals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

export const command: Command = { name: 'apply', summary: 'load a policy file into the kernel', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  const wanted = values.confirm === undefined ? null : numberFlag('confirm', values.confirm, confirmSeconds)
  const { policy, settings } = await loadHostPolicy(onlyFile(positionals), values, io)
  const { rescuePort, guardSeconds } = settings
  const ir = resolvePolicy(policy)
  for (const { id, device } of ir.unattachedEnis) {
    io.stdout.write(`ENI ${id} has no security group: device "${device}" is left alone.\n`)
  }
  const cuts = wanted === null && guardSeconds > 0 ? await cutsOf(ir, rescuePort, io) : []
  for (const cut of cuts) io.stdout.write(`It would cut ${cut}.\n`)
  const seconds = wanted ?? (cuts.length > 0 && somebodyIsThere(io) ? guardSeconds : 0)
  if (values['dry-run']) return report(await reconcileOnce(ir, { ...hostParts(createNft()), dryRun: true }), io)

  const trial: Told = { waits: false }
  const handler = createRequestHandler({ '/guard': () => jsonReply(200, standingOf(trial)) }, () => {})
  const lock = await acquireLock('apply', { handler })
  try {
    const since = await openSince(values)
    if (since !== null) {
      io.stderr.write(`Cannot apply: this host is open since ${since}, until "ringwall panic --undo".\n`)
      return 1
    }
    const nft = createNft()
    const { parts } = await probeHost(nft)
    if (!parts.canLog && (ir.logging.drops || ir.logging.sessions)) {
      io.stderr.write('This kernel has no NFLOG (nfnetlink_log): the policy is applied, and nothing is logged.\n')
    }
    if (seconds === 0) return report(await reconcileOnce(ir, parts), io)
    return await applyOnTrial({ ir, parts, seconds, trial }, io)
  } finally {
    await lock.release()
  }
}

/** No agent runs: we hold the lock. Null where no administrator has it open, or that cannot be read: an agent would not find it either. */
async function openSince(flags: HostFlags): Promise<string | null> {
  const { folder } = await findStateDir(flags, null)
  return (await readPanic(folder).catch(() => null))?.since ?? null
}

/** A program that starts it has nobody to ask, and waits for it to end. */
function somebodyIsThere({ stdin }: Io): boolean {
  return isTerminal(stdin) || process.env.SSH_CONNECTION !== undefined
}

/** Which live sessions of administrators it would cut, in words; what stands lets through what is alive. */
async function cutsOf(ir: PolicyIr, rescuePorts: readonly number[], io: Io): Promise<readonly string[]> {
  // The port that this terminal comes in by, where sshd says so.
  const own = Number(process.env.SSH_CONNECTION?.split(' ')[3]) || []
  try {
    const sessions = await listSessions({ way: null, rescuePorts: [...new Set(rescuePorts.concat(own))] })
    return textsOf(findCuts('unknown', ir, sessions))
  } catch (error) {
    io.stderr.write(`${(error as Error).message}\n`)
    return []
  }
}

/** What `ringwall confirm` is told. */
interface Told {
  waits: boolean
}

interface Attempt {
  readonly ir: PolicyIr
  readonly parts: HostParts
  readonly seconds: number
  readonly trial: Told
}

async function applyOnTrial({ ir, parts, seconds, trial }: Attempt, io: Io): Promise<number> {
  const snapshot = await takeSnapshot(parts.nft, parts.jsonCtTimeout)
  // Listening from before the change on: what it cuts may be the way to this terminal.
  using answer = new TrialAnswer(io, trial)
  const outcome = await reconcileOnce(ir, parts)
  const exitCode = report(outcome, io)
  if (outcome.kind !== 'applied') return exitCode
  io.stdout.write(`Confirm within ${seconds} s: press Enter, or run "ringwall confirm" from a new connection.\n`)
  if (await answer.within(seconds)) {
    io.stdout.write('Confirmed.\n')
    return 0
  }
  try {
    await snapshot.restore()
  } catch (error) {
    io.stderr.write(`Not confirmed, and the state before cannot be put back: ${(error as Error).message}\n`)
    return 1
  }
  io.stderr.write('Not confirmed: the state before is in force again.\n')
  return 1
}

/** @returns the exit code */
function report(outcome: Outcome, io: Io): number {
  switch (outcome.kind) {
    case 'refused':
      io.stderr.write(`Cannot apply; what stood in the kernel stays: ${outcome.error.message}\n`)
      return 1
    case 'unchanged':
      io.stdout.write('Nothing to change: the policy is in force.\n')
      return 0
    case 'planned':
      io.stdout.write(`Would change: ${outcome.summary}\n`)
      return 0
    case 'applied':
      io.stdout.write(`In force after ${Math.round(outcome.seconds * 1000)} ms: ${outcome.summary}\n`)
      if (outcome.untracked !== null) io.stderr.write(untrackedText(outcome.untracked))
      return 0
    default:
      return outcome satisfies never
  }
}

function untrackedText({ sessions, reason }: Untracked): string {
  const which =
    sessions === null ? 'sessions that were open before' : `the ${sessions} TCP sessions that were open before`
  return `Cannot enter ${which} into connection tracking (${reason}): one whose far end speaks first may be cut.\n`
}

/** Whether Enter, or `ringwall confirm` elsewhere, comes in time and before the terminal goes. */
class TrialAnswer {
  readonly #stdin: Io['stdin']
  readonly #told: Told
  readonly #given = Promise.withResolvers<boolean>()
  readonly #confirm = () => this.#given.resolve(true)
  readonly #giveUp = () => this.#given.resolve(false)

  constructor({ stdin }: Io, told: Told) {
    this.#stdin = stdin
    this.#told = told
    told.waits = true
    // Standard input that is no terminal ends at once; only a line typed is a confirmation.
    stdin.on('data', this.#confirm)
    // Reading from a terminal that is gone is an error (EIO).
    stdin.on('error', this.#giveUp)
    // To the end of the process: one that comes too late must not end it while the state before is put back.
    process.on(confirmSignal, this.#confirm)
    for (const signal of lossSignals) process.on(signal, this.#giveUp)
  }

  within(seconds: number): Promise<boolean> {
    const timer = setTimeout(this.#giveUp, seconds * 1000)
    return this.#given.promise.finally(() => clearTimeout(timer))
  }

  [Symbol.dispose](): void {
    this.#told.waits = false
    this.#stdin.off('data', this.#confirm)
    this.#stdin.off('error', this.#giveUp)
    this.#stdin.pause()
    for (const signal of lossSignals) process.off(signal, this.#giveUp)
  }
}
