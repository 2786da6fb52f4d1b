/** All enrolled agents, and how each of them stands. */
import type { EniState } from '../../wire/messages.ts'
import { type AgentDoc, parseKey } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Commit } from '../store/store.ts'
import {
  type AgentError,
  type AgentRecord,
  type AgentState,
  type AgentTrial,
  agentStates,
  hasInForce,
  makeRecord,
  stateOf,
} from './agent-record.ts'

export interface AgentStatus {
  readonly agentId: string
  readonly hostName: string
  readonly state: AgentState
  /** Milliseconds since 1970. */
  readonly sinceMs: number
  /** It lacks a revision that changed something of its view, or nothing is known of it; for those away too. */
  readonly behind: boolean
  readonly enforcedRevision: number | null
  readonly relevantRevision: number
  readonly lastError: AgentError | null
  readonly trial: AgentTrial | null
  /** As it said with its last acknowledgement. */
  readonly enis: readonly EniState[]
  /** null where it is away. */
  readonly sourceAddress: string | null
}

export interface RegistryParts {
  readonly world: World
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export class AgentRegistry {
  readonly #now: () => number
  readonly #records = new Map<string, AgentRecord>()

  /** Nothing is known of the agents' kernels at first, so each is taken to lack the present revision. */
  constructor({ world, now }: RegistryParts) {
    this.#now = now
    for (const doc of world.all('agent')) this.#add(doc, world.revision)
  }

  get(agentId: string): AgentRecord | undefined {
    return this.#records.get(agentId)
  }

  all(): Iterable<AgentRecord> {
    return this.#records.values()
  }

  /** @returns agents that this commit revokes or deletes */
  apply({ revision, changes }: Commit): readonly AgentRecord[] {
    const gone: AgentRecord[] = []
    for (const { key, before, value } of changes) {
      const { kind, id } = parseKey(key)
      if (kind !== 'agent') continue
      const record = this.#records.get(id)
      const doc = value as AgentDoc | null
      if (record === undefined) {
        if (doc !== null) this.#add(doc, revision)
        continue
      }
      const wasActive = record.standing === 'active'
      if (doc === null) {
        record.standing = 'deleted'
        this.#records.delete(id)
      } else {
        record.hostName = doc.hostName
        record.standing = doc.status
        if (doc.status === 'active' && hasEnrolledAgain(before as AgentDoc | null, doc)) {
          Object.assign(record, { enforced: null, relevant: revision, lastError: null, enis: [] })
        }
      }
      this.look(record)
      if (wasActive && record.standing !== 'active') gone.push(record)
    }
    return gone
  }

  /** Notes since when a record is in the state that it is in; after every change of it. */
  look(record: AgentRecord): void {
    const state = stateOf(record)
    if (state === record.state) return
    record.state = state
    record.sinceMs = this.#now()
  }

  statusOf(agentId: string): AgentStatus | undefined {
    const record = this.#records.get(agentId)
    return record === undefined ? undefined : showStatus(record)
  }

  countByState(): ReadonlyMap<AgentState, number> {
    const counts = new Map<AgentState, number>(agentStates.map(state => [state, 0]))
    for (const { state } of this.#records.values()) counts.set(state, counts.get(state)! + 1)
    return counts
  }

  #add(doc: AgentDoc, revision: number): void {
    const record = makeRecord(doc.id, { revision, nowMs: this.#now() })
    record.hostName = doc.hostName
    record.standing = doc.status
    if (doc.revokedAtMs !== null) record.sinceMs = doc.revokedAtMs
    record.state = stateOf(record)
    this.#records.set(doc.id, record)
  }
}

/** None of its certificates is one it had: the host may be another, with nothing in its kernel. */
function hasEnrolledAgain(before: AgentDoc | null, after: AgentDoc): boolean {
  const known = new Set(before?.certificates.map(({ serialNumber }) => serialNumber))
  return after.certificates.length > 0 && !after.certificates.some(({ serialNumber }) => known.has(serialNumber))
}

function showStatus(record: AgentRecord): AgentStatus {
  return {
    agentId: record.id,
    hostName: record.hostName,
    state: record.state,
    sinceMs: record.sinceMs,
    behind: !hasInForce(record, record.relevant),
    enforcedRevision: record.enforced,
    relevantRevision: record.relevant,
    lastError: record.lastError,
    trial: record.trial,
    enis: record.enis,
    sourceAddress: record.link?.sourceAddress ?? null,
  }
}
