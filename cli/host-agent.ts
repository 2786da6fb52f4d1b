/** The agent of this host, for other commands that run there: its settings, and where it keeps its files. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { agentConfig } from '../agent/config.ts'
import { withRescue } from '../agent/last-good.ts'
import { defaultStateDir } from '../agent/link/credentials.ts'
import { defaultSocketName, findHolder, type LockHolder, type LockRole } from '../agent/lock.ts'
import type { Config, Reading } from '../common/config/read.ts'
import type { Policy } from '../rules-compiler/model/policy.ts'
import { socketsOf } from './check/listeners.ts'
import { InputError, type Io, loadPolicy } from './command.ts'
import { readServiceConfig } from './service-config.ts'

export const agentUnit = 'ringwall-agent'

/** Whether systemd runs here and has the unit of the agent, so that it is the one to start and stop it. */
export function hasAgentUnit(): boolean {
  const folders = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system']
  return existsSync('/run/systemd/system') && folders.some(folder => existsSync(`${folder}/${agentUnit}.service`))
}

type AgentSettings = (typeof agentConfig)['settings']

/** Flags that are settings of the agent, as given to another command; `config` names its file. */
export interface HostFlags {
  readonly config?: string | undefined
  readonly 'state-dir'?: string | undefined
  readonly rescue?: string | undefined
}

/** As the agent would have them itself: from these flags, variables, its file and defaults. */
export function readHostConfig({ config, 'state-dir': stateDir, rescue }: HostFlags): Promise<Reading<AgentSettings>> {
  const given = Object.entries({ config, 'state-dir': stateDir, rescue })
  return readServiceConfig(
    agentConfig,
    given.flatMap(([name, text]) => (text === undefined ? [] : [`--${name}=${text}`])),
  )
}

/**
 * The same where nothing may be missing: what is misspelled may be what keeps an administrator in.
 * @throws {InputError} where anything is wrong, with all that is
 */
export async function loadHostConfig(flags: HostFlags): Promise<Config<AgentSettings>> {
  const { config, faults } = await readHostConfig(flags)
  if (config !== null) return config
  throw new InputError([
    ...faults,
    '"ringwall agent check" shows the settings of the agent of this host; --config none goes without its file.',
  ])
}

/** What `loadHostPolicy` reads besides the file, for the help of commands. */
export const hostFlagsHelp = (column: number) => {
  const line = (flag: string, ...help: readonly string[]) =>
    help.map((text, index) => `  ${(index === 0 ? flag : '').padEnd(column - 2)}${text}\n`).join('')
  return (
    line(
      '--rescue LIST',
      'ADDRESS[/PREFIX]:PORT,… of administrators, as "ringwall agent" takes it; if left',
      'out, as the configuration of the agent of this host has it',
    ) + line('--config FILE', `that configuration, if it is not ${agentConfig.file}; none goes without`)
  )
}

/** A policy file as the agent of this host would take it, and its settings. */
export interface HostPolicy {
  /** With the administrators that the settings name. */
  readonly policy: Policy
  readonly settings: Config<AgentSettings>['values']
}

/** @throws {InputError} where the file or the settings are faulty */
export async function loadHostPolicy(file: string, flags: HostFlags, io: Io): Promise<HostPolicy> {
  const { values: settings } = await loadHostConfig(flags)
  return { policy: withRescue(await loadPolicy(file, io), settings.rescue), settings }
}

/** Flags of commands that read a policy as the agent of this host would. */
export const hostPolicyFlags = { rescue: { type: 'string' }, config: { type: 'string' } } as const

export interface StateDirFound {
  readonly folder: string
  /** Of the configuration, where the folder is not known otherwise; it may be missing in it. */
  readonly faults: readonly string[]
}

/**
 * Where the agent of this host keeps its files: as the flags say, else as the agent that runs here says, else as its
 * configuration does, else the usual folder. Never throws.
 * @param agent  the one that runs here and is trusted, if any
 */
export async function findStateDir(flags: HostFlags, agent: LockHolder | null): Promise<StateDirFound> {
  if (flags['state-dir'] !== undefined) return { folder: resolve(flags['state-dir']), faults: [] }
  const told = flags.config === undefined ? (agent?.stateDir ?? null) : null
  if (told !== null && isAbsolute(told)) return { folder: told, faults: [] }
  const { settings, faults } = await readHostConfig(flags)
  return { folder: (settings.get('stateDir')?.value as string | null | undefined) ?? defaultStateDir, faults }
}

/** Who holds the lock of this network namespace in one of these roles; null where nobody does, or nobody to be believed. */
export async function findTrusted(...roles: readonly LockRole[]): Promise<LockHolder | null> {
  const holder = await findHolder()
  return holder !== null && roles.includes(holder.role) && isTrusted(holder.pid) ? holder : null
}

/** CAP_NET_ADMIN (capabilities(7)). */
const netAdmin = 1n << 12n

/**
 * Whether that process is who answers, and may do what an agent does: anybody can take the socket's name while no agent
 * runs, and must neither lead root to a folder of his choice, nor have a process of his choice sent a signal, nor keep a
 * host closed.
 */
function isTrusted(pid: number): boolean {
  try {
    const holders = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .filter(line => line.endsWith(` @${defaultSocketName}`))
      .map(line => line.split(/\s+/)[6]!)
    const own = socketsOf(pid)
    const [, capabilities = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return (
      holders.some(inode => own?.has(inode)) &&
      (BigInt(`0x${capabilities}`) & netAdmin) !== 0n &&
      readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync('/proc/self/ns/user')
    )
  } catch {
    // It has ended, or we may not look.
    return false
  }
}
