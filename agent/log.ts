/** Structured logs, one JSON object a line, for the journal. */
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/**
 * Errors are given as `logger.warn({ error }, 'what was being done')`.
 * @param service      names the process in every line
 * @param destination  standard output where left out
 */
export function createLogger(service: string, level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: serializeError },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** What went wrong and what caused it, in words and kinds; the stack is of use to nobody who reads a journal. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  return { ...error, name, message, ...(cause !== undefined && { cause: serializeError(cause) }) }
}
