/** The `ringwall` command as users start it outside a namespace, through the launcher and without a terminal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { CommandResult } from './command-line.ts'
import { ringwallProgram } from './ringwall.ts'

/** Empty stdin, both outputs piped. @param command  the path of `ringwall`, where it is to be another */
export function startRingwall(args: readonly string[], command = ringwallProgram): ChildProcess {
  const env = { ...process.env, RINGWALL_LAB_ONLY: '1' }
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
}

export async function runRingwall(args: readonly string[], command?: string): Promise<CommandResult> {
  const child = startRingwall(args, command)
  const ended = once(child, 'close') as Promise<[number]>
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout!), text(child.stderr!), ended])
  return { exitCode, stdout, stderr }
}
