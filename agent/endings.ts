/**
 * How agents before this one have ended, where it was not as they were told to: systemd/ended.sh writes it down, because
 * systemd itself forgets it with the next start, and the journal is not the agent's to read.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../common/log.ts'

/**
 *   memory   memory ran out, for the host or for the agent itself
 *   killed   somebody killed it, or the kernel did because memory ran out
 *   crash    anything else: a fault of its own, no answer to the watchdog, an exit code
 */
const kinds = ['memory', 'killed', 'crash'] as const

export interface Ending {
  readonly timeMs: number
  readonly kind: (typeof kinds)[number]
  /** In words. */
  readonly why: string
}

/** In the directory that systemd gives the unit, wherever the agent keeps its other files. */
export const endingsFile = 'ended.log'
const recentMs = 3_600_000

/**
 * @param text  a line each, `2026-03-01T10:20:30Z memory the kernel killed it`; what is none is left out
 * @returns the latest last
 */
export function readEndings(text: string): readonly Ending[] {
  return text.split('\n').flatMap(line => {
    const [, time = '', word, why = ''] = /^(\S+) (\S+) (\P{C}+)$/u.exec(line) ?? []
    const kind = kinds.find(each => each === word)
    const timeMs = Date.parse(time)
    return kind === undefined || Number.isNaN(timeMs) ? [] : [{ timeMs, kind, why }]
  })
}

/** Of the time before `nowMs`; what the clock says is still to come is of no known time, and left out. */
export function endingsWithin(endings: readonly Ending[], periodMs: number, nowMs: number): readonly Ending[] {
  return endings.filter(({ timeMs }) => timeMs <= nowMs && timeMs > nowMs - periodMs)
}

/** Says in the log how those of the last hour have ended. Never throws. */
export async function tellOfEndings(log: Logger, folders = process.env.STATE_DIRECTORY): Promise<void> {
  // A drop-in may have added others (systemd.exec(5), StateDirectory=).
  const [folder] = folders?.split(':') ?? []
  if (folder === undefined) return
  const text = await readFile(join(folder, endingsFile), 'utf8').catch(() => '')
  const recent = endingsWithin(readEndings(text), recentMs, Date.now())
  const last = recent.at(-1)
  if (last === undefined) return
  const { kind, why } = last
  log.warn(
    { times: recent.length, last: { time: new Date(last.timeMs).toISOString(), kind, why } },
    'agents before this one have ended in the last hour without being told to',
  )
}
