/**
 * `ringwall agent`: on a host it joins a daemon, leaves it, and runs; its other words are an operator's, about all
 * agents of a daemon, and stand in operate-agents.ts.
 */
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, type AgentSource, startAgent } from '../../agent/agent.ts'
import {
  assertWritable,
  defaultStateDir,
  hasCredentials,
  readCredentials,
  removeCredentials,
  writeCredentials,
} from '../../agent/link/credentials.ts'
import { enrol } from '../../agent/link/enrol.ts'
import { makeHostReport } from '../../agent/link/host-report.ts'
import { findHolder } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { createLogger, logLevels } from '../../common/log.ts'
import { openServiceManager } from '../../common/sd-notify.ts'
import { nearestWord } from '../../rules-compiler/validate/nearest-word.ts'
import { addressFlag, choiceFlag, type Endpoint, numberFlag, parseArguments, requireFlag } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'
import { notifyOptions, notifyUsage, readNotifyFlags } from '../notify-flags.ts'
import { confirmSignal } from './confirm.ts'

const usage = `usage: ringwall agent [run] --policy FILE [flags]      led by a policy file
       ringwall agent [run] [--state-dir DIR] [flags]  led by the daemon this host has joined
       ringwall agent join URL --token TOKEN [--state-dir DIR] [--force]
       ringwall agent leave [--state-dir DIR] [--flush]
       ringwall agent list|show|invite|revoke|delete …  all agents of a daemon, for operators

Keeps this network namespace in agreement with a policy: applies each change as the smallest transaction, cuts sessions
that are no longer allowed, heals the ruleset when something else alters it, and follows devices that come, go or are
renamed. What has faults changes nothing: the last good ruleset stays in force, also while the daemon is away.

  --policy FILE                   policy in YAML or JSON; best replaced by renaming a finished file over it
  --metrics-address ADDRESS:PORT  where /metrics and /health are served, loopback only; 127.0.0.1:9469 if left out,
                                  "none" for nowhere
  --state-dir DIR                 where credentials and the last good policy and ruleset are kept; with --policy none
                                  are kept if left out, otherwise ${defaultStateDir}
  --on-stop keep|flush            what becomes of the ruleset when the agent stops; keep if left out
  --guard-seconds SECONDS         how long a policy that may lock out the agent or an administrator is on trial before
                                  it is taken back; 0, for no trials, if left out
  --rescue-port PORT,…            TCP ports by which this host is administered; 22 if left out, "none" for none
  --log-level LEVEL               debug, info, warn or error; info if left out
${notifyUsage(34)}

"join" has the daemon at https://HOST:PORT, its listener for agents, sign a certificate for a key made here. The token
is good for once; it names the daemon's own certificate, and nothing is sent to anybody else. "leave" forgets the
credentials; the ruleset stays.

  --token TOKEN                   as it was given out; "-" reads it from standard input, which others cannot see
  --force                         join though this host has joined already
  --flush                         remove the ruleset too

SIGHUP has it read the whole table and put right what differs. Logs are JSON, one object a line, on standard output.
"ringwall show" tells what is in force.
`

const stateDirOption = { 'state-dir': { type: 'string' } } as const

const runOptions = {
  ...stateDirOption,
  policy: { type: 'string' },
  'metrics-address': { type: 'string', default: '127.0.0.1:9469' },
  'on-stop': { type: 'string', default: 'keep' },
  'guard-seconds': { type: 'string', default: '0' },
  'rescue-port': { type: 'string', default: '22' },
  'log-level': { type: 'string', default: 'info' },
  ...notifyOptions,
} as const

const guardSeconds = [0, 3600] as const
const portRange = [1, 65_535] as const

const joinOptions = { ...stateDirOption, token: { type: 'string' }, force: { type: 'boolean' } } as const
const leaveOptions = { ...stateDirOption, flush: { type: 'boolean' } } as const

export const command: Command = {
  name: 'agent',
  summary: 'enforce here what the daemon or a policy file says; manage agents',
  usage,
  async helpFor([word = '', ...rest]) {
    const { agentNoun, agentOperations } = await import('./operate-agents.ts')
    return agentOperations.includes(word) ? agentNoun.helpFor([word, ...rest]) : usage
  },
  run: dispatch,
}

/** What this host does itself. */
const hostOperations = ['run', 'join', 'leave'] as const

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [word, ...rest] = args
  switch (word) {
    case 'run':
      return run(rest)
    case 'join':
      return join(rest, io)
    case 'leave':
      return leave(rest, io)
    default:
      return word === undefined || word.startsWith('-') ? run(args) : operateAgents(word, args, io)
  }
}

