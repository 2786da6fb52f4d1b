/** How far a change has come, asked again and again, and in words. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../client/client.ts'
import { exitNotInForce } from '../command.ts'
import { tableLines } from '../output/table.ts'
import type { StatusLine } from '../output/terminal.ts'
import { count, timeText } from '../output/values.ts'

export interface Enforcement {
  readonly state: 'enforced' | 'pending'
  readonly agents: number
  readonly enforced: number
  readonly behind: readonly {
    readonly agentId: string
    readonly hostName: string
    readonly state: string
    readonly since: string
    readonly error: string | null
  }[]
}

/** Often enough to look alive, seldom enough to be no load beside thousands of agents. */
const shortestPauseMs = 50
const longestPauseMs = 500

/**
 * What is stored stays stored when somebody presses Ctrl-C: that ends the waiting, and what there is then is told. Once more,
 * and the process ends at once.
 * @returns what there is when it is in force, when the time is over, or at Ctrl-C
 */
export async function readEnforcement(
  client: Client,
  revision: number,
  { seconds, status }: { readonly seconds: number; readonly status: StatusLine },
): Promise<Enforcement> {
  const end = performance.now() + seconds * 1000
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.once('SIGINT', interrupt)
  try {
    for (let pause = shortestPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
      const { enforcement } = await client.get<{ enforcement: Enforcement }>(`/v1/changes/${revision}`)
      const left = end - performance.now()
      if (enforcement.state === 'enforced' || left <= 0 || interrupted.signal.aborted) return enforcement
      status.show(`${enforcement.enforced} of ${count(enforcement.agents, 'agent')}`)
      await delay(Math.min(pause, left), undefined, { signal: interrupted.signal }).catch(() => {})
    }
  } finally {
    process.off('SIGINT', interrupt)
    status.clear()
  }
}

/** @param revision  of the change, for who wants to wait on */
export function enforcementLines(
  { state, agents, enforced, behind }: Enforcement,
  revision: number,
  width: number,
): string[] {
  if (state === 'enforced') {
    if (agents === 0) return ['In force: it concerns no agent.']
    return [agents === 1 ? 'In force on the one agent it concerns.' : `In force on all ${agents} agents it concerns.`]
  }
  const columns = [
    { heading: 'AGENT', isWhole: true, cell: (each: Behind) => each.agentId },
    { heading: 'HOST', cell: (each: Behind) => each.hostName },
    { heading: 'STATE', cell: (each: Behind) => each.state },
    { heading: 'SINCE', isWhole: true, cell: (each: Behind) => timeText(each.since) },
    { heading: 'ERROR', isOptional: true, cell: (each: Behind) => each.error ?? '' },
  ]
  return [
    `Not in force everywhere: ${enforced} of ${count(agents, 'agent')}. Behind:`,
    ...tableLines(columns, behind, width),
    `The change is stored. To wait for it: ringwall change show ${revision} --follow`,
  ]
}

type Behind = Enforcement['behind'][number]

export function enforcementExit({ state }: Enforcement): number {
  return state === 'enforced' ? 0 : exitNotInForce
}
