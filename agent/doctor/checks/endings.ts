import { join } from 'node:path'
import { type Ending, endingsFile, endingsWithin, readEndings } from '../../endings.ts'
import { defaultStateDir } from '../../link/credentials.ts'
import { countKills, readKernelLog, readUnit, type UnitFacts } from '../../watch/unit.ts'
import { defineCheck, type Found } from '../check.ts'

export interface EndingsFacts {
  readonly nowMs: number
  /** What systemd says of the unit; null where there is no such unit, or no systemd. */
  readonly unit: UnitFacts | null
  readonly endings: readonly Ending[]
  /** How often the kernel has killed an agent of the unit because memory ran out, by its log; null where that cannot be read. */
  readonly killsInLog: number | null
  /** How many processes of the agent that runs the kernel has killed for that reason. */
  readonly killedNow: number
}

type Code = 'agent-failed' | 'agent-out-of-memory' | 'agent-ends-often' | 'agent-ended' | 'agent-endings'

const dayMs = 24 * 3_600_000
const periodMs = 7 * dayMs
/** In a day. */
const often = 3

export const endings = defineCheck<EndingsFacts, Code>({
  name: 'endings',
  area: 'agent',
  question: 'Has the agent ended without being told to?',
  needs: [],
  outcomes: {
    'agent-failed': {
      severity: 'warning',
      means:
        'systemd does not start the agent again. What was in force stays, also what has been taken away since; after exit code 2 its configuration has faults.',
      advice:
        'See "systemctl status ringwall-agent" and "ringwall agent check"; then "systemctl restart ringwall-agent".',
    },
    'agent-out-of-memory': {
      severity: 'warning',
      means:
        'Memory ran out in the last week. What was in force stayed, and changes waited for the next start of the agent, or for nft to be run again.',
      advice:
        'See who takes it: "journalctl -k -g oom"; raise MemoryMax= where the unit has one; 50,000 members take 130 MiB for a moment.',
    },
    'agent-ends-often': {
      severity: 'warning',
      means:
        'It has ended three times or more in the last day and was started again each time. What was in force stayed; changes and attacks waited meanwhile.',
      advice:
        'See what it said before: "journalctl -u ringwall-agent"; where it says "a fault of its own", please report it.',
    },
    'agent-ended': {
      severity: 'note',
      means: 'In the last week. It was started again; what was in force stayed meanwhile.',
      advice: 'See what it said before, if nobody here has killed it: "journalctl -u ringwall-agent".',
    },
    'agent-endings': { severity: 'ok', means: 'Nothing is known of it in the last week.', advice: '' },
  },
  async gather({ readText }) {
    const nowMs = Date.now()
    const unit = await readUnit()
    const known = readEndings((await readText(join(defaultStateDir, endingsFile))) ?? '')
    const isUnclear = endingsWithin(known, periodMs, nowMs).some(({ kind }) => kind === 'killed')
    const kernelLog = isUnclear ? await readKernelLog() : null
    const events = unit?.controlGroup ? await readText(`/sys/fs/cgroup${unit.controlGroup}/memory.events`) : null
    return {
      nowMs,
      unit,
      endings: known,
      killsInLog: kernelLog === null ? null : countKills(kernelLog),
      killedNow: Number(/^oom_kill (\d+)$/m.exec(events ?? '')?.[1] ?? 0),
    }
  },
  judge({ nowMs, unit, endings: all, killsInLog, killedNow }) {
    const recent = endingsWithin(all, periodMs, nowMs)
    const found: Found<Code>[] = []
    if (unit?.hasFailed) {
      found.push({ code: 'agent-failed', found: `${unit.result}, status ${unit.status}`, details: unit })
    }
    const isMemory = ({ kind }: Ending) => kind === 'memory' || (kind === 'killed' && (killsInLog ?? 0) > 0)
    const ofMemory = recent.filter(isMemory)
    if (ofMemory.length > 0) found.push({ code: 'agent-out-of-memory', ...told(ofMemory) })
    if (killedNow > 0) {
      const which = killedNow === 1 ? 'a process' : `${killedNow} processes`
      found.push({ code: 'agent-out-of-memory', found: `the kernel killed ${which} of the agent that runs` })
    }
    const others = recent.filter(ending => !isMemory(ending))
    const isOften = endingsWithin(others, dayMs, nowMs).length >= often
    if (others.length > 0) found.push({ code: isOften ? 'agent-ends-often' : 'agent-ended', ...told(others) })
    else if (recent.length === 0 && unit !== null && unit.restarts > 0) {
      found.push({ code: 'agent-ended', found: `systemd has started it again ${times(unit.restarts)}` })
    }
    return found.length > 0 ? found : [{ code: 'agent-endings', found: 'it was started and stopped only' }]
  },
})

function told(some: readonly Ending[]): Pick<Found, 'found' | 'details'> {
  const last = some.at(-1)!
  const details = some.map(({ timeMs, ...ending }) => ({ time: new Date(timeMs).toISOString(), ...ending }))
  return { found: `${times(some.length)}, last at ${details.at(-1)!.time}: ${last.why}`, details }
}

const times = (count: number) => (count === 1 ? 'once' : `${count} times`)
