import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { defineCheck } from '../check.ts'

export interface ClockFacts {
  readonly now: number
  /** When the newest file of the agent was written; null where there is none. */
  readonly newestFile: number | null
}

/** Nothing of Ringwall is older. */
const ringwallBegan = Date.UTC(2026, 0, 1)
/** A clock that was set by so much is none that went wrong. */
const toleranceMs = 5 * 60_000

export const clock = defineCheck<ClockFacts, 'clock-behind' | 'clock'>({
  name: 'clock',
  area: 'this process',
  question: 'Can the clock be right?',
  needs: [],
  outcomes: {
    'clock-behind': {
      severity: 'warning',
      means:
        'The clock is behind what has already happened: certificates count as not valid yet, so the daemon and the agent refuse each other. Enforcement needs no clock.',
      advice: 'Set it, and have it kept right (systemd-timesyncd, chrony).',
    },
    clock: { severity: 'ok', means: 'Nothing here is newer than now.', advice: '' },
  },
  async gather({ stateDir }) {
    const names = await readdir(stateDir).catch(() => [])
    const times = await Promise.all(
      names.map(name =>
        stat(join(stateDir, name)).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      ),
    )
    return { now: Date.now(), newestFile: times.length === 0 ? null : Math.max(...times) }
  },
  judge({ now, newestFile }) {
    const isBehind = now < ringwallBegan || (newestFile !== null && newestFile > now + toleranceMs)
    return [{ code: isBehind ? 'clock-behind' : 'clock', found: new Date(now).toISOString() }]
  },
})
