/** What `ringwall top` knows at a moment: how each instance stands, with its newest sample. */
import { type DdosPhase, type DdosSample, ddosPhases } from '../../wire/ddos.ts'
import type { Standing } from './standing.ts'

/** Samples come every second; after so long without one its agent may be away. */
const staleMs = 5000

export interface BoardRow {
  readonly standing: Standing
  /** How long there has been no sample; null while they come. */
  readonly silentSeconds: number | null
}

const urgency: Readonly<Record<DdosPhase, number>> = { normal: 3, over: 2, cleaning: 1, uncleaned: 0, 'black-hole': 0 }

/** Those under attack first, then by id: rows do not change places because rates do. */
export function byUrgency(standings: Iterable<Standing>): readonly Standing[] {
  return [...standings].sort((one, other) => {
    return urgencyOf(one) - urgencyOf(other) || (one.instanceId < other.instanceId ? -1 : 1)
  })
}

/** A phase of a newer daemon is none to be overlooked. */
function urgencyOf({ phase }: Standing): number {
  if (phase === null) return urgency.normal
  return ddosPhases.includes(phase) ? urgency[phase] : 0
}

export class Board {
  readonly #standings = new Map<string, Standing>()
  readonly #samples = new Map<string, { readonly sample: DdosSample; readonly atMs: number }>()
  readonly #watchedSinceMs = new Map<string, number>()

  /** All there are; those that are left out are gone. Times never go back. */
  takeStandings(standings: readonly Standing[], watchedIds: readonly string[], nowMs: number): void {
    this.#standings.clear()
    for (const standing of standings) this.#standings.set(standing.instanceId, standing)
    for (const id of this.#watchedSinceMs.keys()) if (!watchedIds.includes(id)) this.#watchedSinceMs.delete(id)
    for (const id of watchedIds) if (!this.#watchedSinceMs.has(id)) this.#watchedSinceMs.set(id, nowMs)
  }

  /** @returns how its instance stands with it; null where that is not known yet */
  takeSample(sample: DdosSample, nowMs: number): Standing | null {
    this.#samples.set(sample.instanceId, { sample, atMs: nowMs })
    const standing = this.#standings.get(sample.instanceId)
    return standing === undefined ? null : { ...standing, sample }
  }

  rows(nowMs: number): readonly BoardRow[] {
    return byUrgency(this.#standings.values()).map(standing => this.#row(standing, nowMs))
  }

  #row(standing: Standing, nowMs: number): BoardRow {
    const { instanceId } = standing
    const newest = this.#samples.get(instanceId)
    const watchedSinceMs = this.#watchedSinceMs.get(instanceId)
    if (watchedSinceMs === undefined) return { standing, silentSeconds: null }
    const silentMs = nowMs - (newest?.atMs ?? watchedSinceMs)
    return {
      standing: newest === undefined ? standing : { ...standing, sample: newest.sample },
      silentSeconds: silentMs < staleMs ? null : Math.floor(silentMs / 1000),
    }
  }
}
