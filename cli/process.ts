/** A `ringwall` process around what it does: what becomes of its output, and of a fault nobody expected. */
import type { Io } from './command.ts'
import { printableLines } from './output/text-width.ts'

/** @param main  what it does with the words after the name of the program; its result is the exit code */
export async function runProcess(main: (args: readonly string[], io: Io) => Promise<number>): Promise<void> {
  let isLost = false
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      // Nobody reads any more: `ringwall show | head`, a terminal that is gone. The command still goes to its end, because
      // a trial that is not confirmed must be rolled back.
      if (error.code === 'EPIPE' || error.code === 'EIO') return
      process.exitCode = 1
      if (!isLost && output === process.stdout)
        process.stderr.write(`ringwall: Cannot write the output: ${error.message}\n`)
      isLost = true
    })
  }
  try {
    const exitCode = await main(process.argv.slice(2), process)
    process.exitCode = isLost ? 1 : exitCode
  } catch (error) {
    process.stderr.write(`ringwall: ${printableLines((error as Error).message)}\n`)
    if (process.env.RINGWALL_DEBUG === '1') process.stderr.write(`${(error as Error).stack}\n`)
    process.exitCode = 1
  }
}
