/** Commands run in this process, with what they write. */
import { Readable } from 'node:stream'
import { type Command, runCommand } from '../../cli/command.ts'

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** @param stdin  what a file named `-` holds */
export async function runInProcess(command: Command, args: readonly string[], stdin = ''): Promise<CommandResult> {
  const out: string[] = []
  const err: string[] = []
  const exitCode = await runCommand(command, args, {
    stdin: Readable.from([stdin]),
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
  })
  return { exitCode, stdout: out.join(''), stderr: err.join('') }
}
