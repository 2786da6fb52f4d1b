/** Ringwall's own commands, as the lab starts them. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from './netns.ts'

export const launcher = join(import.meta.dirname, '..', 'ringwall')

export function logOf(folder: string, name: string): string {
  return join(folder, `${name}.log`)
}

/** A `ringwall` command inside a namespace that writes all it says to a file. */
export function startLogged(namespace: Namespace, args: readonly string[], log: string): ChildProcess {
  const output = openSync(log, 'a')
  try {
    return namespace.spawn(launcher, args, { stdio: ['ignore', output, output] })
  } finally {
    closeSync(output)
  }
}

export function endOf(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')
}
