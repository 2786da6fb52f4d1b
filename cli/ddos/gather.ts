/** One look at a feed: how instances stand, each with a sample of this very second where it comes in time. */
import { Board, byUrgency } from './board.ts'
import type { Feed } from './feed.ts'
import type { Standing } from './standing.ts'

/** Agents measure every second, and are told first that somebody looks. */
const patienceMs = 2500

/** @throws {OperationError} */
export async function gather(feed: Feed): Promise<readonly Standing[]> {
  const standings = await feed.standings()
  const watchedIds = byUrgency(standings)
    .slice(0, feed.mostWatched)
    .map(({ instanceId }) => instanceId)
  if (watchedIds.length === 0) return standings
  const board = new Board()
  board.takeStandings(standings, watchedIds, performance.now())
  const missing = new Set(watchedIds)
  const signal = AbortSignal.timeout(patienceMs)
  for await (const sample of feed.samples(watchedIds, signal)) {
    board.takeSample(sample, performance.now())
    missing.delete(sample.instanceId)
    if (missing.size === 0) break
  }
  return board.rows(performance.now()).map(({ standing }) => standing)
}
