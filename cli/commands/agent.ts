/**
 * `ringwall agent`: on a host it joins a daemon, leaves it, and runs; its other words are an operator's, about all
 * agents of a daemon, and stand in operate-agents.ts.
 */
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, startAgent } from '../../agent/agent.ts'
import { agentConfig } from '../../agent/config.ts'
import { tellOfEndings } from '../../agent/endings.ts'
import { findSource } from '../../agent/find-source.ts'
import {
  assertWritable,
  CredentialsError,
  defaultStateDir,
  hasCredentials,
  removeCredentials,
  writeCredentials,
} from '../../agent/link/credentials.ts'
import { enrol } from '../../agent/link/enrol.ts'
import { makeHostReport } from '../../agent/link/host-report.ts'
import { findHolder, type LockHolder } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { usageOf } from '../../common/config/describe.ts'
import { openNotify } from '../../common/config/notify.ts'
import { createLogger } from '../../common/log.ts'
import { openServiceManager } from '../../common/sd-notify.ts'
import { insteadOf, parseArguments, requireFlag } from '../arguments.ts'
import { type Command, InputError, type Io, UsageError } from '../command.ts'
import { agentUnit, type HostFlags, hasAgentUnit, loadHostConfig } from '../host-agent.ts'
import { faultsOf, loadServiceConfig, logConfig, reloadConfig } from '../service-config.ts'
import { confirmSignal } from './confirm.ts'

const usage = `usage: ringwall agent [run] --policy FILE [flags]      led by a policy file
       ringwall agent [run] [flags]                    led by the daemon this host has joined
       ringwall agent check [flags]                    what holds, and whether it would start; changes nothing
       ringwall agent join URL --token TOKEN [--state-dir DIR] [--force]
       ringwall agent leave [--state-dir DIR] [--flush]
       ringwall agent list|show|invite|invitations|uninvite|confirm|revoke|delete …
                                                       all agents of a daemon, for operators

Keeps this network namespace in agreement with a policy: applies each change as the smallest transaction, cuts sessions
that are no longer allowed, heals the ruleset when something else alters it, and follows devices that come, go or are
renamed. What has faults changes nothing: the last good ruleset stays in force, also while the daemon is away.

${usageOf(agentConfig)}

"join" has the daemon at https://HOST:PORT, its listener for agents, sign a certificate for a key made here. The token
is good for once; it names the daemon's own certificate, and nothing is sent to anybody else. "leave" forgets the
credentials; the ruleset stays.

  --token TOKEN                   as it was given out; "-" reads it from standard input, which others cannot see
  --force                         join though this host has joined already
  --flush                         remove the ruleset too

SIGHUP has it read the whole table and put right what differs, and the log level. Logs are JSON, one object a line, on
standard output. "ringwall show" tells what is in force.
`

const stateDirOption = { 'state-dir': { type: 'string' }, config: { type: 'string' } } as const

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
const hostOperations = ['run', 'check', 'join', 'leave'] as const

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [word, ...rest] = args
  switch (word) {
    case 'run':
      return run(rest)
    case 'check':
      return check(rest, io)
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
  throw new UsageError(
    `unknown verb "${word}"; ${insteadOf(word, known, `expected ${known.join(', ')}, or --policy FILE`)}`,
  )
}

async function run(args: readonly string[]): Promise<number> {
  const config = await loadServiceConfig(agentConfig, args)
  const stopSignal = Promise.race((['SIGTERM', 'SIGINT'] as const).map(signal => once(process, signal)))
  const { values } = config
  const { notify, faults } = await openNotify(values)
  if (faults.length > 0) throw faultsOf(agentConfig, faults)
  const source = await findSource(config).catch(error => {
    throw error instanceof CredentialsError ? new InputError([error.message]) : error
  })
  if (source === null) throw new UsageError(nobodyLeads(values.stateDir ?? defaultStateDir))
  const log = createLogger('ringwall-agent', values.logLevel)
  logConfig(log, agentConfig, config)
  await tellOfEndings(log)
  const metrics = values.metricsAddress === 'none' ? null : values.metricsAddress
  const guard = { seconds: values.guardSeconds, rescuePorts: values.rescuePort }
  process.once('uncaughtException', error => {
    log.fatal({ error, stack: error.stack }, 'the agent ends by a fault of its own; the ruleset stays in force')
    process.exit(1)
  })
  let agent: Agent | null = null
  const manager = openServiceManager({ log, status: () => agent?.status() ?? 'starts' })
  const readAgain = async () => {
    await reloadConfig({ log, definition: agentConfig, args, running: config })
    await agent?.check()
  }
  const reload = () => void manager.reload(readAgain)
  process.on('SIGHUP', reload)
  // From before the start on: unhandled, the signal would end the agent.
  process.on(confirmSignal, () => agent?.confirm())
  const trafficLog = values.trafficLog ?? null
  agent = await startAgent({
    source,
    metrics,
    onStop: values.onStop,
    notify,
    guard,
    rescue: values.rescue,
    trafficLog,
    log,
  })
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

function nobodyLeads(stateDir: string): string {
  return `missing --policy FILE: this host has joined no daemon either (no credentials in "${stateDir}"; "ringwall agent join" makes them)`
}

/** Where the agent of this host will look for its credentials; one that runs now may look elsewhere. */
async function configuredStateDir(flags: HostFlags): Promise<string> {
  const { values } = await loadHostConfig(flags)
  return values.stateDir ?? defaultStateDir
}

async function check(args: readonly string[], io: Io): Promise<number> {
  const { checkAgent } = await import('../check/agent.ts')
  return checkAgent(args, io)
}

async function join(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, joinOptions)
  const [url, ...more] = positionals
  if (url === undefined) throw new UsageError('missing URL, https://HOST:PORT of the daemon’s listener for agents')
  refuseMore(more)
  const given = requireFlag('token', values.token)
  const folder = await configuredStateDir(values)
  if (!values.force && (await hasCredentials(folder))) {
    throw new Error(`Cannot join: this host has joined a daemon already ("${folder}"); --force replaces that`)
  }
  await assertWritable(folder)
  const token = given === '-' ? await text(io.stdin) : given
  const report = await makeHostReport({
    nft: { nftVersion: await nftVersion(), capabilities: {} },
    stateDir: null,
    exceptions: {},
  })
  const credentials = await enrol({ url, token, report })
  await writeCredentials(folder, credentials)
  io.stdout.write(`Joined ${credentials.daemonUrl} as agent ${credentials.agentId}.\n`)
  io.stdout.write(`${nextStep(await findHolder(), values['state-dir'] === undefined ? null : folder)}\n`)
  return 0
}

/** @param folder  null where the unit looks there too */
function nextStep(holder: LockHolder | null, folder: string | null): string {
  const isOfUnit = folder === null && hasAgentUnit()
  if (holder?.role === 'agent') {
    return `An agent runs here already (pid ${holder.pid}): restart it${isOfUnit ? `, systemctl restart ${agentUnit}` : ''}.`
  }
  return `Start it: ${isOfUnit ? `systemctl start ${agentUnit}` : `ringwall agent${folder === null ? '' : ` --state-dir ${folder}`}`}`
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
  const folder = await configuredStateDir(values)
  const holder = await findHolder()
  if (holder?.role === 'agent' && holder.daemonUrl !== null) {
    throw new Error(
      `Cannot leave: the agent runs (pid ${holder.pid}); stop it first${hasAgentUnit() ? `: systemctl stop ${agentUnit}` : ''}`,
    )
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
