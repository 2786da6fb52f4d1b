/** Structured logs, one JSON object a line, for the journal. */
import { writeSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/**
 * Errors are given as `logger.warn({ error }, 'what was being done')`.
 * @param service      names the process in every line
 * @param destination  standard output where left out
 */
export function createLogger(
  service: string,
  level: LogLevel,
  destination: DestinationStream = standardOutput,
): Logger {
  const options = {
    level,
    base: { service },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: serializeError },
  }
  return pino(options, destination)
}

/**
 * A line that cannot be written is lost, and nothing else: pino's own destination spins for ever on a full disk
 * (ENOSPC), and an agent must outlive whoever reads its log (EPIPE).
 */
const standardOutput: DestinationStream = {
  write(line) {
    const bytes = Buffer.from(line)
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written)
    } catch {}
  },
}

/** What went wrong and what caused it, in words and kinds; the stack is of use to nobody who reads a journal. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  return { ...error, name, message, ...(cause !== undefined && { cause: serializeError(cause) }) }
}
