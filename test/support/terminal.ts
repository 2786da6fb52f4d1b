/** Command lines on a terminal of their own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { Printed } from './printed.ts'

/** Why there can be none here; false where there can. */
export const noTerminal = spawnSync('script', ['--version']).status === 0 ? false : 'needs script, of util-linux'

export interface OnTerminal {
  /** What is written to its standard input are keys. */
  readonly child: ChildProcess
  readonly printed: Printed
}

/**
 * A terminal of 80 by 24; `script` gives its own standard input on as keys.
 * @param line  for a shell
 */
export function startOnTerminal(line: string, env: Readonly<Record<string, string>> = {}): OnTerminal {
  const child = spawn('script', ['-qfec', `stty cols 80 rows 24; ${line}`, '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  return { child, printed: new Printed(child.stdout) }
}
