/** What the streams are: a terminal of some width, or a file or pipe. */
import { createInterface } from 'node:readline'
import type { Io, Output } from '../command.ts'

/** Columns; Infinity where nobody looks at it, so that nothing is wrapped. */
export function widthOf(output: Output): number {
  const { isTTY = false, columns = 0 } = output as { isTTY?: boolean; columns?: number }
  return isTTY && columns > 0 ? columns : Number.POSITIVE_INFINITY
}

export function isTerminal(stream: unknown): boolean {
  return (stream as { isTTY?: boolean }).isTTY === true
}

/** Asks and reads one line; only "y" and "yes" are a yes, and Ctrl-C is a no. */
export async function confirmed(question: string, io: Io): Promise<boolean> {
  const lines = createInterface({ input: io.stdin })
  const interrupt = () => lines.close()
  process.once('SIGINT', interrupt)
  io.stderr.write(`${question} [y/N] `)
  try {
    for await (const line of lines) return /^y(es)?$/i.test(line.trim())
    io.stderr.write('\n')
    return false
  } finally {
    process.off('SIGINT', interrupt)
    lines.close()
  }
}

/** A line that is written over by the next one; only on a terminal. */
export class StatusLine {
  readonly #output: Output
  #isShown = false

  constructor(output: Output) {
    this.#output = output
  }

  show(text: string): void {
    if (!isTerminal(this.#output)) return
    this.#output.write(`\r\u001b[K${text}`)
    this.#isShown = true
  }

  clear(): void {
    if (this.#isShown) this.#output.write('\r\u001b[K')
    this.#isShown = false
  }
}
