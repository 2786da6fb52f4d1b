/** Which agents each commit concerned, of late, and whether it is in force with them. */
import type { Enforcement } from '../services/enforcement.ts'
import { type AgentRecord, type EnforcementWaiter, hasInForce } from './agent-record.ts'

export interface ChangeLogOptions {
  readonly maxChanges?: number
  /** Over all changes, 8 bytes each. */
  readonly maxAgents?: number
}

const defaults = { maxChanges: 10_000, maxAgents: 1_000_000 } as const

export class ChangeLog {
  readonly #limits: Required<ChangeLogOptions>
  /** By revision, oldest first. */
  readonly #concerned = new Map<number, readonly AgentRecord[]>()
  #agents = 0

  constructor(options: ChangeLogOptions = {}) {
    this.#limits = { ...defaults, ...options }
  }

  record(revision: number, concerned: readonly AgentRecord[]): void {
    this.#concerned.set(revision, concerned)
    this.#agents += concerned.length
    for (const [oldest, agents] of this.#concerned) {
      const isWithin = this.#concerned.size <= this.#limits.maxChanges && this.#agents <= this.#limits.maxAgents
      if (isWithin || oldest === revision) break
      this.#concerned.delete(oldest)
      this.#agents -= agents.length
    }
  }

  /** @returns undefined for one that is too old, or was before the start */
  concernedBy(revision: number): readonly AgentRecord[] | undefined {
    return this.#concerned.get(revision)
  }
}

/** Agents that were revoked or deleted since have nothing to enforce any more. */
export function enforcementOf(revision: number, concerned: readonly AgentRecord[]): Enforcement {
  const active = concerned.filter(({ standing }) => standing === 'active')
  const behind = active.filter(record => !hasInForce(record, revision))
  return {
    revision,
    state: behind.length === 0 ? 'enforced' : 'pending',
    agents: active.length,
    enforced: active.length - behind.length,
    behind: behind.map(({ id, hostName, state, sinceMs, lastError }) => ({
      agentId: id,
      hostName,
      state: state === 'away' || state === 'refusing' ? state : 'behind',
      sinceMs,
      error: lastError?.message ?? null,
    })),
  }
}

export interface WaitOptions {
  readonly timeoutMs: number
  /** Ends the waiting early. */
  readonly signal?: AbortSignal | undefined
}

/** Resolves when none of them is behind the revision, after the timeout, or when the signal says so. */
export function untilEnforced(
  revision: number,
  concerned: readonly AgentRecord[],
  options: WaitOptions,
): Promise<void> {
  const { timeoutMs, signal } = options
  const remaining = new Set(concerned.filter(record => record.standing === 'active' && !hasInForce(record, revision)))
  if (remaining.size === 0 || timeoutMs <= 0 || signal?.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const waiter: EnforcementWaiter = {
      revision,
      enforcedBy(record) {
        remaining.delete(record)
        record.waiters?.delete(waiter)
        if (remaining.size === 0) finish()
      },
    }
    const finish = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', finish)
      for (const record of remaining) dismiss(record, waiter)
      resolve()
    }
    const timer = setTimeout(finish, timeoutMs)
    signal?.addEventListener('abort', finish, { once: true })
    for (const record of remaining) {
      record.waiters ??= new Set()
      record.waiters.add(waiter)
    }
  })
}

function dismiss(record: AgentRecord, waiter: EnforcementWaiter): void {
  record.waiters?.delete(waiter)
  if (record.waiters?.size === 0) record.waiters = null
}

/** To be called when an agent has put something in force, and when it has none to put any more. */
export function tellWaiters(record: AgentRecord): void {
  for (const waiter of record.waiters ?? []) {
    if (record.standing !== 'active' || hasInForce(record, waiter.revision)) waiter.enforcedBy(record)
  }
  if (record.waiters?.size === 0) record.waiters = null
}
