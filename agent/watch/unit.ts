/** What systemd and the kernel's log say of the agent's unit. */
import { run } from '../../common/exec.ts'

export interface UnitFacts {
  readonly hasFailed: boolean
  /** As systemd.service(5) has it: `exit-code`, `signal`, `oom-kill`. */
  readonly result: string
  /** The exit code or the signal of its main process. */
  readonly status: string
  readonly restarts: number
  /** Below /sys/fs/cgroup; empty where nothing of it runs. */
  readonly controlGroup: string
}

const unit = 'ringwall-agent.service'
const properties = ['LoadState', 'ActiveState', 'Result', 'ExecMainStatus', 'NRestarts', 'ControlGroup'] as const
const timeoutMs = 5_000

/** Null where there is no such unit, or no systemd. */
export async function readUnit(): Promise<UnitFacts | null> {
  const text = await outputOf(['systemctl', 'show', unit, ...properties.map(name => `--property=${name}`)])
  const shown = (name: (typeof properties)[number]) => new RegExp(`^${name}=(.*)$`, 'm').exec(text ?? '')?.[1] ?? ''
  if (shown('LoadState') !== 'loaded') return null
  return {
    hasFailed: shown('ActiveState') === 'failed',
    result: shown('Result'),
    status: shown('ExecMainStatus'),
    restarts: Number(shown('NRestarts')),
    controlGroup: shown('ControlGroup'),
  }
}

/** Null where it may not be read. */
export function readKernelLog(): Promise<string | null> {
  return outputOf(['dmesg'])
}

/** How often the kernel has killed an agent of the unit because memory ran out: itself, which Node names so, not its nft. */
export function countKills(kernelLog: string): number {
  const form = /\boom-kill:.*\btask_memcg=\S*\/ringwall-agent\.service,task=(?:node|MainThread),/g
  return [...kernelLog.matchAll(form)].length
}

async function outputOf(command: readonly string[]): Promise<string | null> {
  try {
    const { exitCode, stdout } = await run(command, { timeoutMs })
    return exitCode === 0 ? stdout : null
  } catch {
    return null
  }
}
