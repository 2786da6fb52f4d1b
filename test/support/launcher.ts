/** The `ringwall` command as users start it outside a namespace, through the launcher and without a terminal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { CommandResult } from './command-line.ts'
import { ringwallCommand } from './ringwall.ts'

/** Empty stdin, both outputs piped. */
export function startRingwall(args: readonly string[]): ChildProcess {
  const env = { ...process.env, RINGWALL_LAB_ONLY: '1' }
  return spawn(ringwallCommand, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
}

export async function runRingwall(args: readonly string[]): Promise<CommandResult> {
  const child = startRingwall(args)
  const ended = once(child, 'close') as Promise<[number]>
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout!), text(child.stderr!), ended])
  return { exitCode, stdout, stderr }
}
