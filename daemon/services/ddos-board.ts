/** How instances stand under attack, and their traffic as it comes: what routes ask of the side of agents. */
import type { DdosStatus } from '../../wire/ddos.ts'

export interface DdosStanding {
  readonly agentId: string
  /** As the agent told it last. */
  readonly status: DdosStatus
}

export interface DdosBoard {
  /** undefined where its present agent has told nothing since the daemon's start. */
  standingOf(instanceId: string): DdosStanding | undefined
  /**
   * Hands on every sample of these instances, until the reader is done.
   * @returns ends it
   * @throws {ApiError} 429 where there are too many readers
   */
  watch(instanceIds: readonly string[], reader: SampleReader): () => void
}

export interface SampleReader {
  /** Whose it is: each may have so many. */
  readonly principalId: string
  /** @param text  JSON of a `DdosSample` on one line, made once for all readers */
  sample(instanceId: string, text: string): void
  /** No more will come. */
  end(reason: string): void
}
