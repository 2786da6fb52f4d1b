/** Ringwall's own commands, as the lab starts them. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from './netns.ts'

/** Tests have it start the program as packages hold it, which starts in a third of the time. */
export const launcher = process.env.RINGWALL_TEST_PROGRAM ?? join(import.meta.dirname, '..', 'ringwall')

export function logOf(folder: string, name: string): string {
  return join(folder, `${name}.log`)
}

/** What a command is given to run as on a host of that name: in a UTS namespace of its own. */
export function asHost(hostName: string, args: readonly string[]): readonly [command: string, args: readonly string[]] {
  return ['unshare', ['--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', hostName, launcher, ...args]]
}

export interface LoggedCommand {
  readonly namespace: Namespace
  readonly hostName: string
  readonly args: readonly string[]
  readonly log: string
}

/** A `ringwall` command inside a namespace that writes all it says to a file. */
export function startLogged({ namespace, hostName, args, log }: LoggedCommand): ChildProcess {
  const output = openSync(log, 'a')
  try {
    return namespace.spawn(...asHost(hostName, args), { stdio: ['ignore', output, output] })
  } finally {
    closeSync(output)
  }
}

export function endOf(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')
}
