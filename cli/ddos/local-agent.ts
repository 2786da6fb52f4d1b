/** The agent of this network namespace as a source: it knows its own instances, also while its daemon is away. */
import { type Answer, askHolder, openHolder } from '../../agent/lock.ts'
import type { DdosEvent, DdosSample, DdosStatus } from '../../wire/ddos.ts'
import { insteadOf } from '../arguments.ts'
import { AgentAwayError, requireAnswer } from '../client/agent-answer.ts'
import { readLines } from '../client/event-stream.ts'
import { exitFailed, OperationError } from '../command.ts'
import type { AttackEvent } from './event.ts'
import type { Feed } from './feed.ts'
import { readJson } from './read-json.ts'
import type { Standing } from './standing.ts'

const advice = ['Start it with "ringwall agent", or leave out --local to ask the daemon.']

/** What an agent says at `/ddos`. */
export interface AgentAnswer {
  readonly instances: readonly Standing[]
  /** Newest first. */
  readonly events: readonly AttackEvent[]
}

/** @throws {OperationError} */
export async function askAgent(): Promise<AgentAnswer> {
  return readAnswer(requireAnswer(await askHolder('/ddos'), advice))
}

/** With what its policy says of the instance, in the words of the API. */
type AgentStatus = DdosStatus & Pick<Standing, 'bps' | 'pps' | 'maxBps' | 'maxPps' | 'source' | 'scrubbingCancelled'>

function readAnswer({ body }: Answer): AgentAnswer {
  const { instances, events } = readJson<{ instances: readonly AgentStatus[]; events: readonly DdosEvent[] }>(body)
  return {
    instances: instances.map(standingOf),
    events: events.map(eventOf).sort((one, other) => (one.startTime < other.startTime ? 1 : -1)),
  }
}

/** In the words of the API. */
function standingOf({ proposal, orderId, ...status }: AgentStatus): Standing {
  return {
    ...status,
    staleSince: null,
    carriedOutOrderId: orderId,
    proposedBps: proposal?.bpsMbit ?? null,
    proposedPps: proposal?.pps ?? null,
  }
}

function eventOf({ id, thresholds, ...event }: DdosEvent): AttackEvent {
  return {
    eventId: id,
    ...event,
    thresholds: thresholds === null ? null : { bps: thresholds.bpsMbit, pps: thresholds.pps },
  }
}

/** Names are the daemon's: an agent knows ids. @throws {OperationError} for one that is not of this host */
export function chooseLocal(instances: readonly Standing[], words: readonly string[]): readonly Standing[] {
  if (words.length === 0) return instances
  return words.map(word => {
    const found = instances.find(({ instanceId }) => instanceId === word)
    if (found !== undefined) return found
    const ids = instances.map(({ instanceId }) => instanceId)
    const hint = ids.length === 0 ? 'it serves none' : insteadOf(word, ids)
    throw new OperationError(
      [`no such instance "${word}" on this host; ${hint}`, 'Its agent knows ids, and no names.'],
      exitFailed,
    )
  })
}

export function agentFeed(words: readonly string[]): Feed {
  return {
    name: 'the agent on this host',
    mostWatched: Number.POSITIVE_INFINITY,
    standings: async () => chooseLocal((await askAgent()).instances, words),
    async *samples(ids, signal) {
      const { chunks } = requireAnswer(await openHolder('/ddos/live', signal), advice)
      try {
        for await (const line of readLines(chunks)) {
          for (const sample of readJson<readonly DdosSample[]>(line)) if (ids.includes(sample.instanceId)) yield sample
        }
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof OperationError) throw error
        throw new AgentAwayError(['The agent on this host ended the stream of samples'])
      }
    },
  }
}
