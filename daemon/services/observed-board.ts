/** What agents told of observed ENIs: what services ask of the side of agents. */
import type { ObservedEni } from '../../wire/observed.ts'

export interface ObservedStanding {
  readonly agentId: string
  /** As the agent told it last. */
  readonly eni: ObservedEni
  /** When the daemon heard it, milliseconds since 1970. */
  readonly heardAtMs: number
  /** Some of its counts are not kept, for want of room. */
  readonly isCut: boolean
}

export interface ObservedBoard {
  /** undefined where its present agent has told nothing of it since the daemon's start, or it is not observed. */
  observedOf(eniId: string): ObservedStanding | undefined
}
