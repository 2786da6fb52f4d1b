/** Whether a change is in force: what routes ask of the push side. */
import type { Change } from '../store/store.ts'

export interface Enforcement {
  readonly revision: number
  readonly state: 'enforced' | 'pending'
  /** How many agents see something of the change. */
  readonly agents: number
  /** How many of them have it in their kernel. */
  readonly enforced: number
  readonly behind: readonly AgentBehind[]
}

export interface AgentBehind {
  readonly agentId: string
  readonly hostName: string
  readonly state: 'behind' | 'refusing' | 'away'
  /** Milliseconds since 1970: since when it is in that state. */
  readonly sinceMs: number
  /** Why it refused; null where it did not. */
  readonly error: string | null
}

export interface EnforcementBoard {
  /** @throws {CompactedError} for a revision whose history is gone */
  status(revision: number): Promise<Enforcement>
  /**
   * Answers when every agent concerned has the revision in force, or with what there is after the timeout.
   * @param signal  aborts where nobody waits for the answer any more
   */
  awaitEnforced(revision: number, timeoutMs: number, signal?: AbortSignal): Promise<Enforcement>
  /** Agents that would hear of the changes, were they committed now; sorted. */
  agentsTouchedBy(changes: readonly Change[]): readonly string[]
}
