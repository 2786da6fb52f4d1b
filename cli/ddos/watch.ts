/** Follows a feed until it is told to stop, over breaks: whoever looks wants to know what is, above all when all fails. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DdosSample } from '../../wire/ddos.ts'
import { AgentAwayError } from '../client/agent-answer.ts'
import { RefusedError, UnreachableError } from '../client/errors.ts'
import { byUrgency } from './board.ts'
import type { Feed } from './feed.ts'
import type { Standing } from './standing.ts'

export interface Viewer {
  /** @param watchedIds  of which there are samples; of the others there is what they stood at */
  standings(standings: readonly Standing[], watchedIds: readonly string[]): void
  sample(sample: DdosSample): void
  /** @param message  why nothing comes any more; null when it comes again */
  trouble(message: string | null): void
}

export interface WatchOptions {
  readonly signal: AbortSignal
  /** How often standings are read: phases and sources are not in samples. */
  readonly intervalMs?: number
  /** Before it is tried again; twice as long each time, up to the most. */
  readonly firstPauseMs?: number
}

const mostPauseMs = 10_000

/**
 * Returns when the signal aborts.
 * @throws {OperationError} where nothing could be read to begin with, or what is refused will be refused again
 */
export async function watch(feed: Feed, viewer: Viewer, options: WatchOptions): Promise<void> {
  const { signal, firstPauseMs = 500 } = options
  let hasSeen = false
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    try {
      await watchOnce(feed, viewer, options, () => {
        if (hasSeen && pauseMs > firstPauseMs) viewer.trouble(null)
        hasSeen = true
        pauseMs = firstPauseMs
      })
    } catch (error) {
      if (signal.aborted) return
      if (!hasSeen || !mayPass(error)) throw error
      viewer.trouble(`${error.lines[0]}; trying again.`)
      await pause(pauseMs, signal)
      pauseMs = Math.min(mostPauseMs, pauseMs * 2)
    }
  }
}

/** Until there are other instances to watch. @throws {OperationError} when it breaks */
async function watchOnce(
  feed: Feed,
  viewer: Viewer,
  { signal, intervalMs = 2000 }: WatchOptions,
  onSeen: () => void,
): Promise<void> {
  const standings = await feed.standings()
  if (signal.aborted) return
  onSeen()
  const ids = idsOf(standings)
  const watched = byUrgency(standings).slice(0, feed.mostWatched)
  viewer.standings(standings, idsOf(watched))
  const done = new AbortController()
  const either = AbortSignal.any([signal, done.signal])
  try {
    const poll = { ids, watchedIds: idsOf(watched), intervalMs, signal: either }
    await Promise.race([
      standingsUntilOthers(feed, viewer, poll),
      ...(watched.length === 0 ? [] : [samplesUntilBreak(feed, viewer, poll)]),
    ])
  } finally {
    done.abort()
  }
}

interface Poll {
  readonly ids: readonly string[]
  readonly watchedIds: readonly string[]
  readonly intervalMs: number
  readonly signal: AbortSignal
}

async function standingsUntilOthers(
  feed: Feed,
  viewer: Viewer,
  { ids, watchedIds, intervalMs, signal }: Poll,
): Promise<void> {
  for (;;) {
    await pause(intervalMs, signal)
    if (signal.aborted) return
    const standings = await feed.standings()
    if (signal.aborted) return
    viewer.standings(standings, watchedIds)
    if (idsOf(standings).join() !== ids.join()) return
  }
}

async function samplesUntilBreak(feed: Feed, viewer: Viewer, { watchedIds, intervalMs, signal }: Poll): Promise<void> {
  try {
    for await (const sample of feed.samples(watchedIds, signal)) {
      if (signal.aborted) return
      viewer.sample(sample)
    }
  } catch (error) {
    if (!(error instanceof RefusedError && error.problem.status === 404)) throw error
    // One of them was deleted a moment ago: the standings will tell.
    return pause(intervalMs, signal)
  }
  if (!signal.aborted) throw new UnreachableError('broken', [`${feed.name} has ended the stream of samples`])
}

function idsOf(standings: readonly Standing[]): readonly string[] {
  return standings.map(({ instanceId }) => instanceId).sort()
}

/** A daemon or an agent that is away may come back; what one may not see stays so. */
function mayPass(error: unknown): error is UnreachableError | RefusedError | AgentAwayError {
  if (error instanceof RefusedError) return error.problem.status >= 500 || error.problem.status === 429
  return error instanceof UnreachableError || error instanceof AgentAwayError
}

/** Ends early, and without error, when the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}
