/** What the daemon knows of one agent, connected or not. Small: there are ten thousand of them. */
import type { EniState, GoodbyeCode } from '../../wire/messages.ts'
import type { Held } from './delta.ts'

export const agentStates = ['in-sync', 'behind', 'refusing', 'away', 'revoked'] as const
export type AgentState = (typeof agentStates)[number]

/** Why an agent, or the kernel below it, refused a revision. */
export interface AgentError {
  readonly revision: number
  readonly kind: string
  readonly message: string
  /** Milliseconds since 1970. */
  readonly atMs: number
}

/** A policy in its kernel that may lock somebody out, and is taken back when its time is over. */
export interface AgentTrial {
  readonly revision: number
  /** Whom it would cut by what, one sentence each. */
  readonly cuts: readonly string[]
  /** Somebody must confirm it. */
  readonly needsPerson: boolean
  /** Milliseconds since 1970. */
  readonly untilMs: number
}

/** The connection of an agent. */
export interface Link {
  readonly sourceAddress: string
  readonly serialNumber: string
  send(message: Buffer): void
  /** Says why and closes; nothing that the agent says afterwards counts. */
  end(code: GoodbyeCode, message: string): void
}

export interface Outstanding {
  readonly revision: number
  readonly bytes: number
  readonly sentAtMs: number
  /** When the first commit was heard of that the update carries; null for an update that answers a `hello`. */
  readonly committedAtMs: number | null
}

/** Waits for a revision to be in force; told by the agents that are behind it. */
export interface EnforcementWaiter {
  readonly revision: number
  enforcedBy(record: AgentRecord): void
}

/** Times without "1970" are those of `performance.now`, which no step of the clock disturbs. */
export interface AgentRecord {
  readonly id: string
  hostName: string
  standing: 'active' | 'revoked' | 'deleted'
  /** The last revision it acknowledged; null where that is not known, as after a restart of the daemon. */
  enforced: number | null
  /** The last commit that changed something of its view. */
  relevant: number
  /** Its last answer was a refusal. */
  refusing: boolean
  /** Until a later revision is in force. */
  lastError: AgentError | null
  /** As its last answer said; null while it is away. */
  trial: AgentTrial | null
  enis: readonly EniState[]
  /** As of the last look, and since when: milliseconds since 1970. */
  state: AgentState
  sinceMs: number
  link: Link | null
  held: Held | null
  /** Sent and not answered. */
  outstanding: Outstanding | null
  /** Something of its view has changed since the last update; from when on. */
  dirtySinceMs: number | null
  /** It said `hello` and has not been answered. */
  greeted: boolean
  /**
   * Answers below are of another state than ours and do not count: what the agent still does with a view of another
   * store. null until the first update of the connection.
   */
  answersFrom: number | null
  queued: boolean
  waiters: Set<EnforcementWaiter> | null
}

export function makeRecord(
  id: string,
  { revision, nowMs }: { readonly revision: number; readonly nowMs: number },
): AgentRecord {
  return {
    id,
    hostName: '',
    standing: 'active',
    enforced: null,
    relevant: revision,
    refusing: false,
    lastError: null,
    trial: null,
    enis: [],
    state: 'away',
    sinceMs: nowMs,
    link: null,
    held: null,
    outstanding: null,
    dirtySinceMs: null,
    greeted: false,
    answersFrom: null,
    queued: false,
    waiters: null,
  }
}

export function hasInForce({ enforced }: AgentRecord, revision: number): boolean {
  return enforced !== null && enforced >= revision
}

export function stateOf(record: AgentRecord): AgentState {
  if (record.standing !== 'active') return 'revoked'
  if (record.link === null) return 'away'
  if (record.refusing) return 'refusing'
  return hasInForce(record, record.relevant) ? 'in-sync' : 'behind'
}