async function operateAgents(word: string, args: readonly string[], io: Io): Promise<number> {
  const { agentOperations, operate } = await import('./operate-agents.ts')
  const operations: readonly string[] = agentOperations
  if (operations.includes(word)) return operate(args, io)
  const known = [...hostOperations, ...operations]
  const nearest = nearestWord(word, known)
  const expected = nearest === null ? `one of ${known.join(', ')}, or --policy FILE` : `is "${nearest}" meant?`
  throw new UsageError(`unexpected argument "${word}": ${nearest === null ? 'expected ' : ''}${expected}`)
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments(args, runOptions)
  refuseMore(positionals)
  const stopSignal = Promise.race((['SIGTERM', 'SIGINT'] as const).map(signal => once(process, signal)))
  const log = createLogger('ringwall-agent', choiceFlag('log-level', values['log-level'], logLevels))
  const metrics = readMetricsAddress(values['metrics-address'])
  const onStop = choiceFlag('on-stop', values['on-stop'], ['keep', 'flush'])
  const notify = await readNotifyFlags(values)
  const guard = {
    seconds: numberFlag('guard-seconds', values['guard-seconds'], guardSeconds),
    rescuePorts: readPorts(values['rescue-port']),
  }
  const source = await findSource(values.policy, values['state-dir'])
  process.once('uncaughtException', error => {
    log.fatal({ error, stack: error.stack }, 'the agent ends by a fault of its own; the ruleset stays in force')
    process.exit(1)
  })
  let agent: Agent | null = null
  const manager = openServiceManager({ log, status: () => agent?.status() ?? 'starts' })
  const reload = () => void manager.reload(async () => agent?.check())
  process.on('SIGHUP', reload)
  // From before the start on: unhandled, the signal would end the agent.
  process.on(confirmSignal, () => agent?.confirm())
  agent = await startAgent({ source, metrics, onStop, notify, guard, log })
  // Who waits for us at boot waits for the policy; but where there is none to be had, for that no longer than this.
  await Promise.race([agent.inForce, stopSignal, sleep(readyWithoutPolicyMs, undefined, { ref: false })])
  await manager.ready()
  await stopSignal
  await Promise.all([manager.stopping(), agent.stop()])
  process.off('SIGHUP', reload)
  return 0
}

/** Below the unit's TimeoutStartSec: an agent that waits for its daemon must not be killed for it. */
const readyWithoutPolicyMs = 20_000

function readPorts(text: string): readonly number[] {
  return text === 'none' ? [] : text.split(',').map(port => numberFlag('rescue-port', port, portRange))
}

async function findSource(policy: string | undefined, stateDir: string | undefined): Promise<AgentSource> {
  if (policy !== undefined) {
    return {
      kind: 'file',
      policyPath: resolve(policy),
      stateDir: stateDir === undefined ? null : resolve(stateDir),
    }
  }
  const folder = resolve(stateDir ?? defaultStateDir)
  const credentials = await readCredentials(folder)
  if (credentials === null) {
    throw new UsageError(
      `missing --policy FILE: this host has joined no daemon either (no credentials in "${folder}"; "ringwall agent join" makes them)`,
    )
  }
  return { kind: 'daemon', credentials, stateDir: folder }
}

async function join(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, joinOptions)
  const [url, ...more] = positionals
  if (url === undefined) throw new UsageError('missing URL, https://HOST:PORT of the daemon’s listener for agents')
  refuseMore(more)
  const given = requireFlag('token', values.token)
  const folder = resolve(values['state-dir'] ?? defaultStateDir)
  if (!values.force && (await hasCredentials(folder))) {
    throw new Error(`Cannot join: this host has joined a daemon already ("${folder}"); --force replaces that`)
  }
  await assertWritable(folder)
  const token = given === '-' ? await text(io.stdin) : given
  const report = await makeHostReport({ nftVersion: await nftVersion(), capabilities: {} })
  const credentials = await enrol({ url, token, report })
  await writeCredentials(folder, credentials)
  io.stdout.write(`Joined ${credentials.daemonUrl} as agent ${credentials.agentId}.\n`)
  const holder = await findHolder()
  const next =
    holder?.role === 'agent'
      ? `An agent runs here already (pid ${holder.pid}): restart it.`
      : `Start it: ringwall agent${values['state-dir'] === undefined ? '' : ` --state-dir ${folder}`}`
  io.stdout.write(`${next}\n`)
  return 0
}

/** For the daemon's list of hosts; what nft can do is told when the agent runs. */
async function nftVersion(): Promise<string> {
  try {
    return await createNft().version()
  } catch {
    return 'unknown'
  }
}

async function leave(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, leaveOptions)
  refuseMore(positionals)
  const folder = resolve(values['state-dir'] ?? defaultStateDir)
  const holder = await findHolder()
  if (holder?.role === 'agent' && holder.daemonUrl !== null) {
    throw new Error(`Cannot leave: the agent runs (pid ${holder.pid}); stop it first`)
  }
  if (!(await hasCredentials(folder))) {
    throw new Error(`Cannot leave: this host has joined no daemon (no credentials in "${folder}")`)
  }
  // First what can fail, so that it can be tried again.
  const flushed = values.flush ? await flush(io) : 0
  if (flushed !== 0) return flushed
  await removeCredentials(folder)
  const ruleset = values.flush ? '' : ' What is in force stays; "ringwall flush" removes it.'
  io.stdout.write(`The credentials are gone.${ruleset} The daemon still lists the agent: revoke or delete it there.\n`)
  return 0
}

async function flush(io: Io): Promise<number> {
  const { command: flushCommand } = await import('./flush.ts')
  return flushCommand.run([], io)
}

function refuseMore([extra]: readonly string[]): void {
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`)
}

function readMetricsAddress(text: string): Endpoint | null {
  return text === 'none' ? null : addressFlag('metrics-address', text, ', or "none"')
}
